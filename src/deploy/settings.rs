//! What a deployment is told besides its files, checked before anything is done.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use super::UploadKind;
use super::archive::File;
use crate::error::{Code, Error};
use crate::kind::Kind;
use crate::limits::{self, LimitOverrides, Limits};
use crate::secret::Plain;

/// Longest route pattern, in bytes.
const ROUTE_BYTES_MAX: usize = 512;
/// Entry files that are looked for when none is named, in this order.
const ENTRIES: [&str; 8] = [
    "index.js",
    "index.mjs",
    "index.cjs",
    "index.ts",
    "index.mts",
    "index.cts",
    "index.tsx",
    "index.jsx",
];
/// What a single file may be.
const SOURCE_ENDS: [&str; 8] = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx"];
/// Extensions of TypeScript, each after the one of JavaScript that it is compiled to.
const COMPILED: [(&str, &str); 5] = [
    (".js", ".ts"),
    (".js", ".tsx"),
    (".js", ".jsx"),
    (".mjs", ".mts"),
    (".cjs", ".cts"),
];

/// Settings as the caller writes them; everything has a default.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What the function is for; by default HTTP requests.
    pub kind: Kind,
    /// Environment variables: names of letters, digits and `_`, not starting with a digit.
    pub env: BTreeMap<String, String>,
    /// Environment variables that are secret: kept sealed, and never shown.
    #[schema(value_type = BTreeMap<String, String>)]
    pub secrets: BTreeMap<String, Plain>,
    /// Whether requests to `/invoke/…` need a key with the scope `invoke`.
    pub requires_key: bool,
    /// Limits that differ from the default of the kind.
    pub limits: LimitOverrides,
    /// The entry file; by default `main` of `package.json`, else `index.js`, `.mjs`, `.cjs`,
    /// or the same in TypeScript or JSX.
    pub entry: Option<String>,
    /// A route pattern such as `/users/:userId`, which fills `req.params`.
    pub route: Option<String>,
    /// Whether the new version becomes the active one; by default it does.
    pub activate: Option<bool>,
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::SettingsInvalid, detail)
}

impl Settings {
    /// Checks every bound; answers the limits in force.
    pub(super) fn check(&self) -> Result<Limits, Error> {
        check_env(&self.env, &self.secrets)?;
        if self.requires_key && self.kind != Kind::Request {
            return Err(invalid(format!(
                "requires_key is for request functions; this is of the kind {}, which always \
                 needs one",
                self.kind
            )));
        }
        if let Some(route) = &self.route
            && (!route.starts_with('/') || route.len() > ROUTE_BYTES_MAX)
        {
            return Err(invalid(format!(
                "route must start with / and have at most {ROUTE_BYTES_MAX} bytes"
            )));
        }
        if self.route.is_some() && self.kind != Kind::Request {
            return Err(invalid(format!(
                "route is for request functions; this is of the kind {}",
                self.kind
            )));
        }
        self.limits.resolve(self.kind).map_err(invalid)
    }
}

/// Checks the bounds of an environment, and its names.
pub(super) fn check_env(
    env: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Plain>,
) -> Result<(), Error> {
    if env.len() + secrets.len() > limits::ENV_VARS_MAX {
        let max = limits::ENV_VARS_MAX;
        return Err(invalid(format!("more than {max} environment variables")));
    }
    let bytes: usize = env.iter().map(|(k, v)| k.len() + v.len()).sum();
    let secret_bytes: usize = secrets.iter().map(|(k, v)| k.len() + v.len()).sum();
    if bytes + secret_bytes > limits::ENV_BYTES_MAX {
        let max = limits::ENV_BYTES_MAX;
        return Err(invalid(format!("more than {max} bytes of environment")));
    }
    let mut names = env.keys().chain(secrets.keys());
    if let Some(name) = names.find(|name| !is_variable_name(name)) {
        return Err(invalid(format!(
            "{name:?} is not a name for an environment variable: use letters, digits and _"
        )));
    }
    match secrets.keys().find(|name| env.contains_key(*name)) {
        Some(name) => Err(invalid(format!(
            "{name} is in env and in secrets: it can be one of them"
        ))),
        None => Ok(()),
    }
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a file of this name can be deployed on its own: JavaScript, TypeScript or JSX.
pub fn is_source_name(name: &str) -> bool {
    let is_declaration = [".d.ts", ".d.mts", ".d.cts"]
        .iter()
        .any(|end| name.ends_with(end));
    let stem = SOURCE_ENDS.iter().find_map(|end| name.strip_suffix(end));
    stem.is_some_and(|stem| !stem.is_empty()) && !is_declaration
}

/// A single source file as a folder of one.
pub(super) fn source(filename: &str, bytes: Bytes) -> Result<Vec<File>, Error> {
    let is_name = !filename.is_empty()
        && filename.len() <= limits::PATH_BYTES_MAX
        && !filename.starts_with('.')
        && filename
            .chars()
            .all(|c| !c.is_control() && !matches!(c, '/' | '\\'));
    if !is_name || !is_source_name(filename) {
        return Err(invalid(format!(
            "filename {filename:?} must be a plain name ending in one of {}",
            SOURCE_ENDS.join(", ")
        )));
    }
    if bytes.len() > limits::UPLOAD_BYTES_MAX {
        let max = limits::UPLOAD_BYTES_MAX;
        return Err(Error::new(
            Code::ArchiveTooLarge,
            format!("more than {max} bytes of source"),
        ));
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Err(Error::new(
            Code::ArchiveInvalid,
            "the source is not UTF-8 text",
        ));
    }
    Ok(vec![File {
        path: filename.to_owned(),
        bytes,
    }])
}

/// The entry file: as named, or found.
pub(super) fn entry(
    settings: &Settings,
    kind: &UploadKind,
    files: &[File],
) -> Result<String, Error> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    if let Some(entry) = &settings.entry {
        let entry = entry.trim_start_matches("./");
        return if has(entry) {
            Ok(entry.to_owned())
        } else {
            Err(not_found(format!("there is no file {entry:?} to enter at")))
        };
    }
    if let UploadKind::Source { filename } = kind {
        return Ok(filename.clone());
    }
    if let Some(main) = main_of_manifest(files) {
        let main = main.trim_start_matches("./").trim_end_matches('/');
        if let Some(found) = candidates(main).into_iter().find(|path| has(path)) {
            return Ok(found);
        }
    }
    match ENTRIES.into_iter().find(|path| has(path)) {
        Some(found) => Ok(found.to_owned()),
        None => Err(not_found(format!(
            "found none of {}; name the entry with the setting `entry`, or `main` in package.json",
            ENTRIES.join(", ")
        ))),
    }
}

/// What `main` may mean: a file, a file without its extension, a folder, or the source of a file
/// that nobody compiled.
fn candidates(main: &str) -> Vec<String> {
    let mut candidates = vec![main.to_owned()];
    let ends = [".js", ".ts", ".tsx", ".jsx"];
    candidates.extend(ends.iter().map(|end| format!("{main}{end}")));
    candidates.extend(ends.iter().map(|end| format!("{main}/index{end}")));
    for (from, to) in COMPILED {
        candidates.extend(main.strip_suffix(from).map(|stem| format!("{stem}{to}")));
    }
    candidates
}

fn not_found(detail: String) -> Error {
    Error::new(Code::EntryNotFound, detail)
}

fn main_of_manifest(files: &[File]) -> Option<String> {
    let manifest = files.iter().find(|file| file.path == "package.json")?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).ok()?;
    manifest.get("main")?.as_str().map(str::to_owned)
}
