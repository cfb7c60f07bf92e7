//! The operations with addresses instead of slices, so that the tests of the JavaScript layer can
//! run them as WebAssembly: `cargo build --release --example abi --target wasm32-wasip1`.
//!
//! `operate` is given a block that `reserve` made: how many arguments, their lengths, and they
//! themselves, the name of the operation first. It answers a block: 1 or 0, a length, and that many
//! bytes. Numbers have four bytes, the lowest first. Blocks of answers are not given back.

#[cfg(target_arch = "wasm32")]
mod abi {
    use std::borrow::Cow;

    use ampoule_crypto::{Arguments, call};

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        fn random(address: *mut u8, len: usize);
    }

    fn fill(bytes: &mut [u8]) -> bool {
        // SAFETY: the test writes `len` bytes at this address.
        unsafe { random(bytes.as_mut_ptr(), bytes.len()) };
        true
    }

    fn leak(bytes: Vec<u8>) -> *mut u8 {
        Box::leak(bytes.into_boxed_slice()).as_mut_ptr()
    }

    #[unsafe(no_mangle)]
    extern "C" fn reserve(len: usize) -> *mut u8 {
        leak(vec![0; len])
    }

    #[unsafe(no_mangle)]
    extern "C" fn operate(block: *mut u8, len: usize) -> *mut u8 {
        // SAFETY: the block is one that `reserve` made with this length.
        let block = unsafe { Box::from_raw(std::slice::from_raw_parts_mut(block, len)) };
        let number = |index: usize| {
            let bytes = &block[4 * index..][..4];
            u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize
        };
        let count = number(0);
        let mut rest = &block[4 * (count + 1)..];
        let mut given = Vec::new();
        for len in (1..=count).map(number) {
            let (head, tail) = rest.split_at(len);
            rest = tail;
            given.push(Cow::Borrowed(head));
        }
        let operation = String::from_utf8_lossy(&given[0]);
        let arguments = Arguments {
            given: &given[1..],
            random: fill,
        };
        let (is_done, body) = match call(&operation, &arguments) {
            Ok(bytes) => (1_u32, bytes),
            Err(failure) => (0, failure.name().as_bytes().to_vec()),
        };
        let mut answer = is_done.to_le_bytes().to_vec();
        answer.extend_from_slice(&(body.len() as u32).to_le_bytes());
        answer.extend_from_slice(&body);
        leak(answer)
    }
}
