//! The rules of this repository that a compiler does not know: who may import whom, where a
//! foreign crate may be used, how long things may be, and that what is documented exists.
//!
//! Everything here works on the text of the files. A rule that is in the way is changed here,
//! in the same commit as the code that needs it, and never worked around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that every other one may import. They import each other only.
const LEAVES: &[&str] = &[
    "clock",
    "config",
    "error",
    "heap",
    "id",
    "kind",
    "limits",
    "policies",
    "secret",
    "metrics",
    "redact",
    "search",
    "telemetry",
    "trace",
];

/// Which modules a module may import, besides itself and the leaves. Imports point down.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("cli", &["app", "deploy", "server", "store"]), // `serve` and `dev` put a server together
    ("server", &["app", "http"]),
    // Never sandbox or host.
    (
        "http",
        &[
            "app",
            "binding",
            "deploy",
            "dispatch",
            "network",
            "outbound",
            "schedules",
            "store",
            "workspaces",
        ],
    ),
    (
        "app",
        &[
            "binding",
            "deploy",
            "dispatch",
            "network",
            "outbound",
            "sandbox",
            "schedules",
            "store",
            "workspaces",
        ],
    ),
    (
        "workspaces",
        &["deploy", "dispatch", "host", "store", "transform"],
    ),
    (
        "dispatch",
        &["binding", "deploy", "host", "outbound", "sandbox", "store"],
    ),
    ("deploy", &["host", "sandbox", "store", "transform"]),
    ("schedules", &["deploy", "dispatch", "store", "workspaces"]),
    ("sandbox", &["host"]), // never store: state comes in as grants
    ("host", &["binding", "outbound", "store"]),
    ("binding", &["outbound", "store"]),
    ("network", &["outbound", "store"]),
    ("outbound", &[]),
    ("store", &[]),
    ("transform", &[]), // sources are hostile: it knows of nothing
];

/// The modules that know a foreign crate; everywhere else it does not exist.
const HOMES: &[(&str, &[&str])] = &[
    ("aho_corasick", &["redact"]),
    ("async_compression", &["outbound"]),
    ("axum", &["http", "server"]),
    ("chrono_tz", &["schedules"]),
    ("clap", &["cli"]),
    ("croner", &["schedules"]),
    ("flate2", &["cli", "deploy"]),
    ("hyper", &["outbound", "server"]),
    ("hyper_util", &["outbound", "server"]),
    ("indicatif", &["cli"]),
    ("jsonschema", &["binding"]),
    ("notify", &["cli"]),
    ("opentelemetry", &["trace"]),
    ("opentelemetry_otlp", &["trace"]),
    ("opentelemetry_sdk", &["trace"]),
    ("oxc_ast", &["transform"]),
    ("oxc_parser", &["transform"]),
    ("oxc_transformer", &["transform"]),
    ("prometheus_client", &["metrics"]),
    ("rand", &["clock", "id"]),
    ("redb", &["store"]),
    ("reqwest", &["cli"]),
    ("ring", &["secret"]),
    ("rustls", &["outbound"]),
    ("tar", &["cli", "deploy"]),
    ("tokio_tungstenite", &["outbound"]),
    ("wasm_encoder", &["sandbox"]),
    ("wasmparser", &["sandbox"]),
    ("wasmtime", &["host", "sandbox"]),
    ("wasmtime_wasi", &["host", "sandbox"]),
    ("zip", &["deploy"]),
];

/// Modules that talk to a terminal. All others log.
const MAY_PRINT: &[&str] = &["cli", "main"];

/// Longest line, in characters; what is inside of a string does not count.
const LINE_CHARS_MAX: usize = 100;

/// Longest function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// The same for tests, whose fixtures stand in them.
const TEST_LINES_MAX: usize = 100;

/// Longest file without tests. Beyond it, ask: which two things is this?
const FILE_LINES_MAX: usize = 700;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Sections that every page on an error code has.
const PAGE_SECTIONS: &[&str] = &[
    "**Who has to act:**",
    "## Example",
    "## What to do",
    "## Limit",
];

/// The statuses that problems are answered with.
const STATUSES: &[(&str, u16)] = &[
    ("BAD_REQUEST", 400),
    ("UNAUTHORIZED", 401),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("REQUEST_TIMEOUT", 408),
    ("CONFLICT", 409),
    ("PRECONDITION_FAILED", 412),
    ("PAYLOAD_TOO_LARGE", 413),
    ("UNPROCESSABLE_ENTITY", 422),
    ("TOO_MANY_REQUESTS", 429),
    ("REQUEST_HEADER_FIELDS_TOO_LARGE", 431),
    ("INTERNAL_SERVER_ERROR", 500),
    ("NOT_IMPLEMENTED", 501),
    ("BAD_GATEWAY", 502),
    ("SERVICE_UNAVAILABLE", 503),
    ("GATEWAY_TIMEOUT", 504),
    ("INSUFFICIENT_STORAGE", 507),
];

#[test]
fn imports_point_down() {
    let mut faults = Vec::new();
    let mut modules = BTreeSet::new();
    for file in sources("src").iter().filter(|file| !file.is_root()) {
        let module = file.module();
        modules.insert(module.to_owned());
        let row = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let allowed: &[&str] = row.map_or(&[], |(_, allowed)| allowed);
        if row.is_none() && !LEAVES.contains(&module) {
            faults.push(format!("{}: no row in MAY_IMPORT", file.path));
        }
        // Tests put together what they need.
        if file.is_test {
            continue;
        }
        for imported in crate_imports(file.production_code()) {
            let mut known = allowed.iter().chain(LEAVES);
            if imported != module && !known.any(|known| *known == imported) {
                faults.push(format!("{}: {module} may not import {imported}", file.path));
            }
        }
    }
    let rows = MAY_IMPORT.iter().map(|(name, _)| name);
    for row in rows.chain(LEAVES) {
        if !modules.contains(*row) {
            faults.push(format!("there is no module {row} any more"));
        }
    }
    report(faults);
}

#[test]
fn a_foreign_crate_has_one_home() {
    let mut faults = Vec::new();
    for file in sources("src").iter().filter(|file| !file.is_test) {
        for (name, homes) in HOMES {
            if !homes.contains(&file.module()) && uses_crate(file.production_code(), name) {
                faults.push(format!(
                    "{}: {name} belongs to {}",
                    file.path,
                    homes.join(", ")
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn only_the_command_line_prints() {
    let mut faults = Vec::new();
    for file in sources("src").iter().filter(|file| !file.is_test) {
        let may_print = MAY_PRINT.contains(&file.module());
        for (number, line) in (1..).zip(file.production_code().lines()) {
            let prints = ["print!(", "println!(", "eprint!(", "eprintln!("];
            if !may_print && prints.iter().any(|call| line.contains(call)) {
                faults.push(format!(
                    "{}:{number}: log it instead of printing it",
                    file.path
                ));
            }
            if file.path != "src/main.rs" && line.contains("process::exit") {
                faults.push(format!(
                    "{}:{number}: only main ends the process",
                    file.path
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn nothing_is_too_long() {
    let mut faults = Vec::new();
    for file in all_rust() {
        for (number, line) in (1..).zip(file.code.lines()) {
            if line.chars().count() > LINE_CHARS_MAX {
                let place = format!("{}:{number}", file.path);
                faults.push(format!("{place}: longer than {LINE_CHARS_MAX} characters"));
            }
        }
        for (number, name, lines) in functions(&file.code) {
            let max = if file.is_test {
                TEST_LINES_MAX
            } else {
                FUNCTION_LINES_MAX
            };
            if lines > max {
                faults.push(format!("{}:{number}: {name} has {lines} lines", file.path));
            }
        }
        let lines = file.production_code().lines().count();
        let may_be_long = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if lines > FILE_LINES_MAX && !may_be_long && !file.is_test {
            faults.push(format!("{}: {lines} lines", file.path));
        }
    }
    report(faults);
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    let mut faults = Vec::new();
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("HA", "CK"),
    ];
    for path in files("", &["rs", "js", "mjs", "wit", "sh", "toml", "md"]) {
        for (number, line) in (1..).zip(read(&path).lines()) {
            for word in words {
                let found = is_word(line, word);
                if found && !line.contains(&format!("{word}(#")) {
                    faults.push(format!("{path}:{number}: write {word}(#ISSUE)"));
                }
            }
        }
    }
    report(faults);
}

#[test]
fn every_error_code_has_its_page() {
    let mut faults = Vec::new();
    let codes = error_codes();
    let statuses = error_statuses();
    let served = read("src/http/ops.rs");
    for code in &codes {
        let path = format!("docs/errors/{}.md", code.name);
        if !served
            .lines()
            .any(|line| line.trim() == format!("{},", code.name))
        {
            faults.push(format!("src/http/ops.rs does not serve {path}"));
        }
        let Ok(page) = fs::read_to_string(root().join(&path)) else {
            faults.push(format!("{path} is missing"));
            continue;
        };
        let status = statuses.get(&code.variant).copied().unwrap_or_default();
        let facts = format!("{}. Status {status}, origin `{}`.", code.title, code.origin);
        let begin = format!("# {}\n\n{facts}\n", code.name);
        if !page.starts_with(&begin) {
            faults.push(format!("{path} does not begin with {begin:?}"));
        }
        for section in PAGE_SECTIONS {
            if !page.contains(section) {
                faults.push(format!("{path} has no {section:?}"));
            }
        }
    }
    for path in files("docs/errors", &["md"]) {
        let name = path
            .trim_start_matches("docs/errors/")
            .trim_end_matches(".md");
        if !codes.iter().any(|code| code.name == name) {
            faults.push(format!("{path} is about a code that does not exist"));
        }
    }
    report(faults);
}

#[test]
fn what_is_referred_to_exists() {
    let mut faults = Vec::new();
    let decisions: BTreeSet<String> = files("docs/adr", &["md"])
        .iter()
        .filter_map(|path| {
            path.trim_start_matches("docs/adr/")
                .get(..4)
                .map(str::to_owned)
        })
        .collect();
    for path in files("", &["rs", "js", "mjs", "wit", "sh", "toml", "md"]) {
        // What was decided or changed at some time is not kept up to date.
        let is_history = path.starts_with("docs/adr/") || path == "CHANGELOG.md";
        let is_page = path.ends_with(".md");
        for (number, line) in (1..).zip(read(&path).lines()) {
            for mentioned in mentioned_paths(line, is_page).filter(|_| !is_history) {
                if !root().join(mentioned).exists() {
                    faults.push(format!("{path}:{number}: there is no {mentioned}"));
                }
            }
            for decision in mentioned_decisions(line) {
                if !decisions.contains(decision) {
                    faults.push(format!("{path}:{number}: there is no ADR {decision}"));
                }
            }
        }
    }
    report(faults);
}

/// Fails with all faults at once: they are mended in one go.
fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Rust source file.
struct Source {
    /// From the top folder.
    path: String,
    /// Its text with blanks in place of comments and of what is inside of strings.
    code: String,
    /// Whether all of it is for tests only.
    is_test: bool,
}

impl Source {
    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        let inside = self.path.split('/').nth(1).unwrap_or_default();
        inside.trim_end_matches(".rs")
    }

    /// Whether it is `main.rs` or `lib.rs`, which put everything together.
    fn is_root(&self) -> bool {
        matches!(self.module(), "main" | "lib")
    }

    /// Without a module of tests at its end.
    fn production_code(&self) -> &str {
        let end = self.code.find("#[cfg(test)]\nmod tests {");
        &self.code[..end.unwrap_or(self.code.len())]
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = files(folder, &["rs"])
        .into_iter()
        .map(|path| Source {
            code: without_text(&read(&path)),
            is_test: path.starts_with("tests/"),
            path,
        })
        .collect();
    let test_modules: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        source.is_test |= stem.ends_with("tests");
        source.is_test |= test_modules.iter().any(|module| {
            let below = stem.strip_prefix(module.as_str());
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        });
    }
    sources
}

/// The modules that a file declares for tests only, as paths without `.rs`.
fn test_modules(source: &Source) -> Vec<String> {
    const DECLARED: &str = "#[cfg(test)]\nmod ";
    let stem = source.path.trim_end_matches(".rs");
    let (folder, name) = stem.rsplit_once('/').unwrap_or_default();
    let folder = if matches!(name, "mod" | "lib" | "main") {
        folder
    } else {
        stem
    };
    let declared = source.code.match_indices(DECLARED);
    let names = declared.map(|(at, _)| name_at(&source.code[at + DECLARED.len()..]));
    names.map(|name| format!("{folder}/{name}")).collect()
}

fn all_rust() -> Vec<Source> {
    let found = sources("");
    assert!(
        found.len() > 20,
        "only {} Rust files were found",
        found.len()
    );
    found
}

/// Files below a folder whose names end in one of these, from the top folder, sorted. What is
/// built or fetched is left out.
fn files(folder: &str, ends: &[&str]) -> Vec<String> {
    const LEFT_OUT: &[&str] = &[
        "target",
        "node_modules",
        "dist",
        "data",
        "fixtures",
        "samples",
    ];
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of the repository can be read");
        for entry in entries {
            let entry = entry.expect("a folder of the repository can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if path.is_dir() {
                if !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if ends.iter().any(|end| name.ends_with(&format!(".{end}"))) {
                let inside = path.strip_prefix(root()).expect("it was found there");
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Rust source with blanks in place of comments and of what is inside of strings, so that lines
/// stay what they were. Strings keep their quotes, and take no room in a line.
fn without_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (taken, kept) = match text_at(rest, code.chars().next_back()) {
            Some((taken, is_string)) => (taken, if is_string { "\"\"" } else { "" }),
            None => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        code.push_str(kept);
        if kept.len() != taken || !kept.starts_with('\n') {
            let lines = rest[..taken].matches('\n').count();
            code.extend(std::iter::repeat_n('\n', lines));
        }
        rest = &rest[taken..];
    }
    code
}

/// The length of the comment, string or character at the beginning of `rest`, if there is one,
/// and whether it is a string.
fn text_at(rest: &str, before: Option<char>) -> Option<(usize, bool)> {
    if rest.starts_with("//") {
        return Some((rest.find('\n').unwrap_or(rest.len()), false));
    }
    if rest.starts_with("/*") {
        return Some((rest.find("*/").map_or(rest.len(), |end| end + 2), false));
    }
    let is_inside_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !is_inside_name) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let closing = format!("\"{}", "#".repeat(hashes));
            let start = 1 + hashes + 1;
            let end = rest[start..].find(&closing);
            return Some((
                end.map_or(rest.len(), |end| start + end + closing.len()),
                true,
            ));
        }
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return Some((end.map_or(rest.len(), |end| end + 2), true));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // A lifetime has no closing quote.
        let mut characters = inside.char_indices();
        let (_, first) = characters.next()?;
        let from = if first == '\\' { 2 } else { first.len_utf8() };
        let end = inside.get(from..)?.find('\'')?;
        if first == '\\' || end == 0 {
            return Some((1 + from + end + 1, true));
        }
    }
    None
}

/// The modules that `crate::…` paths name, also in groups.
fn crate_imports(code: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let is_macro = code[..at].ends_with('$');
        let rest = &code[at + path.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(group_members(group));
        } else if !is_macro {
            found.insert(name_at(rest));
        }
    }
    found
}

/// The first names in a group, up to its closing brace.
fn group_members(group: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                members.push(name_at(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    members
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether a path begins with this crate.
fn uses_crate(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = code[..at].strip_suffix("::").unwrap_or(&code[..at]);
        let continues_path = before.len() < at && ends_in_name(before);
        !continues_path && !ends_in_name(&code[..at]) && !code[..at].ends_with('$')
    })
}

fn ends_in_name(text: &str) -> bool {
    text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '>'))
}

fn is_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        !ends_in_name(&line[..at]) && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// Line, name and number of lines of every function with a body of more than one line. It relies
/// on rustfmt: the closing brace stands below the line that the function begins with.
fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, name)) = line.split_once("fn ") else {
            continue;
        };
        let is_item = before.split_whitespace().all(|word| {
            matches!(word, "pub" | "async" | "const" | "unsafe" | "extern")
                || word.starts_with("pub(")
        });
        if !is_item {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let ends_here = line.trim_end().ends_with(['}', ';']);
        let mut rest = lines[at..].iter();
        if let Some(length) = rest.position(|line| line.trim_end() == closing)
            && !ends_here
        {
            found.push((at + 1, name_at(name).to_owned(), length + 1));
        }
    }
    found
}

/// One row of the table in `src/error.rs`.
struct ErrorCode {
    variant: String,
    name: String,
    origin: String,
    title: String,
}

fn error_codes() -> Vec<ErrorCode> {
    let text = read("src/error.rs");
    let (_, table) = text.split_once("\ncodes! {").expect("the table begins so");
    let (table, _) = table.split_once("\n}\n").expect("the table ends so");
    let rows = table.lines().map(str::trim);
    let rows = rows.filter(|row| !row.is_empty() && !row.starts_with("//"));
    let codes: Vec<_> = rows.map(|row| error_code(row).expect(row)).collect();
    assert!(codes.len() >= 40, "only {} codes were found", codes.len());
    codes
}

/// Reads `Variant = "name", Origin, "Title";`.
fn error_code(row: &str) -> Option<ErrorCode> {
    let (variant, rest) = row.split_once('=')?;
    let mut quoted = rest.split('"');
    let name = quoted.nth(1)?;
    let origin = quoted.next()?.trim_matches([',', ' ']);
    let title = quoted.next()?;
    Some(ErrorCode {
        variant: variant.trim().to_owned(),
        name: name.to_owned(),
        origin: origin.to_lowercase(),
        title: title.to_owned(),
    })
}

/// The status of each variant, from the one table in `src/http/problem.rs`.
fn error_statuses() -> BTreeMap<String, u16> {
    let code = without_text(&read("src/http/problem.rs"));
    let (_, table) = code
        .split_once("fn status_of(")
        .expect("the table begins so");
    let (table, _) = table.split_once("\n}\n").expect("the table ends so");
    let mut statuses = BTreeMap::new();
    let mut waiting = Vec::new();
    let words = table.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':'));
    for word in words {
        if let Some(variant) = word.strip_prefix("Code::") {
            waiting.push(variant.to_owned());
        } else if let Some(name) = word.strip_prefix("StatusCode::") {
            let status = STATUSES.iter().find(|(known, _)| *known == name);
            let (_, status) = status.expect(name);
            statuses.extend(waiting.drain(..).map(|variant| (variant, *status)));
        }
    }
    statuses
}

/// Paths of this repository that a line names: in pages those in backquotes, elsewhere those of
/// pages. Patterns and examples are passed over.
fn mentioned_paths(line: &str, is_page: bool) -> impl Iterator<Item = &str> {
    const FOLDERS: &[&str] = &[
        "src/",
        "guest/",
        "wit/",
        "tests/",
        "benches/",
        "docs/",
        "xtask/",
        "examples/",
        ".ci/",
    ];
    const PATTERNS: &[char] = &['*', '<', '{', '…', '$', '(', 'N', '%'];
    let between: &[char] = if is_page {
        &['`']
    } else {
        &[' ', '`', '"', '(', ')', ',', ';']
    };
    let words = line.split(between).enumerate();
    let words = words
        .filter(move |(at, _)| !is_page || at % 2 == 1)
        .map(|(_, word)| word);
    let paths = words.map(|word| word.trim_end_matches(['.', ':']));
    paths.filter(move |path| {
        FOLDERS.iter().any(|folder| path.starts_with(folder))
            && !path.contains(PATTERNS)
            && !path.contains(char::is_whitespace)
            && (is_page || path.starts_with("docs/") && path.ends_with(".md"))
    })
}

/// Numbers of decisions that a line names as `ADR NNNN`.
fn mentioned_decisions(line: &str) -> impl Iterator<Item = &str> {
    let after = line.match_indices("ADR ").map(|(at, _)| &line[at + 4..]);
    let numbers = after.filter_map(|text| text.get(..4));
    numbers.filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

#[test]
fn text_is_told_from_code() {
    for (source, code) in [
        ("let a = 1; // crate::http", "let a = 1; "),
        ("a /* b\nc */ d", "a \n d"),
        ("f(\"crate::http\", 2)", "f(\"\", 2)"),
        ("f(\"a\\\"b\", 2)", "f(\"\", 2)"),
        ("f(r#\"a\"b\"#, 2)", "f(\"\", 2)"),
        (
            "f::<'a>('x', '\"', '\\'', b'\\n')",
            "f::<'a>(\"\", \"\", \"\", b\"\")",
        ),
        ("\"a\nb\" + c", "\"\"\n + c"),
        ("for r in s", "for r in s"),
    ] {
        assert_eq!(without_text(source), code, "{source}");
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let found = |code| crate_imports(code).into_iter().collect::<Vec<_>>();
    assert_eq!(found("use crate::http::Http;"), ["http"]);
    assert_eq!(
        found("use crate::{clock, store::{Kv, Logs}, id};"),
        ["clock", "id", "store"]
    );
    assert_eq!(found("fn f(x: crate::error::Error)"), ["error"]);
    assert_eq!(found("$crate::error::Code::Internal"), [""; 0]);
    assert!(uses_crate("use redb::Database;", "redb"));
    assert!(uses_crate("let x = ::redb::Database::open();", "redb"));
    assert!(!uses_crate(
        "use crate::redb::Database; my_redb::x()",
        "redb"
    ));
}

#[test]
fn functions_are_measured() {
    let code = "impl A {\n    pub(crate) async fn f(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n\n    \
        fn g() {}\n}\ntrait B {\n    fn h();\n}\n";
    assert_eq!(functions(code), [(2, "f".to_owned(), 5)]);
}
