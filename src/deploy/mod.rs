//! Deploying: an upload is unpacked, loaded, snapshotted, stored and made active, in this order.
//!
//! Whatever fails on the way, the version that was active before stays so. Source and settings
//! are the truth and live in the store; files on disk and snapshots are made from them and can
//! be made again (see [`images`]).

pub mod archive;
mod digest;
mod env;
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
use crate::redact::Redactor;
use crate::sandbox::LoadError;
use crate::secret::Plain;
use crate::store::{Deployment, Evaluation, Expected, LogLine, NewDeployment, Store, Stored};

use archive::{File, Kind};
pub use env::{Edit, EnvEdit, EnvTarget};
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
    /// Files that the server has already, sorted by path; there are no bytes then.
    Files(Vec<File>),
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
    /// What the function has to be beforehand.
    pub expected: Expected,
}

/// A deployment as it was stored.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// The new version.
    pub deployment: Arc<Deployment>,
    /// Whether it is the active one.
    pub active: bool,
    /// Whether it was not there before.
    pub is_new: bool,
    /// The function's tag now, see [`crate::store::FunctionSummary::tag`].
    pub tag: String,
    /// What its top level logged; nothing if it was there before.
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

    /// Deploys a new version, and activates it unless the settings say otherwise. An upload that
    /// is what a kept version is already makes no new one.
    ///
    /// # Errors
    /// `precondition_failed`, `versions_exceeded`,
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
        let (files, files_digest) = blocking(move || {
            let digest = digest::of_files(&files);
            Ok((files, digest))
        })
        .await?;
        let Settings {
            env,
            secrets,
            route,
            limits: overrides,
            ..
        } = upload.settings;
        let secrets = self
            .images
            .seal((&upload.tenant, &upload.function), &secrets);
        let draft = NewDeployment {
            id: DeploymentId::new(clock::now_ms()),
            tenant: upload.tenant,
            function: upload.function,
            created_ms: clock::now_ms(),
            kind: upload.settings.kind,
            digest: digest::of_version(
                &files_digest,
                upload.settings.kind,
                &entry,
                route.as_deref(),
                &overrides,
            ),
            files_digest,
            entry,
            env,
            secrets,
            requires_key: upload.settings.requires_key,
            limits: overrides,
            route,
            evaluation: Evaluation::Snapshot,
            files: files.len() as u64,
            source_bytes: files.iter().map(|file| file.bytes.len() as u64).sum(),
            snapshot_bytes: 0,
            activate: upload.settings.activate.unwrap_or(true),
            expected: upload.expected,
            base: None,
        };
        self.make(draft, files, limits).await
    }

    /// Makes a version of a draft, unless there is one already that is the same.
    async fn make(
        &self,
        draft: NewDeployment,
        files: Vec<File>,
        limits: crate::limits::Limits,
    ) -> Result<Deployed, Error> {
        let reused = self.store.functions().reuse(&draft).await;
        if let Some(stored) = reused.map_err(from_store)? {
            return Ok(Deployed::of(stored, Vec::new()));
        }
        let bundle = {
            let files = files.clone();
            blocking(move || archive::pack(&files).map_err(Error::from)).await?
        };
        let id = draft.id;
        let _permit = self.loads.acquire().await.map_err(Error::internal)?;
        let result = self.load_and_store(draft, files, bundle, limits).await;
        if !result.as_ref().is_ok_and(|deployed| deployed.is_new) {
            self.images.forget(&id).await;
        }
        result
    }

    async fn load_and_store(
        &self,
        mut draft: NewDeployment,
        files: Vec<File>,
        bundle: Bytes,
        limits: crate::limits::Limits,
    ) -> Result<Deployed, Error> {
        let owner = (&draft.tenant, &draft.function);
        let secrets = self.images.open(owner, &draft.secrets)?;
        let redactor = Redactor::new(secrets.values().map(Plain::reveal));
        let load = images::Load {
            id: draft.id,
            kind: draft.kind,
            tenant: draft.tenant.clone(),
            entry: draft.entry.clone(),
            env: draft.env.clone(),
            secrets,
            route: draft.route.clone(),
            limits,
        };
        let loaded = self.images.create(&load, files).await.map_err(refused)?;
        draft.snapshot_bytes = loaded.snapshot_bytes;
        if let Some(reason) = loaded.per_request {
            draft.evaluation = Evaluation::PerRequest { reason };
        }
        let stored = self
            .store
            .functions()
            .deploy(draft, bundle)
            .await
            .map_err(from_store)?;
        if !stored.is_new {
            // Somebody else deployed the same while this was loaded.
            return Ok(Deployed::of(stored, Vec::new()));
        }
        let deployment = &stored.deployment;
        let log = lines(deployment, loaded.log, &redactor);
        self.store
            .logs()
            .append(&deployment.tenant, &deployment.function, log.clone());
        Ok(Deployed::of(stored, log))
    }
}

impl Deployed {
    fn of(stored: Stored, log: Vec<LogLine>) -> Self {
        Self {
            deployment: stored.deployment,
            active: stored.active,
            is_new: stored.is_new,
            tag: stored.tag,
            log,
        }
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

fn lines(deployment: &Deployment, log: Vec<LogEntry>, redactor: &Redactor) -> Vec<LogLine> {
    log.into_iter()
        .map(|entry| LogLine {
            timestamp_ms: entry.timestamp_ms,
            level: entry.level,
            message: redactor.text(&entry.message).unwrap_or(entry.message),
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
        UploadKind::Files(files) => return Ok(files),
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
