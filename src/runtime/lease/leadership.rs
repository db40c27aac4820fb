use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whether this process leads. Clones share one state; asking is one atomic read and one clock read.
///
/// It begins at most once and ends at most once: who stood by may lead, who led leads never again.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: Arc<Term>,
}

#[derive(Debug)]
struct Term {
    start: Instant,
    /// Nanoseconds after `start` at which leadership ends unless it is extended; 0 when it is over.
    valid_for: AtomicU64,
    begun: CancellationToken,
    lost: CancellationToken,
}

impl Leadership {
    /// For a process without leader election: leads for ever.
    pub fn always() -> Self {
        let always = Self::pending();
        always.term.valid_for.store(u64::MAX, Ordering::Release);
        always.term.begun.cancel();
        always
    }

    /// For a process that stands by until [`Self::begin`].
    pub fn pending() -> Self {
        let (start, valid_for) = (Instant::now(), AtomicU64::new(0));
        let (begun, lost) = (CancellationToken::new(), CancellationToken::new());
        Self { term: Arc::new(Term { start, valid_for, begun, lost }) }
    }

    /// From now on it leads, until then unless it is extended. The elector's to call.
    pub fn begin(&self, deadline: Instant) {
        self.extend(deadline);
        self.term.begun.cancel();
    }

    /// Cancelled once this process leads, and ever after: it stood by until then.
    pub fn begun(&self) -> &CancellationToken {
        &self.term.begun
    }

    /// Whether a write may still be sent: the last renewal is recent enough by this process's own clock.
    ///
    /// True of a process that was stopped and resumed only if it was resumed in time; nothing has to run in
    /// between for the answer to be right. Once false because of a loss, never true again.
    pub fn is_leader(&self) -> bool {
        nanos(self.term.start.elapsed()) < self.term.valid_for.load(Ordering::Acquire)
    }

    /// Cancelled once leadership is over, for whatever reason: stop everything and exit non-zero.
    pub fn lost(&self) -> &CancellationToken {
        &self.term.lost
    }

    pub(super) fn deadline(&self) -> Instant {
        self.term.start + Duration::from_nanos(self.term.valid_for.load(Ordering::Acquire))
    }

    pub(super) fn extend(&self, deadline: Instant) {
        let valid_for = deadline.saturating_duration_since(self.term.start);
        self.term.valid_for.store(nanos(valid_for), Ordering::Release);
    }

    /// Gives it up: no write may be sent any more.
    pub fn end(&self) {
        self.term.valid_for.store(0, Ordering::Release);
        self.term.lost.cancel();
    }

    pub(super) fn end_on_drop(&self) -> End {
        End(self.clone())
    }
}

/// Ends the leadership when dropped: also when the renewal panics or its runtime goes.
pub(super) struct End(Leadership);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
