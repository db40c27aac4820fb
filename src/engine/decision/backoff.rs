//! How long a resource waits before its next attempt.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::decision::error::RequeuePolicy;
use crate::runtime::ambient::between;
use crate::runtime::growth::Growth;

/// A longer delay is as good as none; arithmetic on it would overflow.
const LONGEST_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The delays of the growing delays.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// For failures that pass by themselves.
    pub transient: Growth,
    /// For what another resource must bring about.
    pub dependency: Growth,
    /// For what a person must bring about.
    pub slow: Growth,
    /// For what another version of the server must bring about.
    pub rare: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        let growth = |base, cap| Growth { base: Duration::from_secs(base), cap: Duration::from_secs(cap) };
        Self {
            transient: growth(1, 60),
            dependency: growth(5, 120),
            slow: growth(15, 600),
            rare: Duration::from_secs(4 * 3600),
        }
    }
}

/// Failures in a row of one requeue policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failures {
    requeue: RequeuePolicy,
    count: u32,
    delay_until: Instant,
}

impl Delays {
    /// The jittered delay before the next attempt; `resync` is the interval of [`RequeuePolicy::Resync`], which ends a row
    /// of failures.
    ///
    /// A failure counts only once the previous delay has elapsed, so that a burst of events is one failure. One of another
    /// policy is the first of its own: it waits for nothing that is left of a longer delay.
    pub fn next(
        &self,
        failures: &mut Option<Failures>,
        requeue: RequeuePolicy,
        resync: Duration,
    ) -> Duration {
        match requeue {
            RequeuePolicy::Resync => {
                *failures = None;
                spread(resync.min(LONGEST_DELAY), 0.1)
            }
            RequeuePolicy::Rare => spread(self.rare, 0.25),
            RequeuePolicy::After(delay) => spread(delay.min(LONGEST_DELAY).mul_f64(1.1), 0.09),
            RequeuePolicy::Transient => grow(failures, requeue, self.transient),
            RequeuePolicy::Dependency => grow(failures, requeue, self.dependency),
            RequeuePolicy::Slow => grow(failures, requeue, self.slow),
        }
    }
}

fn grow(failures: &mut Option<Failures>, requeue: RequeuePolicy, growth: Growth) -> Duration {
    let now = Instant::now();
    let known = failures.filter(|known| known.requeue == requeue);
    if let Some(known) = known.filter(|known| now < known.delay_until) {
        return known.delay_until - now;
    }
    let count = known.map_or(0, |known| known.count);
    let delay = growth.spread(count);
    *failures = Some(Failures { requeue, count: count.saturating_add(1), delay_until: now + delay });
    delay
}

/// `duration` ± `share` of it.
fn spread(duration: Duration, share: f64) -> Duration {
    duration.mul_f64(between(1.0 - share..=1.0 + share))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESYNC: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn delays_grow_to_the_cap_and_start_anew_after_a_success() {
        let (delays, mut failures) = (Delays::default(), None);
        let mut largest = Duration::ZERO;
        for _ in 0..64 {
            let delay = delays.next(&mut failures, RequeuePolicy::Transient, RESYNC);
            assert!(delay >= Duration::from_millis(500) && delay <= Duration::from_secs(60), "{delay:?}");
            largest = largest.max(delay);
            tokio::time::advance(delay).await;
        }
        assert!(largest > Duration::from_secs(30), "never grew: {largest:?}");
        delays.next(&mut failures, RequeuePolicy::Resync, RESYNC);
        assert!(delays.next(&mut failures, RequeuePolicy::Transient, RESYNC) <= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_events_is_one_failure() {
        let (delays, mut failures) = (Delays::default(), None);
        let first = delays.next(&mut failures, RequeuePolicy::Slow, RESYNC);
        assert_eq!(first, delays.next(&mut failures, RequeuePolicy::Slow, RESYNC));
        tokio::time::advance(first / 2).await;
        assert_eq!(first - first / 2, delays.next(&mut failures, RequeuePolicy::Slow, RESYNC));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_passes_waits_for_no_delay_of_one_that_does_not() {
        let (delays, mut failures) = (Delays::default(), None);
        for _ in 0..64 {
            let delay = delays.next(&mut failures, RequeuePolicy::Slow, RESYNC);
            tokio::time::advance(delay).await;
        }
        delays.next(&mut failures, RequeuePolicy::Slow, RESYNC);
        assert!(delays.next(&mut failures, RequeuePolicy::Transient, RESYNC) <= Duration::from_secs(1));
        assert!(delays.next(&mut failures, RequeuePolicy::Slow, RESYNC) <= Duration::from_secs(15));
    }

    #[test]
    fn a_resync_spreads_by_a_tenth() {
        for _ in 0..100 {
            let delay = Delays::default().next(&mut None, RequeuePolicy::Resync, RESYNC);
            assert!(delay >= Duration::from_secs(540) && delay <= Duration::from_secs(660));
        }
    }
}
