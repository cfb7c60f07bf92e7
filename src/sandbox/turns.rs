//! Whose turn it is to compute. Guests are polled on the threads that serve connections, and give
//! way after a slice of fuel; this decides what becomes of that.
//!
//! - While a thread has nothing to do, nobody waits: the guest goes on at once. Giving way would
//!   only move it from one thread to another.
//! - When all threads compute, the guest goes behind everything else that is ready.
//! - Of one tenant's guests that compute for long, only as many compete for the threads as there
//!   are threads, and they take turns. So others wait for two guests of somebody's, not for 128.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Slices of fuel until a guest gives way for the first time when all threads compute: what nearly
/// all are over within. One that has to wait in the middle takes a sandbox meanwhile, and comes back
/// to a cold cache.
const SLICES_FIRST: u32 = 8;
/// The same for those that were not over then.
const SLICES: u32 = 2;
/// The same when a thread has nothing to do: also then connections, deadlines and clients that go
/// away want to be looked at.
const SLICES_ALONE: u32 = 20;
/// Turns until a guest that computes for long lets another of its tenant have them.
const TURNS: u32 = 8;

/// What the guests of one engine know of each other.
#[derive(Debug)]
pub(super) struct Turns {
    threads: usize,
    /// Guests that compute at this moment.
    computing: AtomicUsize,
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

/// A guest that computes.
struct Computing<'a>(&'a Turns);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.computing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// For guests that run on the threads of the runtime that this is called on.
    pub(super) fn new() -> Self {
        Self {
            threads: threads(),
            computing: AtomicUsize::new(0),
        }
    }

    /// Runs a call of a guest to its end.
    ///
    /// `guest` is pending only where a slice of fuel is used up: no host function suspends a guest.
    pub(super) async fn run<F: Future>(&self, share: &Share, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        // Most are over after this.
        if let Poll::Ready(output) = self.turn(guest.as_mut(), SLICES_FIRST).await {
            return output;
        }
        loop {
            // Never closed.
            let _permit = share.permits.acquire().await.ok();
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
                if let Poll::Ready(output) = self.turn(guest.as_mut(), SLICES).await {
                    return output;
                }
            }
        }
    }

    /// Lets a guest compute until it ends, or has to give way: after so many slices if all threads
    /// compute.
    async fn turn<F: Future>(&self, mut guest: Pin<&mut F>, busy: u32) -> Poll<F::Output> {
        let mut slices = 0;
        poll_fn(|_| {
            let _computing = self.begin();
            loop {
                let polled = guest.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                slices += 1;
                if polled.is_ready() || slices >= self.slices(busy) {
                    return Poll::Ready(polled);
                }
            }
        })
        .await
    }

    fn begin(&self) -> Computing<'_> {
        self.computing.fetch_add(1, Ordering::Relaxed);
        Computing(self)
    }

    fn slices(&self, busy: u32) -> u32 {
        match self.computing.load(Ordering::Relaxed) < self.threads {
            true => SLICES_ALONE,
            false => busy,
        }
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
        let run = |name, slices, share| turns.run(share, guest(name, slices, &noted));
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_guest_goes_on_while_a_thread_has_nothing_to_do() {
        let turns = Turns::new();
        let noted = RefCell::new(String::new());
        let mut alone = pin!(guest('a', 1000, &noted));
        assert!(turns.turn(alone.as_mut(), SLICES).await.is_pending());
        assert_eq!(noted.borrow().len(), SLICES_ALONE as usize);
        let other = turns.begin();
        assert!(turns.turn(alone.as_mut(), SLICES).await.is_pending());
        assert_eq!(noted.borrow().len(), (SLICES_ALONE + SLICES) as usize);
        drop(other);
        assert_eq!(turns.computing.load(Ordering::Relaxed), 0);
    }
}
