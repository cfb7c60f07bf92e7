//! `req`, `res`, `Router` and the clients of Node as they are in real sandboxes, over HTTP.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::routing::any;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fetch::Upstream;
use crate::server::{Answer, Server};

async fn deploy(server: &Server, files: &[(&str, &str)]) {
    let answer = server.deploy_files("f", files, json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// What a handler with this inside answers, as JSON.
async fn run(server: &Server, body: &str) -> Value {
    let source = format!("module.exports = async (req, res) => {{ {body} }};");
    server.deploy("f", &source).await;
    let answer = Answer::of(server.invoke("f")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_serves_its_routes() {
    let server = Server::start().await;
    let source = "
        const users = Router({ mergeParams: true });
        users.param('id', (req, res, next, id) => { req.user = 'user ' + id; next(); });
        users.get('/:id', async (req, res) => { await null; res.json([req.user, req.baseUrl]); });
        const router = new Router();
        router.use((req, res, next) => { res.set('x-seen', req.path); next(); });
        router.use('/users', users);
        router.post('/echo', (req, res) => res.status(201).send(req.body));
        router.get('/files/*', (req, res) => res.send(req.params[0]));
        router.get('/fail', () => { throw new Error('secret'); });
        module.exports = router;";
    server.deploy("f", source).await;
    let answer = Answer::of(server.invoke("f/users/7")).await;
    assert_eq!(answer.header("x-seen"), Some("/users/7"));
    answer.expect(200, r#"["user 7","/users"]"#);
    let echo = server
        .post("f/echo")
        .header("content-type", "application/json")
        .body(r#"{"b":1,"a":2}"#);
    Answer::of(echo).await.expect(201, r#"{"b":1,"a":2}"#);
    let files = Answer::of(server.invoke("f/files/a/b%20c")).await;
    files.expect(200, "a/b c");
    let missing = Answer::of(server.invoke("f/none?x=1")).await;
    missing.expect(404, r#"{"success":false,"message":"Cannot GET /none"}"#);
    let failed = Answer::of(server.invoke("f/fail")).await;
    failed.expect(
        500,
        r#"{"success":false,"message":"Internal Server Error"}"#,
    );
    server.log_with("f", "secret").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_a_stream_of_node() {
    let server = Server::start().await;
    let source = "
        const { IncomingMessage, ServerResponse } = require('node:http');
        const { Readable } = require('node:stream');
        module.exports = async (req, res) => {
            let size = 0;
            for await (const chunk of req) size += chunk.length;
            res.json([size, req.body.length, req instanceof IncomingMessage,
                req instanceof Readable, res instanceof ServerResponse]);
        };";
    server.deploy("f", source).await;
    let request = server
        .post("f")
        .header("content-type", "text/plain")
        .body("x".repeat(300_000));
    let answer = Answer::of(request).await;
    answer.expect(200, "[300000,300000,true,true,true]");
    server
        .deploy("f", "module.exports = (req, res) => { req.pipe(res); };")
        .await;
    let request = server.post("f").body("piped");
    Answer::of(request).await.expect(200, "piped");
}

#[tokio::test(flavor = "multi_thread")]
async fn prototypes_of_an_application_go_on_top_of_those_of_node() {
    let server = Server::start().await;
    let source = "
        const http = require('http');
        const request = Object.create(http.IncomingMessage.prototype);
        const response = Object.create(http.ServerResponse.prototype);
        response.say = function (text) { this.statusCode = 202; this.end(text); };
        const app = (req, res) => {
            Object.setPrototypeOf(req, request);
            Object.setPrototypeOf(res, response);
            req.res = res; res.req = req;
            let text = '';
            req.on('data', (chunk) => { text += chunk; });
            req.on('end', () => res.say(req.method + text));
        };
        module.exports = app;";
    server.deploy("f", source).await;
    let request = server.post("f").body("!");
    Answer::of(request).await.expect(202, "POST!");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_sites_have_what_packages_ask_of_them() {
    let server = Server::start().await;
    // What `depd` does, which every application of Express loads.
    let answer = run(
        &server,
        "const { prepareStackTrace } = Error;
         Error.prepareStackTrace = (error, sites) => sites;
         const holder = {};
         Error.captureStackTrace(holder);
         const sites = holder.stack;
         Error.prepareStackTrace = prepareStackTrace;
         const site = sites[0];
         res.json([Array.isArray(sites), site.isEval(), typeof site.getFileName(),
             typeof site.getLineNumber(), site.getThis() === undefined]);",
    )
    .await;
    assert_eq!(answer, json!([true, false, "string", "number", true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_whole_in_part_and_not_again() {
    let server = Server::start().await;
    let index = "module.exports = (req, res) => {
        res.sendFile(req.path, { root: __dirname + '/public', maxAge: 60000 });
    };";
    deploy(
        &server,
        &[
            ("index.js", index),
            ("public/a.txt", "hello world"),
            ("secret.txt", "no"),
        ],
    )
    .await;
    let whole = Answer::of(server.invoke("f/a.txt")).await;
    assert_eq!(
        whole.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(whole.header("content-length"), Some("11"));
    assert_eq!(whole.header("cache-control"), Some("public, max-age=60"));
    let etag = whole.header("etag").unwrap().to_owned();
    whole.expect(200, "hello world");
    let again = server.invoke("f/a.txt").header("if-none-match", &etag);
    Answer::of(again).await.expect(304, "");
    let part = Answer::of(server.invoke("f/a.txt").header("range", "bytes=6-")).await;
    assert_eq!(part.header("content-range"), Some("bytes 6-10/11"));
    part.expect(206, "world");
    let beyond = Answer::of(server.invoke("f/a.txt").header("range", "bytes=99-")).await;
    assert_eq!(beyond.status, 416);
    let head = Answer::of(server.request(Method::HEAD, "/invoke/f/a.txt")).await;
    assert_eq!(head.header("content-length"), Some("11"));
    head.expect(200, "");
    assert_eq!(Answer::of(server.invoke("f/none")).await.status, 404);
    for hostile in ["f/%2e%2e/secret.txt", "f/..%2fsecret.txt"] {
        let answer = Answer::of(server.invoke(hostile)).await;
        assert!(answer.status >= 400, "{hostile}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_methods_of_the_response_are_called() {
    let server = Server::start().await;
    let answer = Answer::of({
        let source = "module.exports = (req, res) => {
            const { end, writeHead } = res;
            res.writeHead = function () {
                this.setHeader('x-late', 'yes');
                return writeHead.apply(this, arguments);
            };
            res.end = function (chunk, ...rest) { return end.call(this, chunk + '!', ...rest); };
            res.json({});
        };";
        server.deploy("f", source).await;
        server.invoke("f")
    })
    .await;
    assert_eq!(answer.header("x-late"), Some("yes"));
    assert_eq!(answer.text(), "{}!");
}

async fn echo(headers: HeaderMap, request: Request) -> String {
    let method = request.method().clone();
    let uri = request.uri().clone();
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let size = body.unwrap().len();
    let own = headers.get("x-own").map(|value| value.to_str().unwrap());
    format!("{method} {uri} {size} {}", own.unwrap_or("-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_node_sends_and_receives() {
    let server = Server::start().await;
    let upstream = Upstream::start(Router::new().fallback(any(echo))).await;
    let answer = run(
        &server,
        &format!(
            "const http = require('http');
             const ask = (path, options, body = []) => new Promise((resolve, reject) => {{
                 const request = http.request('{}' + path, options, async (message) => {{
                     let text = '';
                     for await (const chunk of message) text += chunk;
                     resolve([message.statusCode, text, message.complete]);
                 }});
                 request.on('error', reject);
                 for (const chunk of body) request.write(chunk);
                 request.end();
             }});
             const large = Array.from({{ length: 5 }}, () => Buffer.alloc(50_000));
             res.json([
                 await ask('a?b=1', {{ headers: {{ 'X-Own': 'mine' }} }}),
                 await ask('p', {{ method: 'POST' }}, ['abc', 'def']),
                 await ask('q', {{ method: 'PUT' }}, large),
                 await ask('x', {{ port: 1 }}).catch((error) => error.code),
             ]);",
            upstream.url("/")
        ),
    )
    .await;
    assert_eq!(
        answer,
        json!([
            [200, "GET /a?b=1 0 mine", true],
            [200, "POST /p 6 -", true],
            [200, "PUT /q 250000 -", true],
            "ECONNREFUSED",
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_of_the_platform_are_there_unless_a_deployment_brings_its_own() {
    let server = Server::start().await;
    let source = "const mime = require('mime-types'), fetch = require('node-fetch');
        module.exports = (req, res) => res.json([mime.lookup?.('a.html'), typeof fetch]);";
    server.deploy("f", source).await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, r#"["text/html","function"]"#);
    deploy(
        &server,
        &[
            ("index.js", source),
            ("node_modules/mime-types/index.js", "exports.own = true;"),
        ],
    )
    .await;
    let answer = Answer::of(server.invoke("f")).await;
    answer.expect(200, r#"[null,"function"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_listen_is_refused() {
    let server = Server::start().await;
    let answer = run(
        &server,
        "try { require('http').createServer().listen(80); } catch (error) { res.json(error.code); }",
    )
    .await;
    assert_eq!(answer, "ENOTSUP");
}
