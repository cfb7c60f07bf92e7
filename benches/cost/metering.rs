//! What counting fuel costs: one case in guests that were compiled with fuel, with epochs, and
//! with neither, which are run in turn.
//!
//! wasmtime is put together here as in `src/sandbox/engine.rs`, as far as it matters to code that
//! runs: a server has fuel and nothing else. Only the time inside of the guest is compared.

use std::fmt::Write as _;

use ampoule::clock;
use ampoule::host::{self, Budget, Grants, LoadOutcome, LoadSettings, Loading, State};
use ampoule::limits::{FUEL_SLICE, LOAD_FUEL_MAX, Limits, SNAPSHOT_BYTES_MAX};
use ampoule::sandbox::snapshot;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Module, OptLevel, PoolingAllocationConfig, Store,
};

use super::bars::{Findings, median, micros, quantile, rounded};
use super::cases::{self, Case};
use super::peer;
use super::platform::{cache, folder};
use super::sandbox::{self, Host, check};

const COMPONENT: &[u8] = include_bytes!("../../guest/artifact/component.wasm");
/// Native stack of a guest, as in the server.
const WASM_STACK_BYTES: usize = 4 << 20;
/// Memory that stays mapped, as in the server.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;
/// Tables of a sandbox, as in the server.
const TABLES: u32 = 2;
/// Invocations of each in a round.
const TIMES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metering {
    Fuel,
    Epochs,
    Neither,
}

/// One case in a guest that was compiled in one way.
struct Twin {
    metering: Metering,
    engine: Engine,
    pre: InstancePre<State>,
    /// Microseconds inside of the guest: the median of each round.
    rounds: Vec<f64>,
    _files: TempDir,
}

impl Metering {
    fn engine(self) -> Result<Engine> {
        let mut pool = PoolingAllocationConfig::new();
        pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .max_tables_per_module(TABLES)
            .max_tables_per_component(TABLES);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .memory_guaranteed_dense_image_size(SNAPSHOT_BYTES_MAX as u64)
            .consume_fuel(self == Self::Fuel)
            .epoch_interruption(self == Self::Epochs)
            .cranelift_opt_level(OptLevel::Speed)
            .max_wasm_stack(WASM_STACK_BYTES)
            .async_stack_size(WASM_STACK_BYTES + (512 << 10))
            .concurrency_support(false);
        Ok(Engine::new(&config)?)
    }

    fn store(self, engine: &Engine, state: State, fuel: u64) -> Result<Store<State>> {
        let mut store = Store::new(engine, state);
        store.limiter(|state| state);
        match self {
            Self::Fuel => {
                store.set_fuel(fuel)?;
                store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
            }
            // As a server would have it: a yield whenever the epoch ends, which it does not here.
            Self::Epochs => {
                store.set_epoch_deadline(1);
                store.epoch_deadline_async_yield_and_update(1);
            }
            Self::Neither => {}
        }
        Ok(store)
    }
}

impl Twin {
    /// Compiles the guest, which takes a while, and loads the case.
    async fn new(metering: Metering, base: &[u8], case: &Case) -> Result<Self> {
        let engine = metering.engine()?;
        let component = Component::new(&engine, COMPONENT)?;
        let mut linker: Linker<State> = Linker::new(&engine);
        host::link(&mut linker)?;
        let ready = |image: &[u8]| -> Result<InstancePre<State>> {
            let mut linker = linker.clone();
            let image = Module::new(&engine, image)?;
            linker.root().module("image", &image)?;
            Ok(linker.instantiate_pre(&component)?)
        };
        let files = folder()?;
        std::fs::write(files.path().join("index.js"), &case.source)?;
        let settings = LoadSettings {
            entry: "index.js".to_owned(),
            ..LoadSettings::default()
        };
        let grants = Grants {
            files: Some(files.path().to_owned()),
            ..Grants::default()
        };
        let budget = Budget::new(Limits::DEFAULT, SNAPSHOT_BYTES_MAX);
        let state = State::for_loading(grants, budget, Loading::new(settings));
        let mut store = metering.store(&engine, state, LOAD_FUEL_MAX)?;
        let guest = ready(base)?.instantiate_async(&mut store).await?;
        let load = guest.get_typed_func::<(), ()>(&mut store, "load")?;
        load.call_async(&mut store, ()).await?;
        let loading = store.data_mut().take_loading().unwrap_or_default();
        let Some(LoadOutcome::Loaded) = loading.outcome else {
            bail!("loading came to {:?}", loading.outcome);
        };
        let (address, memory) = loading.snapshot.context("there is no snapshot")?;
        let pre = ready(&snapshot::encode(address, &memory))?;
        drop(store);
        Ok(Self {
            metering,
            engine,
            pre,
            rounds: Vec::new(),
            _files: files,
        })
    }

    /// Microseconds that one invocation is inside of the guest.
    async fn once(&self, host: &Host, case: &Case) -> Result<f64> {
        let (invocation, mut head) = host.invocation(&case.ask);
        let limits = invocation.limits;
        let state = State::for_invocation(
            invocation.grants,
            Budget::new(limits, SNAPSHOT_BYTES_MAX),
            invocation.request,
            invocation.content,
            invocation.responder,
            invocation.promised,
            invocation.log,
        );
        let mut store = self.metering.store(&self.engine, state, limits.fuel)?;
        let guest = self.pre.instantiate_async(&mut store).await?;
        let start = guest.get_typed_func::<(), (bool,)>(&mut store, "start")?;
        let begun = clock::monotonic();
        let (waits,) = start.call_async(&mut store, ()).await?;
        let micros = micros(begun);
        ensure!(!waits, "the case waits for something");
        check(case, head.try_recv().ok())?;
        Ok(micros)
    }
}

/// Compares the three, with the json case.
pub(crate) async fn run(rounds: u32) -> Result<Findings> {
    let host = Host::new(sandbox::SMOKE_SANDBOXES).await?;
    let all = cases::all(peer::start()?);
    let case = all.iter().find(|case| case.name == cases::JSON);
    let case = case.context("there is no json case")?;
    let base = std::fs::read(cache().join(format!("{}-base.wasm", host.engine.key())))?;
    let mut twins = Vec::new();
    for metering in [Metering::Neither, Metering::Epochs, Metering::Fuel] {
        twins.push(Twin::new(metering, &base, case).await?);
    }
    for _ in 0..rounds {
        for twin in &mut twins {
            let mut all = Vec::with_capacity(TIMES);
            for _ in 0..TIMES {
                all.push(twin.once(&host, case).await?);
            }
            twin.rounds.push(median(&mut all));
        }
    }
    let mut text = "json, inside of the guest\n".to_owned();
    let mut rows = Vec::new();
    for twin in &twins {
        let pairs = twin.rounds.iter().zip(&twins[0].rounds);
        let mut ratios: Vec<f64> = pairs.map(|(with, without)| with / without).collect();
        let (micros, ratio) = (median(&mut twin.rounds.clone()), median(&mut ratios));
        let (low, high) = (quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75));
        let name = format!("{:?}", twin.metering).to_lowercase();
        let _ = writeln!(
            text,
            "{name:<8} {micros:>8.1} µs {ratio:>6.2} times neither ({low:.2} to {high:.2})"
        );
        rows.push(json!({ "metering": name, "us": rounded(micros), "ratio": rounded(ratio) }));
    }
    Ok(Findings {
        text,
        json: json!({ "metering": rows }),
        ..Findings::default()
    })
}
