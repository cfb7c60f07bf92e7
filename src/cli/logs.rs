//! `ampoule logs`: shows a function's newest log lines and, with `-f`, those that follow.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::client::{ANSWER_TIMEOUT, Client, FunctionArgs, Line, ServerArgs, function_path};
use super::output::{self, Sink, Style, Terminal, printable};
use super::problem::{CliError, Subject};
use super::tail::{Event, Tail};
use crate::limits;

/// Length of a whole invocation id.
const INVOCATION_CHARS: usize = 26;
/// How much of the end of an invocation id is shown; ids of one moment differ there.
const INVOCATION_CHARS_SHOWN: usize = 8;
/// Lines in one answer while following.
const FOLLOW_LINES: usize = 100;
/// How long the server may wait for a line before it answers that there is none, in milliseconds.
const FOLLOW_WAIT_MS: u64 = 10_000;
/// How long to wait before asking a server again that did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often to ask again before giving up; together with the delay, one minute.
const RETRIES_MAX: u32 = 120;

/// Shows a function's log.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule logs hello
  ampoule logs hello -f
  ampoule logs hello --invocation 01JD3W6T5V7N9QKX2M4R8ZB1CE
  ampoule logs hello --search 'level:error OR \"timed out\"'
  ampoule logs hello -n 1000 --json | jq -r .message

A line has the time in UTC, the level, the end of the invocation's id, and the message.
--invocation takes a whole id or its end; --json shows whole ids, one document a line. The newest
10000 lines of a function are kept.")]
pub struct LogsArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Go on showing lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest lines to show first
    #[arg(long, short = 'n', default_value_t = 100, value_parser = parse_lines)]
    lines: usize,
    /// Only lines of this invocation
    #[arg(long, value_name = "ID")]
    invocation: Option<String>,
    /// Only lines that this search finds, such as 'level:error OR "timed out"'
    #[arg(long, short, value_name = "QUERY")]
    search: Option<String>,
    /// Print each line as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Carries out `ampoule logs`; with `-f` it ends on Ctrl-C.
///
/// # Errors
/// That no answer came, or what the server said.
pub(super) async fn run(args: &LogsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let log = Log {
        args,
        client: &client,
        subject: args.function.tenant.subject_of(&args.function.function),
    };
    if !args.follow {
        return log.newest(terminal).await.map(|_| ());
    }
    tokio::select! {
        ended = log.follow(terminal) => ended,
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// One answer of the log.
#[derive(Deserialize)]
struct Page {
    /// Kept as they came, to be printed as they came.
    #[serde(default)]
    lines: Vec<Value>,
    #[serde(default)]
    cursor: Option<String>,
}

/// The log of one function on one server.
struct Log<'a> {
    args: &'a LogsArgs,
    client: &'a Client,
    subject: Subject,
}

impl Log<'_> {
    /// Prints the newest lines and answers the cursor behind them.
    async fn newest(&self, terminal: &mut Terminal) -> Result<Option<String>, CliError> {
        let wanted = self.args.lines;
        // The server filters by whole ids only: for a part, look at more lines than are wanted.
        let asked = match self.invocation_end() {
            Some(_) => wanted.max(limits::LOG_LINES_KEPT),
            None => wanted.max(1),
        };
        let page = self.page(asked, None, 0).await?;
        let lines: Vec<&Value> = page
            .lines
            .iter()
            .filter(|line| self.is_wanted(line))
            .collect();
        for line in lines.iter().skip(lines.len().saturating_sub(wanted)) {
            self.print(line, terminal)?;
        }
        if page.lines.is_empty() && !self.args.follow && !self.args.json {
            terminal.err.line("there are no lines yet")?;
        }
        Ok(page.cursor)
    }

    async fn follow(&self, terminal: &mut Terminal) -> Result<(), CliError> {
        let mut cursor = self.newest(terminal).await?;
        let mut failures = 0;
        let mut can_stream = true;
        loop {
            if can_stream {
                can_stream = self.stream(&mut cursor, &mut failures, terminal).await?;
                continue;
            }
            let page = match self
                .page(FOLLOW_LINES, cursor.as_deref(), FOLLOW_WAIT_MS)
                .await
            {
                Ok(page) => page,
                Err(error) => {
                    wait_again(error, &mut failures, terminal).await?;
                    continue;
                }
            };
            failures = 0;
            for line in page.lines.iter().filter(|line| self.is_wanted(line)) {
                self.print(line, terminal)?;
            }
            cursor = page.cursor.or(cursor);
        }
    }

    /// Follows a live tail to its end. Answers whether the next thing to do is to open another
    /// one, and not to ask again and again because the server has none to give.
    async fn stream(
        &self,
        cursor: &mut Option<String>,
        failures: &mut u32,
        terminal: &mut Terminal,
    ) -> Result<bool, CliError> {
        let function = &self.args.function;
        let path = function_path(&function.tenant, &function.function);
        let mut query = self.filters();
        query.extend(cursor.clone().map(|cursor| ("after", cursor)));
        let request = self
            .client
            .control(Method::GET, &format!("{path}/logs/stream"))
            .query(&query);
        let mut tail = match Tail::open(self.client, request, &self.subject).await {
            Ok(Some(tail)) => tail,
            Ok(None) => return Ok(false),
            Err(error) => {
                wait_again(error, failures, terminal).await?;
                return Ok(true);
            }
        };
        *failures = 0;
        while let Some(event) = tail.next().await {
            match event {
                Event::Line(id, line) => {
                    if self.is_wanted(&line) {
                        self.print(&line, terminal)?;
                    }
                    *cursor = Some(id);
                }
                Event::End(reason) => {
                    if reason == "too_slow" {
                        let text = "lines were deleted before they could be shown";
                        terminal.err.line(text)?;
                    }
                    break;
                }
            }
        }
        // Not in a hurry: the server may be stopping.
        tokio::time::sleep(RETRY_DELAY).await;
        Ok(true)
    }

    /// What the server is asked to leave out.
    fn filters(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        if let (Some(id), None) = (&self.args.invocation, self.invocation_end()) {
            query.push(("invocation", id.clone()));
        }
        query.extend(self.args.search.clone().map(|search| ("search", search)));
        query
    }

    async fn page(
        &self,
        limit: usize,
        after: Option<&str>,
        wait_ms: u64,
    ) -> Result<Page, CliError> {
        let function = &self.args.function;
        let path = format!(
            "{}/logs",
            function_path(&function.tenant, &function.function)
        );
        let mut query = vec![("limit", limit.to_string())];
        if wait_ms > 0 {
            query.push(("wait_ms", wait_ms.to_string()));
        }
        if let Some(after) = after {
            query.push(("after", after.to_owned()));
        }
        query.extend(self.filters());
        let timeout = ANSWER_TIMEOUT + Duration::from_millis(wait_ms);
        let request = self
            .client
            .control(Method::GET, &path)
            .query(&query)
            .timeout(timeout);
        let answer = self.client.json(request, &self.subject).await?;
        self.client.typed(&answer)
    }

    fn print(&self, value: &Value, terminal: &mut Terminal) -> Result<(), CliError> {
        if self.args.json {
            return Ok(terminal.out.line(&value.to_string())?);
        }
        let line: Line = self.client.typed(value)?;
        let text = line_text(&line, &terminal.out);
        Ok(terminal.out.line(&text)?)
    }

    /// What `--invocation` gives when it is only the end of an id.
    fn invocation_end(&self) -> Option<&str> {
        let id = self.args.invocation.as_deref()?;
        (id.len() < INVOCATION_CHARS).then_some(id)
    }

    fn is_wanted(&self, line: &Value) -> bool {
        let Some(end) = self.invocation_end() else {
            return true;
        };
        let id = line["invocation"].as_str().unwrap_or_default();
        id.to_ascii_uppercase().ends_with(&end.to_ascii_uppercase())
    }
}

/// Waits a moment after an error that may pass, if that did not happen too often.
async fn wait_again(
    error: CliError,
    failures: &mut u32,
    terminal: &mut Terminal,
) -> Result<(), CliError> {
    if !error.is_unreachable() || *failures >= RETRIES_MAX {
        return Err(error);
    }
    if *failures == 0 {
        terminal
            .err
            .line("the server does not answer, trying again")?;
    }
    *failures += 1;
    tokio::time::sleep(RETRY_DELAY).await;
    Ok(())
}

/// One line of a log for people; the lines of a long message stand below each other.
pub(super) fn line_text(line: &Line, sink: &Sink) -> String {
    let time = output::time_of_day(line.timestamp_ms);
    let level = printable(&line.level).into_owned();
    let mut columns = vec![
        (time, Some(Style::Dim)),
        (format!("{level:<5}"), level_style(&line.level)),
    ];
    if let Some(id) = &line.invocation {
        let shown = id.chars().count().saturating_sub(INVOCATION_CHARS_SHOWN);
        let end: String = id.chars().skip(shown).collect();
        columns.push((printable(&end).into_owned(), Some(Style::Dim)));
    }
    let width = columns
        .iter()
        .map(|(text, _)| text.chars().count() + 2)
        .sum();
    let mut text = String::new();
    for (column, style) in &columns {
        match style {
            Some(style) => text.push_str(&sink.paint(*style, column)),
            None => text.push_str(column),
        }
        text.push_str("  ");
    }
    text.push_str(&output::indent_rest(&printable(&line.message), width));
    text
}

fn level_style(level: &str) -> Option<Style> {
    match level {
        "error" => Some(Style::Red),
        "warn" => Some(Style::Yellow),
        "debug" | "trace" => Some(Style::Dim),
        _ => None,
    }
}

fn parse_lines(text: &str) -> Result<usize, String> {
    let max = limits::LOG_LINES_KEPT;
    let lines = text.parse().ok().filter(|lines| *lines <= max);
    lines.ok_or_else(|| format!("give a number from 0 to {max}, which is how many lines are kept"))
}

#[cfg(test)]
mod tests;
