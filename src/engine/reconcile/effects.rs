//! What changes who owns an object, and what ZITADEL has of it; no other place does either. Whatever takes or writes asks
//! the gate first.

use crate::api::Origin;
use crate::engine::decision::access::Action;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::{ExternalRef, Identity, Name, Pending};
use crate::engine::drivers::kind::Parent;
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::subject::OwnStatus;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::reconcile::mark::KEY;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Ownership;
use crate::zitadel::Error;

impl Run<'_> {
    /// Takes ownership of the object that ZITADEL shows.
    pub(crate) async fn take_ownership(
        &mut self,
        remote: Remote,
        origin: Origin,
    ) -> Result<(), ReconcileError> {
        self.authorize(taking(origin), Some(&remote)).await?;
        if origin == Origin::Adopted {
            self.unmark_for_itself().await?;
        }
        let (id, owner) = (remote.id.clone(), remote.owner.clone());
        if origin == Origin::Created && !self.is_deleting() {
            let note = match self.recognized {
                true => EventSpec::normal(
                    "Restored",
                    format!("has {} {id} back, by the mark there", self.kind.name),
                ),
                false => EventSpec::normal("Created", format!("created {} {id}", self.kind.name)),
            };
            self.events.push(note);
        }
        self.own(Some(id), owner, origin);
        self.record_observation(remote);
        Ok(())
    }

    /// Takes ownership of the resource's keys under its parent.
    pub(crate) async fn own_keys(&mut self, origin: Origin) -> Result<(), ReconcileError> {
        self.authorize(taking(origin), self.remote.as_ref()).await?;
        let organization = self.context()?.organization.to_owned();
        self.own(None, organization, origin);
        Ok(())
    }

    fn own(&mut self, id: Option<String>, organization: String, origin: Origin) {
        let instance = self.target.as_ref().map(|target| target.instance.clone());
        let parent = self.target.as_ref().map(|target| target.parents.parent.clone());
        let organization_origin = self.ownership.organization_origin;
        self.ownership = Ownership {
            id,
            organization: Some(organization).filter(|id| !id.is_empty()),
            project: parent.filter(|_| self.kind.parent == Parent::Project),
            instance,
            origin: Some(origin),
            organization_origin,
        };
        self.external_id = self.owned_id();
        self.external = ExternalRef::Owned;
        (self.recorded, self.intent, self.pending, self.name) = (false, None, Pending::No, Name::Free);
        self.engine.object_states.recovered(self.handle.uid());
        self.claim_owned();
    }

    /// Owns nothing any more; the instance stays pinned.
    pub(crate) fn disown(&mut self) {
        self.engine.release_claims(self.handle.uid());
        self.ownership = Ownership { instance: self.ownership.instance.take(), ..Ownership::default() };
        (self.external, self.external_id, self.recorded) = (ExternalRef::None, None, false);
        (self.own, self.holder) = (OwnStatus::new(), None);
    }

    /// What the status is to prove. Whoever lost the claim records no ownership: it would win the next restart.
    pub(crate) fn proved_ownership(&self) -> Ownership {
        let ownership = self.ownership.clone();
        match (&self.holder, self.kind.identity) {
            // Who only observes gives up what it owned, and says so; its organization stays pinned.
            (None, _) if !self.is_managed() => {
                let id = ownership.id.filter(|id| Some(id) == self.external_id.as_ref());
                Ownership { id, origin: None, ..ownership }
            }
            (None, _) => ownership,
            (Some(_), Identity::Assigned) => Ownership { id: None, origin: None, ..ownership },
            (Some(_), Identity::Keyed) => Ownership::default(),
        }
    }

    /// Creates the object (`remote` is `None`) or brings it to `desired`; answers what it is then.
    pub(crate) async fn send(
        &self,
        desired: &Desired,
        remote: Option<Remote>,
    ) -> Result<Remote, ReconcileError> {
        let action = if remote.is_some() { Action::Update } else { Action::Create };
        self.authorize(action, remote.as_ref()).await?;
        Ok(self.object.apply(self.context()?, desired, remote).await?)
    }

    /// Removes the object; one that is gone already is fine.
    pub(crate) async fn send_removal(&self, remote: &Remote) -> Result<(), ReconcileError> {
        self.authorize(Action::Remove, Some(remote)).await?;
        Ok(self.object.remove(self.context()?, remote).await?)
    }

    /// Writes the mark into the organization that the resource made, or removes it with `None`; it may be gone already.
    pub(crate) async fn send_mark(&self, mark: Option<&[u8]>) -> Result<(), ReconcileError> {
        self.authorize(Action::Update, None).await?;
        let (client, organization) =
            (self.context()?.client, self.external_id.as_deref().ok_or(ReconcileError::Stale)?);
        let Some(mark) = mark else {
            return match client.remove_metadata(organization, &[KEY]).await {
                Ok(()) | Err(Error::NotFound { .. } | Error::OrganizationNotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            };
        };
        client.set_metadata(organization, &[(KEY, mark)]).await?;
        Ok(())
    }
}

fn taking(origin: Origin) -> Action {
    match origin {
        Origin::Created => Action::Create,
        Origin::Adopted => Action::Adopt,
    }
}
