//! The order of writes to one aggregate.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

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
        let entry = self.entries.lock().entry(aggregate.to_owned()).or_default().clone();
        // Made before the wait, so that a dropped waiter cleans up too.
        let mut guard = AggregateGuard { locks: self.clone(), key: aggregate.to_owned(), held: None };
        guard.held = Some(entry.lock_owned().await);
        guard
    }

    /// How many aggregates are locked or waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Whether no aggregate is locked or waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for AggregateGuard {
    fn drop(&mut self) {
        let mut entries = self.locks.entries.lock();
        self.held = None;
        if entries.get(&self.key).is_some_and(|entry| Arc::strong_count(entry) == 1) {
            entries.remove(&self.key);
        }
    }
}
