//! How records of invocations and log lines are stored: many, small, and read by nobody but us.
//!
//! The first byte says how the rest is written. 1: the fields one after the other, without their
//! names, as [postcard](https://postcard.jamesmunns.com/wire-format) has it; a fifth of the bytes and
//! a third of the time of JSON. `{`: JSON, which files of format 1 have.
//!
//! What is stored so names no field and no variant: a change of the fields, or of the order of an
//! enum's variants, takes a new first byte and a way to read the old one.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Fault;

/// Fields one after the other.
const FIELDS: u8 = 1;
/// The first byte of an object in JSON.
const JSON: u8 = b'{';

/// What nearly all have room in, on the stack.
const SMALL_BYTES: usize = 512;

/// The bytes of a value.
pub(super) fn pack(value: &impl Serialize) -> Result<Box<[u8]>, Fault> {
    let mut small = [0; SMALL_BYTES];
    small[0] = FIELDS;
    match postcard::to_slice(value, &mut small[1..]).map(|fields| fields.len()) {
        Ok(bytes) => Ok(small[..=bytes].into()),
        Err(postcard::Error::SerializeBufferFull) => postcard::to_extend(value, vec![FIELDS])
            .map(Vec::into_boxed_slice)
            .map_err(Fault::Packed),
        Err(error) => Err(Fault::Packed(error)),
    }
}

/// The value of these bytes.
pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    match bytes.split_first() {
        Some((&FIELDS, fields)) => postcard::from_bytes(fields).map_err(Fault::Packed),
        Some((&JSON, _)) => serde_json::from_slice(bytes).map_err(Fault::Record),
        _ => Err(Fault::Inconsistent("a record is in no known layout")),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt::Debug;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::id::InvocationId;
    use crate::store::invocations::tests::{lines, record};
    use crate::store::tests::seed;
    use crate::store::{
        Cost, Ending, InvocationRecord, Level, LogLine, RecordedError, RecordedKind,
    };

    fn largest() -> InvocationRecord {
        InvocationRecord {
            version: u64::MAX,
            kind: RecordedKind::Test,
            method: "PROPFIND".to_owned(),
            status: None,
            outcome: Ending::Cancelled,
            code: Some(Cow::Borrowed("function_threw")),
            error: Some(RecordedError {
                name: "TypeError".to_owned(),
                message: "é \0 \u{1F9EA}".to_owned(),
                stack: "at a\nat b".to_owned(),
            }),
            duration_us: u64::MAX,
            cost: Cost {
                fuel: u64::MAX,
                memory_bytes: 1,
                host_calls: 2,
                subrequests: 3,
                kv_operations: 4,
                request_bytes: 5,
                response_bytes: u64::MAX,
            },
            client: std::net::Ipv6Addr::LOCALHOST.into(),
            user_agent: "curl".to_owned(),
            trace_id: u128::MAX.into(),
            ..record(InvocationId::from_number(0), u32::MAX)
        }
    }

    fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
        assert_eq!(&unpack::<T>(&pack(value).unwrap()).unwrap(), value);
        // As it was in format 1.
        let json = serde_json::to_vec(value).unwrap();
        assert_eq!(&unpack::<T>(&json).unwrap(), value);
    }

    #[test]
    fn what_is_packed_is_read_again_and_so_is_json() {
        let id = InvocationId::from_number(0);
        same_again(&record(id, 0));
        same_again(&largest());
        let long = "x".repeat(3 * SMALL_BYTES);
        for line in lines(id, u64::MAX, &["", "a\nb", "é", &long]) {
            same_again(&line);
        }
    }

    /// If this fails, files that were written before cannot be read: see the head of this file.
    #[test]
    fn the_layout_is_what_it_was() {
        let line = LogLine {
            timestamp_ms: 300,
            level: Level::Warn,
            message: "hi".to_owned(),
            invocation: "I".to_owned(),
            version: 7,
        };
        let expected = b"\x01\xac\x02\x03\x02hi\x01I\x07";
        assert_eq!(*pack(&line).unwrap(), *expected);
        let record = InvocationRecord {
            deployment: serde_json::from_str("\"00000000000000000000000005\"").unwrap(),
            trace_id: 6.into(),
            ..largest()
        };
        let most = [0xff; 9];
        let max = [&most[..], &[1]].concat();
        let expected = [
            b"\x01",
            &max[..],
            b"\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\x04\x08PROPFIND\x04/a?b\x00\x02\x01\x0efunction_threw",
            b"\x01\x09TypeError\x09\xc3\xa9 \0 \xf0\x9f\xa7\xaa\x09at a\nat b",
            &max,
            &max,
            b"\x01\x02\x03\x04\x05",
            &max,
            b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\x04curl\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06\xff\xff\xff\xff\x0f",
        ];
        assert_eq!(*pack(&record).unwrap(), *expected.concat());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = pack(&largest()).unwrap();
        for length in 0..whole.len() {
            assert!(unpack::<InvocationRecord>(&whole[..length]).is_err());
        }
        assert!(unpack::<InvocationRecord>(b"\x02").is_err());
        let mut rng = StdRng::seed_from_u64(seed());
        for _ in 0..10_000 {
            let mut damaged = whole.to_vec();
            let at = rng.random_range(0..damaged.len());
            damaged[at] = rng.random();
            // Whatever it is now, it is read or refused.
            let _ = unpack::<InvocationRecord>(&damaged);
        }
    }
}
