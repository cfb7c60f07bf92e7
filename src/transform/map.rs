//! Reading source maps: from a place in generated code to the author's.
//!
//! Maps are hostile: they come with a deployment. One is read in a single pass that keeps a
//! checkpoint every few kilobytes, and a lookup decodes from the nearest one on. Whatever is
//! wrong with a map, the answer is that there is none.
//!
//! Source: ECMA-426, Source map format specification; index maps (`sections`) are not read.

use serde::Deserialize;

/// Largest map that is read, in bytes of JSON; what a bundle of some megabytes comes with.
pub const MAP_BYTES_MAX: usize = 16 << 20;
/// Most bytes of a source's name.
const NAME_BYTES_MAX: usize = 512;
/// Most sources that are kept.
const SOURCES_MAX: usize = 20_000;
/// Bytes of mappings between two checkpoints.
const CHECKPOINT_BYTES: usize = 4096;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path in the deployment, or what the map calls it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A source map that can be asked.
#[derive(Debug)]
pub struct SourceMap {
    mappings: String,
    sources: Vec<String>,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    version: u32,
    mappings: String,
    sources: Vec<Option<String>>,
    #[serde(default)]
    source_root: Option<String>,
}

/// Where decoding can go on.
#[derive(Debug, Clone, Copy, Default)]
struct Checkpoint {
    offset: usize,
    state: State,
}

/// What the next segment is relative to; all counts are from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    generated_line: u32,
    generated_column: i64,
    source: i64,
    line: i64,
    column: i64,
    /// Whether the last segment named a source.
    is_mapped: bool,
}

impl SourceMap {
    /// Reads a map that belongs to the file at `path`, which its sources are relative to.
    pub fn parse(json: &[u8], path: &str) -> Option<Self> {
        if json.len() > MAP_BYTES_MAX {
            return None;
        }
        // A guard against inclusion in scripts, which the standard allows.
        let json = json.strip_prefix(b")]}'").unwrap_or(json);
        let json: Json = serde_json::from_slice(json).ok()?;
        if json.version != 3 || json.sources.len() > SOURCES_MAX {
            return None;
        }
        let root = json.source_root.unwrap_or_default();
        let sources = json.sources.iter();
        let sources = sources
            .map(|source| source_path(path, &root, source.as_deref().unwrap_or_default()))
            .collect();
        Self::new(json.mappings, sources)
    }

    /// A map of given mappings and sources.
    pub fn new(mappings: String, sources: Vec<String>) -> Option<Self> {
        let mut map = Self {
            mappings,
            sources,
            checkpoints: vec![Checkpoint::default()],
        };
        let mut checkpoints = Vec::new();
        let mut due = CHECKPOINT_BYTES;
        let mut decoder = Decoder::from(&map.mappings, Checkpoint::default());
        while decoder.advance()? {
            if decoder.offset >= due {
                due = decoder.offset + CHECKPOINT_BYTES;
                checkpoints.push(decoder.checkpoint());
            }
        }
        map.checkpoints.extend(checkpoints);
        Some(map)
    }

    /// How many bytes it keeps in memory.
    pub fn bytes(&self) -> usize {
        let sources: usize = self.sources.iter().map(|source| source.len() + 24).sum();
        self.mappings.len() + sources + self.checkpoints.len() * size_of::<Checkpoint>()
    }

    /// Where a place of the generated code, counted from 1, comes from. It is that of the nearest
    /// mapping before it on its line.
    pub fn lookup(&self, line: u32, column: u32) -> Option<Place> {
        let wanted = (line.checked_sub(1)?, i64::from(column.saturating_sub(1)));
        let at = |state: &State| (state.generated_line, state.generated_column);
        let after = self
            .checkpoints
            .partition_point(|checkpoint| at(&checkpoint.state) <= wanted);
        let checkpoint = *self.checkpoints.get(after.checked_sub(1)?)?;
        let mut decoder = Decoder::from(&self.mappings, checkpoint);
        let mut best = checkpoint.state;
        while decoder.advance()? {
            if at(&decoder.state) > wanted {
                // Before the first mapping of a line, the first one is nearest.
                let is_first = best.generated_line != wanted.0;
                if is_first && decoder.state.generated_line == wanted.0 {
                    best = decoder.state;
                }
                break;
            }
            best = decoder.state;
        }
        if best.generated_line != wanted.0 || !best.is_mapped {
            return None;
        }
        let count = |count: i64| u32::try_from(count).ok()?.checked_add(1);
        Some(Place {
            file: self
                .sources
                .get(usize::try_from(best.source).ok()?)?
                .clone(),
            line: count(best.line)?,
            column: count(best.column)?,
        })
    }
}

/// Reads segments one after the other.
struct Decoder<'a> {
    mappings: &'a [u8],
    offset: usize,
    state: State,
}

impl<'a> Decoder<'a> {
    fn from(mappings: &'a str, checkpoint: Checkpoint) -> Self {
        Self {
            mappings: mappings.as_bytes(),
            offset: checkpoint.offset,
            state: checkpoint.state,
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            offset: self.offset,
            state: self.state,
        }
    }

    /// Goes on by one segment; `Some(false)` at the end, `None` when the mappings are damaged.
    fn advance(&mut self) -> Option<bool> {
        loop {
            match self.mappings.get(self.offset) {
                None => return Some(false),
                Some(b';') => {
                    self.offset += 1;
                    self.state.generated_line = self.state.generated_line.checked_add(1)?;
                    self.state.generated_column = 0;
                    self.state.is_mapped = false;
                }
                Some(b',') => self.offset += 1,
                Some(_) => break,
            }
        }
        let state = &mut self.state;
        let mut fields = [0_i64; 5];
        let mut count = 0;
        while let Some(byte) = self.mappings.get(self.offset)
            && !matches!(byte, b';' | b',')
        {
            let field = fields.get_mut(count)?;
            *field = number(self.mappings, &mut self.offset)?;
            count += 1;
        }
        state.generated_column = state.generated_column.checked_add(fields[0])?;
        state.is_mapped = match count {
            1 => false,
            4 | 5 => {
                state.source = state.source.checked_add(fields[1])?;
                state.line = state.line.checked_add(fields[2])?;
                state.column = state.column.checked_add(fields[3])?;
                true
            }
            _ => return None,
        };
        let is_sane = state.generated_column >= 0
            && state.source >= 0
            && state.line >= 0
            && state.column >= 0;
        is_sane.then_some(true)
    }
}

/// A number in base 64 with variable length, its sign in the lowest bit.
fn number(mappings: &[u8], offset: &mut usize) -> Option<i64> {
    let (mut value, mut shift) = (0_i64, 0);
    loop {
        let digit = match *mappings.get(*offset)? {
            byte @ b'A'..=b'Z' => byte - b'A',
            byte @ b'a'..=b'z' => byte - b'a' + 26,
            byte @ b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        *offset += 1;
        if shift > 30 {
            return None;
        }
        value |= i64::from(digit & 31) << shift;
        shift += 5;
        if digit & 32 == 0 {
            break;
        }
    }
    let magnitude = value >> 1;
    Some(if value & 1 == 1 {
        -magnitude
    } else {
        magnitude
    })
}

/// What a source is called: its path in the deployment as far as that can be told, without
/// anything that could not stand in a line of a log.
fn source_path(map: &str, root: &str, source: &str) -> String {
    let joined = if root.is_empty() || source.contains("://") {
        source.to_owned()
    } else {
        format!("{}/{source}", root.trim_end_matches('/'))
    };
    let path = match joined.split_once("://") {
        Some((_, path)) => path,
        None => &joined,
    };
    let folder = match map.rsplit_once('/') {
        Some((folder, _)) if !joined.contains("://") && !path.starts_with('/') => folder,
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut name = parts.join("/");
    name.retain(|c| c.is_whitespace() || !(c.is_control() || matches!(c, '(' | ')')));
    let mut name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    if name.is_empty() {
        name.push_str("unknown");
    }
    name
}

#[cfg(test)]
mod tests;
