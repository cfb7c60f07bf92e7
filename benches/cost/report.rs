//! The table of what invocations cost: from samples to figures, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use super::Once;
use super::bars::{Bar, Findings, Measure, median, quantile, rounded};
use super::cases;
use super::fuel::Compared;
use super::kv::Writes;
use super::machine::Memory;
use super::stages::Anatomy;

/// A fresh sandbox from the function's snapshot.
pub(crate) const FRESH: &str = "fresh sandbox";
/// A fresh sandbox in which the function's modules are evaluated first.
pub(crate) const PER_REQUEST: &str = "evaluated per request";
/// A fresh sandbox of another function every time.
pub(crate) const ROUND_ROBIN: &str = "fresh sandbox, in turn";
/// A fresh sandbox, with admission, grants, accounting and a record.
pub(crate) const SERVED: &str = "served, with a record";
/// A new native runtime and context.
pub(crate) const NATIVE_FRESH: &str = "native QuickJS, fresh";
/// One native context for all calls.
pub(crate) const NATIVE_WARM: &str = "native QuickJS, warm";

/// The figures of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    p50: f64,
    p99: f64,
    fuel: f64,
    host_calls: f64,
    faults: f64,
    instructions: Option<f64>,
}

impl Batch {
    /// Of invocations that caused `faults` page faults together, and took so many instructions of
    /// the processor if it counts them.
    pub(crate) fn new(all: &[Once], faults: u64, instructions: Option<u64>) -> Self {
        let mut micros: Vec<f64> = all.iter().map(|once| once.micros).collect();
        let of = |what: fn(&Once) -> u64| {
            let mut values: Vec<f64> = all.iter().map(|once| what(once) as f64).collect();
            median(&mut values)
        };
        Self {
            p50: quantile(&mut micros, 0.5),
            p99: quantile(&mut micros, 0.99),
            fuel: of(|once| once.fuel),
            host_calls: of(|once| once.host_calls),
            faults: faults as f64 / all.len() as f64,
            instructions: instructions.map(|count| count as f64 / all.len() as f64),
        }
    }
}

/// One line of the table.
pub(crate) struct Row {
    /// What is run.
    pub(crate) case: String,
    /// In what.
    pub(crate) how: &'static str,
    /// What it takes while nobody calls it, in bytes.
    resident_bytes: Option<usize>,
    /// One for each round.
    pub(crate) batches: Vec<Batch>,
}

impl Row {
    /// A line without figures yet.
    pub(crate) fn new(case: &str, how: &'static str, resident_bytes: Option<usize>) -> Self {
        Self {
            case: case.to_owned(),
            how,
            resident_bytes,
            batches: Vec::new(),
        }
    }

    fn is_sandbox(&self) -> bool {
        !matches!(self.how, NATIVE_FRESH | NATIVE_WARM | SERVED)
    }

    /// The median over rounds.
    fn figure(&self, of: fn(&Batch) -> f64) -> f64 {
        let mut values: Vec<f64> = self.batches.iter().map(of).collect();
        median(&mut values)
    }

    /// Instructions of the processor, where it counts them.
    fn instructions(&self) -> Option<f64> {
        let all: Option<Vec<f64>> = self
            .batches
            .iter()
            .map(|batch| batch.instructions)
            .collect();
        all.filter(|all| !all.is_empty())
            .map(|mut all| median(&mut all))
    }

    fn to_json(&self) -> Value {
        let of_sandbox = |figure: f64| self.is_sandbox().then_some(figure);
        json!({
            "case": self.case,
            "how": self.how,
            "p50_us": rounded(self.figure(|batch| batch.p50)),
            "p99_us": rounded(self.figure(|batch| batch.p99)),
            "fuel": of_sandbox(self.figure(|batch| batch.fuel)),
            "host_calls": of_sandbox(self.figure(|batch| batch.host_calls)),
            "instructions": self.instructions(),
            "page_faults": rounded(self.figure(|batch| batch.faults)),
            "resident_bytes": self.resident_bytes,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_sandbox = |of: fn(&Batch) -> f64| {
            if self.is_sandbox() {
                format!("{:.0}", self.figure(of))
            } else {
                "-".to_owned()
            }
        };
        let resident = self.resident_bytes.map_or("-".to_owned(), |bytes| {
            format!("{:.0}", bytes as f64 / 1024.0)
        });
        let instructions = self.instructions();
        let instructions = instructions.map_or("-".to_owned(), |count| format!("{count:.0}"));
        write!(
            f,
            "{:<24} {:<23} {:>9.1} {:>9.1} {:>9} {instructions:>9} {:>6} {:>7.2} {resident:>9}",
            self.case,
            self.how,
            self.figure(|batch| batch.p50),
            self.figure(|batch| batch.p99),
            of_sandbox(|batch| batch.fuel),
            of_sandbox(|batch| batch.host_calls),
            self.figure(|batch| batch.faults),
        )
    }
}

/// What many deployments take.
pub(crate) struct Fleet {
    /// How many there are.
    pub(crate) len: usize,
    /// Sandboxes that the pool has for them.
    pub(crate) sandboxes: u32,
    /// What each of them takes while nobody calls it.
    pub(crate) each: Memory,
    /// What each used sandbox keeps for the next invocation.
    pub(crate) each_sandbox: Memory,
    /// Median time of a load, from files to snapshot.
    pub(crate) load_micros: f64,
    /// Median time from a snapshot to an image.
    pub(crate) ready_micros: f64,
}

impl Fleet {
    fn to_json(&self) -> Value {
        json!({
            "deployments": self.len,
            "sandboxes": self.sandboxes,
            "image_bytes_each": self.each.images.round(),
            "open_files_each": rounded(self.each.open_files),
            "bytes_each_sandbox": self.each_sandbox.resident.round(),
            "load_us": rounded(self.load_micros),
            "ready_us": rounded(self.ready_micros),
        })
    }
}

/// The p50 of a row by that of another, each time of the same round.
fn ratio(name: &str, bar: Bar, above: &Row, below: &Row) -> Measure {
    let pairs = above.batches.iter().zip(&below.batches);
    let all = pairs.map(|(above, below)| above.p50 / below.p50).collect();
    Measure::over_rounds(name, "", bar, all)
}

/// How much longer one row takes than another, each time of the same round.
fn difference(name: &str, bar: Bar, longer: &Row, shorter: &Row) -> Measure {
    let pairs = longer.batches.iter().zip(&shorter.batches);
    let all = pairs.map(|(longer, shorter)| longer.p50 - shorter.p50);
    Measure::over_rounds(name, "µs", bar, all.collect())
}

/// Everything that a run found.
pub(crate) struct Report {
    /// What it ran on.
    pub(crate) machine: Value,
    /// All lines, in the order of the table.
    pub(crate) rows: Vec<Row>,
    /// What many deployments take.
    pub(crate) fleet: Fleet,
    /// Size of the engine snapshot, in bytes.
    pub(crate) engine_snapshot_bytes: usize,
    /// Size of the engine's compiled code, in bytes.
    pub(crate) engine_code_bytes: u64,
    /// The stages of every case.
    pub(crate) anatomy: Anatomy,
    /// Durable writes.
    pub(crate) kv: Writes,
    /// The fuel of everything, beside what it was.
    pub(crate) fuel: Compared,
    /// Rounds that were run.
    pub(crate) rounds: u32,
    /// What the whole run took.
    pub(crate) seconds: f64,
}

impl Report {
    fn row(&self, case: &str, how: &str) -> &Row {
        let mut rows = self.rows.iter();
        rows.find(|row| row.case == case && row.how == how)
            .expect("every row that a ratio names is measured")
    }

    /// Everything that has a bar.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let json = self.row(cases::JSON, FRESH);
        let mut all = vec![
            ratio(
                "json: a fresh native QuickJS, in fresh sandboxes",
                Bar::AtLeast(10.0),
                self.row(cases::JSON, NATIVE_FRESH),
                json,
            ),
            ratio(
                "json: a fresh sandbox, in warm native calls",
                Bar::AtMost(6.0),
                json,
                self.row(cases::JSON, NATIVE_WARM),
            ),
            ratio(
                "json: served with record and metrics, in bare sandboxes",
                Bar::AtMost(1.15),
                self.row(cases::JSON, SERVED),
                json,
            ),
            ratio(
                "json: with 176 KB of source, in small ones",
                Bar::AtMost(1.3),
                self.row(cases::LARGE, FRESH),
                json,
            ),
            ratio(
                "json: 900 functions in turn, in one function again and again",
                Bar::AtMost(6.0),
                self.row(cases::FLEET, ROUND_ROBIN),
                json,
            ),
            difference(
                "one kv.get, in an invocation",
                Bar::AtMost(15.0),
                self.row(cases::AWAITS_KV, FRESH),
                self.row(cases::AWAITS, FRESH),
            ),
        ];
        // What a request costs beyond the sandbox that it runs in, in such sandboxes.
        let served = self.row(cases::HELLO, SERVED).batches.iter();
        let beyond = served
            .zip(&self.anatomy.bare)
            .map(|(batch, bare)| batch.p50 / bare - 1.0);
        all.push(Measure::over_rounds(
            "hello: served, beyond an empty sandbox, in empty sandboxes",
            "",
            Bar::AtMost(1.0),
            beyond.collect(),
        ));
        all.extend(self.kv.measures());
        all
    }

    /// All of it.
    pub(crate) fn findings(&self) -> Findings {
        Findings {
            text: self.to_string(),
            json: self.to_json(),
            measures: self.measures(),
            faults: self.fuel.faults(),
        }
    }

    /// For programs.
    fn to_json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "seconds": rounded(self.seconds),
            "rows": rows,
            "engine": {
                "code_bytes": self.engine_code_bytes,
                "snapshot_bytes": self.engine_snapshot_bytes,
            },
            "fleet": self.fleet.to_json(),
            "anatomy": self.anatomy.to_json(),
            "kv": self.kv.to_json(),
            "fuel": self.fuel.to_json(),
        })
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: f64| format!("{:.0} KiB", bytes / 1024.0);
        let Fleet {
            len,
            sandboxes,
            each,
            each_sandbox,
            load_micros,
            ready_micros,
        } = &self.fleet;
        writeln!(
            f,
            "engine, once: {} of code, {} of snapshot",
            kib(self.engine_code_bytes as f64),
            kib(self.engine_snapshot_bytes as f64),
        )?;
        writeln!(
            f,
            "each of {len} idle deployments: {} of image file, {:.0} open files (--scale says what \
             they take of the process)",
            kib(each.images),
            each.open_files.abs(),
        )?;
        writeln!(
            f,
            "each of {sandboxes} sandboxes once it was used: {}",
            kib(each_sandbox.resident),
        )?;
        writeln!(
            f,
            "deploying one: {load_micros:.0} µs to load it, {ready_micros:.0} µs to make it ready"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.machine.as_object().into_iter().flatten() {
            let text = value.as_str().map_or(value.to_string(), str::to_owned);
            writeln!(f, "{name:<24} {text}")?;
        }
        let (rounds, seconds) = (self.rounds, self.seconds);
        writeln!(f, "\nmedians over {rounds} rounds, {seconds:.0} s in all")?;
        writeln!(
            f,
            "\n{:<24} {:<23} {:>9} {:>9} {:>9} {:>9} {:>6} {:>7} {:>9}",
            "", "", "p50 µs", "p99 µs", "fuel", "instr", "calls", "faults", "idle KiB"
        )?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        writeln!(f, "\n{}\n", self.anatomy)?;
        self.write_memory(f)?;
        writeln!(f, "{}", self.kv)?;
        writeln!(f, "\n{}", self.fuel)
    }
}
