//! Admits reconciles to the budget of their connection. Whoever is refused holds no worker: it is woken for its grant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::address::{Address, ConnectionKey};
use crate::engine::admission::queue::{Queue, Urgency};
use crate::engine::admission::rates::InstanceRate;
use crate::engine::decision::error::{NET, ReconcileError};
use crate::engine::watch::requeue_channel::RequeueChannel;
use crate::zitadel::{self, Budget, Limiter, Opening, Rate};

/// Reconciles under way through the namespaced connections of one namespace, and of all together: dead ones of
/// tenants leave room for the rest.
const TENANT_PERMITS: usize = 4;
const ALL_TENANT_PERMITS: usize = 12;
/// So long a grant is kept for who was woken for it.
const KEPT: Duration = Duration::from_secs(5);

/// The limiters of all budgets.
pub struct Admissions {
    most: u16,
    metrics: zitadel::Metrics,
    shared: Arc<Shared>,
    instance_limiters: Mutex<Vec<Weak<InstanceLimiter>>>,
    instances: Mutex<BTreeMap<String, Weak<InstanceRate>>>,
}

/// What all limiters have in common.
struct Shared {
    requeues: Arc<RequeueChannel>,
    changed: Arc<Notify>,
    tenant_permits: Mutex<TenantPermits>,
    /// Where each resource waits, or was given its grant.
    places: Mutex<BTreeMap<Address, Weak<InstanceLimiter>>>,
}

/// Reconciles under way through namespaced connections.
#[derive(Default)]
struct TenantPermits {
    taken: BTreeMap<String, usize>,
    /// In which order the namespaces that have a limiter last took one.
    last: BTreeMap<String, u64>,
    count: u64,
}

impl Admissions {
    /// No limiter yet; each will admit at most so many at a time, counted here.
    pub fn new(requeues: Arc<RequeueChannel>, most: u16, metrics: zitadel::Metrics) -> Self {
        let (changed, tenant_permits, places) = (Arc::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { requeues, changed, tenant_permits, places });
        Self { most, metrics, shared, instance_limiters: Mutex::default(), instances: Mutex::default() }
    }

    /// The wake channel.
    pub fn requeues(&self) -> Arc<RequeueChannel> {
        self.shared.requeues.clone()
    }

    /// The limiter of a connection of its own.
    pub fn instance_limiter(&self, key: &ConnectionKey, rate: Rate) -> Arc<InstanceLimiter> {
        let budget = Budget::new(rate, self.most, self.metrics.clone()).telling(self.shared.changed.clone());
        let instance_limiter = Arc::new(InstanceLimiter {
            tenant: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            rate: Mutex::new(InstanceRate::of(budget.limiter())),
            budget: Arc::new(budget),
            shared: self.shared.clone(),
            wait_queue: Mutex::default(),
        });
        self.instance_limiters.lock().push(Arc::downgrade(&instance_limiter));
        instance_limiter
    }

    /// From now on the limiter keeps the rate of this instance, as all cluster connections that reach it do.
    pub fn share_rate(
        &self,
        instance: &str,
        key: &ConnectionKey,
        rate: Rate,
        instance_limiter: &InstanceLimiter,
    ) {
        let (own, mut instances) = (instance_limiter.rate(), self.instances.lock());
        instances.retain(|_, rate| rate.strong_count() > 0);
        let shared = match instances.get(instance).and_then(Weak::upgrade) {
            Some(shared) => shared,
            // A connection that reaches another instance now leaves the rate to those who still reach the one before.
            None if instances.values().any(|rate| rate.as_ptr() == Arc::as_ptr(&own)) => {
                InstanceRate::of(Arc::new(Limiter::new(rate)))
            }
            None => own,
        };
        instances.insert(instance.to_owned(), Arc::downgrade(&shared));
        drop(instances);
        instance_limiter.keep(key, rate, shared);
    }

    /// Wakes whose grant it is, for ever.
    pub async fn serve(&self) {
        loop {
            let next = self.admit_waiting();
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = timer => {}
            }
        }
    }

    /// Gives out what is free, grant by grant; answers when time alone may free more.
    fn admit_waiting(&self) -> Option<Instant> {
        let instance_limiters = self.living();
        loop {
            // All of them before anybody is asked: a tenant's other limiter may wait for the permit.
            instance_limiters.iter().for_each(|instance_limiter| instance_limiter.end_grants());
            let mut in_turn: Vec<&Arc<InstanceLimiter>> = instance_limiters.iter().collect();
            in_turn.sort_by_cached_key(|instance_limiter| self.shared.precedence(instance_limiter));
            if !in_turn.iter().any(|instance_limiter| instance_limiter.admit_next()) {
                return instance_limiters
                    .iter()
                    .filter_map(|instance_limiter| instance_limiter.changes_at())
                    .min();
            }
        }
    }

    /// The grant at this limiter that was given to it, if it was woken for one. Elsewhere it waits no more.
    pub fn grant(&self, who: &Address, here: Option<&Arc<InstanceLimiter>>) -> Option<Admission> {
        let place = self.shared.places.lock().get(who).cloned()?;
        match (place.upgrade(), here) {
            (Some(instance_limiter), Some(here)) if Arc::ptr_eq(&instance_limiter, here) => {
                instance_limiter.grant(who)
            }
            _ => {
                self.forget(who);
                None
            }
        }
    }

    /// The kind of each that waits.
    pub fn waiting(&self) -> Vec<&'static str> {
        let kinds = |instance_limiter: Arc<InstanceLimiter>| {
            instance_limiter.wait_queue.lock().queue.waiting().map(|who| who.kind).collect::<Vec<_>>()
        };
        self.living().into_iter().flat_map(kinds).collect()
    }

    /// It waits no more: it is gone.
    pub fn forget(&self, who: &Address) {
        let place = self.shared.places.lock().remove(who);
        if let Some(instance_limiter) = place.and_then(|instance_limiter| instance_limiter.upgrade()) {
            instance_limiter.forget(who);
        }
    }

    fn living(&self) -> Vec<Arc<InstanceLimiter>> {
        let mut instance_limiters = self.instance_limiters.lock();
        let before = instance_limiters.len();
        instance_limiters.retain(|instance_limiter| instance_limiter.strong_count() > 0);
        let living: Vec<Arc<InstanceLimiter>> = instance_limiters.iter().filter_map(Weak::upgrade).collect();
        if instance_limiters.len() < before {
            let tenants: BTreeSet<&str> =
                living.iter().filter_map(|instance_limiter| instance_limiter.tenant.as_deref()).collect();
            self.shared.tenant_permits.lock().last.retain(|tenant, _| tenants.contains(tenant.as_str()));
        }
        living
    }
}

impl Shared {
    /// Who has fewest permits comes first, and of these who has waited longest for one.
    fn precedence(&self, instance_limiter: &InstanceLimiter) -> (usize, u64) {
        let Some(tenant) = instance_limiter.tenant.as_deref() else {
            return (0, instance_limiter.wait_queue.lock().last);
        };
        let tenant_permits = self.tenant_permits.lock();
        let of = |known: Option<&u64>| known.copied().unwrap_or_default();
        (tenant_permits.taken.get(tenant).copied().unwrap_or_default(), of(tenant_permits.last.get(tenant)))
    }

    /// A number that is higher each time.
    fn count(&self) -> u64 {
        let mut tenant_permits = self.tenant_permits.lock();
        tenant_permits.count += 1;
        tenant_permits.count
    }

    fn acquire_permit(&self, tenant: Option<&str>) -> bool {
        let Some(tenant) = tenant else { return true };
        let mut tenant_permits = self.tenant_permits.lock();
        let all: usize = tenant_permits.taken.values().sum();
        let own = tenant_permits.taken.get(tenant).copied().unwrap_or_default();
        if all >= ALL_TENANT_PERMITS || own >= TENANT_PERMITS {
            return false;
        }
        tenant_permits.count += 1;
        let count = tenant_permits.count;
        tenant_permits.taken.insert(tenant.to_owned(), own + 1);
        tenant_permits.last.insert(tenant.to_owned(), count);
        true
    }

    fn release_permit(&self, tenant: Option<&str>) {
        let Some(tenant) = tenant else { return };
        let mut tenant_permits = self.tenant_permits.lock();
        match tenant_permits.taken.get_mut(tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(tenant_permits.taken.remove(tenant)),
        }
    }
}

/// Where reconciles wait for one budget.
pub struct InstanceLimiter {
    tenant: Option<String>,
    budget: Arc<Budget>,
    rate: Mutex<Arc<InstanceRate>>,
    shared: Arc<Shared>,
    wait_queue: Mutex<WaitQueue>,
}

#[derive(Default)]
struct WaitQueue {
    queue: Queue,
    under_way: usize,
    probing: bool,
    given: BTreeMap<Address, Grant>,
    /// When, of all limiters of cluster connections, this one gave a grant last.
    last: u64,
}

/// A grant that was given and not taken yet.
struct Grant {
    probes: bool,
    until: Instant,
}

/// The right to one reconcile, for as long as it lives.
pub struct Admission {
    instance_limiter: Arc<InstanceLimiter>,
    probes: bool,
}

impl InstanceLimiter {
    /// The budget.
    pub fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    /// What a connection allows; `None`: it spends here no more.
    pub fn set_rate(&self, key: &ConnectionKey, rate: Option<Rate>) {
        self.rate().set(key, rate);
    }

    fn rate(&self) -> Arc<InstanceRate> {
        self.rate.lock().clone()
    }

    fn keep(&self, key: &ConnectionKey, rate: Rate, shared: Arc<InstanceRate>) {
        let own = self.rate();
        if Arc::ptr_eq(&own, &shared) {
            return;
        }
        own.set(key, None);
        shared.set(key, Some(rate));
        self.budget.keep(shared.limiter.clone());
        *self.rate.lock() = shared;
        self.shared.changed.notify_one();
    }

    /// Admits one reconcile; never waits.
    ///
    /// # Errors
    /// [`ReconcileError::NotAdmitted`], or what the instance last answered where it is not there. It is woken for its grant.
    pub fn admit(self: &Arc<Self>, who: &Address, urgency: Urgency) -> Result<Admission, ReconcileError> {
        let mut wait_queue = self.wait_queue.lock();
        if wait_queue.queue.is_empty()
            && let Some(probes) = self.take(&mut wait_queue)
        {
            return Ok(Admission { instance_limiter: self.clone(), probes });
        }
        wait_queue.queue.push(who, urgency);
        drop(wait_queue);
        self.shared.places.lock().insert(who.clone(), Arc::downgrade(self));
        self.shared.changed.notify_one();
        Err(self.budget.trouble().map_or(ReconcileError::NotAdmitted(NET), ReconcileError::Queued))
    }

    fn grant(self: &Arc<Self>, who: &Address) -> Option<Admission> {
        let probes = self.wait_queue.lock().given.remove(who)?.probes;
        self.shared.places.lock().remove(who);
        Some(Admission { instance_limiter: self.clone(), probes })
    }

    fn forget(&self, who: &Address) {
        let mut wait_queue = self.wait_queue.lock();
        wait_queue.queue.remove(who);
        if let Some(grant) = wait_queue.given.remove(who) {
            self.give_back(&mut wait_queue, grant.probes);
            self.shared.changed.notify_one();
        }
    }

    /// Gives the next one its grant, if there is room.
    fn admit_next(&self) -> bool {
        let mut wait_queue = self.wait_queue.lock();
        if wait_queue.queue.is_empty() {
            return false;
        }
        let Some(probes) = self.take(&mut wait_queue) else { return false };
        let Some(next) = wait_queue.queue.pop() else {
            self.give_back(&mut wait_queue, probes);
            return false;
        };
        wait_queue.given.insert(next.clone(), Grant { probes, until: Instant::now() + KEPT });
        wait_queue.last = self.shared.count();
        drop(wait_queue);
        self.shared.requeues.wake([next]);
        true
    }

    /// Takes back what was given to those who did not come: they may be gone.
    fn end_grants(&self) {
        let (now, mut wait_queue) = (Instant::now(), self.wait_queue.lock());
        let over: Vec<(Address, Grant)> =
            wait_queue.given.extract_if(.., |_, grant| grant.until <= now).collect();
        for (who, grant) in over {
            self.give_back(&mut wait_queue, grant.probes);
            self.shared.places.lock().remove(&who);
        }
    }

    /// When time alone may change who is admitted.
    fn changes_at(&self) -> Option<Instant> {
        let wait_queue = self.wait_queue.lock();
        let grant_ends = wait_queue.given.values().map(|grant| grant.until).min();
        let opens = match self.budget.opening(wait_queue.under_way) {
            _ if wait_queue.queue.is_empty() => None,
            Opening::At(at) => Some(at),
            Opening::Broken(probe_at) => probe_at,
            Opening::Now | Opening::Probe | Opening::Later => None,
        };
        grant_ends.into_iter().chain(opens).min()
    }

    /// Takes room for one, if there is any; answers whether it is a probe.
    fn take(&self, wait_queue: &mut WaitQueue) -> Option<bool> {
        let probes = match self.budget.opening(wait_queue.under_way) {
            Opening::Now => false,
            Opening::Probe if !wait_queue.probing => true,
            _ => return None,
        };
        if !self.shared.acquire_permit(self.tenant.as_deref()) {
            return None;
        }
        wait_queue.under_way += 1;
        wait_queue.probing |= probes;
        Some(probes)
    }

    fn give_back(&self, wait_queue: &mut WaitQueue, probes: bool) {
        wait_queue.under_way -= 1;
        wait_queue.probing &= !probes;
        self.shared.release_permit(self.tenant.as_deref());
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.instance_limiter.give_back(&mut self.instance_limiter.wait_queue.lock(), self.probes);
        self.instance_limiter.shared.changed.notify_one();
    }
}

impl Drop for InstanceLimiter {
    /// Who waited waits elsewhere from now on, or for nothing; grants that were given are over.
    fn drop(&mut self) {
        let mut wait_queue = self.wait_queue.lock();
        for _ in std::mem::take(&mut wait_queue.given) {
            self.shared.release_permit(self.tenant.as_deref());
        }
        self.shared.requeues.wake(wait_queue.queue.waiting().cloned().collect::<Vec<_>>());
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
