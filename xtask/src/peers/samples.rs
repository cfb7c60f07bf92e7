//! What was measured, and the medians of it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use crate::shell::{Outcome, at};

/// One load on one server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) peer: String,
    pub(super) case: String,
    pub(super) connections: u32,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Time of processors, of the server and what it started.
    pub(super) cpu_us: f64,
    pub(super) faults: f64,
    pub(super) errors: f64,
    pub(super) resident_mib: f64,
    /// Before the first request.
    pub(super) idle_mib: f64,
    /// What three calls of `/state` answered: `1,1,1` when nothing is left behind.
    pub(super) state: String,
}

impl Sample {
    /// The sample in one line, with tabs.
    pub(super) fn to_line(&self) -> String {
        let numbers = self.numbers().map(|number| format!("{number:.3}"));
        let [peer, case] = [&self.peer, &self.case];
        let (connections, state) = (self.connections, &self.state);
        format!(
            "{peer}\t{case}\t{connections}\t{state}\t{}\n",
            numbers.join("\t")
        )
    }

    /// Reads what [`Self::to_line`] wrote.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split('\t');
        let mut word = || words.next().map(str::to_owned);
        let (peer, case) = (word()?, word()?);
        let (connections, state) = (word()?.parse().ok()?, word()?);
        let mut number = || words.next()?.trim().parse().ok();
        Some(Self {
            peer,
            case,
            connections,
            state,
            per_second: number()?,
            p50_us: number()?,
            p99_us: number()?,
            cpu_us: number()?,
            faults: number()?,
            errors: number()?,
            resident_mib: number()?,
            idle_mib: number()?,
        })
    }

    fn numbers(&self) -> [f64; 8] {
        [
            self.per_second,
            self.p50_us,
            self.p99_us,
            self.cpu_us,
            self.faults,
            self.errors,
            self.resident_mib,
            self.idle_mib,
        ]
    }
}

/// The samples of a file, of which there may be none yet.
pub(super) fn kept(path: &Path) -> Outcome<Vec<Sample>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).map_err(at(path))?;
    let samples = text.lines().map(Sample::of_line).collect::<Option<_>>();
    samples.ok_or_else(|| format!("{} is no file of samples", path.display()))
}

/// Adds a sample to a file.
pub(super) fn keep(path: &Path, sample: &Sample) -> Outcome {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(sample.to_line().as_bytes()));
    written.map_err(at(path))
}

/// The samples of one cell of a table.
pub(super) struct Cell<'a> {
    samples: Vec<&'a Sample>,
}

impl<'a> Cell<'a> {
    pub(super) fn of(samples: &'a [Sample], is_in: impl Fn(&Sample) -> bool) -> Option<Self> {
        let samples: Vec<_> = samples.iter().filter(|sample| is_in(sample)).collect();
        (!samples.is_empty()).then_some(Self { samples })
    }

    pub(super) fn rounds(&self) -> usize {
        self.samples.len()
    }

    /// The median of a figure.
    pub(super) fn median(&self, figure: fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(|sample| figure(sample)).collect())
    }

    /// The largest of a figure.
    pub(super) fn most(&self, figure: fn(&Sample) -> f64) -> f64 {
        self.samples
            .iter()
            .map(|sample| figure(sample))
            .fold(0.0, f64::max)
    }

    /// What `/state` answered, with everything that it ever answered.
    pub(super) fn state(&self) -> &'a str {
        let last = |sample: &&&Sample| sample.state != FRESH;
        self.samples
            .iter()
            .find(last)
            .map_or(FRESH, |sample| sample.state.as_str())
    }
}

/// What `/state` answers when requests leave nothing behind.
pub(super) const FRESH: &str = "1,1,1";

/// The median; not a number when there are none.
pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match numbers.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => numbers[half],
        _ => f64::midpoint(numbers[half - 1], numbers[half]),
    }
}

/// The number that so many percent are not above; not a number when there are none.
pub(super) fn percentile(mut numbers: Vec<f64>, percent: usize) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = (numbers.len() * percent).div_ceil(100).saturating_sub(1);
    numbers.get(at).copied().unwrap_or(f64::NAN)
}

/// The geometric mean.
pub(super) fn geometric_mean(numbers: &[f64]) -> f64 {
    let sum: f64 = numbers.iter().map(|number| number.ln()).sum();
    let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    (sum / f64::from(count)).exp()
}
