//! Deploying: an upload is unpacked, loaded, snapshotted, stored and made active, in this order.
//!
//! Whatever fails on the way, the version that was active before stays so. Source and settings
//! are the truth and live in the store; files on disk and snapshots are made from them and can
//! be made again (see [`images`]).

pub mod archive;
mod files;
pub mod images;
mod places;
mod settings;
mod tsconfig;
mod typescript;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::clock;
use crate::error::{Code, Error};
use crate::host::{LogEntry, Refusal};
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::sandbox::LoadError;
use crate::store::{Deployment, Evaluation, LogLine, NewDeployment, Store};

use archive::{File, Kind};
pub use images::Images;
pub use places::{PLACES_MAX, Places};
pub use settings::{Settings, is_source_name};

/// Loads that run at once; each takes a sandbox and up to a processor.
const LOADS_MAX: usize = 2;

/// What kind of upload it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadKind {
    /// One source file.
    Source {
        /// Its name, which is the entry.
        filename: String,
    },
    /// A folder as a tar archive in gzip.
    TarGz,
    /// A folder as a zip archive.
    Zip,
}

/// What a caller asks to be deployed.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The owner.
    pub tenant: TenantId,
    /// The function.
    pub function: FunctionName,
    /// How to read `bytes`.
    pub kind: UploadKind,
    /// At most [`crate::limits::UPLOAD_BYTES_MAX`] bytes.
    pub bytes: Bytes,
    /// Everything else.
    pub settings: Settings,
}

/// A deployment as it was stored.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The new version.
    pub deployment: Arc<Deployment>,
    /// Whether it is the active one.
    pub active: bool,
    /// What its top level logged.
    pub log: Vec<LogLine>,
}

/// The way in for new versions.
#[derive(Clone)]
pub struct Deploy {
    store: Arc<Store>,
    images: Images,
    loads: Arc<Semaphore>,
}

impl Deploy {
    /// Deploys into `store`; images are made ready in `images`.
    pub fn new(store: Arc<Store>, images: Images) -> Self {
        Self {
            store,
            images,
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
        }
    }

    /// Deploys a new version, and activates it unless the settings say otherwise.
    ///
    /// # Errors
    /// `archive_invalid`, `archive_too_large`, `settings_invalid`, `entry_not_found`,
    /// `syntax_error`, `module_not_found`, `handler_missing`, `load_threw`, `load_exceeded`,
    /// `storage_unavailable`, `storage_busy`. After any of them nothing has changed.
    /// # Cancel safety
    /// Dropping the future before the store is reached leaves only files that the next start
    /// clears away; after that, the deployment happens.
    pub async fn deploy(&self, upload: Upload) -> Result<Deployed, Error> {
        let limits = upload.settings.check()?;
        let files = unpack(upload.kind.clone(), upload.bytes.clone()).await?;
        let entry = settings::entry(&upload.settings, &upload.kind, &files)?;
        let bundle = {
            let files = files.clone();
            blocking(move || archive::pack(&files).map_err(Error::from)).await?
        };
        let id = DeploymentId::new(clock::now_ms());
        let draft = NewDeployment {
            id,
            tenant: upload.tenant.clone(),
            function: upload.function.clone(),
            created_ms: clock::now_ms(),
            kind: upload.settings.kind,
            entry,
            env: upload.settings.env.clone(),
            secrets: self.images.seal(&upload)?,
            requires_key: upload.settings.requires_key,
            limits: upload.settings.limits,
            route: upload.settings.route.clone(),
            evaluation: Evaluation::Snapshot,
            files: files.len() as u64,
            source_bytes: files.iter().map(|file| file.bytes.len() as u64).sum(),
            snapshot_bytes: 0,
            activate: upload.settings.activate.unwrap_or(true),
        };
        let _permit = self.loads.acquire().await.map_err(Error::internal)?;
        let load = images::Load::new(&draft, &upload.settings.secrets, limits);
        let result = self.load_and_store(draft, files, bundle, load).await;
        if result.is_err() {
            self.images.forget(&id).await;
        }
        result
    }

    async fn load_and_store(
        &self,
        mut draft: NewDeployment,
        files: Vec<File>,
        bundle: Bytes,
        load: images::Load,
    ) -> Result<Deployed, Error> {
        let loaded = self.images.create(&load, files).await.map_err(refused)?;
        draft.snapshot_bytes = loaded.snapshot_bytes;
        if let Some(reason) = loaded.per_request {
            draft.evaluation = Evaluation::PerRequest { reason };
        }
        let active = draft.activate;
        let deployment = self
            .store
            .functions()
            .deploy(draft, bundle)
            .await
            .map_err(from_store)?;
        let log = lines(&deployment, loaded.log);
        self.store
            .logs()
            .append(&deployment.tenant, &deployment.function, log.clone());
        Ok(Deployed {
            deployment,
            active,
            log,
        })
    }
}

/// An error of the store as callers may see it.
pub fn from_store(error: crate::store::Error) -> Error {
    let code = error.code();
    let detail = match code {
        Code::StorageUnavailable | Code::Internal => "see the server's log".to_owned(),
        _ => error.to_string(),
    };
    Error {
        code,
        detail,
        source: Some(Box::new(error)),
    }
}

fn lines(deployment: &Deployment, log: Vec<LogEntry>) -> Vec<LogLine> {
    log.into_iter()
        .map(|entry| LogLine {
            timestamp_ms: entry.timestamp_ms,
            level: entry.level,
            message: entry.message,
            invocation: String::new(),
            version: deployment.version,
        })
        .collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}

async fn unpack(kind: UploadKind, bytes: Bytes) -> Result<Vec<File>, Error> {
    let kind = match kind {
        UploadKind::TarGz => Kind::TarGz,
        UploadKind::Zip => Kind::Zip,
        UploadKind::Source { filename } => return settings::source(&filename, bytes),
    };
    blocking(move || Ok(archive::unpack(kind, &bytes)?)).await
}

/// Why a load failed, as the one who deploys may see it: they wrote the code.
fn refused(error: LoadError) -> Error {
    match error {
        LoadError::Refused(refusal) => Error::new(code(&refusal.code), describe(&refusal)),
        LoadError::Exceeded(detail) => Error::new(Code::LoadExceeded, detail),
        LoadError::Internal(source) => Error::internal(source),
    }
}

fn code(text: &str) -> Code {
    match text {
        "syntax_error" => Code::SyntaxError,
        "module_not_found" => Code::ModuleNotFound,
        "entry_not_found" => Code::EntryNotFound,
        "handler_missing" => Code::HandlerMissing,
        _ => Code::LoadThrew,
    }
}

/// `file:line:column: message`, as compilers say it. Paths are those of the upload: where its
/// files stand inside of a sandbox is nobody's business here.
fn describe(refusal: &Refusal) -> String {
    let message = refusal.message.replace("/app/", "");
    match (refusal.file.as_str(), refusal.line) {
        ("", _) => message,
        (file, 0) => format!("{file}: {message}"),
        (file, line) => format!("{file}:{line}:{}: {message}", refusal.column),
    }
}
