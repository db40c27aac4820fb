//! Marks the organization that a resource made, reads the mark where one comes back, and takes it off on release.

use crate::api::{ConnectionKind, DeletionPolicy, Origin};
use crate::engine::decision::error::{ConditionUpdate, ReconcileError, RequeuePolicy, Severity};
use crate::engine::decision::plan::ExternalRef;
use crate::engine::drivers::subject::OwnStatus;
use crate::engine::index::claims::Claim;
use crate::engine::reconcile::mark::{KEY, Maker, Mark};
use crate::engine::reconcile::state::Run;
use crate::zitadel::Error;

/// The field of a status that says which mark is in the organization that the resource made.
const MARK: &str = "mark";

/// Which mark a status says is there.
pub(crate) fn mark_in(own: &OwnStatus) -> Option<&str> {
    own.get(MARK)?.as_str()
}

/// This status with the mark of that one.
pub(crate) fn with_mark_of(marked: &OwnStatus, mut own: OwnStatus) -> OwnStatus {
    own.extend(marked.get(MARK).map(|mark| (MARK.into(), mark.clone())));
    own
}

impl Run<'_> {
    /// Looks whether the organization that the annotation asks for bears the mark of this resource.
    ///
    /// What is wrong with it is not told: whoever writes an annotation would learn what there is.
    pub(crate) async fn recognize(&mut self) -> Result<(), ReconcileError> {
        let target = self.target.as_ref().ok_or(ReconcileError::Stale)?;
        let asks = self.external == ExternalRef::Requested && !self.is_deleting();
        if !asks || !self.may_be_marked(&target.session)? {
            return Ok(());
        }
        let (Some(id), Some(seal)) = (&self.external_id, self.engine.seals.get().await?) else {
            return Ok(());
        };
        let found = match target.client.metadata_entry(id, KEY).await {
            Err(error) if tells_of_the_organization(&error) => None,
            found => found?,
        };
        let mark = found.and_then(|entry| Mark::parse(&entry.value));
        self.recognized = mark.is_some_and(|mark| {
            target.session.is_instance(&mark.instance, &target.instance)
                && mark.proves(&seal, id, self.maker())
        });
        Ok(())
    }

    /// Writes the mark where it is due. The resource is as specified with it or without.
    pub(crate) async fn mark(&mut self) {
        let Err(error) = self.write_mark().await else { return };
        let update = ConditionUpdate::of(&error);
        let resource = &self.handle.address;
        if update.as_ref().is_some_and(|update| update.severity == Severity::Stalled) {
            if self.engine.object_states.mark_refused(self.handle.uid()) {
                tracing::warn!(%resource, %error, "cannot mark the organization that it made: without its status it will not have it back");
            }
            return;
        }
        tracing::debug!(%resource, %error, "did not mark the organization");
        self.unmarked = Some(update.map_or(RequeuePolicy::Transient, |update| update.requeue));
    }

    async fn write_mark(&mut self) -> Result<(), ReconcileError> {
        let Some(target) = self.target.as_ref().filter(|_| self.is_maker()) else { return Ok(()) };
        let refused = self.engine.object_states.is_mark_refused(self.handle.uid(), self.resync());
        if refused || !self.may_be_marked(&target.session)? {
            return Ok(());
        }
        let (Some(id), Some(seal)) = (&self.ownership.id, self.engine.seals.get().await?) else {
            return Ok(());
        };
        let mark = Mark::new(&seal, &target.instance, id, self.maker());
        let tag = mark.tag(&seal);
        if mark_in(&self.own) == Some(tag.as_str()) {
            return Ok(());
        }
        if !self.recorded {
            self.record().await?;
        }
        let value = mark.value().map_err(kube::Error::SerdeError)?;
        self.send_mark(Some(&value)).await?;
        self.own.insert(MARK.into(), tag.into());
        Ok(())
    }

    /// Letting go of an organization lets go of the mark. Where ZITADEL cannot be asked the release goes on all the same.
    pub(crate) async fn unmark(&mut self) -> Result<(), ReconcileError> {
        let retained = self.is_deleting() && self.deletion_policy() == DeletionPolicy::Retain;
        if !retained || !self.is_maker() || self.key.kind != ConnectionKind::ClusterConnection {
            return Ok(());
        }
        match self.remove_mark().await {
            // Its turn comes.
            Err(error @ (ReconcileError::NotAdmitted(_) | ReconcileError::Stale)) => Err(error),
            Err(error) => {
                tracing::warn!(resource = %self.handle.address, %error, "left the mark in the organization that it lets go");
                Ok(())
            }
            removed => removed,
        }
    }

    /// Who takes an organization over has it alone: by a mark there its maker would have it back. Before ownership, so that
    /// a crash in between does not leave it.
    pub(crate) async fn unmark_for_itself(&self) -> Result<(), ReconcileError> {
        if !self.kind.is_organization() || self.session()?.access.is_none() {
            return Ok(());
        }
        match self.remove_any_mark().await {
            Err(ReconcileError::Zitadel(error @ Error::PermissionDenied { .. })) => {
                tracing::warn!(resource = %self.handle.address, %error, "cannot look for a mark in the organization that it takes over: who made it could have it back");
                Ok(())
            }
            removed => removed,
        }
    }

    async fn remove_any_mark(&self) -> Result<(), ReconcileError> {
        let id = self.external_id.as_deref().ok_or(ReconcileError::Stale)?;
        match self.context()?.client.metadata_entry(id, KEY).await? {
            Some(_) if !self.is_held_by_other(id) => self.send_mark(None).await,
            _ => Ok(()),
        }
    }

    /// Who was faster owns it, and writes the mark.
    fn is_held_by_other(&self, id: &str) -> bool {
        let claim = self.target.as_ref().map(|target| Claim::on_id(&target.instance, self.kind.name, id));
        claim.is_some_and(|claim| self.engine.claims.held_by_other(&claim, &self.claimant()).is_some())
    }

    async fn remove_mark(&mut self) -> Result<(), ReconcileError> {
        match self.target().await? {
            true => self.send_mark(None).await,
            false => Ok(()),
        }
    }

    /// Did it make the organization that it owns, so that the mark there is for it to write?
    fn is_maker(&self) -> bool {
        let owns = self.is_managed() && self.external == ExternalRef::Owned && self.holder.is_none();
        owns && self.kind.is_organization() && self.ownership.origin == Some(Origin::Created)
    }

    fn maker(&self) -> Maker<'_> {
        let address = &self.handle.address;
        Maker { namespace: &address.namespace, name: &address.name, uid: self.handle.uid() }
    }
}

/// Is it about this one organization, rather than about the way to ZITADEL?
fn tells_of_the_organization(error: &Error) -> bool {
    use Error::{Invalid, NotFound, OrganizationNotFound, PermissionDenied, TooLarge};
    matches!(
        error,
        OrganizationNotFound { .. } | NotFound { .. } | PermissionDenied { .. } | Invalid { .. } | TooLarge
    )
}
