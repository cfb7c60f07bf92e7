//! `ampoule deploy`: uploads a file or a folder as a new version of a function.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::client::{Client, ServerArgs, TenantArgs, Version, function_path};
use super::logs;
use super::output::{self, Style, Terminal, printable};
use super::pack;
use super::packages::Packages;
use super::problem::{CliError, Excerpt, Problem};
use super::progress;
use super::settings::SettingsArgs;
use crate::error::Code;
use crate::id::FunctionName;
use crate::limits;

/// The header that carries a deployment's settings.
const SETTINGS_HEADER: &str = "x-ampoule-settings";
/// What is escaped in the settings: with this, JSON has only characters that a header may have.
const NOT_IN_HEADER: &AsciiSet = &CONTROLS.add(b'%');
/// Uploading, loading and compiling may take this long together.
pub(super) const DEPLOY_TIMEOUT: Duration = Duration::from_secs(600);
/// Largest source file that is opened to show one of its lines, in bytes.
const EXCERPT_FILE_BYTES_MAX: u64 = 8 << 20;
/// Longest line of source that is shown, in characters.
const EXCERPT_LINE_CHARS_MAX: usize = 200;

/// Uploads a file or a folder as a new version.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule deploy hello.js
  ampoule deploy ./shop --name shop --env CURRENCY=EUR --env-file .env
  ampoule deploy ./shop --name shop --tenant acme --limit wall_ms=5000
  ampoule deploy greet.js --kind event               # then: ampoule call greet -d '{}'
  ampoule deploy ./shop --name shop --no-activate    # then: ampoule activate shop VERSION

A folder is uploaded whole, node_modules included, but for .git. Symbolic links are followed
while they stay inside the folder. Where a package.json with a lock file has no node_modules,
npm, pnpm, yarn or bun installs them first, in a copy and without running their scripts.

Limits, each for one request, and what they are when not given (an event function has 5 seconds,
5 MiB of memory, and 1 MiB for the event and for the result):
  wall_ms=30000                  time, waiting included, in milliseconds
  fuel=100000000000              CPU, in WebAssembly instructions
  memory_bytes=268435456         memory on top of what loading left
  request_body_bytes=10485760
  response_body_bytes=104857600
  subrequests=50                 calls of fetch
  log_bytes=1048576              text that is logged

In an env file, empty lines and lines that begin with # are skipped, and a value may stand in
quotes. --env wins over --env-file.")]
pub struct DeployArgs {
    /// A file of JavaScript, TypeScript or JSX, or a folder
    path: PathBuf,
    /// Name of the function [default: the name of the folder or file]
    #[arg(long, short)]
    name: Option<FunctionName>,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Only store the new version: the one that is active goes on answering
    #[arg(long)]
    no_activate: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Carries out `ampoule deploy`.
///
/// # Errors
/// Usage for what cannot be packed or sent, else what the server said.
pub(super) async fn run(args: &DeployArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(&args.path)?,
    };
    let mut settings = args.settings.read()?;
    settings.insert("activate".to_owned(), json!(!args.no_activate));
    let settings = settings_header(&Value::Object(settings))?;
    let mut packages = Packages::default();
    let packed = packages.pack(&args.path, &mut |text| {
        // Whoever reads JSON wants nothing else.
        if !args.json {
            terminal.err.line(text)?;
        }
        Ok(())
    })?;
    let subject = args.tenant.subject_of(&name);
    let path = function_path(&args.tenant, &name);
    let mut request = client
        .control(Method::PUT, &path)
        .timeout(DEPLOY_TIMEOUT)
        .header(CONTENT_TYPE, packed.content_type)
        .header(SETTINGS_HEADER, settings);
    request = progress::body(request, packed.bytes, terminal, args.json);
    if let Some(filename) = &packed.filename {
        request = request.query(&[("filename", filename)]);
    }
    let answer = client.json(request, &subject).await.map_err(|error| {
        let excerpt = error
            .as_problem()
            .and_then(|problem| excerpt(&args.path, problem));
        error.with_excerpt(excerpt)
    })?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let version: Version = client.typed(&answer)?;
    let url = client.invoke_url(&args.tenant, &name, "")?;
    show(args, &name, &version, url.as_str(), terminal)
}

/// The name that a function gets from its path.
///
/// # Errors
/// Usage, when the path does not yield a name; the text says to give one.
pub(super) fn name_of(path: &Path) -> Result<FunctionName, CliError> {
    let Some(name) = pack::default_name(path) else {
        if !path.exists() {
            return Err(CliError::usage(format!("there is no {}", path.display())));
        }
        return Err(CliError::usage("give the function a name with --name"));
    };
    name.parse().map_err(|error| {
        CliError::usage(format!(
            "{name:?} cannot be the name: {error}; give one with --name"
        ))
    })
}

fn settings_header(settings: &Value) -> Result<String, CliError> {
    let header = utf8_percent_encode(&settings.to_string(), NOT_IN_HEADER).to_string();
    // The other headers of the request are far below the rest of the section.
    let bytes_max = limits::FIELDS_BYTES_MAX - 2048;
    if header.len() > bytes_max {
        return Err(CliError::usage(format!(
            "the settings are too large: environment and limits together must stay below {}",
            output::size(u64::try_from(bytes_max).unwrap_or(u64::MAX))
        )));
    }
    Ok(header)
}

fn show(
    args: &DeployArgs,
    name: &FunctionName,
    version: &Version,
    url: &str,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let out = &mut terminal.out;
    let label = |text: &str| format!("  {:<12}", text);
    let tenant = args.tenant.flag();
    let state = if version.active {
        "is active"
    } else {
        "is stored, not active"
    };
    let title = out.paint(Style::Bold, name.as_str());
    out.line(&format!("{title} version {} {state}", version.version))?;
    let files = if version.files == 1 { "file" } else { "files" };
    let size = output::size(version.source_bytes);
    out.line(&format!(
        "{}{} {files}, {size}",
        label("source"),
        version.files
    ))?;
    for (index, text) in evaluation(version).iter().enumerate() {
        let name = if index == 0 { "evaluation" } else { "" };
        out.line(&format!("{}{text}", label(name)))?;
    }
    if version.active && args.settings.is_event() {
        out.line(&format!(
            "{}ampoule call {name} -d '{{}}'{tenant}",
            label("try")
        ))?;
    } else if version.active {
        let pattern = args.settings.route.as_deref().unwrap_or_default();
        out.line(&format!("{}{url}{}", label("url"), printable(pattern)))?;
        let example = format!("{url}{}", example_path(pattern));
        out.line(&format!(
            "{}curl {}{}",
            label("try"),
            output::shell_word(&example),
            if version.requires_key {
                " -H \"x-api-key: $KEY\""
            } else {
                ""
            }
        ))?;
    } else {
        let number = version.version;
        out.line(&format!(
            "{}ampoule activate {name} {number}{tenant}",
            label("next")
        ))?;
    }
    if !version.log.is_empty() {
        out.line("  console output while the modules were loaded:")?;
    }
    for line in &version.log {
        let text = logs::line_text(line, out);
        out.line(&format!("    {}", output::indent_rest(&text, 4)))?;
    }
    Ok(())
}

/// What the kind of evaluation means to the author, in lines.
fn evaluation(version: &Version) -> Vec<String> {
    if version.evaluation != "per_request" {
        return vec![
            "snapshot: the modules have been loaded, requests start from there".to_owned(),
        ];
    }
    let reason = version
        .evaluation_reason
        .as_deref()
        .unwrap_or("an unknown call");
    vec![
        format!("per request, because of {}", printable(reason)),
        "The modules are loaded again for every request, which makes each one slower.".to_owned(),
        "To load them only once, move that call into the handler.".to_owned(),
    ]
}

/// A path that matches a route's pattern; empty for patterns that have more than names.
fn example_path(pattern: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/:_-.".contains(&b);
    if !pattern.starts_with('/') || !pattern.bytes().all(is_plain) {
        return String::new();
    }
    let part = |part: &str| {
        if part.starts_with(':') {
            "1".to_owned()
        } else {
            part.to_owned()
        }
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The place in the user's source that `problem` is about, when its detail names one.
fn excerpt(path: &Path, problem: &Problem) -> Option<Excerpt> {
    let is_about_source = matches!(
        problem.known_code()?,
        Code::SyntaxError | Code::LoadThrew | Code::ModuleNotFound
    );
    let place = Place::find(&problem.detail).filter(|_| is_about_source)?;
    let mut file = path.to_owned();
    if path.is_dir() {
        // The server's word is not to be trusted with other files of this machine.
        let parts = Path::new(&place.file).components();
        if parts
            .clone()
            .any(|part| !matches!(part, std::path::Component::Normal(_)))
        {
            return None;
        }
        file.extend(parts);
    }
    let line = read_text(&file, EXCERPT_FILE_BYTES_MAX)
        .ok()
        .and_then(|text| {
            text.lines()
                .nth(place.line.checked_sub(1)?)
                .map(str::to_owned)
        })
        .filter(|line| line.chars().count() <= EXCERPT_LINE_CHARS_MAX);
    Some(Excerpt {
        place: format!("{}:{}:{}", file.display(), place.line, place.column),
        message: place.message,
        line,
        column: place.column,
    })
}

/// `file:line:column` in a problem's detail, and the detail without it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    message: String,
}

impl Place {
    /// Finds the first word that has the form of a place.
    fn find(detail: &str) -> Option<Self> {
        let word = |word: &str| {
            let bare = word
                .trim_start_matches('(')
                .trim_end_matches([':', ',', '.', ')']);
            let mut parts = bare.rsplitn(3, ':');
            let column = parts.next()?.parse().ok()?;
            let line = parts.next()?.parse().ok()?;
            let file = parts.next().filter(|file| !file.is_empty())?;
            let file = file.strip_prefix("/app/").unwrap_or(file).to_owned();
            Some((file, line, column))
        };
        let (found, (file, line, column)) = detail
            .split_whitespace()
            .find_map(|text| Some((text, word(text)?)))?;
        let message = detail.strip_prefix(found).unwrap_or(detail).trim();
        Some(Self {
            file,
            line,
            column,
            message: message.to_owned(),
        })
    }
}

/// Reads a text file of at most `bytes_max` bytes.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> std::io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    if file.metadata()?.len() > bytes_max {
        return Err(std::io::Error::other("it is too large"));
    }
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
