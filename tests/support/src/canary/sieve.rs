//! Tells in a nanosecond that a window belongs to no secret.

use std::sync::atomic::{AtomicU64, Ordering};

use super::forms::Window;

/// A set that may claim to hold what it does not.
pub(super) struct Sieve {
    words: Box<[AtomicU64]>,
    shift: u32,
}

impl Sieve {
    /// Of two to the power of so many bits.
    pub(super) fn new(bits: u32) -> Self {
        let words = (0..1_usize << (bits - 6)).map(|_| AtomicU64::new(0)).collect();
        Self { words, shift: 64 - bits }
    }

    pub(super) fn insert(&self, window: &Window) {
        let (word, bit) = self.place(window);
        word.fetch_or(bit, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn may_hold(&self, window: &Window) -> bool {
        let (word, bit) = self.place(window);
        word.load(Ordering::Relaxed) & bit != 0
    }

    #[inline]
    fn place(&self, window: &Window) -> (&AtomicU64, u64) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *window;
        let head = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let tail = u64::from(u32::from_le_bytes([i, j, k, l]));
        // Fibonacci hashing: the high bits are the well mixed ones.
        let hash = (head ^ tail.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        (&self.words[(hash >> 6) as usize], 1 << (hash & 63))
    }
}
