//! A real server for one test: a folder and a port of its own, stopped on drop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ampoule::app::App;
use ampoule::clock;
use ampoule::config::{Config, Observe, RawConfig, Resolver, WorkspaceConfig};
use ampoule::limits::STORE_CACHE_MIB;
use ampoule::policies::Preset;
use ampoule::server::{self, HttpSettings};
use ampoule::store::Clock;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// Longest that a test waits for anything: a bound, never a measurement.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Compiled code is shared by all tests, and compiled by the first of them alone.
static FIRST: Mutex<()> = Mutex::const_new(());

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// Of the control plane, if it has one of its own.
    pub api: Option<SocketAddr>,
    pub client: reqwest::Client,
    pub app: Arc<App>,
    data: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// What a server is started with, where it differs from the usual.
#[derive(Clone)]
pub struct Options {
    pub key: Option<String>,
    pub max_concurrent: usize,
    pub max_concurrent_per_tenant: usize,
    pub trust_proxy: bool,
    /// Whether the kernel is asked which pages were written to.
    pub pagemap_scan: bool,
    /// The global network policy as long as none is stored.
    pub network_policy: Preset,
    /// Whether the control plane has an address of its own.
    pub api_apart: bool,
    /// What resolves the names that functions connect to; by default the system.
    pub resolver: Option<Resolver>,
    /// Bounds and rules of workspaces.
    pub workspaces: WorkspaceConfig,
    /// An existing data folder.
    pub data: Option<Arc<TempDir>>,
    /// A clock that the test moves, for kv expiries and schedules; by default the system's.
    pub clock: Option<Clock>,
    /// What is kept and told of what happens.
    pub observe: Observe,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: None,
            max_concurrent: 100,
            max_concurrent_per_tenant: 100,
            trust_proxy: false,
            pagemap_scan: true,
            network_policy: Preset::AllowAll,
            api_apart: false,
            resolver: None,
            workspaces: WorkspaceConfig::default(),
            data: None,
            clock: None,
            observe: Observe::default(),
        }
    }
}

/// Where compiled code is kept between runs of the tests.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Server {
    /// A server with everything as usual.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A server with options.
    pub async fn with(options: Options) -> Self {
        // What the server has to say about a test that fails. The first test sets it for all.
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(std::io::stderr)
            .try_init();
        let data = options
            .data
            .unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a temporary folder")));
        let mut config = Config::new(RawConfig {
            listen: any_port(),
            data: data.path().join("data"),
            cache: Some(cache()),
            key: options.key,
            master_key: None,
            trust_proxy: options.trust_proxy,
            max_concurrent: options.max_concurrent,
            max_concurrent_per_tenant: options.max_concurrent_per_tenant,
            store_cache_mib: STORE_CACHE_MIB,
            network_policy: options.network_policy,
            workspaces: options.workspaces,
            api_listen: options.api_apart.then(any_port),
        })
        .expect("the configuration is valid");
        config.program = PathBuf::from(env!("CARGO_BIN_EXE_ampoule"));
        config.resolver = options.resolver;
        config.observe = options.observe;
        config.pagemap_scan = options.pagemap_scan;
        let listener = tokio::net::TcpListener::bind(config.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listeners = server::Listeners::from(listener);
        let mut addresses = vec![address];
        if let Some(api) = config.api_listen {
            let api = tokio::net::TcpListener::bind(api).await.unwrap();
            addresses.push(api.local_addr().unwrap());
            listeners.api = Some(api);
        }
        let api = addresses.get(1).copied();
        let app = {
            let _first = FIRST.lock().await;
            let clock = options.clock.unwrap_or_else(|| Arc::new(clock::now_ms));
            App::open_with_clock(&config, addresses, clock)
                .await
                .expect("the app opens")
        };
        let settings = HttpSettings {
            key: config.key.clone(),
            trust_proxy: config.trust_proxy,
            drain: Duration::from_secs(10),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&app);
        let task = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            server::run(listeners, serving, settings, stopped)
                .await
                .expect("the server runs");
        });
        Self {
            address,
            api,
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            app,
            data,
            stop: Some(stop),
            task: Some(task),
        }
    }

    /// Stops the server in order; answers its data folder, for another one to open.
    pub async fn stop(mut self) -> Arc<TempDir> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
        Arc::clone(&self.data)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A request to a function of the tenant `default`: `invoke("hello/path?q=1")`.
    pub fn invoke(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/invoke/{target}"))
    }

    pub fn post(&self, target: &str) -> RequestBuilder {
        self.request(Method::POST, &format!("/invoke/{target}"))
    }

    /// Begins a deployment of one source file with settings; see docs/api.md.
    pub fn deploy_request(
        &self,
        tenant: &str,
        function: &str,
        filename: &str,
        source: &str,
        settings: &Value,
    ) -> RequestBuilder {
        let path = format!("/api/v1/tenants/{tenant}/functions/{function}?filename={filename}");
        self.request(Method::PUT, &path)
            .header("content-type", "application/javascript")
            .header("x-ampoule-settings", settings.to_string())
            .body(source.to_owned())
    }

    /// Deploys `index.js` for the tenant `default`; panics unless it is accepted.
    pub async fn deploy(&self, function: &str, source: &str) -> Value {
        self.deploy_with(function, source, json!({})).await
    }

    /// [`Server::deploy`] with settings.
    pub async fn deploy_with(&self, function: &str, source: &str, settings: Value) -> Value {
        let request = self.deploy_request("default", function, "index.js", source, &settings);
        let answer = Answer::of(request).await;
        // 200: it was there already.
        assert!(
            matches!(answer.status, 200 | 201),
            "deploying {function}: {}",
            answer.text()
        );
        answer.json()
    }

    /// Deploys a folder of files, packed as the CLI packs it.
    pub async fn deploy_files(
        &self,
        function: &str,
        files: &[(&str, &str)],
        settings: Value,
    ) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let packed = ampoule::cli::pack::pack(folder.path()).unwrap();
        let path = format!("/api/v1/tenants/default/functions/{function}");
        let request = self
            .request(Method::PUT, &path)
            .header("content-type", packed.content_type)
            .header("x-ampoule-settings", settings.to_string())
            .body(packed.bytes);
        Answer::of(request).await
    }

    /// The function's log, oldest first, everything written so far included.
    pub async fn log(&self, function: &str) -> Vec<Value> {
        self.app.store.logs().flush().await;
        let path = format!("/api/v1/tenants/default/functions/{function}/logs?limit=1000");
        let answer = Answer::of(self.request(Method::GET, &path)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["lines"].as_array().unwrap().clone()
    }

    /// All messages of the function's log as one text.
    pub async fn log_text(&self, function: &str) -> String {
        let lines = self.log(function).await;
        let messages = lines.iter().map(|line| line["message"].as_str().unwrap());
        messages.collect::<Vec<_>>().join("\n")
    }

    /// The function's log, once a line with this text is in it: an invocation's lines are
    /// written when it has ended, which may be after its answer.
    pub async fn log_with(&self, function: &str, text: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        let found = async {
            loop {
                lines = self.log(function).await;
                let mut messages = lines.iter().filter_map(|line| line["message"].as_str());
                if messages.any(|message| message.contains(text)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        waited.unwrap_or_else(|_| panic!("{function} does not log {text:?}"));
        lines
    }

    /// [`Server::deploy_with`] for another tenant.
    pub async fn deploy_for(
        &self,
        tenant: &str,
        function: &str,
        source: &str,
        settings: Value,
    ) -> Value {
        let request = self.deploy_request(tenant, function, "index.js", source, &settings);
        let answer = Answer::of(request).await;
        assert!(
            matches!(answer.status, 200 | 201),
            "deploying {function} of {tenant}: {}",
            answer.text()
        );
        answer.json()
    }

    /// A request to a function of a tenant.
    pub fn invoke_for(&self, tenant: &str, target: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/invoke/@{tenant}/{target}"))
    }

    /// What the status page says.
    pub async fn status(&self) -> Value {
        let answer = Answer::of(self.request(Method::GET, "/api/v1/status")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until no invocation runs any more: well within the time that they may take.
    pub async fn until_idle(&self) {
        let idle = async {
            while self.status().await["invocations"]["running"] != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(15), idle).await;
        waited.expect("every invocation ends and gives its permits back");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// Sends JSON.
pub trait WithJson {
    fn json(self, body: &Value) -> Self;
}

impl WithJson for RequestBuilder {
    fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }
}

/// An answer, read whole, and held against the contract that every answer keeps.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads the answer.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let data_plane = response.url().path().starts_with("/invoke/");
        let body = response.bytes().await.expect("a whole body").to_vec();
        let answer = Self {
            status: status.as_u16(),
            headers,
            body,
        };
        if data_plane {
            assert!(
                answer.headers.contains_key("x-ampoule-invocation"),
                "{answer:?}"
            );
        }
        answer.check_problem(status);
        answer
    }

    fn check_problem(&self, status: StatusCode) {
        if self.header("content-type") != Some("application/problem+json") {
            return;
        }
        let problem = self.json();
        assert_eq!(problem["status"], status.as_u16());
        let code = problem["code"].as_str().expect("a code");
        assert_eq!(problem["type"], format!("/errors/{code}"));
        let text = self.text();
        for leak in ["/app/", ".rs:", "panicked", "stack backtrace", "    at "] {
            assert!(!text.contains(leak), "{leak:?} in {text}");
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts status and body text; answers itself.
    pub fn expect(self, status: u16, body: &str) -> Self {
        assert_eq!((self.status, self.text().as_str()), (status, body));
        self
    }

    /// Asserts the status; answers itself.
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Asserts that it is a problem with this status and code; answers itself.
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.json()["code"], code, "{}", self.text());
        self
    }
}
