//! `cargo xtask …`: what is done to this repository by command, without any dependency.
//!
//! [`guest`] builds the Wasm guest and keeps its artifacts honest, [`ci`] is everything that has to
//! pass before a change is taken, [`readme`] tries what README.md promises, [`packages`] runs npm
//! packages, [`fuzz`] looks for answers that are not in the OpenAPI document, [`peers`] measures
//! beside others, [`release`] builds the server to install. Results go to stdout; a failure is told
//! on stderr and ends with 1, a command line that makes no sense with 2.

mod ci;
mod fuzz;
mod guest;
mod manifest;
mod packages;
mod peers;
mod readme;
mod release;
mod shell;

use std::process::ExitCode;

use crate::shell::{Outcome, Program, cargo, run};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  guest [--check [--no-rebuild]]  Build guest/artifact, or check that it belongs to the sources.
                                  With the recorded tools installed, --check also builds it anew
                                  and compares bit for bit; --no-rebuild leaves that out.
  guest --train                   Learns from a load what the guest executes often, writes that to
                                  guest/link/profile.txt, and builds it. wrk and npm are needed.
  ci [--quick]                    Everything that has to pass before a change is taken. --quick
                                  leaves out what needs Node or a Wasm toolchain.
  readme                          Tries README.md's command, with a release build.
  packages [--check] [NAME…]      Runs npm packages in Node and in functions, compares the results,
                                  and writes docs/packages.md, or checks it; with names, only those.
  fuzz [--server BIN] [--no-key]  Has schemathesis hold the server against its OpenAPI document.
       [--examples N] [--seed N]  Without BIN it is built; the same seed means the same requests.
  peers [SECTION] [OPTION…]       The same load on Ampoule and on other ways to run JavaScript;
                                  --help has more.
  release [--seconds N]           The server to install: a release build with profile-guided
                                  optimization, target/pgo/ampoule; each load that it learns from
                                  lasts N seconds, 4 without it. Two builds, and wrk is needed.
  bench [ARGUMENTS]               The cost of an invocation; ARGUMENTS go to benches/cost.rs,
                                  such as --curves, --scale, --check, --json or --update-fuel.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["guest"] => guest::build(),
        ["guest", "--train"] => guest::learn(),
        ["guest", flags @ ..] => match guest_flags(flags) {
            Some(rebuild) => guest::check(rebuild),
            None => return misused(),
        },
        ["ci"] => ci::run_all(ci::Depth::Full),
        ["ci", "--quick"] => ci::run_all(ci::Depth::Quick),
        ["readme"] => readme::check(Program::Release),
        ["packages", names @ ..] => packages::compare(Program::Release, names),
        ["fuzz", flags @ ..] => match fuzz::Plan::of(flags) {
            Some(plan) => fuzz::check(&plan),
            None => return misused(),
        },
        ["peers", "help" | "--help" | "-h"] => {
            print!("{}", peers::USAGE);
            Ok(())
        }
        ["peers", rest @ ..] => match peers::Plan::of(rest) {
            Some(plan) => peers::compare(&plan),
            None => {
                eprint!("{}", peers::USAGE);
                return ExitCode::from(2);
            }
        },
        ["release"] => release::build(None),
        ["release", "--seconds", seconds] => match seconds.parse() {
            Ok(seconds) if seconds > 0 => release::build(Some(seconds)),
            _ => return misused(),
        },
        ["bench", rest @ ..] => bench(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => return misused(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What the flags after `guest` ask for, if they make sense.
fn guest_flags(flags: &[&str]) -> Option<guest::Rebuild> {
    match flags {
        ["--check"] => Some(guest::Rebuild::WhereToolsMatch),
        ["--check", "--no-rebuild"] | ["--no-rebuild", "--check"] => Some(guest::Rebuild::Never),
        _ => None,
    }
}

fn bench(arguments: &[&str]) -> Outcome {
    let mut command = cargo();
    command.args(["bench", "--locked", "--bench", "cost"]);
    if arguments.contains(&"--update-fuel") {
        // Fuel is the same in every build, and this one is made by the tests anyway.
        command.arg("--profile=dev");
    }
    run(command.arg("--").args(arguments))
}

fn misused() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
