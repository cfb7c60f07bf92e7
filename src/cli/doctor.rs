//! `ampoule doctor`: looks at the server, the key and this machine, and says what to do.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use reqwest::header::DATE;
use serde::Serialize;
use serde_json::json;

use super::client::{Client, ServerArgs, read_bounded};
use super::output::{self, Style, Terminal, printable};
use super::problem::{CliError, EXIT_FAILED};
use crate::clock;

mod machine;

/// Largest status page that is read, in bytes.
const STATUS_BYTES_MAX: usize = 1 << 20;
/// How far the clocks of two machines may be apart before a person should know, in milliseconds.
const SKEW_MS_MAX: u64 = 5_000;
/// Before this no version of this program existed: the first of January 2025, in Unix ms.
const CLOCK_MS_MIN: u64 = 1_735_689_600_000;

/// Looks for what would keep Ampoule from working well.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule doctor
  ampoule doctor --data /var/lib/ampoule --json

Looks at the server and the key, and at this machine: the data folder, the kernel and the limits that
a server would have here. Each line is ok, warn or fail, with what to do about it. Exits with 1 if
any of them is fail.")]
pub struct DoctorArgs {
    /// Folder for everything that a server keeps
    #[arg(
        long,
        env = "AMPOULE_DATA",
        hide_env_values = true,
        default_value = "./data",
        value_name = "FOLDER"
    )]
    data: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// What one look has found.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            advice: Some(advice.into()),
            ..Self::ok(check, found)
        }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            ..Self::warn(check, found, advice)
        }
    }
}

/// Carries out `ampoule doctor`, and answers what the process should exit with.
///
/// # Errors
/// Usage, for an address or a key that cannot be one.
pub(super) async fn run(args: &DoctorArgs, terminal: &mut Terminal) -> Result<u8, CliError> {
    let mut findings = server(&args.server).await?;
    findings.push(machine::data_folder(&args.data));
    findings.push(machine::kernel(Path::new("/")));
    findings.extend(machine::bounds(Path::new("/")));
    findings.push(local_clock(clock::now_ms()));
    let failed = findings.iter().any(|one| one.state == State::Fail);
    let exit = if failed { EXIT_FAILED } else { 0 };
    if args.json {
        let report = json!({ "ok": !failed, "checks": findings });
        terminal.out.line(&report.to_string())?;
        return Ok(exit);
    }
    for finding in &findings {
        show(finding, terminal)?;
    }
    let count = |state| findings.iter().filter(|one| one.state == state).count();
    let (warned, failed) = (count(State::Warn), count(State::Fail));
    let total = findings.len();
    terminal.out.line(&format!(
        "{total} checks: {failed} failed, {warned} with a warning"
    ))?;
    Ok(exit)
}

fn show(finding: &Finding, terminal: &mut Terminal) -> std::io::Result<()> {
    let (word, style) = match finding.state {
        State::Ok => ("ok  ", Style::Dim),
        State::Warn => ("warn", Style::Yellow),
        State::Fail => ("fail", Style::Red),
    };
    let word = terminal.out.paint(style, word);
    let found = output::indent_rest(&printable(&finding.found), 22);
    terminal
        .out
        .line(&format!("{word}  {:<14}  {found}", finding.check))?;
    match &finding.advice {
        Some(advice) => {
            let advice = output::indent_rest(advice, 26);
            terminal.out.line(&format!("{:22}to do: {advice}", ""))
        }
        None => Ok(()),
    }
}

/// Whether the server answers, which version it is, and whether it takes the key.
async fn server(args: &ServerArgs) -> Result<Vec<Finding>, CliError> {
    let client = Client::new(args)?;
    let request = client.control(Method::GET, "status");
    let mut response = match client.send(request).await {
        Ok(response) => response,
        Err(error) => {
            let advice =
                "start it with `ampoule serve`, or say where it is with --url or AMPOULE_URL";
            let error = error.to_string();
            let found = error.lines().next().unwrap_or_default();
            return Ok(vec![Finding::fail("server", found, advice)]);
        }
    };
    let status = response.status().as_u16();
    let date = response.headers().get(DATE);
    let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    let body = read_bounded(&mut response, STATUS_BYTES_MAX).await;
    let page: serde_json::Value =
        serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let mut findings = vec![answering(client.base_text(), status, &page)];
    findings.push(key(status, &page));
    if status == 200 {
        findings.push(engine(&page["engine"]));
    }
    if let Some(skew) = date.and_then(|date| skew_ms(&date, clock::now_ms())) {
        findings.push(clocks(skew));
    }
    Ok(findings)
}

fn answering(url: &str, status: u16, page: &serde_json::Value) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let is_ours = page["code"].is_string() || page["version"].is_string();
    match page["version"].as_str() {
        Some(version) if version == own => {
            Finding::ok("server", format!("{url} answers, version {version}"))
        }
        Some(version) => Finding::warn(
            "server",
            format!("{url} has version {version}, this command {own}"),
            "use the same version of both",
        ),
        None if is_ours => Finding::ok("server", format!("{url} answers")),
        None => Finding::fail(
            "server",
            format!("{url} answers {status}, and not as Ampoule does"),
            "say where the server is with --url or AMPOULE_URL",
        ),
    }
}

fn key(status: u16, page: &serde_json::Value) -> Finding {
    let code = page["code"].as_str().unwrap_or_default();
    match (status, code) {
        (200, _) => Finding::ok("key", "the control plane answers"),
        (401, _) => Finding::fail(
            "key",
            "the server does not take the key, or there is none",
            "set AMPOULE_KEY (or --key) to a key of this server",
        ),
        (403, "foreign_origin") => Finding::fail(
            "key",
            "the server has no key and takes this for another machine",
            "use http://127.0.0.1, or start the server with a key",
        ),
        (403, _) => Finding::warn(
            "key",
            "the key is known, and may not see the server's status",
            "nothing, if it is meant for one tenant; else use a key with the scope admin",
        ),
        _ => Finding::fail(
            "key",
            format!("the server's status cannot be read: {status} {code}"),
            "look at the server's own log",
        ),
    }
}

/// What the server says of the way in which it wipes memory.
fn engine(engine: &serde_json::Value) -> Finding {
    if engine["pagemap_scan"].as_bool() == Some(true) {
        return Finding::ok("engine", "used memory is reset by page scan");
    }
    let reason = engine["reason"].as_str().unwrap_or("it does not say why");
    Finding::warn(
        "engine",
        format!("used memory is reset whole, which is slower: {reason}"),
        "see docs/benchmarks.md for what it costs, and the checks of the kernel below",
    )
}

/// How far the time of an answer is from ours; its resolution is a second.
fn skew_ms(date: &str, now_ms: u64) -> Option<u64> {
    let theirs = chrono::DateTime::parse_from_rfc2822(date).ok()?;
    let theirs = u64::try_from(theirs.timestamp_millis()).ok()?;
    Some(now_ms.abs_diff(theirs))
}

fn clocks(skew_ms: u64) -> Finding {
    if skew_ms <= SKEW_MS_MAX {
        return Finding::ok("clock", "the server's clock agrees with this machine's");
    }
    Finding::warn(
        "clock",
        format!(
            "the server's clock is {} s from this machine's",
            skew_ms / 1000
        ),
        "let NTP set the clocks: expiries and schedules follow the server's",
    )
}

fn local_clock(now_ms: u64) -> Finding {
    if now_ms >= CLOCK_MS_MIN {
        return Finding::ok("local clock", "this machine's clock is set");
    }
    Finding::fail(
        "local clock",
        "this machine's clock is before 2025",
        "set it, best by NTP: TLS, expiries and schedules need the time",
    )
}

#[cfg(test)]
mod tests;
