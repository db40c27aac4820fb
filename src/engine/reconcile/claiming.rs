//! What a resource claims: its object by id, or the keys under its parent.

use std::collections::BTreeSet;

use crate::api::{CommonStatus, Status};
use crate::engine::decision::plan::{ExternalRef, Identity};
use crate::engine::drivers::subject::{KindInfo, OwnStatus};
use crate::engine::index::claims::Claim;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Target;

/// The claims on the object with this id, or on these keys under the parent with this id.
pub(crate) fn claims_on<'k>(
    kind: &KindInfo,
    instance: &str,
    id: &str,
    keys: impl IntoIterator<Item = &'k String>,
) -> Vec<Claim> {
    match kind.identity {
        Identity::Assigned => vec![Claim::on_id(instance, kind.name, id)],
        Identity::Keyed => keys.into_iter().map(|key| Claim::on_key(instance, kind.name, id, key)).collect(),
    }
}

/// What a status proves to be its resource's, with these keys in it.
pub(crate) fn recorded_claims(kind: &KindInfo, status: &CommonStatus, keys: &BTreeSet<String>) -> Vec<Claim> {
    match kind.owned(status).zip(status.instance.as_ref()) {
        Some((id, instance)) => claims_on(kind, instance, id, keys),
        None => Vec::new(),
    }
}

impl Run<'_> {
    /// The claim that stands for a name; nobody holds it, those who want the name wait on it.
    pub(crate) fn name_claim(&self, name: &str) -> Option<Claim> {
        let Target { instance, parents, .. } = self.target.as_ref()?;
        Some(Claim::on_name(instance, self.kind.name, &parents.parent, name))
    }

    /// What a status of it proves to be its own.
    pub(crate) fn recorded_claims(&self, status: &Status<OwnStatus>) -> Vec<Claim> {
        recorded_claims(self.kind, &status.common, &self.object.recorded(&status.own))
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
        let holders: Vec<_> = claims_on(self.kind, instance, id, &self.keys).iter().map(holder).collect();
        if !self.kind.many_keys {
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
        self.desired = self.desired.take().map(|desired| self.object.without(desired, &lost));
    }
}
