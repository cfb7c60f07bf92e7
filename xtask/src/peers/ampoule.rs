//! Ampoule as one of the peers: a data folder of its own, and functions deployed as users do it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Places;
use super::http::Client;
use super::install::copy;
use super::process::Server;
use crate::shell::{Outcome, answer, at, root};

/// How long a deployment may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The settings of a server that users of this machine could have made.
const OURS: [&str; 4] = ["AMPOULE_KEY", "AMPOULE_API_LISTEN", "AMPOULE_DATA", "PORT"];

/// The server as it is without any setting, but that one tenant may send all of the load.
pub(super) fn command(places: &Places) -> Command {
    let mut command = Command::new(&places.server);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--max-concurrent-per-tenant", "512"]);
    command.arg("--data").arg(places.cache.join("data"));
    // Compiled code is kept from run to run.
    command.arg("--cache").arg(places.cache.join("compiled"));
    for name in OURS {
        command.env_remove(name);
    }
    command
}

/// Drops what earlier servers have kept.
pub(super) fn forget(places: &Places) -> Outcome {
    let data = places.cache.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(at(&data))?;
    }
    Ok(())
}

/// Deploys the functions in `xtask/peers/functions`, each a folder with `logic.js`.
pub(super) fn deploy_cases(server: &Server, places: &Places) -> Outcome {
    let from = root().join("xtask/peers/functions");
    for entry in fs::read_dir(&from).map_err(at(&from))? {
        let path = entry.map_err(at(&from))?.path();
        let name = path.file_stem().unwrap_or_default();
        let folder = places.cache.join("functions").join(name);
        copy(&places.node(), &folder, |name| name == "logic.js")?;
        let index = folder.join("index.js");
        fs::copy(&path, &index).map_err(at(&index))?;
        deploy(server, places, &folder, &[])?;
    }
    Ok(())
}

/// Uploads a folder as the function of its name, with the command line.
pub(super) fn deploy(server: &Server, places: &Places, folder: &Path, limits: &[&str]) -> Outcome {
    let mut command = Command::new(&places.server);
    command
        .arg("deploy")
        .arg(folder)
        .args(["--url", &server.url]);
    for limit in limits {
        command.args(["--limit", limit]);
    }
    for name in OURS {
        command.env_remove(name);
    }
    answer(&mut command).map(drop)
}

/// Deploys functions of one file, as names and sources, over one connection.
pub(super) fn deploy_sources(
    server: &Server,
    functions: impl Iterator<Item = (String, String)>,
) -> Outcome {
    let mut client = Client::connect(&server.url, PATIENCE)?;
    for (name, source) in functions {
        let path = format!("/api/v1/tenants/default/functions/{name}");
        let content = ("application/javascript", source.as_bytes());
        client.request("PUT", &path, Some(content))?.text()?;
    }
    Ok(())
}
