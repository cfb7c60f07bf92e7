//! Images of deployments: in memory for those in use, as snapshots on disk for all.
//!
//! Snapshots and files on disk are a cache: whatever is missing, or was made by another engine,
//! is made again from the bundle in the store.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::OnceCell;

use super::archive::{self, File};
use super::files;
use super::places::{PLACES_MAX, Places};
use super::typescript::{self, Prepared};
use crate::clock;
use crate::error::Error;
use crate::host::{LoadSettings, LogEntry, Refusal};
use crate::id::{DeploymentId, FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::{IMAGES_MAX, Limits};
use crate::sandbox::{Domain, Engine, Image, LoadError, Loaded};
use crate::secret::{MasterKey, NotOpened, Plain, Sealed};
use crate::store::{Deployment, Level, Store};
use crate::transform::Fault;

/// Length of a deployment's id, which names of files and snapshots begin with.
const ID_CHARS: usize = 26;
/// Most files that a deployment is warned of because they could not be transformed.
const WARNINGS_MAX: usize = 20;

/// What loading a deployment needs to know of it.
#[derive(Debug, Clone)]
pub struct Load {
    /// The deployment.
    pub id: DeploymentId,
    /// What it is for.
    pub kind: Kind,
    /// Its owner: no memory goes from one tenant's sandboxes to another's.
    pub tenant: TenantId,
    /// Its entry file.
    pub entry: String,
    /// Its environment, of what is no secret.
    pub env: BTreeMap<String, String>,
    /// Its secrets; its snapshot holds them and is sealed then.
    pub secrets: BTreeMap<String, Plain>,
    /// Its route pattern.
    pub route: Option<String>,
    /// Its limits: memory counts while it is loaded, too.
    pub limits: Limits,
}

impl Load {
    fn of(deployment: &Deployment, secrets: BTreeMap<String, Plain>) -> Self {
        Self {
            id: deployment.id,
            kind: deployment.kind,
            tenant: deployment.tenant.clone(),
            entry: deployment.entry.clone(),
            env: deployment.env.clone(),
            secrets,
            route: deployment.route.clone(),
            limits: deployment.limits_in_force(),
        }
    }

    /// The whole environment, secrets included.
    fn environment(&self) -> Vec<(String, String)> {
        let secrets = self.secrets.iter();
        let secrets = secrets.map(|(name, secret)| (name.clone(), secret.reveal().to_owned()));
        self.env.clone().into_iter().chain(secrets).collect()
    }

    fn domain(&self) -> Domain {
        Domain::new(self.tenant.as_str())
    }

    fn settings(&self) -> LoadSettings {
        LoadSettings {
            kind: self.kind,
            entry: self.entry.clone(),
            per_request: false,
            env: self.environment(),
            route: self.route.clone(),
            modules: Vec::new(),
        }
    }
}

/// Whose a secret is, and nobody else's: it does not open for another function.
fn owner_of((tenant, function): (&TenantId, &FunctionName)) -> String {
    format!("secret {tenant}/{function}")
}

/// What became of a load.
#[derive(Debug)]
pub struct Created {
    /// Size of the snapshot, in bytes.
    pub snapshot_bytes: u64,
    /// Why it is evaluated per request, if it is.
    pub per_request: Option<String>,
    /// What its top level logged.
    pub log: Vec<LogEntry>,
}

/// Where images come from. Cheap to clone.
#[derive(Clone)]
pub struct Images {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<Store>,
    master: Arc<MasterKey>,
    files: PathBuf,
    /// Source maps of files that were transformed, for each deployment.
    maps: PathBuf,
    snapshots: PathBuf,
    /// The `ampoule` binary.
    program: PathBuf,
    places: Places,
    engine: Engine,
    images: RwLock<HashMap<DeploymentId, Arc<Slot>>>,
    uses: AtomicU64,
}

#[derive(Default)]
struct Slot {
    image: OnceCell<Image>,
    /// When it was last asked for, counted in uses.
    used: AtomicU64,
    /// The same in Unix milliseconds.
    used_ms: AtomicU64,
    /// An invocation has had it.
    is_warm: AtomicBool,
}

impl Images {
    /// Images of `store`'s deployments; files and snapshots are kept below `data`. `program`: the
    /// `ampoule` binary, which transforms TypeScript in a process of its own.
    /// `master`: what secrets, and snapshots that hold some, are sealed under.
    pub fn new(
        store: Arc<Store>,
        engine: Engine,
        master: Arc<MasterKey>,
        data: &Path,
        program: PathBuf,
    ) -> Self {
        let (files, maps) = (data.join("files"), data.join("maps"));
        Self {
            shared: Arc::new(Shared {
                store,
                master,
                places: Places::new(files.clone(), maps.clone()),
                files,
                maps,
                program,
                snapshots: data.join("snapshots"),
                engine,
                images: RwLock::default(),
                uses: AtomicU64::new(0),
            }),
        }
    }

    /// Removes files and snapshots of deployments that are not stored, which is what a deployment
    /// leaves that was cut off. For the start, before anything is deployed. Blocks.
    pub fn sweep(&self) {
        let functions = self.shared.store.functions();
        let is_left_over = |name: &str| {
            let id = name.get(..ID_CHARS).unwrap_or_default();
            let is_draft = name.ends_with(".tmp");
            is_draft || (!id.is_empty() && matches!(functions.has_bundle(id), Ok(false)))
        };
        files::sweep(&self.shared.files, is_left_over);
        files::sweep(&self.shared.maps, is_left_over);
        files::sweep(&self.shared.snapshots, is_left_over);
    }

    /// Where code that was generated comes from.
    pub fn places(&self) -> &Places {
        &self.shared.places
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// How many images are in memory.
    pub fn len(&self) -> usize {
        let images = self.shared.images.read();
        images.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no image is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image of a deployment for an invocation, made ready if it is not; and whether it was
    /// cold: no other invocation has had it since it came into memory.
    ///
    /// # Errors
    /// `internal` if it can no longer be loaded, `storage_unavailable`.
    pub async fn get(&self, deployment: &Deployment) -> Result<(Image, bool), Error> {
        let slot = self.slot(&deployment.id);
        let image = match slot.image.get() {
            Some(image) => image,
            // Boxed: every invocation would else carry the room that this takes.
            None => {
                let restored = slot.image.get_or_try_init(|| self.restore(deployment));
                Box::pin(restored).await?
            }
        };
        // Read first: an invocation that finds it warm writes nothing that others share.
        let was_warm =
            slot.is_warm.load(Ordering::Relaxed) || slot.is_warm.swap(true, Ordering::Relaxed);
        Ok((image.clone(), !was_warm))
    }

    /// Lets go of images that nobody has asked for since `idle` ago; answers how many. Their
    /// snapshots stay on disk, and running invocations keep theirs.
    pub fn evict_idle(&self, idle: Duration) -> usize {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let oldest_ms = clock::now_ms().saturating_sub(idle_ms);
        let images = self.shared.images.write();
        let mut images = images.unwrap_or_else(PoisonError::into_inner);
        let is_idle = |slot: &Slot| slot.used_ms.load(Ordering::Relaxed) <= oldest_ms;
        let idle: Vec<_> = images.extract_if(|_, slot| is_idle(slot)).collect();
        // Their sandboxes go with them, and nobody is to wait for that.
        drop(images);
        idle.len()
    }

    fn slot(&self, id: &DeploymentId) -> Arc<Slot> {
        let now = self.shared.uses.fetch_add(1, Ordering::Relaxed);
        let images = self.shared.images.read();
        let found = images
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        let slot = found.unwrap_or_else(|| self.add_slot(id));
        slot.used.store(now, Ordering::Relaxed);
        slot.used_ms.store(clock::now_ms(), Ordering::Relaxed);
        slot
    }

    fn add_slot(&self, id: &DeploymentId) -> Arc<Slot> {
        let images = self.shared.images.write();
        let mut images = images.unwrap_or_else(PoisonError::into_inner);
        let mut dropped = None;
        if images.len() >= IMAGES_MAX {
            let used = |slot: &Slot| slot.used.load(Ordering::Relaxed);
            let oldest = images.iter().min_by_key(|(_, slot)| used(slot));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                dropped = images.remove(&oldest);
            }
        }
        let added = Arc::clone(images.entry(*id).or_default());
        // As in `evict_idle`.
        drop((images, dropped));
        added
    }

    async fn restore(&self, deployment: &Deployment) -> Result<Image, Error> {
        let load = Load::of(deployment, self.secrets(deployment)?);
        let engine = self.engine();
        let files = self.restore_files(&load.id).await?;
        if let Some(snapshot) = self.read_snapshot(&load, engine).await {
            match image(engine.clone(), load.domain(), snapshot, files.clone()).await {
                Ok(image) => return Ok(image),
                // The machine may have stopped before all of it was on disk.
                Err(error) => {
                    tracing::warn!(deployment = %load.id, %error, "a snapshot is damaged");
                }
            }
        }
        tracing::info!(deployment = %load.id, "taking a snapshot again");
        let loaded = engine
            .load(files.clone(), load.settings(), load.limits)
            .await;
        let loaded = loaded.map_err(Error::internal)?;
        self.write_snapshot(&load, engine, &loaded.snapshot)
            .await
            .map_err(Error::internal)?;
        image(engine.clone(), load.domain(), loaded.snapshot, files)
            .await
            .map_err(Error::internal)
    }

    /// One file of a deployment, from the folder that its sandboxes see.
    ///
    /// # Errors
    /// `internal` if there is none, `storage_unavailable`.
    pub async fn read(&self, deployment: &Deployment, path: &str) -> Result<Vec<u8>, Error> {
        let folder = self.restore_files(&deployment.id).await?;
        let read = tokio::fs::read(folder.join(path)).await;
        read.map_err(Error::internal)
    }

    /// All files of a deployment as they were uploaded, from the store. Blocks.
    ///
    /// # Errors
    /// `internal` if it is not stored, `storage_unavailable`.
    pub fn bundle(&self, id: &DeploymentId) -> Result<Vec<File>, Error> {
        let functions = self.shared.store.functions();
        let bundle = functions.bundle(id).map_err(super::from_store)?;
        let bundle = bundle.ok_or_else(|| {
            Error::internal(format!("deployment {id} has no bundle in the store"))
        })?;
        Ok(archive::unpack_stored(&bundle)?)
    }

    async fn restore_files(&self, id: &DeploymentId) -> Result<PathBuf, Error> {
        let folder = files::folder(&self.shared.files, &id.to_string());
        let maps = files::folder(&self.shared.maps, &id.to_string());
        if is_there(&folder).await && is_there(&maps).await {
            return Ok(folder);
        }
        let (images, id) = (self.clone(), *id);
        super::blocking(move || {
            let shared = &images.shared;
            let unpacked = images.bundle(&id)?;
            let prepared =
                typescript::prepare(&shared.program, unpacked).map_err(Error::internal)?;
            shared.write(&id, &prepared).map_err(Error::internal)
        })
        .await
    }

    /// Writes a new deployment's files, loads it, and keeps its snapshot and image.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn create(&self, load: &Load, unpacked: Vec<File>) -> Result<Created, LoadError> {
        let slot = self.slot(&load.id);
        let engine = self.engine();
        let (shared, id) = (Arc::clone(&self.shared), load.id);
        let (folder, faults) = tokio::task::spawn_blocking(move || {
            let prepared = typescript::prepare(&shared.program, unpacked)?;
            let folder = shared
                .write(&id, &prepared)
                .context("cannot write the deployment's files")?;
            anyhow::Ok((folder, prepared.faults))
        })
        .await
        .context("writing the files panicked")??;
        let loaded = engine
            .load(folder.clone(), load.settings(), load.limits)
            .await;
        let mut loaded = match loaded {
            Ok(loaded) => loaded,
            Err(LoadError::Refused(refusal)) => {
                let refusal = self.located(load.id, refusal, &faults).await;
                return Err(LoadError::Refused(refusal));
            }
            Err(other) => return Err(other),
        };
        self.locate(load.id, &mut loaded).await;
        loaded.log.extend(warnings(&faults));
        self.write_snapshot(load, engine, &loaded.snapshot).await?;
        let snapshot_bytes = loaded.snapshot.len() as u64;
        let image = image(engine.clone(), load.domain(), loaded.snapshot, folder).await?;
        // Nobody else knows this id yet.
        let _ = slot.image.set(image);
        Ok(Created {
            snapshot_bytes,
            per_request: loaded.per_request,
            log: loaded.log,
        })
    }

    /// Removes everything that was made for a deployment that is no more.
    pub async fn forget(&self, id: &DeploymentId) {
        let forgotten = {
            let images = self.shared.images.write();
            images.unwrap_or_else(PoisonError::into_inner).remove(id)
        };
        drop(forgotten);
        self.shared.places.forget(id);
        let engine = self.engine();
        let snapshot = self.snapshot_path(id, engine);
        let sealed = sealed_path(&snapshot);
        let folder = files::folder(&self.shared.files, &id.to_string());
        let maps = files::folder(&self.shared.maps, &id.to_string());
        let removed = tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_file(snapshot);
            let _ = std::fs::remove_file(sealed);
            files::remove(&maps)?;
            files::remove(&folder)
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(%error, deployment = %id, "cannot remove a deployment's files");
        }
    }

    /// Why a load was refused, in terms of what the author wrote.
    async fn located(
        &self,
        id: DeploymentId,
        mut refusal: Refusal,
        faults: &BTreeMap<String, Fault>,
    ) -> Refusal {
        let file = refusal.file.strip_prefix("/app/").unwrap_or(&refusal.file);
        if let Some(fault) = faults.get(file) {
            return Refusal {
                code: "syntax_error".into(),
                message: fault.message.clone(),
                file: file.to_owned(),
                line: fault.line,
                column: fault.column,
                stack: String::new(),
            };
        }
        let place = format!("{file}:{}:{}", refusal.line, refusal.column);
        let places = &self.shared.places;
        let texts = [format!("/app/{place}"), refusal.message.clone()];
        let unread = places.unread(id, texts.iter().map(String::as_str));
        places.read(id, unread).await;
        let mut left = PLACES_MAX;
        if let Some(message) = places.translate(id, &refusal.message, &mut left) {
            refusal.message = message;
        }
        if let Some(place) = places.translate_place(id, &place) {
            let mut parts = place.rsplitn(3, ':');
            let mut number = || parts.next().and_then(|part| part.parse().ok());
            refusal.column = number().unwrap_or_default();
            refusal.line = number().unwrap_or_default();
            refusal.file = parts.next().unwrap_or_default().to_owned();
        }
        refusal
    }

    /// Has what loading said name places that the author knows.
    async fn locate(&self, id: DeploymentId, loaded: &mut Loaded) {
        let places = &self.shared.places;
        let messages = loaded.log.iter().map(|entry| entry.message.as_str());
        let unread = places.unread(id, messages);
        places.read(id, unread).await;
        let mut left = PLACES_MAX;
        for entry in &mut loaded.log {
            if let Some(message) = places.translate(id, &entry.message, &mut left) {
                entry.message = message;
            }
        }
        let Some(reason) = &mut loaded.per_request else {
            return;
        };
        let Some((what, place)) = reason.rsplit_once(" at ") else {
            return;
        };
        let unread = places.unread(id, [format!("/app/{place}").as_str()]);
        places.read(id, unread).await;
        if let Some(place) = places.translate_place(id, place) {
            *reason = format!("{what} at {place}");
        }
    }

    fn snapshot_path(&self, id: &DeploymentId, engine: &Engine) -> PathBuf {
        let name = format!("{id}-{}.snapshot", engine.key());
        self.shared.snapshots.join(name)
    }

    async fn write_snapshot(
        &self,
        load: &Load,
        engine: &Engine,
        snapshot: &[u8],
    ) -> anyhow::Result<()> {
        let mut path = self.snapshot_path(&load.id, engine);
        let mut bytes = Cow::Borrowed(snapshot);
        if !load.secrets.is_empty() {
            // A snapshot is the memory of a guest that has read its environment.
            let place = format!("snapshot {}", load.id);
            bytes = Cow::Owned(self.shared.master.seal(&place, snapshot)?);
            path = sealed_path(&path);
        }
        let temporary = path.with_extension("tmp");
        tokio::fs::create_dir_all(&self.shared.snapshots).await?;
        tokio::fs::write(&temporary, &bytes).await?;
        tokio::fs::rename(&temporary, &path).await?;
        Ok(())
    }

    /// The snapshot on disk, if there is one that can be read.
    async fn read_snapshot(&self, load: &Load, engine: &Engine) -> Option<Vec<u8>> {
        let path = self.snapshot_path(&load.id, engine);
        if load.secrets.is_empty() {
            return tokio::fs::read(&path).await.ok();
        }
        let sealed = tokio::fs::read(sealed_path(&path)).await.ok()?;
        let place = format!("snapshot {}", load.id);
        let opened = self.shared.master.open(&place, sealed);
        let warn = |error: &NotOpened| {
            tracing::warn!(deployment = %load.id, %error, "a snapshot cannot be opened");
        };
        opened.inspect_err(warn).ok()
    }

    /// What secrets are sealed under.
    pub fn master(&self) -> &Arc<MasterKey> {
        &self.shared.master
    }

    /// Seals secrets of a function.
    pub(super) fn seal(
        &self,
        owner: (&TenantId, &FunctionName),
        secrets: &BTreeMap<String, Plain>,
    ) -> BTreeMap<String, Sealed> {
        self.shared.master.seal_all(&owner_of(owner), secrets)
    }

    /// Opens secrets of a function.
    ///
    /// # Errors
    /// `internal`, when they were sealed under another master key.
    pub(super) fn open(
        &self,
        owner: (&TenantId, &FunctionName),
        secrets: &BTreeMap<String, Sealed>,
    ) -> Result<BTreeMap<String, Plain>, Error> {
        let opened = self.shared.master.open_all(&owner_of(owner), secrets);
        opened.map_err(Error::internal)
    }

    /// The secrets of a deployment.
    ///
    /// # Errors
    /// `internal`, when they were sealed under another master key.
    pub fn secrets(&self, deployment: &Deployment) -> Result<BTreeMap<String, Plain>, Error> {
        let owner = (&deployment.tenant, &deployment.function);
        self.open(owner, &deployment.secrets)
    }
}

/// Where a snapshot is that is sealed.
fn sealed_path(snapshot: &Path) -> PathBuf {
    snapshot.with_extension("sealed")
}

/// What is wrong with files that nothing has loaded so far.
fn warnings(faults: &BTreeMap<String, Fault>) -> impl Iterator<Item = LogEntry> {
    let own = faults
        .iter()
        .filter(|(path, _)| !path.contains("node_modules/"));
    own.take(WARNINGS_MAX).map(|(path, fault)| LogEntry {
        timestamp_ms: clock::now_ms(),
        level: Level::Warn,
        message: format!(
            "{path}:{}:{}: {}; loading this file will fail",
            fault.line, fault.column, fault.message
        ),
    })
}

impl Shared {
    /// Writes what sandboxes see, and the maps that they do not. Blocks.
    fn write(&self, id: &DeploymentId, prepared: &Prepared) -> std::io::Result<PathBuf> {
        let id = id.to_string();
        files::write(&self.maps, &id, &prepared.maps)?;
        files::write(&self.files, &id, &prepared.files)
    }
}

async fn is_there(folder: &Path) -> bool {
    tokio::fs::try_exists(folder).await.unwrap_or(false)
}

async fn image(
    engine: Engine,
    domain: Domain,
    snapshot: Vec<u8>,
    files: PathBuf,
) -> anyhow::Result<Image> {
    tokio::task::spawn_blocking(move || Image::new(&engine, &domain, &snapshot, Some(files)))
        .await
        .map_err(|error| anyhow!("making an image panicked: {error}"))?
}
