//! What a thread does that has nothing left to do: before it sleeps, whoever waits for its core goes
//! first (ADR 0032).

use std::cell::Cell;

/// Answers since the last time that a thread had nothing to do, from which on it gives way: who gets
/// them is most likely waiting for the core, and has the next request.
const ANSWERS: u32 = 2;

thread_local! {
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
}

/// An answer was made on this thread.
pub(super) fn answered() {
    ANSWERED.set(ANSWERED.get().saturating_add(1));
}

/// For threads of the runtime that serves, when they are about to sleep.
pub fn about_to_sleep() {
    if gives_way() {
        std::thread::yield_now();
    }
}

fn gives_way() -> bool {
    ANSWERED.take() >= ANSWERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_after_several_answers_and_once() {
        assert!(!gives_way());
        answered();
        assert!(!gives_way());
        answered();
        assert!(!gives_way(), "they were one each");
        answered();
        answered();
        assert!(gives_way());
        assert!(!gives_way());
    }
}
