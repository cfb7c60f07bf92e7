//! `ampoule dev`: one file or folder on a server of its own, loaded again when it changes.
//!
//! The server lives in this process and keeps everything in a temporary folder. What does not
//! load is told, and the version before it goes on answering.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DevArgs;
use super::client::Line;
use super::logs::line_text;
use super::output::{self, Style, Terminal, printable, shell_word};
use super::pack::Packed;
use super::packages::Packages;
use super::serve::{Signals, ended, listen};
use crate::app::App;
use crate::config::{Config, RawConfig, WorkspaceConfig};
use crate::deploy::{Deployed, Settings, Upload, UploadKind};
use crate::error::Error;
use crate::id::{FunctionName, TenantId};
use crate::kind::Kind;
use crate::limits::STORE_CACHE_MIB;
use crate::policies::Preset;
use crate::server::{self, HttpSettings};
use crate::store::{Evaluation, Expected, LogLine};
use crate::telemetry;

/// Files must have been quiet for this long before they are loaded: editors and package managers
/// change many in one go.
const QUIET: Duration = Duration::from_millis(150);
/// Files that never are quiet are loaded this long after the first change all the same.
const QUIET_WITHIN: Duration = Duration::from_secs(3);
/// How long requests in progress may go on after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(1);
/// Lines of the function's log that are read at once.
const LOG_LINES: usize = 100;
/// Folder whose changes are never of interest: it is not packed either.
const IGNORED_NAME: &str = ".git";

/// Runs a server for one function until Ctrl-C. Answers what the process should exit with: 0
/// then, 2 when the path cannot be served, and 1 when the server cannot run.
pub async fn dev(args: DevArgs) -> ExitCode {
    let _ = telemetry::init(telemetry::Format::Text, "warn");
    let name = match args.function_name() {
        Ok(name) => name,
        Err(error) => return error.report(),
    };
    let settings = match args.settings.read() {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    let terminal = Terminal::of_process();
    ended(Box::pin(run(args, name, settings, terminal)).await)
}

async fn run(
    args: DevArgs,
    name: FunctionName,
    settings: Map<String, Value>,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let settings = serde_json::from_value(Value::Object(settings))?;
    let mut signals = Signals::new()?;
    let listener = listen(args.listen).await?;
    let address = listener
        .local_addr()
        .context("the listener has no address")?;
    // Removed when this function ends, whichever way.
    let folder = tempfile::Builder::new()
        .prefix("ampoule-dev-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    let config = Config::for_development(RawConfig {
        listen: args.listen,
        data: folder.path().to_owned(),
        cache: user_cache(),
        key: None,
        master_key: None,
        trust_proxy: false,
        max_concurrent: 512,
        max_concurrent_per_tenant: 512,
        store_cache_mib: STORE_CACHE_MIB,
        api_listen: None,
        network_policy: Preset::AllowAll,
        workspaces: WorkspaceConfig::default(),
    })?;
    let app = App::open(&config, vec![address]).await?;
    let development = Development {
        app: Arc::clone(&app),
        path: args.path,
        name,
        settings,
        packages: Arc::default(),
        url: url(address),
        terminal: Mutex::new(terminal),
    };
    let http = HttpSettings {
        drain: DRAIN,
        ..HttpSettings::default()
    };
    let stop = CancellationToken::new();
    let served = server::run(listener, app, http, stop.clone().cancelled_owned());
    let developed = async {
        let outcome = tokio::select! {
            outcome = development.run() => outcome,
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        outcome
    };
    let both = async { tokio::join!(served, developed) };
    tokio::select! {
        (served, developed) = both => served.and(developed),
        () = signals.stop_then_end(&stop) => Err(anyhow!("ended at once, by a second signal")),
    }
}

/// Where compiled code is kept from one start to the next: a folder of this user alone, for what
/// is in there is run. `None`, and then it is compiled at every start, when there is no such one.
fn user_cache() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    private_folder(base.join("ampoule"))
}

fn private_folder(folder: PathBuf) -> Option<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).ok()?;
    // Not what a link leads to: who may change the link could change that as well.
    let metadata = std::fs::symlink_metadata(&folder).ok()?;
    let is_ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
    let is_private = metadata.mode() & 0o022 == 0;
    (is_ours && is_private).then_some(folder)
}

/// Where to reach a server that listens on `address`, from this machine.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// A function that is being written.
struct Development {
    app: Arc<App>,
    path: PathBuf,
    name: FunctionName,
    settings: Settings,
    packages: Arc<Mutex<Packages>>,
    /// Of the server, without a path.
    url: String,
    terminal: Mutex<Terminal>,
}

impl Development {
    /// Loads the function, then shows its log and loads it again when it changes; ends only with
    /// an error.
    async fn run(&self) -> anyhow::Result<()> {
        // Watched first: a change while it is loaded must not go unnoticed.
        let watch = Watch::start(&self.path);
        let mut loaded = Loaded::default();
        self.load(&mut loaded).await?;
        self.introduce(watch.as_ref().err())?;
        let reloaded = async {
            let Ok(mut watch) = watch else {
                return std::future::pending().await;
            };
            loop {
                watch.changed().await?;
                self.load(&mut loaded).await?;
            }
        };
        let (reloaded, followed) = tokio::join!(reloaded, self.follow());
        followed.and(reloaded)
    }

    /// Packs and deploys, unless nothing has changed since the last attempt; tells how it went.
    async fn load(&self, loaded: &mut Loaded) -> anyhow::Result<()> {
        let (path, packages) = (self.path.clone(), Arc::clone(&self.packages));
        let (packed, said) = TaskTracker::new()
            .spawn_blocking(move || {
                let mut said = Vec::new();
                let mut packages = packages.lock().unwrap_or_else(PoisonError::into_inner);
                let packed = packages.pack(&path, &mut |text| {
                    said.push(text.to_owned());
                    Ok(())
                });
                (packed.map_err(|error| error.to_string()), said)
            })
            .await?;
        for text in said {
            self.say(|terminal| terminal.err.line(&format!("  {}", printable(&text))))?;
        }
        let packed = match packed {
            Ok(packed) => packed,
            Err(error) => {
                loaded.digest = None;
                return self.say_failed(loaded, &error);
            }
        };
        let digest = Sha256::digest(&packed.bytes).into();
        if loaded.digest.replace(digest) == Some(digest) {
            return Ok(());
        }
        match self.app.deploy.deploy(self.upload(packed)).await {
            Ok(deployed) => {
                loaded.version = Some(deployed.deployment.version);
                self.say_loaded(&deployed)
            }
            Err(error) => self.say_failed(loaded, &describe(&error)),
        }
    }

    fn upload(&self, packed: Packed) -> Upload {
        let kind = match packed.filename {
            Some(filename) => UploadKind::Source { filename },
            None => UploadKind::TarGz,
        };
        Upload {
            tenant: TenantId::default_tenant(),
            function: self.name.clone(),
            kind,
            bytes: Bytes::from(packed.bytes),
            settings: Settings {
                activate: Some(true),
                ..self.settings.clone()
            },
            expected: Expected::default(),
        }
    }

    /// Writes every line that the function logs, as it comes.
    async fn follow(&self) -> anyhow::Result<()> {
        let tenant = TenantId::default_tenant();
        let logs = self.app.store.logs();
        let mut commits = logs.subscribe();
        let mut after = 0;
        loop {
            commits.mark_unchanged();
            loop {
                let lines = logs.read(&tenant, &self.name, Some(after), LOG_LINES, None)?;
                let Some((last, _)) = lines.last() else { break };
                after = *last;
                lines.iter().try_for_each(|(_, line)| self.say_line(line))?;
            }
            commits.changed().await?;
        }
    }

    fn introduce(&self, unwatched: Option<&notify::Error>) -> anyhow::Result<()> {
        let is_event = self.settings.kind == Kind::Event;
        let url = if is_event {
            let path = "api/v1/tenants/default/functions";
            format!("{}/{path}/{}/invoke", self.url, self.name)
        } else {
            format!("{}/invoke/{}", self.url, self.name)
        };
        let data = if is_event { " -d '{}'" } else { "" };
        self.say(|terminal| {
            let out = &mut terminal.out;
            out.line(&format!("  url   {url}"))?;
            out.line(&format!("  try   curl {}{data}", shell_word(&url)))?;
            let path = self.path.display().to_string();
            match unwatched {
                None => out.line(&format!(
                    "  {path} is loaded again when it changes; Ctrl-C ends"
                )),
                Some(error) => terminal.err.line(&format!(
                    "changes of {path} go unnoticed ({error}): start again to load them"
                )),
            }
        })
    }

    fn say_loaded(&self, deployed: &Deployed) -> anyhow::Result<()> {
        let deployment = &deployed.deployment;
        let evaluation = match &deployment.evaluation {
            Evaluation::Snapshot => "snapshot".to_owned(),
            Evaluation::PerRequest { reason } => {
                format!("loaded for every request, because of {}", printable(reason))
            }
        };
        self.say(|terminal| {
            let out = &mut terminal.out;
            let name = out.paint(Style::Bold, self.name.as_str());
            let (version, bytes) = (deployment.version, output::size(deployment.source_bytes));
            out.line(&format!(
                "✓ {name} (version {version}, {evaluation}), {bytes}"
            ))
        })?;
        deployed.log.iter().try_for_each(|line| self.say_line(line))
    }

    fn say_failed(&self, loaded: &Loaded, why: &str) -> anyhow::Result<()> {
        self.say(|terminal| {
            let mark = terminal.err.paint(Style::Red, "✗");
            let why = output::indent_rest(&printable(why), 2);
            terminal.err.line(&format!("{mark} {}: {why}", self.name))?;
            match loaded.version {
                Some(version) => terminal
                    .err
                    .line(&format!("  version {version} still answers")),
                None => terminal
                    .err
                    .line("  nothing answers yet: change it and save"),
            }
        })
    }

    fn say_line(&self, line: &LogLine) -> anyhow::Result<()> {
        let line = Line {
            timestamp_ms: line.timestamp_ms,
            level: json!(line.level).as_str().unwrap_or_default().to_owned(),
            message: line.message.clone(),
            invocation: Some(line.invocation.clone()).filter(|id| !id.is_empty()),
        };
        self.say(|terminal| {
            let text = line_text(&line, &terminal.out);
            terminal.out.line(&text)
        })
    }

    fn say(&self, write: impl FnOnce(&mut Terminal) -> std::io::Result<()>) -> anyhow::Result<()> {
        let mut terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut terminal).context("cannot write to the terminal")
    }
}

/// What became of loading so far.
#[derive(Default)]
struct Loaded {
    /// Of what was deployed last, whether that went well or not.
    digest: Option<[u8; 32]>,
    /// The version that answers.
    version: Option<u64>,
}

fn describe(error: &Error) -> String {
    format!("{} ({})\n{}", error.code.title(), error.code, error.detail)
}

/// Changes of a file or folder.
struct Watch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    fn start(path: &Path) -> notify::Result<Self> {
        let path = std::fs::canonicalize(path).map_err(notify::Error::io)?;
        // One waiting change says it all.
        let (changed, changes) = mpsc::channel(1);
        let is_folder = path.is_dir();
        let of = path.clone();
        let handle = move |event: notify::Result<Event>| {
            let is_of_interest = match &event {
                Ok(event) => is_change(event) && touches(event, &of, is_folder),
                // Something was missed: look.
                Err(_) => true,
            };
            if is_of_interest {
                let _ = changed.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(handle)?;
        if is_folder {
            watcher.watch(&path, RecursiveMode::Recursive)?;
        } else {
            // Editors write a new file and rename it: only its folder sees that.
            let folder = path.parent().unwrap_or(&path);
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for a change and then until all is quiet.
    async fn changed(&mut self) -> anyhow::Result<()> {
        self.changes
            .recv()
            .await
            .context("files are no longer watched")?;
        let quiet = async { while let Ok(Some(())) = timeout(QUIET, self.changes.recv()).await {} };
        // Whether it became quiet or not.
        let _ = timeout_at(Instant::now() + QUIET_WITHIN, quiet).await;
        Ok(())
    }
}

/// Reading a file is an event too, and loading reads them all.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => event.need_rescan(),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn touches(event: &Event, path: &Path, is_folder: bool) -> bool {
    if event.paths.is_empty() || event.need_rescan() {
        return true;
    }
    event.paths.iter().any(|touched| {
        if !is_folder {
            return touched == path;
        }
        let inside = touched.strip_prefix(path).unwrap_or(touched);
        !inside.iter().any(|part| part == IGNORED_NAME)
    })
}

#[cfg(test)]
mod tests;
