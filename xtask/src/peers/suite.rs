//! The V8 suite, version 7, whose eight parts are also in Octane: how fast engines are.
//!
//! Its source is not ours: it comes from npm, in the package that `xtask/peers/package.json`
//! names. A part is one function, and a benchmark of it one request, timed from outside: once
//! without a single run of it, and once with so many. The difference is the time of the runs, and
//! nothing else. All work in request and in set-up is the same for all engines.

mod engine;

use std::fs;
use std::path::PathBuf;

use self::engine::Running;
use super::catalogue::{AMPOULE, Needs};
use super::install::{install, sources};
use super::plan::Plan;
use super::samples::{geometric_mean, median};
use super::table::{Table, listed, members_of, shown};
use super::{Places, ampoule};
use crate::shell::{Outcome, at, root};

pub(super) use self::engine::ENGINES;
#[cfg(test)]
pub(super) use self::engine::fuel_of;

/// A part of the suite, or [`CPU`].
pub(super) struct Part {
    pub(super) name: &'static str,
    file: &'static str,
    /// Microseconds that stand for a score of 100, from the suite.
    reference_us: f64,
    /// How often each of its benchmarks is run in a request: some second of QuickJS.
    counts: &'static [u32],
}

const fn part(
    name: &'static str,
    file: &'static str,
    reference_us: f64,
    counts: &'static [u32],
) -> Part {
    Part {
        name,
        file,
        reference_us,
        counts,
    }
}

const PARTS: &[Part] = &[
    part("richards", "richards.js", 35_302.0, &[100]),
    part("deltablue", "deltablue.js", 66_118.0, &[80]),
    part("crypto", "crypto.js", 266_181.0, &[50, 4]),
    part("raytrace", "raytrace.js", 739_989.0, &[12]),
    part("earley-boyer", "earley-boyer.js", 666_463.0, &[40, 6]),
    part("regexp", "regexp.js", 910_985.0, &[3]),
    part("splay", "splay.js", 81_491.0, &[200]),
    part("navier-stokes", "navier-stokes.js", 1_484_000.0, &[6]),
];

/// What the handler `/cpu` does, in the same engines in the same way. No part of the score.
const CPU: Part = part("cpu", "", f64::NAN, &[40]);

/// Everything that can be asked for.
pub(super) fn parts() -> impl Iterator<Item = &'static Part> {
    PARTS.iter().chain([&CPU])
}

/// What one engine made of one part.
struct Outcomes {
    engine: &'static str,
    part: &'static Part,
    /// Of one run, the geometric mean of the part's benchmarks.
    millis: f64,
    /// WebAssembly instructions of one run, where they are counted.
    fuel: f64,
}

impl Outcomes {
    fn score(&self) -> f64 {
        self.part.reference_us / 10.0 / self.millis
    }
}

/// Runs the parts in each engine in turns, and prints a table.
///
/// # Errors
/// When something cannot be installed, or does not do what it has to.
pub(super) fn compare(plan: &Plan, places: &Places) -> Outcome {
    sources(places)?;
    install(Needs::Npm, places)?;
    let mut all = Vec::new();
    for part in parts().filter(|part| plan.wants_case(part.name)) {
        let folder = prepare(part, places)?;
        let mut engines = Vec::new();
        for engine in ENGINES.iter().filter(|engine| plan.wants(engine.name)) {
            if engine.name == AMPOULE {
                ampoule::forget(places)?;
            }
            engines.push(Running::start(engine, &folder, places)?);
        }
        for one in measure(plan, part, &mut engines)? {
            eprintln!("{}: {} ms in {}", part.name, shown(one.millis), one.engine);
            all.push(one);
        }
        engines.into_iter().for_each(Running::end);
    }
    report(plan, &all);
    Ok(())
}

/// Runs each benchmark of each part once, for a server that counts what it executes.
///
/// # Errors
/// As [`compare`].
pub(super) fn exercise(places: &Places) -> Outcome {
    install(Needs::Npm, places)?;
    for part in parts() {
        let folder = prepare(part, places)?;
        ampoule::forget(places)?;
        let mut engine = Running::start(&ENGINES[0], &folder, places)?;
        for benchmark in 0..part.counts.len() {
            engine.call(benchmark, 1)?;
        }
        engine.end();
    }
    Ok(())
}

/// Writes a part as a function; its folder.
fn prepare(part: &Part, places: &Places) -> Outcome<PathBuf> {
    let suite = places
        .node()
        .join("node_modules/benchmark-octane/lib/octane");
    let peers = root().join("xtask/peers");
    let ours = peers.join("suite");
    let scripts = if part.name == CPU.name {
        vec![peers.join("logic.js"), ours.join("cpu.js")]
    } else {
        let theirs = [suite.join("base.js"), suite.join(part.file)];
        theirs.into_iter().chain([ours.join("part.js")]).collect()
    };
    let folder = places.node().join("suite").join(part.name);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let mut script = Vec::new();
    for path in scripts {
        script.extend(fs::read(&path).map_err(at(&path))?);
        script.push(b'\n');
    }
    let path = folder.join("part.js");
    fs::write(&path, script).map_err(at(&path))?;
    for (from, to) in [
        ("function.js", folder.join("index.js")),
        ("serve.cjs", folder.with_file_name("serve.cjs")),
    ] {
        fs::copy(ours.join(from), &to).map_err(at(&to))?;
    }
    Ok(folder)
}

fn measure(plan: &Plan, part: &'static Part, engines: &mut [Running]) -> Outcome<Vec<Outcomes>> {
    let mut times = vec![vec![Vec::new(); part.counts.len()]; engines.len()];
    let mut fuel = vec![vec![f64::NAN; part.counts.len()]; engines.len()];
    for round in 0..plan.rounds {
        for (engine, (times, fuel)) in engines.iter_mut().zip(times.iter_mut().zip(&mut fuel)) {
            for (benchmark, count) in part.counts.iter().enumerate() {
                let count = count * engine.engine().factor;
                let [none, some] = [engine.call(benchmark, 0)?, engine.call(benchmark, count)?];
                let each = |some: f64, none: f64| (some - none) / f64::from(count);
                times[benchmark].push(each(some.millis, none.millis));
                if round == 0 {
                    fuel[benchmark] = each(engine.fuel(&some)?, engine.fuel(&none)?);
                }
            }
        }
    }
    let rows = engines.iter().zip(times.into_iter().zip(fuel));
    let rows = rows.map(|(engine, (times, fuel))| {
        let medians: Vec<f64> = times.into_iter().map(median).collect();
        Outcomes {
            engine: engine.engine().name,
            part,
            millis: geometric_mean(&medians),
            fuel: geometric_mean(&fuel),
        }
    });
    Ok(rows.collect())
}

fn report(plan: &Plan, all: &[Outcomes]) {
    if plan.is_json {
        let objects = all.iter().map(|one| {
            let figures = [
                ("ms", one.millis),
                ("fuel", one.fuel),
                ("score", one.score()),
            ];
            let (engine, part) = (one.engine, one.part.name);
            let figures = members_of(&figures);
            format!("{{\"engine\":\"{engine}\",\"part\":\"{part}\",{figures}}}")
        });
        print!("{}", listed(objects));
        return;
    }
    let engines = ENGINES.iter().map(|engine| engine.name);
    let engines: Vec<&str> = engines.filter(|name| plan.wants(name)).collect();
    let mut heads = vec!["ms a run".to_owned()];
    heads.extend(engines.iter().map(|name| (*name).to_owned()));
    heads.push("fuel a run".to_owned());
    let mut table = Table::new(&heads);
    for part in parts().filter(|part| plan.wants_case(part.name)) {
        let of = |name: &str| {
            let is_it = |one: &&Outcomes| one.engine == name && one.part.name == part.name;
            all.iter().find(is_it)
        };
        let mut row = vec![part.name.to_owned()];
        let millis = engines
            .iter()
            .map(|name| of(name).map_or(f64::NAN, |one| one.millis));
        row.extend(millis.map(shown));
        row.push(of(AMPOULE).map_or(String::new(), |one| shown(one.fuel)));
        table.row(&row);
    }
    if PARTS.iter().any(|part| plan.wants_case(part.name)) {
        table.row(&score_row(&engines, all));
    }
    print!("{}", table.finish());
}

/// The score of each engine: the geometric mean over the parts, and nothing of [`CPU`].
fn score_row(engines: &[&str], all: &[Outcomes]) -> Vec<String> {
    let scores = engines.iter().map(|name| {
        let theirs = all
            .iter()
            .filter(|one| one.engine == *name && one.part.name != CPU.name);
        let scores: Vec<f64> = theirs.map(Outcomes::score).collect();
        format!("**{}**", shown(geometric_mean(&scores).round()))
    });
    let mut row = vec!["score".to_owned()];
    row.extend(scores);
    row.push(String::new());
    row
}
