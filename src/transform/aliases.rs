//! `paths` and `baseUrl` of a `tsconfig.json`: names that lead to files of the deployment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What an import without an extension may stand for, in this order.
const ENDS: [&str; 10] = [
    "", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json",
];
/// What an import with an extension of JavaScript stands for when there is no such file.
const SOURCES: [(&str, &[&str]); 4] = [
    (".js", &[".ts", ".tsx", ".jsx"]),
    (".jsx", &[".tsx"]),
    (".mjs", &[".mts"]),
    (".cjs", &[".cts"]),
];

/// Names that lead to files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aliases {
    /// The folder that targets are relative to; empty for the top one.
    pub base: String,
    /// Patterns with at most one `*`, and what they may stand for.
    pub patterns: Vec<(String, Vec<String>)>,
    /// Whether any other name may be a path below `base`: there is a `baseUrl`.
    pub is_base_url: bool,
}

impl Aliases {
    /// What a file has to import instead of `specifier`: a relative path to a file of the
    /// deployment. `None` leaves it as it is.
    pub(super) fn resolve(
        &self,
        specifier: &str,
        from: &str,
        files: &BTreeSet<String>,
    ) -> Option<String> {
        if specifier.starts_with(['.', '/']) || specifier.starts_with("node:") {
            return None;
        }
        let found = self.candidates(specifier).find_map(|path| {
            let path = join(&self.base, &path)?;
            find(&path, files)
        })?;
        Some(relative(from, &found))
    }

    fn candidates(&self, specifier: &str) -> impl Iterator<Item = String> {
        let best = self.best(specifier);
        let of_patterns = best
            .iter()
            .flat_map(|(targets, star)| targets.iter().map(|t| t.replacen('*', star, 1)))
            .collect::<Vec<_>>();
        let of_base = self.is_base_url.then(|| specifier.to_owned());
        of_patterns.into_iter().chain(of_base)
    }

    /// The targets of the pattern that fits best, and what its `*` stands for.
    fn best<'a>(&'a self, specifier: &'a str) -> Option<(&'a [String], &'a str)> {
        let exact = self.patterns.iter().find(|(name, _)| name == specifier);
        if let Some((_, targets)) = exact {
            return Some((targets, ""));
        }
        let fitting = self.patterns.iter().filter_map(|(pattern, targets)| {
            let (before, after) = pattern.split_once('*')?;
            let star = specifier.strip_prefix(before)?.strip_suffix(after)?;
            Some((before.len(), targets, star))
        });
        let (_, targets, star) = fitting.max_by_key(|(len, _, _)| *len)?;
        Some((targets, star))
    }
}

/// The file that an import of `path` means.
fn find(path: &str, files: &BTreeSet<String>) -> Option<String> {
    let exists = |path: String| files.contains(&path).then_some(path);
    if let Some(found) = ENDS.iter().find_map(|end| exists(format!("{path}{end}"))) {
        return Some(found);
    }
    for (end, sources) in SOURCES {
        if let Some(stem) = path.strip_suffix(end)
            && let Some(found) = sources
                .iter()
                .find_map(|end| exists(format!("{stem}{end}")))
        {
            return Some(found);
        }
    }
    let index = |end: &&str| exists(format!("{path}/index{end}"));
    ENDS[1..].iter().find_map(index)
}

/// `base` and `path` as one path below the top folder; `None` if it leads out of it.
pub fn join(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The path from one file to another.
fn relative(from: &str, to: &str) -> String {
    let folders: Vec<&str> = from.split('/').collect();
    let folders = &folders[..folders.len() - 1];
    let parts: Vec<&str> = to.split('/').collect();
    let common = folders
        .iter()
        .zip(&parts[..parts.len() - 1])
        .take_while(|(a, b)| a == b)
        .count();
    let up = folders.len() - common;
    let start = if up == 0 {
        "./".to_owned()
    } else {
        "../".repeat(up)
    };
    start + &parts[common..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(patterns: &[(&str, &str)], is_base_url: bool) -> Aliases {
        Aliases {
            base: "src".into(),
            patterns: patterns
                .iter()
                .map(|(name, target)| ((*name).to_owned(), vec![(*target).to_owned()]))
                .collect(),
            is_base_url,
        }
    }

    #[test]
    fn names_lead_to_files_by_the_pattern_that_fits_best() {
        let files = [
            "src/lib/a.ts",
            "src/lib/b/index.tsx",
            "other/c.mts",
            "src/d.json",
        ];
        let files: BTreeSet<String> = files.iter().map(|f| (*f).to_owned()).collect();
        let aliases = aliases(
            &[
                ("@/*", "./lib/*"),
                ("@/other/*", "../other/*"),
                ("one", "lib/a"),
            ],
            true,
        );
        let at = |name: &str| aliases.resolve(name, "src/deep/x.ts", &files);
        assert_eq!(at("@/a").as_deref(), Some("../lib/a.ts"));
        assert_eq!(at("@/a.js").as_deref(), Some("../lib/a.ts"));
        assert_eq!(at("@/b").as_deref(), Some("../lib/b/index.tsx"));
        assert_eq!(at("@/other/c.mjs").as_deref(), Some("../../other/c.mts"));
        assert_eq!(at("one").as_deref(), Some("../lib/a.ts"));
        assert_eq!(at("d.json").as_deref(), Some("../d.json"));
        assert_eq!(at("lib/a").as_deref(), Some("../lib/a.ts"));
        for unknown in [
            "react",
            "@/none",
            "./lib/a",
            "node:fs",
            "../../../../etc/passwd",
        ] {
            assert_eq!(at(unknown), None, "{unknown}");
        }
    }
}
