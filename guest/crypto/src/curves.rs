//! Elliptic curves: ECDSA and ECDH on the NIST curves, Ed25519, X25519.
//!
//! Private keys are numbers of the curve's own length, points are as in SEC 1, signatures are
//! `r || s`.

use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};

use crate::{Answer, Arguments, Failure};

/// What one curve can do; the same for all of them, whose types have nothing in common by name.
macro_rules! curve {
    ($name:ident, $curve:ident, $bytes:literal) => {
        mod $name {
            use $curve::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
            use $curve::ecdsa::{Signature, SigningKey, VerifyingKey};
            use $curve::elliptic_curve::ecdh::diffie_hellman;
            use $curve::elliptic_curve::sec1::ToSec1Point;
            use $curve::{PublicKey, SecretKey};

            use crate::{Answer, Failure};

            fn secret(key: &[u8]) -> Result<SecretKey, Failure> {
                if key.len() != $bytes {
                    return Err(Failure::Key);
                }
                SecretKey::from_slice(key).map_err(|_| Failure::Key)
            }

            fn point(point: &[u8]) -> Result<PublicKey, Failure> {
                PublicKey::from_sec1_bytes(point).map_err(|_| Failure::Key)
            }

            pub fn public(key: &[u8]) -> Answer {
                let public = secret(key)?.public_key();
                Ok(public.to_sec1_point(false).as_bytes().to_vec())
            }

            pub fn convert(given: &[u8], is_compressed: bool) -> Answer {
                let public = point(given)?;
                Ok(public.to_sec1_point(is_compressed).as_bytes().to_vec())
            }

            /// A hash as long as the curve's numbers: its leftmost bits, or zeros before it.
            fn fit(hash: &[u8]) -> [u8; $bytes] {
                let mut fitted = [0; $bytes];
                let len = hash.len().min($bytes);
                fitted[$bytes - len..].copy_from_slice(&hash[..len]);
                fitted
            }

            pub fn sign(key: &[u8], hash: &[u8]) -> Answer {
                let signer = SigningKey::from(secret(key)?);
                let signature: Signature =
                    signer.sign_prehash(&fit(hash)).map_err(|_| Failure::Key)?;
                Ok(signature.to_bytes().to_vec())
            }

            pub fn verify(given: &[u8], hash: &[u8], signature: &[u8]) -> Answer {
                let verifier = VerifyingKey::from(point(given)?);
                let is_right = Signature::from_slice(signature)
                    .is_ok_and(|it| verifier.verify_prehash(&fit(hash), &it).is_ok());
                Ok(vec![u8::from(is_right)])
            }

            pub fn agree(key: &[u8], given: &[u8]) -> Answer {
                let (secret, public) = (secret(key)?, point(given)?);
                let shared = diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
                Ok(shared.raw_secret_bytes().to_vec())
            }
        }
    };
}

curve!(short, p256, 32);
curve!(middle, p384, 48);
curve!(long, p521, 66);

/// Calls a function of the curve that the first argument names.
macro_rules! on_curve {
    ($name:expr, $function:ident ( $($argument:expr),* )) => {
        match $name? {
            "P-256" => short::$function($($argument),*),
            "P-384" => middle::$function($($argument),*),
            "P-521" => long::$function($($argument),*),
            _ => Err(Failure::Unknown),
        }
    };
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| Failure::Key)
}

/// Operations of this file; `None` for a name that is not one.
pub fn call(operation: &str, arguments: &Arguments<'_>) -> Option<Answer> {
    Some(match operation {
        "ecPublic" => ec_public(arguments),
        "ecConvert" => ec_convert(arguments),
        "ecSign" => ec_sign(arguments),
        "ecVerify" => ec_verify(arguments),
        "ecAgree" => ec_agree(arguments),
        "edPublic" => ed_public(arguments),
        "edSign" => ed_sign(arguments),
        "edVerify" => ed_verify(arguments),
        "xPublic" => x_public(arguments),
        "xAgree" => x_agree(arguments),
        _ => return None,
    })
}

/// `ecPublic(curve, key)`: the point, uncompressed.
fn ec_public(arguments: &Arguments<'_>) -> Answer {
    on_curve!(arguments.text(0), public(arguments.bytes(1)?))
}

/// `ecConvert(curve, point, 1 for compressed)`: the point, which is on the curve.
fn ec_convert(arguments: &Arguments<'_>) -> Answer {
    let is_compressed = arguments.number(2)? == 1;
    on_curve!(
        arguments.text(0),
        convert(arguments.bytes(1)?, is_compressed)
    )
}

/// `ecSign(curve, key, hash)`
fn ec_sign(arguments: &Arguments<'_>) -> Answer {
    on_curve!(
        arguments.text(0),
        sign(arguments.bytes(1)?, arguments.bytes(2)?)
    )
}

/// `ecVerify(curve, point, hash, signature)`: one byte, 1 or 0.
fn ec_verify(arguments: &Arguments<'_>) -> Answer {
    on_curve!(
        arguments.text(0),
        verify(
            arguments.bytes(1)?,
            arguments.bytes(2)?,
            arguments.bytes(3)?
        )
    )
}

/// `ecAgree(curve, key, point)`: the shared secret.
fn ec_agree(arguments: &Arguments<'_>) -> Answer {
    on_curve!(
        arguments.text(0),
        agree(arguments.bytes(1)?, arguments.bytes(2)?)
    )
}

/// `edPublic(seed)`
fn ed_public(arguments: &Arguments<'_>) -> Answer {
    let key = SigningKey::from_bytes(&array(arguments.bytes(0)?)?);
    Ok(key.verifying_key().to_bytes().to_vec())
}

/// `edSign(seed, data)`
fn ed_sign(arguments: &Arguments<'_>) -> Answer {
    let key = SigningKey::from_bytes(&array(arguments.bytes(0)?)?);
    Ok(key.sign(arguments.bytes(1)?).to_bytes().to_vec())
}

/// `edVerify(public key, data, signature)`: one byte, 1 or 0.
fn ed_verify(arguments: &Arguments<'_>) -> Answer {
    let key = VerifyingKey::from_bytes(&array(arguments.bytes(0)?)?);
    let signature = ed25519_dalek::Signature::from_slice(arguments.bytes(2)?);
    let is_right = match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify(arguments.bytes(1)?, &signature).is_ok(),
        _ => false,
    };
    Ok(vec![u8::from(is_right)])
}

/// `xPublic(key)`
fn x_public(arguments: &Arguments<'_>) -> Answer {
    let key = array(arguments.bytes(0)?)?;
    Ok(MontgomeryPoint::mul_base_clamped(key).to_bytes().to_vec())
}

/// `xAgree(key, public key)`; all zeros, which says nothing about the key, is refused.
fn x_agree(arguments: &Arguments<'_>) -> Answer {
    let point = MontgomeryPoint(array(arguments.bytes(1)?)?);
    let shared = point.mul_clamped(array(arguments.bytes(0)?)?).to_bytes();
    if shared.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(Failure::Key);
    }
    Ok(shared.to_vec())
}
