//! From a definition to the files of a deployment: a body in a file each, and a list that says
//! what stands around it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::definition::Definition;
use super::schema::Parameter;
use crate::deploy::archive::File;
use crate::error::{Code, Error};
use crate::transform::{Body, BodyJob, Fault, SOURCE_BYTES_MAX, process};

/// The definition, as it was written: what everything else is made from.
pub(super) const DEFINITION: &str = "definition.json";
/// The list, which is what the guest enters at.
pub(super) const MANIFEST: &str = "manifest.json";
/// Where uploaded packages are.
pub(super) const PACKAGES: &str = "node_modules/";

/// What every function finds besides its siblings.
const REQUIRE: &str = "require";
/// The shared object.
const CACHE: &str = "cache";
/// Names that mean the same everywhere, whatever a function is called.
const TAKEN: [&str; 7] = [
    CACHE,
    REQUIRE,
    "undefined",
    "NaN",
    "Infinity",
    "eval",
    "arguments",
];
/// Ways to a global variable that no name in the source need give away.
const INDIRECT: [&str; 5] = ["eval", "Function", "globalThis", "global", "self"];

/// The list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Builtin modules that the functions may load.
    pub(super) builtins: Vec<String>,
    /// In the order of the definition.
    pub(super) functions: Vec<Entry>,
}

/// What is known of one function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: String,
    /// The file with its body.
    pub(super) file: String,
    /// Its parameters, in order.
    pub(super) parameters: Vec<Parameter>,
    /// Names that stand around the body: siblings, and `require`.
    pub(super) scope: Vec<String>,
    /// Whether it, or a function that it can call, may touch the cache.
    pub(super) uses_cache: bool,
}

/// Makes the files of a workspace. Blocks: takes a process that looks at the bodies.
///
/// # Errors
/// `workspace_invalid`, naming function, line and column.
pub(super) fn files(
    program: &Path,
    definition: &Definition,
    builtins: &[String],
) -> Result<Vec<File>, Error> {
    let bodies = bodies(program, definition)?;
    let manifest = manifest(definition, &bodies, builtins);
    let mut files = vec![
        file(DEFINITION.to_owned(), definition.written.to_string()),
        file(MANIFEST.to_owned(), json!(manifest).to_string()),
    ];
    for (entry, function) in manifest.functions.iter().zip(&definition.functions) {
        files.push(file(entry.file.clone(), function.code.clone()));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn file(path: String, text: String) -> File {
    File {
        path,
        bytes: Bytes::from(text),
    }
}

fn bodies(program: &Path, definition: &Definition) -> Result<Vec<Body>, Error> {
    let names: Vec<&String> = definition.functions.iter().map(|one| &one.name).collect();
    let mut jobs = Vec::with_capacity(names.len());
    for function in &definition.functions {
        if function.code.len() > SOURCE_BYTES_MAX {
            let detail = format!("has more than {} MiB", SOURCE_BYTES_MAX >> 20);
            return Err(fault(&function.name, &Fault::of_file(detail)));
        }
        let siblings = names.iter().filter(|name| !TAKEN.contains(&name.as_str()));
        jobs.push(BodyJob {
            source: function.code.clone(),
            parameters: function
                .parameters
                .iter()
                .map(|one| one.name.clone())
                .collect(),
            scope: siblings.map(|name| (*name).clone()).collect(),
        });
    }
    let checked = process::check(program, &jobs).map_err(cannot_start)?;
    let functions = definition.functions.iter().zip(checked);
    functions
        .map(|(function, checked)| checked.map_err(|told| fault(&function.name, &told)))
        .collect()
}

fn cannot_start(error: io::Error) -> Error {
    Error::internal(format!(
        "cannot start the process that looks at functions: {error}"
    ))
}

/// `name:line:column: message`, as a stack trace of the function would have it.
fn fault(name: &str, fault: &Fault) -> Error {
    let detail = if fault.line == 0 {
        format!("function {name:?}: {}", fault.message)
    } else {
        let Fault {
            message,
            line,
            column,
        } = fault;
        format!("{name}:{line}:{column}: {message}")
    };
    Error::new(Code::WorkspaceInvalid, detail)
}

fn manifest(definition: &Definition, bodies: &[Body], builtins: &[String]) -> Manifest {
    let uses_cache = users_of_cache(definition, bodies);
    let functions = definition.functions.iter().zip(bodies).enumerate();
    let functions = functions.map(|(at, (function, body))| {
        let mut scope = body.scope.clone();
        if body.names(REQUIRE) || body.names("eval") {
            scope.push(REQUIRE.to_owned());
        }
        Entry {
            name: function.name.clone(),
            file: format!("functions/{at}.js"),
            parameters: function.parameters.clone(),
            scope,
            uses_cache: uses_cache[at],
        }
    });
    Manifest {
        builtins: builtins.to_vec(),
        functions: functions.collect(),
    }
}

/// Which functions may touch the cache, by themselves or through functions that they name.
fn users_of_cache(definition: &Definition, bodies: &[Body]) -> Vec<bool> {
    let functions = definition.functions.iter().zip(bodies);
    let mut users: Vec<bool> = functions
        .map(|(function, body)| {
            let may_reach = INDIRECT.iter().any(|name| body.names(name));
            body.names(CACHE) || (may_reach && function.code.contains(CACHE))
        })
        .collect();
    let names = definition.functions.iter().enumerate();
    let places: BTreeMap<&str, usize> = names.map(|(at, one)| (one.name.as_str(), at)).collect();
    let mut callers = vec![Vec::new(); bodies.len()];
    for (caller, body) in bodies.iter().enumerate() {
        for called in body
            .scope
            .iter()
            .filter_map(|name| places.get(name.as_str()))
        {
            callers[*called].push(caller);
        }
    }
    let mut found: Vec<usize> = (0..users.len()).filter(|at| users[*at]).collect();
    while let Some(called) = found.pop() {
        for caller in &callers[called] {
            if !std::mem::replace(&mut users[*caller], true) {
                found.push(*caller);
            }
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn body(free: &[&str], scope: &[&str]) -> Body {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Body {
            scope: owned(scope),
            free: owned(free),
        }
    }

    fn definition(functions: Value) -> Definition {
        Definition::parse(json!({ "functions": functions })).unwrap()
    }

    #[test]
    fn the_cache_is_used_by_whoever_can_reach_it() {
        let code = |code: &str| json!({ "code": code });
        let definition = definition(json!({
            "a": code("return b()"), "b": code("return c()"), "c": code("return cache.x"),
            "d": code("return d()"), "e": code("return globalThis.cache"), "f": code("eval(x)"),
        }));
        let bodies = [
            body(&["b"], &["b"]),
            body(&["c"], &["c"]),
            body(&["cache"], &[]),
            body(&["d"], &["d"]),
            body(&["globalThis"], &[]),
            body(&["eval", "x"], &["c"]),
        ];
        let users = users_of_cache(&definition, &bodies);
        assert_eq!(users, [true, true, true, false, true, true]);
    }

    #[test]
    fn the_list_says_what_stands_around_a_body() {
        let definition = definition(json!({
            "a-b": { "code": "return require('url')", "parameters": { "x": { "default": [1] } } },
            "c": { "code": "return eval('require')" },
        }));
        let bodies = [body(&["require"], &[]), body(&["eval"], &["c"])];
        let manifest = manifest(&definition, &bodies, &["url".to_owned()]);
        assert_eq!(manifest.functions[0].scope, ["require"]);
        assert_eq!(manifest.functions[0].file, "functions/0.js");
        assert_eq!(manifest.functions[1].scope, ["c", "require"]);
        let written = json!(manifest);
        assert_eq!(written["functions"][0]["parameters"][0]["default"], "[1]");
        assert_eq!(
            serde_json::from_value::<Manifest>(written).unwrap(),
            manifest
        );
    }
}
