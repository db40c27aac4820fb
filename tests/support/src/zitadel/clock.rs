//! Time and identifiers, both reproducible under paused time and a fixed seed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use jiff::{Timestamp, Unit};
use tokio::time::Instant;

/// Wall time that moves with [`tokio::time::Instant`], so that a paused runtime pauses it too.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    epoch: Timestamp,
    started: Instant,
}

impl Clock {
    pub(super) fn new(epoch: Option<Timestamp>) -> Self {
        Self { epoch: micros(epoch.unwrap_or_else(Timestamp::now)), started: Instant::now() }
    }

    /// Now, in whole microseconds, as ZITADEL's event store keeps time.
    pub(super) fn now(&self) -> Timestamp {
        micros(self.epoch + self.started.elapsed())
    }
}

fn micros(at: Timestamp) -> Timestamp {
    at.round(Unit::Microsecond).unwrap_or(at)
}

/// RFC 3339 with six fractional digits, as answers carry it.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// IMF-fixdate, as the `Date` header carries it.
pub(super) fn imf_fixdate(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Identifiers and tokens: a counter for ids (18 digits, ascending), splitmix64 for the rest.
#[derive(Debug)]
pub(super) struct Ids {
    next: u64,
    random: u64,
}

impl Ids {
    pub(super) fn new(seed: Option<u64>) -> Self {
        let mut random = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Self { next: 300_000_000_000_000_000 + splitmix(&mut random) % 100_000_000_000_000_000, random }
    }

    pub(super) fn id(&mut self) -> String {
        self.next += 65_536 + splitmix(&mut self.random) % 65_536;
        self.next.to_string()
    }

    /// An opaque token of `length` URL-safe characters.
    pub(super) fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..length).map(|_| char::from(ALPHABET[(splitmix(&mut self.random) % 64) as usize])).collect()
    }

    /// Eight hexadecimal digits.
    pub(super) fn suffix(&mut self) -> String {
        format!("{:08x}", splitmix(&mut self.random) as u32)
    }

    /// Evenly distributed within `least..=most`.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros() as u64;
        least + Duration::from_micros(splitmix(&mut self.random) % (span + 1))
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
