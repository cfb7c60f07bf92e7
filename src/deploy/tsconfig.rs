//! Reading `tsconfig.json`: the few options that change what a program does.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::transform::join;

/// Longest chain of `extends`.
const EXTENDS_MAX: usize = 8;
/// Most configurations that one may extend, one way or another.
const CONFIGS_MAX: usize = 32;
/// Largest file that is read, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Most patterns of `paths`, and targets of one.
const PATTERNS_MAX: usize = 1000;

/// `compilerOptions`, as far as they matter; `None` where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompilerOptions {
    pub(super) jsx: Option<String>,
    pub(super) jsx_import_source: Option<String>,
    pub(super) jsx_factory: Option<String>,
    pub(super) jsx_fragment_factory: Option<String>,
    pub(super) experimental_decorators: Option<bool>,
    pub(super) emit_decorator_metadata: Option<bool>,
    pub(super) strict: Option<bool>,
    pub(super) strict_null_checks: Option<bool>,
    pub(super) use_define_for_class_fields: Option<bool>,
    pub(super) target: Option<String>,
    pub(super) verbatim_module_syntax: Option<bool>,
    /// The folder that imports may be relative to, below the deployment's.
    #[serde(skip)]
    pub(super) base_url: Option<String>,
    /// Patterns and what they stand for.
    #[serde(skip)]
    pub(super) paths: Option<Vec<(String, Vec<String>)>>,
    /// The folder of the file that says `paths`.
    #[serde(skip)]
    pub(super) paths_base: Option<String>,
}

impl CompilerOptions {
    /// Whether class fields are defined, as ECMAScript does, rather than assigned.
    pub(super) fn define_fields(&self) -> bool {
        self.use_define_for_class_fields.unwrap_or_else(|| {
            let Some(target) = &self.target else {
                return true;
            };
            let target = target.to_ascii_lowercase();
            let year = target.strip_prefix("es").and_then(|year| year.parse().ok());
            target == "esnext" || year.is_some_and(|year: u32| (2022..3000).contains(&year))
        })
    }

    /// Takes from `base` what is not said here.
    fn extend(&mut self, base: Self) {
        macro_rules! take {
            ($($field:ident),*) => { $(self.$field = self.$field.take().or(base.$field);)* };
        }
        if self.paths.is_none() {
            self.paths_base = base.paths_base;
        }
        take!(
            jsx,
            jsx_import_source,
            jsx_factory,
            jsx_fragment_factory,
            experimental_decorators,
            emit_decorator_metadata,
            strict,
            strict_null_checks,
            use_define_for_class_fields,
            target,
            verbatim_module_syntax,
            base_url,
            paths
        );
    }
}

/// Reads the configuration at `path` and what it extends.
///
/// # Errors
/// Why it cannot be read, for its author.
pub(super) fn read(
    path: &str,
    file: &dyn Fn(&str) -> Option<Bytes>,
) -> Result<CompilerOptions, String> {
    let mut left = CONFIGS_MAX;
    read_one(path, file, EXTENDS_MAX, &mut left)
}

fn read_one(
    path: &str,
    file: &dyn Fn(&str) -> Option<Bytes>,
    depth: usize,
    left: &mut usize,
) -> Result<CompilerOptions, String> {
    let too_many = || "extends too many other files, or itself".to_owned();
    *left = left.checked_sub(1).ok_or_else(too_many)?;
    let bytes = file(path).unwrap_or_default();
    if bytes.len() > BYTES_MAX {
        return Err(format!("has more than {BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let config: Map<String, Value> =
        serde_json::from_str(&plain_json(text)).map_err(|error| error.to_string())?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut options = own_options(&config, folder)?;
    let extended: Vec<&str> = match config.get("extends") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // Of several, the last one has the last word.
    for specifier in extended.into_iter().rev() {
        let depth = depth.checked_sub(1).ok_or_else(too_many)?;
        if let Some(base) = extended_path(folder, specifier, file) {
            options.extend(read_one(&base, file, depth, left)?);
        } else if specifier.starts_with('.') {
            return Err(format!("extends {specifier:?}, which is not there"));
        }
        // What a package says is left out without it: those are for development, mostly.
    }
    Ok(options)
}

fn own_options(config: &Map<String, Value>, folder: &str) -> Result<CompilerOptions, String> {
    let Some(own) = config.get("compilerOptions") else {
        return Ok(CompilerOptions::default());
    };
    let mut options: CompilerOptions =
        serde_json::from_value(own.clone()).map_err(|error| error.to_string())?;
    if let Some(base_url) = own.get("baseUrl").and_then(Value::as_str) {
        let joined = join(folder, base_url);
        options.base_url = Some(joined.ok_or("has a baseUrl outside of the deployment")?);
    }
    if let Some(paths) = own.get("paths").and_then(Value::as_object) {
        if paths.len() > PATTERNS_MAX {
            return Err(format!("has more than {PATTERNS_MAX} paths"));
        }
        let targets = |value: &Value| -> Vec<String> {
            let targets = value.as_array().into_iter().flatten();
            let targets = targets.filter_map(Value::as_str).take(PATTERNS_MAX);
            targets.map(str::to_owned).collect()
        };
        let paths = paths
            .iter()
            .map(|(name, value)| (name.clone(), targets(value)));
        options.paths = Some(paths.collect());
        options.paths_base = Some(folder.to_owned());
    }
    Ok(options)
}

fn extended_path(
    folder: &str,
    specifier: &str,
    file: &dyn Fn(&str) -> Option<Bytes>,
) -> Option<String> {
    let exists = |path: String| file(&path).map(|_| path);
    if specifier.starts_with('.') {
        let path = join(folder, specifier)?;
        return exists(path.clone()).or_else(|| exists(format!("{path}.json")));
    }
    let mut folder = folder;
    loop {
        let path = join(folder, &format!("node_modules/{specifier}"))?;
        let found = exists(path.clone())
            .or_else(|| exists(format!("{path}.json")))
            .or_else(|| exists(format!("{path}/tsconfig.json")));
        if found.is_some() || folder.is_empty() {
            return found;
        }
        folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
}

/// JSON without what `tsconfig.json` may have and JSON may not: comments, commas before a closing
/// bracket, a byte order mark. Lines stay where they are.
fn plain_json(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut plain = String::with_capacity(text.len());
    // Where the last comma stands, if only blanks came after it.
    let mut comma = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '"' => string_len(rest),
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                let end = rest[2..].find("*/").map_or(rest.len(), |at| at + 4);
                plain.extend(rest[..end].chars().filter(|c| *c == '\n'));
                rest = &rest[end..];
                continue;
            }
            c => c.len_utf8(),
        };
        match c {
            ',' => comma = Some(plain.len()),
            ']' | '}' => {
                if let Some(at) = comma.take() {
                    plain.replace_range(at..=at, " ");
                }
            }
            c if c.is_whitespace() => {}
            _ => comma = None,
        }
        plain.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    plain
}

/// Bytes of the string that a text begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn options(files: &[(&str, &str)]) -> Result<CompilerOptions, String> {
        let files: HashMap<&str, Bytes> = files
            .iter()
            .map(|(path, text)| (*path, Bytes::copy_from_slice(text.as_bytes())))
            .collect();
        read("a/tsconfig.json", &|path| files.get(path).cloned())
    }

    #[test]
    fn comments_and_trailing_commas_are_no_part_of_it() {
        let text =
            "\u{feff}{ // one\n /* two\n */ \"compilerOptions\": { \"jsx\": \"rea//ct\\\"\",\n
            \"paths\": { \"@/*\": [\"./src/*\",], }, },\n}";
        let options = options(&[("a/tsconfig.json", text)]).unwrap();
        assert_eq!(options.jsx.as_deref(), Some("rea//ct\""));
        let paths = vec![("@/*".to_owned(), vec!["./src/*".to_owned()])];
        assert_eq!(options.paths, Some(paths));
        assert_eq!(options.paths_base.as_deref(), Some("a"));
    }

    #[test]
    fn a_configuration_extends_others_and_has_the_last_word() {
        let own = r#"{"extends": ["@x/base", "../b/one"], "compilerOptions": {"strict": true}}"#;
        let one =
            r#"{"extends": "./two.json", "compilerOptions": {"strict": false, "jsx": "react"}}"#;
        let two = r#"{"compilerOptions": {"jsx": "no", "target": "ES2020", "baseUrl": "."}}"#;
        let base = r#"{"compilerOptions": {"jsx": "no", "jsxFactory": "h"}}"#;
        let options = options(&[
            ("a/tsconfig.json", own),
            ("b/one.json", one),
            ("b/two.json", two),
            ("node_modules/@x/base/tsconfig.json", base),
        ])
        .unwrap();
        assert_eq!(options.strict, Some(true));
        assert_eq!(options.jsx.as_deref(), Some("react"));
        assert_eq!(options.jsx_factory.as_deref(), Some("h"));
        assert_eq!(options.base_url.as_deref(), Some("b"));
        assert!(!options.define_fields());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let circle = r#"{"extends": "./tsconfig.json"}"#;
        for text in [
            circle,
            "{",
            "[]",
            r#"{"extends": "./none"}"#,
            r#"{"compilerOptions": 1}"#,
        ] {
            assert!(options(&[("a/tsconfig.json", text)]).is_err(), "{text}");
        }
        let many = r#"{"extends": ["./tsconfig.json", "./tsconfig.json"]}"#;
        assert!(options(&[("a/tsconfig.json", many)]).is_err());
        let outside = r#"{"compilerOptions": {"baseUrl": "../../.."}}"#;
        assert!(options(&[("a/tsconfig.json", outside)]).is_err());
        assert_eq!(
            options(&[("a/tsconfig.json", "{}")]),
            Ok(CompilerOptions::default())
        );
    }

    #[test]
    fn fields_are_defined_as_the_target_says() {
        for (target, defined) in [
            ("ES2022", true),
            ("esnext", true),
            ("es6", false),
            ("ES2021", false),
        ] {
            let options = CompilerOptions {
                target: Some(target.into()),
                ..CompilerOptions::default()
            };
            assert_eq!(options.define_fields(), defined, "{target}");
        }
        assert!(CompilerOptions::default().define_fields());
    }
}
