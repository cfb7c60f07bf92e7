//! Published test vectors: FIPS 180 and 202, NIST SP 800-38A, RFC 3394, 4231, 5869, 6070, 6979,
//! 7539, 7748, 7914 and 8032, and the GCM specification.

use std::borrow::Cow;

use ampoule_crypto::{Arguments, Failure, call};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Not random at all, but the tests do not depend on that.
fn random(bytes: &mut [u8]) -> bool {
    use std::cell::Cell;
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    for byte in bytes {
        let mut x = STATE.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        STATE.set(x);
        *byte = (x >> 32) as u8;
    }
    true
}

fn run(operation: &str, given: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    let given: Vec<Cow<'_, [u8]>> = given.iter().map(|one| Cow::Borrowed(*one)).collect();
    call(
        operation,
        &Arguments {
            given: &given,
            random,
        },
    )
}

fn made(operation: &str, given: &[&[u8]]) -> String {
    hex(&run(operation, given).expect("the operation works"))
}

#[test]
fn hashes_of_abc() {
    let expected = [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "sha224",
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            "sha256",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "sha384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358\
             baeca134c825a7",
        ),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836\
             ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            "sha512-224",
            "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa",
        ),
        (
            "sha512-256",
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
        ),
        (
            "sha3-224",
            "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
        ),
        (
            "sha3-256",
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        (
            "sha3-384",
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539\
             f1edf228376d25",
        ),
        (
            "sha3-512",
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a\
             7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
    ];
    for (name, digest) in expected {
        assert_eq!(made("hash", &[name.as_bytes(), b"abc"]), digest, "{name}");
        let state = run("hashBegin", &[name.as_bytes()]).unwrap();
        run("hashUpdate", &[&state, b"a"]).unwrap();
        let copy = run("hashCopy", &[&state]).unwrap();
        run("hashUpdate", &[&copy, b"bc"]).unwrap();
        assert_eq!(made("hashFinish", &[&copy]), digest, "{name}");
        run("hashFinish", &[&state]).unwrap();
        assert_eq!(run("hashFinish", &[&state]), Err(Failure::Argument));
    }
    assert_eq!(run("hash", &[b"md4", b""]), Err(Failure::Unknown));
}

#[test]
fn codes_and_derived_keys() {
    let code = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let data = b"what do ya want for nothing?";
    assert_eq!(made("hmac", &[b"sha256", b"Jefe", data]), code);
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
    assert_eq!(
        made("hmac", &[b"sha512", &[0xaa; 131], long]),
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd22\
         15d6a1e5295e64f73f63f0aec8b915a985d786598"
    );
    assert_eq!(
        made("pbkdf2", &[b"sha1", b"password", b"salt", b"4096", b"20"]),
        "4b007901b765489abead49d926f721d065a429c1"
    );
    assert_eq!(
        made("pbkdf2", &[b"sha3-256", b"password", b"salt", b"2", b"40"]),
        "4c915baedd1773383e77fcfe38114ca7514010adec24b47290ec170208423f76f876ee35e753a3f7"
    );
    assert_eq!(
        made("scrypt", &[b"password", b"NaCl", b"10", b"8", b"16", b"64"]),
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff1092\
         79d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    );
    let (salt, info) = (
        bytes("000102030405060708090a0b0c"),
        bytes("f0f1f2f3f4f5f6f7f8f9"),
    );
    assert_eq!(
        made("hkdf", &[b"sha256", &[0x0b; 22], &salt, &info, b"42"]),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
}

#[test]
fn bounds_are_kept() {
    let huge: &[&[u8]] = &[b"sha1", b"", b"", b"1", b"4294967295"];
    assert_eq!(run("pbkdf2", huge), Err(Failure::Memory));
    for log in [&b"21"[..], b"63", b"4294967295"] {
        let given: &[&[u8]] = &[b"", b"", log, b"8", b"1", b"1"];
        assert_eq!(run("scrypt", given), Err(Failure::Memory));
    }
    assert_eq!(
        run("hkdf", &[b"sha1", b"", b"", b"", b"5101"]),
        Err(Failure::Length)
    );
    assert_eq!(run("rsaGenerate", &[b"8193", &[3]]), Err(Failure::Length));
    assert_eq!(run("rsaGenerate", &[b"511", &[3]]), Err(Failure::Length));
    assert_eq!(run("rsaPublic", &[&[], &[3], &[1]]), Err(Failure::Key));
    assert_eq!(run("rsaPublic", &[&[4], &[3], &[1]]), Err(Failure::Key));
    assert_eq!(run("hash", &[b"md5"]), Err(Failure::Argument));
    assert_eq!(run("hashUpdate", &[b"99", b""]), Err(Failure::Argument));
    assert_eq!(run("nothing", &[]), Err(Failure::Unknown));
}

fn encrypt(mode: &str, key: &str, iv: &str, additional: &str, data: &[u8]) -> String {
    let flags = if mode == "cbc" { b"0" } else { b"1" };
    let given: &[&[u8]] = &[mode.as_bytes(), &bytes(key), &bytes(iv), b"1", flags];
    let state = run("cipherBegin", given).unwrap();
    if !additional.is_empty() {
        run("cipherAad", &[&state, &bytes(additional)]).unwrap();
    }
    let mut out = String::new();
    for chunk in data.chunks(7) {
        out += &made("cipherUpdate", &[&state, chunk]);
    }
    out + &made("cipherFinish", &[&state, b""])
}

#[test]
fn ciphers() {
    let block = bytes("6bc1bee22e409f96e93d7e117393172a");
    assert_eq!(
        encrypt(
            "cbc",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "",
            &block
        ),
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6"
    );
    assert_eq!(
        encrypt(
            "ctr",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "",
            &block
        ),
        "1abc932417521ca24f2b0459fe7e6e0b"
    );
    let plain = bytes(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24\
         49a6b525b16aedf5aa0de657ba637b39",
    );
    assert_eq!(
        encrypt(
            "gcm",
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            &plain
        ),
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5a\
         ac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"
    );
    let sunscreen = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
        for the future, sunscreen would be it.";
    let key: String = (0x80..0xa0).map(|byte: u8| format!("{byte:02x}")).collect();
    assert_eq!(
        encrypt(
            "chacha20-poly1305",
            &key,
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            sunscreen
        ),
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69\
         da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad67594\
         5585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
    );
}

#[test]
fn a_changed_message_is_not_decrypted() {
    let (key, iv) = ([1_u8; 32], [2_u8; 12]);
    let begin = |encrypting: &'static [u8]| {
        run("cipherBegin", &[b"gcm", &key, &iv, encrypting, b"0"]).unwrap()
    };
    let state = begin(b"1");
    let mut secret = run("cipherUpdate", &[&state, b"message"]).unwrap();
    let tag = run("cipherFinish", &[&state, b""]).unwrap();
    for change in [0, 1] {
        secret[3] ^= change;
        let state = begin(b"0");
        let plain = run("cipherUpdate", &[&state, &secret]).unwrap();
        let end = run("cipherFinish", &[&state, &tag]);
        assert_eq!(
            (end == Ok(vec![]), &plain == b"message"),
            (change == 0, change == 0)
        );
    }
    let state = begin(b"0");
    assert_eq!(run("cipherFinish", &[&state, b""]), Err(Failure::Authentic));
}

#[test]
fn wrapped_keys() {
    let key = bytes("000102030405060708090a0b0c0d0e0f");
    let data = bytes("00112233445566778899aabbccddeeff");
    let wrapped = run("keyWrap", &[&key, &data]).unwrap();
    assert_eq!(
        hex(&wrapped),
        "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"
    );
    assert_eq!(run("keyUnwrap", &[&key, &wrapped]), Ok(data));
    assert_eq!(run("keyUnwrap", &[&key, &[0; 24]]), Err(Failure::Authentic));
}

#[test]
fn signatures_on_p256() {
    let key = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let point = run("ecPublic", &[b"P-256", &key]).unwrap();
    assert_eq!(
        hex(&point),
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9\
         e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    );
    let hash = run("hash", &[b"sha256", b"sample"]).unwrap();
    let signature = run("ecSign", &[b"P-256", &key, &hash]).unwrap();
    assert_eq!(
        hex(&signature),
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1\
         b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    );
    let given: &[&[u8]] = &[b"P-256", &point, &hash, &signature];
    assert_eq!(run("ecVerify", given), Ok(vec![1]));
    let other = run("hash", &[b"sha256", b"other"]).unwrap();
    let given: &[&[u8]] = &[b"P-256", &point, &other, &signature];
    assert_eq!(run("ecVerify", given), Ok(vec![0]));
    assert_eq!(run("ecPublic", &[b"P-256", &[0; 32]]), Err(Failure::Key));
    assert_eq!(run("ecPublic", &[b"P-256", &[1; 31]]), Err(Failure::Key));
    assert_eq!(run("ecPublic", &[b"P-255", &key]), Err(Failure::Unknown));
}

#[test]
fn every_curve_signs_agrees_and_compresses() {
    for (curve, len) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
        let curve = curve.as_bytes();
        let mut keys = [vec![3; len], vec![7; len]];
        keys.iter_mut().for_each(|key| key[0] = 0);
        let points = [0, 1].map(|i| run("ecPublic", &[curve, &keys[i]]).unwrap());
        assert_eq!(
            run("ecAgree", &[curve, &keys[0], &points[1]]),
            run("ecAgree", &[curve, &keys[1], &points[0]])
        );
        for hash_len in [20, 32, 64] {
            let hash = vec![0x5a; hash_len];
            let signature = run("ecSign", &[curve, &keys[0], &hash]).unwrap();
            let given: &[&[u8]] = &[curve, &points[0], &hash, &signature];
            assert_eq!(run("ecVerify", given), Ok(vec![1]), "{hash_len}");
            let given: &[&[u8]] = &[curve, &points[1], &hash, &signature];
            assert_eq!(run("ecVerify", given), Ok(vec![0]), "{hash_len}");
        }
        let short = run("ecConvert", &[curve, &points[0], b"1"]).unwrap();
        assert_eq!(short.len(), len + 1);
        assert_eq!(
            run("ecConvert", &[curve, &short, b"0"]).as_ref(),
            Ok(&points[0])
        );
    }
}

#[test]
fn ed25519_and_x25519() {
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let public = run("edPublic", &[&seed]).unwrap();
    assert_eq!(
        hex(&public),
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    );
    let signature = run("edSign", &[&seed, &[0x72]]).unwrap();
    assert_eq!(
        hex(&signature),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613\
         d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
    assert_eq!(
        run("edVerify", &[&public, &[0x72], &signature]),
        Ok(vec![1])
    );
    assert_eq!(
        run("edVerify", &[&public, &[0x73], &signature]),
        Ok(vec![0])
    );
    let alice = bytes("77076d0a7318a57d3c16c17251b26645c6c2f6c0d3ef4b7f0ea3e7a8c1c9e1a0");
    let bob = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let [one, two] = [&alice, &bob].map(|key| run("xPublic", &[key]).unwrap());
    assert_eq!(
        hex(&two),
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    );
    assert_eq!(run("xAgree", &[&alice, &two]), run("xAgree", &[&bob, &one]));
    assert_eq!(run("xAgree", &[&alice, &[0; 32]]), Err(Failure::Key));
}

#[test]
fn a_new_rsa_key_signs_and_is_checked() {
    let key = run("rsaGenerate", &[b"512", &[1, 0, 1]]).unwrap();
    let mut parts = Vec::new();
    let mut rest = &key[..];
    while let [high, low, tail @ ..] = rest {
        let (part, tail) = tail.split_at(usize::from(*high) * 256 + usize::from(*low));
        parts.push(part);
        rest = tail;
    }
    let [n, d, p, q, dp, dq, qi] = parts[..] else {
        panic!("{} parts", parts.len());
    };
    assert_eq!(n.len(), 64);
    let e = &[1_u8, 0, 1];
    let data = [0x17; 63];
    let signed = run("rsaPrivate", &[n, e, d, p, q, dp, dq, qi, &data]).unwrap();
    let back = run("rsaPublic", &[n, e, &signed]).unwrap();
    assert_eq!(back[1..], data);
    let wrong = run("rsaPrivate", &[n, e, d, p, q, dq, dp, qi, &data]);
    assert_eq!(wrong, Err(Failure::Key));
    assert_eq!(run("rsaPublic", &[n, e, &[0xff; 64]]), Err(Failure::Length));
    assert_eq!(run("primeCheck", &[p]), Ok(vec![1]));
    assert_eq!(run("primeCheck", &[n]), Ok(vec![0]));
    let prime = run("primeMake", &[b"64", b"1"]).unwrap();
    assert_eq!(run("primeCheck", &[&prime]), Ok(vec![1]));
}

#[test]
fn without_randomness_no_keys_are_made() {
    let given = [Cow::Borrowed(&b"512"[..]), Cow::Borrowed(&[3][..])];
    let arguments = Arguments {
        given: &given,
        random: |_| false,
    };
    assert_eq!(call("rsaGenerate", &arguments), Err(Failure::Random));
}
