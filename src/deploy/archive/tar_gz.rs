//! tar in gzip: entries read one by one from the decompressed stream, never the whole of it.
//!
//! The `tar` crate reads headers and cuts entries apart; long names (pax, GNU) are read here,
//! where they have a bound. Anything but files and directories is refused.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Entry, EntryType, Header};

use super::{ArchiveError, Collector, File};
use crate::limits;

/// Most bytes that a stream may have beyond the files' own: headers and padding.
const FRAMING_BYTES_MAX: u64 = limits::FILES_MAX as u64 * 4096;
/// Largest pax header.
const PAX_BYTES_MAX: u64 = 64 << 10;
/// Largest GNU long name: above what a path may have, so that most errors can show the path.
const GNU_NAME_BYTES_MAX: u64 = 4 * limits::PATH_BYTES_MAX as u64;

const NOT_GZIP: ArchiveError = ArchiveError::Unreadable("is not a whole, undamaged gzip stream");
const NOT_TAR: ArchiveError = ArchiveError::Unreadable("is not a whole, undamaged tar archive");
const STRAY_EXTENSION: ArchiveError =
    ArchiveError::Unreadable("has an extended header that belongs to no entry");

/// Reads every entry of a tar.gz into `collector`.
pub(super) fn unpack(bytes: &[u8], collector: &mut Collector) -> Result<(), ArchiveError> {
    let mut stream = Bounded {
        inner: MultiGzDecoder::new(bytes),
        left: limits::UNPACKED_BYTES_MAX + FRAMING_BYTES_MAX,
        end: None,
    };
    let result = entries(&mut stream, collector).and_then(|()| tail(&mut stream));
    // What stopped the stream is the reason, whatever the reader of the entries made of it.
    match stream.end {
        Some(End::Exceeded) => Err(ArchiveError::too_many_bytes()),
        Some(End::Damaged) => Err(NOT_GZIP),
        None => result,
    }
}

/// Writes files, which are checked and sorted, as a tar.gz that depends on nothing else.
pub(super) fn pack(files: &[File]) -> Bytes {
    // The fastest level: sources are small, and a deployment waits for this.
    let encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for file in files {
        let mut header = Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, &file.path, &file.bytes[..])
            .expect("a checked path fits a header, and memory takes every write");
    }
    let packed = builder.into_inner().and_then(GzEncoder::finish);
    Bytes::from(packed.expect("memory takes every write"))
}

fn entries(stream: &mut impl Read, collector: &mut Collector) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(stream);
    let entries = archive.entries().map_err(|_| NOT_TAR)?.raw(true);
    let mut long_name: Option<Vec<u8>> = None;
    for entry in entries {
        let mut entry = entry.map_err(|_| NOT_TAR)?;
        let kind = entry.header().entry_type();
        let own_name = entry.header().path_bytes().into_owned();
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                let name = if kind == EntryType::XHeader {
                    pax_name(&extension(&mut entry, PAX_BYTES_MAX)?)?
                } else {
                    Some(gnu_name(extension(&mut entry, GNU_NAME_BYTES_MAX)?))
                };
                if name.is_some() && std::mem::replace(&mut long_name, name).is_some() {
                    return Err(ArchiveError::entry(&own_name, "names its entry twice"));
                }
            }
            // The target of a link, which is refused itself when it comes.
            EntryType::GNULongLink => drop(extension(&mut entry, PAX_BYTES_MAX)?),
            EntryType::XGlobalHeader => {
                // As git writes it, with a comment; a path for all entries makes no sense.
                if pax_name(&extension(&mut entry, PAX_BYTES_MAX)?)?.is_some() {
                    return Err(STRAY_EXTENSION);
                }
            }
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => {
                let name = long_name.take().unwrap_or(own_name);
                let size = entry.size();
                // Before POSIX, a directory was a file whose name ends in a slash.
                if kind == EntryType::Directory || name.ends_with(b"/") {
                    if size != 0 {
                        return Err(ArchiveError::entry(&name, "is a directory with data"));
                    }
                    collector.directory(&name)?;
                } else {
                    collector.file(&name, size, &mut entry)?;
                }
            }
            other => {
                let name = long_name.unwrap_or(own_name);
                return Err(ArchiveError::entry(&name, refusal(other)));
            }
        }
    }
    long_name.map_or(Ok(()), |_| Err(STRAY_EXTENSION))
}

/// Checks that nothing but padding follows, and with it the checksum of the gzip stream.
fn tail(stream: &mut impl Read) -> Result<(), ArchiveError> {
    let mut buffer = [0; 8 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) if buffer[..count].iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Err(ArchiveError::Unreadable("has data after its end")),
            Err(_) => return Err(NOT_GZIP),
        }
    }
}

/// Reads the data of an extended header, which has a bound of its own.
fn extension<R: Read>(entry: &mut Entry<'_, R>, max: u64) -> Result<Vec<u8>, ArchiveError> {
    if entry.size() > max {
        return Err(ArchiveError::Unreadable(
            "has an extended header that is too long",
        ));
    }
    let mut data = Vec::new();
    entry.read_to_end(&mut data).map_err(|_| NOT_TAR)?;
    if data.len() as u64 != entry.size() {
        return Err(NOT_TAR);
    }
    Ok(data)
}

fn gnu_name(mut data: Vec<u8>) -> Vec<u8> {
    if data.last() == Some(&0) {
        data.pop();
    }
    data
}

/// The path in a pax header, if it has one. Records are `<length> <key>=<value>\n`.
fn pax_name(mut data: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut path = None;
    while !data.is_empty() {
        let (key, value, rest) = pax_record(data).ok_or(NOT_TAR)?;
        data = rest;
        if key == b"path" && path.replace(value.to_vec()).is_some() {
            return Err(ArchiveError::entry(value, "names its entry twice"));
        }
        // A size here is for files that no deployment may have, or to fool one of two readers.
        if key == b"size" || key.starts_with(b"GNU.sparse.") {
            let name = path.as_deref().unwrap_or(key);
            return Err(ArchiveError::entry(name, "is sparse or has two sizes"));
        }
    }
    Ok(path)
}

/// Splits the first record off a pax header: key, value, what follows.
fn pax_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = data.iter().take(8).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&data[..digits]).ok()?.parse().ok()?;
    let record = data.get(digits + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &data[length..]))
}

fn refusal(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "is a symbolic link",
        EntryType::Link => "is a hard link",
        EntryType::Char | EntryType::Block => "is a device",
        EntryType::Fifo => "is a named pipe",
        EntryType::GNUSparse => "is sparse or has two sizes",
        _ => "is neither a file nor a directory",
    }
}

/// Why a stream ended before its time.
enum End {
    Exceeded,
    Damaged,
}

/// A reader that gives at most `left` bytes and remembers why it failed.
struct Bounded<R> {
    inner: R,
    left: u64,
    end: Option<End>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Ok(count) => count,
            Err(error) => {
                self.end = Some(End::Damaged);
                return Err(error);
            }
        };
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.end = Some(End::Exceeded);
                return Err(io::Error::other("the bound of the stream"));
            }
        }
        Ok(count)
    }
}
