//! What the first request of a function costs that nobody called since the server's start.

use std::time::Duration;

use super::catalogue::{AMPOULE, log_of};
use super::http::Client;
use super::plan::Plan;
use super::process::Server;
use super::samples::percentile;
use super::table::{Table, listed, members_of, shown};
use super::{Places, ampoule};
use crate::ci::now;
use crate::shell::{Outcome, at};

const PATIENCE: Duration = Duration::from_secs(30);
/// Calls of each function after its first.
const WARM_CALLS: u32 = 3;

/// Deploys small functions, and in each round starts the server anew and calls each of them once,
/// and then all of them again, one request at a time.
///
/// # Errors
/// When the server does not do what it has to.
pub(super) fn measure(plan: &Plan, places: &Places) -> Outcome {
    std::fs::create_dir_all(&places.cache).map_err(at(&places.cache))?;
    ampoule::forget(places)?;
    let begin = || Server::start(&ampoule::command(places), &log_of(places, AMPOULE));
    let names: Vec<String> = (1..=plan.functions).map(|n| format!("first-{n}")).collect();
    let server = begin()?;
    let sources = names.iter().map(|name| (name.clone(), source(name)));
    ampoule::deploy_sources(&server, sources)?;
    server.end();
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let server = begin()?;
        let mut client = Client::connect(&server.url, PATIENCE)?;
        for name in &names {
            first.push(call(&mut client, name)?);
        }
        for _ in 0..WARM_CALLS {
            for name in &names {
                warm.push(call(&mut client, name)?);
            }
        }
        server.end();
    }
    report(plan, first, warm);
    Ok(())
}

/// A function that is no other's copy.
fn source(name: &str) -> String {
    format!("module.exports = (req, res) => res.json({{ hello: '{name}' }});\n")
}

/// Microseconds of one request.
fn call(client: &mut Client, name: &str) -> Outcome<f64> {
    let path = format!("/invoke/{name}");
    let begun = now();
    let answer = client.get(&path)?;
    let took = begun.elapsed();
    let text = answer.text()?;
    if text != format!("{{\"hello\":\"{name}\"}}") {
        return Err(format!("{path} answered {text}"));
    }
    Ok(took.as_secs_f64() * 1e6)
}

fn report(plan: &Plan, first: Vec<f64>, warm: Vec<f64>) {
    let rows = [("first", first), ("warm", warm)].map(|(name, times)| {
        let [p50, p99] = [50, 99].map(|percent| percentile(times.clone(), percent));
        (name, p50, p99)
    });
    if plan.is_json {
        let objects = rows.map(|(name, p50, p99)| {
            let figures = members_of(&[("p50_us", p50), ("p99_us", p99)]);
            format!("{{\"request\":\"{name}\",{figures}}}")
        });
        print!("{}", listed(objects.into_iter()));
        return;
    }
    let head = format!("request, {} functions", plan.functions);
    let mut table = Table::new(&[head, "p50 µs".to_owned(), "p99 µs".to_owned()]);
    for (name, p50, p99) in rows {
        table.row(&[name.to_owned(), shown(p50), shown(p99)]);
    }
    print!("{}", table.finish());
}
