//! What one invocation costs: fresh sandboxes beside a native QuickJS doing the same, in one run.
//!
//! Drives engine, images, store and outbound client in process, without HTTP in front. Every way
//! of running a function gets a short batch in every round, so that whatever else the machine does
//! falls on all of them alike; figures are medians over rounds, and ratios are taken within a
//! round. `docs/benchmarks.md` says how to run it and how to read it.

use std::process::ExitCode;

use ampoule::clock;
use anyhow::{Context, Result};
use clap::Parser;

#[path = "cost/cases.rs"]
mod cases;
#[path = "cost/machine.rs"]
mod machine;
#[path = "cost/native.rs"]
mod native;
#[path = "cost/peer.rs"]
mod peer;
#[path = "cost/report.rs"]
mod report;
#[path = "cost/sandbox.rs"]
mod sandbox;
#[path = "cost/served.rs"]
mod served;

use cases::Case;
use machine::{Memory, page_faults};
use native::{Fresh, Warm};
use report::{Batch, Fleet, Report, Row};
use sandbox::{Deployment, Host};
use served::Served;

/// Distinct functions of the round robin: more than there are sandboxes to keep warm.
const FLEET_LEN: usize = 900;
/// The same where only working counts.
const SMOKE_FLEET_LEN: usize = 40;
/// Invocations before each batch that are not measured: they bring code and data into the caches.
const WARM_UP: usize = 3;

/// What an invocation costs, beside a native QuickJS doing the same.
#[derive(Parser, Debug, Clone)]
struct Arguments {
    /// Rounds; in each, every way of running a function gets one batch.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// One short round of everything: fails only when something does not work.
    #[arg(long, conflicts_with_all = ["check", "rounds"])]
    smoke: bool,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Fail when a bar is missed.
    #[arg(long)]
    check: bool,
    /// Fresh sandboxes of this case alone, as a profiler wants it: noop, json, kv or fetch; or
    /// `served`, which is json with everything around it.
    #[arg(long, value_name = "CASE", conflicts_with_all = ["check", "smoke", "json"])]
    only: Option<String>,
    /// Passed by cargo; means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One way of running one case.
struct Subject {
    row: Row,
    runner: Runner,
    /// Invocations in a round.
    batch_len: usize,
}

enum Runner {
    /// A fresh sandbox from each image in turn.
    Sandbox {
        images: Vec<Deployment>,
        next: usize,
        case: Case,
    },
    /// A native runtime, made anew.
    Fresh(Fresh),
    /// A native runtime, kept.
    Warm(Box<Warm>),
    /// A fresh sandbox, and everything that the server does around it.
    Served(Box<Served>),
}

/// One measured invocation.
#[derive(Debug, Clone, Copy)]
struct Once {
    micros: f64,
    fuel: u64,
    host_calls: u64,
}

impl Runner {
    async fn run(&mut self, host: &Host) -> Result<Once> {
        match self {
            Self::Sandbox { images, next, case } => {
                let at = *next % images.len();
                *next = at + 1;
                host.invoke(&images[at].image, case).await
            }
            Self::Fresh(fresh) => fresh.run().map(Once::native),
            Self::Warm(warm) => warm.run().map(Once::native),
            Self::Served(served) => served.run().await,
        }
    }
}

impl Once {
    fn native(micros: f64) -> Self {
        Self {
            micros,
            fuel: 0,
            host_calls: 0,
        }
    }
}

impl Subject {
    async fn batch(&mut self, host: &Host) -> Result<()> {
        let outcome = self.measure(host).await;
        let batch = outcome.with_context(|| format!("{}, {}", self.row.case, self.row.how))?;
        self.row.batches.push(batch);
        Ok(())
    }

    async fn measure(&mut self, host: &Host) -> Result<Batch> {
        for _ in 0..WARM_UP {
            self.runner.run(host).await?;
        }
        let mut all = Vec::with_capacity(self.batch_len);
        let faults = page_faults()?;
        for _ in 0..self.batch_len {
            all.push(self.runner.run(host).await?);
        }
        let faults = page_faults()? - faults;
        Ok(Batch::new(&all, faults))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread needs nothing that can be missing");
    let work = async {
        match &arguments.only {
            Some(name) => run_only(name, arguments.rounds).await,
            None => run(&arguments)
                .await
                .map(|report| finish(&arguments, &report)),
        }
    };
    runtime
        .block_on(tokio::task::unconstrained(Box::pin(work)))
        .unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        })
}

fn finish(arguments: &Arguments, report: &Report) -> ExitCode {
    if arguments.json {
        println!("{:#}", report.to_json());
    } else {
        print!("{report}");
    }
    if arguments.smoke {
        eprintln!("smoke: everything works; the figures of one short round say nothing");
        return ExitCode::SUCCESS;
    }
    let missed: Vec<_> = report.ratios().into_iter().filter(|r| !r.holds()).collect();
    for ratio in &missed {
        eprintln!("missed: {ratio}");
    }
    if arguments.check && !missed.is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Batches of one case in fresh sandboxes, and the median of each.
async fn run_only(name: &str, rounds: u32) -> Result<ExitCode> {
    let peer = peer::start().context("cannot start the server that functions fetch from")?;
    let mut host = Host::new(sandbox::SANDBOXES).await?;
    let cases = cases::all(peer);
    let is_served = name == "served";
    let name = if is_served { cases::JSON } else { name };
    let case = cases.iter().find(|case| case.name == name);
    let case = case.with_context(|| format!("there is no case `{name}`"))?;
    let mut subject = if is_served {
        served_subject(&host, case).await?
    } else {
        let image = host.deploy(&case.source).await?;
        host.make_hot(&image.image, case).await?;
        sandbox_subject(case, report::FRESH, vec![image])
    };
    for _ in 0..rounds {
        subject.batch(&host).await?;
    }
    println!("{}", subject.row);
    Ok(ExitCode::SUCCESS)
}

async fn run(arguments: &Arguments) -> Result<Report> {
    machine::raise_open_files();
    let begun = clock::monotonic();
    let peer = peer::start().context("cannot start the server that functions fetch from")?;
    let (sandboxes, fleet_len) = if arguments.smoke {
        (sandbox::SMOKE_SANDBOXES, SMOKE_FLEET_LEN)
    } else {
        (sandbox::SANDBOXES, FLEET_LEN)
    };
    let mut host = Host::new(sandboxes).await?;
    let cases = cases::all(peer);
    let mut subjects = Vec::new();
    for case in &cases {
        add_case(&mut host, case, &mut subjects).await?;
    }
    let large = cases::large();
    let image = host.deploy(&large.source).await?;
    host.make_hot(&image.image, &large).await?;
    subjects.push(sandbox_subject(&large, report::FRESH, vec![image]));
    let (fleet, images) = deploy_fleet(&mut host, fleet_len).await?;
    subjects.push(sandbox_subject(
        &cases::fleet(),
        report::ROUND_ROBIN,
        images,
    ));

    if arguments.smoke {
        subjects
            .iter_mut()
            .for_each(|subject| subject.batch_len = 3);
    }
    let rounds = if arguments.smoke { 1 } else { arguments.rounds };
    for _ in 0..rounds {
        for subject in &mut subjects {
            subject.batch(&host).await?;
        }
    }
    Ok(Report {
        machine: machine::facts(&host),
        rows: subjects.into_iter().map(|subject| subject.row).collect(),
        fleet,
        engine_snapshot_bytes: host.engine.base_bytes(),
        engine_code_bytes: host.engine_code_bytes()?,
        rounds,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// A case with everything around it: admission, record, metrics.
async fn served_subject(host: &Host, case: &Case) -> Result<Subject> {
    let served = Served::new(&host.engine, case).await;
    Ok(Subject {
        row: Row::new(&case.name, report::SERVED, None),
        runner: Runner::Served(Box::new(served.context("the served case")?)),
        batch_len: 100,
    })
}

/// The four ways of running a case.
async fn add_case(host: &mut Host, case: &Case, subjects: &mut Vec<Subject>) -> Result<()> {
    let fresh = host.deploy(&case.source).await?;
    let per_request = host.deploy(&cases::impure(&case.source)).await?;
    anyhow::ensure!(!fresh.is_per_request, "{}: no snapshot", case.name);
    anyhow::ensure!(per_request.is_per_request, "{}: a snapshot", case.name);
    host.make_hot(&fresh.image, case).await?;
    host.make_hot(&per_request.image, case).await?;
    subjects.push(sandbox_subject(case, report::FRESH, vec![fresh]));
    if case.name == cases::JSON {
        // Side by side in time, too: they differ by little.
        subjects.push(served_subject(host, case).await?);
    }
    subjects.push(sandbox_subject(
        case,
        report::PER_REQUEST,
        vec![per_request],
    ));
    subjects.push(Subject {
        row: Row::new(&case.name, report::NATIVE_FRESH, None),
        runner: Runner::Fresh(Fresh::new(case)),
        batch_len: 40,
    });
    let warm = Warm::new(case).with_context(|| format!("{}: native QuickJS", case.name))?;
    subjects.push(Subject {
        row: Row::new(&case.name, report::NATIVE_WARM, Some(warm.heap_bytes())),
        runner: Runner::Warm(Box::new(warm)),
        batch_len: 200,
    });
    Ok(())
}

fn sandbox_subject(case: &Case, how: &'static str, images: Vec<Deployment>) -> Subject {
    let bytes = images.first().map(|deployment| deployment.snapshot_bytes);
    Subject {
        row: Row::new(&case.name, how, bytes),
        batch_len: if how == report::PER_REQUEST { 40 } else { 100 },
        runner: Runner::Sandbox {
            images,
            next: 0,
            case: case.clone(),
        },
    }
}

/// Deploys the functions of the round robin, runs each once, and says what they take.
async fn deploy_fleet(host: &mut Host, len: usize) -> Result<(Fleet, Vec<Deployment>)> {
    let mut images = Vec::with_capacity(len);
    let mut load_micros = Vec::with_capacity(len);
    let mut ready_micros = Vec::with_capacity(len);
    let case = cases::fleet();
    // Sandboxes that were used keep memory of their own: use them all before measuring.
    let slow = cases::slow();
    let deployment = host.deploy(&slow.source).await?;
    let unused = Memory::now()?;
    host.fill_pool(&deployment.image, &slow).await?;
    let before = Memory::now()?;
    for number in 0..len {
        let deployment = host.deploy(&cases::fleet_source(number)).await?;
        load_micros.push(deployment.load_micros);
        ready_micros.push(deployment.ready_micros);
        images.push(deployment);
        host.invoke(&images[number].image, &case).await?;
    }
    let after = Memory::now()?;
    let fleet = Fleet {
        len,
        sandboxes: host.sandboxes,
        each_sandbox: before.since(&unused).per(usize::try_from(host.sandboxes)?),
        each: after.since(&before).per(len),
        load_micros: report::median(&mut load_micros),
        ready_micros: report::median(&mut ready_micros),
    };
    Ok((fleet, images))
}
