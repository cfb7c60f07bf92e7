//! Takes the guest apart: its code on one side, its memory on the other.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    ConstExpr, DataSection, EntityType, ExportKind, ExportSection, ImportSection, MemorySection,
    MemoryType, Module, RawSection, SectionId,
};
use wasmparser::{
    ConstExpr as ParsedConst, DataKind, FuncType, Operator, Parser, Payload, TypeRef,
};

use crate::arrange::HINTS;

/// The exports of the engine that the component lifts.
pub const LIFTED: [&str; 5] = ["compile", "prepare", "load", "start", "resume"];
/// Where the engine imports its memory from.
pub const MEMORY: (&str, &str) = ("env", "memory");

/// A function that the engine imports from the host.
pub struct Import {
    pub module: String,
    pub name: String,
}

/// The guest in two parts, and what the component has to know of it.
pub struct Split {
    pub engine: Vec<u8>,
    pub image: Vec<u8>,
    pub imports: Vec<Import>,
    /// Types of the functions in [`LIFTED`].
    pub lifted: Vec<FuncType>,
    /// Address of the scratch buffer's state, with which `AMPOULE_HOT` begins.
    pub scratch: u32,
}

/// Splits the guest.
pub fn split(wasm: &[u8]) -> Result<Split> {
    let mut parts = Parts::default();
    let mut engine = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        parts.take(payload?, wasm, &mut engine)?;
    }
    let memory = parts.memory.context("the guest defines no memory")?;
    ensure!(
        parts.mutable_globals == 1,
        "the guest has {} mutable globals, but a snapshot keeps only the stack pointer",
        parts.mutable_globals
    );
    let lifted = LIFTED
        .iter()
        .map(|name| parts.exported_type(name))
        .collect::<Result<_>>()?;
    Ok(Split {
        engine: engine.finish(),
        image: image(memory.minimum, &parts.data),
        lifted,
        scratch: parts.scratch.context("the guest exports no AMPOULE_HOT")?,
        imports: parts.imports,
    })
}

#[derive(Default)]
struct Parts {
    types: Vec<FuncType>,
    imports: Vec<Import>,
    functions: Vec<u32>,
    exports: Vec<(String, u32)>,
    memory: Option<MemoryType>,
    mutable_globals: usize,
    globals: Vec<Option<u32>>,
    scratch: Option<u32>,
    data: Vec<(u32, Vec<u8>)>,
}

impl Parts {
    fn take(&mut self, payload: Payload<'_>, wasm: &[u8], engine: &mut Module) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.into_types() {
                        self.types.push(ty.unwrap_func().clone());
                    }
                }
                copy(engine, wasm, 1, section.range());
            }
            Payload::ImportSection(section) => self.import_section(section, engine)?,
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.functions.push(ty?);
                }
                copy(engine, wasm, 3, section.range());
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    ensure!(self.memory.is_none(), "the guest has several memories");
                    self.memory = Some(RoundtripReencoder.memory_type(memory?)?);
                }
                // The imported memory comes before everything else, so this stays memory 0.
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    let global = global?;
                    self.mutable_globals += usize::from(global.ty.mutable);
                    self.globals.push(constant(&global.init_expr));
                }
                copy(engine, wasm, 6, section.range());
            }
            Payload::ExportSection(section) => self.export_section(section, engine)?,
            // A start function would wipe the snapshot, data would overwrite it.
            Payload::StartSection { .. } => bail!("the guest has a start function"),
            Payload::DataCountSection { .. } => {}
            Payload::DataSection(section) => self.data_section(section)?,
            Payload::TableSection(section) => copy(engine, wasm, 4, section.range()),
            Payload::ElementSection(section) => copy(engine, wasm, 9, section.range()),
            Payload::CodeSectionStart { range, .. } => copy(engine, wasm, 10, range),
            Payload::CustomSection(section) if section.name() == HINTS => {
                copy(engine, wasm, u8::from(SectionId::Custom), section.range());
            }
            Payload::Version { .. }
            | Payload::CodeSectionEntry(_)
            | Payload::CustomSection(_)
            | Payload::End(_) => {}
            other => bail!("the guest has an unexpected section: {other:?}"),
        }
        Ok(())
    }

    fn import_section(
        &mut self,
        section: wasmparser::ImportSectionReader<'_>,
        engine: &mut Module,
    ) -> Result<()> {
        let mut imports = ImportSection::new();
        // The declared size is that of the smallest image; the real memory is never smaller.
        imports.import(MEMORY.0, MEMORY.1, EntityType::Memory(memory(1)));
        for import in section.into_imports() {
            let import = import?;
            let TypeRef::Func(ty) = import.ty else {
                bail!(
                    "the guest imports {}.{}, not a function",
                    import.module,
                    import.name
                );
            };
            imports.import(import.module, import.name, EntityType::Function(ty));
            self.imports.push(Import {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
            });
        }
        engine.section(&imports);
        Ok(())
    }

    fn export_section(
        &mut self,
        section: wasmparser::ExportSectionReader<'_>,
        engine: &mut Module,
    ) -> Result<()> {
        let mut exports = ExportSection::new();
        for export in section {
            let export = export?;
            match export.kind {
                wasmparser::ExternalKind::Func if LIFTED.contains(&export.name) => {
                    exports.export(export.name, ExportKind::Func, export.index);
                    self.exports.push((export.name.to_owned(), export.index));
                }
                wasmparser::ExternalKind::Global if export.name == "AMPOULE_HOT" => {
                    self.scratch = self.globals[export.index as usize];
                }
                _ => {}
            }
        }
        engine.section(&exports);
        Ok(())
    }

    fn data_section(&mut self, section: wasmparser::DataSectionReader<'_>) -> Result<()> {
        for data in section {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = data.kind else {
                bail!("the guest has passive data");
            };
            let offset =
                constant(&offset_expr).context("data at an address that is no constant")?;
            self.data.push((offset, data.data.to_vec()));
        }
        Ok(())
    }

    fn exported_type(&self, name: &str) -> Result<FuncType> {
        let (_, index) = self
            .exports
            .iter()
            .find(|(export, _)| export == name)
            .with_context(|| format!("the guest does not export {name}"))?;
        let ty = self.functions[*index as usize - self.imports.len()];
        Ok(self.types[ty as usize].clone())
    }
}

/// A memory of at least so many pages of 64 KiB.
pub fn memory(minimum: u64) -> MemoryType {
    MemoryType {
        minimum,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

/// Takes a section over as it is.
pub fn copy(module: &mut Module, wasm: &[u8], id: u8, range: Range<u64>) {
    module.section(&RawSection {
        id,
        data: part(wasm, range),
    });
}

/// The bytes that the parser says a section has.
pub fn part(wasm: &[u8], range: Range<u64>) -> &[u8] {
    let index = |at: u64| usize::try_from(at).expect("the parser stays within the slice");
    &wasm[index(range.start)..index(range.end)]
}

fn constant(expression: &ParsedConst<'_>) -> Option<u32> {
    match expression.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// A module of one exported memory with active data.
fn image(pages: u64, data: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(memory(pages));
    let mut exports = ExportSection::new();
    exports.export(MEMORY.1, ExportKind::Memory, 0);
    let mut segments = DataSection::new();
    for (offset, bytes) in data {
        let at = ConstExpr::i32_const(offset.cast_signed());
        segments.active(0, &at, bytes.iter().copied());
    }
    let mut module = Module::new();
    module
        .section(&memories)
        .section(&exports)
        .section(&segments);
    module.finish()
}
