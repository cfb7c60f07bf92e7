//! Pages that do not stay where they are, and what sandboxes leave in memory: with either way of
//! making memory fresh, nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::server::{Answer, Options, PATIENCE, Server};
use serde_json::json;
use tempfile::TempDir;

const NONE: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
const ACTIVE: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
    /dev/vda2                               partition\t1048572\t\t0\t\t-2\n";

/// No page has been moved.
const AT_REST: &str = "nr_free_pages 5\npgmigrate_success 7\npgmigrate_fail 0\n";
/// One page more has been moved.
const MOVED: &str = "nr_free_pages 5\npgmigrate_success 8\npgmigrate_fail 0\n";

/// A list of swap areas and counters, in place of the kernel's.
struct Swaps {
    folder: TempDir,
}

impl Swaps {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let swaps = Self { folder };
        swaps.write(text);
        swaps.count(AT_REST);
        swaps
    }

    fn counters(&self) -> PathBuf {
        self.folder.path().join("vmstat")
    }

    fn count(&self, text: &str) {
        self.replace(self.counters(), text);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("swaps")
    }

    fn write(&self, text: &str) {
        self.replace(self.path(), text);
    }

    /// Replaces a file at once, as the kernel does.
    fn replace(&self, path: PathBuf, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    async fn server(&self, data: Option<Arc<TempDir>>) -> Server {
        Server::with(Options {
            swaps: Some(self.path()),
            counters: Some(self.counters()),
            data,
            ..Options::default()
        })
        .await
    }
}

/// Whether this kernel can say which pages were written; without it there is one way only.
async fn has_scan(server: &Server) -> bool {
    let engine = server.status().await["engine"].clone();
    let reason = engine["reason"].as_str().unwrap();
    let is_missing = reason.contains("no PAGEMAP_SCAN");
    assert_eq!(engine["pagemap_scan"], !is_missing, "{reason}");
    !is_missing
}

const COUNTER: &str = "let counter = 0;
    module.exports = (req, res) => { counter++; res.json({ counter }); };";

async fn assert_counts_one(server: &Server, function: &str) {
    for _ in 0..20 {
        let answer = Answer::of(server.invoke(function)).await;
        answer.expect(200, r#"{"counter":1}"#);
    }
}

/// The engine is replaced by one without the scan, which says why; the function counts one before,
/// in between and after.
async fn assert_replaced(server: &Server, function: &str, why: &str) {
    let waited = Instant::now();
    let engine = loop {
        let engine = server.status().await["engine"].clone();
        if engine["pagemap_scan"] == false {
            break engine;
        }
        assert!(waited.elapsed() < PATIENCE, "the scan is still in force");
        assert_counts_one(server, function).await;
    };
    let reason = engine["reason"].as_str().unwrap();
    assert!(reason.contains(why), "{reason}");
    assert_counts_one(server, function).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_swap_active_the_scan_is_not_used_and_functions_work() {
    for text in [ACTIVE, ""] {
        let swaps = Swaps::new(text);
        if text.is_empty() {
            // A list that cannot be read says nothing, and counts as swap.
            std::fs::remove_file(swaps.path()).unwrap();
        }
        let server = swaps.server(None).await;
        let engine = server.status().await["engine"].clone();
        assert_eq!(engine["pagemap_scan"], false, "{engine}");
        let reason = engine["reason"].as_str().unwrap();
        let is_told = reason.contains("swap is active") || reason.contains("no PAGEMAP_SCAN");
        assert!(is_told, "{reason}");
        server.deploy("counts", COUNTER).await;
        assert_counts_one(&server, "counts").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_moved_replace_the_engine() {
    let kernel = Swaps::new(NONE);
    let server = kernel.server(None).await;
    if !has_scan(&server).await {
        return;
    }
    server.deploy("counts", COUNTER).await;
    assert_counts_one(&server, "counts").await;
    kernel.count(MOVED);
    assert_replaced(&server, "counts", "moves pages").await;
    // What was moved before the start is over.
    drop(server);
    assert!(has_scan(&kernel.server(None).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_that_comes_up_later_replaces_the_engine_under_way() {
    let swaps = Swaps::new(NONE);
    let server = swaps.server(None).await;
    if !has_scan(&server).await {
        return;
    }
    server.deploy("before", COUNTER).await;
    assert_counts_one(&server, "before").await;
    let held = "module.exports = async (req, res) => {
        res.write('begun ');
        while (!(await kv.get('go'))) await sleep(5);
        res.end('and ended');
    };";
    server.deploy("held", held).await;
    let mut response = server.invoke("held").send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "begun ");

    swaps.write(ACTIVE);
    assert_replaced(&server, "before", "swap is active").await;
    server.deploy("after", COUNTER).await;
    assert_counts_one(&server, "after").await;
    // What ran on the old engine goes on to its end.
    let source = "module.exports = async (req, res) => res.json(await kv.set('go', true));";
    server.deploy("go", source).await;
    Answer::of(server.invoke("go")).await.expect(200, "true");
    assert_eq!(response.text().await.unwrap(), "and ended");

    // A snapshot that the first engine took is good for the one after a restart, too.
    let data = server.stop().await;
    swaps.write(NONE);
    let server = swaps.server(Some(data)).await;
    assert!(has_scan(&server).await);
    for function in ["before", "after"] {
        assert_counts_one(&server, function).await;
    }
}

/// Writes a letter all over its memory, in every way that makes the engine take some; `NUMBER`
/// makes each of them another deployment.
const WRITES: &str = "module.exports = async (req, res) => {
        const kept = [];
        for (let i = 0; i < 100; i++) {
            const bytes = new Uint8Array(65536).fill(0x73);
            kept.push(bytes, 's'.repeat(100000) + i, Array(1000).fill('ss' + i), { ['s' + i]: i });
        }
        await kv.get('sss');
        res.json([kept.length, NUMBER]);
    };";

/// Takes memory in every way that there is and looks for the letter, natively.
const LOOKS: &str = "module.exports = (req, res) => {
        const found = [];
        const look = (name, bytes) => {
            if (bytes.indexOf(0x73) >= 0 || bytes.indexOf(0) !== 0) found.push(name);
        };
        for (const size of [16, 100, 1000, 8192, 65536, 1 << 20, 16 << 20]) {
            for (let i = 0; i < (size > 65536 ? 3 : 100); i++) {
                look('array ' + size, new Uint8Array(size));
                look('buffer ' + size, new Uint8Array(new ArrayBuffer(size)));
                look('unsafe ' + size, new Uint8Array(Buffer.allocUnsafe(size).buffer));
                look('slow ' + size, new Uint8Array(Buffer.allocUnsafeSlow(size).buffer));
            }
        }
        res.json([found, NUMBER]);
    };";

/// More deployments than there are sandboxes, so that each of them gets what others used.
///
/// This is what tenants can see; that every byte of reused memory is as it was, is shown below
/// JavaScript by the tests of `src/sandbox/engine.rs`.
async fn assert_nothing_is_found(swaps: &Swaps) {
    let server = Server::with(Options {
        swaps: Some(swaps.path()),
        counters: Some(swaps.counters()),
        max_concurrent: 1,
        max_concurrent_per_tenant: 1,
        ..Options::default()
    })
    .await;
    for number in 0..20 {
        for (tenant, source) in [("writer", WRITES), ("looker", LOOKS)] {
            let source = source.replace("NUMBER", &number.to_string());
            let name = format!("f{number}");
            server.deploy_for(tenant, &name, &source, json!({})).await;
        }
    }
    for number in 0..20 {
        let target = format!("f{number}");
        server.until_idle().await;
        let written = Answer::of(server.invoke_for("writer", &target)).await;
        written.expect(200, &format!("[400,{number}]"));
    }
    for number in 0..20 {
        let target = format!("f{number}");
        server.until_idle().await;
        let looked = Answer::of(server.invoke_for("looker", &target)).await;
        looked.expect(200, &format!("[[],{number}]"));
        server.until_idle().await;
        let written = Answer::of(server.invoke_for("writer", &target)).await;
        written.expect(200, &format!("[400,{number}]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_finds_what_another_wrote_with_the_scan() {
    assert_nothing_is_found(&Swaps::new(NONE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_finds_what_another_wrote_without_the_scan() {
    assert_nothing_is_found(&Swaps::new(ACTIVE)).await;
}
