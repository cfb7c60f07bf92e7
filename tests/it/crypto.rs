//! `crypto` in real sandboxes: what it makes is what Node.js makes, and what it costs.

use serde_json::{Value, json};

use crate::server::{Answer, Server};

const VECTORS: &str = include_str!("../functions/crypto_vectors.js");
const KEYS: &str = include_str!("../functions/crypto_keys.json");
const EXPECTED: &str = include_str!("../functions/crypto_vectors.json");

async fn run(server: &Server, body: &'static str) -> Value {
    let request = server
        .post("f")
        .header("content-type", "application/json")
        .body(body);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_answers_as_node_does() {
    let server = Server::start().await;
    server.deploy("f", VECTORS).await;
    let made = run(&server, KEYS).await;
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&made[part], expected, "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_and_ciphers_under_way_are_part_of_the_snapshot() {
    let server = Server::start().await;
    let source = "
        const crypto = require('crypto');
        const hash = crypto.createHash('sha256').update(Buffer.alloc(20000));
        const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
        cipher.update('x');
        module.exports = (req, res) => res.json([
            hash.copy().digest('hex'), hash.update('y').digest('hex'),
            cipher.update('yz', 'utf8', 'hex'),
        ]);";
    let deployed = server.deploy("f", source).await;
    assert_eq!(deployed["evaluation"], "snapshot", "{deployed}");
    let first = run(&server, "{}").await;
    assert_eq!(run(&server, "{}").await, first);
    let expected = json!([
        "28b4f41a7f3ee6d8cc87272db6e09c6d3566551fd4d18702b041a21658272a85",
        "3cc3b8de9fe05b5fd1193566e6e0b723d70c3ef0380f7205c3a475c8ce4a733a",
        "9031"
    ]);
    assert_eq!(first, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_not_made_for_a_snapshot() {
    let server = Server::start().await;
    for call in [
        "generateKeyPairSync('ed25519')",
        "generateKeyPairSync('rsa', { modulusLength: 512 })",
        "generateKeySync('hmac', { length: 64 })",
        "generatePrimeSync(32)",
        "createECDH('prime256v1').generateKeys()",
        "randomBytes(3)",
        "randomFillSync(Buffer.alloc(3))",
    ] {
        let source = format!(
            "const crypto = require('crypto');
            const made = crypto.{call};
            module.exports = (req, res) => res.json(JSON.stringify(made));"
        );
        let deployed = server.deploy("f", &source).await;
        assert_eq!(deployed["evaluation"], "per_request", "{call}: {deployed}");
        run(&server, "{}").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_all_memory_is_refused() {
    let server = Server::start().await;
    let source = "
        const crypto = require('crypto');
        const attempt = (work) => { try { work(); return null; } catch (e) { return e.code; } };
        module.exports = (req, res) => res.json([
            attempt(() => crypto.pbkdf2Sync('p', 's', 1, 2 ** 30, 'sha1')),
            attempt(() => crypto.scryptSync('p', 's', 1, { N: 2 ** 24, maxmem: 2 ** 40 })),
            attempt(() => crypto.generateKeyPairSync('rsa', { modulusLength: 2 ** 20 })),
            attempt(() => crypto.generatePrimeSync(2 ** 20)),
        ]);";
    server.deploy("f", source).await;
    let expected = json!([
        "ERR_CRYPTO_OPERATION_FAILED",
        "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
        "ERR_METHOD_NOT_IMPLEMENTED",
        "ERR_METHOD_NOT_IMPLEMENTED"
    ]);
    assert_eq!(run(&server, "{}").await, expected);
}
