//! The engines that run the suite.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use crate::ci::now;
use crate::peers::catalogue::{AMPOULE, log_of, node};
use crate::peers::http::Client;
use crate::peers::process::{Server, bound};
use crate::peers::{Places, ampoule};
use crate::shell::{Outcome, cargo, run};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a function may have at most.
const LIMITS: &[&str] = &[
    "fuel=1000000000000",
    "wall_ms=300000",
    "memory_bytes=536870912",
];
/// The bench that is a native QuickJS.
const NATIVE: [&str; 7] = [
    "bench", "--locked", "-p", "xtask", "--bench", "quickjs", "--quiet",
];

/// An engine.
pub(in crate::peers) struct Engine {
    pub(in crate::peers) name: &'static str,
    /// How much more often benchmarks are run, so that a compiler has time to do its work.
    pub(super) factor: u32,
}

pub(in crate::peers) const ENGINES: &[Engine] = &[
    Engine {
        name: AMPOULE,
        factor: 1,
    },
    Engine {
        name: "quickjs",
        factor: 1,
    },
    Engine {
        name: "quickjs-emscripten",
        factor: 1,
    },
    Engine {
        name: "node-jitless",
        factor: 1,
    },
    Engine {
        name: "node",
        factor: 20,
    },
];

/// An engine with one part loaded.
pub(super) struct Running {
    engine: &'static Engine,
    path: String,
    way: Way,
}

enum Way {
    Server(Server),
    Native {
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
    },
}

/// One request.
pub(super) struct Called {
    pub(super) millis: f64,
    invocation: Option<String>,
}

impl Running {
    pub(super) fn start(engine: &'static Engine, part: &Path, places: &Places) -> Outcome<Self> {
        let file = part.join("part.js");
        let log = log_of(places, engine.name);
        let serve = |words: &[&str]| {
            let mut command = node(places, words);
            command.arg(&file);
            Server::start(&command, &log).map(Way::Server)
        };
        let way = match engine.name {
            AMPOULE => {
                let server = Server::start(&ampoule::command(places), &log)?;
                ampoule::deploy(&server, places, part, LIMITS)?;
                Way::Server(server)
            }
            "quickjs" => native(&file)?,
            "quickjs-emscripten" => serve(&["suite/serve.cjs", "quickjs"])?,
            "node-jitless" => serve(&["--jitless", "suite/serve.cjs", "node"])?,
            _ => serve(&["suite/serve.cjs", "node"])?,
        };
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        let path = match engine.name {
            AMPOULE => format!("/invoke/{name}"),
            _ => "/".to_owned(),
        };
        Ok(Self { engine, path, way })
    }

    pub(super) fn engine(&self) -> &'static Engine {
        self.engine
    }

    /// Runs a benchmark so often, in one request.
    pub(super) fn call(&mut self, benchmark: usize, count: u32) -> Outcome<Called> {
        let named = |message| format!("{}: {message}", self.engine.name);
        let begun;
        let mut invocation = None;
        match &mut self.way {
            Way::Server(server) => {
                let path = format!("{}?benchmark={benchmark}&count={count}", self.path);
                let mut client = Client::connect(&server.url, PATIENCE)?;
                begun = now();
                let answer = client.get(&path).map_err(named)?;
                answer.text().map_err(named)?;
                invocation = answer.field("x-ampoule-invocation").map(str::to_owned);
            }
            Way::Native { input, output, .. } => {
                begun = now();
                let mut line = String::new();
                let told = writeln!(input, "{benchmark} {count}");
                let read = told.and_then(|()| output.read_line(&mut line));
                if read.is_err() || line.trim() != "done" {
                    return Err(named("it ended".to_owned()));
                }
            }
        }
        Ok(Called {
            millis: begun.elapsed().as_secs_f64() * 1000.0,
            invocation,
        })
    }

    /// What the record of a request says that it took; not a number where there is none.
    pub(super) fn fuel(&self, called: &Called) -> Outcome<f64> {
        let (Way::Server(server), Some(id)) = (&self.way, &called.invocation) else {
            return Ok(f64::NAN);
        };
        let path = format!("/api/v1/tenants/default/invocations/{id}");
        let mut client = Client::connect(&server.url, PATIENCE)?;
        let deadline = now() + Duration::from_secs(10);
        // Records are written behind the answer.
        loop {
            let answer = client.get(&path)?;
            if answer.status != 404 || now() > deadline {
                let text = answer.text()?;
                return fuel_of(&text).ok_or_else(|| format!("no fuel in {text}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn end(self) {
        match self.way {
            Way::Server(server) => server.end(),
            Way::Native {
                mut child, input, ..
            } => {
                // It ends with its input.
                drop(input);
                let _ = child.wait();
            }
        }
    }
}

fn native(file: &Path) -> Outcome<Way> {
    // Built first, so that building is not timed.
    run(cargo().args(NATIVE).args(["--no-run"]))?;
    let mut command = cargo();
    command.args(NATIVE).arg("--").arg(file);
    let mut command = bound(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = command.spawn();
    let mut child = child.map_err(|error| format!("cannot run setpriv: {error}"))?;
    let input = child.stdin.take().expect("it was asked for");
    let output = BufReader::new(child.stdout.take().expect("it was asked for"));
    Ok(Way::Native {
        child,
        input,
        output,
    })
}

/// The fuel in an invocation's record.
pub(in crate::peers) fn fuel_of(record: &str) -> Option<f64> {
    let (_, rest) = record.split_once("\"fuel\":")?;
    let number = rest.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit())?;
    number[..end].parse().ok()
}
