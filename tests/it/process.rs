//! The real binary as a process of its own: what survives `kill -9`, what a start refuses, and
//! what a signal leaves time for.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::{Answer, PATIENCE, cache};

/// How often to look again where nothing tells that something has changed.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Answers with what an upstream of the test's answers, and keeps it.
const ASKS: &str = "module.exports = async (req, res) => {
    const answer = await fetch(req.query.gate);
    res.send(await answer.text());
};";
/// Works on after its answer.
const WORKS_ON: &str = "module.exports = async (req, res) => {
    res.send('early');
    const answer = await fetch(req.query.gate);
    await kv.set('late', await answer.text());
};";
const WRITES: &str = "module.exports = async (req, res) => {
    await kv.set(req.query.key, req.query.key);
    res.send('stored');
};";
/// Of the keys in the body, those that do not hold what `WRITES` wrote.
const MISSES: &str = "module.exports = async (req, res) => {
    const missing = [];
    for (const key of req.body) if (await kv.get(key) !== key) missing.push(key);
    res.json(missing);
};";
const READS: &str = "module.exports = async (req, res) => res.json(await kv.get(req.query.key));";

/// Compiled code is shared by all processes, and compiled by the first of them alone.
static FIRST: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What workspaces read of the environment.
pub(crate) const OF_WORKSPACES: [&str; 11] = [
    "FUNCTIONS_RUN_TIMEOUT",
    "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH",
    "FUNCTIONS_WORKERS_MAX_LRU",
    "INACTIVE_NODE_WORKER_DELETION_TIMEOUT",
    "NODE_BUILTIN_MODULES",
    "NODE_WORKER_MAX_OLD_GENERATION_SIZE_MB",
    "NPM_CONFIG_REGISTRY",
    "PYTHON_API_URL",
    "PYTHON_FUNCTIONS_RUN_TIMEOUT",
    "REQUEST_MAX_SIZE",
    "UPDATE_SCRIPTS_ON_STARTUP",
];

/// A command line of the real binary that nothing in the environment has a part in.
pub(crate) fn ampoule(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_ours = name.starts_with("AMPOULE_") || name.ends_with("_proxy");
        let is_read = ["PORT", "RUST_LOG", "RUST_BACKTRACE", "NO_COLOR"].contains(&name.as_str())
            || OF_WORKSPACES.contains(&name.as_str());
        if is_ours || is_read {
            command.env_remove(name);
        }
    }
    // Not the user's own, and compiled once for all tests.
    command.env("XDG_CACHE_HOME", cache().join("user"));
    command
}

/// What a process has written so far.
pub(crate) struct Pipe(watch::Receiver<Vec<u8>>);

impl Pipe {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let (written, text) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut chunk) {
                written.send_modify(|text| text.extend_from_slice(&chunk[..count]));
            }
        });
        Self(text)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }

    /// Waits until `wanted` was written; `false` when the process ended without.
    async fn has(&self, wanted: &str) -> bool {
        let mut written = self.0.clone();
        let found = written.wait_for(|text| String::from_utf8_lossy(text).contains(wanted));
        let found = timeout(PATIENCE, found).await;
        found.is_ok_and(|found| found.is_ok())
    }

    /// Waits until `wanted` was written and answers everything written so far.
    pub(crate) async fn shows(&self, wanted: &str) -> String {
        let found = self.has(wanted).await;
        let text = self.text();
        assert!(found, "{wanted:?} was not written, but:\n{text}");
        text
    }

    async fn closed(&self) {
        let mut written = self.0.clone();
        while written.changed().await.is_ok() {}
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Asserts the exit code; answers itself.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// A process, killed on drop.
pub(crate) struct Running {
    child: Child,
    pub(crate) out: Pipe,
    pub(crate) err: Pipe,
}

impl Running {
    /// Starts a command; `input` is all of its stdin.
    pub(crate) fn spawn(command: &mut Command, input: Option<&str>) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()));
        let mut child = command.spawn().expect("the binary starts");
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            stdin.write_all(input.as_bytes()).unwrap();
        }
        Self {
            out: Pipe::of(child.stdout.take().unwrap()),
            err: Pipe::of(child.stderr.take().unwrap()),
            child,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(mut self) -> Ended {
        let both = async { tokio::join!(self.out.closed(), self.err.closed()) };
        let ended = timeout(PATIENCE, both).await.is_ok();
        let (out, err) = (self.out.text(), self.err.text());
        assert!(ended, "the process did not end:\n{out}\n{err}");
        let code = self.child.wait().unwrap().code();
        Ended { code, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    Running::spawn(command, None).ended().await
}

/// `ampoule serve` on any free port, with the compiled code of all tests.
pub(crate) fn serve(data: &Path) -> Command {
    let mut command = ampoule(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--data").arg(data).arg("--cache").arg(cache());
    command
}

/// A running `ampoule serve`.
pub(crate) struct Serving {
    pub(crate) running: Running,
    /// Without a path.
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
}

impl Serving {
    /// Serves the folder `data`.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::of(&mut serve(data)).await
    }

    /// Starts `command` and waits until it listens.
    pub(crate) async fn of(command: &mut Command) -> Self {
        let _first = FIRST.lock().await;
        let running = Running::spawn(command, None);
        let listens = running.out.has("\n").await;
        let (out, err) = (running.out.text(), running.err.text());
        assert!(listens, "it does not listen: {out}\n{err}");
        let url = out.strip_prefix("listening on ").map(str::trim_end);
        let url = url.unwrap_or_else(|| panic!("not the start line: {out:?}"));
        assert!(url.starts_with("http://127.0.0.1:"), "{out}");
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build();
        Self {
            url: url.to_owned(),
            running,
            client: client.unwrap(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn invoke(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/invoke/{target}"))
    }

    fn upload(&self, function: &str, source: &str) -> RequestBuilder {
        self.request(Method::PUT, &function_path(function))
            .header("content-type", "application/javascript")
            .body(source.to_owned())
    }

    /// Deploys one source file; panics unless it is accepted.
    pub(crate) async fn deploy(&self, function: &str, source: &str) -> Value {
        let answer = Answer::of(self.upload(function, source)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// The host and port.
    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Ends it with SIGTERM.
    pub(crate) async fn stop(self) -> Ended {
        self.running.signal(Signal::TERM);
        self.running.ended().await
    }
}

fn function_path(function: &str) -> String {
    format!("/api/v1/tenants/default/functions/{function}")
}

/// An upstream that answers when the test says so.
pub(crate) struct Gate(TcpListener);

impl Gate {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }

    /// Waits for a request.
    pub(crate) async fn arrival(&self) -> Held {
        let held = async {
            let (mut stream, _) = self.0.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            Held(stream)
        };
        timeout(PATIENCE, held).await.expect("a request arrives")
    }
}

/// A request that waits for its answer.
pub(crate) struct Held(TcpStream);

impl Held {
    pub(crate) async fn release(mut self, body: &str) {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain";
        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.0.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Waits until whoever asked has gone away.
    pub(crate) async fn gone(mut self) {
        let read = timeout(PATIENCE, self.0.read(&mut [0; 1])).await;
        let read = read.expect("the connection ends");
        assert!(!matches!(read, Ok(1..)), "{read:?}");
    }
}

/// Counts and collects what was acknowledged.
#[derive(Clone)]
struct Acknowledged<T> {
    all: Arc<Mutex<Vec<T>>>,
    count: watch::Sender<usize>,
}

impl<T> Acknowledged<T> {
    fn new() -> Self {
        Self {
            all: Arc::default(),
            count: watch::Sender::new(0),
        }
    }

    fn push(&self, one: T) {
        self.all.lock().unwrap().push(one);
        self.count.send_modify(|count| *count += 1);
    }

    async fn reaches(&self, goal: usize) {
        let mut count = self.count.subscribe();
        let reached = timeout(PATIENCE, count.wait_for(|count| *count >= goal)).await;
        assert!(reached.is_ok_and(|reached| reached.is_ok()), "{goal}");
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.all.lock().unwrap())
    }
}

/// Writes key after key until the server is gone.
async fn write(serving: Arc<Serving>, keys: Acknowledged<String>, prefix: String) {
    for number in 0..100_000 {
        let key = format!("{prefix}-{number}");
        let Ok(response) = serving.invoke(&format!("writes?key={key}")).send().await else {
            return;
        };
        let status = response.status();
        match response.text().await {
            Ok(text) if status == 200 && text == "stored" => keys.push(key),
            Ok(text) => panic!("{status} {text}"),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_write_load_loses_no_acknowledged_kv_write() {
    let data = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(data.path()).await;
    serving.deploy("writes", WRITES).await;
    serving.deploy("misses", MISSES).await;
    let mut written = Vec::new();
    for (round, goal) in [40, 111, 300].into_iter().enumerate() {
        let (shared, keys) = (Arc::new(serving), Acknowledged::new());
        let writers = (0..12).map(|writer| {
            let prefix = format!("{round}-{writer}");
            write(Arc::clone(&shared), keys.clone(), prefix)
        });
        let mut writers = writers.collect::<JoinSet<()>>();
        keys.reaches(goal).await;
        shared.running.signal(Signal::KILL);
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }
        written.extend(keys.take());
        assert!(written.len() >= goal);
        // Waits for the end of the process, as its drop does.
        drop(Arc::into_inner(shared).unwrap());
        serving = Serving::start(data.path()).await;
        for some in written.chunks(500) {
            let asked = serving
                .request(Method::POST, "/invoke/misses")
                .header("content-type", "application/json")
                .body(serde_json::to_string(some).unwrap());
            Answer::of(asked).await.expect(200, "[]");
        }
    }
}

/// Counts how often it is called for each time.
const COUNTS: &str = "module.exports = async (req, res) => {
    await kv.increment(`calls:${req.get('x-ampoule-due-ms')}`);
    res.end();
};";
/// How often each time was called for.
const CALLS: &str = "module.exports = async (req, res) => {
    const { keys } = await kv.list({ prefix: 'calls:' });
    const calls = {};
    for (const key of keys) calls[key.slice(6)] = await kv.get(key);
    res.json(calls);
};";

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_schedules_run_calls_for_no_tick_twice() {
    let data = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(data.path()).await;
    serving.deploy("counts", COUNTS).await;
    serving.deploy("calls", CALLS).await;
    let path = format!("{}/schedules/s", function_path("counts"));
    let schedule = r#"{"cron":"* * * * * *","overlap":"allow"}"#;
    let put = serving.request(Method::PUT, &path).body(schedule);
    assert_eq!(Answer::of(put).await.status, 201);
    let mut seen = 0;
    for _ in 0..3 {
        // Killed right after a call, when the run may or may not be noted as over.
        let calls = loop {
            let calls = Answer::of(serving.invoke("calls")).await.json();
            let calls = calls.as_object().unwrap().clone();
            if calls.len() > seen {
                break calls;
            }
            tokio::time::sleep(POLL).await;
        };
        serving.running.signal(Signal::KILL);
        seen = calls.len();
        drop(serving);
        serving = Serving::start(data.path()).await;
        let calls = Answer::of(serving.invoke("calls")).await.json();
        for (due_ms, count) in calls.as_object().unwrap() {
            assert_eq!(count, 1, "{due_ms}: {calls}");
            assert_eq!(due_ms.parse::<u64>().unwrap() % 1000, 0);
        }
    }
    let runs = Answer::of(serving.request(Method::GET, &format!("{path}/runs?limit=100"))).await;
    let runs = runs.json()["runs"].as_array().unwrap().clone();
    let mut dues: Vec<u64> = runs
        .iter()
        .map(|run| run["due_ms"].as_u64().unwrap())
        .collect();
    let count = dues.len();
    dues.dedup();
    // Newest first, and none twice.
    assert!(
        dues.is_sorted_by(|a, b| a > b) && dues.len() == count,
        "{runs:?}"
    );
}

/// Deploys version after version until the server is gone; version N answers `function:N`.
async fn deploy(serving: Arc<Serving>, done: Acknowledged<(String, u64)>, function: String) {
    for number in 2..100_000_u64 {
        let source = version_source(&function, number);
        let Ok(response) = serving.upload(&function, &source).send().await else {
            return;
        };
        let status = response.status();
        let Ok(text) = response.text().await else {
            return;
        };
        assert_eq!(status, 201, "{text}");
        let version: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(version["version"], number);
        done.push((function.clone(), number));
    }
}

fn version_source(function: &str, number: u64) -> String {
    format!("module.exports = (req, res) => res.send('{function}:{number}');")
}

/// Invokes a function again and again while it is being deployed, until the server is gone.
async fn invoke(serving: Arc<Serving>, function: String) -> u64 {
    let mut newest = 0;
    for _ in 0..1_000_000 {
        let Ok(response) = serving.invoke(&function).send().await else {
            break;
        };
        let status = response.status();
        let Ok(text) = response.text().await else {
            break;
        };
        assert_eq!(status, 200, "{text}");
        let (name, version) = text.split_once(':').unwrap();
        let version = version.parse().unwrap();
        assert_eq!(name, function);
        assert!(version >= newest, "{version} came after {newest}");
        newest = version;
    }
    newest
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_deployments_go_on_loses_no_acknowledged_one() {
    let data = tempfile::tempdir().unwrap();
    let serving = Arc::new(Serving::start(data.path()).await);
    let names = ["first", "second", "third"];
    for name in names {
        serving.deploy(name, &version_source(name, 1)).await;
    }
    let done = Acknowledged::new();
    let deployers = names.map(|name| deploy(Arc::clone(&serving), done.clone(), name.to_owned()));
    let mut deployers = deployers.into_iter().collect::<JoinSet<()>>();
    let callers = names.map(|name| tokio::spawn(invoke(Arc::clone(&serving), name.to_owned())));
    done.reaches(20).await;
    serving.running.signal(Signal::KILL);
    while let Some(deployer) = deployers.join_next().await {
        deployer.unwrap();
    }
    let mut seen = BTreeMap::new();
    for (name, caller) in names.into_iter().zip(callers) {
        seen.insert(name, caller.await.unwrap());
    }
    drop(Arc::into_inner(serving).unwrap());
    let mut last = BTreeMap::from(names.map(|name| (name.to_owned(), 1)));
    last.extend(done.take());
    check_versions(&Serving::start(data.path()).await, &last, &seen).await;
}

/// `last` was acknowledged and is there; at most the one after it, which was on its way, is too.
async fn check_versions(
    serving: &Serving,
    last: &BTreeMap<String, u64>,
    seen: &BTreeMap<&str, u64>,
) {
    for (name, last) in last {
        let active = Answer::of(serving.invoke(name)).await.text();
        let stored = [*last, last + 1].map(|number| format!("{name}:{number}"));
        assert!(stored.contains(&active), "{active} is not of {stored:?}");
        let number: u64 = active.rsplit(':').next().unwrap().parse().unwrap();
        assert!(number >= seen[name.as_str()], "{active} of {seen:?}");
        for number in 1..=*last {
            let path = format!("{}/versions/{number}/activate", function_path(name));
            let answer = Answer::of(serving.request(Method::POST, &path)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer = Answer::of(serving.invoke(name)).await;
            answer.expect(200, &format!("{name}:{number}"));
        }
    }
}

/// A data folder that was served and stopped in order.
async fn used_folder() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path()).await;
    serving.deploy("reads", READS).await;
    serving.stop().await.expect(0);
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cut_off_or_foreign_data_file_is_a_clear_error_at_the_start() {
    let data = used_folder().await;
    let file = data.path().join("ampoule.redb");
    let whole = std::fs::read(&file).unwrap();
    let mut holed = whole.clone();
    holed[8192..].fill(0xA5);
    let mut head = whole.clone();
    head[..512].fill(0);
    let damaged: [(&str, Vec<u8>); 6] = [
        ("foreign", b"SQLite format 3\0 and more of it".to_vec()),
        ("text", b"{\"this\": \"is JSON\"}".to_vec()),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("only a beginning", whole[..100].to_vec()),
        ("overwritten", holed),
        ("without a head", head),
    ];
    for (what, bytes) in damaged {
        std::fs::write(&file, &bytes).unwrap();
        let ended = run(&mut serve(data.path())).await.expect(1);
        let (out, err) = (ended.out, ended.err);
        assert_eq!(out, "", "{what}");
        let told = err.lines().last().unwrap_or_default();
        assert!(told.starts_with("error: "), "{what}: {err}");
        assert!(told.contains(&*file.to_string_lossy()), "{what}: {err}");
        assert!(!err.contains("panicked at"), "{what}: {err}");
        if ["foreign", "text"].contains(&what) {
            assert_eq!(std::fs::read(&file).unwrap(), bytes, "{what}");
        }
    }
    // It was the file and nothing else.
    std::fs::write(&file, &whole).unwrap();
    let serving = Serving::start(data.path()).await;
    let answer = Answer::of(serving.invoke("reads?key=none")).await;
    answer.expect(200, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_cannot_be_made_is_a_clear_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ended = run(&mut serve(&file.join("data"))).await.expect(1);
    assert!(ended.err.starts_with("error: "), "{ended:?}");
    assert!(ended.err.contains(&*file.to_string_lossy()), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_in_use_is_refused_and_its_user_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path()).await;
    serving.deploy("reads", READS).await;
    let ended = run(&mut serve(data.path())).await.expect(1);
    assert_eq!(ended.out, "");
    assert!(
        ended.err.contains("is in use by another process"),
        "{ended:?}"
    );
    assert!(
        ended.err.contains(&*data.path().to_string_lossy()),
        "{ended:?}"
    );
    let answer = Answer::of(serving.invoke("reads?key=none")).await;
    answer.expect(200, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_an_invocation_in_progress_finish_and_ends_with_0() {
    let (data, gate) = (tempfile::tempdir().unwrap(), Gate::new().await);
    let mut serving = Serving::start(data.path()).await;
    serving.deploy("asks", ASKS).await;
    let target = format!("asks?gate={}", gate.url());
    let answer = tokio::spawn(Answer::of(serving.invoke(&target)));
    let held = gate.arrival().await;
    serving.running.signal(Signal::TERM);
    serving.running.err.shows("requests in progress").await;
    let mut refused = false;
    for _ in 0..500 {
        refused = TcpStream::connect(serving.address()).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    assert!(refused, "new connections are still accepted");
    assert!(serving.running.is_running() && !answer.is_finished());
    held.release("whole").await;
    answer.await.unwrap().expect(200, "whole");
    let ended = serving.running.ended().await.expect(0);
    assert!(ended.err.contains("stopped"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_work_after_the_answer_finish() {
    let (data, gate) = (tempfile::tempdir().unwrap(), Gate::new().await);
    let serving = Serving::start(data.path()).await;
    serving.deploy("works-on", WORKS_ON).await;
    serving.deploy("reads", READS).await;
    let target = format!("works-on?gate={}", gate.url());
    let answer = Answer::of(serving.invoke(&target)).await;
    answer.expect(200, "early");
    let held = gate.arrival().await;
    serving.running.signal(Signal::TERM);
    serving.running.err.shows("requests in progress").await;
    held.release("done").await;
    serving.running.ended().await.expect(0);
    let serving = Serving::start(data.path()).await;
    let answer = Answer::of(serving.invoke("reads?key=late")).await;
    answer.expect(200, "\"done\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_at_once() {
    let (data, gate) = (tempfile::tempdir().unwrap(), Gate::new().await);
    let serving = Serving::start(data.path()).await;
    serving.deploy("asks", ASKS).await;
    let request = serving.invoke(&format!("asks?gate={}", gate.url()));
    let answer = tokio::spawn(request.send());
    let held = gate.arrival().await;
    serving.running.signal(Signal::INT);
    serving.running.err.shows("requests in progress").await;
    serving.running.signal(Signal::INT);
    let ended = serving.running.ended().await.expect(1);
    assert!(ended.err.contains("second signal"), "{ended:?}");
    assert!(answer.await.unwrap().is_err());
    held.gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_ends_on_either_signal_and_its_folder_can_be_served_again() {
    let data = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let serving = Serving::start(data.path()).await;
        // A connection that is kept alive is no reason to stay.
        let answer = Answer::of(serving.request(Method::GET, "/healthz")).await;
        answer.expect(200, "ok");
        serving.running.signal(signal);
        serving.running.ended().await.expect(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_of_the_environment_is_taken_unless_listen_is_given() {
    let data = tempfile::tempdir().unwrap();
    let mut command = ampoule(&["serve", "--data"]);
    command.arg(data.path()).arg("--cache").arg(cache());
    let serving = Serving::of(command.env("PORT", "0")).await;
    assert!(!serving.url.ends_with(":4000"), "{}", serving.url);
    serving.stop().await.expect(0);
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = held.local_addr().unwrap().port().to_string();
    let serving = Serving::of(serve(data.path()).env("PORT", &taken)).await;
    serving.stop().await.expect(0);
    let ended = run(serve(data.path()).env("PORT", "http")).await.expect(2);
    assert!(ended.err.contains("--port"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_this_machine_is_listened_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4000"] {
        let mut command = ampoule(&["serve", "--listen", address, "--data"]);
        let ended = run(command.arg(&data)).await.expect(2);
        assert!(ended.err.contains("AMPOULE_KEY"), "{ended:?}");
        assert!(ended.err.contains(address), "{ended:?}");
        assert_eq!(ended.out, "");
        assert!(!data.exists(), "refused before anything is touched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_told_with_a_way_out() {
    let data = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = held.local_addr().unwrap().to_string();
    let mut command = ampoule(&["serve", "--listen", &address, "--data"]);
    let ended = run(command.arg(data.path())).await.expect(1);
    assert_eq!(ended.out, "");
    for part in [&*address, "is in use", "--listen 127.0.0.1:0"] {
        assert!(ended.err.contains(part), "{ended:?}");
    }
}

/// Files that are needed after loading, and modules that are loaded for every request.
const FILES: [(&str, &str); 3] = [
    (
        "snapshot/index.js",
        "const early = require('./early');
         module.exports = (req, res) => res.json([early, require('./late')]);",
    ),
    (
        "per_request/index.js",
        "const early = require('./early'), born = Date.now();
         module.exports = (req, res) => res.json([early, require('./late'), born > 0]);",
    ),
    ("early.js", "module.exports = 'early';"),
];

async fn deploy_folders(serving: &Serving) {
    for (entry, source) in &FILES[..2] {
        let folder = tempfile::tempdir().unwrap();
        let name = entry.split('/').next().unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text);
        write("index.js", source).unwrap();
        write("early.js", FILES[2].1).unwrap();
        write("late.js", "module.exports = 'late';").unwrap();
        let packed = ampoule::cli::pack::pack(folder.path()).unwrap();
        let request = serving
            .request(Method::PUT, &function_path(name))
            .header("content-type", packed.content_type)
            .body(packed.bytes);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.json()["evaluation"], name);
    }
}

async fn check_folders(serving: &Serving) {
    let answer = Answer::of(serving.invoke("snapshot")).await;
    answer.expect(200, r#"["early","late"]"#);
    let answer = Answer::of(serving.invoke("per_request")).await;
    answer.expect(200, r#"["early","late",true]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_files_that_were_deleted_are_made_again() {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path()).await;
    deploy_folders(&serving).await;
    check_folders(&serving).await;
    serving.stop().await.expect(0);
    for deleted in [&["snapshots", "files"][..], &["snapshots"], &["files"]] {
        for name in deleted {
            std::fs::remove_dir_all(data.path().join(name)).unwrap();
        }
        let serving = Serving::start(data.path()).await;
        check_folders(&serving).await;
        let again = join_all((0..8).map(|_| check_folders(&serving)));
        again.await;
        for name in deleted {
            assert_eq!(names_in(&data.path().join(name)).len(), 2, "{name}");
        }
        serving.stop().await.expect(0);
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_that_was_cut_off_left_behind_is_cleared_away() {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path()).await;
    deploy_folders(&serving).await;
    serving.stop().await.expect(0);
    let (files, snapshots) = (data.path().join("files"), data.path().join("snapshots"));
    let kept = (names_in(&files), names_in(&snapshots));
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for folder in [files.join(id), files.join(format!("{}.tmp", kept.0[0]))] {
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("index.js"), "half").unwrap();
    }
    std::fs::write(snapshots.join(format!("{id}-key.wasm")), "half").unwrap();
    std::fs::write(snapshots.join(format!("{id}-key.tmp")), "half").unwrap();
    let serving = Serving::start(data.path()).await;
    assert_eq!((names_in(&files), names_in(&snapshots)), kept);
    check_folders(&serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_are_damaged_are_made_again() {
    let data = tempfile::tempdir().unwrap();
    let serving = Serving::start(data.path()).await;
    deploy_folders(&serving).await;
    serving.stop().await.expect(0);
    for entry in std::fs::read_dir(data.path().join("snapshots")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let serving = Serving::start(data.path()).await;
    check_folders(&serving).await;
    serving.stop().await.expect(0);
}
