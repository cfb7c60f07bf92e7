//! Splits the table of functions, which a sandbox that is over has to wipe: wasmtime wipes a table
//! of one page at once, and asks the kernel what was written of a larger one, which takes longer
//! than all else about it.

use anyhow::{Context, Result, ensure};
use walrus::ir::{
    BinaryOp, Binop, CallIndirect, Const, IfElse, Instr, InstrLocId, InstrSeqId, InstrSeqType,
    LocalGet, LocalTee, Value, Visitor, dfs_in_order,
};
use walrus::{
    ConstExpr, ElementItems, ElementKind, FunctionId, LocalFunction, LocalId, Module, TableId,
    ValType,
};

/// Functions that a table has room for on one page: 4096 bytes with a pointer for each.
const ENTRIES: u32 = 512;

/// Moves what is beyond the first page of the table to a table of its own. A pointer to a function
/// stays what it is; each call through one looks which table it is in.
pub fn split(module: &mut Module) -> Result<()> {
    let table = module
        .tables
        .main_function_table()?
        .context("the guest has no table of functions")?;
    let size = u32::try_from(module.tables.get(table).initial)?;
    if size <= ENTRIES {
        return Ok(());
    }
    ensure!(size <= 2 * ENTRIES, "{size} functions need a third table");
    let beyond = divide(module, table, size)?;
    let functions: Vec<FunctionId> = module.funcs.iter_local().map(|(id, _)| id).collect();
    for function in functions {
        rewrite(module, function, (table, beyond));
    }
    Ok(())
}

/// Divides the entries; answers the second table.
fn divide(module: &mut Module, table: TableId, size: u32) -> Result<TableId> {
    let segments: Vec<_> = module
        .tables
        .get(table)
        .elem_segments
        .iter()
        .copied()
        .collect();
    let [segment] = segments[..] else {
        anyhow::bail!("the table has {} segments", segments.len());
    };
    let element = module.elements.get_mut(segment);
    let ElementKind::Active { offset, .. } = &element.kind else {
        anyhow::bail!("the table's segment is not active");
    };
    let &ConstExpr::Value(Value::I32(offset)) = offset else {
        anyhow::bail!("the table's segment has no constant offset");
    };
    let ElementItems::Functions(functions) = &mut element.items else {
        anyhow::bail!("the table's segment has expressions");
    };
    let first = usize::try_from(ENTRIES - u32::try_from(offset)?)?;
    let rest = functions.split_off(first);
    let ty = module.tables.get(table).element_ty;
    let beyond = u64::from(size - ENTRIES);
    let added = module.tables.add_local(false, beyond, Some(beyond), ty);
    let kind = ElementKind::Active {
        table: added,
        offset: ConstExpr::Value(Value::I32(0)),
    };
    let segment = module.elements.add(kind, ElementItems::Functions(rest));
    module.tables.get_mut(added).elem_segments.insert(segment);
    let old = module.tables.get_mut(table);
    old.initial = u64::from(ENTRIES);
    old.maximum = Some(u64::from(ENTRIES));
    Ok(added)
}

/// The sequences of a function that hold calls through the table.
#[derive(Default)]
struct Calls {
    at: Vec<InstrSeqId>,
}

impl<'instr> Visitor<'instr> for Calls {
    fn start_instr_seq(&mut self, sequence: &'instr walrus::ir::InstrSeq) {
        let is_call =
            |(instruction, _): &(Instr, InstrLocId)| matches!(instruction, Instr::CallIndirect(_));
        if sequence.instrs.iter().any(is_call) {
            self.at.push(sequence.id());
        }
    }
}

fn rewrite(module: &mut Module, function: FunctionId, tables: (TableId, TableId)) {
    let mut calls = Calls::default();
    let local = module.funcs.get(function).kind.unwrap_local();
    dfs_in_order(&mut calls, local, local.entry_block());
    if calls.at.is_empty() {
        return;
    }
    let pointer = module.locals.add(ValType::I32);
    for sequence in calls.at {
        let local = module.funcs.get_mut(function).kind.unwrap_local_mut();
        let instructions = std::mem::take(&mut local.block_mut(sequence).instrs);
        let mut rewritten = Vec::with_capacity(instructions.len() + 4);
        for (instruction, place) in instructions {
            match instruction {
                Instr::CallIndirect(call) if call.table == tables.0 => {
                    let signature = module.types.get(call.ty);
                    let (params, results) =
                        (signature.params().to_vec(), signature.results().to_vec());
                    let ty = InstrSeqType::new(&mut module.types, &params, &results);
                    let local = module.funcs.get_mut(function).kind.unwrap_local_mut();
                    rewritten.extend(choose(local, &call, ty, pointer, tables.1));
                }
                other => rewritten.push((other, place)),
            }
        }
        let local = module.funcs.get_mut(function).kind.unwrap_local_mut();
        local.block_mut(sequence).instrs = rewritten;
    }
}

/// `call_indirect`, in the table that the pointer is in.
fn choose(
    function: &mut LocalFunction,
    call: &CallIndirect,
    ty: InstrSeqType,
    pointer: LocalId,
    beyond: TableId,
) -> Vec<(Instr, InstrLocId)> {
    let place = InstrLocId::default;
    let get = || (Instr::from(LocalGet { local: pointer }), place());
    let limit = || {
        let value = Value::I32(ENTRIES as i32);
        (Instr::from(Const { value }), place())
    };
    let operation = |op| (Instr::from(Binop { op }), place());
    let consequent = sequence(
        function,
        ty,
        vec![get(), (Instr::from(call.clone()), place())],
    );
    let other = CallIndirect {
        ty: call.ty,
        table: beyond,
    };
    let subtract = operation(BinaryOp::I32Sub);
    let alternative = sequence(
        function,
        ty,
        vec![get(), limit(), subtract, (Instr::from(other), place())],
    );
    vec![
        (Instr::from(LocalTee { local: pointer }), place()),
        limit(),
        operation(BinaryOp::I32LtU),
        (
            Instr::from(IfElse {
                consequent,
                alternative,
            }),
            place(),
        ),
    ]
}

fn sequence(
    function: &mut LocalFunction,
    ty: InstrSeqType,
    instructions: Vec<(Instr, InstrLocId)>,
) -> InstrSeqId {
    let mut sequence = function.builder_mut().dangling_instr_seq(ty);
    *sequence.instrs_mut() = instructions;
    sequence.id()
}
