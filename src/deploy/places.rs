//! Places in code that was generated, as places in what its author wrote.
//!
//! Sandboxes know the code that they run; their stacks, errors and logs name it as
//! `/app/file:line:column`. Here such places are looked up in source maps: our own, for what was
//! transformed, and those that a deployment brings, named by `//# sourceMappingURL=`.
//! What a stack says is the function's to choose, so nothing that is read here depends on it but
//! which of the deployment's own maps are asked.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::DeploymentId;
use crate::limits::PATH_BYTES_MAX;
use crate::transform::join;
use crate::transform::map::{MAP_BYTES_MAX, Place, SourceMap};

/// Where sandboxes have a deployment's files.
const ROOT: &str = "/app/";
/// Most bytes of maps that are kept for the next time, of all deployments.
const CACHE_BYTES_MAX: usize = 64 << 20;
/// Most files that are known to have a map or none.
const CACHE_FILES_MAX: usize = 20_000;
/// What a file without a map counts for.
const ENTRY_BYTES: usize = 100;
/// Most files whose maps one invocation asks for.
const FILES_MAX: usize = 16;
/// Most places of one invocation's texts that are looked up.
pub const PLACES_MAX: usize = 1000;
/// How far from its end a file may name its map.
const TAIL_BYTES: u64 = 4096;
/// What names a map.
const MARKS: [&str; 2] = ["//# sourceMappingURL=", "//@ sourceMappingURL="];

/// The maps of all deployments, read when they are first asked for. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    shared: Arc<Shared>,
}

struct Shared {
    files: PathBuf,
    maps: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    maps: HashMap<(DeploymentId, String), Option<Arc<SourceMap>>>,
    bytes: usize,
}

impl Places {
    /// `files`: the folder that holds a folder of files for each deployment; `maps`: the same for
    /// the maps of files that were transformed.
    pub(super) fn new(files: PathBuf, maps: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                files,
                maps,
                cache: Mutex::default(),
            }),
        }
    }

    /// The files that these texts name and whose maps were not read yet; a few of them.
    pub fn unread<'a>(
        &self,
        id: DeploymentId,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<String> {
        let mut unread = BTreeSet::new();
        for found in texts.into_iter().flat_map(places).take(PLACES_MAX) {
            if unread.len() < FILES_MAX && self.cached(id, found.file).is_none() {
                unread.insert(found.file.to_owned());
            }
        }
        unread
    }

    /// Reads the maps of these files, for [`Places::translate`].
    pub async fn read(&self, id: DeploymentId, files: BTreeSet<String>) {
        if files.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            for path in files {
                let map = shared.read(id, &path).map(Arc::new);
                shared.keep(id, path, map);
            }
        });
        if read.await.is_err() {
            tracing::error!(deployment = %id, "reading source maps panicked");
        }
    }

    /// The text with every place that a map which was read knows better; `None` if there is none.
    /// `left`: how many places may still be looked up, at first [`PLACES_MAX`].
    pub fn translate(&self, id: DeploymentId, text: &str, left: &mut usize) -> Option<String> {
        let mut translated = String::new();
        let mut end = 0;
        for found in places(text).take(*left) {
            *left -= 1;
            let Some(place) = self.place(id, &found) else {
                continue;
            };
            translated.push_str(&text[end..found.range.start]);
            translated.push_str(&format!("{ROOT}{}", shown(&place)));
            end = found.range.end;
        }
        if end == 0 {
            return None;
        }
        translated.push_str(&text[end..]);
        Some(translated)
    }

    /// `file:line:column` of a place that is written without the sandbox's folder.
    pub fn translate_place(&self, id: DeploymentId, place: &str) -> Option<String> {
        let text = format!("{ROOT}{place}");
        let found = places(&text).next()?;
        if found.range != (0..text.len()) {
            return None;
        }
        Some(shown(&self.place(id, &found)?))
    }

    /// Forgets what was read of a deployment that is no more.
    pub(super) fn forget(&self, id: &DeploymentId) {
        let cache = self.shared.cache.lock();
        let mut cache = cache.unwrap_or_else(PoisonError::into_inner);
        cache.maps.retain(|(of, _), _| of != id);
        cache.bytes = cache.maps.values().map(weight).sum();
    }

    fn place(&self, id: DeploymentId, found: &Found<'_>) -> Option<Place> {
        let map = self.cached(id, found.file)??;
        map.lookup(found.line, found.column)
    }

    fn cached(&self, id: DeploymentId, path: &str) -> Option<Option<Arc<SourceMap>>> {
        let cache = self.shared.cache.lock();
        let cache = cache.unwrap_or_else(PoisonError::into_inner);
        cache.maps.get(&(id, path.to_owned())).cloned()
    }
}

fn shown(place: &Place) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn weight(map: &Option<Arc<SourceMap>>) -> usize {
    ENTRY_BYTES + map.as_ref().map_or(0, |map| map.bytes())
}

impl Shared {
    fn keep(&self, id: DeploymentId, path: String, map: Option<Arc<SourceMap>>) {
        let cache = self.cache.lock();
        let mut cache = cache.unwrap_or_else(PoisonError::into_inner);
        let bytes = weight(&map);
        if cache.bytes + bytes > CACHE_BYTES_MAX || cache.maps.len() >= CACHE_FILES_MAX {
            cache.maps.clear();
            cache.bytes = 0;
        }
        cache.bytes += bytes;
        if let Some(earlier) = cache.maps.insert((id, path), map) {
            cache.bytes = cache.bytes.saturating_sub(weight(&earlier));
        }
    }

    /// The map of a file, whoever made it. Blocks.
    fn read(&self, id: DeploymentId, path: &str) -> Option<SourceMap> {
        if !is_normal(path) {
            return None;
        }
        let ours = self.maps.join(id.to_string()).join(path);
        if let Some(json) = read_bounded(&ours) {
            return SourceMap::parse(&json, path);
        }
        let folder = self.files.join(id.to_string());
        let url = mapping_url(&folder.join(path))?;
        if let Some(data) = url.strip_prefix("data:") {
            return SourceMap::parse(&decode(data)?, path);
        }
        if url.contains("://") {
            return None;
        }
        let name = percent_encoding::percent_decode_str(&url)
            .decode_utf8()
            .ok()?;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let map_path = join(parent, &name).filter(|path| is_normal(path))?;
        let json = read_bounded(&folder.join(&map_path))?;
        SourceMap::parse(&json, &map_path)
    }
}

/// A place that a text names.
#[derive(Debug, PartialEq, Eq)]
struct Found<'a> {
    range: Range<usize>,
    file: &'a str,
    line: u32,
    column: u32,
}

/// Every `/app/file:line:column` of a text, in one pass over it.
fn places(text: &str) -> impl Iterator<Item = Found<'_>> {
    let bytes = text.as_bytes();
    let (mut at, mut start) = (0, None);
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let here = at;
            at += 1;
            match bytes[here] {
                b'\n' | b'\r' => start = None,
                // A folder of that name may be part of a path.
                b'/' if bytes[here..].starts_with(ROOT.as_bytes())
                    && (start.is_none() || !is_in_word(bytes, here)) =>
                {
                    start = Some(here);
                }
                b':' => {
                    let begun = start.filter(|start| here - start <= ROOT.len() + PATH_BYTES_MAX);
                    let found = begun.and_then(|start| place_at(text, start, here));
                    if let Some(found) = found {
                        at = found.range.end;
                        start = None;
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        None
    })
}

fn is_in_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || b"_-.".contains(b))
}

/// The place whose path begins at `start` and ends before the colon.
fn place_at(text: &str, start: usize, colon: usize) -> Option<Found<'_>> {
    let (line, after) = number(&text[colon + 1..])?;
    let (column, after) = after.strip_prefix(':').and_then(number)?;
    Some(Found {
        range: start..text.len() - after.len(),
        file: text.get(start + ROOT.len()..colon)?,
        line,
        column,
    })
}

/// The number that a text begins with, and what comes after it.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Whether a path can be one of a deployment's files.
fn is_normal(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    path.len() <= PATH_BYTES_MAX
        && !path.chars().any(char::is_control)
        && path.split('/').all(is_part)
}

fn read_bounded(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let size = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    if size > MAP_BYTES_MAX as u64 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What a file says that its map is, in its last line.
fn mapping_url(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut tail = tail(&mut file, size, TAIL_BYTES)?;
    let mark = |text: &str| {
        MARKS
            .iter()
            .filter_map(|mark| Some(text.rfind(mark)? + mark.len()))
            .max()
    };
    if mark(&tail).is_none() {
        // An inline map is one long line, whose mark is somewhere before the tail.
        let inline_max = (MAP_BYTES_MAX as u64).saturating_mul(3) / 2;
        tail = self::tail(&mut file, size, inline_max)?;
    }
    let url = &tail[mark(&tail)?..];
    let url = url.lines().next().unwrap_or_default().trim();
    Some(url.to_owned()).filter(|url| !url.is_empty())
}

fn tail(file: &mut File, size: u64, bytes: u64) -> Option<String> {
    file.seek(SeekFrom::Start(size.saturating_sub(bytes)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail).ok()?;
    Some(String::from_utf8_lossy(&tail).into_owned())
}

/// The content of a `data:` URL.
fn decode(data: &str) -> Option<Vec<u8>> {
    let (kind, content) = data.split_once(',')?;
    if kind.ends_with(";base64") {
        return from_base64(content);
    }
    Some(percent_encoding::percent_decode_str(content).collect())
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
