//! Workspaces: functions that are written as bodies and run by name with parameters.
//!
//! A workspace is a function of the kind `workspace`, so versions, roll-back, logs and limits are
//! those of every other one. What is uploaded is its definition; the files that a sandbox loads
//! are made from that (`manifest`). A run is an invocation that may hold the workspace's cache
//! (`kept`), on which its functions work one after the other.

mod definition;
mod kept;
mod manifest;
mod packages;
mod schema;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use self::definition::Definition;
use self::kept::{Kept, Shelf};
use self::manifest::{DEFINITION, MANIFEST, Manifest};
pub use self::packages::{Package, PackageArchive};
use crate::clock;
use crate::config::WorkspaceConfig;
use crate::deploy::archive::File;
use crate::deploy::{Deploy, Images, Settings, Upload, UploadKind, from_store};
use crate::dispatch::{Call, Caller, Completed, Dispatch, Extras};
use crate::error::{Code, Error};
use crate::id::{FunctionName, InvocationId, TenantId};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::store::{Deployment, Expected, RecordedKind, Store};
use crate::trace::Context;

/// Locks for changes, over which workspaces are spread: a merge reads what it then replaces.
const EDIT_LOCKS: usize = 64;

/// Everything that can be done with workspaces.
pub struct Workspaces {
    store: Arc<Store>,
    deploy: Deploy,
    images: Images,
    dispatch: Dispatch,
    /// The `ampoule` binary, which looks at sources in a process of its own.
    program: PathBuf,
    config: WorkspaceConfig,
    shelf: Shelf,
    edits: [Mutex<()>; EDIT_LOCKS],
}

/// One run of one function.
pub struct Run {
    /// The invocation's id, made when the request arrived.
    pub id: InvocationId,
    /// Whose workspace.
    pub tenant: TenantId,
    /// Which workspace.
    pub workspace: FunctionName,
    /// Is told the version that was chosen.
    pub chosen: Arc<AtomicU64>,
    /// Which of its functions.
    pub function: String,
    /// What it is run with, by name.
    pub parameters: Map<String, Value>,
    /// What its record says that it was for; `None` for a run that somebody asked for.
    pub recorded_as: Option<RecordedKind>,
    /// The client's address.
    pub peer: std::net::IpAddr,
    /// The trace that it belongs to.
    pub trace: Context,
}

/// The parameters in the body of a request to run a function: an object with `parameters`. An
/// empty body has none.
///
/// # Errors
/// `body_invalid`, `parameters_invalid`.
pub fn parameters(body: &[u8]) -> Result<Map<String, Value>, Error> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Error::new(Code::BodyInvalid, format!("the body is no JSON: {error}")))?;
    let Value::Object(mut members) = body else {
        let detail = "the body must be an object with parameters";
        return Err(Error::new(Code::BodyInvalid, detail));
    };
    match members.remove("parameters") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(parameters)) => Ok(parameters),
        Some(_) => {
            let detail = "parameters must be an object of values by name";
            Err(Error::new(Code::ParametersInvalid, detail))
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// The invocation.
    pub completed: Completed,
    /// From its arrival to its end, waiting for the cache included.
    pub duration: Duration,
}

impl Workspaces {
    /// Workspaces in `store`, which are made with `deploy` and run with `dispatch`.
    pub fn new(
        store: Arc<Store>,
        deploy: Deploy,
        images: Images,
        dispatch: Dispatch,
        (program, config): (PathBuf, WorkspaceConfig),
    ) -> Self {
        let idle_ms = u64::try_from(config.idle.as_millis()).unwrap_or(u64::MAX);
        Self {
            store,
            deploy,
            images,
            dispatch,
            program,
            shelf: Shelf::new(config.kept_max, idle_ms),
            config,
            edits: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// Largest request body of this surface, in bytes.
    pub fn request_bytes_max(&self) -> u64 {
        self.config.request_bytes_max
    }

    async fn edit(&self, tenant: &TenantId, workspace: &FunctionName) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (tenant, workspace).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % EDIT_LOCKS as u64).unwrap_or_default();
        self.edits[place].lock().await
    }

    /// Makes `written` the definition of a workspace, which need not exist yet. Uploaded packages
    /// stay. Answers the definition.
    ///
    /// # Errors
    /// `workspace_invalid`, `language_unsupported`, `kind_mismatch`, and those of
    /// [`Deploy::deploy`]. After any of them the workspace is as it was.
    /// # Cancel safety
    /// As [`Deploy::deploy`].
    pub async fn put(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
        written: Value,
    ) -> Result<Value, Error> {
        let definition = Definition::parse(written)?;
        let _edit = self.edit(tenant, workspace).await;
        let active = self.active_of_any_kind(tenant, workspace)?;
        let before = match &active {
            Some(active) => self.bundle(active).await?,
            None => Vec::new(),
        };
        let packages = packages::of(before);
        self.deploy(tenant, workspace, definition, packages, active)
            .await
    }

    /// Merges `patch` (RFC 7396) into the definition of a workspace. Answers the whole of it.
    ///
    /// # Errors
    /// As [`Workspaces::put`], and `function_not_found`.
    pub async fn patch(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
        patch: Value,
    ) -> Result<Value, Error> {
        let _edit = self.edit(tenant, workspace).await;
        let active = self.active(tenant, workspace)?;
        let mut written = self.definition(&active).await?;
        definition::merge(&mut written, patch);
        let definition = Definition::parse(written)?;
        let packages = packages::of(self.bundle(&active).await?);
        self.deploy(tenant, workspace, definition, packages, Some(active))
            .await
    }

    /// The definition of a workspace, as it was written.
    ///
    /// # Errors
    /// `function_not_found`, `storage_unavailable`.
    pub async fn show(&self, tenant: &TenantId, workspace: &FunctionName) -> Result<Value, Error> {
        let active = self.active(tenant, workspace)?;
        self.definition(&active).await
    }

    /// Deletes a workspace with all its versions, packages and lines of its log.
    ///
    /// # Errors
    /// `function_not_found`, `storage_unavailable`, `storage_busy`.
    pub async fn delete(&self, tenant: &TenantId, workspace: &FunctionName) -> Result<(), Error> {
        let _edit = self.edit(tenant, workspace).await;
        let active = self.active(tenant, workspace)?;
        let functions = self.store.functions();
        functions
            .delete_function(tenant, workspace, Expected::default())
            .await
            .map_err(from_store)?;
        self.shelf.forget(&active.id);
        Ok(())
    }

    /// Puts packages in the place of those that a workspace has; without an archive it has none
    /// afterwards. Answers which it has then.
    ///
    /// # Errors
    /// As [`Workspaces::patch`], `archive_invalid`, `archive_too_large`.
    pub async fn put_packages(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
        archive: Option<PackageArchive>,
    ) -> Result<Vec<Package>, Error> {
        let packages = match archive {
            Some(archive) => blocking(move || packages::unpack(&archive)).await?,
            None => Vec::new(),
        };
        let listed = packages::list(&packages);
        let _edit = self.edit(tenant, workspace).await;
        let active = self.active(tenant, workspace)?;
        let definition = Definition::parse(self.definition(&active).await?)?;
        self.deploy(tenant, workspace, definition, packages, Some(active))
            .await?;
        Ok(listed)
    }

    /// The packages that were uploaded for a workspace, by path.
    ///
    /// # Errors
    /// `function_not_found`, `storage_unavailable`.
    pub async fn packages(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
    ) -> Result<Vec<Package>, Error> {
        let active = self.active(tenant, workspace)?;
        Ok(packages::list(&packages::of(self.bundle(&active).await?)))
    }

    async fn deploy(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
        definition: Definition,
        packages: Vec<File>,
        before: Option<Arc<Deployment>>,
    ) -> Result<Value, Error> {
        let (program, builtins) = (self.program.clone(), self.config.builtins.clone());
        let (definition, mut files) = blocking(move || {
            let files = manifest::files(&program, &definition, &builtins)?;
            Ok((definition, files))
        })
        .await?;
        files.extend(packages);
        let upload = Upload {
            tenant: tenant.clone(),
            function: workspace.clone(),
            kind: UploadKind::Files(files),
            bytes: Bytes::new(),
            settings: Settings {
                kind: Kind::Workspace,
                entry: Some(MANIFEST.to_owned()),
                ..Settings::default()
            },
            expected: Expected::default(),
        };
        self.deploy.deploy(upload).await.map_err(of_source)?;
        if let Some(before) = before {
            self.shelf.forget(&before.id);
        }
        Ok(definition.written)
    }

    /// Makes the files of all workspaces again that are not as this server would make them.
    ///
    /// Answers how many were made again. One that cannot be stays as it is, and the log says why.
    pub async fn regenerate(&self) -> usize {
        let functions = self.store.functions();
        let active = tokio::task::spawn_blocking(move || functions.active_of_kind(Kind::Workspace));
        let active = match active.await {
            Ok(Ok(active)) => active,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot list the workspaces to make again");
                return 0;
            }
            Err(_panicked) => return 0,
        };
        let mut made = 0;
        for deployment in active {
            match self.regenerate_one(&deployment).await {
                Ok(is_made) => made += usize::from(is_made),
                Err(error) => tracing::warn!(
                    %error,
                    tenant = %deployment.tenant,
                    workspace = %deployment.function,
                    "a workspace cannot be made again"
                ),
            }
        }
        made
    }

    async fn regenerate_one(&self, active: &Arc<Deployment>) -> Result<bool, Error> {
        let definition = Definition::parse(self.definition(active).await?)?;
        let before = self.bundle(active).await?;
        let (program, builtins) = (self.program.clone(), self.config.builtins.clone());
        let (definition, files) = blocking(move || {
            let files = manifest::files(&program, &definition, &builtins)?;
            Ok((definition, files))
        })
        .await?;
        let is_there = |file: &File| before.iter().any(|old| old == file);
        if files.iter().all(is_there) {
            return Ok(false);
        }
        let packages = packages::of(before);
        let (tenant, workspace) = (&active.tenant, &active.function);
        self.deploy(
            tenant,
            workspace,
            definition,
            packages,
            Some(Arc::clone(active)),
        )
        .await?;
        Ok(true)
    }

    /// Runs a function of a workspace to its end: in the active version, or in the other one of a
    /// split.
    ///
    /// # Errors
    /// `function_not_found` for the workspace or the function, `parameters_invalid`,
    /// `tenant_busy` and `wall_exceeded` while it waits for the cache, and those of
    /// [`Dispatch::complete`]. How it ended, once it ran, is in [`Completed::result`].
    /// # Cancel safety
    /// Dropping the future ends the run; the cache is as it was before.
    pub async fn run(&self, run: Run) -> Result<Ran, Error> {
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(self.config.run_timeout_ms);
        let chosen = (self.dispatch).choose(&run.tenant, &run.workspace, run.id)?;
        let version = of_kind(chosen, &run.workspace)?;
        let kept = self.kept(&version).await?;
        let mut functions = kept.manifest.functions.iter();
        let function = functions.find(|one| one.name == run.function);
        let function = function.ok_or_else(|| {
            let (name, workspace) = (definition::shown(&run.function), &run.workspace);
            let detail = format!("the workspace {workspace} has no function {name}");
            Error::new(Code::FunctionNotFound, detail)
        })?;
        schema::check(&function.parameters, &run.parameters)
            .map_err(|detail| Error::new(Code::ParametersInvalid, detail))?;
        let content = Bytes::from(Value::Object(run.parameters).to_string());
        let held = match function.uses_cache {
            true => Some(self.shelf.hold(&kept, deadline).await?),
            false => None,
        };
        let call = Call {
            id: run.id,
            tenant: run.tenant,
            function: run.workspace,
            version: None,
            chosen: run.chosen,
            recorded_as: run.recorded_as,
            trace: run.trace,
            method: String::new(),
            target: format!("/{}", run.function),
            fields: Vec::new(),
            peer: run.peer,
            secure: false,
            caller: Caller::Trusted,
            body: Box::new(move |_bytes_max| async { Ok(content) }.boxed()),
        };
        let extras = Extras {
            cache: held.as_ref().map(kept::Held::grant),
            limits: Some(self.limits(&version)),
            deadline: Some(deadline),
            deployment: Some(version),
        };
        let completed = self
            .dispatch
            .complete_with(Kind::Workspace, call, extras)
            .await?;
        if let Some(held) = held {
            let is_over = ended_by_itself(&completed);
            self.shelf.put_back(held, is_over, clock::now_ms());
        }
        Ok(Ran {
            completed,
            duration: begun.elapsed(),
        })
    }

    fn limits(&self, deployment: &Deployment) -> Limits {
        Limits {
            wall_ms: self.config.run_timeout_ms,
            memory_bytes: self.config.memory_bytes,
            ..deployment.limits_in_force()
        }
    }

    async fn kept(&self, version: &Deployment) -> Result<Arc<Kept>, Error> {
        let now_ms = clock::now_ms();
        if let Some(kept) = self.shelf.find(&version.id, now_ms) {
            return Ok(kept);
        }
        let text = self.images.read(version, MANIFEST).await?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(Error::internal)?;
        Ok(self.shelf.add(version.id, manifest, now_ms))
    }

    async fn definition(&self, active: &Deployment) -> Result<Value, Error> {
        let text = self.images.read(active, DEFINITION).await?;
        serde_json::from_slice(&text).map_err(Error::internal)
    }

    /// All files of a deployment, from the store.
    async fn bundle(&self, active: &Deployment) -> Result<Vec<File>, Error> {
        let (images, id) = (self.images.clone(), active.id);
        blocking(move || images.bundle(&id)).await
    }

    /// The active version of a workspace.
    fn active(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
    ) -> Result<Arc<Deployment>, Error> {
        let functions = self.store.functions();
        of_kind(
            functions.active(tenant, workspace).map_err(from_store)?,
            workspace,
        )
    }

    /// What a new definition takes the place of.
    fn active_of_any_kind(
        &self,
        tenant: &TenantId,
        workspace: &FunctionName,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        let functions = self.store.functions();
        let active = functions.active(tenant, workspace).map_err(from_store)?;
        match active {
            Some(active) if active.kind != Kind::Workspace => {
                let kind = active.kind;
                let detail = format!("{workspace} is a function of the kind {kind}");
                Err(Error::new(Code::KindMismatch, detail))
            }
            active => Ok(active),
        }
    }
}

fn of_kind(
    found: Option<Arc<Deployment>>,
    workspace: &FunctionName,
) -> Result<Arc<Deployment>, Error> {
    let found = found.filter(|found| found.kind == Kind::Workspace);
    found.ok_or_else(|| {
        let detail = format!("there is no workspace {workspace}");
        Error::new(Code::FunctionNotFound, detail)
    })
}

/// Whether a run was not ended from outside, so that what it wrote to the cache is whole.
fn ended_by_itself(completed: &Completed) -> bool {
    match &completed.result {
        Ok(_) => true,
        Err(failed) => matches!(failed.error.code, Code::FunctionThrew | Code::ResultInvalid),
    }
}

/// What the engine has against a source is the caller's to mend, like what we have against it.
fn of_source(error: Error) -> Error {
    match error.code {
        Code::SyntaxError | Code::LoadThrew | Code::ModuleNotFound | Code::HandlerMissing => {
            Error {
                code: Code::WorkspaceInvalid,
                ..error
            }
        }
        _ => error,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}
