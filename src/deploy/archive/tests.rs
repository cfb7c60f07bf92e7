//! Archives made by hand and by other writers, then every way to make them dangerous.

use super::*;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::{Cursor, Write};
use tar::{EntryType, Header};

mod zip;

const KINDS: [Kind; 2] = [Kind::TarGz, Kind::Zip];

fn file(path: &str, bytes: impl Into<Bytes>) -> File {
    File {
        path: path.into(),
        bytes: bytes.into(),
    }
}

fn half(number: usize) -> u16 {
    u16::try_from(number).unwrap()
}

fn word(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One tar entry: header, data, padding. The name goes in as it is.
fn tar_entry(kind: EntryType, name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend(data);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn tar_file(name: &str, data: &[u8]) -> Vec<u8> {
    tar_entry(EntryType::Regular, name.as_bytes(), data)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = String::new();
    for (key, value) in records {
        let base = key.len() + value.len() + 3;
        let mut length = base + 1;
        while length != base + length.to_string().len() {
            length += 1;
        }
        data += &format!("{length} {key}={value}\n");
    }
    tar_entry(EntryType::XHeader, b"PaxHeaders/x", data.as_bytes())
}

/// Entries and the two empty blocks that end a tar, in gzip.
fn tar_gz(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    gzip(&bytes)
}

/// One zip entry, with each number that a liar could change.
#[derive(Clone)]
struct Zipped {
    name: Vec<u8>,
    local_name: Vec<u8>,
    flags: u16,
    method: u16,
    mode: u32,
    checksum: u32,
    size: u32,
    packed: u32,
    extra: Vec<u8>,
    data: Vec<u8>,
}

impl Zipped {
    fn stored(name: &[u8], data: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        Self {
            name: name.to_vec(),
            local_name: name.to_vec(),
            flags: 0,
            method: 0,
            mode: 0o100_644,
            checksum: crc.sum(),
            size: word(data.len()),
            packed: word(data.len()),
            extra: Vec::new(),
            data: data.to_vec(),
        }
    }

    fn deflated(name: &[u8], data: &[u8]) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        let packed = encoder.finish().unwrap();
        Self {
            method: 8,
            packed: word(packed.len()),
            data: packed,
            ..Self::stored(name, data)
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn header(&self, central: bool, offset: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let name = if central {
            &self.name
        } else {
            &self.local_name
        };
        if central {
            out.extend(0x0201_4b50_u32.to_le_bytes());
            out.extend([20, 3]);
        } else {
            out.extend(0x0403_4b50_u32.to_le_bytes());
        }
        for half in [20, self.flags, self.method, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        for word in [self.checksum, self.packed, self.size] {
            out.extend(word.to_le_bytes());
        }
        out.extend(half(name.len()).to_le_bytes());
        if central {
            out.extend(half(self.extra.len()).to_le_bytes());
            out.extend([0; 6]);
            out.extend((self.mode << 16).to_le_bytes());
            out.extend(offset.to_le_bytes());
        } else {
            out.extend([0; 2]);
        }
        out.extend(name);
        if central {
            out.extend(&self.extra);
        }
        out
    }
}

fn zip_end(count: u16, length: usize, start: usize) -> Vec<u8> {
    let mut out = 0x0605_4b50_u32.to_le_bytes().to_vec();
    out.extend([0; 4]);
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend(word(length).to_le_bytes());
    out.extend(word(start).to_le_bytes());
    out.extend([0; 2]);
    out
}

fn zip_of(entries: &[Zipped]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        directory.extend(entry.header(true, word(out.len())));
        out.extend(entry.header(false, 0));
        out.extend(&entry.data);
    }
    let start = out.len();
    out.extend(&directory);
    out.extend(zip_end(half(entries.len()), directory.len(), start));
    out
}

/// An archive of either kind with these files.
fn archive(kind: Kind, files: &[(&[u8], &[u8])]) -> Vec<u8> {
    match kind {
        Kind::TarGz => {
            let entry = |(name, data): &(&[u8], &[u8])| tar_entry(EntryType::Regular, name, data);
            tar_gz(&files.iter().map(entry).collect::<Vec<_>>())
        }
        Kind::Zip => {
            let entry = |(name, data): &(&[u8], &[u8])| Zipped::deflated(name, data);
            zip_of(&files.iter().map(entry).collect::<Vec<_>>())
        }
    }
}

#[track_caller]
fn refused(kind: Kind, bytes: &[u8], message: &str) {
    match unpack(kind, bytes) {
        Ok(files) => panic!(
            "accepted {} files, not refused with: {message}",
            files.len()
        ),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains(message),
                "{kind:?}: {text:?} lacks {message:?}"
            );
            let code = if matches!(error, ArchiveError::TooLarge { .. }) {
                Code::ArchiveTooLarge
            } else {
                Code::ArchiveInvalid
            };
            assert_eq!(Error::from(error).code, code);
        }
    }
}

#[test]
fn files_come_sorted_with_normal_paths_and_their_bytes() {
    for kind in KINDS {
        let bytes = archive(
            kind,
            &[
                (b"./lib//b.js", b"b"),
                (b"./", b""),
                (b"lib/./c/", b""),
                (b"a.js", b"a\0\xff"),
                ("ünïcode/😀.txt".as_bytes(), b""),
                (b"...", b"dots"),
            ],
        );
        assert_eq!(kind_of(&bytes), Some(kind));
        let files = unpack(kind, &bytes).unwrap();
        let expected = [
            file("...", "dots"),
            file("a.js", &b"a\0\xff"[..]),
            file("lib/b.js", "b"),
            file("ünïcode/😀.txt", ""),
        ];
        assert_eq!(files, expected, "{kind:?}");
    }
    assert_eq!(kind_of(b""), None);
    assert_eq!(kind_of(b"module.exports = 1"), None);
}

#[test]
fn names_that_could_leave_the_archive_or_confuse_are_refused() {
    let cases: [(&[u8], &str); 16] = [
        (b"../evil.js", "\"../evil.js\" leads out of the archive"),
        (b"a/../../evil.js", "leads out of the archive"),
        (b"a/b/../c", "leads out of the archive"),
        (b"..", "leads out of the archive"),
        (b"/etc/passwd", "\"/etc/passwd\" has an absolute path"),
        (b"//host/share", "has an absolute path"),
        (b"a\\..\\b", "\"a\\\\..\\\\b\" has a backslash"),
        (b"\\\\host\\share", "has a backslash"),
        (b"C:/windows", "has a path with a drive letter"),
        (b"./c:evil", "has a path with a drive letter"),
        (b"a\nb", "\"a\\nb\" has a NUL or another control character"),
        (b"a\x7f", "control character"),
        (
            b"caf\xe9.js",
            "\"caf\u{fffd}.js\" has a name that is not UTF-8",
        ),
        (b"", "has no name"),
        (b".", "is a file without a name"),
        (b"./.", "is a file without a name"),
    ];
    for kind in KINDS {
        for (name, message) in cases {
            let bytes = archive(kind, &[(b"fine.js", b"1"), (name, b"2")]);
            refused(kind, &bytes, message);
        }
    }
    // A drive letter is one at the start only, and letters and dots mean nothing elsewhere.
    for kind in KINDS {
        let bytes = archive(
            kind,
            &[(b"a/c:d", b""), (b"..a", b""), (b"b..", b""), (b"1:x", b"")],
        );
        assert_eq!(unpack(kind, &bytes).unwrap().len(), 4);
    }
}

#[test]
fn a_nul_in_a_name_is_refused_wherever_it_can_be_written() {
    refused(
        Kind::Zip,
        &archive(Kind::Zip, &[(b"a\0.js", b"")]),
        "has a NUL",
    );
    let long = tar_entry(EntryType::GNULongName, b"././@LongLink", b"a\0b\0");
    refused(
        Kind::TarGz,
        &tar_gz(&[long, tar_file("x", b"")]),
        "has a NUL",
    );
    let long = pax(&[("path", "a\0b")]);
    refused(
        Kind::TarGz,
        &tar_gz(&[long, tar_file("x", b"")]),
        "has a NUL",
    );
}

#[test]
fn a_path_may_be_as_long_as_the_bound_and_no_longer() {
    let path = |bytes: usize| format!("{}x", "ab/".repeat(bytes))[..bytes].to_owned();
    let (longest, longer) = (
        path(limits::PATH_BYTES_MAX),
        path(limits::PATH_BYTES_MAX + 3),
    );
    let archives = |path: &str| {
        let gnu = tar_entry(EntryType::GNULongName, b"././@LongLink", path.as_bytes());
        [
            (Kind::Zip, archive(Kind::Zip, &[(path.as_bytes(), b"1")])),
            (Kind::TarGz, tar_gz(&[gnu, tar_file("short", b"1")])),
            (
                Kind::TarGz,
                tar_gz(&[pax(&[("path", path)]), tar_file("short", b"1")]),
            ),
        ]
    };
    for (kind, bytes) in archives(&longest) {
        assert_eq!(unpack(kind, &bytes).unwrap(), [file(&longest, "1")]);
    }
    for (kind, bytes) in archives(&longer) {
        refused(kind, &bytes, "has a path that is too long");
    }
    let endless = tar_entry(EntryType::GNULongName, b"././@LongLink", &[b'a'; 1 << 20]);
    refused(
        Kind::TarGz,
        &tar_gz(&[endless]),
        "an extended header that is too long",
    );
    let endless = tar_entry(EntryType::XHeader, b"x", &[b'1'; 1 << 20]);
    refused(
        Kind::TarGz,
        &tar_gz(&[endless]),
        "an extended header that is too long",
    );
}

#[test]
fn paths_used_twice_or_as_file_and_directory_are_refused() {
    for kind in KINDS {
        let twice = archive(kind, &[(b"a.js", b"1"), (b"./a.js", b"2")]);
        refused(kind, &twice, "\"a.js\" is there twice");
        for other in [&b"a/b/c.js"[..], b"a/", b"a/b/"] {
            let both = archive(kind, &[(other, b""), (b"a", b"1")]);
            refused(kind, &both, "\"a\" is both a file and a directory");
        }
        let case = archive(kind, &[(b"a.js", b"1"), (b"A.js", b"2"), (b"a.j", b"3")]);
        assert_eq!(unpack(kind, &case).unwrap().len(), 3);
        let data = archive(kind, &[(b"a/", b"data")]);
        refused(kind, &data, "is a directory with data");
    }
}

#[test]
fn an_archive_without_a_file_is_refused() {
    for kind in KINDS {
        refused(kind, &archive(kind, &[]), "the archive holds no file");
        refused(
            kind,
            &archive(kind, &[(b"a/", b"")]),
            "the archive holds no file",
        );
        refused(kind, b"", "is not a whole");
        refused(kind, b"module.exports = 1", "is not a whole");
    }
}

#[test]
fn links_devices_and_other_special_entries_are_refused() {
    let tar = [
        (EntryType::Symlink, "\"x\" is a symbolic link"),
        (EntryType::Link, "\"x\" is a hard link"),
        (EntryType::Char, "\"x\" is a device"),
        (EntryType::Block, "\"x\" is a device"),
        (EntryType::Fifo, "\"x\" is a named pipe"),
        (EntryType::GNUSparse, "\"x\" is sparse"),
        (
            EntryType::new(b'D'),
            "\"x\" is neither a file nor a directory",
        ),
    ];
    for (kind, message) in tar {
        let bytes = tar_gz(&[tar_file("a", b"1"), tar_entry(kind, b"x", b"")]);
        refused(Kind::TarGz, &bytes, message);
    }
    let target = tar_entry(EntryType::GNULongLink, b"././@LongLink", b"../../evil\0");
    let bytes = tar_gz(&[target, tar_entry(EntryType::Symlink, b"x", b"")]);
    refused(Kind::TarGz, &bytes, "\"x\" is a symbolic link");
    let zip = [
        (0o120_777, "\"x\" is a symbolic link"),
        (0o010_644, "\"x\" is a named pipe"),
        (0o020_644, "\"x\" is a device"),
        (0o060_644, "\"x\" is a device"),
        (0o140_644, "\"x\" is neither a file nor a directory"),
        (0o040_755, "\"x\" is neither a file nor a directory"),
    ];
    for (mode, message) in zip {
        let entry = Zipped::stored(b"x", b"../evil").with(|e| e.mode = mode);
        refused(Kind::Zip, &zip_of(&[entry]), message);
    }
}

#[test]
fn pax_headers_that_change_more_than_the_name_are_refused() {
    let data = tar_file("x", b"data");
    let entries = |header: Vec<u8>| tar_gz(&[header, data.clone()]);
    refused(
        Kind::TarGz,
        &entries(pax(&[("size", "2")])),
        "is sparse or has two sizes",
    );
    let sparse = pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.name", "y")]);
    refused(Kind::TarGz, &entries(sparse), "is sparse or has two sizes");
    let twice = pax(&[("path", "a"), ("path", "b")]);
    refused(Kind::TarGz, &entries(twice), "names its entry twice");
    let twice = tar_gz(&[pax(&[("path", "a")]), pax(&[("path", "b")]), data.clone()]);
    refused(Kind::TarGz, &twice, "names its entry twice");
    let stray = tar_gz(&[data.clone(), pax(&[("path", "a")])]);
    refused(Kind::TarGz, &stray, "belongs to no entry");
    for broken in [
        &b"8 path=a\n"[..],
        b"99 path=a\n",
        b"path=a\n",
        b"4 a\n",
        b"0 a=b\n",
        b"- a=",
    ] {
        let header = tar_entry(EntryType::XHeader, b"x", broken);
        refused(
            Kind::TarGz,
            &entries(header),
            "is not a whole, undamaged tar archive",
        );
    }
    let harmless = pax(&[
        ("mtime", "1.5"),
        ("SCHILY.xattr.a", "x\ny"),
        ("path", "p=q"),
    ]);
    assert_eq!(
        unpack(Kind::TarGz, &entries(harmless)).unwrap(),
        [file("p=q", "data")]
    );
    let global = tar_entry(
        EntryType::XGlobalHeader,
        b"pax_global_header",
        b"14 comment=ab\n",
    );
    assert_eq!(
        unpack(Kind::TarGz, &entries(global)).unwrap(),
        [file("x", "data")]
    );
    let global = tar_entry(
        EntryType::XGlobalHeader,
        b"pax_global_header",
        b"9 path=a\n",
    );
    assert!(unpack(Kind::TarGz, &entries(global)).is_err());
}

#[test]
fn damaged_and_cut_archives_are_refused() {
    for kind in KINDS {
        let whole = archive(kind, &[(b"a.js", b"hello"), (b"b.js", &[7; 5000])]);
        for length in 0..whole.len() {
            assert!(
                unpack(kind, &whole[..length]).is_err(),
                "{kind:?} cut to {length}"
            );
        }
        let mut longer = whole.clone();
        longer.push(b'x');
        refused(kind, &longer, "is not a whole");
    }
    // A wrong checksum of the gzip stream, which comes after everything else.
    let mut bytes = archive(Kind::TarGz, &[(b"a", b"hello")]);
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    refused(Kind::TarGz, &bytes, "undamaged gzip stream");
    let mut entry = tar_file("a", b"hello");
    entry[0] = b'b';
    refused(Kind::TarGz, &tar_gz(&[entry]), "undamaged tar archive");
    let hidden = [tar_file("a", b"1"), vec![0; 1024], tar_file("b", b"2")];
    refused(Kind::TarGz, &tar_gz(&hidden), "has data after its end");
}

#[test]
fn several_gzip_members_are_one_stream() {
    let bytes = [tar_file("a", b"1"), tar_file("b", b"2"), vec![0; 1024]].concat();
    let (first, second) = bytes.split_at(700);
    let files = unpack(Kind::TarGz, &[gzip(first), gzip(second)].concat()).unwrap();
    assert_eq!(files, [file("a", "1"), file("b", "2")]);
}

#[test]
fn archives_of_other_writers_are_read() {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default();
    let large = options.large_file(true).unix_permissions(0o755);
    writer.add_directory("src", options).unwrap();
    writer.start_file("src/index.js", large).unwrap();
    writer.write_all(&[b'x'; 100_000]).unwrap();
    writer
        .start_file(
            "a.txt",
            options.compression_method(::zip::CompressionMethod::Stored),
        )
        .unwrap();
    writer.write_all(b"stored").unwrap();
    writer.set_comment("PK\x05\x06 is not the end");
    let bytes = writer.finish().unwrap().into_inner();
    let expected = [
        file("a.txt", "stored"),
        file("src/index.js", vec![b'x'; 100_000]),
    ];
    assert_eq!(unpack(Kind::Zip, &bytes).unwrap(), expected);

    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut builder = tar::Builder::new(encoder);
    let path = format!("{}/{}.js", "d".repeat(120), "e".repeat(200));
    for (mut header, path) in [
        (Header::new_gnu(), &*path),
        (
            Header::new_ustar(),
            &format!("{}/{}.js", "p".repeat(90), "q".repeat(80)),
        ),
        (Header::new_old(), "old.js"),
    ] {
        header.set_size(3);
        builder.append_data(&mut header, path, &b"abc"[..]).unwrap();
    }
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let files = unpack(Kind::TarGz, &bytes).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(files[0], file(&path, "abc"));
}

#[test]
fn unpacking_stops_at_the_bound_whatever_is_declared() {
    let bound = usize::try_from(limits::UNPACKED_BYTES_MAX).unwrap();
    let zeros = vec![0_u8; bound + 1];
    for kind in KINDS {
        let files = unpack(kind, &archive(kind, &[(b"a", &zeros[..bound])])).unwrap();
        assert_eq!(files[0].bytes.len(), bound);
        drop(files);
        refused(
            kind,
            &archive(kind, &[(b"a", &zeros)]),
            "unpacks to too much; at most",
        );
        let halves: [(&[u8], &[u8]); 2] =
            [(b"a", &zeros[..bound / 2 + 1]), (b"b", &zeros[bound / 2..])];
        refused(kind, &archive(kind, &halves), "unpacks to too much");
    }
    let liar = Zipped::deflated(b"a", &zeros).with(|e| e.size = 10);
    refused(
        Kind::Zip,
        &zip_of(&[liar]),
        "another length than its header says",
    );
    // Nothing but the padding of a tar, or its gzip, is large.
    let padding = tar_gz(&[tar_file("a", b"1"), zeros.clone(), zeros]);
    refused(Kind::TarGz, &padding, "unpacks to too much");
}

#[test]
fn an_upload_above_its_bound_is_not_looked_at() {
    let bytes = vec![0; limits::UPLOAD_BYTES_MAX + 1];
    for kind in KINDS {
        refused(kind, &bytes, "the archive is too large; at most");
        refused(kind, &bytes[1..], "is not a whole");
    }
}

#[test]
fn there_may_be_as_many_files_as_the_bound_and_no_more() {
    let names: Vec<String> = (0..=limits::FILES_MAX).map(|n| format!("f{n}")).collect();
    let files: Vec<(&[u8], &[u8])> = names.iter().map(|n| (n.as_bytes(), &b""[..])).collect();
    for kind in KINDS {
        let count = unpack(kind, &archive(kind, &files[1..])).unwrap().len();
        assert_eq!(count, limits::FILES_MAX);
        refused(
            kind,
            &archive(kind, &files),
            "has too many entries; at most 20000 files",
        );
        let names: Vec<String> = names.iter().map(|name| format!("{name}/")).collect();
        let dirs: Vec<(&[u8], &[u8])> = names.iter().map(|n| (n.as_bytes(), &b""[..])).collect();
        refused(kind, &archive(kind, &dirs), "has too many entries");
    }
}

#[test]
fn what_is_packed_is_unpacked_and_depends_on_the_files_alone() {
    let long = format!("{}/{}", "a".repeat(250), "é".repeat(100));
    let files = [
        file(&long, "long"),
        file("b/c", vec![1; 70_000]),
        file("b.js", ""),
    ];
    let mut sorted = files.to_vec();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let packed = pack(&files).unwrap();
    assert_eq!(unpack_stored(&packed).unwrap(), sorted);
    assert_eq!(unpack(Kind::TarGz, &packed).unwrap(), sorted);
    assert_eq!(pack(&sorted).unwrap(), packed);
    for path in ["", "/a", "../a", "./a", "a/", "a//b", "a\\b", "C:a"] {
        assert!(pack(&[file(path, "")]).is_err(), "{path}");
    }
    assert!(pack(&[]).is_err());
    assert!(pack(&[file("a", ""), file("a", "")]).is_err());
    assert!(unpack_stored(&packed[..packed.len() - 1]).is_err());
}

/// Checks everything that holds for whatever `unpack` accepts.
fn check_bounds(files: &[File]) {
    assert!(!files.is_empty() && files.len() <= limits::FILES_MAX);
    let total: usize = files.iter().map(|file| file.bytes.len()).sum();
    assert!(total as u64 <= limits::UNPACKED_BYTES_MAX);
    assert!(files.is_sorted_by(|a, b| a.path < b.path));
    for File { path, .. } in files {
        assert!(path.len() <= limits::PATH_BYTES_MAX);
        assert_eq!(
            normal_path(path.as_bytes()).unwrap().as_deref(),
            Some(&**path)
        );
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes.truncate(at + 1),
            3 => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
            4 => {
                let from = random.random_range(0..bytes.len());
                let chunk = bytes[from..].iter().copied().take(60).collect::<Vec<_>>();
                bytes.splice(at..at, chunk);
            }
            _ => drop(bytes.drain(at..(at + 20).min(bytes.len() - 1).max(at))),
        }
    }
}

#[test]
fn mutated_archives_never_panic_or_break_a_bound() {
    let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let tar = [
        pax(&[("path", "p/a"), ("mtime", "1")]),
        tar_file("x", b"1"),
        tar_entry(EntryType::GNULongName, b"././@LongLink", &[b'l'; 300]),
        tar_file("y", b"2"),
        tar_entry(EntryType::Directory, b"dir/", b""),
        tar_file("dir/z", &[3; 600]),
    ]
    .concat();
    let zip = zip_of(&[
        Zipped::deflated(b"dir/a", &[1; 900]),
        Zipped::stored(b"dir/", b""),
        Zipped::stored(b"b", b"hello"),
    ]);
    assert!(unpack(Kind::TarGz, &gzip(&tar)).is_ok() && unpack(Kind::Zip, &zip).is_ok());
    let mut accepted = 0;
    for round in 0..6000 {
        let (kind, mut bytes) = match round % 3 {
            0 => (Kind::Zip, zip.clone()),
            1 => (Kind::TarGz, tar.clone()),
            _ => (Kind::TarGz, gzip(&tar)),
        };
        mutate(&mut bytes, &mut random);
        // In two of three rounds the checksums of gzip would hide the mutation.
        let bytes = if round % 3 == 1 { gzip(&bytes) } else { bytes };
        if let Ok(files) = unpack(kind, &bytes) {
            check_bounds(&files);
            assert_eq!(
                unpack_stored(&pack(&files).unwrap()).unwrap(),
                files,
                "SEED={seed}"
            );
            accepted += 1;
        }
    }
    assert!(
        accepted > 100,
        "nearly nothing is accepted, so nearly nothing is tested"
    );
}
