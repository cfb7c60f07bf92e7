//! `ampoule invocations` and `ampoule retention`: what ran, how it ended, how long that is kept.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, FunctionArgs, Line, ServerArgs, function_path};
use super::logs::line_text;
use super::output::{self, Sink, Style, Terminal, printable};
use super::problem::CliError;
use crate::clock;
use crate::limits::{INVOCATIONS_KEPT_MAX, INVOCATIONS_PAGE_MAX, RETENTION_MS_MAX};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Pages that are asked for at most: a search of a large log goes on page by page.
const PAGES_MAX: usize = 1000;

/// Shows a function's invocations.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule invocations shop
  ampoule invocations shop --outcome error -n 200
  ampoule invocations shop --search 'status:>=500 AND path:/api/*'
  ampoule invocations shop --search 'duration_ms:>1000 -level:debug \"timed out\"' --json
  ampoule invocations shop 01JD3W6T5V7N9QKX2M4R8ZB1CE     # one, with its log

A search compares fields (field:value, numbers also with > >= < <=; * and ? stand for anything) and
looks for bare words in target, error and log lines; AND, OR, NOT and parentheses join them.
Fields: id version kind method target path status outcome code error started_ms duration_ms fuel
memory_bytes host_calls subrequests kv_operations request_bytes response_bytes client user_agent
trace_id lines level message.")]
pub struct InvocationsArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Show this one, with its log
    #[arg(value_name = "ID")]
    invocation: Option<String>,
    /// How many of the newest to show
    #[arg(long, short = 'n', default_value_t = 50, value_parser = super::parse_count)]
    lines: usize,
    /// Only those that ended so
    #[arg(long, value_enum)]
    outcome: Option<OutcomeArg>,
    /// Only those that this search finds
    #[arg(long, short, value_name = "QUERY")]
    search: Option<String>,
    /// Print each as JSON, one document a line
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    Success,
    Error,
    Cancelled,
}

/// Shows or sets how long a function's invocations and logs are kept.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule retention shop
  ampoule retention shop --days 30 --count 100000
  ampoule retention shop --default")]
pub struct RetentionArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Keep records and log lines this many days
    #[arg(long, value_parser = parse_days, conflicts_with = "default")]
    days: Option<u64>,
    /// Keep this many records of invocations
    #[arg(long, value_parser = parse_records, conflicts_with = "default")]
    count: Option<u64>,
    /// Go back to the server's default
    #[arg(long)]
    default: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// An invocation as the control plane describes it; members that are not read are left out.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Record {
    id: String,
    version: u64,
    method: String,
    target: String,
    status: Option<u16>,
    outcome: String,
    code: Option<String>,
    started_ms: u64,
    duration_ms: f64,
    client: String,
    user_agent: String,
    trace_id: String,
    cost: Value,
    log: Vec<Line>,
}

/// Carries out `ampoule invocations`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn invocations(
    args: &InvocationsArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    match &args.invocation {
        Some(id) => show(args, &client, id, terminal).await,
        None => list(args, &client, terminal).await,
    }
}

async fn list(
    args: &InvocationsArgs,
    client: &Client,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let function = &args.function;
    let path = function_path(&function.tenant, &function.function);
    let subject = function.tenant.subject_of(&function.function);
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let left = args.lines - rows.len();
        let mut query = vec![("limit", left.min(INVOCATIONS_PAGE_MAX).to_string())];
        query.extend(
            args.outcome
                .map(|outcome| ("outcome", outcome.word().to_owned())),
        );
        query.extend(args.search.clone().map(|search| ("search", search)));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let request = client.control(Method::GET, &format!("{path}/invocations"));
        let answer = client.json(request.query(&query), &subject).await?;
        for record in answer["invocations"].as_array().into_iter().flatten() {
            if args.json {
                terminal.out.line(&record.to_string())?;
            }
            rows.push(client.typed::<Record>(record)?);
        }
        cursor = answer["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || rows.len() >= args.lines {
            break;
        }
    }
    if args.json {
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(terminal.err.line("there are no such invocations")?);
    }
    let text = table(&rows);
    Ok(terminal.out.raw(text.as_bytes())?)
}

impl OutcomeArg {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

fn table(records: &[Record]) -> String {
    let now_ms = clock::now_ms();
    let header = ["ID", "STARTED", "TOOK", "STATUS", "OUTCOME", "REQUEST"];
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(|record| {
        vec![
            printable(&record.id).into_owned(),
            output::ago(record.started_ms, now_ms),
            took(record.duration_ms),
            record
                .status
                .map_or("-".to_owned(), |status| status.to_string()),
            printable(record.code.as_deref().unwrap_or(&record.outcome)).into_owned(),
            printable(&format!("{} {}", record.method, record.target)).into_owned(),
        ]
    }));
    output::table(&rows)
}

fn took(milliseconds: f64) -> String {
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", milliseconds / 1000.0)
    }
}

async fn show(
    args: &InvocationsArgs,
    client: &Client,
    id: &str,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let function = &args.function;
    let path = function_path(&function.tenant, &function.function);
    let subject = function.tenant.subject_of(&function.function);
    let path = format!("{path}/invocations/{}", id.to_ascii_uppercase());
    let answer = client
        .json(client.control(Method::GET, &path), &subject)
        .await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let record: Record = client.typed(&answer)?;
    let text = detail(&record, &terminal.out);
    terminal.out.line(&text)?;
    for line in &record.log {
        let text = line_text(line, &terminal.out);
        terminal.out.line(&text)?;
    }
    Ok(())
}

fn detail(record: &Record, sink: &Sink) -> String {
    let of_cost = |name: &str| record.cost[name].as_u64().unwrap_or_default().to_string();
    let status = record
        .status
        .map_or("-".to_owned(), |status| status.to_string());
    let outcome = record.code.as_deref().unwrap_or(&record.outcome);
    let rows = [
        ("request", format!("{} {}", record.method, record.target)),
        ("outcome", format!("{outcome}, status {status}")),
        ("took", took(record.duration_ms)),
        ("version", record.version.to_string()),
        ("fuel", of_cost("fuel")),
        ("memory", of_cost("memory_bytes")),
        ("subrequests", of_cost("subrequests")),
        ("client", format!("{} {}", record.client, record.user_agent)),
        ("trace", record.trace_id.clone()),
    ];
    let lines = rows.iter().map(|(name, value)| {
        let name = sink.paint(Style::Dim, &format!("{name:<12}"));
        format!("{name}{}", printable(value))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Carries out `ampoule retention`.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn retention(
    args: &RetentionArgs,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let function = &args.function;
    let path = function_path(&function.tenant, &function.function);
    let path = format!("{path}/retention");
    let subject = function.tenant.subject_of(&function.function);
    let shown = client
        .json(client.control(Method::GET, &path), &subject)
        .await?;
    let is_change = args.default || args.days.is_some() || args.count.is_some();
    let answer = if is_change {
        // What is not named stays as it is set.
        let stays = |name: &str| Some(shown["set"][name].clone()).filter(|_| !args.default);
        let body = json!({
            "keep_ms": args.days.map(|days| json!(days * DAY_MS)).or(stays("keep_ms")),
            "keep_count": args.count.map(|count| json!(count)).or(stays("keep_count")),
        });
        let request = client.control(Method::PUT, &path).body(body.to_string());
        client.json(request, &subject).await?
    } else {
        shown
    };
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    #[expect(
        clippy::cast_precision_loss,
        reason = "days are shown with one decimal"
    )]
    let days = number("keep_ms") as f64 / DAY_MS as f64;
    let count = number("keep_count");
    let text = format!("records and lines are kept {days:.1} days, and {count} records at most");
    Ok(terminal.out.line(&text)?)
}

fn parse_days(text: &str) -> Result<u64, String> {
    let max = RETENTION_MS_MAX / DAY_MS;
    let days = text.parse().ok().filter(|days| (1..=max).contains(days));
    days.ok_or_else(|| format!("give a number of days from 1 to {max}"))
}

fn parse_records(text: &str) -> Result<u64, String> {
    let max = INVOCATIONS_KEPT_MAX;
    let count = text.parse().ok().filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| format!("give a number from 1 to {max}"))
}

#[cfg(test)]
mod tests;
