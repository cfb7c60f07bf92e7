//! Finding and reading `ampoule.toml`. Nothing that is not understood is passed over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::super::deploy::read_text;
use super::{CLIENT, FILE_ENV, Files, KEYS, Key, SERVER, Setting};

/// Its name, wherever it is.
const NAME: &str = "ampoule.toml";
/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

type Section = BTreeMap<Spanned<String>, Spanned<toml::Value>>;
type Sections = BTreeMap<Spanned<String>, Section>;

/// Reads the files that there are for whoever is in the folder `here`.
pub(super) fn load(env: &dyn Fn(&str) -> Option<OsString>, here: &Path) -> Result<Files, String> {
    let mut files = Files::default();
    if let Some(named) = env(FILE_ENV) {
        if !named.is_empty() {
            read(&mut files, &here.join(named), false)?;
        }
        return Ok(files);
    }
    let mut upwards = here.ancestors().map(|folder| folder.join(NAME));
    let found = upwards.find(|path| path.is_file());
    if let Some(path) = &found {
        read(&mut files, path, true)?;
    }
    let own = user_file(env).filter(|own| own.is_file());
    if let Some(own) = own.filter(|own| found.as_ref() != Some(own)) {
        read(&mut files, &own, false)?;
    }
    Ok(files)
}

/// The user's own, by the XDG base directory specification.
fn user_file(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        env(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Some(folder?.join("ampoule").join(NAME))
}

fn read(files: &mut Files, path: &Path, is_found: bool) -> Result<(), String> {
    let text = read_text(path, FILE_BYTES_MAX)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let file: Arc<Path> = path.into();
    for (key, text, line) in parse(&text, path)? {
        files.settings.push(Setting {
            key,
            text,
            file: Arc::clone(&file),
            line,
            is_found,
        });
    }
    files.read.push(file);
    Ok(())
}

/// The settings of a file's text, each with its line.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<(&'static Key, String, usize)>, String> {
    let line_at = |at: usize| {
        1 + text.as_bytes()[..at.min(text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    };
    let refuse = |at: usize, what: String| format!("{}:{}: {what}", path.display(), line_at(at));
    let sections: Sections = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        refuse(at, error.message().to_owned())
    })?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut found = Vec::new();
    for (section, settings) in sections {
        if ![SERVER, CLIENT].contains(&section.get_ref().as_str()) {
            let what = format!(
                "there is no section [{}]: {SERVER}, {CLIENT}",
                section.get_ref()
            );
            return Err(refuse(section.span().start, what));
        }
        let section = section.into_inner();
        for (name, value) in settings {
            let Some(key) = Key::find(&section, name.get_ref()) else {
                let what = format!(
                    "there is no {:?} in [{section}]: {}",
                    name.get_ref(),
                    known(&section)
                );
                return Err(refuse(name.span().start, what));
            };
            let text = key.read(value.get_ref(), folder).map_err(|why| {
                refuse(value.span().start, format!("{section}.{}: {why}", key.name))
            })?;
            found.push((key, text, line_at(name.span().start)));
        }
    }
    Ok(found)
}

fn known(section: &str) -> String {
    let names = KEYS.iter().filter(|key| key.section == section);
    names.map(|key| key.name).collect::<Vec<_>>().join(", ")
}
