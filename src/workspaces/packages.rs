//! Packages of a workspace: what its functions may `require` besides the builtin modules. They are
//! uploaded as they were installed; nothing is ever fetched from a registry.

use bytes::Bytes;
use serde_json::Value;

use super::manifest::PACKAGES;
use crate::deploy::archive::{self, File, Kind};
use crate::error::{Code, Error};

/// A folder with `node_modules`, packed.
#[derive(Debug, Clone)]
pub enum PackageArchive {
    /// As a tar archive in gzip.
    TarGz(Bytes),
    /// As a zip archive.
    Zip(Bytes),
}

/// A package that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Where it is: `node_modules/` and its name, or deeper.
    pub path: String,
    /// What its `package.json` says; empty if it does not.
    pub version: String,
}

/// Unpacks an upload: what is below `node_modules`, and nothing else. Blocks.
///
/// # Errors
/// `archive_invalid`, also when there is no `node_modules`; `archive_too_large`.
pub(super) fn unpack(archive: &PackageArchive) -> Result<Vec<File>, Error> {
    let files = match archive {
        PackageArchive::TarGz(bytes) => archive::unpack(Kind::TarGz, bytes)?,
        PackageArchive::Zip(bytes) => archive::unpack(Kind::Zip, bytes)?,
    };
    let packages = of(files);
    if packages.is_empty() {
        let detail = "the archive has no node_modules at its top: install the packages with \
                      `npm ci --omit=dev` and pack the folder in which that was done";
        return Err(Error::new(Code::ArchiveInvalid, detail));
    }
    Ok(packages)
}

/// Of all files of a deployment, those of packages.
pub(super) fn of(files: Vec<File>) -> Vec<File> {
    let mut files = files;
    files.retain(|file| file.path.starts_with(PACKAGES));
    files
}

/// The packages among files, by path.
pub(super) fn list(files: &[File]) -> Vec<Package> {
    let mut packages: Vec<Package> = files.iter().filter_map(package).collect();
    packages.sort_by(|a, b| a.path.cmp(&b.path));
    packages
}

fn package(file: &File) -> Option<Package> {
    let path = file.path.strip_suffix("/package.json")?;
    let (_, name) = path.rsplit_once(PACKAGES)?;
    let parts = name.split('/').count();
    let is_package = parts == 1 || (parts == 2 && name.starts_with('@'));
    let manifest: Option<Value> = serde_json::from_slice(&file.bytes).ok();
    let version = manifest.and_then(|manifest| Some(manifest.get("version")?.as_str()?.to_owned()));
    is_package.then(|| Package {
        path: path.to_owned(),
        version: version.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &'static str) -> File {
        File {
            path: path.to_owned(),
            bytes: Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn packages_are_folders_with_a_manifest_right_below_node_modules() {
        let files = [
            file("definition.json", "{}"),
            file("node_modules/b/package.json", r#"{"version":"1.2.3"}"#),
            file("node_modules/b/lib/package.json", "{}"),
            file("node_modules/@a/c/package.json", "not JSON"),
            file("node_modules/b/node_modules/d/package.json", "{}"),
            file("node_modules/b/index.js", ""),
        ];
        let listed = list(&files);
        let listed: Vec<(&str, &str)> = listed
            .iter()
            .map(|one| (one.path.as_str(), one.version.as_str()))
            .collect();
        assert_eq!(
            listed,
            [
                ("node_modules/@a/c", ""),
                ("node_modules/b", "1.2.3"),
                ("node_modules/b/node_modules/d", ""),
            ]
        );
        assert_eq!(of(files.to_vec()).len(), 5);
    }
}
