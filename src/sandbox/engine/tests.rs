//! What the pool gives out again is as new, whichever way it is made so.

use wasmtime::{Instance, Store};

use super::super::snapshot;
use super::*;

/// A page of the machine.
const PAGE: usize = 4 << 10;
const WASM_PAGE: usize = 64 << 10;
/// What every sandbox leaves behind; no image holds it.
const SECRET: u8 = 0x5a;
/// How far a sandbox grows its memory, in WebAssembly pages.
const GROWN: usize = 100;

/// An image and the memory that its sandboxes begin with.
struct Sample {
    module: Module,
    memory: Vec<u8>,
}

/// `bytes` of data from `address`, with pages of zeros among them.
fn sample(engine: &wasmtime::Engine, address: usize, bytes: usize) -> Sample {
    let is_hole = |at: usize| (at / PAGE) % 7 < 3;
    let data: Vec<u8> = (0..bytes)
        .map(|at| {
            if is_hole(at) {
                0
            } else {
                u8::try_from(at % 83).unwrap()
            }
        })
        .collect();
    let encoded = snapshot::encode(u32::try_from(address).unwrap(), &data);
    let mut memory = vec![0; (address + bytes).next_multiple_of(WASM_PAGE)];
    memory[address..address + bytes].copy_from_slice(&data);
    Sample {
        module: mapped_module(engine, &encoded).unwrap(),
        memory,
    }
}

/// One sandbox: looks at every byte it got, then leaves secrets, on other pages each time.
fn live(engine: &wasmtime::Engine, sample: &Sample, round: usize) {
    let mut store = Store::new(engine, ());
    store.set_fuel(1_000_000).unwrap();
    let instance = Instance::new(&mut store, &sample.module, &[]).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert!(memory.data(&store) == sample.memory, "round {round}");
    memory.grow(&mut store, GROWN as u64).unwrap();
    let bytes = memory.data_mut(&mut store);
    let grown = &bytes[sample.memory.len()..];
    assert_eq!(grown.len(), GROWN * WASM_PAGE);
    assert!(grown.iter().all(|byte| *byte == 0), "round {round}");
    // All pages; then more separate ones than one scan of the kernel answers; then fewer.
    let step = [1, 2, 3, 40][round % 4];
    for page in bytes.chunks_mut(PAGE).step_by(step) {
        page.fill(SECRET);
    }
}

fn assert_memory_is_fresh(pagemap_scan: bool) {
    let folder = tempfile::tempdir().unwrap();
    // With a single slot, every sandbox gets the memory of the one before.
    let config = EngineConfig {
        sandboxes: 1,
        cache: folder.path().to_owned(),
        objection: None,
    };
    let reset = Reset {
        pagemap_scan,
        reason: String::new(),
    };
    let engine = wasmtime::Engine::new(&wasmtime_config(&config, &reset)).unwrap();
    let samples = [
        sample(&engine, 1 << 20, 900_000),
        sample(&engine, (1 << 20) + 16, 6_000_001),
        sample(&engine, 0, 10),
    ];
    for round in 0..40 {
        // Several of the same image in a row, and then another one.
        live(&engine, &samples[(round / 5) % 3], round);
    }
}

#[test]
fn memory_is_as_new_with_the_scan() {
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        assert_memory_is_fresh(true);
    }
}

#[test]
fn memory_is_as_new_without_the_scan() {
    assert_memory_is_fresh(false);
}

#[test]
fn the_engine_snapshot_is_written_again_when_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned(), "key".to_owned());
    let mut memory = vec![0; 3 * WASM_PAGE];
    memory[WASM_PAGE..2 * WASM_PAGE].fill(SECRET);
    let image = snapshot::encode(0, &memory);
    let base = cache.base(&image).unwrap();
    assert_eq!(base.bytes(), memory.len());
    assert!(base.map().unwrap()[..] == memory);

    let file = std::fs::read_dir(folder.path()).unwrap().next();
    let file = file.unwrap().unwrap().path();
    std::fs::write(&file, &memory[..PAGE]).unwrap();
    base.map().unwrap_err();
    assert!(cache.base(&image).unwrap().map().unwrap()[..] == memory);
}
