//! Big numbers: RSA without its paddings, and primes.
//!
//! Numbers are big-endian. What depends on a private key takes a time that depends on the length
//! of the key only (`crypto-bigint`).

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::rand_core::{Infallible, TryCryptoRng, TryRng};
use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd};
use crypto_primes::{Flavor, is_prime, random_prime};

use crate::{Answer, Arguments, Failure, Random};

/// The longest modulus, as in OpenSSL.
const MODULUS_BITS_MAX: u32 = 16_384;
/// The longest key or prime that is made: beyond it, that would take minutes.
const GENERATED_BITS_MAX: u32 = 8_192;
/// The longest public exponent for moduli of more than 3072 bits, as in OpenSSL.
const EXPONENT_BITS_MAX: u32 = 64;

/// Operations of this file.
pub fn call(operation: &str, arguments: &Arguments<'_>) -> Answer {
    match operation {
        "rsaPublic" => rsa_public(arguments),
        "rsaPrivate" => rsa_private(arguments),
        "rsaGenerate" => rsa_generate(arguments),
        "primeMake" => prime_make(arguments),
        "primeCheck" => {
            let candidate = number(arguments.bytes(0)?)?;
            Ok(vec![u8::from(is_prime(Flavor::Any, &candidate))])
        }
        _ => Err(Failure::Unknown),
    }
}

fn number(bytes: &[u8]) -> Result<BoxedUint, Failure> {
    let start = bytes.iter().position(|&byte| byte != 0);
    let bytes = &bytes[start.unwrap_or(bytes.len())..];
    if bytes.len() > MODULUS_BITS_MAX as usize / 8 {
        return Err(Failure::Memory);
    }
    if bytes.is_empty() {
        return Ok(BoxedUint::zero());
    }
    Ok(BoxedUint::from_be_slice_vartime(bytes))
}

fn modulus(bytes: &[u8]) -> Result<BoxedMontyParams, Failure> {
    let modulus = number(bytes)?;
    if modulus.bits_vartime() < 2 {
        return Err(Failure::Key);
    }
    let odd = Odd::new(modulus).into_option().ok_or(Failure::Key)?;
    Ok(BoxedMontyParams::new(odd))
}

/// `base` to the power of `exponent`. The time depends on the length of the exponent's memory.
fn raise(base: &BoxedUint, exponent: &BoxedUint, params: &BoxedMontyParams) -> BoxedUint {
    let base = base.rem(params.modulus().as_nz_ref());
    BoxedMontyForm::new(base, params).pow(exponent).retrieve()
}

/// The last `len` bytes of a number that has no more.
fn to_bytes(value: &BoxedUint, len: usize) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut fitted = vec![0; len.saturating_sub(bytes.len())];
    fitted.extend_from_slice(&bytes[bytes.len().saturating_sub(len)..]);
    fitted
}

/// Bytes without zeros before them.
fn trimmed(value: &BoxedUint) -> Vec<u8> {
    value.to_be_bytes_trimmed_vartime().into_vec()
}

/// `rsaPublic(n, e, data)`: as many bytes as the modulus has.
fn rsa_public(arguments: &Arguments<'_>) -> Answer {
    let params = modulus(arguments.bytes(0)?)?;
    let bits = params.modulus().as_ref().bits_vartime();
    let exponent = number(arguments.bytes(1)?)?;
    if exponent.bits_vartime() > bits
        || (bits > 3072 && exponent.bits_vartime() > EXPONENT_BITS_MAX)
    {
        return Err(Failure::Key);
    }
    let data = number(arguments.bytes(2)?)?;
    if data >= *params.modulus().as_ref() {
        return Err(Failure::Length);
    }
    // The exponent is public: only as many bits of it as there are need to be gone through.
    let base = BoxedMontyForm::new(data.rem(params.modulus().as_nz_ref()), &params);
    let raised = base.pow_bounded_exp(&exponent, exponent.bits_vartime());
    Ok(to_bytes(&raised.retrieve(), bits.div_ceil(8) as usize))
}

/// `rsaPrivate(n, e, d, p, q, dp, dq, qi, data)`: by the Chinese remainder theorem. What comes out
/// is checked with the public exponent, because a wrong result would give the key away.
fn rsa_private(arguments: &Arguments<'_>) -> Answer {
    let params = modulus(arguments.bytes(0)?)?;
    let exponent = number(arguments.bytes(1)?)?;
    let data = number(arguments.bytes(8)?)?;
    if data >= *params.modulus().as_ref() {
        return Err(Failure::Length);
    }
    let (p, q) = (modulus(arguments.bytes(3)?)?, modulus(arguments.bytes(4)?)?);
    let (dp, dq) = (number(arguments.bytes(5)?)?, number(arguments.bytes(6)?)?);
    let inverse = number(arguments.bytes(7)?)?;
    let of_p = raise(&data, &dp, &p);
    let of_q = raise(&data, &dq, &q);
    let in_p = |value: &BoxedUint| BoxedMontyForm::new(value.rem(p.modulus().as_nz_ref()), &p);
    let factor = in_p(&inverse)
        .mul(&in_p(&of_p).sub(&in_p(&of_q)))
        .retrieve();
    let result = factor
        .concatenating_mul(q.modulus().as_ref())
        .concatenating_add(&of_q);
    let result = result.rem(params.modulus().as_nz_ref());
    let check = BoxedMontyForm::new(result.clone(), &params)
        .pow_bounded_exp(&exponent, exponent.bits_vartime())
        .retrieve();
    if check != data {
        return Err(Failure::Key);
    }
    let len = params.modulus().as_ref().bits_vartime().div_ceil(8) as usize;
    Ok(to_bytes(&result, len))
}

/// The host's randomness. Having none is remembered; the numbers are zeros then.
struct Source {
    random: Random,
    has_failed: bool,
}

impl TryRng for Source {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if !(self.random)(bytes) {
            self.has_failed = true;
            // Anything but zeros, of which no prime would ever come.
            bytes.fill(0x5d);
        }
        Ok(())
    }
}

impl TryCryptoRng for Source {}

impl Source {
    /// A source that has been seen to work.
    fn new(random: Random) -> Result<Self, Failure> {
        let mut probe = [0; 1];
        if !random(&mut probe) {
            return Err(Failure::Random);
        }
        Ok(Self {
            random,
            has_failed: false,
        })
    }

    fn prime(&mut self, flavor: Flavor, bits: u32) -> Result<BoxedUint, Failure> {
        let prime = random_prime(self, flavor, bits);
        if self.has_failed {
            return Err(Failure::Random);
        }
        Ok(prime)
    }
}

/// `primeMake(bits, 1 for a safe one)`
fn prime_make(arguments: &Arguments<'_>) -> Answer {
    let bits = arguments.number(0)?;
    if !(3..=GENERATED_BITS_MAX).contains(&bits) {
        return Err(Failure::Length);
    }
    let flavor = match arguments.number(1)? {
        1 => Flavor::Safe,
        _ => Flavor::Any,
    };
    let prime = Source::new(arguments.random)?.prime(flavor, bits)?;
    Ok(to_bytes(&prime, bits.div_ceil(8) as usize))
}

/// `rsaGenerate(bits, e)`: n, d, p, q, dp, dq and qi, each after its length in two bytes.
fn rsa_generate(arguments: &Arguments<'_>) -> Answer {
    let bits = arguments.number(0)?;
    let exponent = number(arguments.bytes(1)?)?;
    if !(512..=GENERATED_BITS_MAX).contains(&bits) {
        return Err(Failure::Length);
    }
    if exponent.bits_vartime() < 2 || exponent.bits_vartime() > 32 || !exponent.bit_vartime(0) {
        return Err(Failure::Key);
    }
    let mut source = Source::new(arguments.random)?;
    loop {
        let p = source.prime(Flavor::Any, bits.div_ceil(2))?;
        let q = source.prime(Flavor::Any, bits / 2)?;
        let (p, q) = if p > q { (p, q) } else { (q, p) };
        if let Some(key) = rsa_key(bits, &exponent, &p, &q) {
            return Ok(key);
        }
    }
}

/// The key with these primes, unless its modulus is too short or `e` has no inverse.
fn rsa_key(bits: u32, exponent: &BoxedUint, p: &BoxedUint, q: &BoxedUint) -> Option<Vec<u8>> {
    let modulus = p.concatenating_mul(q);
    if modulus.bits_vartime() != bits || p == q {
        return None;
    }
    let one = BoxedUint::one();
    let less = |value: &BoxedUint| value.wrapping_sub(&one);
    let inverse = |of: &BoxedUint, within: &BoxedUint| {
        let within = NonZero::new(within.clone()).into_option()?;
        of.rem(&within).invert_mod(&within).into_option()
    };
    let phi = less(p).concatenating_mul(&less(q));
    let d = inverse(exponent, &phi)?;
    let rest = |by: &BoxedUint| {
        let by = NonZero::new(less(by)).into_option()?;
        Some(d.rem(&by))
    };
    let mut key = Vec::new();
    for part in [&modulus, &d, p, q, &rest(p)?, &rest(q)?, &inverse(q, p)?] {
        let bytes = trimmed(part);
        key.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
        key.extend_from_slice(&bytes);
    }
    Some(key)
}
