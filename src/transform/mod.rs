//! TypeScript and JSX: what becomes JavaScript when a function is deployed, and the way back from
//! a place in the JavaScript to the author's own line. And the bodies of a workspace's functions,
//! which are looked at before anything is put around them.
//!
//! Sources are hostile. [`process`] transforms them in a process of its own, with bounds on
//! processor time and memory, where a stack that overflows ends nothing but that process. It
//! never touches a file; which files are transformed, and how, `deploy` decides.

mod aliases;
mod body;
pub mod map;
pub mod process;
mod typescript;

use serde::{Deserialize, Serialize};

pub use self::aliases::{Aliases, join};
pub use self::body::{Body, BodyJob};

/// Largest file that is transformed, in bytes. The compiler of TypeScript itself, one of the
/// largest there are, has 3 MB.
pub const SOURCE_BYTES_MAX: usize = 4 << 20;
/// Most bytes of all files that one deployment has transformed.
pub const SOURCES_BYTES_MAX: usize = 32 << 20;
/// Most characters of a message.
const MESSAGE_CHARS_MAX: usize = 500;

/// The extensions of files that are transformed.
pub const EXTENSIONS: [&str; 5] = ["ts", "tsx", "mts", "cts", "jsx"];

/// Whether a file of this name is transformed: not so declarations, which are types only.
pub fn is_transformed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    EXTENSIONS.contains(&extension) && !is_declaration(stem, extension)
}

/// `x.d.ts`, `x.d.mts`, `x.d.cts`, and `x.d.json.ts`.
fn is_declaration(stem: &str, extension: &str) -> bool {
    let declares = stem.ends_with(".d") || stem.contains(".d.");
    declares && matches!(extension, "ts" | "mts" | "cts")
}

/// What the surroundings of a file say about it: `package.json` and `tsconfig.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How the file is loaded.
    pub kind: Kind,
    /// `jsx: "react"`: JSX becomes calls of a function that the file names itself.
    pub jsx_classic: bool,
    /// `jsxImportSource`
    pub jsx_import_source: Option<String>,
    /// `jsxFactory`
    pub jsx_factory: Option<String>,
    /// `jsxFragmentFactory`
    pub jsx_fragment: Option<String>,
    /// `experimentalDecorators`
    pub decorators: bool,
    /// `emitDecoratorMetadata`
    pub metadata: bool,
    /// `strictNullChecks`, which metadata depends on.
    pub strict_null_checks: bool,
    /// `useDefineForClassFields`
    pub define_fields: bool,
    /// `verbatimModuleSyntax`: imports stay unless they say `type`.
    pub verbatim: bool,
    /// `paths` and `baseUrl`
    pub aliases: Option<Aliases>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: Kind::Detected,
            jsx_classic: false,
            jsx_import_source: None,
            jsx_factory: None,
            jsx_fragment: None,
            decorators: false,
            metadata: false,
            strict_null_checks: true,
            define_fields: true,
            verbatim: false,
            aliases: None,
        }
    }
}

/// How a file is loaded, as far as its name and package say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// As an ES module, whatever is in it.
    Module,
    /// As an ES module if it imports or exports, else as CommonJS.
    Detected,
}

/// A file to transform.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its path in the deployment.
    pub path: String,
    /// At most [`SOURCE_BYTES_MAX`] bytes.
    pub source: String,
    /// How to.
    pub options: Options,
}

/// A file as it was transformed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformed {
    /// JavaScript.
    pub code: String,
    /// Its source map: the field `mappings` of version 3, with one source.
    pub mappings: String,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is wrong; may be shown to its author.
    pub message: String,
    /// From 1; 0 if it is not about a line.
    pub line: u32,
    /// From 1, in characters; 0 if it is not about a line.
    pub column: u32,
}

impl Fault {
    /// A fault of the file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self {
            message: plain(&message.into()),
            line: 0,
            column: 0,
        }
    }

    /// A fault at a byte of the source.
    fn at(source: &str, offset: u32, message: &str) -> Self {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let before = &source[..source.floor_char_boundary(offset.min(source.len()))];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            message: plain(message),
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
        }
    }
}

/// A message on one line, and not too long.
fn plain(message: &str) -> String {
    let chars = message.chars().take(MESSAGE_CHARS_MAX);
    chars
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
