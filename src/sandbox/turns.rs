//! Whose turn it is to compute. Guests are polled on the threads that serve connections, and give
//! way after a slice of fuel; this decides what becomes of that.
//!
//! - While a thread has nothing to do, nobody waits: the guest goes on at once. Giving way would
//!   only move it from one thread to another.
//! - When all threads compute, the guest goes behind everything else that is ready.
//! - Of one tenant's guests that compute for long, only as many compete for the threads as there
//!   are threads, and they take turns. So others wait for two guests of somebody's, not for 128.
//! - Those who are over at about the same time go on together ([`Turns::catch_up`], ADR 0024).

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::host::Handed;

/// Slices of fuel until a guest gives way for the first time when all threads compute: what nearly
/// all are over within. One that has to wait in the middle takes a sandbox meanwhile, and comes back
/// to a cold cache.
const SLICES_FIRST: u32 = 8;
/// The same for those that were not over then.
const SLICES: u32 = 2;
/// The same when a thread has nothing to do, but the guest handed something out: whoever gets it may
/// be waiting behind the guest, on the same thread.
const SLICES_ALONE: u32 = 20;
/// The same when it handed nothing out, some 20 ms: its deadline and its client, who may go away, are
/// looked at between two turns. Each turn ends on another thread, with nothing of the guest in its cache.
const SLICES_QUIET: u32 = 200;
/// Turns until a guest that computes for long lets another of its tenant have them.
const TURNS: u32 = 8;

/// Waits of [`Turns::catch_up`] on one thread, one after the other in vain, after which nobody waits
/// there for a while.
const TRUST: u32 = 8;
/// Guests that then end there from one that waits, to see whether it is worth it, to the next.
const TRY: u64 = 32;
/// Guests of others that end on a thread, one after the other, until the last one's tenant is the one
/// whose guests may wait there.
const OTHERS: u32 = 32;

/// What the guests of one engine know of each other.
#[derive(Debug)]
pub(super) struct Turns {
    threads: usize,
    /// Guests that compute at this moment.
    computing: AtomicUsize,
    /// Guests that compute for longer than a first turn.
    long: AtomicUsize,
}

/// A tenant's part in the computing of those who compute for long. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Share {
    permits: Arc<Semaphore>,
}

impl Share {
    /// A share in the threads of the runtime that this is called on.
    pub fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(threads())),
        }
    }

    /// Tells it from those of other tenants.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.permits).addr()
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::new()
    }
}

/// Threads of the runtime that this is called on; one if there is none.
fn threads() -> usize {
    Handle::try_current().map_or(1, |handle| handle.metrics().num_workers())
}

/// One of those who are counted, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// For guests that run on the threads of the runtime that this is called on.
    pub(super) fn new() -> Self {
        Self {
            threads: threads(),
            computing: AtomicUsize::new(0),
            long: AtomicUsize::new(0),
        }
    }

    /// Runs a call of a guest to its end.
    ///
    /// `guest` is pending only where a slice of fuel is used up: no host function suspends a guest.
    pub(super) async fn run<F: Future>(
        &self,
        share: &Share,
        handed: &Handed,
        guest: F,
    ) -> F::Output {
        let mut guest = pin!(guest);
        // Most are over after this.
        if let Poll::Ready(output) = self.turn(guest.as_mut(), handed, SLICES_FIRST).await {
            return output;
        }
        let _long = Counted::among(&self.long);
        loop {
            // Never closed.
            let _permit = share.permits.acquire().await.ok();
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
                if let Poll::Ready(output) = self.turn(guest.as_mut(), handed, SLICES).await {
                    return output;
                }
            }
        }
    }

    /// Lets a guest compute until it ends, or has to give way: after so many slices if all threads
    /// compute.
    async fn turn<F: Future>(
        &self,
        mut guest: Pin<&mut F>,
        handed: &Handed,
        busy: u32,
    ) -> Poll<F::Output> {
        handed.forget();
        let mut slices = 0;
        poll_fn(|_| {
            let _computing = Counted::among(&self.computing);
            loop {
                let polled = guest.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                slices += 1;
                if polled.is_ready() || slices >= self.slices(handed, busy) {
                    return Poll::Ready(polled);
                }
            }
        })
        .await
    }

    fn slices(&self, handed: &Handed, busy: u32) -> u32 {
        let is_busy = self.computing.load(Ordering::Relaxed) >= self.threads;
        match (is_busy, handed.is_set()) {
            (true, _) => busy,
            (false, true) => SLICES_ALONE,
            (false, false) => SLICES_QUIET,
        }
    }

    /// For whoever has run a guest of a tenant to its end and goes on with something else now, such as
    /// writing its answer: waits until those who are ready on this thread have done the same.
    ///
    /// Not while somebody computes for long, who would be waited for as well; nor where nobody else of
    /// the tenant was ready the last times, so that nobody waits for the many of somebody else.
    pub(super) async fn catch_up(&self, share: &Share) {
        let Some(here) = Thread::ended(share.address()) else {
            return;
        };
        if self.long.load(Ordering::Relaxed) > 0 || !here.is_worth_a_wait() {
            return;
        }
        tokio::task::yield_now().await;
        here.waited();
    }
}

/// What is known on a thread of those who caught up there.
#[derive(Debug, Clone, Copy)]
struct Thread {
    id: ThreadId,
    /// The one tenant whose guests may wait, by its share.
    tenant: usize,
    /// Guests of it that were run to their end.
    ended: u64,
    /// Guests of others that were since.
    others: u32,
    /// Waits in vain until it is not waited for a while.
    trust: u32,
}

thread_local! {
    static THREAD: Cell<Option<Thread>> = const { Cell::new(None) };
}

impl Thread {
    /// This thread, where a guest of a tenant was run to its end just now; none if it is not the one
    /// whose guests may wait.
    fn ended(tenant: usize) -> Option<Self> {
        let anew = || Self {
            id: std::thread::current().id(),
            tenant,
            ended: 0,
            others: 0,
            trust: TRUST,
        };
        let mut here = THREAD.get().unwrap_or_else(anew);
        if here.tenant != tenant {
            here.others += 1;
            if here.others < OTHERS {
                THREAD.set(Some(here));
                return None;
            }
            here = anew();
        }
        here.ended += 1;
        here.others = 0;
        THREAD.set(Some(here));
        Some(here)
    }

    fn is_worth_a_wait(&self) -> bool {
        self.trust > 0 || self.ended.is_multiple_of(TRY)
    }

    /// Somebody has waited, who began when the thread was as `self` says.
    fn waited(self) {
        let Some(mut here) = THREAD.get() else { return };
        // Whoever comes to itself on another thread was taken over by one that had nothing to do.
        let is_same = here.id == self.id && here.tenant == self.tenant;
        here.trust = match is_same && here.ended > self.ended {
            true => TRUST,
            false => here.trust.saturating_sub(1),
        };
        THREAD.set(Some(here));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::future::join_all;

    use super::*;

    /// A guest of so many slices, which notes each of them.
    async fn guest(name: char, slices: u32, noted: &RefCell<String>) {
        let mut left = slices;
        poll_fn(|_| {
            noted.borrow_mut().push(name);
            left -= 1;
            match left {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    fn runs(noted: &str) -> Vec<(char, usize)> {
        let mut runs: Vec<(char, usize)> = Vec::new();
        for name in noted.chars() {
            match runs.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => runs.push((name, 1)),
            }
        }
        runs
    }

    #[tokio::test]
    async fn guests_of_one_tenant_take_turns_and_another_tenants_comes_between() {
        let (turns, share, other) = (Turns::new(), Share::new(), Share::new());
        let noted = RefCell::new(String::new());
        let handed = Handed::default();
        let run = |name, slices, share| turns.run(share, &handed, guest(name, slices, &noted));
        join_all([
            run('a', 40, &share),
            run('b', 40, &share),
            run('c', 40, &share),
            run('z', 20, &other),
        ])
        .await;
        let noted = noted.into_inner();
        let first_of_c = noted.match_indices('c').nth(SLICES_FIRST as usize);
        let last_of_z = noted.rfind('z');
        assert!(
            first_of_c.map(|(at, _)| at) > last_of_z,
            "z waits for one of the others, not for three: {noted}"
        );
        let without_z = noted.replace('z', "");
        let held = (SLICES * TURNS) as usize;
        let begin = ['a', 'b', 'c'].map(|name| (name, SLICES_FIRST as usize));
        let turns = ['a', 'b', 'c'].map(|name| (name, held));
        assert_eq!(runs(&without_z)[..6], [begin, turns].concat());
    }

    /// A guest that hands something out in its slice of this number, if there is one.
    async fn handing(slices: u32, when: Option<u32>, handed: &Handed, done: &Cell<u32>) {
        poll_fn(|_| {
            done.set(done.get() + 1);
            if Some(done.get()) == when {
                handed.set();
            }
            match done.get() < slices {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Slices of the first turn of a guest that goes on for long.
    async fn first_turn(turns: &Turns, handed: &Handed, when: Option<u32>) -> u32 {
        let (done, computing) = (Cell::new(0), turns.computing.load(Ordering::Relaxed));
        let mut guest = pin!(handing(1000, when, handed, &done));
        let turn = turns.turn(guest.as_mut(), handed, SLICES);
        assert!(turn.await.is_pending());
        assert_eq!(turns.computing.load(Ordering::Relaxed), computing);
        done.get()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_guest_goes_on_while_a_thread_has_nothing_to_do() {
        let (turns, handed) = (Turns::new(), Handed::default());
        assert_eq!(first_turn(&turns, &handed, None).await, SLICES_QUIET);
        let other = Counted::among(&turns.computing);
        assert_eq!(first_turn(&turns, &handed, None).await, SLICES);
        drop(other);
        assert_eq!(turns.computing.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_guest_that_handed_something_out_gives_way_sooner() {
        let (turns, handed) = (Turns::new(), Handed::default());
        assert_eq!(first_turn(&turns, &handed, Some(3)).await, SLICES_ALONE);
        let late = SLICES_ALONE + 7;
        assert_eq!(first_turn(&turns, &handed, Some(late)).await, late);
        // What was handed out in an earlier turn has been seen to.
        assert_eq!(first_turn(&turns, &handed, None).await, SLICES_QUIET);
    }

    /// Runs a guest of one slice, catches up, and notes its name in capitals.
    async fn one(turns: &Turns, share: &Share, noted: &RefCell<String>, name: char) {
        let handed = Handed::default();
        turns.run(share, &handed, guest(name, 1, noted)).await;
        turns.catch_up(share).await;
        noted.borrow_mut().push(name.to_ascii_uppercase());
    }

    async fn noted_of_three(turns: &Turns, share: &Share) -> String {
        let noted = RefCell::new(String::new());
        join_all(['a', 'b', 'c'].map(|name| one(turns, share, &noted, name))).await;
        noted.into_inner()
    }

    #[tokio::test]
    async fn those_who_are_ready_go_on_together() {
        let (turns, share) = (Turns::new(), Share::new());
        assert_eq!(noted_of_three(&turns, &share).await, "abcABC");
        let long = Counted::among(&turns.long);
        let noted = noted_of_three(&turns, &share).await;
        assert_eq!(noted, "aAbBcC", "somebody computes for long");
        drop(long);
        assert_eq!(noted_of_three(&turns, &share).await, "abcABC");
    }

    #[tokio::test]
    async fn nobody_waits_for_the_many_of_somebody_else() {
        let (turns, many, few) = (Turns::new(), Share::new(), Share::new());
        let noted = RefCell::new(String::new());
        let run = |share, name| one(&turns, share, &noted, name);
        join_all([
            run(&many, 'a'),
            run(&few, 'z'),
            run(&many, 'b'),
            run(&many, 'c'),
        ])
        .await;
        assert_eq!(noted.take(), "azZbcABC");
        // Until the others are the ones who are many.
        for _ in 1..OTHERS {
            run(&few, 'z').await;
        }
        assert_eq!(noted_of_three(&turns, &few).await, "abcABC");
        assert_eq!(noted_of_three(&turns, &many).await, "aAbBcC");
    }

    /// How often so many guests waited, one after the other.
    async fn waits(turns: &Turns, share: &Share, guests: u32) -> u32 {
        let noted = RefCell::new(String::new());
        let mut waits = 0;
        for _ in 0..guests {
            let mut one = pin!(one(turns, share, &noted, 'a'));
            poll_fn(|context| {
                let polled = one.as_mut().poll(context);
                waits += u32::from(polled.is_pending());
                polled
            })
            .await;
        }
        waits
    }

    #[tokio::test]
    async fn nobody_waits_for_long_where_nobody_comes() {
        let (turns, share) = (Turns::new(), Share::new());
        let guests = 10 * u32::try_from(TRY).unwrap();
        assert_eq!(waits(&turns, &share, guests).await, TRUST + 10);
        // Others are found by the next that tries.
        let noted = RefCell::new(String::new());
        join_all((0..2 * TRY).map(|_| one(&turns, &share, &noted, 'b'))).await;
        assert_eq!(noted_of_three(&turns, &share).await, "abcABC");
    }
}
