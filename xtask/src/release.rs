//! The server to install: a release build with profile-guided optimization (ADR 0033).
//!
//! A build that counts what it runs is put under load. What it counted decides in the next build what
//! is compiled for speed and laid out together, and what is out of its way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::{check_load, train};
use crate::shell::{Outcome, answer, at, cargo, run, target_dir};

/// Builds it, and says where it is.
///
/// # Errors
/// When something is not installed, does not build, or does not run.
pub(crate) fn build(seconds: Option<u32>) -> Outcome {
    check_load()?;
    let rustc = Rustc::asked()?;
    let profdata = profdata(&rustc)?;
    let folder = target_dir().join("pgo");
    let counts = folder.join("counts");
    if counts.exists() {
        // Those of other sources would be of no use.
        fs::remove_dir_all(&counts).map_err(at(&counts))?;
    }
    eprintln!("1 of 3: a build that counts what it runs");
    let flag = format!("-Cprofile-generate={}", counts.display());
    let counting = server(&rustc, &folder.join("counting"), &flag)?;
    eprintln!("2 of 3: load on it");
    train(&counting, seconds)?;
    let profile = folder.join("server.profdata");
    let mut merge = Command::new(profdata);
    run(merge.arg("merge").arg("-o").arg(&profile).arg(&counts))?;
    eprintln!("3 of 3: the build that makes use of the counts");
    // Crates that are as they were stay as they were built: for earlier counts of the same code.
    let flag = format!("-Cprofile-use={}", profile.display());
    let optimised = server(&rustc, &folder.join("optimised"), &flag)?;
    let result = folder.join("ampoule");
    fs::copy(&optimised, &result).map_err(at(&optimised))?;
    println!("{}", result.display());
    Ok(())
}

/// Builds the server with a flag for all crates but those that only run while building.
fn server(rustc: &Rustc, folder: &Path, flag: &str) -> Outcome<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--locked", "--release", "--bin", "ampoule"])
        // With a target, build scripts and macros are compiled without the flag.
        .args(["--target", &rustc.host])
        .arg("--target-dir")
        .arg(folder)
        // A flag in this variable may hold spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", flag);
    run(&mut command)?;
    Ok(folder.join(&rustc.host).join("release/ampoule"))
}

/// What the compiler says of itself.
struct Rustc {
    host: String,
    llvm_major: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn asked() -> Outcome<Self> {
        let version = answer(rustc().arg("-vV"))?;
        let sysroot = answer(rustc().args(["--print", "sysroot"]))?;
        let about = about(&version);
        let (host, llvm_major) = about.ok_or("rustc -vV names no host and no LLVM")?;
        Ok(Self {
            host,
            llvm_major,
            sysroot: PathBuf::from(sysroot.trim()),
        })
    }
}

/// The compiler that cargo takes.
fn rustc() -> Command {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(program)
}

/// The host and the first number of LLVM's version, of what `rustc -vV` says.
fn about(version: &str) -> Option<(String, String)> {
    let after = |name| version.lines().find_map(|line| line.strip_prefix(name));
    let llvm = after("LLVM version: ")?.split('.').next()?;
    Some((after("host: ")?.to_owned(), llvm.to_owned()))
}

/// The program that puts counts together: rustup's, or the system's for the same LLVM.
fn profdata(rustc: &Rustc) -> Outcome<PathBuf> {
    let of_rustup = rustc.sysroot.join("lib/rustlib").join(&rustc.host);
    let programs = [
        of_rustup.join("bin/llvm-profdata"),
        PathBuf::from(format!("llvm-profdata-{}", rustc.llvm_major)),
        PathBuf::from("llvm-profdata"),
    ];
    let fits = |program: &PathBuf| {
        let version = answer(Command::new(program).arg("merge").arg("--version"));
        version.is_ok_and(|text| text.contains(&format!("LLVM version {}.", rustc.llvm_major)))
    };
    programs.into_iter().find(fits).ok_or_else(|| {
        format!(
            "there is no llvm-profdata of LLVM {0}: rustup component add llvm-tools, \
             or apt-get install llvm-{0}",
            rustc.llvm_major
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_its_host_and_its_llvm() {
        let version = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
                       host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let expected = ("x86_64-unknown-linux-gnu".to_owned(), "22".to_owned());
        assert_eq!(about(version), Some(expected));
        assert_eq!(about("rustc 1.95.0"), None);
    }
}
