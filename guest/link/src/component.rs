//! Composes the component: host interfaces on one side, engine and image on the other.
//!
//! `wit-component` knows how the types of a world are written down, so its component is made
//! first and the part that declares types and imports is taken over as it is. The rest is ours:
//! the image is *imported* as a core module, and because the memory belongs to it and it is
//! instantiated first, host functions can be lowered straight onto it. No module of shims, no
//! imported table (ADR 0002). The engine is part of the component: what an imported module imports
//! is looked up by name in every instantiation.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentImportSection, ComponentTypeRef,
    ComponentTypeSection, ComponentValType, CoreTypeSection, EntityType, ExportKind,
    InstanceSection, ModuleArg, ModuleType, PrimitiveValType, RawSection,
};
use wasmparser::{ComponentExternalKind, FuncType, Parser, Payload};

use crate::engine::{LIFTED, MEMORY, Split, memory, part};

/// Composes the component for a guest that was split.
pub fn compose(guest: &[u8], split: &Split) -> Result<Vec<u8>> {
    let encoded = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(guest)?
        .encode()?;
    let mut composer = Composer::new(&encoded)?;
    composer.import_image();
    composer.define_scratch(split)?;
    composer.define_engine(split);
    composer.instantiate_image_and_scratch();
    let lowered = composer.lower(split)?;
    composer.instantiate_engine(lowered);
    composer.lift(split)?;
    composer.lift_apply();
    let component = composer.component.finish();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(&component)
        .context("the composed component is not valid")?;
    Ok(component)
}

/// The component as written so far, with the next free index of each space that is used.
struct Composer {
    component: Component,
    /// Imported component instances by name.
    instances: BTreeMap<String, u32>,
    component_types: u32,
    component_functions: u32,
    core_types: u32,
    core_modules: u32,
    core_instances: u32,
    core_functions: u32,
}

/// Core modules and instances in the order in which they are made.
const IMAGE_MODULE: u32 = 0;
const SCRATCH_MODULE: u32 = 1;
const ENGINE_MODULE: u32 = 2;
const IMAGE_INSTANCE: u32 = 0;
/// What the scratch module exports, which are the first core functions.
const SCRATCH_FUNCTIONS: [&str; 3] = ["realloc", "stage", "apply"];
const REALLOC: u32 = 0;
const STAGE: u32 = 1;
const APPLY: u32 = 2;

impl Composer {
    /// Takes over types and imports: everything up to the first core module.
    fn new(encoded: &[u8]) -> Result<Self> {
        let mut this = Self {
            component: Component::new(),
            instances: BTreeMap::new(),
            component_types: 0,
            component_functions: 0,
            core_types: 0,
            core_modules: 0,
            core_instances: 0,
            core_functions: 0,
        };
        let mut instances = 0;
        for payload in Parser::new(0).parse_all(encoded) {
            let (id, range) = match payload? {
                Payload::Version { .. } | Payload::CustomSection(_) => continue,
                Payload::ComponentTypeSection(section) => {
                    this.component_types += section.count();
                    (7, section.range())
                }
                Payload::ComponentImportSection(section) => {
                    for import in section.clone() {
                        let import = import?;
                        match import.ty {
                            wasmparser::ComponentTypeRef::Instance(_) => {
                                this.instances
                                    .insert(import.name.name.to_owned(), instances);
                                instances += 1;
                            }
                            other => bail!("unexpected import of {other:?}"),
                        }
                    }
                    (10, section.range())
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section.clone() {
                        match alias? {
                            wasmparser::ComponentAlias::InstanceExport {
                                kind: ComponentExternalKind::Type,
                                ..
                            } => this.component_types += 1,
                            other => bail!("unexpected alias {other:?}"),
                        }
                    }
                    (6, section.range())
                }
                Payload::ModuleSection { .. } => return Ok(this),
                other => bail!("unexpected section before the first module: {other:?}"),
            };
            this.component.section(&RawSection {
                id,
                data: part(encoded, range),
            });
        }
        bail!("the encoded component has no module")
    }

    /// Declares the type of the image, and imports it.
    fn import_image(&mut self) {
        let mut types = CoreTypeSection::new();
        let mut image = ModuleType::new();
        image.export(MEMORY.1, EntityType::Memory(memory(1)));
        types.ty().module(&image);
        self.component.section(&types);
        let mut imports = ComponentImportSection::new();
        imports.import("image", ComponentTypeRef::Module(self.core_types));
        self.component.section(&imports);
        self.core_types += 1;
        self.core_modules += 1;
    }

    fn define_engine(&mut self, split: &Split) {
        self.component.section(&RawSection {
            id: 1,
            data: &split.engine,
        });
        self.core_modules += 1;
    }

    fn define_scratch(&mut self, split: &Split) -> Result<()> {
        const PLACEHOLDER: &str = "(i32.const 4096)";
        let text = include_str!("scratch.wat");
        let text = text.replace(PLACEHOLDER, &format!("(i32.const {})", split.scratch));
        let wasm = wat::parse_str(text)?;
        self.component.section(&RawSection { id: 1, data: &wasm });
        self.core_modules += 1;
        Ok(())
    }

    fn instantiate_image_and_scratch(&mut self) {
        let mut instances = InstanceSection::new();
        instances.instantiate::<_, &str>(IMAGE_MODULE, []);
        // An instance of the memory alone, under the name that scratch and engine import.
        self.component.section(&instances);
        let mut aliases = ComponentAliasSection::new();
        aliases.alias(Alias::CoreInstanceExport {
            instance: IMAGE_INSTANCE,
            kind: ExportKind::Memory,
            name: MEMORY.1,
        });
        self.component.section(&aliases);
        let mut instances = InstanceSection::new();
        instances.instantiate(
            SCRATCH_MODULE,
            [(MEMORY.0, ModuleArg::Instance(IMAGE_INSTANCE))],
        );
        self.component.section(&instances);
        let scratch = 1;
        let mut aliases = ComponentAliasSection::new();
        for name in SCRATCH_FUNCTIONS {
            aliases.alias(Alias::CoreInstanceExport {
                instance: scratch,
                kind: ExportKind::Func,
                name,
            });
        }
        self.component.section(&aliases);
        self.core_instances = 2;
        self.core_functions = 3;
    }

    /// Lowers every host function that the engine imports; answers (module, name, function).
    fn lower(&mut self, split: &Split) -> Result<Vec<(String, String, u32)>> {
        let mut lowered = Vec::new();
        for import in &split.imports {
            let instance = *self
                .instances
                .get(&import.module)
                .with_context(|| format!("nothing is imported as {}", import.module))?;
            let mut aliases = ComponentAliasSection::new();
            let mut functions = CanonicalFunctionSection::new();
            if let Some(resource) = import.name.strip_prefix("[resource-drop]") {
                aliases.alias(Alias::InstanceExport {
                    instance,
                    kind: ComponentExportKind::Type,
                    name: resource,
                });
                functions.resource_drop(self.component_types);
                self.component_types += 1;
            } else {
                aliases.alias(Alias::InstanceExport {
                    instance,
                    kind: ComponentExportKind::Func,
                    name: &import.name,
                });
                functions.lower(
                    self.component_functions,
                    [
                        CanonicalOption::UTF8,
                        CanonicalOption::Memory(0),
                        CanonicalOption::Realloc(REALLOC),
                    ],
                );
                self.component_functions += 1;
            }
            self.component.section(&aliases).section(&functions);
            lowered.push((
                import.module.clone(),
                import.name.clone(),
                self.core_functions,
            ));
            self.core_functions += 1;
        }
        Ok(lowered)
    }

    fn instantiate_engine(&mut self, lowered: Vec<(String, String, u32)>) {
        let mut by_module: BTreeMap<String, Vec<(String, u32)>> = BTreeMap::new();
        for (module, name, function) in lowered {
            by_module.entry(module).or_default().push((name, function));
        }
        let mut instances = InstanceSection::new();
        let mut arguments = vec![(MEMORY.0.to_owned(), IMAGE_INSTANCE)];
        for (module, functions) in by_module {
            instances.export_items(
                functions
                    .iter()
                    .map(|(name, function)| (name.as_str(), ExportKind::Func, *function)),
            );
            arguments.push((module, self.core_instances));
            self.core_instances += 1;
        }
        instances.instantiate(
            ENGINE_MODULE,
            arguments
                .iter()
                .map(|(name, instance)| (name.as_str(), ModuleArg::Instance(*instance))),
        );
        self.core_instances += 1;
        self.component.section(&instances);
    }

    /// Lifts the engine's exports. Their types are flat, so no options are needed.
    fn lift(&mut self, split: &Split) -> Result<()> {
        let engine = self.core_instances - 1;
        for (name, ty) in LIFTED.iter().zip(&split.lifted) {
            let mut aliases = ComponentAliasSection::new();
            aliases.alias(Alias::CoreInstanceExport {
                instance: engine,
                kind: ExportKind::Func,
                name,
            });
            let mut types = ComponentTypeSection::new();
            lifted_type(&mut types, name, ty)?;
            let mut functions = CanonicalFunctionSection::new();
            functions.lift(self.core_functions, self.component_types, []);
            let mut exports = ComponentExportSection::new();
            let function = self.component_functions;
            exports.export(*name, ComponentExportKind::Func, function, None);
            self.component
                .section(&aliases)
                .section(&types)
                .section(&functions)
                .section(&exports);
            self.core_functions += 1;
            self.component_types += 1;
            // The lifted function, and the one that its export makes.
            self.component_functions += 2;
        }
        Ok(())
    }
}

impl Composer {
    /// Lifts `apply-overlay`, whose list goes to a place of its own.
    fn lift_apply(&mut self) {
        let mut types = ComponentTypeSection::new();
        types.defined_type().list(PrimitiveValType::U8);
        let list = ComponentValType::Type(self.component_types);
        types.function().params([("overlay", list)]).result(None);
        let mut functions = CanonicalFunctionSection::new();
        functions.lift(
            APPLY,
            self.component_types + 1,
            [CanonicalOption::Memory(0), CanonicalOption::Realloc(STAGE)],
        );
        let mut exports = ComponentExportSection::new();
        let function = self.component_functions;
        exports.export("apply-overlay", ComponentExportKind::Func, function, None);
        self.component
            .section(&types)
            .section(&functions)
            .section(&exports);
        self.component_types += 2;
        self.component_functions += 2;
    }
}

fn lifted_type(types: &mut ComponentTypeSection, name: &str, ty: &FuncType) -> Result<()> {
    let mut function = types.function();
    let params: Vec<(&str, ComponentValType)> = match name {
        "resume" => vec![("ended", ComponentValType::Primitive(PrimitiveValType::U32))],
        _ => vec![],
    };
    if params.len() != ty.params().len() {
        bail!("the guest's {name} has {} parameters", ty.params().len());
    }
    function.params(params);
    let result =
        (!ty.results().is_empty()).then_some(ComponentValType::Primitive(PrimitiveValType::Bool));
    function.result(result);
    Ok(())
}
