use super::{HEADER_BYTES, Overlay};

const SEED: u64 = 20_261_121;

/// Numbers that look random and are the same in every run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = SEED;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    }
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap()
}

#[test]
fn applied_to_the_base_it_gives_the_memory_back() {
    let mut number = numbers();
    for _ in 0..200 {
        let address = number(300) * 16;
        let mut base: Vec<u8> = (0..address + number(40_000))
            .map(|at| byte(at % 251))
            .collect();
        base[..address].fill(0);
        let mut memory = base[address..].to_vec();
        memory.resize(memory.len() + number(3) * 5000, 0);
        for _ in 0..number(60) {
            if !memory.is_empty() {
                let at = number(memory.len());
                memory[at] = memory[at].wrapping_add(byte(number(256)));
            }
        }
        let overlay = Overlay::between(&base, address, &memory);
        let read = Overlay::decode(&overlay.encode()).unwrap();
        assert_eq!(read, overlay);
        let whole = read.apply(&base, 0);
        assert_eq!(whole.len(), address + memory.len());
        assert!(whole[address..] == memory);
        assert!(whole[..address].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_is_the_same_is_left_out() {
    let base = vec![7; 100_000];
    assert!(Overlay::between(&base, 0, &base).parts().is_empty());
    let mut memory = base.clone();
    memory[50_001] = 8;
    let parts = Overlay::between(&base, 0, &memory);
    assert_eq!(parts.parts().len(), 16, "one word and its header");
    // Memory that grew, and was not used.
    memory[50_001] = 7;
    memory.resize(200_000, 0);
    let grown = Overlay::between(&base, 0, &memory);
    assert!(grown.parts().is_empty());
    assert_eq!(grown.memory_bytes(), 200_000);
    assert_eq!(grown.apply(&base, 300_000).len(), 300_000);
}

#[test]
fn what_is_not_whole_is_refused() {
    let memory: Vec<u8> = (0..1000).map(|at| byte(at % 7)).collect();
    let encoded = Overlay::between(&[], 16, &memory).encode();
    assert!(Overlay::decode(&encoded).is_ok());
    for end in 0..encoded.len() {
        assert!(Overlay::decode(&encoded[..end]).is_err(), "{end} bytes");
    }
    for at in [0, 7, HEADER_BYTES - 1, HEADER_BYTES, encoded.len() - 1] {
        let mut damaged = encoded.clone();
        damaged[at] ^= 1;
        assert!(Overlay::decode(&damaged).is_err(), "byte {at}");
    }
    // A memory that is smaller than what its parts fill.
    let mut damaged = encoded;
    damaged[8..16].copy_from_slice(&500_u64.to_le_bytes());
    assert!(Overlay::decode(&damaged).is_err());
}
