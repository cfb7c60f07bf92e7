//! What sources become, and that the map leads back.

use std::collections::BTreeSet;

use super::map::SourceMap;
use super::typescript::transform;
use super::*;

fn run(path: &str, source: &str, options: Options) -> Result<Transformed, Fault> {
    let job = Job {
        path: path.to_owned(),
        source: source.to_owned(),
        options,
    };
    transform(&job, &BTreeSet::new())
}

/// The code of a source, without blanks that do not matter.
fn code_with(path: &str, source: &str, options: Options) -> String {
    let transformed = run(path, source, options).unwrap_or_else(|fault| panic!("{fault:?}"));
    let code = transformed
        .code
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    code.replace("; }", " }").trim_end_matches(';').to_owned()
}

fn code(path: &str, source: &str) -> String {
    code_with(path, source, Options::default())
}

fn fault(path: &str, source: &str) -> Fault {
    match run(path, source, Options::default()) {
        Ok(transformed) => panic!("{source:?} became {:?}", transformed.code),
        Err(fault) => fault,
    }
}

#[test]
fn names_say_what_is_transformed() {
    for path in [
        "a.ts",
        "x/a.tsx",
        "a.mts",
        "a.cts",
        "a.jsx",
        "a.test.ts",
        "d.ts",
        "x.d/a.ts",
    ] {
        assert!(is_transformed(path), "{path}");
    }
    for path in [
        "a.js",
        "a.d.ts",
        "x/a.d.mts",
        "a.d.cts",
        "a.d.css.ts",
        "ts",
        ".ts/a",
        "a.json",
    ] {
        assert!(!is_transformed(path), "{path}");
    }
}

#[test]
fn types_are_taken_out() {
    let cases = [
        ("const a: number = 1 as any;", "const a = 1"),
        ("interface A { b: string }\ntype B = A;", ""),
        (
            "function f<T>(this: T, a?: T, ...b: T[]): a is T { return a!; }",
            "function f(a, ...b) { return a }",
        ),
        ("declare const x: number; declare module 'y' {}\nx;", "x"),
        ("let a = <any>b satisfies C;", "let a = b"),
        (
            "abstract class A { abstract b(): void; private c?: number; declare d: 1; }",
            "class A { c }",
        ),
        (
            "class A { constructor(private readonly a: string, b: number) {} }",
            "class A { a; constructor(a, b) { this.a = a } }",
        ),
        (
            "function f(a: string): void;\nfunction f(a: any) {}",
            "function f(a) {}",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(code("a.ts", source), expected, "{source}");
    }
}

#[test]
fn the_sample_of_the_seeds_runs_as_commonjs() {
    let source = "interface RequestBody {\n  email: string;\n}\nmodule.exports = async function(\n\
                  req: { body: RequestBody },\n  res: any\n) {\n  const { email } = req.body;\n};";
    assert_eq!(
        code("index.ts", source),
        "module.exports = async function(req, res) { const { email } = req.body }"
    );
}

#[test]
fn imports_of_types_go_and_others_stay() {
    let source = "import { A, b } from './x'; import type C from './y'; import D from './z';\n\
                  let d: D; export { b }; export type { A };";
    assert_eq!(
        code("a.ts", source),
        "import { b } from \"./x\"; let d; export { b }"
    );
    let verbatim = Options {
        verbatim: true,
        ..Options::default()
    };
    let kept = code_with(
        "a.ts",
        "import D from './z'; import type C from './y';",
        verbatim,
    );
    assert_eq!(kept, "import D from \"./z\"");
}

#[test]
fn what_imports_types_only_is_no_module_for_that() {
    let source = "import type { A } from './x';\nmodule.exports = (a: A) => a;";
    assert_eq!(code("a.ts", source), "module.exports = (a) => a");
    let module = Options {
        kind: Kind::Module,
        ..Options::default()
    };
    assert!(code_with("a.ts", "import type { A } from './x';", module).contains("export {}"));
}

#[test]
fn enums_and_namespaces_become_objects() {
    let code = code(
        "a.ts",
        "enum A { B, C = 'c', D = 1 << 2 }\nnamespace N { export const x = A.B; }",
    );
    for part in [
        "A[A[\"B\"] = 0] = \"B\"",
        "A[\"C\"] = \"c\"",
        "= 4",
        "N.x = A.B",
    ] {
        assert!(code.contains(part), "{part} in {code}");
    }
}

#[test]
fn commonjs_of_typescript_becomes_that_of_node() {
    let source = "import fs = require('fs');\nexport = fs.readFileSync;";
    assert_eq!(
        code("a.cts", source),
        "const fs = require(\"fs\"); module.exports = fs.readFileSync"
    );
    let module = Options {
        kind: Kind::Module,
        ..Options::default()
    };
    let fault = run("a.mts", source, module).unwrap_err();
    assert!(fault.message.contains("CommonJS"), "{fault:?}");
    assert_eq!((fault.line, fault.column), (1, 1));
}

#[test]
fn a_module_that_uses_names_of_commonjs_gets_them() {
    let code = code(
        "a.ts",
        "import a from 'a';\nmodule.exports = a(__dirname, require('b'));",
    );
    assert!(code.contains("const require = "), "{code}");
    assert!(
        code.contains("const __dirname = import.meta.dirname"),
        "{code}"
    );
    assert!(code.ends_with("export default module.exports"), "{code}");
    let own = super::tests::code("a.ts", "import a from 'a'; const require = a; require(1);");
    assert!(!own.contains("createRequire"), "{own}");
    let named = super::tests::code("a.ts", "export const a = require('b');");
    assert!(!named.contains("export default"), "{named}");
}

#[test]
fn jsx_becomes_calls() {
    let automatic = code("a.jsx", "export const a = <b c=\"d\">{e}</b>;");
    assert!(
        automatic.contains("from \"react/jsx-runtime\""),
        "{automatic}"
    );
    assert!(
        automatic.contains("_jsx(\"b\", { c: \"d\", children: e })"),
        "{automatic}"
    );
    let script = code("a.tsx", "module.exports = (p: P) => <><b/></>;");
    assert!(
        script.contains("require(\"react/jsx-runtime\")"),
        "{script}"
    );
    let preact = Options {
        jsx_import_source: Some("preact".into()),
        ..Options::default()
    };
    let preact = code_with("a.tsx", "export default <b/>;", preact);
    assert!(preact.contains("from \"preact/jsx-runtime\""), "{preact}");
    let classic = Options {
        jsx_classic: true,
        jsx_factory: Some("h".into()),
        jsx_fragment: Some("F".into()),
        ..Options::default()
    };
    let classic = code_with(
        "a.tsx",
        "import { h, F } from 'x';\nexport default <><b/></>;",
        classic,
    );
    assert!(classic.contains("h(F, null, h(\"b\", null))"), "{classic}");
    assert!(classic.contains("import { h, F }"), "{classic}");
    let pragma = code(
        "a.jsx",
        "/** @jsxRuntime classic */\n/** @jsx h */\nexport default <b/>;",
    );
    assert!(pragma.contains("h(\"b\", null)"), "{pragma}");
}

#[test]
fn decorators_need_the_option() {
    let source = "@d class A { @e() f = 1; @g h(@i j: string) {} }";
    let fault = fault("a.ts", source);
    assert!(
        fault.message.contains("experimentalDecorators"),
        "{fault:?}"
    );
    assert_eq!((fault.line, fault.column), (1, 1));
    let options = Options {
        decorators: true,
        metadata: true,
        ..Options::default()
    };
    let code = code_with("a.ts", source, options);
    for part in [
        "decorate:",
        "decorateParam:",
        "decorateMetadata:",
        "babelHelpers.decorate([",
    ] {
        assert!(code.contains(part), "{part} in {code}");
    }
    assert!(!code.contains("usingCtx"), "{code}");
}

#[test]
fn fields_are_assigned_where_the_option_says_so() {
    let options = Options {
        define_fields: false,
        ..Options::default()
    };
    let source = "class A { a: number; b = 1; static c = 2; }";
    let code = code_with("a.ts", source, options.clone());
    assert_eq!(code, "class A { constructor() { this.b = 1 } } A.c = 2");
    let private = code_with("a.ts", "class A { a: number; #b = 1; }", options);
    assert_eq!(private, "class A { #b = 1 }");
}

#[test]
fn faults_name_line_and_column_of_the_source() {
    let cases = [
        ("a.ts", "const a = 1;\nconst é: = 2;", 2, 10),
        ("a.ts", "\u{feff}let a;\nlet a;", 1, 5),
        ("a.jsx", "const a = <b>\n  </c>;", 2, 5),
        ("a.ts", "class A {\n  a() {\n", 3, 1),
    ];
    for (path, source, line, column) in cases {
        let fault = fault(path, source);
        assert_eq!(
            (fault.line, fault.column),
            (line, column),
            "{source}: {fault:?}"
        );
        assert!(
            !fault.message.is_empty() && !fault.message.contains('\n'),
            "{fault:?}"
        );
    }
}

#[test]
fn the_map_leads_back_to_the_source() {
    let source = "interface A {\n  a: 1;\n}\n\n@d class C {}\nexport function f(a: A) {\n\
                  \x20 throw new Error('é' + a);\n}\n";
    let options = Options {
        decorators: true,
        ..Options::default()
    };
    let transformed = run("x/a.ts", source, options).unwrap();
    let map = SourceMap::new(transformed.mappings, vec!["x/a.ts".into()]).unwrap();
    let (line, text) = transformed
        .code
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains("throw"))
        .unwrap();
    let column = text.find("new Error").unwrap() + 1;
    let number = |number: usize| u32::try_from(number).unwrap();
    let place = map.lookup(number(line + 1), number(column)).unwrap();
    assert_eq!(
        (place.file.as_str(), place.line, place.column),
        ("x/a.ts", 7, 9)
    );
}

#[test]
fn odd_text_does_no_harm() {
    let cases = [
        "",
        "\0",
        "\u{feff}",
        "\u{2028}\u{2029}",
        "'\u{d7ff}\u{10ffff}'",
        "#!",
        "#!/usr/bin/env node\n1",
        "/*",
        "`${",
        "//# sourceMappingURL=x",
        "<!--",
        "a\u{200d}b",
        "\\u0061 = 1",
        "\\u{110000}",
        "0b",
        "/[/",
        "@",
        "#a",
        "export",
        "import(",
        "enum",
        "namespace a.b.c {}",
        "type = 1; type",
    ];
    for source in cases {
        for path in ["a.ts", "a.tsx", "a.mts", "a.cts", "a.jsx"] {
            let _ = run(path, source, Options::default());
        }
    }
    assert_eq!(
        code("a.ts", "#!/usr/bin/env node\n1 as number"),
        "#!/usr/bin/env node 1"
    );
}

#[test]
fn using_is_taken_apart() {
    let code = code("a.ts", "function f() { using a = b(); return a; }");
    assert!(code.contains("usingCtx: function ()"), "{code}");
    assert!(!code.contains("using a"), "{code}");
}
