//! Puts what is executed often together, and what is not out of its way (ADR 0034).
//!
//! Functions that are called often come first, in the order of the profile. Branches get hints, from
//! which wasmtime decides what a function's code begins with and what its end is for:
//! <https://github.com/WebAssembly/branch-hinting>. Where no branch leads that could have a hint, one that
//! is never taken is put where nothing is executed.

use std::collections::HashMap;
use std::convert::Infallible;

use anyhow::{Result, ensure};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, FunctionSection, Instruction, Module, SectionId,
};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

use crate::engine::copy;
use crate::profile::{self, Hint, Key, Known};
use crate::runs::{Function, functions, with_more};

/// The section in which hints are.
pub const HINTS: &str = "metadata.code.branch_hint";

/// The guest, arranged by a profile.
pub fn arrange(guest: &[u8], profile: &str) -> Result<Vec<u8>> {
    let known = profile::read(profile)?;
    let functions = functions(guest)?;
    let mut plan = Plan::new(&functions, &known, imported_functions(guest)?)?;
    let mut ordered = Module::new();
    plan.parse_core_module(&mut ordered, Parser::new(0), guest)?;
    let ordered = ordered.finish();
    // Where a branch is depends on what comes before it: so these are looked for last.
    let hints = plan.hints(&ordered)?;
    with_hints(&ordered, &hints)
}

/// Which function goes where, and what becomes of it.
struct Plan<'a> {
    /// Functions that are imported keep their numbers.
    imports: u32,
    functions: &'a [Function],
    /// What is known of each.
    known: Vec<Option<&'a Known>>,
    /// For each place, the function that comes there.
    old: Vec<usize>,
    /// For each function, its place.
    new: Vec<u32>,
}

impl<'a> Plan<'a> {
    /// Those that are known in the order of the profile, then all others as they were.
    fn new(
        functions: &'a [Function],
        known: &'a HashMap<Key, Known>,
        imports: u32,
    ) -> Result<Self> {
        let keys = profile::keys(functions);
        let known: Vec<Option<&Known>> = keys.iter().map(|key| known.get(key)).collect();
        for (function, known) in functions.iter().zip(&known) {
            let fits = known.is_none_or(|known| {
                let arms = &function.arms;
                let is_there = |(arm, depths): &(usize, Vec<u32>)| {
                    let labels = arms.get(*arm).map_or(0, |arm| arm.labels.len());
                    depths.iter().all(|depth| (*depth as usize) < labels)
                };
                known.hints.len() == function.branches.len() && known.marks.iter().all(is_there)
            });
            ensure!(fits, "profile.txt does not fit {:016x}", function.shape);
        }
        let rank = |old: &usize| known[*old].map_or(usize::MAX, |known| known.rank);
        let mut old: Vec<usize> = (0..functions.len()).collect();
        old.sort_by_key(rank);
        let mut new = vec![0; old.len()];
        for (place, old) in (0..).zip(&old) {
            new[*old] = place;
        }
        Ok(Self {
            imports,
            functions,
            known,
            old,
            new,
        })
    }

    /// Branches that are never taken to what has to be marked, by the operators before them.
    fn marks(&self, old: usize) -> Vec<(usize, u32)> {
        let known = self.known[old].into_iter();
        let marks = known
            .flat_map(|known| &known.marks)
            .flat_map(|(arm, depths)| {
                let behind = self.functions[old].arms[*arm].behind;
                depths.iter().map(move |depth| (behind, *depth))
            });
        marks.collect()
    }

    /// Hints for a guest whose functions are in order and have their marks.
    fn hints(&self, ordered: &[u8]) -> Result<BranchHints> {
        let mut section = BranchHints::new();
        let functions = functions(ordered)?;
        for (index, (function, old)) in (self.imports..).zip(functions.iter().zip(&self.old)) {
            let Some(known) = self.known[*old] else {
                continue;
            };
            let branches = self.functions[*old].branches.iter().zip(&known.hints);
            let branches = branches.map(|(branch, hint)| ((branch.behind, true), *hint));
            let marks = self.marks(*old).into_iter();
            let marks = marks.map(|(behind, _)| ((behind, false), Some(false)));
            let mut hints: Vec<((usize, bool), Hint)> = branches.chain(marks).collect();
            hints.sort_by_key(|(place, _)| *place);
            ensure!(hints.len() == function.branches.len(), "a branch too many");
            let hints = hints.into_iter().zip(&function.branches);
            let hints: Vec<BranchHint> = hints
                .filter_map(|((_, hint), branch)| {
                    Some(BranchHint {
                        branch_func_offset: branch.offset,
                        branch_hint_value: u32::from(hint?),
                    })
                })
                .collect();
            if !hints.is_empty() {
                section.function_hints(index, hints);
            }
        }
        Ok(section)
    }
}

impl Reencode for Plan<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error<Self::Error>> {
        let defined = function.checked_sub(self.imports);
        Ok(defined.map_or(function, |old| self.imports + self.new[old as usize]))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for old in &self.old {
            functions.function(types[*old]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for old in self.old.clone() {
            let marks = self.marks(old);
            let marked = with_more(self, &bodies[old], &marks, |marked, depth| {
                marked.instruction(&Instruction::I32Const(0));
                marked.instruction(&Instruction::BrIf(depth));
            })?;
            code.function(&marked);
        }
        Ok(())
    }
}

fn imported_functions(wasm: &[u8]) -> Result<u32> {
    let mut count = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                count += u32::from(matches!(import?.ty, TypeRef::Func(_)));
            }
        }
    }
    Ok(count)
}

fn with_hints(guest: &[u8], hints: &BranchHints) -> Result<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(guest) {
        let Some((id, range)) = payload?.as_section() else {
            continue;
        };
        if id == u8::from(SectionId::Code) {
            module.section(hints);
        }
        copy(&mut module, guest, id, range);
    }
    Ok(module.finish())
}

#[cfg(test)]
mod tests {
    use wasmparser::KnownCustom;

    use super::*;
    use crate::engine::part;

    const GUEST: &str = r#"(module
        (memory 1)
        (func $first (export "first") (call $second))
        (func $second (if (i32.const 1) (then (call $third)) (else (call $first))))
        (func $third (nop)))"#;

    /// A profile that begins with the function of this number.
    fn profile(guest: &[u8], first: usize, hints: &str) -> String {
        let shape = functions(guest).unwrap()[first].shape;
        format!("{shape:016x} {hints}\n")
    }

    /// All sections but the ones that may be left out.
    fn sections(wasm: &[u8]) -> Vec<(u8, &[u8])> {
        let payloads = Parser::new(0).parse_all(wasm);
        let sections = payloads.filter_map(|payload| payload.unwrap().as_section());
        sections
            .filter(|(id, _)| *id != u8::from(SectionId::Custom))
            .map(|(id, range)| (id, part(wasm, range)))
            .collect()
    }

    fn hinted(wasm: &[u8]) -> Vec<(u32, u32, bool)> {
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            if let Payload::CustomSection(section) = payload.unwrap()
                && let KnownCustom::BranchHints(functions) = section.as_known()
            {
                for function in functions {
                    let function = function.unwrap();
                    for hint in function.hints {
                        let hint = hint.unwrap();
                        all.push((function.func, hint.func_offset, hint.taken));
                    }
                }
            }
        }
        all
    }

    #[test]
    fn what_is_known_comes_first_and_calls_go_where_they_went() {
        let guest = wat::parse_str(GUEST).unwrap();
        let arranged = arrange(&guest, &profile(&guest, 1, "n")).unwrap();
        wasmparser::Validator::new()
            .validate_all(&arranged)
            .unwrap();
        // Locals, two bytes of the constant, and then the `if`.
        assert_eq!(hinted(&arranged), [(0, 3, false)]);
        let second_first = r#"(module
            (memory 1)
            (func $second (if (i32.const 1) (then (call $third)) (else (call $first))))
            (func $first (export "first") (call $second))
            (func $third (nop)))"#;
        let expected = wat::parse_str(second_first).unwrap();
        assert_eq!(sections(&arranged), sections(&expected));
    }

    #[test]
    fn a_mark_is_a_branch_that_is_never_taken() {
        let guest = r#"(module (memory 1) (func (param i32)
            (block $end
                (if (local.get 0) (then (nop)))
                (br_if $end (local.get 0)))))"#;
        let guest = wat::parse_str(guest).unwrap();
        let arranged = arrange(&guest, &profile(&guest, 0, "n- 0:1")).unwrap();
        let marked = r#"(module (memory 1) (func (param i32)
            (block $end
                (if (local.get 0) (then (br_if $end (i32.const 0)) (nop)))
                (br_if $end (local.get 0)))))"#;
        let marked = wat::parse_str(marked).unwrap();
        assert_eq!(sections(&arranged), sections(&marked));
        // Locals, a block of two bytes, two of the local, the `if` of two, two of the constant.
        assert_eq!(hinted(&arranged), [(0, 5, false), (0, 9, false)]);
        assert!(arrange(&guest, &profile(&guest, 0, "n- 0:3")).is_err());
        assert!(arrange(&guest, &profile(&guest, 0, "n- 2:0")).is_err());
    }

    #[test]
    fn what_is_not_known_stays_as_it_is() {
        let guest = wat::parse_str(GUEST).unwrap();
        let arranged = arrange(&guest, "# nothing\n").unwrap();
        let shapes = |wasm| -> Vec<u64> {
            let functions = functions(wasm).unwrap();
            functions.iter().map(|function| function.shape).collect()
        };
        assert_eq!(shapes(&arranged), shapes(&guest));
        assert!(hinted(&arranged).is_empty());
        assert!(arrange(&guest, &profile(&guest, 1, "nn")).is_err());
    }
}
