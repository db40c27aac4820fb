//! How much at once an instance bears: less when it slows down.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// An answer is slow that takes so many times as long as the quickest …
const SLOW_FACTOR: f64 = 3.0;
/// … and so much besides: quick answers vary.
const SLOW_BESIDES: Duration = Duration::from_millis(250);
/// What stays after a slow answer.
const CUT: f64 = 0.7;
/// The quickest answer is forgotten by so much with each answer: a server that stays slow is the normal one after some hundred.
const DRIFT: f64 = 1.01;

/// Additive increase, multiplicative decrease, by the time that answers take.
#[derive(Debug)]
pub struct Load {
    most: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    quickest: Option<Duration>,
    cut_at: Option<Instant>,
}

impl Load {
    /// At most so many at once.
    #[must_use]
    pub fn new(most: u16) -> Self {
        let most = f64::from(most.max(1));
        Self { most, state: Mutex::new(State { limit: most, quickest: None, cut_at: None }) }
    }

    /// How many at once are well now; at least one.
    #[must_use]
    pub fn limit(&self) -> usize {
        // Between one and `most`.
        self.state.lock().limit as usize
    }

    /// An answer took so long.
    pub(crate) fn answered(&self, took: Duration) {
        let mut state = self.state.lock();
        let quickest = state.quickest.map_or(took, |known| known.mul_f64(DRIFT).min(took));
        state.quickest = Some(quickest);
        if is_slow(took, quickest) {
            state.slow(took);
        } else {
            state.limit = (state.limit + 1.0 / state.limit).min(self.most);
        }
    }

    /// A failure took so long. How quick one is says nothing of answers.
    pub(crate) fn failed(&self, took: Duration) {
        let mut state = self.state.lock();
        if state.quickest.is_some_and(|quickest| is_slow(took, quickest)) {
            state.slow(took);
        }
    }

    /// The server is not there: it begins anew, one at a time.
    pub(crate) fn broke(&self) {
        self.state.lock().cut(0.0);
    }
}

fn is_slow(took: Duration, quickest: Duration) -> bool {
    took > quickest.mul_f64(SLOW_FACTOR) + SLOW_BESIDES
}

impl State {
    fn slow(&mut self, took: Duration) {
        // What was under way at the last cut is slow by what was before it.
        if self.cut_at.is_none_or(|at| at.elapsed() >= took) {
            self.cut(CUT);
        }
    }

    fn cut(&mut self, share: f64) {
        self.limit = (self.limit * share).max(1.0);
        self.cut_at = Some(Instant::now());
    }
}
