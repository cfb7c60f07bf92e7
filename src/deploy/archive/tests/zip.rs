//! What only a zip can get wrong.

use super::*;

#[test]
fn a_zip_whose_parts_contradict_each_other_is_refused() {
    let deflated = || Zipped::deflated(b"a.js", b"hello hello hello");
    let stored = || Zipped::stored(b"a.js", b"hello");
    let cases = [
        (deflated().with(|e| e.flags = 1), "\"a.js\" is encrypted"),
        (deflated().with(|e| e.flags = 1 << 6), "is encrypted"),
        (deflated().with(|e| e.method = 12), "than stored or deflate"),
        (
            deflated().with(|e| e.local_name = b"b.js".into()),
            "two headers that disagree",
        ),
        (
            deflated().with(|e| e.local_name = b"longer".into()),
            "two headers that disagree",
        ),
        (deflated().with(|e| e.checksum ^= 1), "has damaged data"),
        (
            deflated().with(|e| e.size -= 1),
            "another length than its header says",
        ),
        (
            deflated().with(|e| e.size += 1),
            "another length than its header says",
        ),
        (
            deflated().with(|e| e.packed += 4000),
            "data outside of the archive",
        ),
        (deflated().with(|e| e.data.fill(0xff)), "has damaged data"),
        (
            deflated().with(|e| (e.packed, e.data) = (e.packed + 1, [&e.data[..], b"x"].concat())),
            "another length than its header says",
        ),
        (
            stored().with(|e| e.size += 1),
            "another length than its header says",
        ),
        (
            stored().with(|e| e.size -= 1),
            "another length than its header says",
        ),
        (stored().with(|e| e.checksum ^= 1), "has damaged data"),
        (stored().with(|e| e.size = u32::MAX), "damaged zip64 field"),
    ];
    for (entry, message) in cases {
        refused(Kind::Zip, &zip_of(&[entry]), message);
    }
}

#[test]
fn a_zip_whose_end_record_lies_is_refused() {
    let fine = zip_of(&[Zipped::stored(b"a.js", b"hello")]);
    assert!(unpack(Kind::Zip, &fine).is_ok());
    // Count, length and offset of the directory; then a disk number.
    for (at, message) in [
        (-12, "several"),
        (-14, "several"),
        (-10, "contradicts"),
        (-6, "contradicts"),
        (-18, "several"),
    ] {
        let mut bytes = fine.clone();
        let at = bytes.len().checked_add_signed(at).unwrap();
        bytes[at] += 1;
        refused(Kind::Zip, &bytes, message);
    }
    for count in [0_u8, 2] {
        let mut bytes = fine.clone();
        let at = bytes.len() - 14;
        (bytes[at], bytes[at + 2]) = (count, count);
        assert!(unpack(Kind::Zip, &bytes).is_err());
    }
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend(&fine);
    refused(Kind::Zip, &prefixed, "contradicts");
}

#[test]
fn zip_entries_that_share_bytes_are_refused() {
    let entry = Zipped::deflated(b"a", &[0; 10_000]);
    let mut bytes = entry.header(false, 0);
    bytes.extend(&entry.data);
    let start = bytes.len();
    bytes.extend([entry.header(true, 0), entry.header(true, 0)].concat());
    let length = bytes.len() - start;
    bytes.extend(zip_end(2, length, start));
    refused(Kind::Zip, &bytes, "has entries that overlap");
}

#[test]
fn zip64_is_understood_and_its_lies_are_refused() {
    // The field's numbers: size, packed size, offset, each because the short one is saturated.
    let field = |numbers: [u64; 2]| {
        let mut extra = vec![9, 9, 1, 0, 0, 1, 0, 16, 0];
        numbers
            .iter()
            .for_each(|number| extra.extend(number.to_le_bytes()));
        extra
    };
    let entry = |numbers| {
        Zipped::stored(b"a", b"hello").with(|e| {
            e.extra = field(numbers);
            (e.size, e.packed) = (u32::MAX, u32::MAX);
        })
    };
    let build = |entry: Zipped, count: u64, short: u16| {
        let mut bytes = [entry.header(false, 0), entry.data.clone()].concat();
        let start = bytes.len() as u64;
        bytes.extend(entry.header(true, 0));
        let end = bytes.len() as u64;
        bytes.extend(0x0606_4b50_u32.to_le_bytes());
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for number in [count, count, end - start, start] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(0x0706_4b50_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(end.to_le_bytes());
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(zip_end(short, u32::MAX as usize, u32::MAX as usize));
        bytes
    };
    let files = unpack(Kind::Zip, &build(entry([5, 5]), 1, u16::MAX)).unwrap();
    assert_eq!(files, [file("a", "hello")]);
    assert!(unpack(Kind::Zip, &build(entry([5, 5]), 1, 1)).is_ok());
    refused(Kind::Zip, &build(entry([5, 5]), 1, 2), "contradicts");
    refused(
        Kind::Zip,
        &build(entry([5, 5]), u64::MAX, u16::MAX),
        "too many entries",
    );
    refused(
        Kind::Zip,
        &build(entry([5, u64::MAX]), 1, 1),
        "data outside of the archive",
    );
    refused(
        Kind::Zip,
        &build(entry([u64::MAX, 5]), 1, 1),
        "unpacks to too much",
    );
}
