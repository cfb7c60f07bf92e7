//! What is executed often and what is not: read from counters, kept as text, used when the engine is
//! put together (ADR 0034).
//!
//! A line of `profile.txt` is a function: its shape, with a number if several have the same; then each
//! of its branches as `t` if it is nearly always taken, `n` if it nearly never is, and `-` otherwise;
//! then `ARM:DEPTH,…` for every arm, by its number, that was not executed and from which ends can be
//! reached that were not either, though no branch with a hint leads there. The function that requests
//! call most often comes first. Those that were not called have no line, and neither has one that
//! changed since: it is laid out as if nothing were known.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use crate::runs::{ENTRY, Function, functions};

/// What is executed less than once in so many times does not stand in the way of what is.
const SELDOM: u64 = 100;
const HEAD: &str = "\
# What the guest executes often, from `cargo xtask guest --train`; guest/link/src/profile.rs says how to
# read it, ADR 0034 what it is for.
";

/// Which way a branch nearly always goes, if it does.
pub type Hint = Option<bool>;

/// What is known of a function.
pub struct Known {
    /// Its place among all.
    pub rank: usize,
    /// For each of its branches.
    pub hints: Vec<Hint>,
    /// Arms, and depths of what has to be marked from there.
    pub marks: Vec<(usize, Vec<u32>)>,
}

/// Tells functions apart.
pub type Key = (u64, usize);

/// The profile as kept.
pub fn read(text: &str) -> Result<HashMap<Key, Known>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let known = lines.enumerate().map(|(rank, line)| {
        let parsed = parse(line, rank);
        parsed.with_context(|| format!("profile.txt: what is {line:?}?"))
    });
    known.collect()
}

fn parse(line: &str, rank: usize) -> Option<(Key, Known)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let (shape, number) = name.split_once('.').unwrap_or((name, "0"));
    let key = (u64::from_str_radix(shape, 16).ok()?, number.parse().ok()?);
    let hints = words
        .next()
        .unwrap_or_default()
        .chars()
        .map(|letter| match letter {
            't' => Some(Some(true)),
            'n' => Some(Some(false)),
            '-' => Some(None),
            _ => None,
        });
    let hints = hints.collect::<Option<_>>()?;
    let marks = words.map(|word| {
        let (arm, depths) = word.split_once(':')?;
        let depths = depths.split(',').map(|depth| depth.parse().ok());
        Some((arm.parse().ok()?, depths.collect::<Option<_>>()?))
    });
    let marks = marks.collect::<Option<_>>()?;
    Some((key, Known { rank, hints, marks }))
}

/// The keys of all functions, in their order.
pub fn keys(functions: &[Function]) -> Vec<Key> {
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let keys = functions.iter().map(|function| {
        let number = seen.entry(function.shape).or_default();
        *number += 1;
        (function.shape, *number - 1)
    });
    keys.collect()
}

/// The profile to keep, from the counters that [`crate::count`] added to this guest: those of requests alone,
/// which decide the order, and those of all that ran.
pub fn learn(guest: &[u8], requests: &[u8], all: &[u8]) -> Result<String> {
    let functions = functions(guest)?;
    let (requests, all) = (split(requests, &functions)?, split(all, &functions)?);
    let keys = keys(&functions);
    let rows = functions.iter().zip(keys).zip(requests.iter().zip(&all));
    let called = rows.filter(|(_, (_, counts))| counts[ENTRY] > 0);
    let mut called: Vec<_> = called.collect();
    ensure!(!called.is_empty(), "nothing was counted");
    called.sort_by_key(|(_, (requests, all))| Reverse((requests[ENTRY], all[ENTRY])));
    let mut text = HEAD.to_owned();
    for ((function, (shape, number)), (_, counts)) in called {
        write!(text, "{shape:016x}")?;
        if number > 0 {
            write!(text, ".{number}")?;
        }
        let mut layout = Layout::new(function, counts);
        layout.hint_branches();
        layout.mark_ends();
        writeln!(text, "{}", layout.text)?;
    }
    Ok(text)
}

/// The counters of each function.
fn split(counters: &[u8], functions: &[Function]) -> Result<Vec<Vec<u64>>> {
    let mut counters = counters
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    let of = |function: &Function| {
        let own: Vec<u64> = counters.by_ref().take(function.runs).collect();
        ensure!(own.len() == function.runs, "counters are missing");
        Ok(own)
    };
    functions.iter().map(of).collect()
}

/// What is written down of one function.
struct Layout<'a> {
    function: &'a Function,
    counts: &'a [u64],
    /// Runs that are out of the way, for every branch that leads there.
    aside: HashSet<usize>,
    text: String,
}

impl<'a> Layout<'a> {
    fn new(function: &'a Function, counts: &'a [u64]) -> Self {
        Self {
            function,
            counts,
            aside: HashSet::new(),
            text: String::new(),
        }
    }

    fn is_seldom(&self, run: usize, beside: usize) -> bool {
        self.counts[run].saturating_mul(SELDOM) <= self.counts[beside]
    }

    fn hint_branches(&mut self) {
        let function = self.function;
        if !function.branches.is_empty() {
            self.text.push(' ');
        }
        for branch in &function.branches {
            let seldom = |run: Option<usize>| run.filter(|run| self.is_seldom(*run, branch.here));
            // A hint moves one of them. If neither is needed, it moves the one that is not yet.
            let (letter, moved) = match (seldom(branch.taken), seldom(branch.not_taken)) {
                (Some(run), None) => ('n', run),
                (Some(run), Some(_)) if !self.aside.contains(&run) => ('n', run),
                (_, Some(run)) => ('t', run),
                (None, None) => {
                    self.text.push('-');
                    continue;
                }
            };
            self.aside.insert(moved);
            self.text.push(letter);
        }
    }

    /// What `br_table` or `br` alone lead to has no branch that could have a hint. One that is never
    /// executed, and never taken, will do.
    fn mark_ends(&mut self) {
        for (number, arm) in self.function.arms.iter().enumerate() {
            if self.counts[arm.run] > 0 {
                continue;
            }
            let mut depths = Vec::new();
            for (depth, run) in arm.labels.iter().enumerate() {
                if let Some(run) = run
                    && self.counts[*run] == 0
                    && self.aside.insert(*run)
                {
                    depths.push(depth.to_string());
                }
            }
            if !depths.is_empty() {
                self.text
                    .push_str(&format!(" {number}:{}", depths.join(",")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that is called, with a branch each way, and one that is not.
    const GUEST: &str = r#"(module
        (memory 1) (global i32 (i32.const 0))
        (func (param i32)
            (block (br_if 0 (local.get 0)) (drop (i32.const 1)))
            (if (local.get 0) (then (drop (i32.const 2))) (else (nop))))
        (func (drop (i32.const 1))))"#;

    fn counters(counts: &[u64]) -> Vec<u8> {
        counts
            .iter()
            .flat_map(|count| count.to_le_bytes())
            .collect()
    }

    #[test]
    fn what_is_seldom_executed_is_told_from_what_is() {
        let guest = wat::parse_str(GUEST).unwrap();
        // Entry, behind the block, behind the `br_if`, then, end of `if`, else; the second function.
        let learnt = |counts: &[u64]| learn(&guest, &counters(counts), &counters(counts));
        let often = learnt(&[200, 200, 2, 0, 200, 200, 0]).unwrap();
        let lines: Vec<&str> = often
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(lines.len(), 1, "only one was called: {often}");
        assert!(lines[0].ends_with(" tn"), "{often}");
        let evenly = learnt(&[200, 200, 3, 100, 200, 100, 0]).unwrap();
        assert!(evenly.ends_with(" --\n"), "{evenly}");
        assert!(learnt(&[200, 200]).is_err());
        assert!(learnt(&[0; 7]).is_err());
    }

    #[test]
    fn an_end_that_no_branch_with_a_hint_leads_to_is_marked_from_where_nothing_is_executed() {
        let guest = r#"(module (memory 1) (global i32 (i32.const 0)) (func (param i32)
            (block $never
                (block $always
                    (if (local.get 0) (then (nop)))
                    (br_table $always $never (local.get 0)))
                (drop (i32.const 1))
                (return))
            (drop (i32.const 2))))"#;
        let guest = wat::parse_str(guest).unwrap();
        // Entry, behind `$never` and `$always`, then, end of `if`.
        let counters = counters(&[500, 0, 500, 0, 500]);
        let text = learn(&guest, &counters, &counters).unwrap();
        assert!(text.ends_with(" n 0:2\n"), "{text}");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let known = read("# text\n00000000000000ff.1 t-n 3:0,12 4:1\n0a\n").unwrap();
        let first = &known[&(255, 1)];
        assert_eq!((first.rank, first.hints.len()), (0, 3));
        assert_eq!(first.hints, [Some(true), None, Some(false)]);
        assert_eq!(first.marks, [(3, vec![0, 12]), (4, vec![1])]);
        assert_eq!(known[&(10, 0)].rank, 1);
        assert!(read("00ff x").is_err());
        assert!(read("00ff t 1:").is_err());
    }
}
