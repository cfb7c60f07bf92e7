//! Ampoule's side: the parts of a server, put together as `ampoule serve` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ampoule::clock;
use ampoule::host::{Grants, LoadSettings, LogBuffer, Request};
use ampoule::id::TenantId;
use ampoule::limits::Limits;
use ampoule::outbound::{Client, OutboundConfig};
use ampoule::sandbox::paging::Paging;
use ampoule::sandbox::{Domain, Engine, EngineConfig, Image, Invocation, LoadError, Outcome};
use ampoule::store::Store;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Once;
use super::cases::{Case, KV_KEY, KV_VALUE};

/// Sandboxes that may exist at once, as in a server with default settings.
pub(crate) const SANDBOXES: u32 = 512 + 16;
/// As few as show that they are reused.
pub(crate) const SMOKE_SANDBOXES: u32 = 24;

/// Calls after which every function has memory of its own.
const HOT_CALLS_MAX: usize = 10_000;

/// A server without its HTTP.
pub(crate) struct Host {
    /// The engine.
    pub(crate) engine: Engine,
    /// Sandboxes that may exist at once.
    pub(crate) sandboxes: u32,
    grants: Grants,
    cache: PathBuf,
    data: TempDir,
    deployments: usize,
    /// Owns the data file, which the grants read.
    _store: Store,
}

/// A function that is ready to run.
pub(crate) struct Deployment {
    /// Its image.
    pub(crate) image: Image,
    /// Size of its snapshot, in bytes.
    pub(crate) snapshot_bytes: usize,
    /// Whether its modules are evaluated in every sandbox.
    pub(crate) is_per_request: bool,
    /// What loading took, from files to snapshot.
    pub(crate) load_micros: f64,
    /// What it took from there to an image.
    pub(crate) ready_micros: f64,
}

impl Host {
    /// Compiles the guest, unless a run before has done so.
    pub(crate) async fn new(sandboxes: u32) -> Result<Self> {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-cache");
        let engine = Engine::new(&EngineConfig {
            sandboxes,
            cache: cache.clone(),
            objection: Paging::new("/proc/swaps".into(), "/proc/vmstat".into())
                .objection()
                .map(str::to_owned),
        })
        .await?;
        let data = tempfile::tempdir()?;
        let store = Store::open(&data.path().join("ampoule.redb"))?;
        let tenant = TenantId::default_tenant();
        let namespace = store.namespace(&tenant);
        let value = Bytes::from_static(KV_VALUE.as_bytes());
        namespace.set(KV_KEY, value, None).await?;
        let client = Arc::new(Client::new(OutboundConfig {
            denied: Vec::new(),
            user_agent: "Ampoule".to_owned(),
            connect_timeout: Duration::from_secs(10),
        })?);
        let grant = client.grant(&tenant);
        Ok(Self {
            engine,
            sandboxes,
            grants: Grants {
                kv: Some(namespace),
                network: Some((client, grant)),
                files: None,
                meter: None,
            },
            cache,
            data,
            deployments: 0,
            _store: store,
        })
    }

    /// Size of the engine's compiled code, in bytes.
    pub(crate) fn engine_code_bytes(&self) -> Result<u64> {
        let name = format!("{}-engine.cwasm", self.engine.key());
        Ok(std::fs::metadata(self.cache.join(name))?.len())
    }

    /// Loads a function of one file and makes its image.
    pub(crate) async fn deploy(&mut self, source: &str) -> Result<Deployment> {
        self.deployments += 1;
        let folder = self.data.path().join(self.deployments.to_string());
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("index.js"), source)?;
        let settings = LoadSettings {
            entry: "index.js".to_owned(),
            ..LoadSettings::default()
        };
        let begun = clock::monotonic();
        let loading = self.engine.load(folder.clone(), settings, Limits::DEFAULT);
        let loaded = Box::pin(loading).await.map_err(|error| match error {
            LoadError::Refused(refusal) => anyhow::anyhow!("refused: {refusal:?}"),
            error => error.into(),
        })?;
        let load_micros = micros(begun);
        let begun = clock::monotonic();
        let domain = Domain::new(TenantId::default_tenant().as_str());
        let image = Image::new(&self.engine, &domain, &loaded.snapshot, Some(folder))?;
        Ok(Deployment {
            image,
            snapshot_bytes: loaded.snapshot.len(),
            is_per_request: loaded.per_request.is_some(),
            load_micros,
            ready_micros: micros(begun),
        })
    }

    /// Runs a case once, and checks its answer. The time is that of everything between a request
    /// that was read and an answer that can be sent, the end of the sandbox included.
    pub(crate) async fn invoke(&self, image: &Image, case: &Case) -> Result<Once> {
        let begun = clock::monotonic();
        let (invocation, mut head) = self.invocation(case);
        let finished = Box::pin(image.invoke(invocation)).await;
        let head = head.try_recv();
        let micros = micros(begun);
        if finished.outcome != Outcome::Completed {
            bail!("it ended so: {:?}", finished.outcome);
        }
        let head = head.context("there was no answer")?;
        let Ok(body) = head.body else {
            bail!("the answer is a stream");
        };
        ensure!(head.status == 200, "the status is {}", head.status);
        ensure!(body == case.answer, "the answer is {body:?}");
        Ok(Once {
            micros,
            fuel: finished.fuel,
            host_calls: finished.usage.host_calls,
        })
    }

    /// Calls a function until it is given memory of its own, as one that is called often has.
    pub(crate) async fn make_hot(&self, image: &Image, case: &Case) -> Result<()> {
        for _ in 0..HOT_CALLS_MAX {
            if image.has_own_memory() {
                return Ok(());
            }
            self.invoke(image, case).await?;
        }
        bail!(
            "{}: no memory of its own after {HOT_CALLS_MAX} calls",
            case.name
        )
    }

    fn invocation(&self, case: &Case) -> (Invocation, oneshot::Receiver<ampoule::host::Head>) {
        let limits = Limits::DEFAULT;
        let (responder, head) = oneshot::channel();
        let invocation = Invocation {
            request: Request {
                method: case.method.to_owned(),
                target: "/".to_owned(),
                fields: case.fields.as_bytes().to_vec(),
                peer: "127.0.0.1".to_owned(),
                secure: false,
            },
            content: case.content.clone(),
            grants: self.grants.clone(),
            limits,
            deadline: Instant::now() + Duration::from_millis(limits.wall_ms),
            responder,
            log: LogBuffer::new(limits.log_bytes),
        };
        (invocation, head)
    }

    /// Has every sandbox of the pool in use at once, so that each holds what a used one keeps.
    pub(crate) async fn fill_pool(&self, image: &Image, case: &Case) -> Result<()> {
        let all = (0..self.sandboxes).map(|_| self.invoke(image, case));
        futures_util::future::try_join_all(all).await?;
        Ok(())
    }
}

/// Microseconds since then.
pub(crate) fn micros(begun: std::time::Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
