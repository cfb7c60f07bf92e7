//! Keys from passwords and from other keys: PBKDF2, scrypt, HKDF.

use crate::hashing::{self, Running};
use crate::{Answer, Arguments, Failure};

/// What scrypt may use. The JavaScript layer asks for less where the user does not say otherwise.
const SCRYPT_BYTES_MAX: u64 = 192 << 20;

/// `pbkdf2(hash, password, salt, rounds, length)`
pub fn pbkdf2(arguments: &Arguments<'_>) -> Answer {
    let name = arguments.text(0)?;
    let (password, salt) = (arguments.bytes(1)?, arguments.bytes(2)?);
    let rounds = arguments.number(3)?;
    let mut key = vec![0; arguments.output_len(4)?];
    macro_rules! fast {
        ($hash:ty) => {
            pbkdf2::pbkdf2_hmac::<$hash>(password, salt, rounds, &mut key)
        };
    }
    match name {
        "md5" => fast!(md5::Md5),
        "sha1" => fast!(sha1::Sha1),
        "sha224" => fast!(sha2::Sha224),
        "sha256" => fast!(sha2::Sha256),
        "sha384" => fast!(sha2::Sha384),
        "sha512" => fast!(sha2::Sha512),
        _ => any_pbkdf2(name, password, salt, rounds, &mut key)?,
    }
    Ok(key)
}

/// The same for hashes that are rarely used with it (RFC 8018, 5.2).
fn any_pbkdf2(
    name: &str,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    key: &mut [u8],
) -> Result<(), Failure> {
    let keyed = Running::keyed(name, password)?;
    let (hasher, _) = hashing::hasher(name)?;
    for (chunk, index) in key.chunks_mut(hasher.output_size()).zip(1_u32..) {
        let mut running = keyed.clone();
        running.update(salt);
        running.update(&index.to_be_bytes());
        let mut last = running.finish();
        let mut sum = last.clone();
        for _ in 1..rounds {
            let mut running = keyed.clone();
            running.update(&last);
            last = running.finish();
            sum.iter_mut()
                .zip(&last)
                .for_each(|(sum, byte)| *sum ^= byte);
        }
        chunk.copy_from_slice(&sum[..chunk.len()]);
    }
    Ok(())
}

/// `scrypt(password, salt, log2 of N, r, p, length)`
pub fn scrypt(arguments: &Arguments<'_>) -> Answer {
    let (password, salt) = (arguments.bytes(0)?, arguments.bytes(1)?);
    let log_n = arguments.number(2)?;
    let (r, p) = (arguments.number(3)?, arguments.number(4)?);
    let mut key = vec![0; arguments.output_len(5)?];
    let block = u64::from(r) * 128;
    let needed = (log_n < 32)
        .then(|| (1_u64 << log_n) + u64::from(p))
        .and_then(|blocks| blocks.checked_mul(block));
    if needed.is_none_or(|needed| needed > SCRYPT_BYTES_MAX) {
        return Err(Failure::Memory);
    }
    let log_n = u8::try_from(log_n).map_err(|_| Failure::Argument)?;
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| Failure::Argument)?;
    if !key.is_empty() {
        scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| Failure::Length)?;
    }
    Ok(key)
}

/// `hkdf(hash, key, salt, info, length)` (RFC 5869)
pub fn hkdf(arguments: &Arguments<'_>) -> Answer {
    let name = arguments.text(0)?;
    let (key, salt, info) = (
        arguments.bytes(1)?,
        arguments.bytes(2)?,
        arguments.bytes(3)?,
    );
    let len = arguments.output_len(4)?;
    let size = hashing::hasher(name)?.0.output_size();
    if len > 255 * size {
        return Err(Failure::Length);
    }
    let mut extract = Running::keyed(name, salt)?;
    extract.update(key);
    let expand = Running::keyed(name, &extract.finish())?;
    let mut made = Vec::with_capacity(len + size);
    let mut last = Vec::new();
    let mut index = 0_u8;
    while made.len() < len {
        index += 1;
        let mut running = expand.clone();
        running.update(&last);
        running.update(info);
        running.update(&[index]);
        last = running.finish();
        made.extend_from_slice(&last);
    }
    made.truncate(len);
    Ok(made)
}
