//! Packages that the command line installs: with a manager of the tests' own, and no network.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::cli::{Desk, Dev, answers, get};
use crate::process::{Ended, run};

const INDEX: &str = "const dep = require('dep');
module.exports = (req, res) => res.send(dep);";
const MANIFEST: &str = r#"{ "dependencies": { "dep": "1" } }"#;
/// Installs a package that says how it was installed. Without any program: PATH has only this.
const MANAGER: &str = r#"#!/bin/sh
[ -e node_modules ] && exit 9
[ -e index.js ] || exit 8
/bin/mkdir -p node_modules/dep node_modules/.bin
/bin/ln -s ../dep/index.js node_modules/.bin/dep
echo "module.exports = '$0 $* ${AMPOULE_KEY-no key} ${YARN_ENABLE_SCRIPTS-}'" > node_modules/dep/index.js
"#;

/// Puts a program into the folder `bin`, which is all of PATH then.
fn program(desk: &Desk, name: &str, script: &str) -> String {
    let bin = desk.folder.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let path = bin.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    bin.to_str().unwrap().to_owned()
}

async fn deploy(desk: &Desk, bin: &str) -> Ended {
    let mut command = desk.command(&["deploy", "shop"]);
    run(command.env("PATH", bin).env("AMPOULE_KEY", "secret")).await
}

async fn said(desk: &Desk) -> String {
    let (status, text) = get(&format!("{}/invoke/shop", desk.serving.url)).await;
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_of_the_lock_file_installs_into_a_copy() {
    let desk = Desk::new().await;
    desk.write("shop/index.js", INDEX);
    desk.write("shop/package.json", MANIFEST);
    let shop = desk.folder.path().join("shop");
    for (lock, text, name, arguments) in [
        (
            "package-lock.json",
            "{}",
            "npm",
            "ci --omit=dev --ignore-scripts",
        ),
        (
            "bun.lock",
            "{}",
            "bun",
            "install --frozen-lockfile --production --ignore-scripts",
        ),
        (
            "yarn.lock",
            "# yarn v1",
            "yarn",
            "install --frozen-lockfile --production --ignore-scripts",
        ),
        ("yarn.lock", "__metadata:\n", "yarn", "install --immutable"),
        (
            "pnpm-lock.yaml",
            "",
            "pnpm",
            "install --frozen-lockfile --prod --ignore-scripts",
        ),
    ] {
        desk.write(&format!("shop/{lock}"), text);
        let bin = program(&desk, name, MANAGER);
        let ended = deploy(&desk, &bin).await.expect(0);
        assert!(
            ended.err.contains("there is no node_modules: running "),
            "{}",
            ended.err
        );
        assert!(
            ended.err.contains(&format!("{name} {arguments}")),
            "{}",
            ended.err
        );
        let said = said(&desk).await;
        assert!(said.contains(&format!("/{name} {arguments}")), "{said}");
        assert!(said.contains("no key"), "{said}");
        assert_eq!(
            said.ends_with("false"),
            text.contains("__metadata"),
            "{said}"
        );
        assert!(!shop.join("node_modules").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_that_are_there_are_deployed_as_they_are() {
    let desk = Desk::new().await;
    desk.write("shop/index.js", INDEX);
    desk.write("shop/package.json", MANIFEST);
    desk.write("shop/package-lock.json", "{}");
    desk.write("shop/node_modules/dep/index.js", "module.exports = 'here'");
    let bin = program(&desk, "npm", "#!/bin/sh\nexit 7\n");
    let ended = deploy(&desk, &bin).await.expect(0);
    assert_eq!(ended.err, "");
    assert_eq!(said(&desk).await, "here");
    // Links of pnpm are no packages yet.
    std::fs::create_dir_all(desk.folder.path().join("shop/node_modules/.pnpm")).unwrap();
    desk.write("shop/pnpm-lock.yaml", "");
    let bin = program(&desk, "pnpm", MANAGER);
    let ended = deploy(&desk, &bin).await.expect(0);
    assert!(ended.err.contains("pnpm's links"), "{}", ended.err);
    assert!(said(&desk).await.contains("node-linker=hoisted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_installed_is_told() {
    let desk = Desk::new().await;
    desk.write("shop/index.js", INDEX);
    desk.write("shop/package.json", MANIFEST);
    desk.write("shop/package-lock.json", "{}");
    let bin = program(&desk, "other", MANAGER);
    let ended = deploy(&desk, &bin).await.expect(2);
    assert!(ended.err.contains("npm is not installed"), "{}", ended.err);
    let bin = program(
        &desk,
        "npm",
        "#!/bin/sh\necho 'the lock file is stale' >&2\nexit 3\n",
    );
    let ended = deploy(&desk, &bin).await.expect(2);
    assert!(
        ended.err.contains("the lock file is stale"),
        "{}",
        ended.err
    );
    std::fs::remove_file(desk.folder.path().join("shop/package-lock.json")).unwrap();
    std::fs::create_dir_all(desk.folder.path().join("shop/node_modules/.pnpm")).unwrap();
    let ended = deploy(&desk, &bin).await.expect(2);
    assert!(
        ended.err.contains("node-linker=hoisted into .npmrc"),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_installs_once_and_takes_the_settings_of_deploy() {
    let desk = Desk::new().await;
    let index = "const dep = require('dep');
        module.exports = (req, res) => res.json([typeof dep, req.params.id, process.env.A]);";
    desk.write("shop/start.ts", index);
    desk.write("shop/index.js", "");
    desk.write("shop/package.json", MANIFEST);
    desk.write("shop/package-lock.json", "{}");
    desk.write("env", "A=from the file\n");
    // Fails when it runs a second time.
    let counted = MANAGER.replace(
        "[ -e node_modules ]",
        &format!(
            "[ -e {0}/ran ] && exit 7\n: > {0}/ran\n[ -e node_modules ]",
            desk.folder.path().display()
        ),
    );
    let bin = program(&desk, "npm", &counted);
    let env = desk.folder.path().join("env");
    let arguments = [
        "--env-file",
        env.to_str().unwrap(),
        "--route",
        "/items/:id",
        "--entry",
        "start.ts",
        "--limit",
        "wall_ms=5000",
    ];
    let shop = desk.folder.path().join("shop");
    let dev = Dev::start_with(Path::new(&shop), &arguments, &[("PATH", &bin)]).await;
    let url = format!("{}/items/7", dev.url);
    answers(&url, r#"["string","7","from the file"]"#).await;
    desk.write(
        "shop/start.ts",
        &index.replace("typeof dep", "'again' as string"),
    );
    answers(&url, r#"["again","7","from the file"]"#).await;
    dev.running.signal(Signal::INT);
    dev.running.ended().await.expect(0);
}
