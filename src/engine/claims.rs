//! Who owns what in ZITADEL, rebuilt from the statuses and kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use super::address::Address;
use super::kind::Kind;
use super::metrics::Visits;
use crate::api::ConnectionKind;

/// One thing in one ZITADEL instance that only one resource may own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The instance (`iamProjectId`).
    pub instance: String,
    /// The thing, unique in the instance: `Project/312909075211944345`.
    pub target: String,
}

/// A resource that holds or wants a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claimant {
    /// The resource's UID.
    pub uid: String,
    /// Where it is.
    pub address: Address,
    /// Through which kind of connection it came to what it claims.
    pub connection: ConnectionKind,
}

impl Claimant {
    /// This resource as a claimant.
    pub fn of<K: Kind>(object: &K) -> Self {
        Self {
            uid: object.uid().unwrap_or_default(),
            address: Address::of::<K>(object),
            connection: object.management().connection_ref.kind,
        }
    }

    /// Must the other one respect what this one claims?
    ///
    /// The server of a `Connection` was chosen by whoever may write to its namespace, and can say that it is any
    /// instance and has any object: that counts in its namespace only. Of a `ClusterConnection` it counts everywhere.
    pub fn binds(&self, other: &Self) -> bool {
        self.is_shared() || (!other.is_shared() && self.is_neighbour(other))
    }

    /// Does the other one, bound to the organization that this one owns, live in it?
    ///
    /// Strangers believe each other through `ClusterConnection`s only; a namespace may be wrong about itself.
    pub fn houses(&self, other: &Self) -> bool {
        self.is_neighbour(other) || (self.is_shared() && other.is_shared())
    }

    /// Did it come through a connection that a cluster admin made?
    pub fn is_shared(&self) -> bool {
        self.connection == ConnectionKind::ClusterConnection
    }

    /// Are they of one namespace?
    pub fn is_neighbour(&self, other: &Self) -> bool {
        self.address.namespace == other.address.namespace
    }
}

#[derive(Default)]
struct Index {
    holders: HashMap<Arc<Claim>, Vec<Arc<Claimant>>>,
    waiting: HashMap<Arc<Claim>, HashSet<Arc<Claimant>>>,
    /// By UID.
    parties: HashMap<String, Party>,
}

/// One that holds claims or waits for some.
struct Party {
    who: Arc<Claimant>,
    holds: HashSet<Arc<Claim>>,
    awaits: HashSet<Arc<Claim>>,
}

impl Index {
    fn holder(&self, claim: &Claim, claimant: &Claimant) -> Option<Claimant> {
        let mut holders = self.holders.get(claim).into_iter().flatten();
        holders.find(|holder| holder.uid != claimant.uid && holder.binds(claimant)).map(|h| (**h).clone())
    }

    /// What is known of it; it may come through another connection than before.
    fn party(&mut self, claimant: &Claimant) -> &mut Party {
        let new = || Party { who: Arc::new(claimant.clone()), holds: HashSet::new(), awaits: HashSet::new() };
        let party = self.parties.entry(claimant.uid.clone()).or_insert_with(new);
        if *party.who != *claimant {
            party.who = Arc::new(claimant.clone());
        }
        party
    }

    fn hold(&mut self, claim: &Arc<Claim>, claimant: &Claimant) {
        let party = self.party(claimant);
        party.holds.insert(claim.clone());
        let who = party.who.clone();
        // Almost always there is one.
        let holders = self.holders.entry(claim.clone()).or_insert_with(|| Vec::with_capacity(1));
        holders.retain(|holder| holder.uid != claimant.uid);
        holders.push(who);
    }

    fn wait(&mut self, claim: Arc<Claim>, claimant: &Claimant) {
        let party = self.party(claimant);
        party.awaits.insert(claim.clone());
        let who = party.who.clone();
        self.waiting.entry(claim).or_default().insert(who);
    }

    fn take_waiting(&mut self, claim: &Claim, freed_by: &Claimant) -> HashSet<Address> {
        let Some(waiting) = self.waiting.get_mut(claim) else { return HashSet::new() };
        let told: Vec<_> = waiting.extract_if(|waiting| freed_by.binds(waiting)).collect();
        if waiting.is_empty() {
            self.waiting.remove(claim);
        }
        for one in &told {
            if let Some(party) = self.parties.get_mut(&one.uid) {
                party.awaits.remove(claim);
            }
            self.dismiss(&one.uid);
        }
        told.into_iter().map(|one| one.address.clone()).collect()
    }

    /// Waits for nothing any more.
    fn leave(&mut self, uid: &str) {
        let awaited = self.parties.get_mut(uid).map(|party| std::mem::take(&mut party.awaits));
        for claim in awaited.into_iter().flatten() {
            if let Some(waiting) = self.waiting.get_mut(&claim) {
                waiting.retain(|claimant| claimant.uid != uid);
                if waiting.is_empty() {
                    self.waiting.remove(&claim);
                }
            }
        }
    }

    /// Gives up what it holds and is so; answers each with the holder that it had.
    fn give_up(&mut self, uid: &str, is_so: impl Fn(&Claim) -> bool) -> Vec<(Arc<Claim>, Arc<Claimant>)> {
        let Some(party) = self.parties.get_mut(uid) else { return Vec::new() };
        let given: Vec<_> = party.holds.extract_if(|claim| is_so(claim)).collect();
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

    /// Forgets one that neither holds nor awaits anything.
    fn dismiss(&mut self, uid: &str) {
        if self.parties.get(uid).is_some_and(|party| party.holds.is_empty() && party.awaits.is_empty()) {
            self.parties.remove(uid);
        }
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
    pub fn acquire(&self, claim: &Claim, claimant: &Claimant) -> Result<(), Claimant> {
        let mut index = self.index();
        self.visits.inc();
        if let Some(holder) = index.holder(claim, claimant) {
            return Err(holder);
        }
        let known = index.holders.get_key_value(claim).map(|(known, _)| known.clone());
        index.hold(&known.unwrap_or_else(|| Arc::new(claim.clone())), claimant);
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
        let told = |holder: &Arc<Claimant>| {
            self.visits.inc();
            (**holder).clone()
        };
        holders.map(told).collect()
    }

    /// Remembers to wake a resource when the claim's holder changes or goes.
    pub fn wait(&self, claim: &Claim, claimant: &Claimant) {
        self.visits.inc();
        self.index().wait(Arc::new(claim.clone()), claimant);
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
        let freed = index.give_up(uid, |claim| {
            self.visits.inc();
            is_so(claim)
        });
        index.dismiss(uid);
        freed.iter().flat_map(|(claim, by)| index.take_waiting(claim, by)).collect()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
