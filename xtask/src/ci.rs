//! Everything that has to pass before a change is taken. `.ci/run` does nothing else.
//!
//! All steps are run, so that one run names all that is wrong; the summary is the last thing
//! printed.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::fuzz;
use crate::guest::{self, Rebuild};
use crate::packages;
use crate::readme;
use crate::shell::{Outcome, Program, cargo, is_installed, root, run, target_dir};

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What can be told without Node or a Wasm toolchain.
    Quick,
    /// Everything.
    Full,
}

/// One thing that has to pass.
struct Step {
    /// What is printed, before it and in the summary.
    name: &'static str,
    /// Left out by [`Depth::Quick`].
    full_only: bool,
    /// Does it.
    check: fn(Depth) -> Outcome<Verdict>,
}

/// How a step ended that did not fail.
enum Verdict {
    Passed,
    /// It could not be done here, and why that is no failure.
    LeftOut(&'static str),
}

const STEPS: &[Step] = &[
    Step {
        name: "formatting",
        full_only: false,
        check: formatting,
    },
    Step {
        name: "guest artifact",
        full_only: false,
        check: guest_artifact,
    },
    Step {
        name: "clippy",
        full_only: false,
        check: |_| passed(run(cargo().args(CLIPPY))),
    },
    Step {
        name: "tests",
        full_only: false,
        check: tests,
    },
    Step {
        name: "tests of the guest's tools",
        full_only: false,
        check: guest_tool_tests,
    },
    Step {
        name: "tests of the guest's JavaScript",
        full_only: true,
        check: guest_tests,
    },
    Step {
        name: "bench smoke",
        full_only: true,
        check: bench_smoke,
    },
    Step {
        name: "README",
        full_only: true,
        check: |_| passed(readme::check(Program::Tested)),
    },
    Step {
        name: "npm packages",
        full_only: true,
        check: npm_packages,
    },
    Step {
        name: "fuzzer",
        full_only: true,
        check: fuzzer,
    },
    Step {
        name: "dependencies",
        full_only: true,
        check: dependencies,
    },
];

const CLIPPY: &[&str] = &[
    "clippy",
    "--locked",
    "--workspace",
    "--all-targets",
    "--",
    "-Dwarnings",
];

/// With what `cargo test` built, which takes no figures but saves building everything once more.
const BENCH_SMOKE: &[&str] = &[
    "bench",
    "--locked",
    "--profile=dev",
    "--bench=cost",
    "--",
    "--smoke",
];

/// Runs every step and prints how long each took.
///
/// # Errors
/// When a step failed; the text names all that did.
pub(crate) fn run_all(depth: Depth) -> Outcome {
    let mut summary = String::new();
    let mut failed = Vec::new();
    for step in STEPS {
        if step.full_only && depth == Depth::Quick {
            continue;
        }
        println!("\n=== {}", step.name);
        let begun = now();
        let outcome = (step.check)(depth);
        let took = shown(begun.elapsed());
        let word = match &outcome {
            Ok(Verdict::Passed) => "passed".to_owned(),
            Ok(Verdict::LeftOut(reason)) => format!("left out: {reason}"),
            Err(message) => {
                eprintln!("error: {message}");
                failed.push(step.name);
                "FAILED".to_owned()
            }
        };
        println!("=== {}: {word} ({took})", step.name);
        summary.push_str(&format!("{took:>8}  {:<32} {word}\n", step.name));
    }
    println!("\n{summary}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}

fn passed(outcome: Outcome) -> Outcome<Verdict> {
    outcome.map(|()| Verdict::Passed)
}

fn formatting(_: Depth) -> Outcome<Verdict> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    passed(run(cargo().args([
        "fmt",
        "--manifest-path=guest/Cargo.toml",
        "--all",
        "--check",
    ])))
}

fn guest_artifact(depth: Depth) -> Outcome<Verdict> {
    let rebuild = match depth {
        Depth::Quick => Rebuild::Never,
        Depth::Full => Rebuild::WhereToolsMatch,
    };
    passed(guest::check(rebuild))
}

/// The command that the README gives, then the tests of this crate, which it leaves out.
fn tests(_: Depth) -> Outcome<Verdict> {
    run(cargo().args(["test", "--locked"]))?;
    passed(run(cargo().args(["test", "--locked", "-pxtask"])))
}

/// Of what puts the guest together, and of what it computes natively; none of it needs a Wasm toolchain.
fn guest_tool_tests(_: Depth) -> Outcome<Verdict> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--manifest-path=guest/Cargo.toml"])
        .args(["-pampoule-guest-link", "-pampoule-crypto", "--target-dir"])
        .arg(target_dir().join("guest-tools"));
    passed(run(&mut command))
}

fn guest_tests(_: Depth) -> Outcome<Verdict> {
    if !is_installed("npm") {
        return Ok(Verdict::LeftOut("npm is not installed"));
    }
    let npm = || {
        let mut command = Command::new("npm");
        command.current_dir(root().join("guest/js"));
        command
    };
    run(npm().args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    passed(run(npm().arg("test")))
}

/// One short round of everything, with the fuel held against what is checked in.
fn bench_smoke(_: Depth) -> Outcome<Verdict> {
    for part in [None, Some("--curves"), Some("--scale")] {
        run(cargo().args(BENCH_SMOKE).args(part))?;
    }
    Ok(Verdict::Passed)
}

fn npm_packages(_: Depth) -> Outcome<Verdict> {
    if let Some(reason) = packages::missing() {
        return Ok(Verdict::LeftOut(reason));
    }
    passed(packages::compare(Program::Tested, &["--check"]))
}

fn fuzzer(_: Depth) -> Outcome<Verdict> {
    if let Some(reason) = fuzz::missing() {
        return Ok(Verdict::LeftOut(reason));
    }
    passed(fuzz::check(&fuzz::Plan::small(Program::Tested)))
}

fn dependencies(_: Depth) -> Outcome<Verdict> {
    if !is_installed("cargo-deny") {
        return Ok(Verdict::LeftOut("cargo-deny is not installed"));
    }
    passed(run(cargo().args([
        "deny", "--locked", "check", "licenses", "bans", "sources",
    ])))
}

#[expect(
    clippy::disallowed_methods,
    reason = "xtask has no clock module to keep time in"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
