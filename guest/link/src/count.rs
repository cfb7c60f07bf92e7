//! Has the engine count which of its runs of instructions are executed how often, for [`crate::profile`].
//!
//! The counters, 64 bits each, are a memory of their own; whoever makes it can read them. Its size tells it
//! from the guest's.

use std::convert::Infallible;

use anyhow::{Result, ensure};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, Function, Instruction, MemArg, MemorySection, Module, SectionId};
use wasmparser::{FunctionBody, Parser};

use crate::engine::memory;
use crate::runs;

/// Size of the memory of counters, in pages of 64 KiB; the same is in `src/sandbox/memory/counters.rs`.
const PAGES: u64 = 97;
/// The guest's own memory is the first.
const COUNTERS: u32 = 1;
const COUNTER_BYTES: u64 = 8;

/// The engine with counters.
pub fn instrument(engine: &[u8]) -> Result<Vec<u8>> {
    let functions = runs::functions(engine)?;
    let counters: usize = functions.iter().map(|function| function.runs).sum();
    ensure!(
        counters as u64 * COUNTER_BYTES <= PAGES << 16,
        "{counters} counters have no room in {PAGES} pages"
    );
    let mut module = Module::new();
    let mut counting = Counting {
        functions: functions.into_iter(),
        counters: 0,
    };
    counting.parse_core_module(&mut module, Parser::new(0), engine)?;
    Ok(module.finish())
}

struct Counting {
    functions: std::vec::IntoIter<runs::Function>,
    /// Those of the functions before.
    counters: usize,
}

impl Reencode for Counting {
    type Error = Infallible;

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        if before == Some(SectionId::Global) {
            let mut memories = MemorySection::new();
            memories.memory(memory(PAGES));
            module.section(&memories);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let function = self.functions.next().expect("both read the same module");
        let before = self.counters;
        let counted = runs::with_more(self, &body, &function.starts, |counted, run| {
            count(counted, (before + run) as u64 * COUNTER_BYTES);
        })?;
        self.counters += function.runs;
        code.function(&counted);
        Ok(())
    }
}

/// Adds one to the counter at an address.
fn count(function: &mut Function, offset: u64) {
    let counter = MemArg {
        offset,
        align: 3,
        memory_index: COUNTERS,
    };
    function
        .instruction(&Instruction::I32Const(0))
        .instruction(&Instruction::I32Const(0))
        .instruction(&Instruction::I64Load(counter))
        .instruction(&Instruction::I64Const(1))
        .instruction(&Instruction::I64Add)
        .instruction(&Instruction::I64Store(counter));
}
