//! TypeScript and JSX: what is deployed runs, what cannot is refused, and every place that the
//! platform names is one of the author's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

type Files<'a> = &'a [(&'a str, &'a str)];

/// Deploys files under the name `f` and answers what the function then says.
async fn run(server: &Server, files: Files<'_>) -> String {
    let answer = server.deploy_files("f", files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    let log = server.log_text("f").await;
    assert_eq!(answer.status, 200, "{}\n{log}", answer.text());
    answer.text()
}

/// The detail of the problem that a deployment is refused with.
async fn refusal(server: &Server, files: Files<'_>, code: &str) -> String {
    let answer = server.deploy_files("f", files, json!({})).await;
    let problem = answer.expect_problem(422, code).json();
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_of_the_seeds_runs() {
    let server = Server::start().await;
    let source = "
        interface RequestBody {
          email: string;
          name: string;
        }
        module.exports = async function(
          req: { body: RequestBody },
          res: any
        ) {
          const { email, name } = req.body;
          // Type-safe code
          res.json({ email, name });
        };";
    let request = server
        .request(Method::PUT, "/api/v1/tenants/default/functions/f")
        .header("content-type", "application/typescript; charset=utf-8")
        .body(source);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["entry"], "index.ts");
    let body = json!({ "email": "a@b.c", "name": "Ada" });
    let answer = Answer::of(
        server
            .post("f")
            .header("content-type", "application/json")
            .body(body.to_string()),
    )
    .await;
    assert_eq!((answer.status, answer.json()), (200, body));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_typescript_or_jsx_by_its_name() {
    let server = Server::start().await;
    let source = "export default (req: any, res: any): void => res.send('typed');";
    for filename in ["a.ts", "a.mts", "a.cts", "a.tsx"] {
        let request = server.deploy_request("default", "f", filename, source, &json!({}));
        assert_eq!(Answer::of(request).await.status, 201, "{filename}");
        Answer::of(server.invoke("f")).await.expect(200, "typed");
    }
    for filename in ["a.d.ts", ".ts", "a.tsx.txt"] {
        let request = server.deploy_request("default", "f", filename, source, &json!({}));
        Answer::of(request).await.expect_problem(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_all_kinds_find_each_other() {
    let server = Server::start().await;
    let index = "
        import { a } from './a';
        import { b } from './b.js';
        import c from './c.cjs';
        import { d } from './d';
        import { e } from '@lib/e';
        import { f } from '#f';
        import type { Gone } from './gone';
        import g = require('./g');
        enum Level { Low, High = 'high' }
        namespace Space { export const inside = 1; }
        class Point { constructor(readonly x: number, private y = 2) {} sum() { return this.x + this.y; } }
        export default async (req: any, res: any) => {
            const late = await import('./late.js');
            const gone: Gone | undefined = undefined;
            res.json([a, b, c, d, e, f, g, late.late, Level.Low, Level.High, Space.inside,
                new Point(1).sum(), gone ?? null, typeof __filename, __dirname]);
        };";
    let tsconfig =
        "{ // paths\n \"compilerOptions\": { \"paths\": { \"@lib/*\": [\"./src/lib/*\"] } } }";
    let text = run(
        &server,
        &[
            (
                "package.json",
                r##"{"main":"./index.js","imports":{"#f":"./src/f.js"}}"##,
            ),
            ("tsconfig.json", tsconfig),
            ("index.ts", index),
            ("a.ts", "export const a: string = 'a';"),
            ("b.ts", "export const b = 'b' as const;"),
            ("c.cts", "const c: string = 'c'; export = c;"),
            ("d/index.tsx", "export const d = 'd';"),
            (
                "src/lib/e.ts",
                "import { a } from '@lib/deep/a';\nexport const e = 'e' + a;",
            ),
            ("src/lib/deep/a.mts", "export const a = '+';"),
            ("src/f.ts", "export const f = 'f';"),
            ("g.ts", "module.exports = 'g';"),
            ("late.ts", "export const late: string = 'late';"),
            ("gone.ts", "export interface Gone {}"),
        ],
    )
    .await;
    let value: Value = serde_json::from_str(&text).unwrap();
    let expected = json!([
        "a", "b", "c", "d", "e+", "f", "g", "late", 0, "high", 1, 3, null, "string", "/app"
    ]);
    assert_eq!(value, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_the_package_decides_what_a_file_is() {
    let server = Server::start().await;
    let probe = "export default (req: any, res: any) => res.json(typeof module);";
    let module = r#"{"type":"module"}"#;
    let text = run(&server, &[("package.json", module), ("index.ts", probe)]).await;
    assert_eq!(text, "\"undefined\"");
    let commonjs = r#"{"type":"commonjs"}"#;
    let source =
        "const a: number = 1;\nmodule.exports = (req, res) => res.json([a, typeof require]);";
    let text = run(&server, &[("package.json", commonjs), ("index.ts", source)]).await;
    assert_eq!(text, "[1,\"function\"]");
    // Compilers take this for CommonJS; it runs as the module that it looks like.
    let text = run(&server, &[("package.json", commonjs), ("index.ts", probe)]).await;
    assert_eq!(text, "\"object\"");
    let bare = "const a: number = 1;\nexport {};\nmodule.exports = a;";
    let detail = refusal(
        &server,
        &[("package.json", module), ("index.ts", bare)],
        "load_threw",
    )
    .await;
    assert!(detail.starts_with("index.ts:3:"));
}

const JSX_RUNTIME: &str = "
    const show = (type, { children = [], ...props }) => {
        const inside = [children].flat().join('');
        if (typeof type === 'function') return type({ ...props, children: inside });
        const text = Object.entries(props).map(([name, value]) => ` ${name}=\"${value}\"`).join('');
        return `<${type}${text}>${inside}</${type}>`;
    };
    exports.jsx = show; exports.jsxs = show; exports.Fragment = (props) => props.children;";

#[tokio::test(flavor = "multi_thread")]
async fn jsx_calls_the_runtime_of_the_users_own_packages() {
    let server = Server::start().await;
    let index = "
        import { Title } from './title';
        export default (req, res) => res.send(<><Title name=\"a\">b {1 + 1}</Title></>);";
    let title = "
        type Props = { name: string; children?: unknown };
        export const Title = ({ name, children }: Props) => <h1 id={name}>{children}</h1>;";
    let files = [
        ("index.jsx", index),
        ("title.tsx", title),
        ("node_modules/react/jsx-runtime.js", JSX_RUNTIME),
    ];
    assert_eq!(run(&server, &files).await, "<h1 id=\"a\">b 2</h1>");
    let other = [
        ("index.jsx", index),
        ("title.tsx", title),
        (
            "tsconfig.json",
            r#"{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"other"}}"#,
        ),
        ("node_modules/other/jsx-runtime.js", JSX_RUNTIME),
    ];
    assert_eq!(run(&server, &other).await, "<h1 id=\"a\">b 2</h1>");
    let classic = "
        const h = (type: string, props: object, ...children: string[]) => type + children.join('');
        module.exports = (req: any, res: any) => res.send(<p>{'x'}</p>);";
    let files = [
        ("index.tsx", classic),
        (
            "tsconfig.json",
            r#"{"compilerOptions":{"jsx":"react","jsxFactory":"h"}}"#,
        ),
    ];
    assert_eq!(run(&server, &files).await, "px");
}

#[tokio::test(flavor = "multi_thread")]
async fn decorators_and_using_work() {
    let server = Server::start().await;
    let index = "
        const log: string[] = [];
        const mark = (name: string): any => (...at: any[]) => { log.push(name + at.length); };
        const twice = (target: any, key: string, descriptor: PropertyDescriptor) => {
            const once = descriptor.value;
            descriptor.value = function (this: any, n: number) { return once.call(this, n) * 2; };
        };
        const named = <T extends { new (...args: any[]): {} }>(base: T) =>
            class extends base { name = 'named'; };
        @named
        class A {
            @mark('field') field = 1;
            @twice double(@mark('parameter') n: number) { return n + this.field; }
            @mark('static') static s() {}
        }
        const dispose = (name: string) => ({ [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() { log.push(name); } });
        function use() { using a = dispose('first'); using b = dispose('second'); return 'used'; }
        module.exports = (req: any, res: any) => {
            const a: any = new A();
            res.json([a.double(2), a.name, use(), log]);
        };";
    let tsconfig = r#"{"compilerOptions":{"experimentalDecorators":true}}"#;
    let text = run(&server, &[("index.ts", index), ("tsconfig.json", tsconfig)]).await;
    let value: Value = serde_json::from_str(&text).unwrap();
    let log = json!(["field3", "parameter3", "static3", "second", "first"]);
    assert_eq!(value, json!([6, "named", "used", log]));
    let detail = refusal(&server, &[("index.ts", index)], "syntax_error").await;
    assert!(
        detail.starts_with("index.ts:10:9: decorators need"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_refused_with_its_place_and_the_version_before_stays() {
    let server = Server::start().await;
    run(
        &server,
        &[(
            "index.ts",
            "export default (q: any, s: any) => s.send('ok');",
        )],
    )
    .await;
    let index = "import './lib/broken';\nexport default () => {};";
    for (file, source, place) in [
        (
            "lib/broken.ts",
            "const a: string = ;",
            "lib/broken.ts:1:19: ",
        ),
        ("lib/broken.tsx", "const a = (\n  <b>", "lib/broken.tsx:"),
        ("lib/broken.ts", "let a;\nlet a;", "lib/broken.ts:1:5: "),
        ("lib/broken.mts", "export = 1;", "lib/broken.mts:1:1: "),
    ] {
        let detail = refusal(
            &server,
            &[("index.ts", index), (file, source)],
            "syntax_error",
        )
        .await;
        assert!(detail.starts_with(place), "{detail}");
        Answer::of(server.invoke("f")).await.expect(200, "ok");
    }
    let detail = refusal(&server, &[("index.ts", "let a: = 1;")], "syntax_error").await;
    assert!(detail.starts_with("index.ts:1:8: "), "{detail}");
    // What is never loaded does no harm.
    let files = [
        (
            "index.ts",
            "export default (q: any, s: any) => s.send('fine');",
        ),
        ("test/template.ts", "{{ name }} ]["),
    ];
    assert_eq!(run(&server, &files).await, "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_those_of_the_source() {
    let server = Server::start().await;
    let index = "
interface A { a: string }
import { fail } from './lib/fail';

type B = A;
export default (req: any, res: any) => {
    if (req.query.log) {
        const stack = new Error('logged').stack;
        console.log(JSON.stringify({ stack }));
        return res.send(stack);
    }
    fail({ a: 'x' } as B);
};";
    let fail = "
interface A { a: string }


export function fail(a: A): never {
    throw new TypeError('thrown ' + a.a);
}";
    let files = [("index.ts", index), ("lib/fail.ts", fail)];
    let answer = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    let problem = answer.expect_problem(500, "function_threw").json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("uncaught TypeError at lib/fail.ts:6:"),
        "{detail}"
    );
    let log = server.log_text("f").await;
    assert!(log.contains("/app/lib/fail.ts:6:"), "{log}");
    assert!(log.contains("/app/index.ts:12:"), "{log}");
    let answer = Answer::of(server.invoke("f?log=1")).await;
    assert_eq!(answer.status, 200);
    let log = server.log_with("f", "logged").await;
    let message = log.last().unwrap()["message"].as_str().unwrap();
    assert!(message.contains("/app/index.ts:8:"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_right_while_loading_and_after_a_restart() {
    let server = Server::start().await;
    let thrown = "\ninterface A {}\n\nthrow new RangeError('while loading');";
    let detail = refusal(&server, &[("index.ts", thrown)], "load_threw").await;
    assert!(detail.starts_with("index.ts:4:"), "{detail}");
    let missing = "\ninterface A {}\n\nrequire('./none');";
    let detail = refusal(&server, &[("index.ts", missing)], "module_not_found").await;
    assert!(!detail.contains("/app/"), "{detail}");
    let impure = "
interface A {}

const now: number = Date.now();
export default () => { throw new Error('late ' + now); };";
    let answer = server
        .deploy_files("f", &[("index.ts", impure)], json!({}))
        .await;
    let reason = answer.json()["evaluation_reason"].clone();
    assert!(
        reason
            .as_str()
            .unwrap()
            .starts_with("Date.now() at index.ts:4:"),
        "{reason}"
    );
    let data = server.stop().await;
    for folder in ["files", "maps", "snapshots"] {
        std::fs::remove_dir_all(data.path().join("data").join(folder)).unwrap();
    }
    let server = Server::with(crate::server::Options {
        data: Some(data),
        ..Default::default()
    })
    .await;
    let answer = Answer::of(server.invoke("f")).await;
    let problem = answer.expect_problem(500, "function_threw").json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("uncaught Error at index.ts:5:"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundles_own_map_is_honoured() {
    let server = Server::start().await;
    // Line 2 of the bundle, from column 1 on, is src/handler.ts, line 40, column 3.
    let map = r#"{"version":3,"sources":["../src/handler.ts"],"names":[],"mappings":";AAuCE"}"#;
    let bundle = "// made\nmodule.exports = () => { throw new Error('bundled'); };\n\
                  //# sourceMappingURL=index.js.map\n";
    let files = [
        ("package.json", r#"{"main":"dist/index.js"}"#),
        ("dist/index.js", bundle),
        ("dist/index.js.map", map),
    ];
    let answer = server.deploy_files("f", &files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = Answer::of(server.invoke("f")).await;
    let problem = answer.expect_problem(500, "function_threw").json();
    assert_eq!(problem["detail"], "uncaught Error at src/handler.ts:40:3");
    assert!(
        server
            .log_text("f")
            .await
            .contains("/app/src/handler.ts:40:3")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_that_mean_harm_do_none() {
    let server = Server::start().await;
    let long = "A".repeat(100_000);
    let names = format!(r#"{{"version":3,"sources":["{long}"],"names":[],"mappings":"AAAA"}}"#);
    let numbers = format!(
        r#"{{"version":3,"sources":["a"],"mappings":"{}"}}"#,
        "ggggg".repeat(10_000)
    );
    let evil = r#"{"version":3,"sources":["x\u001b[31m\n    at evil (y)"],"mappings":"AAAA"}"#;
    for map in [names.as_str(), &numbers, evil, "{", "[1]", ""] {
        let source = "module.exports = () => { throw new Error('harm'); };\n\
                      //# sourceMappingURL=index.js.map";
        let files = [("index.js", source), ("index.js.map", map)];
        let answer = server.deploy_files("f", &files, json!({})).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let answer = Answer::of(server.invoke("f")).await;
        let detail = answer.expect_problem(500, "function_threw").json()["detail"].clone();
        let detail = detail.as_str().unwrap();
        assert!(
            detail.starts_with("uncaught Error at ") && detail.len() < 700,
            "{detail}"
        );
        assert!(
            !detail.contains('\u{1b}') && !detail.contains('\n'),
            "{detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_mean_harm_are_refused_and_others_go_on() {
    let server = Server::start().await;
    let deep = |before: &str, after: &str| {
        let (before, after) = (before.repeat(100_000), after.repeat(100_000));
        format!("export default {before}1{after};")
    };
    let large = format!("export default 1;\n{}", "// a comment\n".repeat(800_000));
    for source in [
        deep("(", ")"),
        deep("[", "]"),
        deep("{a:", "}"),
        deep("!", ""),
        deep("a=>", ""),
        deep("1+", ""),
        deep("`${", "}`"),
        deep("a?b:", ""),
        format!("type A = {}1{};", "[".repeat(100_000), "]".repeat(100_000)),
        large,
    ] {
        let request = server.deploy_request("default", "f", "f.ts", &source, &json!({}));
        let answer = Answer::of(request).await;
        assert!(answer.status < 500, "{}", answer.text());
        assert!(answer.body.len() < 4000, "{}", answer.text());
    }
    let odd = run(
        &server,
        &[(
            "index.ts",
            "export default (q: any, s: any) => s.send('\u{1F600}\u{feff}é');",
        )],
    );
    assert_eq!(odd.await, "\u{1F600}\u{feff}é");
}
