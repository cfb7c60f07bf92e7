//! Has a fuzzer look for answers that the OpenAPI document does not describe, and for 5xx.
//!
//! schemathesis does the work, as `tests/fuzz/schemathesis.toml` and `tests/fuzz/hooks.py` say,
//! in a virtual environment below the target folder with the versions that
//! `tests/fuzz/requirements.txt` names. The server is started on a free port with a data folder of
//! its own.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::readme::{end, get};
use crate::shell::{Outcome, Program, answer, at, cargo, root, run, target_dir};

/// What the virtual environment is made of.
const REQUIREMENTS: &str = "requirements.txt";
/// The operator's key to the server that is tried.
const KEY: &str = "the-key-of-a-server-that-nobody-else-reaches";

/// How much is tried, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The server; without one it is built.
    pub(crate) server: Option<PathBuf>,
    /// Requests made up for each operation, in each of the phases that make up any.
    pub(crate) examples: u32,
    /// The same seed means the same requests.
    pub(crate) seed: u32,
    /// Whether the server has a key; without one it answers whoever is on this machine.
    pub(crate) has_key: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            server: None,
            examples: 30,
            seed: 1,
            has_key: true,
        }
    }
}

impl Plan {
    /// What `cargo xtask ci` has time for.
    pub(crate) fn small(program: Program) -> Self {
        Self {
            server: Some(program.path()),
            examples: 5,
            ..Self::default()
        }
    }

    /// The plan that a command line asks for, if it makes sense.
    pub(crate) fn of(arguments: &[&str]) -> Option<Self> {
        let mut plan = Self::default();
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            match *flag {
                "--no-key" => plan.has_key = false,
                "--server" => plan.server = Some(PathBuf::from(rest.next()?)),
                "--examples" => plan.examples = rest.next()?.parse().ok()?,
                "--seed" => plan.seed = rest.next()?.parse().ok()?,
                _ => return None,
            }
        }
        (plan.examples > 0).then_some(plan)
    }
}

/// Why the fuzzer cannot be run here, if it cannot.
pub(crate) fn missing() -> Option<&'static str> {
    let asked = answer(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    asked
        .is_err()
        .then_some("python3 with venv is not installed")
}

/// Runs the fuzzer. What it found is printed; the server's own log is kept beside the data.
///
/// # Errors
/// When something is missing, when there is a finding, and when the server says that something is
/// wrong with it, or does not end as it should.
pub(crate) fn check(plan: &Plan) -> Outcome {
    if let Some(reason) = missing() {
        return Err(reason.to_owned());
    }
    let program = match &plan.server {
        Some(program) => program.clone(),
        None => {
            // As `cargo test` does, so that nothing is built a second time.
            run(cargo().args(["build", "--locked", "--bin=ampoule", "--test=it"]))?;
            Program::Tested.path()
        }
    };
    let folder = target_dir().join("fuzz");
    install(&folder)?;
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(at(&data))?;
    }
    let log = folder.join("server.log");
    let mut server = start(&program, plan, &data, &log)?;
    let tried = listening(&mut server).and_then(|url| try_out(plan, &folder, &url));
    let ended = end(&mut server);
    tried.and(ended).and(calm(&log))
}

/// Makes the virtual environment, unless it is there with all that is wanted.
fn install(folder: &Path) -> Outcome {
    let wanted = root().join("tests/fuzz").join(REQUIREMENTS);
    let text = fs::read(&wanted).map_err(at(&wanted))?;
    let installed = folder.join(REQUIREMENTS);
    if fs::read(&installed).is_ok_and(|before| before == text) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    let venv = folder.join("venv");
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .arg("--requirement")
        .arg(&wanted))?;
    // Only now: an installation that broke off is made anew.
    fs::write(&installed, text).map_err(at(&installed))
}

fn start(program: &Path, plan: &Plan, data: &Path, log: &Path) -> Outcome<Child> {
    let file = File::create(log).map_err(at(log))?;
    let mut command = Command::new(program);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .arg("--data")
        .arg(data)
        .arg("--cache")
        .arg(data.with_file_name("cache"))
        .env_remove("AMPOULE_KEY")
        .env_remove("AMPOULE_API_LISTEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
    if plan.has_key {
        command.env("AMPOULE_KEY", KEY);
    }
    let started = command.spawn();
    started.map_err(|error| format!("cannot start {}: {error}", program.display()))
}

/// Where the server says that it listens.
fn listening(server: &mut Child) -> Outcome<String> {
    let output = server.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let url = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    // The server must never wait for somebody to read its output.
    thread::spawn(move || lines.for_each(drop));
    url.ok_or_else(|| "the server ended before it listened".to_owned())
}

fn try_out(plan: &Plan, folder: &Path, url: &str) -> Outcome {
    let key = if plan.has_key { KEY } else { "" };
    let field = if plan.has_key {
        format!("authorization: Bearer {KEY}\r\n")
    } else {
        String::new()
    };
    let answered = get(&format!("{url}/api/v1/openapi.json"), &field)?;
    let found = answered.split_once("\r\n\r\n");
    let (_, text) = found
        .filter(|(head, _)| head.starts_with("HTTP/1.1 200 "))
        .ok_or(answered.clone())?;
    let document = folder.join("openapi.json");
    fs::write(&document, text).map_err(at(&document))?;
    let tests = root().join("tests/fuzz");
    let mut command = Command::new(folder.join("venv/bin/schemathesis"));
    command
        .current_dir(folder)
        .arg("--config-file")
        .arg(tests.join("schemathesis.toml"))
        .arg("run")
        .arg(&document)
        .args(["--no-color", "--origin", url])
        .args(["--max-examples", &plan.examples.to_string()])
        .args(["--seed", &plan.seed.to_string()])
        .env("AMPOULE_FUZZ_HOOKS", tests.join("hooks.py"))
        .env("AMPOULE_FUZZ_URL", url)
        .env("AMPOULE_KEY", key)
        // Nothing is written beside the hooks.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if env::var_os("NO_PROXY").is_none() {
        command.env("NO_PROXY", "127.0.0.1");
    }
    run(&mut command)
}

/// Whether the server's log has nothing that a person must look at.
fn calm(log: &Path) -> Outcome {
    let text = fs::read_to_string(log).map_err(at(log))?;
    let errors = text
        .lines()
        .filter(|line| line.contains("\"level\":\"ERROR\""));
    let errors: Vec<&str> = errors.take(10).collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the server's log has errors:\n{}",
        errors.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_a_plan_or_makes_no_sense() {
        assert_eq!(Plan::of(&[]), Some(Plan::default()));
        let plan = Plan::of(&["--seed", "7", "--no-key", "--server", "a/b"]).unwrap();
        assert_eq!((plan.seed, plan.has_key), (7, false));
        assert_eq!(plan.server, Some(PathBuf::from("a/b")));
        for wrong in [
            &["--seed"][..],
            &["--seed", "x"],
            &["x"],
            &["--examples", "0"],
        ] {
            assert_eq!(Plan::of(wrong), None, "{wrong:?}");
        }
    }
}
