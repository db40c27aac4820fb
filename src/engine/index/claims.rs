//! Who owns what in ZITADEL, rebuilt from the statuses and kept in memory.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::api::address::Address;
use crate::engine::decision::claimant::Claimant;
use crate::engine::metrics::counters::Visits;

/// One thing in one ZITADEL instance that only one resource may own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The instance (`iamProjectId`).
    pub instance: String,
    /// The kind.
    pub kind: &'static str,
    /// The id of the parent; empty for an id that ZITADEL assigned, which is unique in the instance.
    pub parent: String,
    /// What it is under its parent.
    pub key: Key,
}

/// What something is under its parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The object with this id, or this key of the spec.
    Object(String),
    /// A name, in lower case. Nobody holds it; those who want it wait on it.
    Name(String),
}

impl Claim {
    /// On the object with this id.
    pub fn on_id(instance: &str, kind: &'static str, id: &str) -> Self {
        Self::on_key(instance, kind, "", id)
    }

    /// On a key under this parent.
    pub fn on_key(instance: &str, kind: &'static str, parent: &str, key: &str) -> Self {
        Self { instance: instance.into(), kind, parent: parent.into(), key: Key::Object(key.into()) }
    }

    /// That stands for a name under this parent, compared without case.
    pub fn on_name(instance: &str, kind: &'static str, parent: &str, name: &str) -> Self {
        Self { instance: instance.into(), kind, parent: parent.into(), key: Key::Name(name.to_lowercase()) }
    }
}

#[derive(Default)]
struct Index {
    holders: HashMap<Arc<Claim>, Vec<Arc<Claimant>>>,
    held: HashSet<HeldClaims>,
    waiting: HashMap<Arc<Claim>, HashSet<Arc<Claimant>>>,
    /// By UID what is waited for.
    awaited: HashMap<String, HashSet<Arc<Claim>>>,
}

/// What one holds, found by its UID.
struct HeldClaims {
    who: Arc<Claimant>,
    /// In order.
    claims: Vec<Arc<Claim>>,
}

impl Borrow<str> for HeldClaims {
    fn borrow(&self) -> &str {
        &self.who.uid
    }
}

impl Hash for HeldClaims {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.who.uid.hash(state);
    }
}

impl PartialEq for HeldClaims {
    fn eq(&self, other: &Self) -> bool {
        self.who.uid == other.who.uid
    }
}

impl Eq for HeldClaims {}

impl Index {
    fn holder(&self, claim: &Claim, claimant: &Claimant) -> Option<Claimant> {
        let mut holders = self.holders.get(claim).into_iter().flatten();
        holders.find(|holder| holder.uid != claimant.uid && holder.binds(claimant)).map(|h| (**h).clone())
    }

    fn hold(&mut self, claim: &Claim, claimant: &Arc<Claimant>) {
        let known = self.holders.get_key_value(claim).map(|(known, _)| known.clone());
        let claim = known.unwrap_or_else(|| Arc::new(claim.clone()));
        // Almost always each has one of the other.
        let before = self.held.take(claimant.uid.as_str()).map(|held| held.claims);
        let claims = before.unwrap_or_else(|| Vec::with_capacity(1));
        let mut held = HeldClaims { who: claimant.clone(), claims };
        if let Err(place) = held.claims.binary_search(&claim) {
            held.claims.insert(place, claim.clone());
        }
        let holders = self.holders.entry(claim).or_insert_with(|| Vec::with_capacity(1));
        holders.retain(|holder| holder.uid != claimant.uid);
        holders.push(claimant.clone());
        self.held.insert(held);
    }

    fn wait(&mut self, claim: Arc<Claim>, claimant: &Claimant) {
        self.awaited.entry(claimant.uid.clone()).or_default().insert(claim.clone());
        self.waiting.entry(claim).or_default().insert(Arc::new(claimant.clone()));
    }

    fn take_waiting(&mut self, claim: &Claim, freed_by: &Claimant) -> HashSet<Address> {
        let Some(waiting) = self.waiting.get_mut(claim) else { return HashSet::new() };
        let woken: Vec<_> = waiting.extract_if(|waiting| freed_by.binds(waiting)).collect();
        if waiting.is_empty() {
            self.waiting.remove(claim);
        }
        for one in &woken {
            if let Some(awaited) = self.awaited.get_mut(&one.uid) {
                awaited.remove(claim);
                if awaited.is_empty() {
                    self.awaited.remove(&one.uid);
                }
            }
        }
        woken.into_iter().map(|one| one.address.clone()).collect()
    }

    /// Waits for nothing any more.
    fn leave(&mut self, uid: &str) {
        for claim in self.awaited.remove(uid).into_iter().flatten() {
            if let Some(waiting) = self.waiting.get_mut(&claim) {
                waiting.retain(|claimant| claimant.uid != uid);
                if waiting.is_empty() {
                    self.waiting.remove(&claim);
                }
            }
        }
    }

    /// Gives up what it holds and is so; answers each with the holder that it had.
    fn release_held(
        &mut self,
        uid: &str,
        is_so: impl Fn(&Claim) -> bool,
    ) -> Vec<(Arc<Claim>, Arc<Claimant>)> {
        let Some(mut held) = self.held.take(uid) else { return Vec::new() };
        let given: Vec<_> = held.claims.extract_if(.., |claim| is_so(claim)).collect();
        if !held.claims.is_empty() {
            self.held.insert(held);
        }
        let mut freed = Vec::new();
        for claim in given {
            let Some(holders) = self.holders.get_mut(&claim) else { continue };
            freed.extend(holders.extract_if(.., |holder| holder.uid == uid).map(|by| (claim.clone(), by)));
            if holders.is_empty() {
                self.holders.remove(&claim);
            }
        }
        freed
    }
}

/// The index of claims.
///
/// Guarantees: among those who must respect each other a claim has one holder, and never moves while that one keeps it.
/// A holder through a `Connection` yields to one through a `ClusterConnection`, never the other way round.
/// A look costs as much as what one resource holds, or what hangs on one claim.
#[derive(Default)]
pub struct Claims {
    index: Mutex<Index>,
    visits: Visits,
}

impl Claims {
    /// None yet; counts here what it looks at.
    pub fn new(visits: Visits) -> Self {
        Self { index: Mutex::default(), visits }
    }

    /// Takes the claim, or says who holds it. Taking one's own claim again is fine.
    pub fn acquire(&self, claim: &Claim, claimant: &Arc<Claimant>) -> Result<(), Claimant> {
        let mut index = self.index();
        self.visits.inc();
        if let Some(holder) = index.holder(claim, claimant) {
            return Err(holder);
        }
        index.hold(claim, claimant);
        Ok(())
    }

    /// Who holds the claim that this one must respect.
    pub fn held_by_other(&self, claim: &Claim, claimant: &Claimant) -> Option<Claimant> {
        self.visits.inc();
        self.index().holder(claim, claimant)
    }

    /// Everybody who holds the claim; more than one only where they need not respect each other.
    pub fn holders(&self, claim: &Claim) -> Vec<Claimant> {
        let index = self.index();
        let holders = index.holders.get(claim).into_iter().flatten();
        let woken = |holder: &Arc<Claimant>| {
            self.visits.inc();
            (**holder).clone()
        };
        holders.map(woken).collect()
    }

    /// Remembers to wake a resource when the holder of one of these changes or goes, and of what it waited for before no more.
    pub fn wait(&self, claims: &[Claim], claimant: &Claimant) {
        let mut index = self.index();
        index.leave(&claimant.uid);
        for claim in claims {
            self.visits.inc();
            index.wait(Arc::new(claim.clone()), claimant);
        }
    }

    /// The resources waiting for the claim, to be woken now: this one was renamed or written to.
    pub fn take_waiting(&self, claim: &Claim, freed_by: &Claimant) -> HashSet<Address> {
        self.visits.inc();
        self.index().take_waiting(claim, freed_by)
    }

    /// Gives up everything this resource holds and waits for; returns who waited for it.
    pub fn release(&self, uid: &str) -> HashSet<Address> {
        self.index().leave(uid);
        self.release_where(uid, |_| true)
    }

    /// Gives up what this resource holds and is so; returns who waited for it.
    pub fn release_where(&self, uid: &str, is_so: impl Fn(&Claim) -> bool) -> HashSet<Address> {
        let mut index = self.index();
        let freed = index.release_held(uid, |claim| {
            self.visits.inc();
            is_so(claim)
        });
        freed.iter().flat_map(|(claim, by)| index.take_waiting(claim, by)).collect()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock()
    }
}

#[cfg(test)]
mod tests;
