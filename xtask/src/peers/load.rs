//! The same load on each peer, in turns.

use std::fs;
use std::thread;
use std::time::Duration;

use super::catalogue::{AMPOULE, PEERS, Peer, log_of};
use super::http::{Client, Content};
use super::install::{install, sources};
use super::plan::Plan;
use super::process::{Server, Usage, pinned, ticks_per_second};
use super::samples::{Sample, keep, kept};
use super::wrk::{self, Load};
use super::{Places, ampoule, table};
use crate::shell::{Outcome, at, root};

/// A function that is put under load.
pub(super) struct Case {
    pub(super) name: &'static str,
    is_post: bool,
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "hello",
        is_post: false,
    },
    Case {
        name: "json",
        is_post: true,
    },
    Case {
        name: "cpu",
        is_post: false,
    },
];

pub(super) const HELLO: &str = "{\"hello\":\"world\"}";
const CPU: &str = "{\"sum\":418534664}";
/// A load on a server.
pub(super) struct Turn<'a> {
    pub(super) case: &'a Case,
    pub(super) connections: u32,
    pub(super) seconds: u32,
    /// Those that the load comes from; any without.
    pub(super) processors: Option<&'a str>,
}

impl<'a> Turn<'a> {
    /// What comes before those that count.
    pub(super) fn warm_up(case: &'a Case, processors: Option<&'a str>) -> Self {
        Self {
            case,
            connections: 16,
            seconds: WARM_UP,
            processors,
        }
    }
}

/// How long one answer may take while there is no load.
const PATIENCE: Duration = Duration::from_secs(30);
/// Seconds of load before those that count.
const WARM_UP: u32 = 1;
/// How often it is looked whether a server is idle again.
const SETTLE_TIMES: u32 = 50;

/// Measures the peers of a plan, and prints what came of it. A peer that cannot be installed is
/// left out, with a message.
///
/// # Errors
/// When nothing can be measured, a peer does not start, or an answer is not what it has to be.
pub(super) fn compare(plan: &Plan, places: &Places) -> Outcome {
    wrk::check()?;
    sources(places)?;
    let mut samples = match &plan.samples {
        Some(path) => kept(path)?,
        None => Vec::new(),
    };
    let mut peers = Vec::new();
    for peer in PEERS.iter().filter(|peer| plan.wants(peer.name)) {
        match install(peer.needs, places) {
            Ok(()) => peers.push(peer),
            Err(reason) => eprintln!("{} is left out: {reason}", peer.name),
        }
    }
    let ticks = ticks_per_second()?;
    for round in 1..=plan.rounds {
        for peer in &peers {
            eprintln!("round {round} of {}: {}", plan.rounds, peer.name);
            for sample in of_peer(peer, plan, places, ticks)? {
                if let Some(path) = &plan.samples {
                    keep(path, &sample)?;
                }
                samples.push(sample);
            }
        }
    }
    if plan.is_json {
        print!("{}", table::json(&samples));
        return Ok(());
    }
    let names: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
    let cases = CASES.iter().map(|case| case.name);
    let cases: Vec<&str> = cases.filter(|name| plan.wants_case(name)).collect();
    print!(
        "{}",
        table::tables(&samples, &names, &cases, &plan.concurrency)
    );
    Ok(())
}

/// One peer's turn: started, checked, put under each load, and ended.
fn of_peer(peer: &Peer, plan: &Plan, places: &Places, ticks: f64) -> Outcome<Vec<Sample>> {
    let named = |message: String| format!("{}: {message}", peer.name);
    let started = start(peer, places, None).map_err(named)?;
    let mut samples = Vec::new();
    for case in CASES.iter().filter(|case| plan.wants_case(case.name)) {
        let processors = None;
        let warm_up = Turn::warm_up(case, processors);
        started.run(&warm_up, places).map_err(named)?;
        for &connections in &plan.concurrency {
            let turn = Turn {
                case,
                connections,
                seconds: plan.seconds,
                processors,
            };
            let sample = started.measure(&turn, places, ticks);
            samples.push(sample.map_err(named)?);
        }
    }
    started.server.end();
    Ok(samples)
}

/// A peer that runs and answers as it has to.
pub(super) struct Started {
    server: Server,
    name: &'static str,
    prefix: &'static str,
    idle_kib: u64,
    state: String,
}

/// Starts a peer, on these processors where any are given, and sees that it answers what it has
/// to.
pub(super) fn start(peer: &Peer, places: &Places, processors: Option<&str>) -> Outcome<Started> {
    let mut command = (peer.command)(places);
    if let Some(processors) = processors {
        command = pinned(&command, processors);
    }
    if peer.name == AMPOULE {
        ampoule::forget(places)?;
    }
    let server = Server::start(&command, &log_of(places, peer.name))?;
    if peer.name == AMPOULE {
        ampoule::deploy_cases(&server, places)?;
    }
    let idle_kib = server.usage().resident_kib;
    let state = check(&server.url, peer.prefix)?;
    Ok(Started {
        server,
        name: peer.name,
        prefix: peer.prefix,
        idle_kib,
        state,
    })
}

/// Sees that each answer is the expected one, byte for byte; what `/state` answered three times.
fn check(url: &str, prefix: &str) -> Outcome<String> {
    let file = |name: &str| {
        let path = root().join("xtask/peers").join(name);
        fs::read(&path).map_err(at(&path))
    };
    let (order, expected) = (file("order.json")?, file("order-answer.json")?);
    let mut client = Client::connect(url, PATIENCE)?;
    let order = ("application/json", order.as_slice());
    let wanted: [(&str, &str, Content<'_>, &[u8]); 3] = [
        ("GET", "/hello", None, HELLO.as_bytes()),
        ("POST", "/json", Some(order), &expected),
        ("GET", "/cpu", None, CPU.as_bytes()),
    ];
    for (method, path, content, expected) in wanted {
        let answer = client.request(method, &format!("{prefix}{path}"), content)?;
        if answer.status != 200 || answer.body != expected {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{path} answered {} {text}", answer.status));
        }
    }
    let mut calls = Vec::new();
    for _ in 0..3 {
        let text = client.get(&format!("{prefix}/state"))?.text()?;
        let number = text
            .strip_prefix("{\"calls\":")
            .and_then(|rest| rest.strip_suffix('}'));
        calls.push(number.ok_or(format!("/state answered {text}"))?.to_owned());
    }
    Ok(calls.join(","))
}

impl Started {
    /// One load that counts.
    pub(super) fn measure(&self, turn: &Turn<'_>, places: &Places, ticks: f64) -> Outcome<Sample> {
        self.settle();
        let before = self.server.usage();
        let (figures, resident_kib) = self.run(turn, places)?;
        let after = self.server.usage();
        let requests = float(figures.requests.max(1));
        let grown = |of: fn(&Usage) -> u64| float(of(&after).saturating_sub(of(&before)));
        Ok(Sample {
            peer: self.name.to_owned(),
            case: turn.case.name.to_owned(),
            connections: turn.connections,
            per_second: figures.per_second,
            p50_us: figures.p50_us,
            p99_us: figures.p99_us,
            cpu_us: grown(|usage| usage.ticks) * 1e6 / ticks / requests,
            faults: grown(|usage| usage.minor_faults) / requests,
            errors: float(figures.errors),
            resident_mib: float(resident_kib) / 1024.0,
            idle_mib: float(self.idle_kib) / 1024.0,
            state: self.state.clone(),
        })
    }

    /// One load.
    pub(super) fn run(&self, turn: &Turn<'_>, places: &Places) -> Outcome<(wrk::Figures, u64)> {
        // So that those who compute answer each connection more than once.
        let seconds = match turn.case.name {
            "cpu" => turn.seconds.max(turn.connections / 32),
            _ => turn.seconds,
        };
        let load = Load {
            path: format!("{}/{}", self.prefix, turn.case.name),
            is_post: turn.case.is_post,
            connections: turn.connections,
            seconds,
            processors: turn.processors,
        };
        load.run(&self.server, places)
    }

    /// Waits until the server has worked off what an earlier load left behind, for some seconds at
    /// most.
    fn settle(&self) {
        let mut last = self.server.usage().ticks;
        for _ in 0..SETTLE_TIMES {
            thread::sleep(Duration::from_millis(100));
            let ticks = self.server.usage().ticks;
            if ticks <= last + 1 {
                return;
            }
            last = ticks;
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) fn end(self) {
        self.server.end();
    }
}

/// Counts are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
