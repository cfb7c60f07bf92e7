//! Whole servers without their HTTP, and calls of their functions.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ampoule::app::App;
use ampoule::clock;
use ampoule::config::{Config, RawConfig, WorkspaceConfig};
use ampoule::deploy::{Deploy, Images, Settings, Upload, UploadKind};
use ampoule::dispatch::{Answer, AnswerBody, Call, Caller, Concurrency, Dispatch, Observers};
use ampoule::error::Error;
use ampoule::id::{FunctionName, InvocationId, TenantId};
use ampoule::limits::STORE_CACHE_MIB;
use ampoule::metrics::Metrics;
use ampoule::outbound::{Client, OutboundConfig, OwnAddresses};
use ampoule::policies::Preset;
use ampoule::sandbox::Engine;
use ampoule::secret::MasterKey;
use ampoule::store::{Deployment, Expected, Store};
use ampoule::trace::Context as Trace;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::TempDir;

use super::cases::FIELDS;

/// What may run at once in a server with default settings.
pub(crate) const CONCURRENCY: Concurrency = Concurrency {
    total: 512,
    per_tenant: 128,
};

/// A folder on the disk that is built on, not in memory.
pub(crate) fn folder() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// The folder of compiled code.
pub(crate) fn cache() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-cache")
}

/// The server's parts, around an engine that there is already.
pub(crate) struct Parts {
    pub(crate) store: Arc<Store>,
    pub(crate) images: Images,
    pub(crate) deploy: Deploy,
    data: TempDir,
}

impl Parts {
    /// An empty server.
    pub(crate) fn new(engine: &Engine) -> Result<Self> {
        let data = folder()?;
        let store = Arc::new(Store::open(&data.path().join("ampoule.redb"))?);
        let images = Images::new(
            Arc::clone(&store),
            engine.clone(),
            Arc::new(MasterKey::new(&[0; 32])),
            data.path(),
            env!("CARGO_BIN_EXE_ampoule").into(),
        );
        let deploy = Deploy::new(Arc::clone(&store), images.clone());
        Ok(Self {
            store,
            images,
            deploy,
            data,
        })
    }

    /// Its dispatch; and its folder, which goes with it.
    pub(crate) fn dispatch(self) -> Result<(Dispatch, TempDir)> {
        let client = Client::new(OutboundConfig {
            policy: Arc::new(OwnAddresses::new(Vec::new())),
            resolver: None,
            user_agent: "Ampoule".to_owned(),
            connect_timeout: Duration::from_secs(10),
        })?;
        let observers = Observers {
            metrics: Arc::new(Metrics::new(&self.store.commit_durations(), 0)),
            tracer: None,
        };
        let client = Arc::new(client);
        let dispatch = Dispatch::new(self.store, self.images, client, CONCURRENCY, observers);
        Ok((dispatch, self.data))
    }
}

/// Opens a server on a data folder, as `ampoule serve` does it.
pub(crate) async fn open(data: &Path, concurrency: Concurrency) -> Result<Arc<App>> {
    let mut config = Config::new(RawConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        api_listen: None,
        data: data.to_owned(),
        cache: Some(cache()),
        key: None,
        master_key: None,
        trust_proxy: false,
        max_concurrent: concurrency.total,
        max_concurrent_per_tenant: concurrency.per_tenant,
        store_cache_mib: STORE_CACHE_MIB,
        network_policy: Preset::AllowAll,
        workspaces: WorkspaceConfig::default(),
    })?;
    config.program = env!("CARGO_BIN_EXE_ampoule").into();
    App::open(&config, Vec::new()).await
}

/// A function of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) tenant: TenantId,
    pub(crate) function: FunctionName,
}

impl Name {
    /// A function of the default tenant.
    pub(crate) fn new(function: &str) -> Result<Self> {
        Ok(Self {
            tenant: TenantId::default_tenant(),
            function: function.parse()?,
        })
    }

    /// A function of a tenant.
    pub(crate) fn of(tenant: &str, function: &str) -> Result<Self> {
        Ok(Self {
            tenant: tenant.parse()?,
            function: function.parse()?,
        })
    }
}

/// Deploys one file, as an upload is deployed.
pub(crate) async fn upload(
    deploy: &Deploy,
    name: &Name,
    filename: &str,
    source: impl Into<Bytes>,
    settings: Settings,
) -> Result<Arc<Deployment>> {
    let upload = Upload {
        tenant: name.tenant.clone(),
        function: name.function.clone(),
        kind: UploadKind::Source {
            filename: filename.to_owned(),
        },
        bytes: source.into(),
        settings,
        expected: Expected::default(),
    };
    let deployed = Box::pin(deploy.deploy(upload)).await;
    Ok(deployed.with_context(|| format!("{name:?}"))?.deployment)
}

/// What a function is asked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) fields: &'static str,
    pub(crate) content: Bytes,
}

impl Ask {
    /// `GET` without a body.
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            fields: FIELDS,
            content: Bytes::new(),
        }
    }
}

/// Calls a function through the dispatch.
pub(crate) async fn call(dispatch: &Dispatch, name: &Name, ask: &Ask) -> Result<Answer, Error> {
    let content = ask.content.clone();
    let id = InvocationId::new(clock::now_ms());
    let call = Call {
        id,
        tenant: name.tenant.clone(),
        function: name.function.clone(),
        version: None,
        chosen: Arc::default(),
        method: ask.method.to_owned(),
        target: ask.target.clone(),
        fields: ask.fields.as_bytes().to_vec(),
        recorded_as: None,
        trace: Trace::new(id),
        peer: IpAddr::from([127, 0, 0, 1]),
        secure: false,
        caller: Caller::Trusted,
        body: Box::new(|_bytes_max| Box::pin(async move { Ok(content) })),
    };
    Box::pin(dispatch.invoke(call)).await
}

/// [`call`], with the answer read to its end: how many bytes it has.
pub(crate) async fn call_all(dispatch: &Dispatch, name: &Name, ask: &Ask) -> Result<usize> {
    let answer = call(dispatch, name, ask).await?;
    ensure!(answer.status == 200, "the status is {}", answer.status);
    match answer.body {
        AnswerBody::Whole(body) => Ok(body.len()),
        AnswerBody::Streamed(mut body) => {
            let mut bytes = 0;
            while let Some(chunk) = body.next().await {
                bytes += chunk?.len();
            }
            Ok(bytes)
        }
    }
}
