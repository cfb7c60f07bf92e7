//! The application: every part, built in the order in which they depend on each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;

use crate::clock;
use crate::config::{Config, Observe};
use crate::deploy::{Deploy, Images};
use crate::dispatch::{Concurrency, Dispatch, Observers};
use crate::heap;
use crate::limits::IMAGE_IDLE_MS;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::outbound::{Client, OutboundConfig, Policy};
use crate::sandbox::{Engine, EngineConfig};
use crate::schedules::{Invoker, Schedules};
use crate::secret::MasterKey;
use crate::store::{Clock, Retention, Store};
use crate::trace::Tracer;
use crate::workspaces::Workspaces;

/// The data file, below the data folder.
const DATA_FILE: &str = "ampoule.redb";
/// The master key, below the data folder.
const MASTER_KEY_FILE: &str = "master.key";
/// How long a subrequest may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Sandboxes beyond the invocations: for loads, and for those that are being thrown away.
const SPARE_SANDBOXES: usize = 16;
/// How often idle images are looked for.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);

/// Everything that a running server has.
pub struct App {
    /// The way in for new versions.
    pub deploy: Deploy,
    /// Runs invocations.
    pub dispatch: Dispatch,
    /// What is kept.
    pub store: Arc<Store>,
    /// What deployments run from.
    pub images: Images,
    /// Runs functions without a request.
    pub schedules: Schedules,
    /// The network policies in force.
    pub network: Arc<Network>,
    /// What functions connect with.
    pub client: Arc<Client>,
    /// Functions that are run by name.
    pub workspaces: Arc<Workspaces>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the engine has in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EngineStatus {
    /// Whether the memory of sandboxes comes from a pool.
    pub pooling: bool,
    /// Whether sandboxes start from a copy-on-write image.
    pub copy_on_write: bool,
    /// Whether the kernel says which pages a sandbox wrote to, so that only these are reset.
    pub pagemap_scan: bool,
    /// Why, or why not.
    pub reason: String,
    /// Names the engine's build: snapshots of another one are made anew.
    pub key: String,
    /// Images in memory.
    pub images: usize,
    /// Size of the engine's own snapshot, in bytes.
    pub engine_snapshot_bytes: usize,
}

impl App {
    /// Opens the data folder and builds every part. `listening`: the service's own addresses,
    /// which no function may reach.
    ///
    /// # Errors
    /// With a message for the operator: the data file cannot be opened or is damaged, the cache
    /// cannot be written, or wasmtime cannot run on this machine.
    pub async fn open(config: &Config, listening: Vec<SocketAddr>) -> Result<Arc<Self>> {
        Self::open_with_clock(config, listening, Arc::new(clock::now_ms)).await
    }

    /// [`App::open`] with a clock of the caller's, by which kv keys expire and schedules are due.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn open_with_clock(
        config: &Config,
        listening: Vec<SocketAddr>,
        clock: Clock,
    ) -> Result<Arc<Self>> {
        let store = open_store(config, Arc::clone(&clock))?;
        // Deletions of tenants that the last process did not finish.
        store.tenants().finish_deletions().await?;
        let engine_config = EngineConfig {
            sandboxes: u32::try_from(config.max_concurrent + SPARE_SANDBOXES)
                .context("max-concurrent is too large")?,
            cache: config.cache.clone(),
            pagemap_scan: config.pagemap_scan,
        };
        let engine = Engine::new(&engine_config).await?;
        let reset = engine.reset();
        tracing::info!(
            pagemap_scan = reset.pagemap_scan,
            reason = reset.reason,
            "engine is ready"
        );
        let images = open_images(config, &store, engine).await?;
        let network = Network::new(listening, store.policies(), config.network_policy);
        let network = Arc::new(network);
        let client = client(config, Arc::clone(&network))?;
        let concurrency = Concurrency {
            total: config.max_concurrent,
            per_tenant: config.max_concurrent_per_tenant,
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let observers = observers(&config.observe, &store, &tasks, &stop)?;
        let dispatch = Dispatch::new(
            Arc::clone(&store),
            images.clone(),
            Arc::clone(&client),
            concurrency,
            observers,
        );
        let deploy = Deploy::new(Arc::clone(&store), images.clone());
        let workspaces = open_workspaces(config, &store, &deploy, &images, &dispatch).await;
        let workspaces = Arc::new(workspaces);
        let runner = Invoker::new(dispatch.clone(), Arc::clone(&workspaces));
        let schedules = open_schedules(&store, runner, clock, concurrency).await?;
        let app = Arc::new(Self {
            deploy,
            workspaces,
            dispatch,
            store,
            images,
            schedules,
            network,
            client,
            tasks,
            stop,
        });
        app.watch_idle();
        app.schedules.start();
        Ok(app)
    }

    /// Lets go of images that nobody has asked for in a long time.
    fn watch_idle(&self) {
        let (images, stop) = (self.images.clone(), self.stop.clone());
        let idle = Duration::from_millis(IMAGE_IDLE_MS);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(IDLE_INTERVAL) => {}
                }
                let evicted = images.evict_idle(idle);
                images.engine().rest();
                if evicted > 0 {
                    heap::give_back();
                }
                tracing::debug!(evicted, "let go of idle images");
            }
        });
    }

    /// The engine's part of the status page.
    pub fn engine_status(&self) -> EngineStatus {
        let engine = self.images.engine();
        EngineStatus {
            pooling: true,
            copy_on_write: true,
            pagemap_scan: engine.reset().pagemap_scan,
            reason: engine.reset().reason.clone(),
            key: engine.key().to_owned(),
            images: self.images.len(),
            engine_snapshot_bytes: engine.base_bytes(),
        }
    }

    /// From now on, new invocations are refused and the server is not ready.
    pub fn start_draining(&self) {
        self.schedules.stop();
        self.dispatch.start_draining();
    }

    /// Whether the server is on its way down.
    pub fn is_draining(&self) -> bool {
        self.dispatch.is_draining()
    }

    /// Waits until every invocation and every run of a schedule has ended.
    pub async fn drained(&self) {
        self.dispatch.drained().await;
        self.schedules.stopped().await;
    }

    /// Ends everything and writes what is left to write. Invocations must have ended, or been
    /// given up, before.
    pub async fn close(&self) {
        self.stop.cancel();
        self.schedules.stop();
        self.tasks.close();
        self.tasks.wait().await;
        let store = Arc::clone(&self.store);
        // Blocks until the last transaction is on disk. Cancelled only when the runtime ends first.
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        if closed.is_err_and(|error| error.is_panic()) {
            tracing::error!("closing the store panicked");
        }
    }
}

/// Opens the data file, and says what is kept in it before anything could be taken away.
fn open_store(config: &Config, clock: Clock) -> Result<Arc<Store>> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
    let path = config.data.join(DATA_FILE);
    let store = Store::open_with_cache(&path, config.store_cache_bytes, clock)?;
    store.set_retention_default(Retention {
        keep_ms: config.observe.keep_ms,
        keep_count: config.observe.keep_count,
    });
    Ok(Arc::new(store))
}

/// Who is told what happens. Spans are exported until `stop`, if there is a collector.
fn observers(
    observe: &Observe,
    store: &Store,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Observers> {
    let metrics = Metrics::new(&store.commit_durations(), observe.metrics_tenants);
    let mut tracer = None;
    if let Some(traces) = &observe.traces {
        let (made, exports) = Tracer::new(traces).map_err(anyhow::Error::msg)?;
        tasks.spawn(exports.run(stop.clone()));
        tracer = Some(made);
    }
    Ok(Observers {
        metrics: Arc::new(metrics),
        tracer,
    })
}

/// Where images come from, with what deployments left that were cut off cleared away.
async fn open_images(config: &Config, store: &Arc<Store>, engine: Engine) -> Result<Images> {
    let images = Images::new(
        Arc::clone(store),
        engine,
        master_key(config).await?,
        &config.data,
        config.program.clone(),
    );
    let swept = images.clone();
    tokio::task::spawn_blocking(move || swept.sweep()).await?;
    Ok(images)
}

/// The workspaces, with what is made of their definitions up to date if that is asked for.
async fn open_workspaces(
    config: &Config,
    store: &Arc<Store>,
    deploy: &Deploy,
    images: &Images,
    dispatch: &Dispatch,
) -> Workspaces {
    let workspaces = Workspaces::new(
        Arc::clone(store),
        deploy.clone(),
        images.clone(),
        dispatch.clone(),
        (config.program.clone(), config.workspaces.clone()),
    );
    if config.workspaces.regenerate {
        let made = workspaces.regenerate().await;
        tracing::info!(made, "made workspaces again from their definitions");
    }
    workspaces
}

/// The schedules, none of which runs yet.
async fn open_schedules(
    store: &Arc<Store>,
    runner: Invoker,
    clock: Clock,
    concurrency: Concurrency,
) -> Result<Schedules> {
    let (store, runner) = (Arc::clone(store), Arc::new(runner));
    let read = move || Schedules::new(&store, runner, clock, concurrency);
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// What functions connect with, as far as `policy` lets them.
fn client(config: &Config, policy: Arc<Network>) -> Result<Arc<Client>> {
    let client = Client::new(OutboundConfig {
        policy: policy as Arc<dyn Policy>,
        resolver: config.resolver.clone(),
        user_agent: concat!("Ampoule/", env!("CARGO_PKG_VERSION")).to_owned(),
        connect_timeout: CONNECT_TIMEOUT,
    })?;
    Ok(Arc::new(client))
}

/// What secrets are sealed under: as configured, or from a file that is made at the first start.
async fn master_key(config: &Config) -> Result<Arc<MasterKey>> {
    if let Some(key) = &config.master_key {
        return Ok(Arc::clone(key));
    }
    let path = config.data.join(MASTER_KEY_FILE);
    let key = tokio::task::spawn_blocking(move || MasterKey::in_file(&path)).await?;
    Ok(Arc::new(key?))
}
