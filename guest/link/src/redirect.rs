//! Answers the guest's WASI preview 1 imports from within the guest, and prepares it for being split.

use anyhow::{Context, Result};
use walrus::{ExportItem, FunctionId, Module};

/// The import module of WASI preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// What stands before the name of an answering function; see `guest/src/preview1.rs`.
const PREFIX: &str = "preview1_";

/// The guest with every preview 1 import replaced by a call of its own function.
pub fn redirect(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::from_buffer(wasm)?;
    let imported: Vec<(FunctionId, String)> = module
        .imports
        .iter()
        .filter(|import| import.module == PREVIEW1)
        .filter_map(|import| match import.kind {
            walrus::ImportKind::Function(function) => Some((function, import.name.clone())),
            _ => None,
        })
        .collect();
    for (function, name) in imported {
        let answer = exported(&module, &format!("{PREFIX}{name}")).with_context(|| {
            format!("the guest imports {PREVIEW1}.{name} but does not answer it")
        })?;
        module.replace_imported_func(function, |(body, arguments)| {
            for argument in arguments {
                body.local_get(*argument);
            }
            body.call(answer);
        })?;
    }
    let answers: Vec<_> = module
        .exports
        .iter()
        .filter(|export| export.name.starts_with(PREFIX))
        .map(|export| export.id())
        .collect();
    for answer in answers {
        module.exports.delete(answer);
    }
    walrus::passes::gc::run(&mut module);
    crate::renewal::prepare(&mut module)?;
    Ok(module.emit_wasm())
}

fn exported(module: &Module, name: &str) -> Option<FunctionId> {
    module.exports.iter().find_map(|export| match export.item {
        ExportItem::Function(function) if export.name == name => Some(function),
        _ => None,
    })
}
