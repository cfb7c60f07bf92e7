//! Where the time of an invocation goes: instantiate, request, execute, host calls, answer, reset.
//!
//! The stages around the guest are told by the sandbox ([`ampoule::sandbox::probe`]). Inside of it,
//! wasmtime says whenever the guest is left and entered again (`Store::call_hook`, a feature that
//! only tests and benches have); which stage a host call belongs to is told by what it changed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ampoule::clock;
use ampoule::host::State;
use ampoule::sandbox::Image;
use ampoule::sandbox::probe::Stages;
use anyhow::Result;
use serde_json::{Value, json};
use wasmtime::{CallHook, Store, StoreContextMut};

use super::bars::{median, rounded};
use super::cases::Case;
use super::sandbox::{Deployment, Host, check};

/// Names of the stages, in their order.
const NAMES: [&str; 6] = [
    "sandbox",
    "lower request",
    "execute",
    "host calls",
    "lift answer",
    "reset",
];
/// Calls of the export that does nothing, in one sandbox.
const EMPTY_CALLS: u32 = 100;

/// Time in host calls, by what they are for.
#[derive(Debug, Default)]
struct Inside {
    /// Host calls around this moment: one that calls back into the guest is one call.
    depth: usize,
    begun: Option<Instant>,
    had_answered: bool,
    request: Duration,
    answer: Duration,
    calls: Duration,
}

impl Inside {
    fn note(&mut self, store: &StoreContextMut<'_, State>, hook: CallHook) {
        match hook {
            CallHook::CallingHost => {
                if self.depth == 0 {
                    self.had_answered = store.data().has_answered();
                    self.begun = Some(clock::monotonic());
                }
                self.depth += 1;
            }
            CallHook::ReturningFromHost => {
                self.depth = self.depth.saturating_sub(1);
                if let Some(begun) = self.begun.take_if(|_| self.depth == 0) {
                    *self.stage(store.data()) += begun.elapsed();
                }
            }
            CallHook::CallingWasm | CallHook::ReturningFromWasm => {}
        }
    }

    /// What the call was for that has just ended.
    fn stage(&mut self, state: &State) -> &mut Duration {
        let usage = state.usage();
        let has_begun = usage.kv_operations > 0 || usage.subrequests > 0;
        match (self.had_answered, state.has_answered()) {
            (false, true) => &mut self.answer,
            (false, false) if !has_begun => &mut self.request,
            _ => &mut self.calls,
        }
    }
}

/// Invocations of each case in a round.
const TIMES: usize = 20;

/// Every case taken apart, and the empty sandbox beside them.
pub(crate) struct Anatomy {
    cases: Vec<(Case, Deployment, Shares)>,
    empty: Empty,
    /// An empty sandbox with one call of an export that does nothing, in each round: microseconds.
    pub(crate) bare: Vec<f64>,
}

impl Anatomy {
    /// Nothing measured so far.
    pub(crate) async fn new(host: &mut Host, all: &[Case]) -> Result<Self> {
        let mut cases = Vec::with_capacity(all.len());
        for case in all {
            let deployment = host.deploy(&case.source).await?;
            host.make_hot(&deployment.image, case).await?;
            cases.push((case.clone(), deployment, Shares::new(&case.name)));
        }
        Ok(Self {
            cases,
            empty: Empty::default(),
            bare: Vec::new(),
        })
    }

    /// One round.
    pub(crate) async fn round(&mut self, host: &Host) -> Result<()> {
        for (case, deployment, shares) in &mut self.cases {
            for _ in 0..TIMES {
                shares.measure(host, &deployment.image, case).await?;
            }
        }
        let mut bare = Vec::with_capacity(TIMES);
        if let Some((case, deployment, _)) = self.cases.first() {
            for _ in 0..TIMES {
                let empty = self.empty.measure(host, &deployment.image, case);
                bare.push(empty.await?);
            }
        }
        self.bare.push(median(&mut bare));
        Ok(())
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let cases = self.cases.iter();
        json!({
            "empty": self.empty.to_json(),
            "cases": cases.map(|(_, _, shares)| shares.to_json()).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Anatomy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shares::write_heading(f)?;
        for (_, _, shares) in &self.cases {
            writeln!(f, "{shares}")?;
        }
        write!(f, "{}", self.empty)
    }
}

/// The stages of one case: microseconds of each, for every invocation.
struct Shares {
    case: String,
    all: [Vec<f64>; NAMES.len()],
}

/// What is not in any case: an empty sandbox, and a call of an export that does nothing.
#[derive(Default)]
struct Empty {
    /// Microseconds from nothing to nothing.
    sandbox: Vec<f64>,
    /// Microseconds of one call.
    call: Vec<f64>,
}

impl Empty {
    /// One empty sandbox, and one in which something is called.
    async fn measure(&mut self, host: &Host, image: &Image, case: &Case) -> Result<f64> {
        let (invocation, _head) = host.invocation(&case.ask);
        let stages = Box::pin(image.empty(invocation, 0)).await?;
        let sandbox = micros_between(stages.begun, stages.over);
        let (invocation, _head) = host.invocation(&case.ask);
        let stages = Box::pin(image.empty(invocation, EMPTY_CALLS)).await?;
        let call = micros_between(stages.made, stages.ran) / f64::from(EMPTY_CALLS);
        self.sandbox.push(sandbox);
        self.call.push(call);
        Ok(sandbox + call)
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "instantiate_and_drop_us": rounded(median(&mut self.sandbox.clone())),
            "call_us": rounded(median(&mut self.call.clone())),
        })
    }
}

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sandbox = median(&mut self.sandbox.clone());
        let call = median(&mut self.call.clone());
        write!(
            f,
            "an empty sandbox, made and dropped: {sandbox:.1} µs; a call of an export that does \
             nothing: {call:.2} µs"
        )
    }
}

impl Shares {
    /// None so far.
    fn new(case: &str) -> Self {
        Self {
            case: case.to_owned(),
            all: Default::default(),
        }
    }

    /// Runs a case once, and takes it apart.
    async fn measure(&mut self, host: &Host, image: &Image, case: &Case) -> Result<()> {
        let inside = Arc::new(Mutex::new(Inside::default()));
        let noted = Arc::clone(&inside);
        let watch = move |store: &mut Store<State>| {
            store.call_hook(move |store, hook| {
                let mut inside = noted.lock().unwrap_or_else(PoisonError::into_inner);
                inside.note(&store, hook);
                Ok(())
            });
        };
        let (invocation, mut head) = host.invocation(&case.ask);
        let stages = Box::pin(image.staged(invocation, watch)).await?;
        check(case, head.try_recv().ok())?;
        let inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
        self.push(&stages, &inside);
        Ok(())
    }

    fn push(&mut self, stages: &Stages, inside: &Inside) {
        let in_host = [inside.request, inside.calls, inside.answer];
        let [request, calls, answer] = in_host.map(|time| time.as_secs_f64() * 1e6);
        let ran = micros_between(stages.made, stages.ran);
        let figures = [
            micros_between(stages.begun, stages.made),
            request,
            ran - request - calls - answer,
            calls,
            answer,
            micros_between(stages.ran, stages.over),
        ];
        for (all, figure) in self.all.iter_mut().zip(figures) {
            all.push(figure);
        }
    }

    /// The median of each stage, and their sum.
    fn medians(&self) -> ([f64; NAMES.len()], f64) {
        let mut medians = [0.0; NAMES.len()];
        for (figure, all) in medians.iter_mut().zip(&self.all) {
            *figure = median(&mut all.clone());
        }
        (medians, medians.iter().sum())
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let (medians, sum) = self.medians();
        let stages = NAMES.iter().zip(medians);
        let stages: serde_json::Map<_, _> = stages
            .map(|(name, micros)| ((*name).to_owned(), json!(rounded(micros))))
            .collect();
        json!({ "case": self.case, "stages_us": stages, "sum_us": rounded(sum) })
    }

    /// The heading of the table.
    fn write_heading(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8}", "stages")?;
        for name in NAMES {
            write!(f, " {name:>16}")?;
        }
        writeln!(f, " {:>10}", "sum µs")
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (medians, sum) = self.medians();
        write!(f, "{:<8}", self.case)?;
        for micros in medians {
            let share = micros / sum * 100.0;
            write!(f, " {:>16}", format!("{micros:.1} ({share:.0} %)"))?;
        }
        write!(f, " {sum:>10.1}")
    }
}

fn micros_between(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e6
}
