//! What is executed often and what is not: read from counters, kept as text, used when the engine is
//! put together (ADR 0034).
//!
//! A line of `profile.txt` is a function: its shape, with a number if several have the same; then each
//! of its branches as `t` if it is nearly always taken, `n` if it nearly never is, and `-` otherwise.
//! The function that is called most often comes first. Those that were not called have no line, and
//! neither has one that changed since: it is laid out as if nothing were known.

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

/// The hints for a function's branches, and its place among all.
pub struct Known {
    pub rank: usize,
    pub hints: Vec<Hint>,
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
    Some((key, Known { rank, hints }))
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

/// The profile to keep, from the counters that [`crate::count`] added to this guest.
pub fn learn(guest: &[u8], counters: &[u8]) -> Result<String> {
    let functions = functions(guest)?;
    let counters: Vec<u64> = counters
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        .collect();
    let mut rest = counters.as_slice();
    let mut called = Vec::new();
    for (function, key) in functions.iter().zip(keys(&functions)) {
        let own;
        (own, rest) = rest
            .split_at_checked(function.runs)
            .context("counters are missing")?;
        if own[ENTRY] > 0 {
            called.push((own[ENTRY], key, hints(function, own)));
        }
    }
    ensure!(!called.is_empty(), "nothing was counted");
    called.sort_by(|(one, ..), (other, ..)| other.cmp(one));
    let mut text = HEAD.to_owned();
    for (_, (shape, number), hints) in called {
        write!(text, "{shape:016x}")?;
        if number > 0 {
            write!(text, ".{number}")?;
        }
        if !hints.is_empty() {
            write!(text, " {hints}")?;
        }
        text.push('\n');
    }
    Ok(text)
}

fn hints(function: &Function, counts: &[u64]) -> String {
    // What is out of the way is so for every branch that leads there.
    let mut aside = HashSet::new();
    let mut letters = String::new();
    for branch in &function.branches {
        let is_seldom = |run: &usize| counts[*run].saturating_mul(SELDOM) <= counts[branch.here];
        let (taken, not_taken) = (
            branch.taken.filter(is_seldom),
            branch.not_taken.filter(is_seldom),
        );
        // A hint moves one of them. If neither is needed, it moves the one that is not yet.
        let (letter, moved) = match (taken, not_taken) {
            (Some(run), None) => ('n', run),
            (Some(run), Some(_)) if !aside.contains(&run) => ('n', run),
            (_, Some(run)) => ('t', run),
            (None, None) => {
                letters.push('-');
                continue;
            }
        };
        aside.insert(moved);
        letters.push(letter);
    }
    letters
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
        let often = learn(&guest, &counters(&[200, 200, 2, 0, 200, 200, 0])).unwrap();
        let lines: Vec<&str> = often
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(lines.len(), 1, "only one was called: {often}");
        assert!(lines[0].ends_with(" tn"), "{often}");
        let evenly = learn(&guest, &counters(&[200, 200, 3, 100, 200, 100, 0])).unwrap();
        assert!(evenly.ends_with(" --\n"), "{evenly}");
        assert!(learn(&guest, &counters(&[200, 200])).is_err());
        assert!(learn(&guest, &counters(&[0; 7])).is_err());
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let known = read("# text\n00000000000000ff.1 t-n\n0a\n").unwrap();
        let first = &known[&(255, 1)];
        assert_eq!((first.rank, first.hints.len()), (0, 3));
        assert_eq!(first.hints, [Some(true), None, Some(false)]);
        assert_eq!(known[&(10, 0)].rank, 1);
        assert!(read("00ff x").is_err());
    }
}
