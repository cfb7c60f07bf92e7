//! What an engine keeps on disk.

use super::super::snapshot;
use super::*;

/// A page of the machine.
const PAGE: usize = 4 << 10;
const WASM_PAGE: usize = snapshot::WASM_PAGE;

#[test]
fn the_engine_snapshot_is_written_again_when_it_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned(), "key".to_owned());
    let mut memory = vec![0; 3 * WASM_PAGE];
    memory[WASM_PAGE..2 * WASM_PAGE].fill(0x5a);
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
