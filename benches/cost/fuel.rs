//! The fuel of every case and sample, held against what is checked in.
//!
//! Fuel counts WebAssembly instructions and says the same on every machine, so that a change of
//! some percent is a change of the code, and nobody has to measure time to see it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use ampoule::id::TenantId;
use ampoule::sandbox::Image;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cases::{self, Case};
use super::platform::{Ask, Name, Parts, upload};
use super::samples;
use super::sandbox::Host;

/// What is checked in.
const FILE: &str = "benches/fuel.toml";
const HEADER: &str = "\
# WebAssembly instructions of one invocation, as wasmtime counts them: of the bench's cases, and of
# the samples in tests/samples. `cargo xtask bench --check` and `--smoke` fail when one differs by
# more than 3 %; `cargo xtask bench --update-fuel` writes this file. See docs/benchmarks.md.

";
/// How far a figure may be from what is checked in, as a share.
const DRIFT_MAX: f64 = 0.03;
/// Invocations of each, of which the median counts.
const RUNS: usize = 5;

/// Fuel by name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fuel {
    cases: BTreeMap<String, u64>,
    samples: BTreeMap<String, u64>,
}

/// What was measured, beside what is checked in.
#[derive(Debug)]
pub(crate) struct Compared {
    measured: Fuel,
    checked_in: Fuel,
    /// Invocations of the same thing that did not take the same: name, least and most.
    varying: Vec<(String, u64, u64)>,
    faults: Vec<String>,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)
}

/// Runs everything some times. Needs nothing of the machine.
pub(crate) async fn measure(host: &mut Host, cases: &[Case]) -> Result<Compared> {
    let (samples, faults) = samples::all()?;
    let mut measuring = Measuring::default();
    for case in cases
        .iter()
        .chain(&cases::kv_pair())
        .chain([&cases::large()])
    {
        for (suffix, source) in [
            ("", case.source.clone()),
            (", evaluated per request", cases::impure(&case.source)),
        ] {
            let name = format!("{}{suffix}", case.name);
            let deployment = host.deploy(&source).await?;
            let fuel = measuring
                .runs(host, &name, &deployment.image, &case.ask)
                .await;
            measuring
                .fuel
                .cases
                .insert(name.clone(), fuel.context(name)?);
        }
    }
    let parts = Parts::new(&host.engine)?;
    for sample in samples {
        let name = Name::new(sample.name)?;
        let settings = sample.settings.clone();
        let uploaded = upload(
            &parts.deploy,
            &name,
            sample.filename,
            sample.source,
            settings,
        );
        let (image, _) = parts.images.get(&*uploaded.await?).await?;
        let fuel = measuring.runs(host, sample.name, &image, &sample.ask).await;
        let fuel = fuel.context(sample.name)?;
        measuring.fuel.samples.insert(sample.name.to_owned(), fuel);
    }
    let checked_in = match std::fs::read_to_string(path()) {
        Ok(text) => toml::from_str(&text).context(FILE)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Fuel::default(),
        Err(error) => return Err(error).context(FILE),
    };
    Ok(Compared {
        measured: measuring.fuel,
        varying: measuring.varying,
        checked_in,
        faults,
    })
}

#[derive(Default)]
struct Measuring {
    fuel: Fuel,
    varying: Vec<(String, u64, u64)>,
    /// Namespaces of kv that were used.
    namespaces: usize,
}

impl Measuring {
    /// The median of some runs, each of which finds kv as a new tenant does, but for the value
    /// that the bench's cases read.
    async fn runs(&mut self, host: &Host, name: &str, image: &Image, ask: &Ask) -> Result<u64> {
        let mut all = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            self.namespaces += 1;
            let tenant: TenantId = format!("fuel-{}", self.namespaces).parse()?;
            let kv = host.namespace(&tenant).await?;
            let (finished, _head) = host.run(image, ask, Some(kv)).await;
            all.push(finished.fuel);
        }
        all.sort_unstable();
        let (least, most) = (all[0], all[RUNS - 1]);
        if least != most {
            self.varying.push((name.to_owned(), least, most));
        }
        Ok(all[RUNS / 2])
    }
}

impl Fuel {
    fn all(&self) -> impl Iterator<Item = (&String, u64)> {
        let all = self.cases.iter().chain(&self.samples);
        all.map(|(name, fuel)| (name, *fuel))
    }

    fn get(&self, name: &str) -> Option<u64> {
        let found = self.cases.get(name).or_else(|| self.samples.get(name));
        found.copied()
    }
}

/// How much more a figure is than another, as a share.
fn drift(now: u64, before: u64) -> f64 {
    now as f64 / before as f64 - 1.0
}

impl Compared {
    /// Why it fails.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (name, fuel) in self.measured.all() {
            let Some(before) = self.checked_in.get(name) else {
                faults.push(format!("{name}: {fuel} fuel, and {FILE} does not have it"));
                continue;
            };
            let drift = drift(fuel, before);
            if drift.abs() > DRIFT_MAX {
                faults.push(format!(
                    "{name}: {fuel} fuel, {:+.1} % from {before} in {FILE}",
                    drift * 100.0
                ));
            }
        }
        for (name, _) in self.checked_in.all() {
            if self.measured.get(name).is_none() {
                faults.push(format!("{name} is in {FILE} and nowhere else"));
            }
        }
        faults
    }

    /// Writes what was measured where it is checked in.
    pub(crate) fn write(&self) -> Result<()> {
        let text = format!("{HEADER}{}", toml::to_string(&self.measured)?);
        std::fs::write(path(), text).context(FILE)
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let varying = self.varying.iter();
        json!({
            "measured": self.measured,
            "varying": varying
                .map(|(name, least, most)| (name.clone(), json!([least, most])))
                .collect::<serde_json::Map<_, _>>(),
            "faults": self.faults(),
        })
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut worst = (0.0_f64, "");
        for (name, fuel) in self.measured.all() {
            let before = self.checked_in.get(name).unwrap_or(fuel);
            let drift = drift(fuel, before);
            if drift.abs() > worst.0.abs() {
                worst = (drift, name);
            }
        }
        let len = self.measured.all().count();
        let mut text = format!("fuel of {len} cases and samples: ");
        if worst.1.is_empty() {
            text.push_str("as checked in");
        } else {
            let _ = write!(text, "{:+.2} % at most ({})", worst.0 * 100.0, worst.1);
        }
        for (name, least, most) in &self.varying {
            let _ = write!(text, "\n  varies: {name}, {least} to {most}");
        }
        f.write_str(&text)
    }
}
