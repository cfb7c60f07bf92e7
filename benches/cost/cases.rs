//! The functions that are measured, and what they are asked.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::platform::Ask;

/// The case whose ratios have bars.
pub(crate) const JSON: &str = "json";
/// The least that answers JSON.
pub(crate) const HELLO: &str = "hello";
/// What one `kv.get` takes is the difference of these two.
pub(crate) const AWAITS: &str = "awaits, no kv";
pub(crate) const AWAITS_KV: &str = "awaits, kv.get";
/// The same with much source around it.
pub(crate) const LARGE: &str = "json, 176 KB of source";
/// The same as many functions.
pub(crate) const FLEET: &str = "json, 900 functions";

/// What the kv case reads, and what it finds.
pub(crate) const KV_KEY: &str = "greeting";
/// As the store keeps it: JSON text.
pub(crate) const KV_VALUE: &str = r#""hello""#;
/// What the fetch case is answered.
pub(crate) const FETCHED: &str = r#"{"greeting":"hello"}"#;

/// A request header section such as a browser's proxy would hand on.
pub(crate) const FIELDS: &str = "host: 127.0.0.1:4000\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\n";
const JSON_FIELDS: &str = "host: 127.0.0.1:4000\r\nuser-agent: curl/8.5.0\r\naccept: */*\r\n\
                           content-type: application/json\r\ncontent-length: 44\r\n";
const JSON_BODY: &str = r#"{"name":"Ada","items":[1,2,3],"urgent":true}"#;
const JSON_HANDLER: &str = "module.exports = (req, res) => {
  const { name, items } = req.body;
  res.json({ hello: name, count: items.length });
};
";
const JSON_ANSWER: &str = r#"{"hello":"Ada","count":3}"#;

/// Size of the large source, in bytes.
const LARGE_BYTES: usize = 176 << 10;
/// Size of each of its functions, in bytes.
const FUNCTION_BYTES: usize = 90;

/// One function and one request to it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// As in the table.
    pub(crate) name: String,
    /// `index.js`
    pub(crate) source: String,
    /// The request.
    pub(crate) ask: Ask,
    /// The body that it answers.
    pub(crate) answer: &'static str,
}

impl Case {
    fn get(name: &str, source: &str, answer: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            ask: Ask::get("/"),
            answer,
        }
    }

    fn post_json(name: &str, source: String) -> Self {
        Self {
            name: name.to_owned(),
            source,
            ask: Ask {
                method: "POST",
                target: "/".to_owned(),
                fields: JSON_FIELDS,
                content: Bytes::from_static(JSON_BODY.as_bytes()),
            },
            answer: JSON_ANSWER,
        }
    }
}

/// `noop`, `hello`, `json`, `kv` and `fetch`; `peer` answers the last.
pub(crate) fn all(peer: SocketAddr) -> Vec<Case> {
    vec![
        Case::get(
            "noop",
            "module.exports = (req, res) => {\n  res.end();\n};\n",
            "",
        ),
        Case::get(
            HELLO,
            "module.exports = (req, res) => {\n  res.json({ hello: 'world' });\n};\n",
            r#"{"hello":"world"}"#,
        ),
        Case::post_json(JSON, JSON_HANDLER.to_owned()),
        Case::get(
            "kv",
            &format!(
                "module.exports = async (req, res) => {{
  const value = await kv.get('{KV_KEY}');
  res.json({{ value }});
}};
"
            ),
            r#"{"value":"hello"}"#,
        ),
        Case::get(
            "fetch",
            &format!(
                "module.exports = async (req, res) => {{
  const answer = await fetch('http://{peer}/greeting');
  res.json(await answer.json());
}};
"
            ),
            FETCHED,
        ),
    ]
}

/// Two functions that differ in one `kv.get`, and answer the same.
pub(crate) fn kv_pair() -> [Case; 2] {
    let source = |value: &str| {
        format!(
            "module.exports = async (req, res) => {{
  const value = await {value};
  res.json({{ value }});
}};
"
        )
    };
    let answer = r#"{"value":"hello"}"#;
    [
        Case::get(AWAITS, &source(KV_VALUE), answer),
        Case::get(AWAITS_KV, &source(&format!("kv.get('{KV_KEY}')")), answer),
    ]
}

/// The same, with a top level that no snapshot may hold.
pub(crate) fn impure(source: &str) -> String {
    format!("const born = Date.now();\n{source}")
}

/// The JSON case at the end of 176 KB of source, all of it reachable.
pub(crate) fn large() -> Case {
    Case::post_json(LARGE, source_of(LARGE_BYTES, FUNCTION_BYTES))
}

/// The JSON case at the end of about so many bytes of functions, all of them reachable, of `share`
/// bytes each.
pub(crate) fn source_of(bytes: usize, share: usize) -> String {
    let mut source = String::with_capacity(bytes + share);
    source.push_str("const all = [];\n");
    let end = bytes.saturating_sub(JSON_HANDLER.len() + 26);
    let mut number = 0;
    while source.len() + share <= end {
        let start = source.len();
        let _ = write!(
            source,
            "all.push(function f{number}(a, b) {{ return a > {number} ? [a, b] : a + b; }}); //"
        );
        let rest = share.saturating_sub(source.len() - start + 1);
        source.extend(std::iter::repeat_n('.', rest));
        source.push('\n');
        number += 1;
    }
    source.push_str(JSON_HANDLER);
    source.push_str("module.exports.all = all;\n");
    source
}

/// What the JSON case is asked.
pub(crate) fn json_ask() -> Ask {
    Case::post_json(JSON, String::new()).ask
}

/// What every function of the round robin is asked, and answers.
pub(crate) fn fleet() -> Case {
    Case::post_json(FLEET, String::new())
}

/// A function that stays in its sandbox for a while, so that many can be in use at once.
pub(crate) fn slow() -> Case {
    Case::get(
        "slow",
        "module.exports = (req, res) => {\n  setTimeout(() => res.end(), 300);\n};\n",
        "",
    )
}

/// One function of the round robin; no two are the same.
pub(crate) fn fleet_source(number: usize) -> String {
    format!("const id = 'function {number}';\n{JSON_HANDLER}module.exports.id = id;\n")
}
