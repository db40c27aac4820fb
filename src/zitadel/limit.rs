//! The rate of requests to one instance, and the pauses that ZITADEL asks for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::runtime::ambient::between;
use crate::zitadel::error::Error;

const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Neither LIMITS-… nor QUOTA-… says when to come back.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// How many requests may be made: so many a second, of which so many may come at once. Zeroes count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, on average.
    pub requests_per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl Rate {
    /// The stricter of both in each respect.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.min(other.requests_per_second),
            burst: self.burst.min(other.burst),
        }
    }

    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.requests_per_second.max(1)
    }
}

/// A token bucket: a rate, a burst, and pauses that ZITADEL asks for.
///
/// Callers are served in order. Built on tokio's clock, and with a look that takes nothing (`delay`).
#[derive(Debug)]
pub struct Limiter {
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// When the bucket is full again (GCRA's theoretical arrival time).
    full_at: Instant,
    paused_until: Instant,
}

impl Limiter {
    /// A full bucket of this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let now = Instant::now();
        Self {
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
            bucket: Mutex::new(Bucket { rate, full_at: now, paused_until: now }),
        }
    }

    /// Changes the rate; what was taken stays taken, and a pause goes on.
    pub fn set_rate(&self, rate: Rate) {
        let mut bucket = self.bucket.lock();
        if bucket.rate != rate {
            let missing = bucket.missing(Instant::now()).min(rate.burst);
            (bucket.full_at, bucket.rate) = (Instant::now() + rate.interval() * missing, rate);
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

    /// Answers whether it pauses: where ZITADEL says how long, or that a limit or quota of the instance is reached. A bare
    /// 429 is that of a proxy, and concerns its request alone.
    pub(crate) fn apply_retry_after(&self, error: &Error) -> bool {
        let Error::RateLimited { retry_after, id } = error else { return false };
        let of_instance = |id: &str| id.starts_with("LIMITS-") || id.starts_with("QUOTA-");
        let limit = id.as_deref().filter(|id| of_instance(id)).map(|_| DEFAULT_PAUSE);
        let pause = retry_after.or(limit);
        pause.into_iter().for_each(|pause| self.pause_for(pause));
        pause.is_some()
    }

    /// How long a caller that came now would wait; zero when it would not.
    #[must_use]
    pub fn delay(&self) -> Duration {
        let bucket = self.bucket.lock();
        let queue = bucket.rate.interval() * self.waiting.load(Ordering::Relaxed);
        (bucket.opens_at(1) + queue).saturating_duration_since(Instant::now())
    }

    /// When so many requests (at most the burst) may be made at once, if nobody else makes any.
    #[must_use]
    pub fn opens_at(&self, requests: u32) -> Instant {
        let queue = self.waiting.load(Ordering::Relaxed);
        self.bucket.lock().opens_at(requests.saturating_add(queue))
    }

    /// Until when ZITADEL asked for a pause; `None` without one.
    #[must_use]
    pub fn paused_until(&self) -> Option<Instant> {
        Some(self.bucket.lock().paused_until).filter(|until| *until > Instant::now())
    }

    /// Lets nothing through for `duration` (at most ten minutes) and up to a tenth more, so that several
    /// connections do not come back at once. A longer pause under way stays.
    pub fn pause_for(&self, duration: Duration) {
        let pause = duration.min(LONGEST_PAUSE).mul_f64(between(1.0..1.1)).min(LONGEST_PAUSE);
        let mut bucket = self.bucket.lock();
        bucket.paused_until = bucket.paused_until.max(Instant::now() + pause);
    }

    fn take(&self) -> Result<(), Instant> {
        let now = Instant::now();
        let mut bucket = self.bucket.lock();
        let opens_at = bucket.opens_at(1);
        if opens_at > now {
            return Err(opens_at);
        }
        bucket.full_at = bucket.full_at.max(now) + bucket.rate.interval();
        Ok(())
    }
}

impl Bucket {
    /// When the bucket holds so many; more than it can hold count as full.
    fn opens_at(&self, requests: u32) -> Instant {
        let spare = self.rate.burst.max(1).saturating_sub(requests.max(1));
        let holds = self.full_at.checked_sub(self.rate.interval() * spare);
        holds.unwrap_or(self.paused_until).max(self.paused_until)
    }

    fn missing(&self, now: Instant) -> u32 {
        let missing = self.full_at.saturating_duration_since(now).div_duration_f64(self.rate.interval());
        // Never more than a burst and a little; saturates in any case.
        missing.ceil() as u32
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
