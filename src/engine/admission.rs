//! Admits reconciles to the budget of their connection. Whoever is refused holds no worker: it is woken for its turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::address::{Address, ConnectionKey};
use super::fault::Fault;
use super::queue::{Queue, Urgency};
use super::rates::InstanceRate;
use super::wake::Wakes;
use crate::zitadel::{self, Budget, Limiter, Opening, Rate};

/// Reconciles under way through the namespaced connections of one namespace, and of all together: dead ones of
/// tenants leave room for the rest.
const TENANT_SEATS: usize = 4;
const TENANTS_SEATS: usize = 12;
/// So long a turn is kept for who was woken for it.
const KEPT: Duration = Duration::from_secs(5);
/// Who waits is woken; should that be lost, it asks again after so long.
pub const NET: Duration = Duration::from_secs(900);

/// The gates of all budgets.
pub struct Admissions {
    most: u16,
    metrics: zitadel::Metrics,
    shared: Arc<Shared>,
    gates: Mutex<Vec<Weak<Gate>>>,
    instances: Mutex<BTreeMap<String, Weak<InstanceRate>>>,
}

/// What all gates have in common.
struct Shared {
    wakes: Arc<Wakes>,
    changed: Arc<Notify>,
    seats: Mutex<Seats>,
    /// Where each resource waits, or was given its turn.
    places: Mutex<BTreeMap<Address, Weak<Gate>>>,
}

/// Reconciles under way through namespaced connections.
#[derive(Default)]
struct Seats {
    taken: BTreeMap<String, usize>,
    /// In which order the namespaces that have a gate last took one.
    last: BTreeMap<String, u64>,
    count: u64,
}

impl Admissions {
    /// No gate yet; each will admit at most so many at a time, counted here.
    pub fn new(wakes: Arc<Wakes>, most: u16, metrics: zitadel::Metrics) -> Self {
        let (changed, seats, places) = (Arc::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { wakes, changed, seats, places });
        Self { most, metrics, shared, gates: Mutex::default(), instances: Mutex::default() }
    }

    /// The wake channel.
    pub fn wakes(&self) -> Arc<Wakes> {
        self.shared.wakes.clone()
    }

    /// The gate of a connection of its own.
    pub fn gate(&self, key: &ConnectionKey, rate: Rate) -> Arc<Gate> {
        let budget = Budget::new(rate, self.most, self.metrics.clone()).telling(self.shared.changed.clone());
        let gate = Arc::new(Gate {
            tenant: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            rate: Mutex::new(InstanceRate::of(budget.limiter())),
            budget: Arc::new(budget),
            shared: self.shared.clone(),
            line: Mutex::default(),
        });
        lock(&self.gates).push(Arc::downgrade(&gate));
        gate
    }

    /// From now on the gate keeps the rate of this instance, as all cluster connections that reach it do.
    pub fn share_rate(&self, instance: &str, key: &ConnectionKey, rate: Rate, gate: &Gate) {
        let (own, mut instances) = (gate.rate(), lock(&self.instances));
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
        gate.keep(key, rate, shared);
    }

    /// Wakes whose turn it is, for ever.
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

    /// Gives out what is free, turn by turn; answers when time alone may free more.
    fn admit_waiting(&self) -> Option<Instant> {
        let gates = self.living();
        loop {
            // All of them before anybody is asked: a tenant's other gate may wait for the seat.
            gates.iter().for_each(|gate| gate.end_turns());
            let mut in_turn: Vec<&Arc<Gate>> = gates.iter().collect();
            in_turn.sort_by_cached_key(|gate| self.shared.precedence(gate));
            if !in_turn.iter().any(|gate| gate.admit_next()) {
                return gates.iter().filter_map(|gate| gate.changes_at()).min();
            }
        }
    }

    /// The turn at this gate that was given to it, if it was woken for one. Elsewhere it waits no more.
    pub fn turn(&self, who: &Address, here: Option<&Arc<Gate>>) -> Option<Admission> {
        let place = lock(&self.shared.places).get(who).cloned()?;
        match (place.upgrade(), here) {
            (Some(gate), Some(here)) if Arc::ptr_eq(&gate, here) => gate.turn(who),
            _ => {
                self.forget(who);
                None
            }
        }
    }

    /// The kind of each that waits.
    pub fn waiting(&self) -> Vec<&'static str> {
        let kinds =
            |gate: Arc<Gate>| lock(&gate.line).queue.waiting().map(|who| who.kind).collect::<Vec<_>>();
        self.living().into_iter().flat_map(kinds).collect()
    }

    /// It waits no more: it is gone.
    pub fn forget(&self, who: &Address) {
        let place = lock(&self.shared.places).remove(who);
        if let Some(gate) = place.and_then(|gate| gate.upgrade()) {
            gate.forget(who);
        }
    }

    fn living(&self) -> Vec<Arc<Gate>> {
        let mut gates = lock(&self.gates);
        let before = gates.len();
        gates.retain(|gate| gate.strong_count() > 0);
        let living: Vec<Arc<Gate>> = gates.iter().filter_map(Weak::upgrade).collect();
        if gates.len() < before {
            let tenants: BTreeSet<&str> = living.iter().filter_map(|gate| gate.tenant.as_deref()).collect();
            lock(&self.shared.seats).last.retain(|tenant, _| tenants.contains(tenant.as_str()));
        }
        living
    }
}

impl Shared {
    /// Who has fewest seats comes first, and of these who has waited longest for one.
    fn precedence(&self, gate: &Gate) -> (usize, u64) {
        let Some(tenant) = gate.tenant.as_deref() else { return (0, lock(&gate.line).last) };
        let seats = lock(&self.seats);
        let of = |known: Option<&u64>| known.copied().unwrap_or_default();
        (seats.taken.get(tenant).copied().unwrap_or_default(), of(seats.last.get(tenant)))
    }

    /// A number that is higher each time.
    fn count(&self) -> u64 {
        let mut seats = lock(&self.seats);
        seats.count += 1;
        seats.count
    }

    fn sit(&self, tenant: Option<&str>) -> bool {
        let Some(tenant) = tenant else { return true };
        let mut seats = lock(&self.seats);
        let all: usize = seats.taken.values().sum();
        let own = seats.taken.get(tenant).copied().unwrap_or_default();
        if all >= TENANTS_SEATS || own >= TENANT_SEATS {
            return false;
        }
        seats.count += 1;
        let count = seats.count;
        seats.taken.insert(tenant.to_owned(), own + 1);
        seats.last.insert(tenant.to_owned(), count);
        true
    }

    fn stand_up(&self, tenant: Option<&str>) {
        let Some(tenant) = tenant else { return };
        let mut seats = lock(&self.seats);
        match seats.taken.get_mut(tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(seats.taken.remove(tenant)),
        }
    }
}

/// Where reconciles wait for one budget.
pub struct Gate {
    tenant: Option<String>,
    budget: Arc<Budget>,
    rate: Mutex<Arc<InstanceRate>>,
    shared: Arc<Shared>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    queue: Queue,
    under_way: usize,
    probing: bool,
    given: BTreeMap<Address, Turn>,
    /// When, of all gates of cluster connections, this one gave a turn last.
    last: u64,
}

/// A turn that was given and not taken yet.
struct Turn {
    probes: bool,
    until: Instant,
}

/// The right to one reconcile, for as long as it lives.
pub struct Admission {
    gate: Arc<Gate>,
    probes: bool,
}

impl Gate {
    /// The budget.
    pub fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    /// What a connection allows; `None`: it spends here no more.
    pub fn set_rate(&self, key: &ConnectionKey, rate: Option<Rate>) {
        self.rate().set(key, rate);
    }

    fn rate(&self) -> Arc<InstanceRate> {
        lock(&self.rate).clone()
    }

    fn keep(&self, key: &ConnectionKey, rate: Rate, shared: Arc<InstanceRate>) {
        let own = self.rate();
        if Arc::ptr_eq(&own, &shared) {
            return;
        }
        own.set(key, None);
        shared.set(key, Some(rate));
        self.budget.keep(shared.limiter.clone());
        *lock(&self.rate) = shared;
        self.shared.changed.notify_one();
    }

    /// Admits one reconcile; never waits.
    ///
    /// # Errors
    /// [`Fault::NotAdmitted`], or what the instance last answered where it is not there. It is woken for its turn.
    pub fn admit(self: &Arc<Self>, who: &Address, urgency: Urgency) -> Result<Admission, Fault> {
        let mut line = lock(&self.line);
        if line.queue.is_empty()
            && let Some(probes) = self.take(&mut line)
        {
            return Ok(Admission { gate: self.clone(), probes });
        }
        line.queue.push(who, urgency);
        drop(line);
        lock(&self.shared.places).insert(who.clone(), Arc::downgrade(self));
        self.shared.changed.notify_one();
        Err(self.budget.trouble().map_or(Fault::NotAdmitted(NET), Fault::Queued))
    }

    fn turn(self: &Arc<Self>, who: &Address) -> Option<Admission> {
        let probes = lock(&self.line).given.remove(who)?.probes;
        lock(&self.shared.places).remove(who);
        Some(Admission { gate: self.clone(), probes })
    }

    fn forget(&self, who: &Address) {
        let mut line = lock(&self.line);
        line.queue.remove(who);
        if let Some(turn) = line.given.remove(who) {
            self.give_back(&mut line, turn.probes);
            self.shared.changed.notify_one();
        }
    }

    /// Gives the next one its turn, if there is room.
    fn admit_next(&self) -> bool {
        let mut line = lock(&self.line);
        if line.queue.is_empty() {
            return false;
        }
        let Some(probes) = self.take(&mut line) else { return false };
        let Some(next) = line.queue.pop() else {
            self.give_back(&mut line, probes);
            return false;
        };
        line.given.insert(next.clone(), Turn { probes, until: Instant::now() + KEPT });
        line.last = self.shared.count();
        drop(line);
        self.shared.wakes.wake([next]);
        true
    }

    /// Takes back what was given to those who did not come: they may be gone.
    fn end_turns(&self) {
        let (now, mut line) = (Instant::now(), lock(&self.line));
        let over: Vec<(Address, Turn)> = line.given.extract_if(.., |_, turn| turn.until <= now).collect();
        for (who, turn) in over {
            self.give_back(&mut line, turn.probes);
            lock(&self.shared.places).remove(&who);
        }
    }

    /// When time alone may change who is admitted.
    fn changes_at(&self) -> Option<Instant> {
        let line = lock(&self.line);
        let turn_ends = line.given.values().map(|turn| turn.until).min();
        let opens = match self.budget.opening(line.under_way) {
            _ if line.queue.is_empty() => None,
            Opening::At(at) => Some(at),
            Opening::Broken(probe_at) => probe_at,
            Opening::Now | Opening::Probe | Opening::Later => None,
        };
        turn_ends.into_iter().chain(opens).min()
    }

    /// Takes room for one, if there is any; answers whether it is a probe.
    fn take(&self, line: &mut Line) -> Option<bool> {
        let probes = match self.budget.opening(line.under_way) {
            Opening::Now => false,
            Opening::Probe if !line.probing => true,
            _ => return None,
        };
        if !self.shared.sit(self.tenant.as_deref()) {
            return None;
        }
        line.under_way += 1;
        line.probing |= probes;
        Some(probes)
    }

    fn give_back(&self, line: &mut Line, probes: bool) {
        line.under_way -= 1;
        line.probing &= !probes;
        self.shared.stand_up(self.tenant.as_deref());
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.gate.give_back(&mut lock(&self.gate.line), self.probes);
        self.gate.shared.changed.notify_one();
    }
}

impl Drop for Gate {
    /// Who waited waits elsewhere from now on, or for nothing; turns that were given are over.
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        for _ in std::mem::take(&mut line.given) {
            self.shared.stand_up(self.tenant.as_deref());
        }
        self.shared.wakes.wake(line.queue.waiting().cloned().collect::<Vec<_>>());
        self.shared.changed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
