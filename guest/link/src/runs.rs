//! The straight runs of instructions that a function is made of: what is counted, and what a branch
//! chooses between.

use std::ops::Range;

use anyhow::{Context, Result};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// A function as runs of instructions, in which either all are executed or, short of a trap, none.
pub struct Function {
    /// What it is made of; the same when only addresses and the numbers of other functions change.
    pub shape: u64,
    /// How many runs it has.
    pub runs: usize,
    /// Where runs begin that have a beginning: behind so many operators.
    pub starts: Vec<(usize, usize)>,
    pub branches: Vec<Branch>,
}

/// An instruction that goes one way or another: `if` or `br_if`.
pub struct Branch {
    /// Bytes from the beginning of the function's body.
    pub offset: u32,
    /// The run that it ends.
    pub here: usize,
    /// The run that follows when its condition holds, unless that is the end of the function.
    pub taken: Option<usize>,
    /// The run that follows when it does not, unless there is none but the end of an `if`.
    pub not_taken: Option<usize>,
}

/// The run at which every function begins.
pub const ENTRY: usize = 0;

/// All functions that a module has code for, in its order.
pub fn functions(wasm: &[u8]) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            functions.push(Function::read(&body, wasm)?);
        }
    }
    Ok(functions)
}

/// A `block`, `loop` or `if` that has not ended, or the function itself.
struct Frame {
    /// The run that a branch to it goes to.
    label: Option<usize>,
    is_loop: bool,
    /// Of an `if`: which of the branches it is.
    condition: Option<usize>,
}

impl Function {
    fn read(body: &FunctionBody<'_>, wasm: &[u8]) -> Result<Self> {
        let start = body.range().start;
        let mut reader = Reader::new();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let from = operators.original_position();
            let operator = operators.read()?;
            let bytes = crate::engine::part(wasm, from..operators.original_position());
            reader.take(&operator, bytes, u32::try_from(from - start)?)?;
        }
        Ok(reader.function)
    }
}

struct Reader {
    function: Function,
    frames: Vec<Frame>,
    operators: usize,
    /// The run that the last operator is in.
    here: usize,
}

impl Reader {
    fn new() -> Self {
        let function = Function {
            shape: 0xcbf2_9ce4_8422_2325,
            runs: 1,
            starts: vec![(0, ENTRY)],
            branches: Vec::new(),
        };
        let whole = Frame {
            label: None,
            is_loop: false,
            condition: None,
        };
        Self {
            function,
            frames: vec![whole],
            operators: 0,
            here: ENTRY,
        }
    }

    fn take(&mut self, operator: &Operator<'_>, bytes: &[u8], offset: u32) -> Result<()> {
        self.operators += 1;
        self.shape(operator, bytes);
        match operator {
            Operator::Block { .. } => {
                let label = Some(self.run());
                self.enter(label, false, None);
            }
            Operator::Loop { .. } => {
                let label = self.run();
                self.enter(Some(label), true, None);
                self.begin(label);
            }
            Operator::If { .. } => {
                let then = self.run();
                let end = Some(self.run());
                self.enter(end, false, Some(self.function.branches.len()));
                self.branch(offset, Some(then), None);
                self.begin(then);
            }
            Operator::Else => {
                let otherwise = self.run();
                let condition = self.frames.last().and_then(|frame| frame.condition);
                let condition = condition.context("an else without an if")?;
                self.function.branches[condition].not_taken = Some(otherwise);
                self.begin(otherwise);
            }
            Operator::End => {
                let frame = self.frames.pop().context("an end too many")?;
                if !self.frames.is_empty() {
                    let after = match frame.label {
                        Some(label) if !frame.is_loop => label,
                        _ => self.run(),
                    };
                    self.begin(after);
                }
            }
            Operator::BrIf { relative_depth } => {
                let next = self.run();
                let depth = usize::try_from(*relative_depth)?;
                let mut frames = self.frames.iter().rev();
                let frame = frames.nth(depth).context("a branch to nowhere")?;
                self.branch(offset, frame.label, Some(next));
                self.begin(next);
            }
            _ => {}
        }
        Ok(())
    }

    /// FNV-1a over what an operator does, without what changes when something else does: constants,
    /// among which are addresses, and the numbers of functions.
    fn shape(&mut self, operator: &Operator<'_>, bytes: &[u8]) {
        let kept: Range<usize> = match operator {
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::BrTable { .. } => {
                0..bytes.len()
            }
            // The second byte says what the instruction is.
            _ if bytes[0] >= 0xfb => 0..2,
            _ => 0..1,
        };
        for byte in &bytes[kept] {
            let mixed = self.function.shape ^ u64::from(*byte);
            self.function.shape = mixed.wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn run(&mut self) -> usize {
        self.function.runs += 1;
        self.function.runs - 1
    }

    fn begin(&mut self, run: usize) {
        self.function.starts.push((self.operators, run));
        self.here = run;
    }

    fn enter(&mut self, label: Option<usize>, is_loop: bool, condition: Option<usize>) {
        self.frames.push(Frame {
            label,
            is_loop,
            condition,
        });
    }

    fn branch(&mut self, offset: u32, taken: Option<usize>, not_taken: Option<usize>) {
        self.function.branches.push(Branch {
            offset,
            here: self.here,
            taken,
            not_taken,
        });
    }
}
