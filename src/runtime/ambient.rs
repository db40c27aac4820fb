//! What a process takes from around it: the time of day, and chance.
//!
//! A simulation gives its thread others; then every run with the same seed is the same.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use rand::distr::uniform::{SampleRange, SampleUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

thread_local! {
    static SIMULATED: RefCell<Option<Simulated>> = const { RefCell::new(None) };
}

struct Simulated {
    epoch: Timestamp,
    began: Instant,
    chance: StdRng,
}

/// The time of day, by the machine's clock.
pub fn now() -> Timestamp {
    SIMULATED.with_borrow(|simulated| match simulated {
        Some(simulated) => simulated.epoch + simulated.began.elapsed(),
        None => Timestamp::now(),
    })
}

/// Something within a range, each part of it as likely; the range may not be empty.
pub fn between<T: SampleUniform>(range: impl SampleRange<T>) -> T {
    SIMULATED.with_borrow_mut(|simulated| match simulated {
        Some(simulated) => simulated.chance.random_range(range),
        None => rand::random_range(range),
    })
}

/// From now on this thread draws its chances from `seed`, and its time of day moves with tokio's clock from `epoch`.
pub fn simulate(seed: u64, epoch: Timestamp) {
    let simulated = Simulated { epoch, began: Instant::now(), chance: StdRng::seed_from_u64(seed) };
    SIMULATED.set(Some(simulated));
}

/// Sets the simulated clock forward, or back, as an operator of the machine can; without a simulation nothing happens.
pub fn step_clock(by: SignedDuration) {
    SIMULATED.with_borrow_mut(|simulated| {
        if let Some(simulated) = simulated {
            simulated.epoch = simulated.epoch.saturating_add(by).unwrap_or(simulated.epoch);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulation_repeats_itself() {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut drawn = Vec::new();
        for _ in 0..2 {
            simulate(7, epoch);
            drawn.push((0..8).map(|_| between(0..1_000_000)).collect::<Vec<u32>>());
        }
        assert_eq!(drawn[0], drawn[1]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        step_clock(SignedDuration::from_secs(-60));
        assert_eq!(now(), "2025-12-31T23:59:05Z".parse().unwrap());
    }
}
