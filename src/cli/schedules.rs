//! `ampoule schedules …`: what runs without a request, when, and how it went.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Client, FunctionArgs, ServerArgs, TenantArgs, function_path};
use super::output::{self, Terminal, printable};
use super::problem::CliError;
use crate::clock;
use crate::id::ScheduleName;

/// Looks after the schedules of a function.
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  ampoule schedules set report nightly --cron '30 2 * * *' --time-zone Europe/Berlin
  ampoule schedules list report
  ampoule schedules runs report nightly
  ampoule schedules run report nightly              # now
  ampoule schedules preview '0 9 * * MON-FRI' --time-zone America/New_York
  ampoule schedules delete report nightly --yes

A run is a POST request to the function with the header x-scheduled-execution: true."
)]
pub struct SchedulesArgs {
    #[command(subcommand)]
    command: SchedulesCommand,
}

#[derive(Subcommand)]
enum SchedulesCommand {
    /// List the schedules of a function
    List(ListArgs),
    /// Make a schedule, or put another one in its place
    Set(SetArgs),
    /// Delete a schedule with its history
    Delete(DeleteArgs),
    /// Show the last runs of a schedule
    Runs(RunsArgs),
    /// Run a schedule now
    Run(RunArgs),
    /// Show the next times of a pattern
    Preview(PreviewArgs),
}

/// A schedule of a function.
#[derive(Args)]
struct ScheduleArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Name of the schedule
    #[arg(value_name = "SCHEDULE")]
    schedule: ScheduleName,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    function: FunctionArgs,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule schedules set report nightly --cron '30 2 * * *' --time-zone Europe/Berlin
  ampoule schedules set feed poll --cron '*/15 * * * * *' --path '/poll?all=1' --retries 3
  ampoule schedules set report nightly --cron '30 2 * * *' --payload '{\"full\":true}' --missed run-once

A pattern has 5 fields (minute hour day month weekday) or 6 (second first). The whole schedule is
stored as it is given here: what is not named gets its default, also when it had another value.")]
struct SetArgs {
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// When it runs
    #[arg(long, value_name = "PATTERN")]
    cron: String,
    /// Time zone that the pattern is meant in, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Path and query of the request
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// Body of the request: JSON
    #[arg(long, value_name = "JSON", conflicts_with = "payload_file")]
    payload: Option<String>,
    /// The same, from a file
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
    /// What becomes of ticks for which the server was not there in time
    #[arg(long, value_enum, default_value_t = MissedArg::Skip, value_name = "POLICY")]
    missed: MissedArg,
    /// With --missed run-once: how late it may be, in milliseconds [default: one day]
    #[arg(long, value_name = "MS")]
    late_ms_max: Option<u64>,
    /// What becomes of a tick while an earlier run is not over
    #[arg(long, value_enum, default_value_t = OverlapArg::Skip, value_name = "POLICY")]
    overlap: OverlapArg,
    /// How often a run that failed is tried again
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    retries: u32,
    /// Pause before the first of them, in milliseconds; each further one is twice as long
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    retry_ms: u64,
    /// Longest pause, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    retry_ms_max: u64,
    /// Store it without running it
    #[arg(long)]
    disabled: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum MissedArg {
    /// They are passed over
    Skip,
    /// The latest of them runs
    RunOnce,
}

#[derive(Clone, Copy, ValueEnum)]
enum OverlapArg {
    /// It is passed over
    Skip,
    /// It runs beside the earlier one
    Allow,
    /// One tick waits
    QueueOne,
}

#[derive(Args)]
struct DeleteArgs {
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// Do delete it
    #[arg(long, short)]
    yes: bool,
}

#[derive(Args)]
struct RunsArgs {
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// Most runs to show
    #[arg(
        long,
        short = 'n',
        value_name = "NUMBER",
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    limit: u64,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    schedule: ScheduleArgs,
}

#[derive(Args)]
struct PreviewArgs {
    /// The pattern
    #[arg(value_name = "PATTERN")]
    cron: String,
    #[command(flatten)]
    tenant: TenantArgs,
    /// Time zone that the pattern is meant in, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Times to show
    #[arg(
        long,
        short = 'n',
        value_name = "NUMBER",
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    count: u64,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A schedule as the control plane describes it; members that are not read here are left out.
#[derive(Deserialize)]
struct Schedule {
    name: String,
    cron: String,
    time_zone: String,
    enabled: bool,
    #[serde(default)]
    next_ms: Option<u64>,
    #[serde(default)]
    last_run: Option<Run>,
}

/// A run, likewise.
#[derive(Deserialize)]
struct Run {
    number: u64,
    trigger: String,
    due_ms: u64,
    state: String,
    attempt: u32,
    #[serde(default)]
    missed: u64,
    #[serde(default)]
    started_ms: Option<u64>,
    #[serde(default)]
    ended_ms: Option<u64>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    invocation: Option<String>,
}

impl SchedulesArgs {
    /// Whether results and errors are to be JSON.
    pub(super) fn json(&self) -> bool {
        match &self.command {
            SchedulesCommand::List(args) => args.json,
            SchedulesCommand::Set(args) => args.schedule.json,
            SchedulesCommand::Delete(args) => args.schedule.json,
            SchedulesCommand::Runs(args) => args.schedule.json,
            SchedulesCommand::Run(args) => args.schedule.json,
            SchedulesCommand::Preview(args) => args.json,
        }
    }
}

impl ScheduleArgs {
    fn path(&self) -> String {
        let FunctionArgs { function, tenant } = &self.function;
        let path = function_path(tenant, function);
        format!("{path}/schedules/{}", self.schedule)
    }

    /// Sends a request about this schedule; `rest` follows its path.
    async fn ask(
        &self,
        method: Method,
        rest: &str,
        change: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Value, CliError> {
        let client = Client::new(&self.server)?;
        let request = client.control(method, &format!("{}{rest}", self.path()));
        let FunctionArgs { function, tenant } = &self.function;
        client
            .json(change(request), &tenant.subject_of(function))
            .await
    }
}

/// Carries out `ampoule schedules …`.
///
/// # Errors
/// Usage, that no answer came, or what the server said.
pub(super) async fn run(args: &SchedulesArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    match &args.command {
        SchedulesCommand::List(args) => list(args, terminal).await,
        SchedulesCommand::Set(args) => set(args, terminal).await,
        SchedulesCommand::Delete(args) => delete(args, terminal).await,
        SchedulesCommand::Runs(args) => runs(args, terminal).await,
        SchedulesCommand::Run(args) => run_now(args, terminal).await,
        SchedulesCommand::Preview(args) => preview(args, terminal).await,
    }
}

async fn list(args: &ListArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let FunctionArgs { function, tenant } = &args.function;
    let path = format!("{}/schedules", function_path(tenant, function));
    let request = client.control(Method::GET, &path);
    let answer = client.json(request, &tenant.subject_of(function)).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let schedules: Vec<Schedule> = client.typed(&answer["schedules"])?;
    if schedules.is_empty() {
        let flag = tenant.flag();
        let text = format!(
            "{function} has no schedules\n  next  ampoule schedules set {function} SCHEDULE \
             --cron '0 * * * *'{flag}"
        );
        return Ok(terminal.err.line(&text)?);
    }
    let now_ms = clock::now_ms();
    let titles = ["SCHEDULE", "CRON", "TIME ZONE", "NEXT", "LAST RUN"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for schedule in schedules {
        let next = match schedule.next_ms {
            Some(next_ms) => until(next_ms, now_ms),
            None if schedule.enabled => "never".to_owned(),
            None => "disabled".to_owned(),
        };
        let last = schedule.last_run.map_or_else(String::new, |run| {
            format!("{} {}", outcome(&run), output::ago(run.due_ms, now_ms))
        });
        let shown = [&schedule.name, &schedule.cron, &schedule.time_zone];
        let mut row = shown.map(|text| printable(text).into_owned()).to_vec();
        row.extend([next, last]);
        rows.push(row);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

async fn set(args: &SetArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let body = body_of(args)?.to_string();
    let answer = args
        .schedule
        .ask(Method::PUT, "", |it| it.body(body))
        .await?;
    if args.schedule.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let (function, schedule) = (&args.schedule.function.function, &args.schedule.schedule);
    let next = match answer["next_ms"].as_u64() {
        Some(next_ms) => format!("next run {}", until(next_ms, clock::now_ms())),
        None => "it is disabled".to_owned(),
    };
    Ok(terminal
        .out
        .line(&format!("stored {schedule} of {function}: {next}"))?)
}

fn body_of(args: &SetArgs) -> Result<Value, CliError> {
    let mut body = Map::new();
    body.insert("cron".to_owned(), json!(args.cron));
    body.insert("time_zone".to_owned(), json!(args.time_zone));
    body.insert("enabled".to_owned(), json!(!args.disabled));
    body.insert("path".to_owned(), json!(args.path));
    let missed = match (args.missed, args.late_ms_max) {
        (MissedArg::Skip, None) => json!({ "policy": "skip" }),
        (MissedArg::Skip, Some(_)) => {
            return Err(CliError::usage("--late-ms-max goes with --missed run-once"));
        }
        (MissedArg::RunOnce, None) => json!({ "policy": "run_once" }),
        (MissedArg::RunOnce, Some(ms)) => json!({ "policy": "run_once", "late_ms_max": ms }),
    };
    body.insert("missed".to_owned(), missed);
    let overlap = match args.overlap {
        OverlapArg::Skip => "skip",
        OverlapArg::Allow => "allow",
        OverlapArg::QueueOne => "queue_one",
    };
    body.insert("overlap".to_owned(), json!(overlap));
    let retries = json!({
        "max": args.retries, "initial_ms": args.retry_ms, "max_ms": args.retry_ms_max,
    });
    body.insert("retries".to_owned(), retries);
    if let Some(payload) = payload_of(args)? {
        body.insert("payload".to_owned(), payload);
    }
    Ok(Value::Object(body))
}

fn payload_of(args: &SetArgs) -> Result<Option<Value>, CliError> {
    let (text, from) = match (&args.payload, &args.payload_file) {
        (Some(text), _) => (text.clone(), "--payload".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                CliError::usage(format!("cannot read {}: {error}", path.display()))
            })?;
            (text, path.display().to_string())
        }
        (None, None) => return Ok(None),
    };
    let value = serde_json::from_str(&text)
        .map_err(|error| CliError::usage(format!("{from} is not JSON: {error}")))?;
    Ok(Some(value))
}

async fn delete(args: &DeleteArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let (function, schedule) = (&args.schedule.function.function, &args.schedule.schedule);
    let what = format!("{schedule} of {function} with its history");
    if !args.yes {
        let text = format!("this would delete {what} for good: add --yes to do it");
        return Err(CliError::usage(text));
    }
    args.schedule.ask(Method::DELETE, "", |it| it).await?;
    let text = if args.schedule.json {
        let tenant = &args.schedule.function.tenant.tenant;
        json!({ "deleted": true, "tenant": tenant, "function": function, "schedule": schedule })
            .to_string()
    } else {
        format!("deleted {what}")
    };
    Ok(terminal.out.line(&text)?)
}

async fn runs(args: &RunsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let limit = [("limit", args.limit)];
    let answer = args
        .schedule
        .ask(Method::GET, "/runs", |it| it.query(&limit))
        .await?;
    if args.schedule.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let client = Client::new(&args.schedule.server)?;
    let runs: Vec<Run> = client.typed(&answer["runs"])?;
    if runs.is_empty() {
        let text = format!("{} has not run yet", args.schedule.schedule);
        return Ok(terminal.err.line(&text)?);
    }
    let now_ms = clock::now_ms();
    let titles = [
        "RUN",
        "DUE",
        "STATE",
        "ATTEMPTS",
        "TOOK",
        "MISSED",
        "INVOCATION",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for run in runs {
        let took = run.started_ms.zip(run.ended_ms);
        let took = took.map(|(from, to)| format!("{} ms", to.saturating_sub(from)));
        let by_hand = if run.trigger == "manual" {
            " by hand"
        } else {
            ""
        };
        let missed = if run.missed > 0 {
            run.missed.to_string()
        } else {
            String::new()
        };
        rows.push(vec![
            run.number.to_string(),
            format!("{}{by_hand}", output::ago(run.due_ms, now_ms)),
            outcome(&run),
            run.attempt.to_string(),
            took.unwrap_or_default(),
            missed,
            printable(run.invocation.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    Ok(terminal.out.line(&output::table(&rows))?)
}

async fn run_now(args: &RunArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let answer = args.schedule.ask(Method::POST, "/run", |it| it).await?;
    if args.schedule.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let FunctionArgs { function, tenant } = &args.schedule.function;
    let (schedule, flag) = (&args.schedule.schedule, tenant.flag());
    let number = answer["number"].as_u64().unwrap_or_default();
    let next = format!("  next  ampoule schedules runs {function} {schedule}{flag}");
    terminal
        .out
        .line(&format!("run {number} of {schedule} has begun"))?;
    Ok(terminal.err.line(&next)?)
}

async fn preview(args: &PreviewArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let client = Client::new(&args.server)?;
    let body = json!({ "cron": args.cron, "time_zone": args.time_zone, "count": args.count });
    let path = format!("tenants/{}/schedules/preview", args.tenant.tenant);
    let request = client.control(Method::POST, &path).body(body.to_string());
    let answer = client.json(request, &args.tenant.subject()).await?;
    if args.json {
        return Ok(terminal.out.line(&answer.to_string())?);
    }
    let now_ms = clock::now_ms();
    let times = answer["times"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = times.iter().map(|time| {
        let local = printable(time["local"].as_str().unwrap_or_default()).into_owned();
        vec![
            local,
            until(time["time_ms"].as_u64().unwrap_or_default(), now_ms),
        ]
    });
    let rows: Vec<_> = rows.collect();
    Ok(terminal.out.line(&output::table(&rows))?)
}

/// The state of a run, with what explains it.
fn outcome(run: &Run) -> String {
    let why = match (&run.code, run.status) {
        (Some(code), _) => format!(" {code}"),
        (None, Some(status)) => format!(" {status}"),
        (None, None) => String::new(),
    };
    printable(&format!("{}{why}", run.state)).into_owned()
}

/// How far ahead `then_ms` is at `now_ms` (both Unix time), for people.
fn until(then_ms: u64, now_ms: u64) -> String {
    let seconds = then_ms.saturating_sub(now_ms) / 1000;
    let (count, unit) = match seconds {
        0..=119 => (seconds, "seconds"),
        120..=7_199 => (seconds / 60, "minutes"),
        7_200..=172_799 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("in {count} {unit}")
}

#[cfg(test)]
mod tests;
