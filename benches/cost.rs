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

#[path = "cost/bars.rs"]
mod bars;
#[path = "cost/cases.rs"]
mod cases;
#[path = "cost/curves.rs"]
mod curves;
#[path = "cost/fuel.rs"]
mod fuel;
#[path = "cost/kv.rs"]
mod kv;
#[path = "cost/machine.rs"]
mod machine;
#[path = "cost/metering.rs"]
mod metering;
#[path = "cost/native.rs"]
mod native;
#[path = "cost/peer.rs"]
mod peer;
#[path = "cost/platform.rs"]
mod platform;
#[path = "cost/report.rs"]
mod report;
#[path = "cost/samples.rs"]
mod samples;
#[path = "cost/sandbox.rs"]
mod sandbox;
#[path = "cost/scale.rs"]
mod scale;
#[path = "cost/served.rs"]
mod served;
#[path = "cost/stages.rs"]
mod stages;

use bars::{Findings, median};
use cases::Case;
use machine::{Instructions, Memory, page_faults};
use native::{Fresh, Warm};
use report::{Batch, Fleet, Report, Row};
use sandbox::{Deployment, Host};
use served::Served;
use stages::Anatomy;

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
    /// One short round of everything: fails only when something does not work, or takes other fuel
    /// than what is checked in.
    #[arg(long, conflicts_with_all = ["check", "rounds"])]
    smoke: bool,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Fail when a bar is missed, or when fuel is not what is checked in.
    #[arg(long)]
    check: bool,
    /// Curves instead of the table: what a byte, a line costs as there are more of them.
    #[arg(long, conflicts_with_all = ["scale", "only"])]
    curves: bool,
    /// Ten thousand functions, a thousand invocations at once, two hundred tenants.
    #[arg(long, conflicts_with = "only")]
    scale: bool,
    /// What fuel costs: the guest compiled with it, with epochs, and with neither.
    #[arg(long, conflicts_with_all = ["curves", "scale", "only", "smoke"])]
    metering: bool,
    /// Write the fuel of everything to benches/fuel.toml, and do nothing else.
    #[arg(long, conflicts_with_all = ["curves", "scale", "metering", "only", "check", "smoke"])]
    update_fuel: bool,
    #[command(flatten)]
    part: scale::PartArguments,
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
        let mut instructions = Instructions::begin();
        let faults = page_faults()?;
        for _ in 0..self.batch_len {
            all.push(self.runner.run(host).await?);
        }
        let faults = page_faults()? - faults;
        Ok(Batch::new(&all, faults, instructions.read()))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(done) = arguments.part.run(arguments.smoke) {
        return done.map(|()| ExitCode::SUCCESS);
    }
    if arguments.scale {
        let findings = scale::run(&arguments.part, arguments.smoke)?;
        return Ok(finish(arguments, &findings));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = async {
        if let Some(name) = &arguments.only {
            return run_only(name, arguments.rounds).await;
        }
        if arguments.update_fuel {
            return update_fuel().await;
        }
        let findings = if arguments.curves {
            curves::run(arguments.smoke).await?
        } else if arguments.metering {
            metering::run(arguments.rounds).await?
        } else {
            run_table(arguments).await?.findings()
        };
        Ok(finish(arguments, &findings))
    };
    runtime.block_on(tokio::task::unconstrained(Box::pin(work)))
}

fn finish(arguments: &Arguments, findings: &Findings) -> ExitCode {
    if arguments.json {
        println!("{:#}", findings.to_json());
    } else {
        print!("{findings}");
    }
    for fault in &findings.faults {
        eprintln!("{fault}");
    }
    let may_fail = arguments.check || arguments.smoke;
    if may_fail && !findings.faults.is_empty() {
        return ExitCode::FAILURE;
    }
    if arguments.smoke {
        eprintln!("smoke: everything works; the times of one short round say nothing");
        return ExitCode::SUCCESS;
    }
    let measures = findings.measures.iter();
    let missed: Vec<_> = measures.filter(|measure| !measure.holds()).collect();
    for measure in &missed {
        eprintln!("missed: {measure}");
    }
    if arguments.check && !missed.is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Writes the fuel of everything where it is checked in.
async fn update_fuel() -> Result<ExitCode> {
    let peer = peer::start().context("cannot start the server that functions fetch from")?;
    let mut host = Host::new(sandbox::SMOKE_SANDBOXES).await?;
    let fuel = fuel::measure(&mut host, &cases::all(peer)).await?;
    fuel.write()?;
    println!("{fuel}");
    Ok(ExitCode::SUCCESS)
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

async fn run_table(arguments: &Arguments) -> Result<Report> {
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
    let fuel = fuel::measure(&mut host, &cases).await?;
    let mut subjects = Vec::new();
    for case in &cases {
        add_case(&mut host, case, &mut subjects).await?;
    }
    for case in &cases::kv_pair() {
        let image = host.deploy(&case.source).await?;
        host.make_hot(&image.image, case).await?;
        subjects.push(sandbox_subject(case, report::FRESH, vec![image]));
    }
    let mut anatomy = Anatomy::new(&mut host, &cases).await?;
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
        anatomy.round(&host).await?;
    }
    Ok(Report {
        machine: machine::facts(&host),
        rows: subjects.into_iter().map(|subject| subject.row).collect(),
        fleet,
        engine_snapshot_bytes: host.engine.base_bytes(),
        engine_code_bytes: host.engine_code_bytes()?,
        anatomy,
        kv: kv::measure(arguments.smoke).await?,
        fuel,
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
    if matches!(case.name.as_str(), cases::JSON | cases::HELLO) {
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
        load_micros: median(&mut load_micros),
        ready_micros: median(&mut ready_micros),
    };
    Ok((fleet, images))
}
