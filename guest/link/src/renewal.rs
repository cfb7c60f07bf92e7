//! Sees to it that a guest is as new once its memory is (ADR 0028): that an invocation leaves nothing
//! behind in what an instance has besides.

use anyhow::{Context, Result, bail, ensure};
use walrus::ir::{Const, GlobalSet, Instr, InstrLocId, InstrSeq, Value, Visitor, dfs_in_order};
use walrus::{ConstExpr, ExportItem, FunctionId, GlobalKind, Module};

/// The export with which an invocation begins.
const START: &str = "start";

/// Has the guest's `start` set every global that can change. There is one, the pointer to the stack; it
/// is where it was after every call that returns, but nothing has to rely on it.
///
/// # Errors
/// If something else can change that is not in memory: the tables of functions, or which segments were
/// dropped.
pub fn prepare(module: &mut Module) -> Result<()> {
    for (id, function) in module.funcs.iter_local() {
        let mut changes = Changes::default();
        dfs_in_order(&mut changes, function, function.entry_block());
        if let Some(change) = changes.first {
            bail!("function {id:?} of the guest changes what is not in memory: {change}");
        }
    }
    let mut sets = Vec::new();
    for global in module.globals.iter().filter(|global| global.mutable) {
        let GlobalKind::Local(ConstExpr::Value(value)) = global.kind else {
            bail!("a global of the guest begins with what is no constant");
        };
        ensure!(matches!(value, Value::I32(_)), "a global is no pointer");
        sets.push((Instr::from(Const { value }), InstrLocId::default()));
        let set = GlobalSet {
            global: global.id(),
        };
        sets.push((Instr::from(set), InstrLocId::default()));
    }
    let start = start(module).context("the guest exports no start")?;
    let start = module.funcs.get_mut(start).kind.unwrap_local_mut();
    let entry = start.entry_block();
    start.block_mut(entry).instrs.splice(0..0, sets);
    Ok(())
}

fn start(module: &Module) -> Option<FunctionId> {
    module.exports.iter().find_map(|export| match export.item {
        ExportItem::Function(function) if export.name == START => Some(function),
        _ => None,
    })
}

/// The first instruction that changes what is not in memory.
#[derive(Default)]
struct Changes {
    first: Option<String>,
}

impl<'instr> Visitor<'instr> for Changes {
    fn start_instr_seq(&mut self, sequence: &'instr InstrSeq) {
        let mut instructions = sequence.instrs.iter();
        let found = instructions.find(|(instruction, _)| {
            matches!(
                instruction,
                Instr::TableSet(_)
                    | Instr::TableGrow(_)
                    | Instr::TableFill(_)
                    | Instr::TableInit(_)
                    | Instr::TableCopy(_)
                    | Instr::ElemDrop(_)
                    | Instr::MemoryInit(_)
                    | Instr::DataDrop(_)
            )
        });
        if let (Some((instruction, _)), None) = (found, &self.first) {
            self.first = Some(format!("{instruction:?}"));
        }
    }
}
