//! Delays that grow with failures in a row.

use std::time::Duration;

use crate::runtime::ambient::between;

/// First and largest delay; each failure doubles it.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// After the first failure.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Growth {
    /// From this many milliseconds to that many.
    pub const fn from_millis(base: u64, cap: u64) -> Self {
        Self { base: Duration::from_millis(base), cap: Duration::from_millis(cap) }
    }

    /// The delay after a failure that so many came before.
    pub fn delay(self, failures: u32) -> Duration {
        self.base.saturating_mul(1 << failures.min(16)).min(self.cap).max(self.base)
    }

    /// Anything from half the first delay to the one that is due: never at once, never in step.
    pub fn spread(self, failures: u32) -> Duration {
        between(self.base / 2..=self.delay(failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_from_the_first_to_the_largest() {
        let growth = Growth::from_millis(800, 20_000);
        let delays = [0, 1, 4, 5, 99].map(|failures| growth.delay(failures).as_millis());
        assert_eq!(delays, [800, 1600, 12_800, 20_000, 20_000]);
        let least = Growth { base: Duration::MAX, cap: Duration::ZERO };
        assert_eq!(least.delay(40), Duration::MAX, "never less than the first");
        assert!((0..100).all(|_| (400..=1600).contains(&growth.spread(1).as_millis())));
    }
}
