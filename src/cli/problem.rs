//! What went wrong, told so that the reader knows what to do next.

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::output::{self, Style, paint, printable};
use super::pack::PackError;
use crate::error::Code;

/// The server answered, with a status that says no.
pub(super) const EXIT_FAILED: u8 = 1;
/// The command line cannot be carried out as written.
pub(super) const EXIT_USAGE: u8 = 2;
/// The server cannot be reached.
pub(super) const EXIT_UNREACHABLE: u8 = 3;

/// Why a client command failed.
#[derive(Debug)]
pub struct CliError {
    kind: Kind,
    /// Report as one line of JSON.
    json: bool,
}

#[derive(Debug)]
enum Kind {
    Usage(String),
    Unreachable { url: String, cause: String },
    Problem(Box<Told>),
    Foreign { url: String, what: String },
    BrokenOff { cause: String, next: String },
    Output(io::Error),
}

/// A problem with what the command knows about it.
#[derive(Debug)]
struct Told {
    problem: Problem,
    next: Vec<String>,
    excerpt: Option<Excerpt>,
}

/// The place in the user's own source that a problem is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// `file:line:column`, as seen from where the command runs.
    pub(super) place: String,
    /// What is wrong there.
    pub(super) message: String,
    /// The line of source, when it can be read.
    pub(super) line: Option<String>,
    /// The column, from 1.
    pub(super) column: usize,
}

/// A problem body (RFC 9457) as the server writes it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Problem {
    /// `/errors/<code>` when the platform made it.
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// The stable code.
    pub(super) code: String,
    /// The fixed sentence of the code.
    #[serde(default)]
    pub(super) title: String,
    /// The HTTP status; filled in from the answer.
    #[serde(skip)]
    pub(super) status: u16,
    /// What happened this time.
    #[serde(default)]
    pub(super) detail: String,
    /// The invocation that it happened in.
    #[serde(default)]
    pub(super) invocation: Option<String>,
    /// The whole body, for programs.
    #[serde(skip)]
    pub(super) body: Value,
}

impl Problem {
    /// Reads a problem that the platform made; `None` for anything else, such as a problem body
    /// that a function wrote by itself.
    pub(super) fn read(status: u16, body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let mut problem = Self::deserialize(&value).ok()?;
        if problem.kind != format!("/errors/{}", problem.code) {
            return None;
        }
        problem.status = status;
        problem.body = value;
        Some(problem)
    }

    /// The code, when this version of the command line knows it.
    pub(super) fn known_code(&self) -> Option<Code> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == self.code)
    }
}

/// What a command was about, for the advice on what to do next.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    /// The function, when there is one.
    pub(super) function: Option<String>,
    /// ` --tenant T`, or nothing for the default tenant.
    pub(super) tenant_flag: String,
}

impl Subject {
    /// What to do about `problem`: commands and sentences, most useful first.
    fn next_steps(&self, problem: &Problem) -> Vec<String> {
        let mut next = Vec::new();
        if let (Some(invocation), Some(_)) = (&problem.invocation, &self.function) {
            next.push(self.logs(Some(invocation)));
        }
        let Some(code) = problem.known_code() else {
            return next;
        };
        if let Some(limit) = limit_of(code) {
            next.push(format!(
                "to allow more, deploy again with --limit {limit}=N"
            ));
        }
        next.extend(self.advice(code));
        next
    }

    /// The command that shows the log of this function.
    pub(super) fn logs(&self, invocation: Option<&str>) -> String {
        let function = self.function.as_deref().unwrap_or("NAME");
        let filter = invocation.map(|id| format!(" --invocation {}", printable(id)));
        let (tenant, filter) = (&self.tenant_flag, filter.unwrap_or_default());
        format!("ampoule logs {function}{tenant}{filter}")
    }

    fn advice(&self, code: Code) -> Option<String> {
        let function = self.function.as_deref().unwrap_or("NAME");
        let tenant = &self.tenant_flag;
        let text = match code {
            Code::Unauthorized => {
                "set AMPOULE_KEY to the key that the server was started with".to_owned()
            }
            Code::ForeignOrigin => "name the server by its loopback address, for example \
                 AMPOULE_URL=http://127.0.0.1:4000, or start it with a key"
                .to_owned(),
            Code::FunctionNotFound => format!(
                "`ampoule list{tenant}` shows the functions that there are; \
                 `ampoule deploy PATH --name {function}{tenant}` makes this one"
            ),
            Code::VersionNotFound => format!("ampoule versions {function}{tenant}"),
            Code::VersionActive => {
                let command = format!("ampoule activate {function} VERSION{tenant}");
                format!("make another version the active one: {command}")
            }
            Code::SettingsInvalid => "see `ampoule deploy --help`".to_owned(),
            Code::EntryNotFound => "name the entry file with --entry".to_owned(),
            Code::ModuleNotFound => "install the packages into the folder before deploying it \
                 (npm install): node_modules is uploaded with the rest"
                .to_owned(),
            Code::HandlerMissing => {
                "export one: module.exports = (req, res) => res.json({ ok: true })".to_owned()
            }
            Code::SyntaxError | Code::LoadThrew | Code::LoadExceeded => {
                "change the source and deploy again; what was active still is".to_owned()
            }
            Code::Forbidden => "use a key with that scope: whoever has an admin key makes one \
                 with `ampoule keys create`"
                .to_owned(),
            Code::TenantNotFound => "ampoule tenants list".to_owned(),
            Code::TenantExists => "change it with `ampoule tenants set`".to_owned(),
            Code::KeyNotFound => "ampoule keys list".to_owned(),
            Code::TenantBusy | Code::ServerBusy | Code::StorageBusy | Code::ShuttingDown => {
                "try again in a moment".to_owned()
            }
            Code::Internal | Code::StorageUnavailable => "look into the server's log".to_owned(),
            _ => return None,
        };
        Some(text)
    }
}

/// The deployment limit whose exhaustion `code` tells of.
fn limit_of(code: Code) -> Option<&'static str> {
    match code {
        Code::CpuExceeded => Some("fuel"),
        Code::WallExceeded => Some("wall_ms"),
        Code::MemoryExceeded => Some("memory_bytes"),
        Code::BodyTooLarge => Some("request_body_bytes"),
        Code::ResponseTooLarge => Some("response_body_bytes"),
        Code::SubrequestsExceeded => Some("subrequests"),
        Code::LogExceeded => Some("log_bytes"),
        _ => None,
    }
}

impl CliError {
    /// The command line cannot be carried out as written.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::from_kind(Kind::Usage(message.into()))
    }

    /// No answer came from `url`.
    pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        let (url, cause) = (url.to_owned(), root_cause(error));
        Self::from_kind(Kind::Unreachable { url, cause })
    }

    /// The server answered with a problem.
    pub(super) fn problem(problem: Problem, subject: &Subject) -> Self {
        let next = subject.next_steps(&problem);
        Self::from_kind(Kind::Problem(Box::new(Told {
            problem,
            next,
            excerpt: None,
        })))
    }

    /// Whatever answers at `url`, it is not Ampoule; `what` says how that shows.
    pub(super) fn foreign(url: &str, what: impl Into<String>) -> Self {
        let (url, what) = (url.to_owned(), what.into());
        Self::from_kind(Kind::Foreign { url, what })
    }

    /// The answer ended before its end.
    pub(super) fn broken_off(error: &reqwest::Error, subject: &Subject) -> Self {
        let (cause, next) = (root_cause(error), subject.logs(None));
        Self::from_kind(Kind::BrokenOff { cause, next })
    }

    /// The problem that the server answered with, if that is what this is.
    pub(super) fn as_problem(&self) -> Option<&Problem> {
        match &self.kind {
            Kind::Problem(told) => Some(&told.problem),
            _ => None,
        }
    }

    /// Whether no answer came at all, so that asking again may help.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable { .. })
    }

    /// Shows where in the user's source the problem is.
    pub(super) fn with_excerpt(mut self, excerpt: Option<Excerpt>) -> Self {
        if let Kind::Problem(told) = &mut self.kind {
            told.excerpt = excerpt;
        }
        self
    }

    /// Reports for programs when `json`.
    pub(super) fn with_json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    fn from_kind(kind: Kind) -> Self {
        Self { kind, json: false }
    }

    /// The number that the process exits with: 1 when the server said no, 2 when the command
    /// line cannot be carried out, 3 when the server cannot be reached. 0 when whoever read the
    /// output has gone, which is how `ampoule logs N | head` ends.
    pub fn exit_number(&self) -> u8 {
        match &self.kind {
            Kind::Usage(_) => EXIT_USAGE,
            Kind::Unreachable { .. } => EXIT_UNREACHABLE,
            Kind::Problem(_) | Kind::Foreign { .. } | Kind::BrokenOff { .. } => EXIT_FAILED,
            Kind::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Kind::Output(_) => EXIT_FAILED,
        }
    }

    /// Tells the user on stderr and answers what the process should exit with.
    pub fn report(&self) -> ExitCode {
        let mut terminal = output::Terminal::of_process();
        // Nobody can be told when stderr is closed; the exit code remains.
        let _ = self.report_to(&mut terminal.err);
        ExitCode::from(self.exit_number())
    }

    /// Writes the report to `sink`; nothing when there is nobody to read it.
    pub(super) fn report_to(&self, sink: &mut output::Sink) -> io::Result<()> {
        if self.exit_number() == 0 {
            return Ok(());
        }
        if self.json {
            return sink.line(&self.as_json().to_string());
        }
        let label = sink.paint(Style::Red, "error:");
        let is_coloured = label.starts_with('\x1b');
        sink.line(&format!("{label} {}", self.text(is_coloured)))
    }

    fn as_json(&self) -> Value {
        match &self.kind {
            Kind::Problem(told) => told.problem.body.clone(),
            Kind::Usage(message) => json!({ "code": "usage", "message": message }),
            Kind::Unreachable { url, cause } => {
                json!({ "code": "unreachable", "message": cause, "url": url })
            }
            Kind::Foreign { url, what } => {
                json!({ "code": "unexpected_answer", "message": what, "url": url })
            }
            Kind::BrokenOff { cause, .. } => json!({ "code": "broken_off", "message": cause }),
            Kind::Output(error) => json!({ "code": "output", "message": error.to_string() }),
        }
    }

    fn text(&self, colour: bool) -> String {
        match &self.kind {
            Kind::Usage(message) => printable(message).into_owned(),
            Kind::Unreachable { url, cause } => format!(
                "no answer from {url} ({cause})\n  next  is the server running? Start it with \
                 `ampoule serve`, or set AMPOULE_URL to where it is"
            ),
            Kind::Problem(told) => told.text(colour),
            Kind::Foreign { url, what } => format!(
                "{url} does not answer like an Ampoule server: {}\n  next  set AMPOULE_URL to \
                 where the server is",
                printable(what)
            ),
            Kind::BrokenOff { cause, next } => {
                format!("the answer broke off before its end ({cause})\n  next  {next}")
            }
            Kind::Output(error) => format!("cannot write the output: {error}"),
        }
    }
}

impl Told {
    fn text(&self, colour: bool) -> String {
        let problem = &self.problem;
        let code = paint(colour, Style::Bold, &printable(&problem.code));
        let mut text = format!("{code} ({}): {}", problem.status, printable(&problem.title));
        if let Some(excerpt) = &self.excerpt {
            text.push('\n');
            text.push_str(&excerpt.text());
        }
        let mut rows = Vec::new();
        if self.excerpt.is_none() && problem.detail != problem.title {
            rows.push(("detail", printable(&problem.detail).into_owned()));
        }
        if let Some(invocation) = &problem.invocation {
            rows.push(("invocation", printable(invocation).into_owned()));
        }
        rows.extend(self.next.iter().map(|next| ("next", next.clone())));
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            let padding = " ".repeat(width - name.len());
            let value = output::indent_rest(&value, width + 4);
            let name = paint(colour, Style::Dim, name);
            text.push_str(&format!("\n  {name}{padding}  {value}"));
        }
        text
    }
}

impl Excerpt {
    fn text(&self) -> String {
        let (place, message) = (printable(&self.place), printable(&self.message));
        let mut text = format!("  {place}: {}", output::indent_rest(&message, 2));
        if let Some(line) = &self.line {
            // Tabs stay tabs under the line, so that the mark stands where the eye looks.
            let before = line.chars().take(self.column.saturating_sub(1));
            let margin: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            text.push_str(&format!("\n    {}\n    {margin}^", printable(line)));
        }
        text
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(false))
    }
}

impl std::error::Error for CliError {}

impl From<PackError> for CliError {
    fn from(error: PackError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<io::Error> for CliError {
    /// Only writing to the terminal fails this way; other input and output has its own texts.
    fn from(error: io::Error) -> Self {
        Self::from_kind(Kind::Output(error))
    }
}

/// The innermost cause: the others only say that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
