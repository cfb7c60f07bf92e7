//! Durable writes to kv, beside what the disk can do one at a time.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use ampoule::clock;
use ampoule::id::TenantId;
use ampoule::store::{Namespace, Store};
use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use super::bars::{Bar, Measure, median, micros, rounded};
use super::platform::folder;

/// Writers at once.
const WRITERS: usize = 64;
/// What a write has to go through at least: a page of the data file.
const PAGE_BYTES: usize = 4 << 10;
/// Times that each of the three is measured, in turn.
const ROUNDS: usize = 5;
/// How long each time.
const TURN: Duration = Duration::from_millis(400);
/// The value that is written, as JSON text.
const VALUE: &[u8] = br#"{"name":"Ada","items":[1,2,3],"urgent":true}"#;
/// Reads of which the time is taken together.
const READS: usize = 2000;

/// Keys of each writer where they are spread: a write of each then goes to a page of its own.
const KEYS: u32 = 1000;

/// Writes per second.
pub(crate) struct Writes {
    /// Of 64 writers at once, each to its own key, in each round.
    together: Vec<f64>,
    /// The same, each to one of its many keys after the other, in a data file with all of them.
    spread: Vec<f64>,
    /// Of one writer.
    alone: Vec<f64>,
    /// Of a page and `fdatasync`, one after the other.
    synced: Vec<f64>,
    /// One read in the store, in microseconds.
    read_micros: f64,
}

/// Measures it in a data file of its own.
pub(crate) async fn measure(smoke: bool) -> Result<Writes> {
    let data = folder()?;
    let open = |name: &str| Store::open(&data.path().join(name));
    // Apart: among many keys, those of the first would lie on a page each as well.
    let (small, large) = (open("small.redb")?, open("large.redb")?);
    let [namespace, large] =
        [&small, &large].map(|store| store.namespace(&TenantId::default_tenant()));
    let (rounds, turn) = if smoke {
        (1, TURN / 10)
    } else {
        (ROUNDS, TURN)
    };
    let mut writes = Writes {
        together: Vec::new(),
        spread: Vec::new(),
        alone: Vec::new(),
        synced: Vec::new(),
        read_micros: 0.0,
    };
    for _ in 0..rounds {
        writes.synced.push(syncs(data.path(), turn)?);
        writes.alone.push(sets(&namespace, 1, 1, turn).await?);
        let together = sets(&namespace, WRITERS, 1, turn).await?;
        writes.together.push(together);
        let spread = sets(&large, WRITERS, KEYS, turn).await?;
        writes.spread.push(spread);
    }
    let begun = clock::monotonic();
    for _ in 0..READS {
        namespace.get("0-0")?;
    }
    writes.read_micros = micros(begun) / READS as f64;
    Ok(writes)
}

/// Sets per second of so many writers, each of which has so many keys and waits for each write.
async fn sets(namespace: &Namespace, writers: usize, keys: u32, turn: Duration) -> Result<f64> {
    let begun = clock::monotonic();
    let writing = (0..writers).map(|writer| async move {
        let mut written: u32 = 0;
        while begun.elapsed() < turn {
            let key = format!("{writer}-{}", written % keys);
            namespace.set(&key, Bytes::from_static(VALUE), None).await?;
            written += 1;
        }
        anyhow::Ok(written)
    });
    let written: u32 = futures_util::future::try_join_all(writing)
        .await?
        .iter()
        .sum();
    Ok(f64::from(written) / begun.elapsed().as_secs_f64())
}

/// Pages per second that are on disk before the next one is written. Blocks.
fn syncs(folder: &Path, turn: Duration) -> Result<f64> {
    let file = File::create(folder.join("pages"))?;
    let page = [b'.'; PAGE_BYTES];
    let begun = clock::monotonic();
    let mut written: u32 = 0;
    while begun.elapsed() < turn {
        file.write_all_at(&page, u64::from(written) * PAGE_BYTES as u64)?;
        file.sync_data()?;
        written += 1;
    }
    Ok(f64::from(written) / begun.elapsed().as_secs_f64())
}

impl Writes {
    /// What has a bar.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let pairs = self.together.iter().zip(&self.synced);
        vec![Measure::over_rounds(
            "kv: durable sets of 64 writers, in syncs of the disk one at a time",
            "",
            Bar::AtLeast(20.0),
            pairs.map(|(sets, syncs)| sets / syncs).collect(),
        )]
    }

    fn medians(&self) -> [f64; 4] {
        [&self.together, &self.spread, &self.alone, &self.synced]
            .map(|all| median(&mut all.clone()))
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let [together, spread, alone, synced] = self.medians();
        json!({
            "writers": WRITERS,
            "sets_per_second": together.round(),
            "sets_per_second_spread": spread.round(),
            "sets_per_second_of_one": alone.round(),
            "syncs_per_second": synced.round(),
            "read_us": rounded(self.read_micros),
        })
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [together, spread, alone, synced] = self.medians();
        write!(
            f,
            "kv: {together:.0} durable sets a second of {WRITERS} writers with a key each, \
             {spread:.0} with {KEYS} keys each, {alone:.0} of one writer; the disk syncs \
             {synced:.0} pages a second, one at a time; a read in the store takes {:.1} µs",
            self.read_micros
        )
    }
}
