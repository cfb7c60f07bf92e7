//! What a command line asks for.

use std::path::PathBuf;

use super::catalogue::PEERS;
use super::load::CASES;
use super::suite::{ENGINES, parts};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Load,
    Cores,
    First,
    Suite,
}

/// A command line that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) section: Section,
    pub(super) is_list: bool,
    /// Peers or engines by name; all of them when there is none.
    pub(super) only: Vec<String>,
    /// Cases, or parts of the suite; all of them when there is none.
    pub(super) cases: Vec<String>,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) concurrency: Vec<u32>,
    pub(super) functions: u32,
    pub(super) samples: Option<PathBuf>,
    pub(super) is_json: bool,
    pub(super) server: Option<PathBuf>,
}

impl Plan {
    /// The plan that the words after `peers` ask for.
    pub(crate) fn of(arguments: &[&str]) -> Option<Self> {
        let (section, rest) = match arguments {
            ["cores", rest @ ..] => (Section::Cores, rest),
            ["first", rest @ ..] => (Section::First, rest),
            ["suite", rest @ ..] => (Section::Suite, rest),
            rest => (Section::Load, rest),
        };
        let mut plan = Self::without_options(section);
        let mut rest = rest.iter();
        while let Some(flag) = rest.next() {
            match *flag {
                "--list" => plan.is_list = true,
                "--json" => plan.is_json = true,
                "--only" => plan.only.extend(words(rest.next()?)),
                "--case" => plan.cases.extend(words(rest.next()?)),
                "--rounds" => plan.rounds = number(rest.next()?)?,
                "--seconds" => plan.seconds = number(rest.next()?)?,
                "--functions" => plan.functions = number(rest.next()?)?,
                "--concurrency" => {
                    let numbers = rest.next()?.split(',').map(number);
                    plan.concurrency = numbers.collect::<Option<_>>()?;
                }
                "--samples" => plan.samples = Some(PathBuf::from(rest.next()?)),
                "--server" => plan.server = Some(PathBuf::from(rest.next()?)),
                _ => return None,
            }
        }
        plan.makes_sense().then_some(plan)
    }

    fn without_options(section: Section) -> Self {
        let concurrency: &[u32] = match section {
            Section::Cores => &[16, 64],
            _ => &[1, 16, 64, 256],
        };
        Self {
            section,
            is_list: false,
            only: Vec::new(),
            cases: Vec::new(),
            rounds: 3,
            seconds: 2,
            concurrency: concurrency.to_vec(),
            functions: 200,
            samples: None,
            is_json: false,
            server: None,
        }
    }

    fn makes_sense(&self) -> bool {
        let (subjects, cases): (Vec<_>, Vec<_>) = match self.section {
            Section::Suite => (
                ENGINES.iter().map(|engine| engine.name).collect(),
                parts().map(|part| part.name).collect(),
            ),
            Section::Load | Section::Cores | Section::First => (
                PEERS.iter().map(|peer| peer.name).collect(),
                CASES.iter().map(|case| case.name).collect(),
            ),
        };
        let are_known = |names: &[String], known: &[&str]| {
            names.iter().all(|name| known.contains(&name.as_str()))
        };
        are_known(&self.only, &subjects) && are_known(&self.cases, &cases)
    }

    /// Whether a peer or an engine is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Whether a case or a part is asked for.
    pub(super) fn wants_case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|only| only == name)
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(',').map(str::to_owned)
}

/// Bounded, so that a slip of the finger does not keep the machine for days.
fn number(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|number| (1..=10_000).contains(number))
}
