//! What bounds the calls of a connection: its rate, and the order of writes to one aggregate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::error::Error;
use crate::runtime::ambient::between;

const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Neither LIMITS-… nor QUOTA-… says when to come back.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// The request budget of one connection: a rate, a burst, and pauses that ZITADEL asks for.
///
/// Callers are served in order. Built on tokio's clock, and with a look that takes nothing (`delay`).
#[derive(Debug)]
pub struct Limiter {
    interval: Duration,
    slack: Duration,
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
    budget: Mutex<Budget>,
}

#[derive(Debug)]
struct Budget {
    /// When the bucket is full again (GCRA's theoretical arrival time).
    full_at: Instant,
    paused_until: Instant,
}

impl Limiter {
    /// A budget of `requests_per_second`, of which `burst` may come at once; zeroes count as one.
    #[must_use]
    pub fn new(requests_per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / requests_per_second.max(1);
        let now = Instant::now();
        Self {
            interval,
            slack: interval * (burst.max(1) - 1),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
            budget: Mutex::new(Budget { full_at: now, paused_until: now }),
        }
    }

    /// Waits for one request of the budget and takes it; dropping the future takes nothing.
    pub async fn ready(&self) {
        let _waiting = Waiting::enter(&self.waiting);
        let _turn = self.turn.lock().await;
        while let Err(opens_at) = self.take() {
            tokio::time::sleep_until(opens_at).await;
        }
    }

    /// As [`Limiter::ready`], but refuses at once what could not come within `patience`.
    pub(crate) async fn admit(&self, patience: Duration) -> Result<(), Error> {
        let delay = self.delay();
        if delay >= patience {
            return Err(Error::RateLimited { retry_after: Some(delay), id: None });
        }
        self.ready().await;
        Ok(())
    }

    /// Pauses when ZITADEL limited the rate; other errors mean nothing here.
    pub(crate) fn heed(&self, error: &Error) {
        if let Error::RateLimited { retry_after, .. } = error {
            self.pause_for(retry_after.unwrap_or(DEFAULT_PAUSE));
        }
    }

    /// How long a caller that came now would wait; zero when it would not.
    #[must_use]
    pub fn delay(&self) -> Duration {
        let queue = self.interval * self.waiting.load(Ordering::Relaxed);
        let opens_at = lock(&self.budget).opens_at(self.slack) + queue;
        opens_at.saturating_duration_since(Instant::now())
    }

    /// Lets nothing through for `duration` (at most ten minutes) and up to a tenth more, so that several
    /// connections do not come back at once. A longer pause under way stays.
    pub fn pause_for(&self, duration: Duration) {
        let pause = duration.min(LONGEST_PAUSE).mul_f64(between(1.0..1.1)).min(LONGEST_PAUSE);
        let mut budget = lock(&self.budget);
        budget.paused_until = budget.paused_until.max(Instant::now() + pause);
    }

    fn take(&self) -> Result<(), Instant> {
        let now = Instant::now();
        let mut budget = lock(&self.budget);
        let opens_at = budget.opens_at(self.slack);
        if opens_at > now {
            return Err(opens_at);
        }
        budget.full_at = budget.full_at.max(now) + self.interval;
        Ok(())
    }
}

impl Budget {
    fn opens_at(&self, slack: Duration) -> Instant {
        self.full_at.checked_sub(slack).unwrap_or(self.paused_until).max(self.paused_until)
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes writes to one aggregate serial: parallel ones fail in ZITADEL (500, SQLSTATE 23505).
///
/// Share one among all connections; entries nobody holds or waits for are dropped.
#[derive(Debug, Default)]
pub struct AggregateLocks {
    entries: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Holds an aggregate's lock until dropped.
#[derive(Debug)]
pub struct AggregateGuard {
    locks: Arc<AggregateLocks>,
    key: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl AggregateLocks {
    /// Waits for the writes to `aggregate` (its id) that came before; callers are served in order.
    pub async fn lock(self: &Arc<Self>, aggregate: &str) -> AggregateGuard {
        let entry = lock(&self.entries).entry(aggregate.to_owned()).or_default().clone();
        // Made before the wait, so that a dropped waiter cleans up too.
        let mut guard = AggregateGuard { locks: self.clone(), key: aggregate.to_owned(), held: None };
        guard.held = Some(entry.lock_owned().await);
        guard
    }

    /// How many aggregates are locked or waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    /// Whether no aggregate is locked or waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for AggregateGuard {
    fn drop(&mut self) {
        let mut entries = lock(&self.locks.entries);
        self.held = None;
        if entries.get(&self.key).is_some_and(|entry| Arc::strong_count(entry) == 1) {
            entries.remove(&self.key);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
