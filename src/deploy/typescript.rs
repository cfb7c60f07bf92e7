//! Which files of a deployment are transformed, and how: what `package.json` and `tsconfig.json`
//! say about them.
//!
//! The upload as it came is what the store keeps; what is made here is a cache like a snapshot.
//! A file that cannot be transformed does no harm until it is loaded: functions come with tests,
//! templates and examples that never are. It is replaced by a text that does not compile, and
//! [`Prepared::faults`] knows what to say when the load then fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use serde_json::Value;

use super::archive::File;
use super::tsconfig::{self, CompilerOptions};
use crate::transform::{
    Aliases, EXTENSIONS, Fault, Job, Kind, Options, SOURCE_BYTES_MAX, SOURCES_BYTES_MAX,
    is_transformed, process,
};

/// Stands in for a file that could not be transformed; no engine compiles it.
const STUB: &str = "@@ this file could not be transformed @@\n";
/// Folder of packages: TypeScript in there is only transformed where a package leads to it.
const PACKAGES: &str = "node_modules";

/// Files as sandboxes see them.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// All files, those that were transformed under their own names.
    pub(super) files: Vec<File>,
    /// Source maps of those, by the same paths.
    pub(super) maps: Vec<File>,
    /// What could not be transformed, and why.
    pub(super) faults: BTreeMap<String, Fault>,
}

/// Transforms what has to be. Blocks; takes a process for deployments with TypeScript, and
/// nothing for others.
///
/// # Errors
/// When the process cannot be started.
pub(super) fn prepare(program: &Path, mut files: Vec<File>) -> anyhow::Result<Prepared> {
    let mut prepared = Prepared::default();
    let plan = Plan::new(&files).jobs(&mut prepared.faults);
    if !plan.is_empty() {
        let paths: BTreeSet<String> = if plan.iter().any(|job| job.options.aliases.is_some()) {
            files.iter().map(|file| file.path.clone()).collect()
        } else {
            BTreeSet::new()
        };
        let answers = process::run(program, &plan, &paths)
            .context("cannot start the process that transforms TypeScript")?;
        let mut by_path = HashMap::new();
        for (job, answer) in plan.into_iter().zip(answers) {
            match answer {
                Ok(transformed) => {
                    by_path.insert(job.path, transformed);
                }
                Err(fault) => {
                    prepared.faults.insert(job.path, fault);
                }
            }
        }
        for file in &mut files {
            if let Some(transformed) = by_path.remove(&file.path) {
                file.bytes = Bytes::from(transformed.code);
                prepared.maps.push(File {
                    path: file.path.clone(),
                    bytes: map(&file.path, &transformed.mappings),
                });
            }
        }
    }
    for file in &mut files {
        if prepared.faults.contains_key(&file.path) {
            file.bytes = Bytes::from_static(STUB.as_bytes());
        }
    }
    prepared.files = files;
    Ok(prepared)
}

fn map(path: &str, mappings: &str) -> Bytes {
    let map = serde_json::json!({
        "version": 3,
        "sources": [format!("/{path}")],
        "names": [],
        "mappings": mappings,
    });
    Bytes::from(map.to_string())
}

/// What is known of a deployment's folders.
struct Plan<'a> {
    files: &'a [File],
    by_path: HashMap<&'a str, &'a File>,
    types: HashMap<String, bool>,
    configs: HashMap<String, Result<CompilerOptions, Fault>>,
}

impl<'a> Plan<'a> {
    fn new(files: &'a [File]) -> Self {
        Self {
            files,
            by_path: files
                .iter()
                .map(|file| (file.path.as_str(), file))
                .collect(),
            types: HashMap::new(),
            configs: HashMap::new(),
        }
    }

    fn jobs(mut self, faults: &mut BTreeMap<String, Fault>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut bytes_left = SOURCES_BYTES_MAX;
        let files = self.files;
        let packages = self.packages_of_typescript();
        for file in files.iter().filter(|file| is_transformed(&file.path)) {
            if let Some(package) = package_of(&file.path)
                && !packages.contains(package)
            {
                continue;
            }
            match self.job(file, &mut bytes_left) {
                Ok(job) => jobs.push(job),
                Err(fault) => {
                    faults.insert(file.path.clone(), fault);
                }
            }
        }
        jobs
    }

    fn job(&mut self, file: &File, bytes_left: &mut usize) -> Result<Job, Fault> {
        if file.bytes.len() > SOURCE_BYTES_MAX {
            return Err(Fault::of_file(format!(
                "has more than {} MiB, which is most that is transformed",
                SOURCE_BYTES_MAX >> 20
            )));
        }
        *bytes_left = bytes_left.checked_sub(file.bytes.len()).ok_or_else(|| {
            Fault::of_file(format!(
                "is beyond the {} MiB of TypeScript and JSX of one deployment",
                SOURCES_BYTES_MAX >> 20
            ))
        })?;
        let Ok(source) = std::str::from_utf8(&file.bytes) else {
            return Err(Fault::of_file("is not UTF-8 text"));
        };
        let options = self.options(&file.path)?;
        Ok(Job {
            path: file.path.clone(),
            source: source.to_owned(),
            options,
        })
    }

    fn options(&mut self, path: &str) -> Result<Options, Fault> {
        let extension = path.rsplit('.').next().unwrap_or_default();
        let is_module = match extension {
            "mts" => true,
            "cts" => false,
            _ => self.is_module_package(parent(path)),
        };
        let config = self.config(parent(path))?;
        let mut options = config.options();
        options.kind = if is_module {
            Kind::Module
        } else {
            Kind::Detected
        };
        Ok(options)
    }

    /// Whether the nearest `package.json` says `"type": "module"`.
    fn is_module_package(&mut self, folder: &str) -> bool {
        if let Some(known) = self.types.get(folder) {
            return *known;
        }
        let is_module = match self.manifest(folder) {
            Some(manifest) => manifest.get("type").and_then(Value::as_str) == Some("module"),
            None if folder.is_empty() || is_packages(folder) => false,
            None => self.is_module_package(parent(folder)),
        };
        self.types.insert(folder.to_owned(), is_module);
        is_module
    }

    fn manifest(&self, folder: &str) -> Option<Value> {
        let file = self.by_path.get(child(folder, "package.json").as_str())?;
        serde_json::from_slice(&file.bytes).ok()
    }

    /// What the nearest `tsconfig.json` says; packages do not see that of the project.
    fn config(&mut self, folder: &str) -> Result<CompilerOptions, Fault> {
        if let Some(known) = self.configs.get(folder) {
            return known.clone();
        }
        let path = child(folder, "tsconfig.json");
        let read = |path: &str| self.by_path.get(path).map(|file| file.bytes.clone());
        let config = if self.by_path.contains_key(path.as_str()) {
            tsconfig::read(&path, &read).map_err(|why| Fault::of_file(format!("{path}: {why}")))
        } else if folder.is_empty() || is_packages(parent(folder)) {
            Ok(CompilerOptions::default())
        } else {
            self.config(parent(folder))
        };
        self.configs.insert(folder.to_owned(), config.clone());
        config
    }

    /// Folders of packages whose `main` or `exports` lead to what has to be transformed.
    fn packages_of_typescript(&self) -> BTreeSet<&'a str> {
        let manifests = self.files.iter().filter(|file| {
            let folder = parent(&file.path);
            file.path.ends_with("/package.json") && package_of(&file.path) == Some(folder)
        });
        let leads_to = manifests.filter(|file| {
            // Most packages need no second look.
            let text = String::from_utf8_lossy(&file.bytes);
            EXTENSIONS
                .iter()
                .any(|end| text.contains(&format!(".{end}\"")))
                && serde_json::from_str(&text).is_ok_and(|manifest| is_of_typescript(&manifest))
        });
        leads_to.map(|file| parent(&file.path)).collect()
    }
}

fn is_of_typescript(manifest: &Value) -> bool {
    ["main", "module", "exports", "imports"]
        .iter()
        .filter_map(|field| manifest.get(field))
        .any(leads_to_typescript)
}

fn leads_to_typescript(target: &Value) -> bool {
    match target {
        Value::String(path) => is_transformed(path),
        Value::Array(targets) => targets.iter().any(leads_to_typescript),
        // Conditions that never hold here must not cost anything.
        Value::Object(map) => map.iter().any(|(key, target)| {
            let holds = key.starts_with(['.', '#'])
                || matches!(
                    key.as_str(),
                    "ampoule" | "node" | "require" | "import" | "default"
                );
            holds && leads_to_typescript(target)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The folder of the package that a file belongs to; `None` for the project's own files.
fn package_of(path: &str) -> Option<&str> {
    let marker = format!("{PACKAGES}/");
    let (at, _) = path
        .rmatch_indices(&marker)
        .find(|(at, _)| *at == 0 || path.as_bytes()[at - 1] == b'/')?;
    let start = at + marker.len();
    let parts = if path[start..].starts_with('@') { 2 } else { 1 };
    let end = path[start..]
        .match_indices('/')
        .nth(parts - 1)
        .map_or(path.len(), |(at, _)| start + at);
    Some(&path[..end])
}

fn is_packages(folder: &str) -> bool {
    folder == PACKAGES || folder.ends_with("/node_modules")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn child(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

impl CompilerOptions {
    fn options(&self) -> Options {
        let aliases = (self.paths.is_some() || self.base_url.is_some()).then(|| Aliases {
            base: self
                .base_url
                .clone()
                .or_else(|| self.paths_base.clone())
                .unwrap_or_default(),
            patterns: self.paths.clone().unwrap_or_default(),
            is_base_url: self.base_url.is_some(),
        });
        Options {
            kind: Kind::Detected,
            jsx_classic: self.jsx.as_deref() == Some("react"),
            jsx_import_source: self.jsx_import_source.clone(),
            jsx_factory: self.jsx_factory.clone(),
            jsx_fragment: self.jsx_fragment_factory.clone(),
            decorators: self.experimental_decorators.unwrap_or(false),
            metadata: self.emit_decorator_metadata.unwrap_or(false),
            strict_null_checks: self.strict_null_checks.or(self.strict).unwrap_or(true),
            define_fields: self.define_fields(),
            verbatim: self.verbatim_module_syntax.unwrap_or(false),
            aliases,
        }
    }
}

#[cfg(test)]
mod tests;
