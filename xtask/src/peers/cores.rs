//! What a second core gives Ampoule.
//!
//! Server and load share one core, or share two: both get twice as much, so a ratio of two is
//! what would be perfect, and wrk, which has one thread, never needs more than one core of them.

use super::Places;
use super::catalogue;
use super::install::sources;
use super::load::{CASES, Turn, start};
use super::plan::Plan;
use super::process::{processors, ticks_per_second};
use super::samples::{Cell, Sample, median};
use super::table::{Table, listed, members_of, shown};
use super::wrk;
use crate::shell::Outcome;

const ONE: &str = "one core";
const TWO: &str = "two cores";

/// Measures both in turns, and prints a table.
///
/// # Errors
/// When there are not two cores to run on, or the server does not do what it has to.
pub(super) fn compare(plan: &Plan, places: &Places) -> Outcome {
    wrk::check()?;
    let all = processors()?;
    let [first, second, ..] = all[..] else {
        return Err("there is only one core here".to_owned());
    };
    sources(places)?;
    let ampoule = catalogue::ampoule();
    let ticks = ticks_per_second()?;
    let mut samples: Vec<Sample> = Vec::new();
    for round in 1..=plan.rounds {
        for (name, processors) in [
            (ONE, format!("{first}")),
            (TWO, format!("{first},{second}")),
        ] {
            eprintln!("round {round} of {}: {name}", plan.rounds);
            let pinned = Some(processors.as_str());
            let started = start(ampoule, places, pinned)?;
            for case in CASES.iter().filter(|case| plan.wants_case(case.name)) {
                started.run(&Turn::warm_up(case, pinned), places)?;
                for &connections in &plan.concurrency {
                    let turn = Turn {
                        case,
                        connections,
                        seconds: plan.seconds,
                        processors: pinned,
                    };
                    let sample = started.measure(&turn, places, ticks)?;
                    samples.push(Sample {
                        peer: name.to_owned(),
                        ..sample
                    });
                }
            }
            started.end();
        }
    }
    report(plan, &samples);
    Ok(())
}

fn report(plan: &Plan, samples: &[Sample]) {
    let heads = ["case", "c", ONE, TWO, "ratio", "CPU µs, one", "CPU µs, two"];
    let mut table = Table::new(&heads.map(str::to_owned));
    let mut objects = Vec::new();
    for case in CASES.iter().filter(|case| plan.wants_case(case.name)) {
        for connections in &plan.concurrency {
            let of = |name: &str| {
                Cell::of(samples, |sample| {
                    sample.peer == name
                        && sample.case == case.name
                        && sample.connections == *connections
                })
            };
            let (Some(one), Some(two)) = (of(ONE), of(TWO)) else {
                continue;
            };
            let ratio = ratio(samples, case.name, *connections);
            let figures = [
                ("one_per_second", one.median(|s| s.per_second)),
                ("two_per_second", two.median(|s| s.per_second)),
                ("ratio", ratio),
                ("one_cpu_us", one.median(|s| s.cpu_us)),
                ("two_cpu_us", two.median(|s| s.cpu_us)),
            ];
            let mut row = vec![format!("`/{}`", case.name), connections.to_string()];
            row.extend(figures.iter().map(|(_, figure)| shown(*figure)));
            table.row(&row);
            objects.push(format!(
                "{{\"case\":\"{}\",\"connections\":{connections},{}}}",
                case.name,
                members_of(&figures)
            ));
        }
    }
    if plan.is_json {
        print!("{}", listed(objects.into_iter()));
    } else {
        print!("{}", table.finish());
    }
}

/// The median of the ratios within each round.
pub(super) fn ratio(samples: &[Sample], case: &str, connections: u32) -> f64 {
    let of = |name: &'static str| {
        let samples = samples.iter().filter(move |sample| {
            sample.peer == name && sample.case == case && sample.connections == connections
        });
        samples.map(|sample| sample.per_second)
    };
    let ratios = of(TWO).zip(of(ONE)).map(|(two, one)| two / one);
    median(ratios.collect())
}
