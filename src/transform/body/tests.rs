//! What a body is, where its faults are, and that it cannot leave its function.

use super::*;

fn job(source: &str) -> BodyJob {
    BodyJob {
        source: source.to_owned(),
        parameters: vec!["name".to_owned(), "other".to_owned()],
        scope: vec!["first".to_owned(), "my-func".to_owned(), "class".to_owned()],
    }
}

fn fault(source: &str) -> Fault {
    match check(&job(source)) {
        Ok(body) => panic!("{source:?} is a body that names {:?}", body.free),
        Err(fault) => fault,
    }
}

#[test]
fn a_body_names_what_it_does_not_declare() {
    let body = check(&job(
        "const local = await first();\nreturn local + name + cache.x + require('url');",
    ))
    .unwrap();
    assert_eq!(body.free, ["cache", "first", "require"]);
    assert_eq!(body.scope, ["first"]);
    assert!(body.names("cache"));
    let body = check(&job(
        "let cache = {}; function first() {} return first(cache, name)",
    ));
    assert_eq!(body.unwrap().free, Vec::<String>::new());
    let body = check(&job("return eval(name)")).unwrap();
    assert_eq!(
        body.scope,
        ["first"],
        "what has no name that a variable can have"
    );
}

#[test]
fn bodies_may_be_anything_that_stands_in_an_async_function() {
    for source in [
        "",
        "return",
        "'use strict'; return this",
        "return 1 // a comment to the end",
        "/* } */ return '}' + `}${'}'}` + /}/.source",
        "for await (const x of name) {}",
        "return new.target, arguments.length",
        "<!-- an old comment\nreturn 1",
        "return await import('url')",
        "var name; return name",
    ] {
        check(&job(source)).unwrap_or_else(|fault| panic!("{source:?}: {fault:?}"));
    }
}

#[test]
fn a_body_cannot_close_its_function() {
    for source in [
        "return 1 } , async function x(){",
        "return 1 }), (async function () {",
        "return 1 })(); (async function () {",
        "}, globalThis.escaped = 1, async function () {",
        "} /*",
        "return 1 }",
        "}); globalThis.x = 1; (async function () {",
        "`",
        "/*",
        "return `${",
        "{",
    ] {
        let fault = fault(source);
        assert!(fault.line <= 1, "{source:?}: {fault:?}");
    }
    let fault = fault("let a = 1;\nreturn a }), (async function () {\n");
    assert_eq!((fault.line, fault.column), (2, 10), "{fault:?}");
}

#[test]
fn faults_are_at_their_places_in_the_source() {
    for (source, line, column) in [
        ("let a = ;", 1, 9),
        ("\n\n  return return", 3, 10),
        ("const a = 1;\nconst a = 2;", 1, 7),
        ("if (name) {\n  return 1;\n}}\n", 3, 2),
    ] {
        let fault = fault(source);
        assert_eq!(
            (fault.line, fault.column),
            (line, column),
            "{source:?}: {fault:?}"
        );
        assert!(!fault.message.is_empty());
    }
    assert_eq!(fault("if (name) {\n  return 1;").line, 2);
}

#[test]
fn only_names_that_variables_can_have_are_parameters() {
    for name in [
        "my-param", "class", "a b", "a, b", "a = 1", "{a}", "...a", "", "await", "1a", "a/**/",
    ] {
        let job = BodyJob {
            source: "return 1".to_owned(),
            parameters: vec![name.to_owned()],
            scope: Vec::new(),
        };
        let fault = check(&job).expect_err(name);
        assert!(fault.message.contains("cannot be a variable"), "{fault:?}");
    }
    for name in [
        "name",
        "_",
        "$",
        "naïve",
        "日本",
        "async",
        "constructor",
        "__proto__",
        "cache",
    ] {
        let job = BodyJob {
            source: format!("return {name}"),
            parameters: vec![name.to_owned()],
            scope: Vec::new(),
        };
        assert_eq!(check(&job).unwrap().free, Vec::<String>::new(), "{name}");
    }
}
