//! What is sent for each command, and what is shown.

use serde_json::{Value, json};

use crate::cli::fake::{self, Fake};

fn definition() -> Value {
    json!({ "functions": {
        "hello": {
            "code": "const a = 1;\nreturn a;",
            "parameters": { "name": { "type": "string", "default": "x" }, "any": {} },
        },
        "b": { "code": "return 1" },
    }})
}

#[tokio::test]
async fn put_sends_a_file_and_says_what_to_do_next() {
    let server = Fake::start(|_| fake::json(200, &definition())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.json");
    std::fs::write(&file, definition().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let ran = server.run(&["workspaces", "put", "test", file]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "workspace test has 2 functions\n")
    );
    assert!(
        ran.err.contains("ampoule workspaces run test hello"),
        "{}",
        ran.err
    );
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/v2/functions/test")
    );
    assert_eq!(seen.body, definition().to_string());
    let ran = server
        .run(&["workspaces", "put", "test", file, "--merge", "--json"])
        .await;
    assert_eq!(ran.out.trim_end(), definition().to_string());
    assert_eq!(server.seen()[1].method, "PATCH");
    std::fs::write(file, "[1]").unwrap();
    let ran = server.run(&["workspaces", "put", "test", file]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("is not a JSON object"), "{}", ran.err);
}

#[tokio::test]
async fn show_lists_the_functions() {
    let server = Fake::start(|_| fake::json(200, &definition())).await;
    let ran = server.run(&["workspaces", "show", "test"]).await;
    for part in ["FUNCTION", "hello", "name: string = \"x\", any", "LINES"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = server.run(&["workspaces", "show", "test", "--json"]).await;
    assert_eq!(ran.out.trim_end(), definition().to_string());
}

#[tokio::test]
async fn run_sends_parameters_and_prints_the_result_apart_from_the_log() {
    let answer = json!({
        "result": { "a": [1] },
        "logs": [{ "level": "info", "message": "said \u{1b}[2J", "timestamp": 1 }],
        "duration": 3,
    });
    let shown = answer.clone();
    let server = Fake::start(move |_| fake::json(200, &shown)).await;
    let arguments = [
        "workspaces",
        "run",
        "test",
        "a.b é",
        "-d",
        r#"{"n":1}"#,
        "-p",
        "name=world",
        "-p",
        "n=2",
    ];
    let ran = server.run(&arguments).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "{\n  \"a\": [\n    1\n  ]\n}\n")
    );
    assert_eq!(ran.err, "info said \\u{1b}[2J\n");
    let seen = server.only();
    assert_eq!(seen.target, "/v2/functions/test/run/a.b%20%C3%A9");
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(sent, json!({ "parameters": { "n": 2, "name": "world" } }));
    let ran = server
        .run(&["workspaces", "run", "test", "f", "--json"])
        .await;
    assert_eq!(ran.out.trim_end(), answer.to_string());
    let ran = server
        .run(&["workspaces", "run", "test", "f", "-d", "[]"])
        .await;
    assert_eq!(ran.exit, 2);
}

#[tokio::test]
async fn a_run_that_fails_says_so() {
    let server = Fake::start(|_| {
        fake::problem(
            500,
            "function_threw",
            "The function threw an exception",
            "uncaught Error",
        )
    })
    .await;
    let ran = server.run(&["workspaces", "run", "test", "f"]).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("uncaught Error"), "{}", ran.err);
    assert!(ran.err.contains("ampoule logs test"), "{}", ran.err);
}

#[tokio::test]
async fn packages_are_packed_listed_and_removed() {
    let server = Fake::start(|seen| match seen.method.as_str() {
        "DELETE" => fake::answer(204, "", ""),
        _ => fake::json(
            200,
            &json!({ "packages": [{ "path": "node_modules/a", "version": "1.2.3" }] }),
        ),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let ran = server.run(&["workspaces", "packages", "test", path]).await;
    assert_eq!(ran.exit, 2);
    assert!(ran.err.contains("npm ci"), "{}", ran.err);
    let package = folder.path().join("node_modules/a");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("package.json"), "{}").unwrap();
    let ran = server.run(&["workspaces", "packages", "test", path]).await;
    assert!(
        ran.out.contains("node_modules/a") && ran.out.contains("1.2.3"),
        "{}",
        ran.out
    );
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/v2/functions/test/packages")
    );
    assert_eq!(seen.header("content-type"), Some("application/gzip"));
    let ran = server
        .run(&["workspaces", "packages", "test", "--remove"])
        .await;
    assert_eq!(ran.out, "workspace test has no packages\n");
    assert_eq!(server.seen()[1].method, "DELETE");
    server.run(&["workspaces", "packages", "test"]).await;
    assert_eq!(server.seen()[2].method, "GET");
}

#[tokio::test]
async fn nothing_is_deleted_without_yes() {
    let server = Fake::start(|_| fake::answer(204, "", "")).await;
    let ran = server.run(&["workspaces", "delete", "test"]).await;
    assert_eq!(ran.exit, 2);
    assert!(server.seen().is_empty());
    let ran = server.run(&["workspaces", "delete", "test", "--yes"]).await;
    assert_eq!(
        (ran.exit, ran.out.as_str()),
        (0, "deleted workspace test\n")
    );
    assert_eq!(server.only().method, "DELETE");
}
