//! Curves: what a byte or a line costs as there are more of them.
//!
//! Every point is a function called through the dispatch of a whole server. A curve is linear or
//! better when a unit costs at most [`GROWTH_MAX`] times as much at the largest size as at the one
//! in the middle; small sizes have the invocation itself in them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ampoule::app::App;
use ampoule::clock;
use ampoule::deploy::Settings;
use ampoule::limits::KV_VALUE_BYTES_MAX;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use super::bars::{Bar, Findings, Measure, median, micros, rounded};
use super::cases;
use super::machine::{PeakMemory, raise_open_files};
use super::peer;
use super::platform::{Ask, CONCURRENCY, Name, call_all, folder, open, upload};

/// Most that a unit may cost at the largest size, in units at the middle one.
const GROWTH_MAX: f64 = 1.5;
/// Most by which the process may grow while 100 MB go through a function, in MiB.
const STREAMED_MIB_MAX: f64 = 32.0;
/// How long a point is measured, and how often at most and at least.
const TURN: Duration = Duration::from_millis(500);
const TIMES_MAX: usize = 100;
const TIMES_MIN: usize = 5;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const BODIES: [usize; 5] = [KIB, 10 * KIB, 100 * KIB, MIB, 10 * MIB];
const SOURCES: [usize; 5] = [KIB, 10 * KIB, 100 * KIB, MIB, 5 * MIB];
/// Size of each function in them, in bytes; every function takes some 1.6 KB of memory.
const FUNCTION_BYTES: usize = 256;
/// A value of kv is JSON text: a string has two quotes.
const VALUES: [usize; 5] = [KIB, 8 * KIB, 64 * KIB, 256 * KIB, KV_VALUE_BYTES_MAX - 2];
const LINES: [usize; 5] = [1, 10, 100, 1000, 10_000];
const STREAMED_BYTES: usize = 100 * MIB;

const TAKES: &str = "module.exports = (req, res) => { res.end(String(req.body.length)); };";
const GIVES: &str = "module.exports = (req, res) => { res.end('x'.repeat(req.query.n)); };";
const SETS: &str = "module.exports = async (req, res) => {
  await kv.set('value', 'x'.repeat(req.query.n));
  res.end();
};";
const GETS: &str = "module.exports = async (req, res) => {
  res.end(String((await kv.get('value')).length));
};";
const LOGS: &str = "module.exports = (req, res) => {
  for (let i = 0; i < req.query.n; i++) console.log('a line of the log, number', i);
  res.end();
};";

/// One thing that there is more and more of.
struct Curve {
    name: &'static str,
    /// `KiB`, and how many sizes make one.
    unit: (&'static str, usize),
    /// Sizes, and the median time at each in microseconds.
    points: Vec<(usize, f64)>,
}

impl Curve {
    fn new(name: &'static str, unit: (&'static str, usize)) -> Self {
        Self {
            name,
            unit,
            points: Vec::new(),
        }
    }

    /// Microseconds for a unit at each size.
    fn per_unit(&self) -> Vec<f64> {
        let unit = self.unit.1 as f64;
        let points = self.points.iter();
        points
            .map(|(size, micros)| micros * unit / *size as f64)
            .collect()
    }

    fn measure(&self) -> Measure {
        let per_unit = self.per_unit();
        let middle = per_unit[per_unit.len() / 2];
        let last = per_unit[per_unit.len() - 1];
        let name = format!(
            "{}: a {} of the most, in those of the middle",
            self.name, self.unit.0
        );
        Measure::new(name, "", Bar::AtMost(GROWTH_MAX), last / middle)
    }

    fn write(&self, text: &mut String) {
        let (unit, size) = self.unit;
        let verdict = if self.measure().holds() {
            "linear or better"
        } else {
            "worse than linear"
        };
        let _ = writeln!(text, "\n{}: {verdict}", self.name);
        for ((len, micros), per_unit) in self.points.iter().zip(self.per_unit()) {
            let len = *len as f64 / size as f64;
            let _ = writeln!(
                text,
                "{len:>10.0} {unit:<5} {micros:>12.0} µs {per_unit:>10.3} µs/{unit}"
            );
        }
    }

    fn to_json(&self) -> Value {
        let points = self.points.iter().zip(self.per_unit());
        json!({
            "name": self.name,
            "unit": self.unit.0,
            "points": points.map(|((size, micros), per_unit)| json!({
                "size": size,
                "us": rounded(*micros),
                "us_per_unit": (per_unit * 1e6).round() / 1e6,
            })).collect::<Vec<_>>(),
        })
    }
}

/// A server with the functions of the curves.
struct Bench {
    app: Arc<App>,
    turn: Duration,
}

/// Measures all of it; `smoke` is one look at the smaller half.
pub(crate) async fn run(smoke: bool) -> Result<Findings> {
    raise_open_files();
    let data = folder()?;
    let app = open(data.path(), CONCURRENCY).await?;
    let turn = if smoke { Duration::ZERO } else { TURN };
    let bench = Bench { app, turn };
    let some = |sizes: &'static [usize; 5]| {
        let len = if smoke { 3 } else { sizes.len() };
        &sizes[..len]
    };
    let mut curves = vec![
        bench.bodies(some(&BODIES)).await?,
        bench.answers(some(&BODIES)).await?,
    ];
    curves.extend(bench.sources(some(&SOURCES)).await?);
    curves.extend(bench.values(some(&VALUES)).await?);
    curves.push(bench.lines(some(&LINES)).await?);
    let streamed = bench
        .stream(if smoke { MIB } else { STREAMED_BYTES })
        .await?;
    bench.app.close().await;
    let mut measures: Vec<Measure> = curves.iter().map(Curve::measure).collect();
    measures.push(Measure::new(
        "streaming: growth of the process at its peak",
        "MiB",
        Bar::AtMost(STREAMED_MIB_MAX),
        streamed.grown_mib,
    ));
    let mut text = String::new();
    curves.iter().for_each(|curve| curve.write(&mut text));
    let _ = writeln!(
        text,
        "\nstreaming: {} MiB from a server through a function in {:.0} ms, with at most {:.1} MiB \
         more in memory than before",
        streamed.bytes / MIB,
        streamed.micros / 1e3,
        streamed.grown_mib,
    );
    Ok(Findings {
        text,
        json: json!({
            "curves": curves.iter().map(Curve::to_json).collect::<Vec<_>>(),
            "streaming": {
                "bytes": streamed.bytes,
                "us": rounded(streamed.micros),
                "peak_growth_mib": rounded(streamed.grown_mib),
            },
        }),
        measures,
        faults: Vec::new(),
    })
}

struct Streamed {
    bytes: usize,
    micros: f64,
    grown_mib: f64,
}

impl Bench {
    async fn deploy(&self, function: &str, file: &str, source: impl Into<Bytes>) -> Result<Name> {
        let name = Name::new(function)?;
        upload(&self.app.deploy, &name, file, source, Settings::default()).await?;
        Ok(name)
    }

    /// The median time of a call.
    async fn point(&self, name: &Name, ask: &Ask, answer_len: usize) -> Result<f64> {
        let mut all = Vec::new();
        let mut begun = clock::monotonic();
        loop {
            let called = clock::monotonic();
            let len = call_all(&self.app.dispatch, name, ask).await;
            let len = len.with_context(|| format!("{name:?} {}", ask.target))?;
            ensure!(len == answer_len, "{name:?}: {len} bytes, not {answer_len}");
            all.push(micros(called));
            // The first one is only a rehearsal.
            if all.len() == 1 {
                begun = clock::monotonic();
            }
            let is_over = begun.elapsed() >= self.turn && all.len() > TIMES_MIN;
            if is_over || all.len() > TIMES_MAX {
                return Ok(median(&mut all[1..]));
            }
        }
    }

    async fn bodies(&self, sizes: &[usize]) -> Result<Curve> {
        let name = self.deploy("takes", "index.js", TAKES).await?;
        let mut curve = Curve::new("request body", ("KiB", KIB));
        for &size in sizes {
            let ask = Ask {
                method: "POST",
                target: "/".to_owned(),
                fields: "host: 127.0.0.1\r\ncontent-type: text/plain\r\n",
                content: Bytes::from(vec![b'x'; size]),
            };
            let micros = self.point(&name, &ask, size.to_string().len()).await?;
            curve.points.push((size, micros));
        }
        Ok(curve)
    }

    async fn answers(&self, sizes: &[usize]) -> Result<Curve> {
        let name = self.deploy("gives", "index.js", GIVES).await?;
        let mut curve = Curve::new("response body", ("KiB", KIB));
        for &size in sizes {
            let ask = Ask::get(format!("/?n={size}"));
            curve
                .points
                .push((size, self.point(&name, &ask, size).await?));
        }
        Ok(curve)
    }

    /// Deploying a source, and a request to it.
    async fn sources(&self, sizes: &[usize]) -> Result<[Curve; 2]> {
        let mut deploying = Curve::new("user source, deploying it", ("KiB", KIB));
        let mut calling = Curve::new("user source, calling it", ("KiB", KIB));
        for &size in sizes {
            let mut all = Vec::new();
            let mut name = Name::new("source")?;
            for number in 0..TIMES_MIN {
                let source = cases::source_of(size, FUNCTION_BYTES) + &format!("// {number}\n");
                let begun = clock::monotonic();
                name = self
                    .deploy(&format!("source-{size}"), "index.js", source)
                    .await?;
                all.push(micros(begun));
            }
            deploying.points.push((size, median(&mut all)));
            let micros = self.point(&name, &cases::json_ask(), 25).await?;
            calling.points.push((size, micros));
        }
        Ok([deploying, calling])
    }

    /// Writing and reading one value of kv.
    async fn values(&self, sizes: &[usize]) -> Result<[Curve; 2]> {
        let sets = self.deploy("sets", "index.js", SETS).await?;
        let gets = self.deploy("gets", "index.js", GETS).await?;
        let mut setting = Curve::new("kv value, set durably", ("KiB", KIB));
        let mut getting = Curve::new("kv value, get", ("KiB", KIB));
        for &size in sizes {
            let set = self
                .point(&sets, &Ask::get(format!("/?n={size}")), 0)
                .await?;
            setting.points.push((size, set));
            let len = size.to_string().len();
            let get = self.point(&gets, &Ask::get("/"), len).await?;
            getting.points.push((size, get));
        }
        Ok([setting, getting])
    }

    async fn lines(&self, counts: &[usize]) -> Result<Curve> {
        let name = self.deploy("logs", "index.js", LOGS).await?;
        let mut curve = Curve::new("log lines", ("line", 1));
        for &count in counts {
            let ask = Ask::get(format!("/?n={count}"));
            curve
                .points
                .push((count, self.point(&name, &ask, 0).await?));
        }
        Ok(curve)
    }

    /// So many bytes from the peer through a function.
    async fn stream(&self, bytes: usize) -> Result<Streamed> {
        let peer = peer::start()?;
        let source = format!(
            "export default {{
  async fetch(request) {{
    const bytes = new URL(request.url).searchParams.get('n');
    const answer = await fetch(`http://{peer}/stream/${{bytes}}`);
    return new Response(answer.body);
  }},
}};"
        );
        let name = self.deploy("streams", "index.mjs", source).await?;
        let ask = |bytes: usize| Ask::get(format!("/?n={bytes}"));
        call_all(&self.app.dispatch, &name, &ask(MIB)).await?;
        let memory = PeakMemory::begin()?;
        let begun = clock::monotonic();
        let len = call_all(&self.app.dispatch, &name, &ask(bytes)).await?;
        ensure!(len == bytes, "{len} bytes came, not {bytes}");
        Ok(Streamed {
            bytes,
            micros: micros(begun),
            grown_mib: memory.grown_bytes()? / MIB as f64,
        })
    }
}
