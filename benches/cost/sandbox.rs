//! Ampoule's side: the parts of a server, put together as `ampoule serve` does.

use std::sync::Arc;
use std::time::Duration;

use ampoule::clock;
use ampoule::host::{Grants, Head, LoadSettings, LogBuffer, Promised, Request};
use ampoule::id::TenantId;
use ampoule::limits::Limits;
use ampoule::outbound::{Client, OutboundConfig, OwnAddresses};
use ampoule::sandbox::{
    Domain, Engine, EngineConfig, Finished, Image, Invocation, LoadError, Meter, Outcome, Share,
};
use ampoule::store::{Namespace, Store};
use ampoule::trace::Carried;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Once;
use super::bars::micros;
use super::cases::{Case, KV_KEY, KV_VALUE};
use super::platform::{Ask, cache, folder};

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
    /// Owns the data file, which the grants read.
    pub(crate) store: Store,
    grants: Grants,
    share: Share,
    data: TempDir,
    deployments: usize,
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
        let engine = Engine::new(&EngineConfig {
            sandboxes,
            cache: cache(),
            pagemap_scan: true,
        })
        .await?;
        let data = folder()?;
        let store = Store::open(&data.path().join("ampoule.redb"))?;
        let tenant = TenantId::default_tenant();
        let client = Arc::new(Client::new(OutboundConfig {
            policy: Arc::new(OwnAddresses::new(Vec::new())),
            resolver: None,
            user_agent: "Ampoule".to_owned(),
            connect_timeout: Duration::from_secs(10),
        })?);
        let grant = client.grant(&tenant);
        let mut host = Self {
            engine,
            sandboxes,
            grants: Grants {
                network: Some((client, grant)),
                ..Grants::default()
            },
            share: Share::new(),
            store,
            data,
            deployments: 0,
        };
        host.grants.kv = Some(host.namespace(&tenant).await?);
        Ok(host)
    }

    /// Size of the engine's compiled code, in bytes.
    pub(crate) fn engine_code_bytes(&self) -> Result<u64> {
        let name = format!("{}-engine.cwasm", self.engine.key());
        Ok(std::fs::metadata(cache().join(name))?.len())
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
        let (finished, head) = self.run(image, &case.ask, None).await;
        let micros = micros(begun);
        if finished.outcome != Outcome::Completed {
            bail!("it ended so: {:?}", finished.outcome);
        }
        check(case, head)?;
        Ok(Once {
            micros,
            fuel: finished.fuel,
            host_calls: finished.usage.host_calls,
        })
    }

    /// Runs a function once, with a kv of its own if there is one: how it ended, and the beginning
    /// of its answer.
    pub(crate) async fn run(
        &self,
        image: &Image,
        ask: &Ask,
        kv: Option<Namespace>,
    ) -> (Finished, Option<Head>) {
        let (mut invocation, mut head) = self.invocation(ask);
        if kv.is_some() {
            invocation.grants.kv = kv;
        }
        let finished = Box::pin(image.invoke(invocation)).await;
        (finished, head.try_recv().ok())
    }

    /// The kv of a tenant, with what the kv case reads in it.
    pub(crate) async fn namespace(&self, tenant: &TenantId) -> Result<Namespace> {
        let namespace = self.store.namespace(tenant);
        let value = Bytes::from_static(KV_VALUE.as_bytes());
        namespace.set(KV_KEY, value, None).await?;
        Ok(namespace)
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

    /// What to run, and where its answer comes.
    pub(crate) fn invocation(&self, ask: &Ask) -> (Invocation, oneshot::Receiver<Head>) {
        let limits = Limits::DEFAULT;
        let (responder, head) = oneshot::channel();
        let invocation = Invocation {
            request: Request {
                method: ask.method.to_owned(),
                target: ask.target.clone(),
                fields: ask.fields.as_bytes().to_vec(),
                peer: "127.0.0.1".to_owned(),
                secure: false,
            },
            content: ask.content.clone(),
            grants: self.grants.clone(),
            limits,
            share: self.share.clone(),
            deadline: Instant::now() + Duration::from_millis(limits.wall_ms),
            responder,
            promised: Promised::default(),
            log: LogBuffer::new(limits.log_bytes),
            meter: Meter::default(),
            trace: Carried::default(),
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

/// Checks the answer of a case.
pub(crate) fn check(case: &Case, head: Option<Head>) -> Result<()> {
    let head = head.context("there was no answer")?;
    let Ok(body) = head.body else {
        bail!("the answer is a stream");
    };
    ensure!(head.status == 200, "the status is {}", head.status);
    ensure!(body == case.answer, "the answer is {body:?}");
    Ok(())
}
