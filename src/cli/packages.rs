//! Packages that a folder names and does not have: the user's own package manager installs them.
//!
//! It runs in a copy of the folder, so that nothing of the folder changes, and runs no scripts of
//! packages: those could do anything on this machine, and what they compile cannot run in a
//! sandbox.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::pack::{self, PACKAGES_NAME, Packed, Part};
use super::problem::CliError;

/// Largest `package.json` or lock file that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 32 << 20;
/// Most lines that are shown of what a package manager said.
const SHOWN_LINES_MAX: usize = 20;
/// Folder in which pnpm keeps packages, with links to them where others look for them.
const PNPM_STORE: &str = ".pnpm";

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    Yarn,
    /// Yarn from version 2 on, whose lock file and flags are others.
    YarnBerry,
    Bun,
}

/// Lock files, and whose they are.
const LOCKS: [(&str, Manager); 6] = [
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("yarn.lock", Manager::Yarn),
    ("bun.lock", Manager::Bun),
    ("bun.lockb", Manager::Bun),
    ("package-lock.json", Manager::Npm),
    ("npm-shrinkwrap.json", Manager::Npm),
];

impl Manager {
    fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn | Self::YarnBerry => "yarn",
            Self::Bun => "bun",
        }
    }

    /// Installs exactly what the lock file says, without scripts and what is for development.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &[
                "ci",
                "--omit=dev",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ],
            // Without links: nothing in a deployment is a link.
            Self::Pnpm => &[
                "install",
                "--frozen-lockfile",
                "--prod",
                "--ignore-scripts",
                "--config.node-linker=hoisted",
            ],
            Self::Yarn => &[
                "install",
                "--frozen-lockfile",
                "--production",
                "--ignore-scripts",
                "--non-interactive",
            ],
            Self::YarnBerry => &["install", "--immutable"],
            Self::Bun => &[
                "install",
                "--frozen-lockfile",
                "--production",
                "--ignore-scripts",
            ],
        }
    }

    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::YarnBerry => &[
                ("YARN_ENABLE_SCRIPTS", "false"),
                ("YARN_NODE_LINKER", "node-modules"),
            ],
            Self::Npm | Self::Pnpm | Self::Yarn | Self::Bun => &[],
        }
    }
}

/// Packages that were installed, for as long as this lives.
#[derive(Default)]
pub(super) struct Packages {
    installed: Option<Installed>,
}

struct Installed {
    /// Of what they were installed from.
    digest: [u8; 32],
    folder: TempDir,
}

impl Packages {
    /// Packs a file or a folder; installs the packages of a folder that has none, unless that was
    /// done before. `say` gets a line about it. Blocks.
    ///
    /// # Errors
    /// Usage: what cannot be packed or installed, and what to do about it.
    pub(super) fn pack(
        &mut self,
        path: &Path,
        say: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<Packed, CliError> {
        let Some(missing) = Missing::of(path)? else {
            self.installed = None;
            return Ok(pack::pack(path)?);
        };
        if self
            .installed
            .as_ref()
            .is_none_or(|have| have.digest != missing.digest)
        {
            self.installed = None;
            self.installed = Some(missing.install(path, say)?);
        }
        let installed = self
            .installed
            .as_ref()
            .map(|installed| installed.folder.path());
        Ok(pack::pack_with(path, installed)?)
    }
}

/// Packages that a folder needs.
struct Missing {
    manager: Manager,
    digest: [u8; 32],
    /// Why what is there does not do.
    why: &'static str,
}

impl Missing {
    fn of(folder: &Path) -> Result<Option<Self>, CliError> {
        let Some(manifest) = read(&folder.join("package.json"))? else {
            return Ok(None);
        };
        let packages = folder.join(PACKAGES_NAME);
        let has_links = packages.join(PNPM_STORE).is_dir();
        if (packages.is_dir() && !has_links) || !names_packages(&manifest) {
            return Ok(None);
        }
        let mut lock = None;
        for (name, manager) in LOCKS {
            if let Some(text) = read(&folder.join(name))? {
                lock = Some((manager, text));
                break;
            }
        }
        let (mut manager, lock) = match lock {
            Some(lock) => lock,
            None if has_links => return Err(links_of_pnpm()),
            // Perhaps they are not needed; if they are, the server says which is missing.
            None => return Ok(None),
        };
        if manager == Manager::Yarn && contains(&lock, b"__metadata:") {
            manager = Manager::YarnBerry;
        }
        let mut digest = Sha256::new();
        digest.update(&manifest);
        digest.update(&lock);
        Ok(Some(Self {
            manager,
            digest: digest.finalize().into(),
            why: if has_links {
                "node_modules has pnpm's links, which cannot be deployed"
            } else {
                "there is no node_modules"
            },
        }))
    }

    fn install(
        &self,
        folder: &Path,
        say: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<Installed, CliError> {
        let copy = copy(folder)?;
        let (program, arguments) = (self.manager.program(), self.manager.arguments());
        let shown = format!("{program} {}", arguments.join(" "));
        say(&format!("{}: running {shown} in a copy", self.why))?;
        let output = Command::new(program)
            .args(arguments)
            .envs(self.manager.environment().iter().copied())
            // Scripts are off; a secret is still nothing to hand around.
            .env_remove("AMPOULE_KEY")
            .current_dir(copy.path())
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CliError::usage(format!(
                    "{}, and {program} is not installed: install {program}, or the packages",
                    self.why
                )));
            }
            Err(error) => {
                return Err(CliError::usage(format!("{program} cannot be run: {error}")));
            }
        };
        if !output.status.success() {
            let said = last_lines(&output.stdout) + &last_lines(&output.stderr);
            return Err(CliError::usage(format!(
                "{shown} failed ({}):\n{said}",
                output.status
            )));
        }
        Ok(Installed {
            digest: self.digest,
            folder: copy,
        })
    }
}

/// A copy of the folder without the packages that are there.
fn copy(folder: &Path) -> Result<TempDir, CliError> {
    let entries = pack::collect(folder, Part::WithoutPackages)?;
    let copied = || {
        let copy = tempfile::Builder::new()
            .prefix("ampoule-packages-")
            .tempdir()?;
        for entry in &entries {
            let target = copy.path().join(&entry.name);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(&entry.path, &target)?;
        }
        Ok(copy)
    };
    copied().map_err(|error: io::Error| {
        CliError::usage(format!("cannot copy {}: {error}", folder.display()))
    })
}

fn links_of_pnpm() -> CliError {
    CliError::usage(
        "node_modules has pnpm's links, which cannot be deployed: keep pnpm-lock.yaml in the \
         folder, or put node-linker=hoisted into .npmrc and install again",
    )
}

/// Whether a manifest names packages that a program needs when it runs.
fn names_packages(manifest: &[u8]) -> bool {
    let Ok(manifest) = serde_json::from_slice::<Value>(manifest) else {
        return false;
    };
    let has = |field: &str| {
        let packages = manifest.get(field).and_then(Value::as_object);
        packages.is_some_and(|packages| !packages.is_empty())
    };
    has("dependencies") || has("optionalDependencies") || manifest.get("workspaces").is_some()
}

fn read(path: &PathBuf) -> Result<Option<Vec<u8>>, CliError> {
    let failed = |error| CliError::usage(format!("cannot read {}: {error}", path.display()));
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MANIFEST_BYTES_MAX => {
            Err(failed(io::Error::other("it is too large")))
        }
        Ok(metadata) if !metadata.is_file() => Ok(None),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed(error)),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..];
    shown.iter().map(|line| format!("  {line}\n")).collect()
}
