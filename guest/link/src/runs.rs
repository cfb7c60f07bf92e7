//! The straight runs of instructions that a function is made of: what is counted, and what a branch
//! chooses between.

use std::ops::Range;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

/// A function as runs of instructions, in which either all are executed or, short of a trap, none.
pub struct Function {
    /// What it is made of; the same when only addresses and the numbers of other functions change.
    pub shape: u64,
    /// How many runs it has.
    pub runs: usize,
    /// Where runs begin that have a beginning: behind so many operators.
    pub starts: Vec<(usize, usize)>,
    pub branches: Vec<Branch>,
    pub arms: Vec<Arm>,
}

/// A run that begins behind an `if`, an `else` or a `br_if`: it can be reached, and there is nothing on the
/// stack that the branch left for it.
pub struct Arm {
    pub run: usize,
    /// The operators before it.
    pub behind: usize,
    /// For each depth to which it can branch, the run that it would branch to; none for what takes values
    /// along, for loops, and for the function itself.
    pub labels: Vec<Option<usize>>,
}

/// An instruction that goes one way or another: `if` or `br_if`.
pub struct Branch {
    /// Bytes from the beginning of the function's body.
    pub offset: u32,
    /// The operators before it.
    pub behind: usize,
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

/// A function with more in it, behind so many operators each, in their order.
pub fn with_more<R: Reencode, T: Copy>(
    reencoder: &mut R,
    body: &FunctionBody<'_>,
    more: &[(usize, T)],
    mut add: impl FnMut(&mut wasm_encoder::Function, T),
) -> Result<wasm_encoder::Function, reencode::Error<R::Error>> {
    let mut function = reencoder.new_function_with_parsed_locals(body)?;
    let mut more = more.iter().peekable();
    let operators = body.get_operators_reader()?;
    for (read, operator) in operators.into_iter().enumerate() {
        while let Some((_, what)) = more.next_if(|(behind, _)| *behind == read) {
            add(&mut function, *what);
        }
        function.instruction(&reencoder.instruction(operator?)?);
    }
    Ok(function)
}

/// A `block`, `loop` or `if` that has not ended, or the function itself.
struct Frame {
    /// The run that a branch to it goes to.
    label: Option<usize>,
    is_loop: bool,
    /// Whether a branch to it takes nothing along.
    is_plain: bool,
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
            arms: Vec::new(),
        };
        let whole = Frame {
            label: None,
            is_loop: false,
            is_plain: false,
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
            Operator::Block { blockty } => {
                let label = Some(self.run());
                self.frames.push(Frame {
                    label,
                    is_loop: false,
                    is_plain: *blockty == BlockType::Empty,
                    condition: None,
                });
            }
            Operator::Loop { .. } => {
                let label = self.run();
                self.frames.push(Frame {
                    label: Some(label),
                    is_loop: true,
                    is_plain: false,
                    condition: None,
                });
                self.begin(label);
            }
            Operator::If { blockty } => {
                let then = self.run();
                let label = Some(self.run());
                self.frames.push(Frame {
                    label,
                    is_loop: false,
                    is_plain: *blockty == BlockType::Empty,
                    condition: Some(self.function.branches.len()),
                });
                self.branch(offset, Some(then), None);
                self.begin_arm(then);
            }
            Operator::Else => {
                let otherwise = self.run();
                let condition = self.frames.last().and_then(|frame| frame.condition);
                let condition = condition.context("an else without an if")?;
                self.function.branches[condition].not_taken = Some(otherwise);
                self.begin_arm(otherwise);
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
                self.begin_arm(next);
            }
            _ => {}
        }
        Ok(())
    }

    /// FNV-1a over what an operator does, without what changes when something else does: constants,
    /// among which are addresses, and the numbers of functions.
    fn shape(&mut self, operator: &Operator<'_>, bytes: &[u8]) {
        let kept: Range<usize> = match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. } => 0..bytes.len(),
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

    fn begin_arm(&mut self, run: usize) {
        self.begin(run);
        let frames = self.frames.iter().rev();
        let labels = frames.map(|frame| frame.label.filter(|_| frame.is_plain));
        self.function.arms.push(Arm {
            run,
            behind: self.operators,
            labels: labels.collect(),
        });
    }

    fn branch(&mut self, offset: u32, taken: Option<usize>, not_taken: Option<usize>) {
        self.function.branches.push(Branch {
            offset,
            behind: self.operators - 1,
            here: self.here,
            taken,
            not_taken,
        });
    }
}
