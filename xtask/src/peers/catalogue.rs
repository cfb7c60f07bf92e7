//! The peers, and how each is started.

use std::path::Path;
use std::process::Command;

use super::Places;

/// A way to run JavaScript for requests.
pub(super) struct Peer {
    /// What it is called, on the command line and in tables.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) about: &'static str,
    /// What has to be installed first.
    pub(super) needs: Needs,
    /// What comes before `/hello` and the others.
    pub(super) prefix: &'static str,
    /// What starts it. A line of its output says where it listens.
    pub(super) command: fn(&Places) -> Command,
}

/// What has to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// The packages of `xtask/peers/package.json`.
    Npm,
    /// Those, and isolated-vm compiled.
    IsolatedVm,
    /// The packages of `xtask/peers/requirements.txt`.
    Python,
}

pub(super) const AMPOULE: &str = "ampoule";

/// The one that the others are beside.
pub(super) fn ampoule() -> &'static Peer {
    let ampoule = PEERS.iter().find(|peer| peer.name == AMPOULE);
    ampoule.expect("it is among the peers")
}

pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: AMPOULE,
        about: "This server: a fresh WebAssembly sandbox for each request",
        needs: Needs::Nothing,
        prefix: "/invoke",
        command: super::ampoule::command,
    },
    Peer {
        name: "workerd",
        about: "Cloudflare's runtime: one V8 isolate, kept",
        needs: Needs::Npm,
        prefix: "",
        command: |places| {
            let binary = "node_modules/@cloudflare/workerd-linux-64/bin/workerd";
            let mut command = Command::new(places.node().join(binary));
            command.args(["serve", "--control-fd=1"]);
            command.arg(places.node().join("workerd.capnp"));
            command.arg("config");
            command
        },
    },
    Peer {
        name: "deno",
        about: "Deno.serve: one V8 isolate, kept",
        needs: Needs::Npm,
        prefix: "",
        command: |places| {
            let binary = "node_modules/@deno/linux-x64-glibc/deno";
            let mut command = Command::new(places.node().join(binary));
            let flags = ["--no-config", "--no-lock", "--cached-only", "--no-prompt"];
            command.arg("run").args(flags).arg("--allow-net=127.0.0.1");
            command.arg(places.node().join("deno.js"));
            command.env("DENO_DIR", places.cache.join("deno"));
            command.env("DENO_NO_UPDATE_CHECK", "1");
            command
        },
    },
    Peer {
        name: "node",
        about: "node:http in Node, no isolation",
        needs: Needs::Npm,
        prefix: "",
        command: |places| node(places, &["node.cjs"]),
    },
    Peer {
        name: "express",
        about: "Express 5 in Node, no isolation",
        needs: Needs::Npm,
        prefix: "",
        command: |places| node(places, &["express.cjs"]),
    },
    Peer {
        name: "isolated-vm-kept",
        about: "isolated-vm behind node:http: one isolate and context, kept",
        needs: Needs::IsolatedVm,
        prefix: "",
        command: |places| node(places, &["isolated-vm.cjs", "kept"]),
    },
    Peer {
        name: "isolated-vm-fresh",
        about: "isolated-vm behind node:http: a new isolate for each request",
        needs: Needs::IsolatedVm,
        prefix: "",
        command: |places| node(places, &["isolated-vm.cjs", "fresh"]),
    },
    Peer {
        name: "quickjs-emscripten",
        about: "QuickJS in WebAssembly behind node:http: a new runtime for each request",
        needs: Needs::Npm,
        prefix: "",
        command: |places| node(places, &["quickjs-emscripten.cjs"]),
    },
    Peer {
        name: "jsrun",
        about: "jsrun (V8 in Python) behind aiohttp: one runtime, kept",
        needs: Needs::Python,
        prefix: "",
        command: |places| {
            let mut command = Command::new(places.python().join("bin/python"));
            command.arg(places.node().join("jsrun_server.py"));
            command
        },
    },
];

/// One of the scripts in `xtask/peers`, which stand beside the packages.
pub(super) fn node(places: &Places, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.current_dir(places.node()).args(arguments);
    command
}

/// The port that a line of a server's output names: `listening on http://127.0.0.1:1234`, and
/// from workerd `{"event":"listen",…,"port":1234}`.
pub(super) fn port_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("listening on http://127.0.0.1:");
    let rest = rest.or_else(|| Some(line.split_once("\"event\":\"listen\"")?.1));
    let rest = rest?.rsplit(':').next()?;
    rest.trim_end_matches('}').trim().parse().ok()
}

/// The logs of a peer's server.
pub(super) fn log_of(places: &Places, name: &str) -> std::path::PathBuf {
    places.cache.join(Path::new(name).with_extension("log"))
}
