//! Who owns what in ZITADEL, rebuilt from the statuses and kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use super::address::Address;
use super::kind::Kind;

/// One thing in one ZITADEL instance that only one resource may own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The instance (`iamProjectId`).
    pub instance: String,
    /// The thing, unique in the instance: `Project/312909075211944345`.
    pub target: String,
}

/// A resource that holds or wants a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The resource's UID.
    pub uid: String,
    /// Where it is.
    pub address: Address,
}

impl Claimant {
    /// This resource of the kind `K` as a claimant, whether it parsed or not.
    pub fn of<K: Kind>(object: &impl ResourceExt) -> Self {
        Self { uid: object.uid().unwrap_or_default(), address: Address::of::<K>(object) }
    }
}

#[derive(Default)]
struct Index {
    holders: HashMap<Claim, Claimant>,
    waiting: HashMap<Claim, HashSet<Address>>,
}

/// The index of claims.
///
/// Guarantees: a claim has one holder; it never moves while the holder keeps it.
#[derive(Default)]
pub struct Claims {
    index: Mutex<Index>,
}

impl Claims {
    /// Takes the claim, or says who holds it. Taking one's own claim again is fine.
    pub fn acquire(&self, claim: &Claim, claimant: &Claimant) -> Result<(), Claimant> {
        let mut index = self.index();
        match index.holders.get(claim) {
            Some(holder) if holder.uid != claimant.uid => Err(holder.clone()),
            _ => {
                index.holders.insert(claim.clone(), claimant.clone());
                Ok(())
            }
        }
    }

    /// Who holds the claim, if it is not this resource.
    pub fn held_by_other(&self, claim: &Claim, uid: &str) -> Option<Claimant> {
        self.holder(claim).filter(|holder| holder.uid != uid)
    }

    /// Who holds the claim.
    pub fn holder(&self, claim: &Claim) -> Option<Claimant> {
        self.index().holders.get(claim).cloned()
    }

    /// UIDs of the resources of a kind that hold anything.
    pub fn claimants(&self, kind: &str) -> Vec<String> {
        let index = self.index();
        index.holders.values().filter(|holder| holder.address.kind == kind).map(|h| h.uid.clone()).collect()
    }

    /// Remembers to wake a resource when the claim's holder changes or goes.
    pub fn wait(&self, claim: &Claim, address: Address) {
        self.index().waiting.entry(claim.clone()).or_default().insert(address);
    }

    /// The resources waiting for the claim, to be woken now: its holder was renamed or written to.
    pub fn take_waiting(&self, claim: &Claim) -> HashSet<Address> {
        self.index().waiting.remove(claim).unwrap_or_default()
    }

    /// Gives up everything this resource holds; returns who waited for it.
    pub fn release(&self, uid: &str) -> HashSet<Address> {
        self.release_where(uid, |_| true)
    }

    /// Gives up what this resource holds and is so; returns who waited for it.
    pub fn release_where(&self, uid: &str, is_so: impl Fn(&Claim) -> bool) -> HashSet<Address> {
        let mut index = self.index();
        let held = index.holders.iter().filter(|(claim, holder)| holder.uid == uid && is_so(claim));
        let held: Vec<Claim> = held.map(|(claim, _)| claim.clone()).collect();
        let mut waiting = HashSet::new();
        for claim in held {
            index.holders.remove(&claim);
            waiting.extend(index.waiting.remove(&claim).unwrap_or_default());
        }
        waiting
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(uid: &str) -> Claimant {
        Claimant { uid: uid.into(), address: address(uid) }
    }

    fn address(name: &str) -> Address {
        Address { kind: "Project", namespace: "ns".into(), name: name.into() }
    }

    fn claim(target: &str) -> Claim {
        Claim { instance: "i".into(), target: target.into() }
    }

    #[test]
    fn a_claim_stays_with_its_holder_until_released() {
        let claims = Claims::default();
        claims.acquire(&claim("p"), &claimant("a")).unwrap();
        claims.acquire(&claim("p"), &claimant("a")).unwrap();
        assert_eq!(claims.acquire(&claim("p"), &claimant("b")).unwrap_err().uid, "a");
        assert_eq!(claims.held_by_other(&claim("p"), "b").unwrap().uid, "a");
        assert_eq!(claims.held_by_other(&claim("p"), "a"), None);
        claims.release("a");
        claims.acquire(&claim("p"), &claimant("b")).unwrap();
    }

    #[test]
    fn the_same_target_in_another_instance_is_another_claim() {
        let claims = Claims::default();
        claims.acquire(&claim("p"), &claimant("a")).unwrap();
        let elsewhere = Claim { instance: "j".into(), ..claim("p") };
        claims.acquire(&elsewhere, &claimant("b")).unwrap();
    }

    #[test]
    fn those_who_wait_are_told_once() {
        let claims = Claims::default();
        claims.acquire(&claim("p"), &claimant("a")).unwrap();
        claims.wait(&claim("p"), address("b"));
        claims.wait(&claim("p"), address("b"));
        assert_eq!(claims.release("a").len(), 1);
        assert!(claims.release("a").is_empty());
        assert!(claims.take_waiting(&claim("p")).is_empty());
    }
}
