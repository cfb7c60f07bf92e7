//! What tenants use over time, held against their quotas.
//!
//! A meter is looked up once for each invocation; after that there are atomics only, and for fuel
//! one lock that is held for a few instructions. Quotas are taken over from the store when it says
//! that some tenant has changed.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota};

use crate::error::{Code, Error, RetryAfter};
use crate::id::TenantId;
use crate::sandbox::Share;
use crate::store::{Quotas, Tenants};
use crate::{clock, host, limits};

/// The span that rates are about.
const MINUTE_MS: u128 = 60_000;

/// The meters of all tenants that were invoked.
pub(super) struct Meters {
    tenants: Tenants,
    /// Invocations of one tenant at once, as the operator has it.
    concurrent_max: usize,
    meters: RwLock<HashMap<TenantId, Arc<Meter>>>,
}

/// What one tenant uses.
pub(super) struct Meter {
    /// The state of the store that the quotas are from.
    generation: AtomicU64,
    rates: RwLock<Rates>,
    running: AtomicUsize,
    invocations: AtomicU64,
    refused: AtomicU64,
    fuel: AtomicU64,
    subrequests: AtomicU64,
    share: Share,
}

/// Counts of one tenant since the server was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantCounts {
    /// Invocations that run now.
    pub running: u64,
    /// Invocations that were let in.
    pub invocations: u64,
    /// Requests that were refused because of a quota.
    pub refused: u64,
    /// Fuel that was used.
    pub fuel: u64,
    /// Outbound requests.
    pub subrequests: u64,
}

/// A place among the invocations of a tenant; dropping it makes room for another.
pub(super) struct Place {
    meter: Arc<Meter>,
}

impl Place {
    /// The meter that the invocation is counted on.
    pub(super) fn meter(&self) -> Arc<dyn host::Meter> {
        Arc::clone(&self.meter) as Arc<dyn host::Meter>
    }

    /// The tenant's part in the computing.
    pub(super) fn share(&self) -> Share {
        self.meter.share.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.meter.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Meters {
    /// Meters with the quotas of `tenants`, each with at most `concurrent_max` at once.
    pub(super) fn new(tenants: Tenants, concurrent_max: usize) -> Self {
        Self {
            tenants,
            concurrent_max,
            meters: RwLock::default(),
        }
    }

    /// Lets one invocation of a tenant in.
    ///
    /// # Errors
    /// `tenant_busy`, `rate_limited`; the latter says when to come back.
    pub(super) fn admit(&self, tenant: &TenantId) -> Result<Place, Error> {
        let meter = self.meter(tenant);
        let generation = self.tenants.generation();
        if meter.generation.load(Ordering::Acquire) != generation {
            self.refresh(&meter, tenant);
            meter.generation.store(generation, Ordering::Release);
        }
        let admitted = meter.admit();
        let counted = if admitted.is_ok() {
            &meter.invocations
        } else {
            &meter.refused
        };
        counted.fetch_add(1, Ordering::Relaxed);
        admitted
    }

    /// What a tenant has used; nothing for one that was never invoked.
    pub(super) fn counts(&self, tenant: &TenantId) -> TenantCounts {
        let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
        let Some(meter) = meters.get(tenant) else {
            return TenantCounts::default();
        };
        let running = meter.running.load(Ordering::Relaxed);
        TenantCounts {
            running: u64::try_from(running).unwrap_or(u64::MAX),
            invocations: meter.invocations.load(Ordering::Relaxed),
            refused: meter.refused.load(Ordering::Relaxed),
            fuel: meter.fuel.load(Ordering::Relaxed),
            subrequests: meter.subrequests.load(Ordering::Relaxed),
        }
    }

    fn meter(&self, tenant: &TenantId) -> Arc<Meter> {
        {
            let meters = self.meters.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(meter) = meters.get(tenant) {
                return Arc::clone(meter);
            }
        }
        let meters = self.meters.write();
        let mut meters = meters.unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= limits::TENANTS_MAX {
            // Those of tenants that are no more; what runs keeps its own.
            meters.retain(|tenant, _| self.tenants.get(tenant).is_some());
        }
        let meter = meters.entry(tenant.clone()).or_insert_with(|| {
            Arc::new(Meter {
                generation: AtomicU64::new(u64::MAX),
                rates: RwLock::new(Rates::new(Quotas::default(), self.concurrent_max)),
                running: AtomicUsize::new(0),
                invocations: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                fuel: AtomicU64::new(0),
                subrequests: AtomicU64::new(0),
                share: Share::new(),
            })
        });
        Arc::clone(meter)
    }

    fn refresh(&self, meter: &Meter, tenant: &TenantId) {
        let row = self.tenants.get(tenant);
        let quotas = row.map_or_else(Quotas::default, |row| row.quotas);
        let rates = meter.rates.write();
        let mut rates = rates.unwrap_or_else(PoisonError::into_inner);
        // Another tenant's change leaves what this one has used as it is.
        if rates.quotas != quotas {
            *rates = Rates::new(quotas, self.concurrent_max);
        }
    }
}

impl Meter {
    fn admit(self: &Arc<Self>) -> Result<Place, Error> {
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        let max = rates.concurrent;
        let entered = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| {
                (running < max).then_some(running + 1)
            });
        if entered.is_err() {
            let detail = format!("{max} of {max} invocations are running");
            return Err(Error::new(Code::TenantBusy, detail));
        }
        let place = Place {
            meter: Arc::clone(self),
        };
        let limited = |quota: &str, max: u64, after: Duration| {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let detail = format!("the tenant's quota of {quota} in a minute is {max}");
            Error {
                source: Some(Box::new(RetryAfter(after_ms))),
                ..Error::new(Code::RateLimited, detail)
            }
        };
        if let Err(after) = rates.requests.take() {
            return Err(limited("requests", rates.requests.max, after));
        }
        if let Some(fuel) = &rates.fuel
            && let Err(after) = fuel.check(clock::monotonic())
        {
            return Err(limited("fuel", fuel.per_minute, after));
        }
        Ok(place)
    }
}

impl host::Meter for Meter {
    fn take_subrequest(&self) -> Result<(), String> {
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        rates.subrequests.take().map_err(|_| {
            let max = rates.subrequests.max;
            format!("the tenant's quota of subrequests in a minute is {max}")
        })?;
        self.subrequests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn spend_fuel(&self, fuel: u64) {
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
        let rates = self.rates.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = &rates.fuel {
            bucket.spend(fuel, clock::monotonic());
        }
    }
}

/// Quotas, with how much of each there is at the moment.
struct Rates {
    quotas: Quotas,
    concurrent: usize,
    requests: Rate,
    subrequests: Rate,
    fuel: Option<Bucket>,
}

impl Rates {
    fn new(quotas: Quotas, concurrent_max: usize) -> Self {
        let own = quotas
            .concurrent
            .map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        Self {
            quotas,
            concurrent: own.unwrap_or(usize::MAX).min(concurrent_max),
            requests: Rate::new(quotas.requests_per_minute),
            subrequests: Rate::new(quotas.subrequests_per_minute),
            fuel: quotas.fuel_per_minute.map(Bucket::new),
        }
    }
}

/// So many in a minute, all of them at once if need be.
struct Rate {
    max: u64,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Rate {
    fn new(quota: Option<u64>) -> Self {
        // What is beyond is more than any machine does in a minute.
        let per_minute = quota.map(|max| u32::try_from(max).unwrap_or(u32::MAX));
        let limiter = per_minute
            .and_then(NonZeroU32::new)
            .map(|per_minute| DefaultDirectRateLimiter::direct(Quota::per_minute(per_minute)));
        Self {
            max: quota.unwrap_or(u64::MAX),
            limiter,
        }
    }

    /// Takes one, or says when there will be one.
    fn take(&self) -> Result<(), Duration> {
        match &self.limiter {
            Some(limiter) => limiter
                .check()
                .map_err(|until| until.wait_time_from(limiter.clock().now())),
            None if self.max == 0 => Err(Duration::from_secs(60)),
            None => Ok(()),
        }
    }
}

/// So much in a minute of what is paid for afterwards, because nobody knows before how much an
/// invocation takes: it may be overdrawn, and is closed then until that is made up for.
struct Bucket {
    per_minute: u64,
    state: Mutex<Level>,
}

#[derive(Clone, Copy)]
struct Level {
    left: i128,
    at: Instant,
}

impl Bucket {
    fn new(per_minute: u64) -> Self {
        Self {
            per_minute,
            state: Mutex::new(Level {
                left: i128::from(per_minute),
                at: clock::monotonic(),
            }),
        }
    }

    /// Whether something is left, or when something will be.
    fn check(&self, now: Instant) -> Result<(), Duration> {
        let left = self.update(0, now);
        if left > 0 {
            return Ok(());
        }
        if self.per_minute == 0 {
            return Err(Duration::from_secs(60));
        }
        let missing = left.unsigned_abs() + 1;
        let wait_ms = (missing * MINUTE_MS).div_ceil(u128::from(self.per_minute));
        Err(Duration::from_millis(
            u64::try_from(wait_ms).unwrap_or(u64::MAX),
        ))
    }

    fn spend(&self, spent: u64, now: Instant) {
        self.update(spent, now);
    }

    fn update(&self, spent: u64, now: Instant) -> i128 {
        let mut level = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = i128::from(self.per_minute);
        let elapsed_us = now.saturating_duration_since(level.at).as_micros();
        let gained = u128::from(self.per_minute).saturating_mul(elapsed_us) / (MINUTE_MS * 1000);
        // What is less than one unit is left for the next time.
        if gained > 0 {
            let used_us = (gained * MINUTE_MS * 1000).div_ceil(u128::from(self.per_minute));
            level.at += Duration::from_micros(u64::try_from(used_us).unwrap_or(u64::MAX));
            let gained = i128::try_from(gained).unwrap_or(i128::MAX);
            level.left = level.left.saturating_add(gained).min(full);
        }
        level.left -= i128::from(spent);
        level.left
    }
}

#[cfg(test)]
mod tests;
