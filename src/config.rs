//! A server's configuration: as written, and checked.

mod workspaces;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::policies::Preset;

/// Answers the addresses of a host's name. Called on a thread that may block.
pub type Resolver = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

use crate::limits;
use crate::secret::MasterKey;
use crate::trace::{Sampler, TraceConfig};

pub use workspaces::WorkspaceConfig;

/// A configuration as it was written, nothing of it checked.
#[derive(Clone)]
pub struct RawConfig {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the control plane alone listens; `None` for `listen`.
    pub api_listen: Option<SocketAddr>,
    /// Folder that holds everything the server keeps; made if it is not there.
    pub data: PathBuf,
    /// Folder for compiled code; `None` for one inside of `data`.
    pub cache: Option<PathBuf>,
    /// Key to the control plane; an empty one is none.
    pub key: Option<String>,
    /// What secrets are sealed under, as text; without it, a file in `data` holds it.
    pub master_key: Option<String>,
    /// Whether a proxy in front sets `x-forwarded-for`.
    pub trust_proxy: bool,
    /// Most invocations at once.
    pub max_concurrent: usize,
    /// Most invocations of one tenant at once.
    pub max_concurrent_per_tenant: usize,
    /// Most memory for pages of the data file, in MiB.
    pub store_cache_mib: usize,
    /// The global network policy as long as none is stored.
    pub network_policy: Preset,
    /// Bounds and rules of workspaces.
    pub workspaces: WorkspaceConfig,
}

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the control plane alone listens; `None` for `listen`.
    pub api_listen: Option<SocketAddr>,
    /// Folder that holds everything the server keeps; made if it is not there.
    pub data: PathBuf,
    /// Folder for compiled code, which may be deleted at any time.
    pub cache: PathBuf,
    /// Key to the control plane, not empty. Without one, it listens on a loopback address.
    pub key: Option<String>,
    /// What secrets are sealed under; without it, a file in `data` holds it.
    pub master_key: Option<Arc<MasterKey>>,
    /// Whether a proxy in front sets `x-forwarded-for`.
    pub trust_proxy: bool,
    /// Most invocations at once, 1 and up.
    pub max_concurrent: usize,
    /// Most invocations of one tenant at once, 1 and up.
    pub max_concurrent_per_tenant: usize,
    /// Most memory for pages of the data file, in bytes, 1 MiB and up.
    pub store_cache_bytes: usize,
    /// The global network policy as long as none is stored.
    pub network_policy: Preset,
    /// Asked for the names that functions connect to, in place of the system's resolver.
    pub resolver: Option<Resolver>,
    /// Bounds and rules of workspaces, each within its range.
    pub workspaces: WorkspaceConfig,
    /// Whether the kernel is asked which pages an invocation wrote to, if it can be; otherwise all of them
    /// are wiped.
    pub pagemap_scan: bool,
    /// The `ampoule` binary, which transforms TypeScript in a process of its own.
    pub program: PathBuf,
    /// What is kept and told of what happens.
    pub observe: Observe,
}

/// What is kept and told of what happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Observe {
    /// Where spans go; `None` for nowhere.
    pub traces: Option<TraceConfig>,
    /// How many tenants metrics name, the first that come; 0 for none.
    pub metrics_tenants: usize,
    /// How long records and log lines are kept where nothing is set, in milliseconds.
    pub keep_ms: u64,
    /// How many records of a function are kept where nothing is set.
    pub keep_count: u64,
}

impl Default for Observe {
    /// No traces, no names of tenants, and the retention of [`limits`].
    fn default() -> Self {
        Self {
            traces: None,
            metrics_tenants: 0,
            keep_ms: limits::RETENTION_MS,
            keep_count: limits::INVOCATIONS_KEPT,
        }
    }
}

impl TraceConfig {
    /// Reads OpenTelemetry's variables of the environment; `None` when they name no collector.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let base = set("OTEL_EXPORTER_OTLP_ENDPOINT");
        let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))));
        let Some(endpoint) = endpoint else {
            return Ok(None);
        };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let sampler = set("OTEL_TRACES_SAMPLER");
        let sampler = sampler.as_deref().unwrap_or("parentbased_always_on");
        Ok(Some(Self {
            endpoint,
            service: set("OTEL_SERVICE_NAME").unwrap_or_else(|| "ampoule".to_owned()),
            sampler: Sampler::parse(sampler, set("OTEL_TRACES_SAMPLER_ARG").as_deref())?,
        }))
    }
}

/// Why a configuration cannot be served; the text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Everyone who reaches the address could manage functions.
    #[error(
        "{0} can be reached from other machines, and there is no key: set AMPOULE_KEY (or --key) \
         to a secret of your choice, or listen on 127.0.0.1"
    )]
    KeyMissing(SocketAddr),
    /// No header could carry the key.
    #[error("the key may hold printable ASCII characters only, and no spaces")]
    KeyInvalid,
    /// A setting of workspaces is out of its range.
    #[error("{0}")]
    Workspaces(String),
    /// The master key is none.
    #[error("the master key must have 64 digits of 0-9 and a-f: `openssl rand -hex 32` makes one")]
    MasterKeyInvalid,
    /// Nothing could ever run.
    #[error("{0} must be 1 or more")]
    Zero(&'static str),
}

impl Config {
    /// Checks what was written.
    ///
    /// # Errors
    /// [`ConfigError`], with what to do about it.
    pub fn new(raw: RawConfig) -> Result<Self, ConfigError> {
        let config = Self::for_development(raw)?;
        let control_plane = config.api_listen.unwrap_or(config.listen);
        if config.key.is_none() && !control_plane.ip().to_canonical().is_loopback() {
            return Err(ConfigError::KeyMissing(control_plane));
        }
        Ok(config)
    }

    /// [`Config::new`] for a server whose control plane nobody needs: without a key it may listen
    /// on any address, and then its control plane answers nobody.
    ///
    /// # Errors
    /// As [`Config::new`], but for [`ConfigError::KeyMissing`].
    pub fn for_development(raw: RawConfig) -> Result<Self, ConfigError> {
        let key = raw.key.filter(|key| !key.is_empty());
        let is_sendable = |key: &String| key.bytes().all(|b| b.is_ascii_graphic());
        if !key.as_ref().is_none_or(is_sendable) {
            return Err(ConfigError::KeyInvalid);
        }
        let master_key = raw.master_key.filter(|key| !key.is_empty());
        let master_key: Option<Result<MasterKey, _>> = master_key.map(|key| key.parse());
        let master_key = master_key.transpose();
        let master_key = master_key.map_err(|_| ConfigError::MasterKeyInvalid)?;
        for (name, count) in [
            ("max-concurrent", raw.max_concurrent),
            ("max-concurrent-per-tenant", raw.max_concurrent_per_tenant),
            ("store-cache-mib", raw.store_cache_mib),
        ] {
            if count == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        if let Some(fault) = raw.workspaces.fault() {
            return Err(ConfigError::Workspaces(fault));
        }
        Ok(Self {
            listen: raw.listen,
            api_listen: raw.api_listen,
            cache: raw.cache.unwrap_or_else(|| raw.data.join("cache")),
            data: raw.data,
            key,
            master_key: master_key.map(Arc::new),
            trust_proxy: raw.trust_proxy,
            max_concurrent: raw.max_concurrent,
            max_concurrent_per_tenant: raw.max_concurrent_per_tenant,
            store_cache_bytes: raw.store_cache_mib.saturating_mul(1 << 20),
            network_policy: raw.network_policy,
            resolver: None,
            workspaces: raw.workspaces,
            pagemap_scan: true,
            // The one that runs, also when another one was put in its place.
            program: PathBuf::from("/proc/self/exe"),
            observe: Observe::default(),
        })
    }
}

#[cfg(test)]
mod tests;
