//! Running other programs, and where things are.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a step of work answers; the text says what went wrong and what to do about it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The repository's top folder.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let parent = Path::new(&here).parent();
    parent.expect("xtask/ is inside the repository").to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    // Joining an absolute path replaces what it is joined to.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// Which build of the server is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The one that README.md says to build.
    Release,
    /// The one that `cargo test` built: the same code without another build of everything.
    Tested,
}

impl Program {
    /// Where it is once it is built.
    pub(crate) fn path(self) -> PathBuf {
        target_dir().join(match self {
            Self::Release => "release/ampoule",
            Self::Tested => "debug/ampoule",
        })
    }
}

/// The cargo that runs this program, to be run in the repository's top folder.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Whether a program of this name can be started. It is asked for its version.
pub(crate) fn is_installed(program: &str) -> bool {
    answer(Command::new(program).arg("--version")).is_ok()
}

/// Runs a program on the same terminal, without input.
///
/// # Errors
/// When it cannot be started or does not end with 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` failed: {status}"))
    }
}

/// Runs a program and answers what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started, does not end with 0, or writes something other than UTF-8.
pub(crate) fn answer(command: &mut Command) -> Outcome<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{shown}` failed: {}", reason.trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` did not answer with text"))
}

/// Adds the name of a file to what the operating system said about it.
pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).take(8).collect();
    words.join(" ")
}
