//! `ampoule call`: calls an event function and prints its result.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, FunctionArgs, Line, ServerArgs, function_path};
use super::invoke::read_body;
use super::logs;
use super::output::{Style, Terminal};
use super::problem::CliError;
use crate::limits::Limits;

/// What the server needs besides the function's own time.
const SPARE: Duration = Duration::from_secs(60);

/// Calls an event function.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule call greet --data '{\"name\": \"Ada\"}'
  ampoule call greet -d @event.json --tenant acme
  jq .payload hook.json | ampoule call greet -d @-
  ampoule call greet --version 3      # active or not; this needs the key for deploying

The result goes to stdout as JSON, what the function logged to stderr. --json prints both, with the
time that it took and what it cost. Requests, as opposed to events, are sent with `ampoule invoke`.")]
pub struct CallArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Event as JSON: the text itself, @FILE or @- for stdin [default: {}]
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    data: Option<String>,
    /// Number of the version to call, as `ampoule versions` shows it [default: the active one]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "NUMBER")]
    version: Option<u64>,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// The answer as it is shown; the result is printed as it came.
#[derive(Deserialize)]
struct Answer {
    result: Value,
    logs: Vec<Line>,
    duration_ms: f64,
    cold: bool,
}

/// Carries out `ampoule call`.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &CallArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let event = match &args.data {
        Some(data) => read_body(data)?,
        None => b"{}".to_vec(),
    };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
        return Err(CliError::usage(format!("the event is not JSON: {error}")));
    }
    let version = args.version.map(|version| format!("/versions/{version}"));
    let function_path = function_path(tenant, function);
    let path = format!("{function_path}{}/invoke", version.unwrap_or_default());
    let timeout = Duration::from_millis(Limits::MAX.wall_ms) + SPARE;
    let request = client
        .control(Method::POST, &path)
        .timeout(timeout)
        .header(CONTENT_TYPE, "application/json")
        .body(event);
    let answer = client.json(request, &tenant.subject_of(function)).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let answer: Answer = client.typed(&answer)?;
    for line in &answer.logs {
        let text = logs::line_text(line, &terminal.err);
        terminal.err.line(&text)?;
    }
    terminal.out.line(&answer.result.to_string())?;
    if terminal.err.is_terminal() {
        let start = if answer.cold { ", cold" } else { "" };
        let note = format!("{:.1} ms{start}", answer.duration_ms);
        let note = terminal.err.paint(Style::Dim, &note);
        terminal.err.line(&note)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
