//! Scale: ten thousand functions, a thousand invocations at once, two hundred tenants.
//!
//! Every part runs in a process of its own, so that its memory is nobody else's: this program
//! calls itself with [`Part`], and takes one line of JSON from its standard output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ampoule::app::App;
use ampoule::clock;
use ampoule::deploy::Settings;
use ampoule::dispatch::Concurrency;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bars::{Bar, Findings, Measure, micros, quantile, rounded};
use super::cases;
use super::machine::{PeakShare, raise_open_files, resident_bytes};
use super::peer;
use super::platform::{Ask, CONCURRENCY, Name, call_all, folder, open, upload};

const MIB: f64 = 1024.0 * 1024.0;
/// Deployments in progress at once.
const UPLOADS: usize = 8;
/// Tenants whose invocations are in flight: each may have 128 connections to other servers.
const CALLERS: usize = 10;
/// Tenants that functions belong to.
const OWNERS: usize = 100;
/// Time between two requests to the tenants that behave, and how many there are each time.
const PACE: Duration = Duration::from_millis(4);
/// Longest that a request to one of them waits for its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the hostile tenant does; it has as many of each in flight as it may.
const HOSTILE: [(&str, &str); 2] = [
    ("loops", "module.exports = () => { for (;;); };"),
    ("floods", "module.exports = (req, res) => res.end();"),
];

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    functions: usize,
    /// Of these, how many are run.
    run: usize,
    in_flight: usize,
    tenants: usize,
    /// Requests to the tenants that behave, with each of what the hostile one does.
    requests: usize,
    /// Invocations that the hostile tenant has in flight.
    hostile: usize,
}

const FULL: Sizes = Sizes {
    functions: 10_000,
    run: 1000,
    in_flight: 1000,
    tenants: 200,
    requests: 1500,
    hostile: CONCURRENCY.per_tenant,
};
const SMOKE: Sizes = Sizes {
    functions: 40,
    run: 10,
    in_flight: 20,
    tenants: 8,
    requests: 40,
    hostile: 4,
};

/// What a process of its own does.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Part {
    /// Deploys all functions.
    Deploy,
    /// Opens the server on them, and runs some.
    Start,
    /// Has many invocations wait at once.
    Flight,
    /// Has one tenant among many that is hostile.
    Tenants,
}

/// What a part is told.
#[derive(Args, Debug, Clone)]
pub(crate) struct PartArguments {
    /// Does one part of `--scale` in this process.
    #[arg(long, hide = true)]
    part: Option<Part>,
    /// The data folder of `--scale`, which is kept then; functions that are in it already are not
    /// deployed again.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The server that functions fetch from.
    #[arg(long, hide = true)]
    peer: Option<SocketAddr>,
}

impl PartArguments {
    /// Runs the part that this process is for, if it is for one.
    pub(crate) fn run(&self, smoke: bool) -> Option<Result<()>> {
        self.part.map(|part| self.run_part(part, smoke))
    }

    fn run_part(&self, part: Part, smoke: bool) -> Result<()> {
        raise_open_files();
        let sizes = if smoke { SMOKE } else { FULL };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let data = self.data.as_deref().context("--data is missing")?;
        let found = runtime.block_on(async {
            match part {
                Part::Deploy => Box::pin(deploy(data, sizes)).await,
                Part::Start => Box::pin(start(data, sizes)).await,
                Part::Flight => {
                    let peer = self.peer.context("--peer is missing")?;
                    Box::pin(flight(data, sizes, peer)).await
                }
                Part::Tenants => {
                    // As connections do, requests come from the threads that run functions.
                    let tasks = TaskTracker::new();
                    let data = data.to_owned();
                    tasks
                        .spawn(async move { tenants(&data, sizes).await })
                        .await?
                }
            }
        })?;
        println!("{found}");
        Ok(())
    }
}

/// Runs all parts, one after the other.
pub(crate) fn run(arguments: &PartArguments, smoke: bool) -> Result<Findings> {
    let kept = arguments.data.clone();
    let temporary = folder()?;
    let data = kept.unwrap_or_else(|| temporary.path().join("functions"));
    let peer = peer::start()?;
    let run = |part: &'static str, data: &Path| -> Result<Value> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--part", part, "--peer", &peer.to_string(), "--data"]);
        command.arg(data);
        if smoke {
            command.arg("--smoke");
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the part {part} failed");
        serde_json::from_slice(&output.stdout).with_context(|| format!("the part {part}"))
    };
    let mut found = Map::new();
    for part in ["deploy", "start"] {
        found.insert(part.to_owned(), run(part, &data)?);
    }
    for part in ["flight", "tenants"] {
        found.insert(part.to_owned(), run(part, &temporary.path().join(part))?);
    }
    Ok(findings(&Value::Object(found)))
}

fn findings(found: &Value) -> Findings {
    let figure = |path: &str| {
        found
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    let mut text = String::new();
    let _ = write_text(&mut text, found);
    let measure =
        |name: &str, unit, most, value| Measure::new(name, unit, Bar::AtMost(most), value);
    Findings {
        text,
        json: json!({ "scale": found }),
        measures: vec![
            measure(
                "start-up with all functions",
                "ms",
                2000.0,
                figure("/start/open_ms"),
            ),
            measure(
                "memory with all functions deployed, and some run",
                "MiB",
                600.0,
                figure("/start/resident_mib_after"),
            ),
            measure(
                "first request of a function since the start, beyond a warm one",
                "ms",
                1.0,
                (figure("/start/first_us/p50") - figure("/start/again_us/p50")) / 1e3,
            ),
            measure(
                "invocations in flight that were not answered",
                "",
                0.0,
                figure("/flight/in_flight") - figure("/flight/answered"),
            ),
        ],
        faults: Vec::new(),
    }
}

fn write_text(text: &mut String, found: &Value) -> std::fmt::Result {
    for (part, figures) in found.as_object().into_iter().flatten() {
        writeln!(text, "\n{part}")?;
        for (name, value) in figures.as_object().into_iter().flatten() {
            let value = match value {
                Value::Object(parts) => {
                    let parts = parts.iter().map(|(name, value)| format!("{name} {value}"));
                    parts.collect::<Vec<_>>().join(", ")
                }
                value => value.to_string(),
            };
            writeln!(text, "  {:<36} {value}", name.replace('_', " "))?;
        }
    }
    Ok(())
}

/// p50, p99 and most of some times in microseconds.
fn spread(all: &mut [f64]) -> Value {
    json!({
        "p50": rounded(quantile(all, 0.5)),
        "p99": rounded(quantile(all, 0.99)),
        "max": rounded(quantile(all, 1.0)),
        "count": all.len(),
    })
}

fn mib(bytes: f64) -> f64 {
    rounded(bytes / MIB)
}

fn function(number: usize) -> Result<Name> {
    let (owner, number) = (number % OWNERS, number / OWNERS);
    Name::of(&format!("tenant-{owner}"), &format!("function-{number}"))
}

/// Deploys all functions that are not there, through the door that uploads come in.
async fn deploy(data: &Path, sizes: Sizes) -> Result<Value> {
    let app = open(data, CONCURRENCY).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let begun = clock::monotonic();
    let uploads = TaskTracker::new();
    let uploading: Vec<_> = (0..UPLOADS)
        .map(|_| {
            let (app, next) = (Arc::clone(&app), Arc::clone(&next));
            uploads.spawn(async move { upload_some(&app, &next, sizes).await })
        })
        .collect();
    let mut all = Vec::new();
    for upload in uploading {
        all.push(upload.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut all = all.concat();
    app.close().await;
    let file = std::fs::metadata(data.join("ampoule.redb"))?.len();
    Ok(json!({
        "functions": sizes.functions,
        "deployed": all.len(),
        "seconds": rounded(seconds),
        "per_second": (all.len() as f64 / seconds).round(),
        "one_us": spread(&mut all),
        "data_file_mib": mib(file as f64),
    }))
}

/// One upload after the other, until there are none left: how long each took, in microseconds.
async fn upload_some(app: &App, next: &AtomicUsize, sizes: Sizes) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= sizes.functions {
            return Ok(all);
        }
        let name = function(number)?;
        let functions = app.store.functions();
        if functions.active(&name.tenant, &name.function)?.is_some() {
            continue;
        }
        let begun = clock::monotonic();
        let source = cases::fleet_source(number);
        upload(&app.deploy, &name, "index.js", source, Settings::default()).await?;
        all.push(micros(begun));
    }
}

/// Opens the server on all functions, and runs some of them twice.
async fn start(data: &Path, sizes: Sizes) -> Result<Value> {
    let bare = resident_bytes()?;
    let begun = clock::monotonic();
    let app = open(data, CONCURRENCY).await?;
    let open_micros = micros(begun);
    let opened = resident_bytes()?;
    let ask = cases::json_ask();
    // The sandbox itself is not to be new any more.
    for _ in 0..3 {
        call_all(&app.dispatch, &function(1)?, &ask).await?;
    }
    let before = resident_bytes()?;
    let every = sizes.functions / sizes.run;
    let mut times = [Vec::new(), Vec::new()];
    for all in &mut times {
        for number in 0..sizes.run {
            // Not the one that was called above, and of all tenants.
            let name = function(number * every + number % every)?;
            let begun = clock::monotonic();
            call_all(&app.dispatch, &name, &ask).await?;
            all.push(micros(begun));
        }
    }
    let after = resident_bytes()?;
    let [mut first, mut again] = times;
    let found = json!({
        "open_ms": rounded(open_micros / 1e3),
        "resident_mib_before": mib(bare),
        "resident_mib_open": mib(opened),
        "resident_mib_after": mib(after),
        "images": app.images.len(),
        "first_us": spread(&mut first),
        "again_us": spread(&mut again),
        "kib_of_one_that_ran": rounded((after - before) / 1024.0 / sizes.run as f64),
        "kib_of_one_that_did_not": rounded((opened - bare) / 1024.0 / sizes.functions as f64),
    });
    app.close().await;
    Ok(found)
}

/// So many invocations that wait for a server, which answers when all of them are there.
async fn flight(data: &Path, sizes: Sizes, peer: SocketAddr) -> Result<Value> {
    let count = sizes.in_flight;
    let app = open(
        data,
        Concurrency {
            total: count,
            per_tenant: count,
        },
    )
    .await?;
    let source = format!(
        "module.exports = async (req, res) => {{
  const answer = await fetch(`http://{peer}${{req.query.path}}`);
  res.json(await answer.json());
}};"
    );
    let mut names = Vec::with_capacity(CALLERS);
    for number in 0..CALLERS {
        let name = Name::of(&format!("tenant-{number}"), "waits")?;
        let source = source.clone();
        upload(&app.deploy, &name, "index.js", source, Settings::default()).await?;
        call_all(&app.dispatch, &name, &Ask::get("/?path=/greeting")).await?;
        names.push(name);
    }
    let memory = PeakShare::begin()?;
    let begun = clock::monotonic();
    let ask = Ask::get(format!("/?path=/gate/{count}"));
    let calls = TaskTracker::new();
    let calling: Vec<_> = (0..count)
        .map(|number| {
            let name = names[number % CALLERS].clone();
            let (app, ask) = (Arc::clone(&app), ask.clone());
            calls.spawn(async move {
                let begun = clock::monotonic();
                let answered = call_all(&app.dispatch, &name, &ask).await;
                answered.map(|_| micros(begun))
            })
        })
        .collect();
    let mut all = Vec::new();
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for call in calling {
        match call.await? {
            Ok(micros) => all.push(micros),
            Err(error) => *errors.entry(format!("{error:#}")).or_default() += 1,
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let grown = memory.grown_bytes()?;
    app.close().await;
    Ok(json!({
        "in_flight": count,
        "answered": all.len(),
        "errors": errors,
        "seconds": rounded(seconds),
        "latency_us": spread(&mut all),
        "peak_growth_mib": mib(grown),
        "kib_of_one_in_flight": rounded(grown / 1024.0 / count as f64),
    }))
}

/// Requests to many tenants at a steady pace, alone and beside a hostile one.
async fn tenants(data: &Path, sizes: Sizes) -> Result<Value> {
    let app = open(data, CONCURRENCY).await?;
    let mut names = Vec::new();
    for number in 0..sizes.tenants {
        let name = Name::of(&format!("tenant-{number}"), "json")?;
        let source = cases::fleet_source(number);
        upload(&app.deploy, &name, "index.js", source, Settings::default()).await?;
        call_all(&app.dispatch, &name, &cases::json_ask()).await?;
        names.push(name);
    }
    for (function, source) in HOSTILE {
        let name = Name::of("hostile", function)?;
        upload(&app.deploy, &name, "index.js", source, Settings::default()).await?;
    }
    let names: Arc<[Name]> = names.into();
    let mut found = Map::new();
    let alone = steady(&app, &names, sizes.requests).await?;
    found.insert("alone_us".to_owned(), alone);
    for (function, _) in HOSTILE {
        let name = Name::of("hostile", function)?;
        let (calls, stop) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..sizes.hostile {
            let again = again(Arc::clone(&app), name.clone());
            calls.spawn(stop.clone().run_until_cancelled_owned(again));
        }
        let beside = steady(&app, &names, sizes.requests).await?;
        found.insert(format!("beside_one_that_{function}_us"), beside);
        stop.cancel();
        calls.close();
        calls.wait().await;
    }
    app.close().await;
    Ok(Value::Object(found))
}

/// One request after the other, whatever comes of it.
async fn again(app: Arc<App>, name: Name) {
    loop {
        let _ = call_all(&app.dispatch, &name, &Ask::get("/")).await;
        // A connection would have to be read from and written to.
        tokio::task::yield_now().await;
    }
}

/// One request after the other at a steady pace, whether the last one was answered or not; the
/// time counts from when each was due.
async fn steady(app: &Arc<App>, names: &Arc<[Name]>, requests: usize) -> Result<Value> {
    let calls = TaskTracker::new();
    let mut pace = tokio::time::interval(PACE);
    let mut calling = Vec::new();
    let ask = cases::json_ask();
    for number in 0..requests {
        let due = pace.tick().await.into_std();
        let (app, names, ask) = (Arc::clone(app), Arc::clone(names), ask.clone());
        calling.push(calls.spawn(async move {
            let name = &names[number % names.len()];
            let answered = call_all(&app.dispatch, name, &ask);
            let answered = tokio::time::timeout(PATIENCE, answered).await;
            anyhow::Ok(answered?.map(|_| micros(due))?)
        }));
    }
    let mut all = Vec::new();
    let mut failed = 0;
    for call in calling {
        match call.await? {
            Ok(micros) => all.push(micros),
            Err(_) => failed += 1,
        }
    }
    let mut found = spread(&mut all);
    found["failed"] = json!(failed);
    Ok(found)
}
