//! Ampoule beside other ways to run JavaScript for requests, on this machine, in one run.
//!
//! [`load`] drives the same four functions on each, [`cores`] shows what a second core gives
//! Ampoule, [`first`] what the first request of a function costs, and [`suite`] how fast the
//! engines are; [`training`] puts a load on a server that is to learn from it. What is run is in
//! `xtask/peers`; what is installed, and all that is written, is below the target folder. Servers
//! listen on free ports of 127.0.0.1 and end with this program, however that ends.

mod ampoule;
mod catalogue;
mod cores;
mod first;
mod http;
mod install;
mod load;
mod plan;
mod process;
mod samples;
mod suite;
mod table;
mod training;
mod wrk;

use std::path::PathBuf;

use crate::shell::{Outcome, Program, cargo, run, target_dir};

pub(crate) use plan::Plan;
pub(crate) use training::{exercise, train};
pub(crate) use wrk::check as check_load;

/// How it is used, for `cargo xtask peers --help`.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask peers [SECTION] [OPTION…]

  (no section)        The same load on Ampoule and on each peer, in turns.
  cores               Ampoule and the load on one core, and on two.
  first               The first request of functions that nobody called since the server's start.
  suite               The eight parts of the V8 suite, and what /cpu does, in Ampoule and in other engines.

  --list              Names the peers.
  --only NAME…        These alone; may be given many times, and hold commas.
  --case NAME…        hello, json or cpu alone, and in the suite a part.
  --rounds N          How often everything is measured; figures are medians. 3 without it.
  --seconds N         How long each load lasts. 2 without it.
  --concurrency N,…   Connections. 1,16,64,256 without it; for cores 16,64.
  --functions N       How many functions `first` deploys. 200 without it.
  --samples FILE      Adds this run's samples to FILE, and counts those that are there already.
  --json              The same for programs.
  --server BIN        This server; without it the release build is made first.
";

/// What a command line asks for.
///
/// # Errors
/// When something is not installed, a server does not start, or an answer is not what it has to
/// be.
pub(crate) fn compare(plan: &Plan) -> Outcome {
    if plan.is_list {
        for peer in catalogue::PEERS {
            println!("{:<20}{}", peer.name, peer.about);
        }
        return Ok(());
    }
    let places = Places::of(plan)?;
    match plan.section {
        plan::Section::Load => load::compare(plan, &places),
        plan::Section::Cores => cores::compare(plan, &places),
        plan::Section::First => first::measure(plan, &places),
        plan::Section::Suite => suite::compare(plan, &places),
    }
}

/// Where things are.
pub(crate) struct Places {
    /// The server that is measured.
    server: PathBuf,
    /// What is kept between runs, and the servers' logs.
    cache: PathBuf,
}

impl Places {
    fn of(plan: &Plan) -> Outcome<Self> {
        let server = match &plan.server {
            Some(server) => server.clone(),
            None => {
                run(cargo().args(["build", "--locked", "--release"]))?;
                Program::Release.path()
            }
        };
        let server = server.canonicalize();
        let server = server.map_err(|error| format!("the server is not there: {error}"))?;
        Ok(Self::with(server))
    }

    fn with(server: PathBuf) -> Self {
        let cache = target_dir().join("peers");
        Self { server, cache }
    }

    /// Where the peers' own files are copied to, and npm's packages are.
    fn node(&self) -> PathBuf {
        self.cache.join("node")
    }

    /// The virtual environment.
    fn python(&self) -> PathBuf {
        self.cache.join("python")
    }
}

#[cfg(test)]
mod tests;
