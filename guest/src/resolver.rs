//! Where a specifier leads: Node's algorithms for `require` and `import`, within `/app`.
//!
//! Source: the Node.js documentation, "Modules: CommonJS modules", "Modules: ECMAScript modules"
//! (resolution algorithm specification) and "Modules: Packages". Differences: nothing outside of
//! `/app` exists, and links are not followed because deployments hold none.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::files;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// `require(…)`
    Require,
    /// `import …` or `import(…)`
    Import,
}

impl Asker {
    fn conditions(self) -> [&'static str; 4] {
        match self {
            Self::Require => ["ampoule", "node", "require", "default"],
            Self::Import => ["ampoule", "node", "import", "default"],
        }
    }
}

/// What a specifier leads to.
pub enum Found {
    /// A module that the guest itself provides, without `node:`.
    Builtin(String),
    /// The absolute path of a file.
    File(String),
}

/// Names that the guest provides or refuses itself; `modules.js` knows which is which.
const BUILTINS: &[&str] = &[
    "_http_agent",
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "inspector/promises",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Packages that the guest has as well, for deployments that do not bring their own.
const PACKAGES: &[&str] = &["mime-types", "node-fetch", "ws"];

/// Refused to a function's own code. Packages may load them, because many do only to find out that
/// there is nothing to be had; what they would do throws.
const REACHING_OUT: &[&str] = &["child_process", "cluster", "dgram", "v8", "worker_threads"];

thread_local! {
    /// The builtins that a deployment's own code may load, if not all.
    static ALLOWED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// From now on, the deployment's own code is refused all builtins but these and what is below
/// them. Packages are not: many load more than they use.
pub fn allow_only(names: Vec<String>) {
    ALLOWED.set(Some(names));
}

/// Whether the deployment's own code may load a builtin of this name.
pub fn is_allowed(name: &str) -> bool {
    let top = name.split('/').next().unwrap_or(name);
    ALLOWED.with_borrow(|allowed| {
        let is_one = |known: &String| known == name || known == top;
        allowed
            .as_ref()
            .is_none_or(|names| names.iter().any(is_one))
    })
}

/// The builtin that a specifier names, if it names one.
pub fn builtin(specifier: &str) -> Option<String> {
    let name = specifier.strip_prefix("node:").unwrap_or(specifier);
    BUILTINS.contains(&name).then(|| name.to_owned())
}

/// Where `specifier`, written in the file `from`, leads; none if nowhere.
pub fn resolve(specifier: &str, from: &str, asker: Asker) -> Option<Found> {
    if let Some(name) = builtin(specifier) {
        let is_package = from.contains("/node_modules/");
        return Some(Found::Builtin(if !is_package && !is_allowed(&name) {
            format!("internal/refused/{name}")
        } else if is_package && REACHING_OUT.contains(&name.as_str()) {
            format!("internal/inert/{name}")
        } else {
            name
        }));
    }
    let specifier = specifier.strip_prefix("file://").unwrap_or(specifier);
    let folder = parent(from);
    let is_relative = specifier == "."
        || specifier == ".."
        || specifier.starts_with("./")
        || specifier.starts_with("../");
    let path = if specifier.starts_with('/') {
        as_file_or_folder(&normalise(specifier))
    } else if is_relative {
        let path = join(folder, specifier);
        // What ends like a folder is one, also where a file `x.js` stands beside it.
        if specifier.ends_with('/') || is_dots(specifier) {
            as_folder(&path)
        } else {
            as_file_or_folder(&path)
        }
    } else if specifier.starts_with('#') {
        return package_import(specifier, folder, asker);
    } else if specifier.is_empty() {
        None
    } else {
        let found = package(specifier, folder, asker);
        if found.is_none() && PACKAGES.contains(&specifier) {
            return Some(Found::Builtin(specifier.to_owned()));
        }
        found
    };
    path.map(Found::File).or_else(|| {
        // `buffer/` is how packages ask for the package of that name; without it, ours will do.
        builtin(specifier.strip_suffix('/')?).map(Found::Builtin)
    })
}

/// Whether the last part is `.` or `..`.
fn is_dots(specifier: &str) -> bool {
    matches!(specifier.rsplit('/').next(), Some("." | ".."))
}

/// The folder that a path is in.
pub fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// `base` and `path` as one path without `.` and `..`.
pub fn join(base: &str, path: &str) -> String {
    normalise(&format!("{base}/{path}"))
}

fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// What a name without an extension may end in. TypeScript and JSX were transformed when they were
/// deployed and kept their names.
const EXTENSIONS: [&str; 10] = [
    ".js", ".json", ".cjs", ".mjs", ".node", ".ts", ".tsx", ".mts", ".cts", ".jsx",
];
/// What TypeScript calls a file that it compiles, and what it is compiled from.
const COMPILED: [(&str, &[&str]); 4] = [
    (".js", &[".ts", ".tsx", ".jsx"]),
    (".jsx", &[".tsx"]),
    (".mjs", &[".mts"]),
    (".cjs", &[".cts"]),
];

fn as_file(path: &str) -> Option<String> {
    if files::is_file(path) {
        return Some(path.to_owned());
    }
    EXTENSIONS
        .iter()
        .map(|extension| format!("{path}{extension}"))
        .find(|path| files::is_file(path))
        .or_else(|| as_source(path))
}

/// The source of a compiled file that is not there.
fn as_source(path: &str) -> Option<String> {
    let (stem, ends) = COMPILED
        .iter()
        .find_map(|(end, ends)| Some((path.strip_suffix(end)?, ends)))?;
    ends.iter()
        .map(|end| format!("{stem}{end}"))
        .find(|path| files::is_file(path))
}

fn as_index(folder: &str) -> Option<String> {
    EXTENSIONS
        .iter()
        .map(|extension| format!("{folder}/index{extension}"))
        .find(|path| files::is_file(path))
}

fn as_file_or_folder(path: &str) -> Option<String> {
    as_file(path).or_else(|| as_folder(path))
}

fn as_folder(path: &str) -> Option<String> {
    if !files::is_folder(path) {
        return None;
    }
    let manifest = manifest(path).unwrap_or_default();
    let named = |field: &str| {
        let main = join(path, manifest.get(field)?.as_str()?);
        as_file(&main).or_else(|| as_index(&main))
    };
    // Node does not know `module`; it is better than nothing where a package has nothing else.
    named("main")
        .or_else(|| as_index(path))
        .or_else(|| named("module"))
}

fn manifest(folder: &str) -> Option<Map<String, Value>> {
    let path = format!("{folder}/package.json");
    if !files::is_file(&path) {
        return None;
    }
    serde_json::from_str(&files::read_text(&path)?).ok()
}

/// The nearest folder upwards that has a `package.json`, and what is in it.
fn scope(folder: &str) -> Option<(String, Map<String, Value>)> {
    let mut folder = folder;
    loop {
        if !folder.ends_with("/node_modules")
            && let Some(manifest) = manifest(folder)
        {
            return Some((folder.to_owned(), manifest));
        }
        if folder == files::ROOT || folder == "/" {
            return None;
        }
        folder = parent(folder);
    }
}

/// Whether `.js` files in this folder are ES modules: yes, no, or not said.
pub fn package_type(folder: &str) -> Option<bool> {
    let (_, manifest) = scope(folder)?;
    match manifest.get("type").and_then(Value::as_str) {
        Some("module") => Some(true),
        Some("commonjs") => Some(false),
        _ => None,
    }
}

/// `@scope/name/rest` → (`@scope/name`, `./rest`).
fn split_package(specifier: &str) -> Option<(&str, String)> {
    let slashes = if specifier.starts_with('@') { 2 } else { 1 };
    let end = specifier
        .match_indices('/')
        .nth(slashes - 1)
        .map_or(specifier.len(), |(at, _)| at);
    let (name, rest) = specifier.split_at(end);
    if slashes == 2 && !name.contains('/') {
        return None;
    }
    Some((name, format!(".{rest}")))
}

fn package(specifier: &str, folder: &str, asker: Asker) -> Option<String> {
    let (name, subpath) = split_package(specifier)?;
    if let Some((own, manifest)) = scope(folder)
        && manifest.get("name").and_then(Value::as_str) == Some(name)
        && let Some(exports) = manifest.get("exports")
    {
        return exported(&own, exports, &subpath, asker);
    }
    let mut folder = folder;
    loop {
        if !folder.ends_with("/node_modules") {
            let root = join(folder, &format!("node_modules/{name}"));
            if files::is_folder(&root)
                && let Some(found) = in_package(&root, &subpath, asker)
            {
                return Some(found);
            }
            // `require('data')` may be a single file in node_modules.
            if subpath == "."
                && let Some(found) = as_file(&root)
            {
                return Some(found);
            }
        }
        if folder == files::ROOT || folder == "/" {
            return None;
        }
        folder = parent(folder);
    }
}

fn in_package(root: &str, subpath: &str, asker: Asker) -> Option<String> {
    if let Some(exports) = manifest(root).and_then(|mut manifest| manifest.remove("exports"))
        && !exports.is_null()
    {
        return exported(root, &exports, subpath, asker);
    }
    if subpath == "." {
        as_folder(root)
    } else {
        as_file_or_folder(&join(root, subpath))
    }
}

fn exported(root: &str, exports: &Value, subpath: &str, asker: Asker) -> Option<String> {
    let has_subpaths = exports
        .as_object()
        .is_some_and(|map| map.keys().any(|key| key.starts_with('.')));
    let (target, star) = if has_subpaths {
        pick(exports.as_object()?, subpath)?
    } else if subpath == "." {
        (exports, None)
    } else {
        return None;
    };
    let Target::Path(path) = target_of(target, star.as_deref(), asker, false) else {
        return None;
    };
    let path = join(root, &path);
    // Everything an export leads to stays within its package.
    let is_inside = path.strip_prefix(root)?.starts_with('/');
    if is_inside && files::is_file(&path) {
        return Some(path);
    }
    is_inside.then(|| as_source(&path)).flatten()
}

/// The entry of an `exports` or `imports` map for a key, and what a `*` in it stands for.
fn pick<'a>(map: &'a Map<String, Value>, key: &str) -> Option<(&'a Value, Option<String>)> {
    if let Some(target) = map.get(key).filter(|_| !key.contains('*')) {
        return Some((target, None));
    }
    let mut best: Option<(usize, &Value, String)> = None;
    for (pattern, target) in map {
        let Some((before, after)) = pattern.split_once('*') else {
            continue;
        };
        let fits = key.len() >= before.len() + after.len()
            && key.starts_with(before)
            && key.ends_with(after);
        if fits && best.as_ref().is_none_or(|(len, _, _)| before.len() > *len) {
            let star = key[before.len()..key.len() - after.len()].to_owned();
            best = Some((before.len(), target, star));
        }
    }
    best.map(|(_, target, star)| (target, Some(star)))
}

/// What an entry of an `exports` or `imports` map comes to.
enum Target {
    Path(String),
    /// `null`: the search ends, and nothing is found.
    Nothing,
    /// No condition applies: the search goes on.
    None,
}

/// `may_be_package`: the target may name another package, as those of `imports` may.
fn target_of(target: &Value, star: Option<&str>, asker: Asker, may_be_package: bool) -> Target {
    let inner = |target| target_of(target, star, asker, may_be_package);
    match target {
        Value::String(path) if !may_be_package && !path.starts_with("./") => Target::None,
        Value::String(path) if leads_out(path.strip_prefix("./").unwrap_or(path)) => Target::None,
        Value::String(path) => match star {
            Some(star) if leads_out(star) => Target::None,
            Some(star) => Target::Path(path.replace('*', star)),
            None => Target::Path(path.clone()),
        },
        Value::Array(targets) => targets
            .iter()
            .map(inner)
            .find(|target| matches!(target, Target::Path(_)))
            .unwrap_or(Target::None),
        Value::Object(map) => map
            .iter()
            .filter(|(condition, _)| asker.conditions().contains(&condition.as_str()))
            .map(|(_, target)| inner(target))
            .find(|target| !matches!(target, Target::None))
            .unwrap_or(Target::None),
        Value::Null => Target::Nothing,
        Value::Bool(_) | Value::Number(_) => Target::None,
    }
}

/// Whether a part of a path is one that no target may have.
fn leads_out(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "." | ".." | "node_modules"))
}

fn package_import(specifier: &str, folder: &str, asker: Asker) -> Option<Found> {
    if specifier == "#" || specifier.starts_with("#/") {
        return None;
    }
    let (root, manifest) = scope(folder)?;
    let imports = manifest.get("imports")?.as_object()?;
    let (target, star) = pick(imports, specifier)?;
    let Target::Path(path) = target_of(target, star.as_deref(), asker, true) else {
        return None;
    };
    match path.strip_prefix("./") {
        Some(path) => {
            let path = join(&root, path);
            if files::is_file(&path) {
                return Some(Found::File(path));
            }
            as_source(&path).map(Found::File)
        }
        None if path.starts_with('#') => None,
        None => resolve(&path, &format!("{root}/package.json"), asker),
    }
}
