//! What may be asked of the outside while a snapshot is in the making: nothing.
//!
//! A clock or a random number read at deploy time would be frozen into every invocation. So
//! while modules are evaluated for a snapshot, such calls are refused and remembered; the
//! deployment is then evaluated per request instead (ADR 0004).

use std::cell::RefCell;

use javy::quickjs::{Ctx, Error, Exception};

use crate::engine;

/// What the C library asks for; which call of JavaScript that was, the stack tells.
const CLOCK: &str = "the clock";

/// What the guest is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Building the engine: time stands still at 0, nothing is remembered.
    Preparing,
    /// Evaluating a deployment for its snapshot: touching the outside is remembered.
    Evaluating,
    /// Only compiling, or serving an invocation: everything is allowed.
    Open,
}

/// The first thing that the top level touched.
#[derive(Clone)]
pub struct Touched {
    /// What it was, as the user wrote it: `Math.random()`.
    pub what: String,
    /// Where: `index.js:3:14`; empty if unknown.
    pub place: String,
}

struct State {
    phase: Phase,
    touched: Option<Touched>,
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { phase: Phase::Preparing, touched: None })
    };
}

fn set(phase: Phase) {
    STATE.with_borrow_mut(|state| {
        *state = State {
            phase,
            touched: None,
        }
    });
}

/// From now on, touching the outside is refused and remembered.
pub fn begin_evaluation() {
    set(Phase::Evaluating);
}

/// From now on, everything is allowed. Answers what was touched before.
pub fn open() -> Option<Touched> {
    let touched = STATE.with_borrow_mut(|state| state.touched.take());
    set(Phase::Open);
    touched
}

/// Whether a snapshot is in the making.
pub fn is_frozen() -> bool {
    STATE.with_borrow(|state| state.phase != Phase::Open)
}

fn remember(what: &str) -> bool {
    let phase = STATE.with_borrow(|state| state.phase);
    if phase == Phase::Evaluating && STATE.with_borrow(|state| state.touched.is_none()) {
        let engine::Running { native, place } = engine::running();
        let what = match (what, native.as_str()) {
            (CLOCK, "now") => "Date.now()".to_owned(),
            (CLOCK, "Date") => "new Date()".to_owned(),
            _ => what.to_owned(),
        };
        STATE.with_borrow_mut(|state| state.touched = Some(Touched { what, place }));
    }
    phase != Phase::Open
}

/// Asked before every call that leaves the guest: an error while a snapshot is in the making.
pub fn refuse_while_frozen(ctx: &Ctx<'_>, what: &str) -> Result<(), Error> {
    if remember(what) {
        let message = format!("{what} is not available while a snapshot is taken");
        return Err(Exception::throw_message(ctx, &message));
    }
    Ok(())
}

/// Asked by the C library's clock, which cannot throw: the frozen time, if it is frozen.
pub fn clock() -> Option<u64> {
    remember(CLOCK).then_some(0)
}
