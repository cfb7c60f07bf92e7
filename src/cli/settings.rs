//! What a function is deployed with besides its files, as `deploy` and `dev` take it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::deploy::read_text;
use super::problem::CliError;

/// Largest env file that is read, in bytes; what it may set is bounded by the server.
const ENV_FILE_BYTES_MAX: u64 = 1 << 20;

/// What `--limit` may name.
pub(super) const LIMIT_NAMES: [&str; 7] = [
    "fuel",
    "wall_ms",
    "memory_bytes",
    "request_body_bytes",
    "response_body_bytes",
    "subrequests",
    "log_bytes",
];

/// Settings of a function.
#[derive(Args, Debug)]
pub struct SettingsArgs {
    /// What the function is for: request, or event for one that is called with an event
    #[arg(long, value_name = "KIND", default_value = "request", value_parser = ["request", "event"],
        hide_default_value = true, hide_possible_values = true)]
    kind: String,
    /// Environment variable of the function; may be given many times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = parse_env)]
    pub(super) env: Vec<(String, String)>,
    /// File with environment variables, one NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
    /// Secret of the function, kept sealed: its value is taken from the environment variable of
    /// that name; may be given many times
    #[arg(long, value_name = "NAME")]
    pub(super) secret: Vec<String>,
    /// Requests need a key with the scope invoke
    #[arg(long)]
    pub(super) requires_key: bool,
    /// Limit of one request, see below; may be given many times
    #[arg(long, value_name = "LIMIT=NUMBER", value_parser = parse_limit)]
    pub(super) limit: Vec<(String, u64)>,
    /// File of the folder to start from [default: main of package.json, else index.js]
    #[arg(long, value_name = "FILE")]
    pub(super) entry: Option<String>,
    /// Pattern that names parts of the path for req.params, such as /users/:userId
    #[arg(long, value_name = "PATTERN")]
    pub(super) route: Option<String>,
}

impl SettingsArgs {
    /// Whether the function is called with events.
    pub(super) fn is_event(&self) -> bool {
        self.kind == "event"
    }

    /// The settings as the server takes them, without those that are not given.
    ///
    /// # Errors
    /// Usage, when the env file cannot be read.
    pub(super) fn read(&self) -> Result<Map<String, Value>, CliError> {
        let mut env = Map::new();
        if let Some(path) = &self.env_file {
            let pairs = read_env_file(path)?;
            env.extend(
                pairs
                    .into_iter()
                    .map(|(name, value)| (name, Value::from(value))),
            );
        }
        let pairs = self.env.iter().cloned();
        env.extend(pairs.map(|(name, value)| (name, Value::from(value))));
        let limits: Map<String, Value> = self
            .limit
            .iter()
            .map(|(name, number)| (name.clone(), json!(number)))
            .collect();
        let mut settings = Map::new();
        if !env.is_empty() {
            settings.insert("env".to_owned(), Value::Object(env));
        }
        let secrets = secrets_of(&self.secret)?;
        if !secrets.is_empty() {
            settings.insert("secrets".to_owned(), Value::Object(secrets));
        }
        if self.requires_key {
            settings.insert("requires_key".to_owned(), json!(true));
        }
        if !limits.is_empty() {
            settings.insert("limits".to_owned(), Value::Object(limits));
        }
        if self.is_event() {
            settings.insert("kind".to_owned(), json!(self.kind));
        }
        if let Some(entry) = &self.entry {
            settings.insert("entry".to_owned(), json!(entry));
        }
        if let Some(route) = &self.route {
            settings.insert("route".to_owned(), json!(route));
        }
        Ok(settings)
    }
}

/// Reads the file of `--env-file`.
///
/// # Errors
/// Usage, when it cannot be read.
pub(super) fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, CliError> {
    let text = read_text(path, ENV_FILE_BYTES_MAX)
        .map_err(|why| CliError::usage(format!("cannot read {}: {why}", path.display())))?;
    parse_env_file(&text).map_err(|why| CliError::usage(format!("{}, {why}", path.display())))
}

/// Secrets by name. On a command line their values could be read by others, so they are in this
/// process's environment.
///
/// # Errors
/// Usage, when one is not there.
pub(super) fn secrets_of(names: &[String]) -> Result<Map<String, Value>, CliError> {
    let secrets = names.iter().map(|name| match std::env::var(name) {
        Ok(value) => Ok((name.clone(), Value::from(value))),
        Err(_) => Err(CliError::usage(format!(
            "--secret {name} takes its value from the environment: export {name} first"
        ))),
    });
    secrets.collect()
}

/// Reads `NAME=VALUE`; the value may be empty and may hold `=`.
pub(super) fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, _)) if name.is_empty() || name.contains(char::is_whitespace) => {
            Err("the name before = must not be empty or hold spaces".to_owned())
        }
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// Reads `LIMIT=NUMBER`; `_` may group the digits. The server knows the bounds.
pub(super) fn parse_limit(text: &str) -> Result<(String, u64), String> {
    let (name, number) = text.split_once('=').ok_or("write it as LIMIT=NUMBER")?;
    if !LIMIT_NAMES.contains(&name) {
        return Err(format!(
            "there is no limit {name:?}: {}",
            LIMIT_NAMES.join(", ")
        ));
    }
    let digits = number.replace('_', "");
    let number = digits
        .parse()
        .map_err(|_| format!("{number:?} is not a whole number"))?;
    Ok((name.to_owned(), number))
}

/// Reads an env file; later lines win.
pub(super) fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .ok_or(format!("line {}: write it as NAME=VALUE", index + 1))?;
        let pair = format!("{}={}", name.trim(), unquote(value.trim()));
        pairs.push(parse_env(&pair).map_err(|why| format!("line {}: {why}", index + 1))?);
    }
    Ok(pairs)
}

/// A value without the quotes around it; in double quotes `\n`, `\"` and `\\` are escapes.
pub(super) fn unquote(value: &str) -> String {
    let inside = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    if let Some(inner) = inside('\'') {
        return inner.to_owned();
    }
    let Some(inner) = inside('"') else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(escaped @ ('n' | '"' | '\\'))) => {
                text.push(if escaped == 'n' { '\n' } else { escaped });
                chars.next();
            }
            _ => text.push(c),
        }
    }
    text
}
