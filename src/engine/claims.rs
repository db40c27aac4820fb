//! Who owns what in ZITADEL, rebuilt from the statuses and kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use super::address::Address;
use super::kind::Kind;
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    holders: HashMap<Claim, Vec<Claimant>>,
    waiting: HashMap<Claim, HashSet<Claimant>>,
}

impl Index {
    fn holder(&self, claim: &Claim, claimant: &Claimant) -> Option<Claimant> {
        let mut holders = self.holders.get(claim).into_iter().flatten();
        holders.find(|holder| holder.uid != claimant.uid && holder.binds(claimant)).cloned()
    }

    fn take_waiting(&mut self, claim: &Claim, freed_by: &Claimant) -> HashSet<Address> {
        let Some(waiting) = self.waiting.get_mut(claim) else { return HashSet::new() };
        let told = waiting.extract_if(|waiting| freed_by.binds(waiting)).map(|told| told.address).collect();
        if waiting.is_empty() {
            self.waiting.remove(claim);
        }
        told
    }
}

/// The index of claims.
///
/// Guarantees: among those who must respect each other a claim has one holder, and never moves while that one keeps it.
/// A holder through a `Connection` yields to one through a `ClusterConnection`, never the other way round.
#[derive(Default)]
pub struct Claims {
    index: Mutex<Index>,
}

impl Claims {
    /// Takes the claim, or says who holds it. Taking one's own claim again is fine.
    pub fn acquire(&self, claim: &Claim, claimant: &Claimant) -> Result<(), Claimant> {
        let mut index = self.index();
        if let Some(holder) = index.holder(claim, claimant) {
            return Err(holder);
        }
        // Almost always there is one.
        let holders = index.holders.entry(claim.clone()).or_insert_with(|| Vec::with_capacity(1));
        holders.retain(|holder| holder.uid != claimant.uid);
        holders.push(claimant.clone());
        Ok(())
    }

    /// Who holds the claim that this one must respect.
    pub fn held_by_other(&self, claim: &Claim, claimant: &Claimant) -> Option<Claimant> {
        self.index().holder(claim, claimant)
    }

    /// Everybody who holds the claim; more than one only where they need not respect each other.
    pub fn holders(&self, claim: &Claim) -> Vec<Claimant> {
        self.index().holders.get(claim).cloned().unwrap_or_default()
    }

    /// Remembers to wake a resource when the claim's holder changes or goes.
    pub fn wait(&self, claim: &Claim, claimant: &Claimant) {
        self.index().waiting.entry(claim.clone()).or_default().insert(claimant.clone());
    }

    /// The resources waiting for the claim, to be woken now: this one was renamed or written to.
    pub fn take_waiting(&self, claim: &Claim, freed_by: &Claimant) -> HashSet<Address> {
        self.index().take_waiting(claim, freed_by)
    }

    /// Gives up everything this resource holds and waits for; returns who waited for it.
    pub fn release(&self, uid: &str) -> HashSet<Address> {
        self.index().waiting.retain(|_, waiting| {
            waiting.retain(|claimant| claimant.uid != uid);
            !waiting.is_empty()
        });
        self.release_where(uid, |_| true)
    }

    /// Gives up what this resource holds and is so; returns who waited for it.
    pub fn release_where(&self, uid: &str, is_so: impl Fn(&Claim) -> bool) -> HashSet<Address> {
        let mut index = self.index();
        let mut freed = Vec::new();
        index.holders.retain(|claim, holders| {
            if holders.iter().any(|holder| holder.uid == uid) && is_so(claim) {
                freed
                    .extend(holders.extract_if(.., |holder| holder.uid == uid).map(|by| (claim.clone(), by)));
            }
            !holders.is_empty()
        });
        freed.iter().flat_map(|(claim, by)| index.take_waiting(claim, by)).collect()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
