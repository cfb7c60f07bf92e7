//! A load that stands for what a server does all day, for a build that counts what it runs.

use std::fs;
use std::path::Path;

use super::catalogue::{AMPOULE, PEERS};
use super::install::sources;
use super::load::{CASES, Started, Turn, start};
use super::wrk::{self, Load};
use super::{Places, ampoule};
use crate::shell::{Outcome, at, root, target_dir};

/// The cases of which there are many requests.
const BUSY: [&str; 2] = ["hello", "json"];
const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// Puts a server under load that writes down what it ran when it ends; each kind of load for so many
/// seconds.
///
/// # Errors
/// When wrk is not installed, or the server does not do what it has to.
pub(crate) fn train(server: &Path, seconds: u32) -> Outcome {
    if let Some(reason) = wrk::missing() {
        return Err(reason.to_owned());
    }
    let places = Places {
        server: server.to_owned(),
        cache: target_dir().join("peers"),
    };
    sources(&places)?;
    let ampoule = PEERS.iter().find(|peer| peer.name == AMPOULE);
    let started = start(ampoule.expect("it is among the peers"), &places, None)?;
    for case in CASES.iter().filter(|case| BUSY.contains(&case.name)) {
        for connections in CONNECTIONS {
            let turn = Turn {
                case,
                connections,
                seconds,
                processors: None,
            };
            started.run(&turn, &places)?;
        }
    }
    everyday(&started, &places, seconds)?;
    started.end();
    Ok(())
}

/// What the cases leave out.
fn everyday(started: &Started, places: &Places, seconds: u32) -> Outcome {
    let path = root().join("xtask/peers/training/everyday.js");
    let source = fs::read_to_string(&path).map_err(at(&path))?;
    let server = started.server();
    let functions = std::iter::once(("everyday".to_owned(), source));
    ampoule::deploy_sources(server, functions)?;
    let load = Load {
        path: format!("/invoke/everyday?url={}/invoke/hello", server.url),
        is_post: true,
        connections: 16,
        seconds,
        processors: None,
    };
    let (figures, _resident_kib) = load.run(server, places)?;
    match figures.errors {
        0 => Ok(()),
        errors => Err(format!("{errors} answers of everyday were errors")),
    }
}
