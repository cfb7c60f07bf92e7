//! What a version consists of, as a digest: equal for equal content, whoever uploads it and when.
//!
//! The environment is left out. Its values may be secret, and whoever may read a digest could try
//! out what they are.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::archive::File;
use crate::kind::Kind;
use crate::limits::LimitOverrides;

/// The digest of files, which come sorted by path.
pub(super) fn of_files(files: &[File]) -> String {
    let mut digest = Parts::new("ampoule files 1");
    for file in files {
        digest.add(file.path.as_bytes());
        digest.add(&file.bytes);
    }
    digest.text()
}

/// The digest of a version: its files, and the settings that decide what they do.
pub(super) fn of_version(
    files_digest: &str,
    kind: Kind,
    entry: &str,
    route: Option<&str>,
    limits: &LimitOverrides,
) -> String {
    let mut digest = Parts::new("ampoule version 1");
    digest.add(files_digest.as_bytes());
    digest.add(kind.as_str().as_bytes());
    digest.add(entry.as_bytes());
    // A route begins with `/`.
    digest.add(route.unwrap_or_default().as_bytes());
    // Members in the order of the struct, absent ones left out: one text for one meaning.
    let limits = serde_json::to_vec(limits).unwrap_or_default();
    digest.add(&limits);
    digest.text()
}

/// Parts, each after its length, so that no two lists of them are the same bytes.
struct Parts(Sha256);

impl Parts {
    fn new(kind: &str) -> Self {
        let mut parts = Self(Sha256::new());
        parts.add(kind.as_bytes());
        parts
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn text(self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.0.finalize() {
            // Text takes every write.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn file(path: &str, bytes: &'static str) -> File {
        File {
            path: path.to_owned(),
            bytes: Bytes::from(bytes),
        }
    }

    #[test]
    fn a_digest_tells_apart_what_is_not_the_same() {
        let limits = LimitOverrides::default();
        let less = LimitOverrides {
            wall_ms: Some(5),
            ..limits
        };
        let one = of_files(&[file("index.js", "ab")]);
        assert_eq!(one.len(), "sha256:".len() + 64);
        assert_eq!(one, of_files(&[file("index.js", "ab")]));
        let digests = [
            of_version(&one, Kind::Request, "index.js", None, &limits),
            of_version(&one, Kind::Request, "index.js", Some("/:id"), &limits),
            of_version(&one, Kind::Request, "index.js", None, &less),
            of_version(&one, Kind::Request, "other.js", None, &limits),
            of_version(&one, Kind::Event, "index.js", None, &limits),
            of_version(
                &of_files(&[file("index.j", "sab")]),
                Kind::Request,
                "index.js",
                None,
                &limits,
            ),
            of_version(
                &of_files(&[file("index.js", "a"), file("b", "")]),
                Kind::Request,
                "index.js",
                None,
                &limits,
            ),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{index}");
        }
    }
}
