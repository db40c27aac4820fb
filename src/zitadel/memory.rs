//! How much memory answers may take at once, and how much of it one tenant's servers may.
//!
//! Small answers are bounded by how many reconciles are under way. What is larger needs one of a few places, which a
//! reservation takes once and keeps: nobody who holds one waits for another, so there is no deadlock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// More bytes than this need a place.
const SMALL: usize = 256 * 1024;
/// Places of all cluster connections together.
const SHARED_PLACES: usize = 3;
/// Places of all tenants' connections together.
const TENANTS_PLACES: usize = 2;
/// Places of the connections of one tenant.
const TENANT_PLACES: usize = 1;

/// The memory for answers of all servers.
#[derive(Debug)]
pub struct MemoryBudget {
    shared: Arc<Semaphore>,
    tenants: Arc<Semaphore>,
    each: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The part of it that one connection may use.
#[derive(Clone, Debug)]
pub struct MemoryShare {
    own: Option<Arc<Semaphore>>,
    all: Arc<Semaphore>,
}

/// What one call, one list or one reconcile holds. Dropped, it is free again.
#[derive(Debug)]
pub struct Reservation {
    share: MemoryShare,
    bytes: AtomicUsize,
    place: OnceCell<Vec<OwnedSemaphorePermit>>,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        let of = |places| Arc::new(Semaphore::new(places));
        Self { shared: of(SHARED_PLACES), tenants: of(TENANTS_PLACES), each: Mutex::default() }
    }
}

impl MemoryBudget {
    /// The part of a tenant, or of the cluster connections.
    #[must_use]
    pub fn share(&self, tenant: Option<&str>) -> MemoryShare {
        let Some(tenant) = tenant else { return MemoryShare { own: None, all: self.shared.clone() } };
        let mut each = self.each.lock();
        let own = each.get(tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            each.retain(|_, places| places.strong_count() > 0);
            let places = Arc::new(Semaphore::new(TENANT_PLACES));
            each.insert(tenant.to_owned(), Arc::downgrade(&places));
            places
        });
        MemoryShare { own: Some(own), all: self.tenants.clone() }
    }
}

impl MemoryShare {
    /// Holds nothing yet.
    #[must_use]
    pub fn reserve(&self) -> Arc<Reservation> {
        let (share, bytes) = (self.clone(), AtomicUsize::new(0));
        Arc::new(Reservation { share, bytes, place: OnceCell::new() })
    }
}

impl Reservation {
    /// Resolves once so many bytes more may be held.
    pub async fn grow(&self, bytes: usize) {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > SMALL {
            self.place.get_or_init(|| self.share.place()).await;
        }
    }
}

impl MemoryShare {
    /// The tenant's own place first: whoever waits for that keeps nobody else's.
    async fn place(&self) -> Vec<OwnedSemaphorePermit> {
        let mut held = Vec::new();
        for places in self.own.iter().chain([&self.all]) {
            // Nobody closes them.
            held.extend(places.clone().acquire_owned().await);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A large reservation, if there is a place for it now.
    fn large(share: &MemoryShare) -> Option<Arc<Reservation>> {
        let reservation = share.reserve();
        reservation.grow(SMALL + 1).now_or_never().map(|()| reservation)
    }

    #[tokio::test]
    async fn small_answers_need_no_place() {
        let share = MemoryBudget::default().share(Some("team"));
        let _held = large(&share).expect("a place");
        assert!(share.reserve().grow(SMALL).now_or_never().is_some());
    }

    #[tokio::test]
    async fn parts_of_a_list_add_up_and_take_one_place() {
        let budget = MemoryBudget::default();
        let list = budget.share(Some("team")).reserve();
        for _ in 0..100 {
            list.grow(SMALL / 2).await;
        }
        assert!(large(&budget.share(Some("team"))).is_none());
        drop(list);
        assert!(large(&budget.share(Some("team"))).is_some());
    }

    #[tokio::test]
    async fn a_tenant_holds_one_place_through_however_many_connections() {
        let budget = MemoryBudget::default();
        let held = large(&budget.share(Some("greedy")));
        assert!(held.is_some() && large(&budget.share(Some("greedy"))).is_none());
        assert!(large(&budget.share(Some("other"))).is_some());
    }

    #[tokio::test]
    async fn tenants_together_leave_the_places_of_cluster_connections() {
        let budget = MemoryBudget::default();
        let held: Vec<_> = (0..10).filter_map(|n| large(&budget.share(Some(&format!("t{n}"))))).collect();
        assert_eq!(held.len(), TENANTS_PLACES);
        let shared: Vec<_> = (0..10).filter_map(|_| large(&budget.share(None))).collect();
        assert_eq!(shared.len(), SHARED_PLACES);
    }
}
