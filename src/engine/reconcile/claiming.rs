//! What a resource claims: its object by id, or the keys under its parent.

use std::collections::BTreeSet;

use crate::api::Status;
use crate::engine::decision::plan::{ExternalRef, Identity};
use crate::engine::drivers::kind::{Driver, Kind};
use crate::engine::index::claims::Claim;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Target;

impl<K: Kind> Run<'_, K> {
    /// Those on the object with this id, or on these keys under the parent with this id.
    pub(crate) fn claims_on<'k>(
        instance: &str,
        id: &str,
        keys: impl IntoIterator<Item = &'k String>,
    ) -> Vec<Claim> {
        match K::IDENTITY {
            Identity::Assigned => vec![Claim::on_id(instance, K::KIND, id)],
            Identity::Keyed => {
                keys.into_iter().map(|key| Claim::on_key(instance, K::KIND, id, key)).collect()
            }
        }
    }

    /// The claim that stands for a name; nobody holds it, those who want the name wait on it.
    pub(crate) fn name_claim(&self, name: &str) -> Option<Claim> {
        let Target { instance, parents, .. } = self.target.as_ref()?;
        Some(Claim::on_name(instance, K::KIND, &parents.parent, name))
    }

    /// What a status proves to be its resource's.
    pub(crate) fn recorded_claims(status: &Status<K::Own>) -> Vec<Claim> {
        match K::owned(&status.common).zip(status.common.instance.as_ref()) {
            Some((id, instance)) => Self::claims_on(instance, id, &K::Driver::recorded(&status.own)),
            None => Vec::new(),
        }
    }

    /// Takes the claims of what is owned, or learns who holds them. An observer claims nothing, and so does who owns
    /// nothing: what it names was not seen yet.
    pub(crate) fn claim_owned(&mut self) {
        if let (Some(id), Some(instance)) = (self.owned_id(), self.ownership.instance.clone()) {
            self.claim(&instance, &id);
        }
    }

    pub(crate) fn claim(&mut self, instance: &str, id: &str) {
        if self.object.is_let_go() {
            if !self.handle.has_finalizer() {
                // What it owned was given up, which may not have been heard.
                self.engine.release_claims(self.handle.uid());
            }
            return;
        }
        let (claims, claimant) = (&self.engine.claims, self.engine.index.kept(self.claimant()));
        let holder = |claim: &Claim| match self.external {
            ExternalRef::Owned => claims.acquire(claim, &claimant).err(),
            _ => claims.held_by_other(claim, &claimant),
        };
        let holders: Vec<_> = Self::claims_on(instance, id, &self.keys).iter().map(holder).collect();
        if !K::MANY_KEYS {
            self.holder = holders.into_iter().flatten().next();
            return;
        }
        let taken = self.keys.iter().zip(holders).filter_map(|(key, by)| Some((key.clone(), by?)));
        self.keys_taken.extend(taken.collect::<Vec<_>>());
        self.leave_taken();
    }

    pub(crate) fn leave_taken(&mut self) {
        self.keys.retain(|key| !self.keys_taken.contains_key(key));
        let lost: BTreeSet<&str> = self.keys_taken.keys().map(String::as_str).collect();
        self.desired = self.desired.take().map(|desired| K::Driver::without(desired, &lost));
    }
}
