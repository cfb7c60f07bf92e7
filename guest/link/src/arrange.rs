//! Puts what is executed often together, and what is not out of its way (ADR 0034).
//!
//! Functions that are called often come first, in the order of the profile. Branches get hints, from
//! which wasmtime decides what a function's code begins with and what its end is for:
//! <https://github.com/WebAssembly/branch-hinting>.

use std::collections::HashMap;
use std::convert::Infallible;

use anyhow::{Result, ensure};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, FunctionSection, Module, RawSection, SectionId,
};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

use crate::engine::part;
use crate::profile::{self, Key, Known};
use crate::runs::functions;

/// The section in which hints are.
pub const HINTS: &str = "metadata.code.branch_hint";

/// The guest, arranged by a profile.
pub fn arrange(guest: &[u8], profile: &str) -> Result<Vec<u8>> {
    let known = profile::read(profile)?;
    let keys = profile::keys(&functions(guest)?);
    let mut order = Order::new(&keys, &known, imported_functions(guest)?);
    let mut ordered = Module::new();
    order.parse_core_module(&mut ordered, Parser::new(0), guest)?;
    let ordered = ordered.finish();
    // Where a branch is depends on the numbers of functions before it: so these come first.
    let keys: Vec<Key> = order.old.iter().map(|old| keys[*old]).collect();
    let hints = hints(&ordered, &keys, &known, order.imports)?;
    with_hints(&ordered, &hints)
}

/// Which function goes where.
struct Order {
    /// Functions that are imported keep their numbers.
    imports: u32,
    /// For each place, the function that comes there.
    old: Vec<usize>,
    /// For each function, its place.
    new: Vec<u32>,
}

impl Order {
    /// Those that are known in the order of the profile, then all others as they were.
    fn new(keys: &[Key], known: &HashMap<Key, Known>, imports: u32) -> Self {
        let rank = |old: &usize| {
            known
                .get(&keys[*old])
                .map_or(usize::MAX, |known| known.rank)
        };
        let mut old: Vec<usize> = (0..keys.len()).collect();
        old.sort_by_key(rank);
        let mut new = vec![0; old.len()];
        for (place, old) in (0..).zip(&old) {
            new[*old] = place;
        }
        Self { imports, old, new }
    }

    /// The same of each function, in their new order.
    fn pick<T: Clone>(&self, all: &[T]) -> impl Iterator<Item = T> {
        self.old.iter().map(|old| all[*old].clone())
    }
}

impl Reencode for Order {
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
        for ty in self.pick(&types) {
            functions.function(ty);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        let picked: Vec<_> = self.pick(&bodies).collect();
        for body in picked {
            self.parse_function_body(code, body)?;
        }
        Ok(())
    }
}

fn hints(
    guest: &[u8],
    keys: &[Key],
    known: &HashMap<Key, Known>,
    imports: u32,
) -> Result<BranchHints> {
    let mut section = BranchHints::new();
    for (index, (function, key)) in (imports..).zip(functions(guest)?.iter().zip(keys)) {
        let Some(known) = known.get(key) else {
            continue;
        };
        ensure!(
            known.hints.len() == function.branches.len(),
            "profile.txt has not one hint for each branch of {:016x}",
            key.0
        );
        let pairs = function.branches.iter().zip(&known.hints);
        let hints: Vec<BranchHint> = pairs
            .filter_map(|(branch, hint)| {
                Some(BranchHint {
                    branch_func_offset: branch.offset,
                    branch_hint_value: u32::from((*hint)?),
                })
            })
            .collect();
        if !hints.is_empty() {
            section.function_hints(index, hints);
        }
    }
    Ok(section)
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
        module.section(&RawSection {
            id,
            data: part(guest, range),
        });
    }
    Ok(module.finish())
}

#[cfg(test)]
mod tests {
    use wasmparser::KnownCustom;

    use super::*;

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
