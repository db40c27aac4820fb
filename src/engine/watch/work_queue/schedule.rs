//! When each resource is due; knows nothing of kube.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::api::address::Address;
use crate::engine::decision::claimant::Claimant;

/// When a resource is due; of those due at one time whoever was added first is first.
type Due = (Instant, u64);

/// The resources, those of them that wait, and how many are reconciled.
#[derive(Default)]
pub(crate) struct Schedule {
    entries: HashSet<Entry>,
    waiting: BTreeMap<Due, Arc<Claimant>>,
    added: u64,
    processing: usize,
    waker: Option<Waker>,
}

/// A resource, found by its address.
struct Entry {
    who: Arc<Claimant>,
    /// What it was when it was added for a change.
    mark: u64,
    due: Option<Due>,
    is_processing: bool,
    is_gone: bool,
}

impl Borrow<Address> for Entry {
    fn borrow(&self) -> &Address {
        &self.who.address
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.who.address.hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.who.address == other.who.address
    }
}

impl Eq for Entry {}

impl Schedule {
    /// A resource as it is now: it is due where its mark is another, however old the last look is.
    pub(crate) fn see(&mut self, who: Arc<Claimant>, mark: u64) {
        let known = self.entries.take(&who.address);
        let is_same = |known: &Entry| !known.is_gone && known.mark == mark && known.who.uid == who.uid;
        let is_news = !known.as_ref().is_some_and(is_same);
        let (due, is_processing) = known.map_or((None, false), |known| (known.due, known.is_processing));
        let mut entry = Entry { who, mark, due, is_processing, is_gone: false };
        if is_news {
            self.schedule(&mut entry, Instant::now());
        }
        self.entries.insert(entry);
    }

    /// The resource with this UID is gone.
    pub(crate) fn forget(&mut self, address: &Address, uid: &str) {
        let Some(mut entry) = self.entries.take(address) else { return };
        let is_gone = entry.who.uid == uid;
        if is_gone && let Some(due) = entry.due.take() {
            self.waiting.remove(&due);
        }
        entry.is_gone |= is_gone;
        if entry.is_processing || !is_gone {
            self.entries.insert(entry);
        }
    }

    /// A resource that is known is due at this time, if not earlier.
    pub(crate) fn add(&mut self, address: &Address, at: Instant) {
        let Some(mut entry) = self.entries.take(address) else { return };
        if !entry.is_gone {
            self.schedule(&mut entry, at);
        }
        self.entries.insert(entry);
    }

    fn schedule(&mut self, entry: &mut Entry, at: Instant) {
        if entry.due.is_some_and(|(known, _)| known <= at) {
            return;
        }
        self.added += 1;
        let due = (at, self.added);
        if let Some(later) = entry.due.replace(due) {
            self.waiting.remove(&later);
        }
        if !entry.is_processing {
            self.waiting.insert(due, entry.who.clone());
        }
        self.wake();
    }

    /// When the first of those that wait is due, if fewer are reconciled than this.
    pub(crate) fn next(&self, most: usize) -> Option<Instant> {
        let (&(at, _), _) = self.waiting.first_key_value()?;
        (self.processing < most).then_some(at)
    }

    /// The first of those that wait; it is reconciled from now on.
    pub(crate) fn take(&mut self) -> Option<Arc<Claimant>> {
        let (_, who) = self.waiting.pop_first()?;
        let mut entry = self.entries.take(&who.address)?;
        (entry.due, entry.is_processing) = (None, true);
        self.entries.insert(entry);
        self.processing += 1;
        Some(who)
    }

    /// It is reconciled no more.
    pub(crate) fn done(&mut self, address: &Address) {
        self.processing = self.processing.saturating_sub(1);
        self.wake();
        let known = self.entries.take(address).filter(|known| !known.is_gone);
        let Some(mut entry) = known else { return };
        entry.is_processing = false;
        self.waiting.extend(entry.due.map(|due| (due, entry.who.clone())));
        self.entries.insert(entry);
    }

    /// Wakes this task once something changes.
    pub(crate) fn notify(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
