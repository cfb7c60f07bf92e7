//! Acceptance samples as cases: those that are one request function and need nobody else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ampoule::deploy::Settings;
use anyhow::{Context, Result};
use bytes::Bytes;

use super::cases::FIELDS;
use super::platform::Ask;

/// Fields of a request with a JSON body.
const JSON: &str = "host: 127.0.0.1:4000\r\naccept: */*\r\ncontent-type: application/json\r\n";
/// The same, signed with `s3cret`.
const SIGNED: &str = "host: 127.0.0.1:4000\r\naccept: */*\r\ncontent-type: application/json\r\n\
    x-signature: 5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d\r\n";
/// The same, with the signature that a sample takes.
const GOOD: &str = "host: 127.0.0.1:4000\r\naccept: */*\r\ncontent-type: application/json\r\n\
    x-signature: good\r\n";

/// What a sample is asked: name, target, fields, body. A body makes it a `POST`.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ASKED: &[Row] = &[
    ("S0-113-119", "/", FIELDS, ""),
    ("S0-129-132", "/", FIELDS, ""),
    ("S0-138-142", "/", FIELDS, ""),
    ("S0-144-150", "/", FIELDS, ""),
    ("S0-156-160", "/", JSON, r#"{"a":[1,2]}"#),
    ("S0-162-168", "/", JSON, r#"{"a":1}"#),
    ("S0-176-183", "/", FIELDS, ""),
    ("S0-18-21", "/", FIELDS, ""),
    ("S0-26-30", "/", FIELDS, ""),
    ("S0-32-35", "/", FIELDS, ""),
    ("S0-44-46", "/", FIELDS, ""),
    ("S0-47-49", "/", FIELDS, ""),
    ("S0-92-96", "/", FIELDS, ""),
    ("S1-116-129", "/", FIELDS, ""),
    ("S1-13-16", "/", FIELDS, ""),
    ("S1-132-149", "/", SIGNED, r#"{"a":1}"#),
    ("S1-153-164", "/a", FIELDS, ""),
    ("S1-167-172", "/", FIELDS, ""),
    ("S1-175-186", "/", FIELDS, ""),
    ("S1-190-191", "/", FIELDS, ""),
    ("S1-193-194", "/", FIELDS, ""),
    ("S1-198-225", "/a?x=1", JSON, "{}"),
    ("S1-20-24", "/?key=a", JSON, r#"{"value":1}"#),
    ("S1-228-250", "/", JSON, "{}"),
    (
        "S1-254-270",
        "/",
        JSON,
        r#"{"email":"a@b","message":" hello "}"#,
    ),
    ("S1-26-29", "/?key=color", JSON, r#"{"value":{"b":1}}"#),
    (
        "S1-273-295",
        "/",
        GOOD,
        r#"{"amount":5,"currency":"EUR","orderId":"7"}"#,
    ),
    (
        "S1-301-315",
        "/",
        JSON,
        r#"{"items":[{"price":2},{"price":0},null]}"#,
    ),
    ("S1-318-328", "/", JSON, r#"{"email":"a@b","name":"Ada"}"#),
    ("S1-33-40", "/", JSON, r#"{"n":1}"#),
    ("S1-44-55", "/", JSON, r#"{"n":21}"#),
    ("S1-58-74", "/", JSON, r#"{"email":"a@b","name":"Ada"}"#),
    ("S1-7-11", "/users/42?x=1", FIELDS, ""),
    (
        "S1-96-103",
        "/",
        JSON,
        r#"{"email":"ada@example.com","password":"hidden"}"#,
    ),
];

/// Samples that are not run here, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("S0-106-109", "waits five seconds"),
    ("S0-170-174", "needs an upstream"),
    ("S0-51-54", "needs an upstream"),
    ("S0-53-54", "needs an upstream"),
    ("S0-80-84", "waits a minute"),
    ("S1-106-113", "needs an upstream"),
    ("S1-77-92", "needs an upstream"),
    ("S3-112-119", "is an event function"),
    ("S3-128-132", "is an event function"),
];

/// Environment that samples take for granted; all of them get it.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("API_KEY", "old-key"),
    ("WEBHOOK_SECRET", "s3cret"),
    ("X", "1"),
];
/// The sample with parameters in its path, and its pattern.
const ROUTED: (&str, &str) = ("S1-7-11", "/users/:userId");

/// A sample that is run.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    /// `index.js` or `index.ts`
    pub(crate) filename: &'static str,
    pub(crate) source: String,
    pub(crate) settings: Settings,
    pub(crate) ask: Ask,
}

/// All that are run, and what is wrong with the two lists above.
pub(crate) fn all() -> Result<(Vec<Sample>, Vec<String>)> {
    let samples: Result<Vec<Sample>> = ASKED.iter().map(read).collect();
    let mut faults = Vec::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_asked = ASKED.iter().any(|(asked, ..)| *asked == name);
        if !is_asked && !LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            faults.push(format!(
                "tests/samples/{name} is in no list of benches/cost/samples.rs"
            ));
        }
    }
    Ok((samples?, faults))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn read(&(name, target, fields, body): &Row) -> Result<Sample> {
    let folder = folder().join(name);
    let (filename, path) = match folder.join("function.ts") {
        path if path.exists() => ("index.ts", path),
        _ => ("index.js", folder.join("function.js")),
    };
    let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Sample {
        name,
        filename,
        source,
        settings: Settings {
            env: BTreeMap::from(environment),
            route: (name == ROUTED.0).then(|| ROUTED.1.to_owned()),
            ..Settings::default()
        },
        ask: Ask {
            method: if body.is_empty() { "GET" } else { "POST" },
            target: target.to_owned(),
            fields,
            content: Bytes::from_static(body.as_bytes()),
        },
    })
}
