//! A server's configuration: as written, and checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::secret::MasterKey;

/// A configuration as it was written, nothing of it checked.
#[derive(Clone)]
pub struct RawConfig {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
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
}

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// Address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Folder that holds everything the server keeps; made if it is not there.
    pub data: PathBuf,
    /// Folder for compiled code, which may be deleted at any time.
    pub cache: PathBuf,
    /// Key to the control plane, not empty. Without one, `listen` is a loopback address.
    pub key: Option<String>,
    /// What secrets are sealed under; without it, a file in `data` holds it.
    pub master_key: Option<Arc<MasterKey>>,
    /// Whether a proxy in front sets `x-forwarded-for`.
    pub trust_proxy: bool,
    /// Most invocations at once, 1 and up.
    pub max_concurrent: usize,
    /// Most invocations of one tenant at once, 1 and up.
    pub max_concurrent_per_tenant: usize,
    /// Where the kernel lists swap areas, which decides how pages are wiped between invocations.
    pub swaps_path: PathBuf,
    /// Where the kernel counts what it does with pages, for the same reason.
    pub counters_path: PathBuf,
    /// The `ampoule` binary, which transforms TypeScript in a process of its own.
    pub program: PathBuf,
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
        if config.key.is_none() && !config.listen.ip().to_canonical().is_loopback() {
            return Err(ConfigError::KeyMissing(config.listen));
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
        ] {
            if count == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        Ok(Self {
            listen: raw.listen,
            cache: raw.cache.unwrap_or_else(|| raw.data.join("cache")),
            data: raw.data,
            key,
            master_key: master_key.map(Arc::new),
            trust_proxy: raw.trust_proxy,
            max_concurrent: raw.max_concurrent,
            max_concurrent_per_tenant: raw.max_concurrent_per_tenant,
            swaps_path: PathBuf::from("/proc/swaps"),
            counters_path: PathBuf::from("/proc/vmstat"),
            // The one that runs, also when another one was put in its place.
            program: PathBuf::from("/proc/self/exe"),
        })
    }
}

#[cfg(test)]
mod tests;
