//! `JSON.parse` and `JSON.stringify` have a short way for plain data (guest/quickjs/parse.c and
//! json.c). The long way is still there: a reviver and an empty `space` lead to it. So both are
//! taken, for made-up texts and values, and have to agree.

use serde_json::json;

use crate::server::{Answer, Server};

const COMPARE: &str = include_str!("../functions/json_both_ways.js");

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_to_read_and_write_json_agree() {
    let server = Server::start().await;
    server.deploy("f", COMPARE).await;
    for seed in 1..=8 {
        let body = json!({"seed": seed, "count": 300}).to_string();
        let request = server.post("f").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", server.log_text("f").await);
        assert_eq!(answer.json(), json!({"agreed": 300}), "seed {seed}");
    }
}

/// Header fields as a function sets and reads them: on the natives' way (guest/quickjs/fields.c), and
/// where that leaves off.
const FIELDS: &str = r"
    const tried = (work) => { try { return work(); } catch (error) { return error.code; } };
    module.exports = (req, res) => {
        const set = (name, value) => tried(() => { res.setHeader(name, value); return 'set'; });
        const long = 'X-' + 'a'.repeat(80);
        const outcomes = [
            set('X-Plain', 'a b\tc'), set('X-Latin', 'é'), set(long, 'long'), set('X-Number', 7),
            set('X-List', ['1', '2']), set('x-Empty', ''), set('', 'v'), set('a b', 'v'), set('é', 'v'),
            set('日', 'v'), set('X-Bad', 'a\r\nb'), set('X-Bad', 'a\u0000'), set('X-Bad', '\u007f'),
            set('X-Bad', '日'), set('X-Bad', undefined), set('X-Bad', [undefined]), set(undefined, 'v'),
            res.getHeader('x-plain'), res.getHeader(long.toLowerCase()),
        ];
        const { headers } = req;
        res.json({ outcomes, headers, inherits: 'toString' in headers });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_are_checked_and_read_as_node_does() {
    let server = Server::start().await;
    server.deploy("f", FIELDS).await;
    let request = server
        .post("f")
        .header("X-Mixed-Case", " spaced\t")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header("user-agent", "one")
        .header("user-agent", "two")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header(&format!("x-{}", "n".repeat(90)), "long")
        .header("__proto__", "p")
        .header("7", "seven");
    let answer = Answer::of(request).await;
    let found = answer.json();
    let token = "ERR_INVALID_HTTP_TOKEN";
    let value = "ERR_HTTP_INVALID_HEADER_VALUE";
    let char = "ERR_INVALID_CHAR";
    assert_eq!(
        found["outcomes"],
        json!([
            "set", "set", "set", "set", "set", "set", token, token, token, token, char, char, char,
            char, value, value, token, "a b\tc", "long"
        ])
    );
    assert_eq!(answer.header("x-number"), Some("7"));
    let headers = &found["headers"];
    assert_eq!(headers["x-mixed-case"], "spaced");
    assert_eq!(headers["x-twice"], "1, 2");
    assert_eq!(headers["user-agent"], "one");
    assert_eq!(headers["cookie"], "a=1; b=2");
    assert_eq!(headers[format!("x-{}", "n".repeat(90))], "long");
    assert_eq!(headers["__proto__"], "p");
    assert_eq!(headers["7"], "seven");
    assert_eq!(found["inherits"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_fields_of_most_requests_are_read_at_once() {
    let server = Server::start().await;
    let source = "module.exports = (req, res) => res.json(req.headers);";
    server.deploy("f", source).await;
    let request = server
        .post("f")
        .header("X-Odd", "ÿ")
        .header("__proto__", "p");
    let answer = Answer::of(request.body("x")).await;
    let headers = answer.json();
    assert_eq!(headers["x-odd"], "Ã¿", "each byte is a character");
    assert_eq!(headers["__proto__"], "p");
    assert_eq!(headers["content-length"], "1");
}
