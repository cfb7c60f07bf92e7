//! A guest's memory as a core module of its own: the image that sandboxes start from.

use anyhow::{Context, Result, bail};
use wasm_encoder::{
    ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, Module,
};
use wasmparser::{Data, DataKind, MemorySectionReader, Operator, Parser, Payload};

/// A WebAssembly page.
pub const WASM_PAGE: usize = 64 << 10;
/// A page of the machine: what copy-on-write counts in.
const PAGE: usize = 4 << 10;
/// Zero pages between two runs of data that are stored rather than skipped.
const GAP_PAGES: usize = 2;

/// The name under which an image exports its memory, and the component imports it.
const MEMORY: &str = "memory";

/// Encodes memory that begins at `address` as an image: a module with one exported memory and
/// the pages that are not zero. `address` need not be a multiple of the page size.
pub fn encode(address: u32, memory: &[u8]) -> Vec<u8> {
    let start = usize::try_from(address).unwrap_or(usize::MAX);
    let pages = (start + memory.len()).div_ceil(WASM_PAGE);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages as u64,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export(MEMORY, ExportKind::Memory, 0);
    let mut data = DataSection::new();
    for (from, to) in runs(start, memory) {
        let at = u32::try_from(start + from).unwrap_or(u32::MAX);
        let offset = ConstExpr::i32_const(at.cast_signed());
        data.active(0, &offset, memory[from..to].iter().copied());
    }
    let mut module = Module::new();
    module.section(&memories).section(&exports).section(&data);
    module.finish()
}

/// An image of which nothing but the size of its memory is said, in bytes: a multiple of
/// [`WASM_PAGE`].
pub fn blank(bytes: usize) -> Vec<u8> {
    encode(u32::try_from(bytes).unwrap_or(u32::MAX), &[])
}

/// Ranges of `memory` that hold something else than zeros, cut at page borders.
fn runs(start: usize, memory: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    while from < memory.len() {
        let to = memory.len().min(from + PAGE - (start + from) % PAGE);
        if memory[from..to].iter().any(|&byte| byte != 0) {
            match runs.last_mut() {
                Some(last) if from - last.1 <= GAP_PAGES * PAGE => last.1 = to,
                _ => runs.push((from, to)),
            }
        }
        from = to;
    }
    runs
}

/// Size of the memory that an image defines, in bytes.
///
/// # Errors
/// If it is not an image.
pub fn memory_bytes(image: &[u8]) -> Result<usize> {
    for payload in Parser::new(0).parse_all(image) {
        if let Payload::MemorySection(section) = payload? {
            return declared_bytes(section);
        }
    }
    bail!("an image without memory")
}

fn declared_bytes(section: MemorySectionReader<'_>) -> Result<usize> {
    let declared = section.into_iter().next();
    let pages = declared.context("an image without memory")??.initial;
    let bytes = usize::try_from(pages)?.checked_mul(WASM_PAGE);
    bytes.context("an image too large")
}

/// The memory that an image defines, from address 0 to its end.
///
/// # Errors
/// If it is not an image.
pub fn decode(image: &[u8]) -> Result<Vec<u8>> {
    let mut memory = Vec::new();
    for payload in Parser::new(0).parse_all(image) {
        match payload? {
            Payload::MemorySection(section) => memory.resize(declared_bytes(section)?, 0),
            Payload::DataSection(section) => {
                for data in section {
                    fill(&mut memory, &data?)?;
                }
            }
            _ => {}
        }
    }
    Ok(memory)
}

fn fill(memory: &mut [u8], data: &Data<'_>) -> Result<()> {
    let DataKind::Active { offset_expr, .. } = &data.kind else {
        bail!("an image with passive data");
    };
    let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
        bail!("an image with data at an address that is not a constant");
    };
    let at = usize::try_from(value.cast_unsigned())?;
    let place = memory.get_mut(at..at + data.data.len());
    let place = place.context("an image with data beyond its memory")?;
    place.copy_from_slice(data.data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PAGE, WASM_PAGE, decode, encode, memory_bytes, runs};

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut data = vec![0; 50 * PAGE];
        data[3] = 1;
        data[30 * PAGE] = 2;
        let memory = decode(&encode(4096 + 16, &data)).unwrap();
        assert_eq!(
            memory.len(),
            (4096 + 16 + data.len()).next_multiple_of(WASM_PAGE)
        );
        assert!(memory[4096 + 16..][..data.len()] == data);
        assert!(memory[..4096 + 16].iter().all(|byte| *byte == 0));
        assert!(decode(b"no image").is_err());
        assert_eq!(memory_bytes(&encode(0, &memory)).unwrap(), memory.len());
        memory_bytes(b"no image").unwrap_err();
        memory_bytes(b"\0asm\x01\0\0\0").unwrap_err();
    }

    #[test]
    fn zero_pages_are_left_out_and_borders_are_kept() {
        let mut memory = vec![0; 20 * PAGE];
        memory[5] = 1;
        memory[10 * PAGE] = 1;
        memory[12 * PAGE] = 1;
        memory[20 * PAGE - 1] = 1;
        let found = runs(16, &memory);
        assert_eq!(found[0], (0, PAGE - 16));
        assert_eq!(found[1], (10 * PAGE - 16, 13 * PAGE - 16));
        assert_eq!(found.last().map(|run| run.1), Some(20 * PAGE));
    }
}
