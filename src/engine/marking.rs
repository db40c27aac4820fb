//! Marks the organization that a resource made, reads the mark where one comes back, and takes it off on release.

use super::access::Right;
use super::fault::{Fault, Pace, Severity, Verdict};
use super::kind::Kind;
use super::mark::{KEY, Maker, Mark};
use super::plan::Target;
use super::run::Run;
use crate::api::{ConnectionKind, DeletionPolicy, Origin};
use crate::zitadel::Error;

impl<K: Kind> Run<'_, K> {
    /// Looks whether the organization that the annotation asks for bears the mark of this resource.
    ///
    /// What is wrong with it is not told: whoever writes an annotation would learn what there is.
    pub(super) async fn recognize(&mut self) -> Result<(), Fault> {
        let reach = self.reach.as_ref().ok_or(Fault::Stale)?;
        let asks = self.target == Target::Requested && !self.is_deleting();
        if !asks || !self.may_be_marked(&reach.session)? {
            return Ok(());
        }
        let (Some(id), Some(seal)) = (&self.target_id, self.engine.seals.get().await?) else {
            return Ok(());
        };
        let found = match reach.client.metadata_entry(id, KEY).await {
            Err(error) if tells_of_the_organization(&error) => None,
            found => found?,
        };
        let mark = found.and_then(|entry| Mark::parse(&entry.value));
        self.recognized = mark.is_some_and(|mark| {
            reach.session.is_instance(&mark.instance, &reach.instance) && mark.proves(&seal, id, self.maker())
        });
        Ok(())
    }

    /// Writes the mark where it is due. The resource is as specified with it or without.
    pub(super) async fn mark(&mut self) {
        let Err(fault) = self.write_mark().await else { return };
        let verdict = Verdict::of(&fault);
        let resource = &self.handle.address;
        if verdict.as_ref().is_some_and(|verdict| verdict.severity == Severity::Stalled) {
            if self.engine.memo.mark_refused(self.handle.uid()) {
                tracing::warn!(%resource, %fault, "cannot mark the organization that it made: without its status it will not have it back");
            }
            return;
        }
        tracing::debug!(%resource, %fault, "did not mark the organization");
        self.unmarked = Some(verdict.map_or(Pace::Transient, |verdict| verdict.pace));
    }

    async fn write_mark(&mut self) -> Result<(), Fault> {
        let Some(reach) = self.reach.as_ref().filter(|_| self.is_maker()) else { return Ok(()) };
        let refused = self.engine.memo.is_mark_refused(self.handle.uid(), self.resync());
        if refused || !self.may_be_marked(&reach.session)? {
            return Ok(());
        }
        let (Some(id), Some(seal)) = (&self.bond.id, self.engine.seals.get().await?) else {
            return Ok(());
        };
        let mark = Mark::new(&seal, &reach.instance, id, self.maker());
        let tag = mark.tag(&seal);
        if K::mark(&self.own) == Some(tag.as_str()) {
            return Ok(());
        }
        if !self.recorded {
            self.record().await?;
        }
        let value = mark.value().map_err(kube::Error::SerdeError)?;
        self.send_mark(Some(&value)).await?;
        self.own = K::marked(std::mem::take(&mut self.own), Some(tag));
        Ok(())
    }

    /// Letting go of an organization lets go of the mark. Where ZITADEL cannot be asked the release goes on all the same.
    pub(super) async fn unmark(&mut self) -> Result<(), Fault> {
        let retained = self.is_deleting() && self.deletion_policy() == DeletionPolicy::Retain;
        if !retained || !self.is_maker() || self.key.kind != ConnectionKind::ClusterConnection {
            return Ok(());
        }
        match self.remove_mark().await {
            // Its turn comes.
            Err(fault @ (Fault::NotAdmitted(_) | Fault::Stale)) => Err(fault),
            Err(fault) => {
                tracing::warn!(resource = %self.handle.address, %fault, "left the mark in the organization that it lets go");
                Ok(())
            }
            removed => removed,
        }
    }

    /// Who takes an organization over has it alone: by a mark there its maker would have it back. Before the bond, so that
    /// a crash in between does not leave it.
    pub(super) async fn unmark_for_itself(&self) -> Result<(), Fault> {
        if K::right() != Right::OrganizationItself || self.session()?.access.is_none() {
            return Ok(());
        }
        match self.remove_any_mark().await {
            Err(Fault::Zitadel(error @ Error::PermissionDenied { .. })) => {
                tracing::warn!(resource = %self.handle.address, %error, "cannot look for a mark in the organization that it takes over: who made it could have it back");
                Ok(())
            }
            removed => removed,
        }
    }

    async fn remove_any_mark(&self) -> Result<(), Fault> {
        let id = self.target_id.as_deref().ok_or(Fault::Stale)?;
        match self.context()?.client.metadata_entry(id, KEY).await? {
            Some(_) if !self.is_held_by_other(id) => self.send_mark(None).await,
            _ => Ok(()),
        }
    }

    /// Who was faster owns it, and writes the mark.
    fn is_held_by_other(&self, id: &str) -> bool {
        let claim = self.reach.as_ref().map(|reach| Self::claim_on(&reach.instance, id));
        claim.is_some_and(|claim| self.engine.claims.held_by_other(&claim, &self.claimant()).is_some())
    }

    async fn remove_mark(&mut self) -> Result<(), Fault> {
        match self.reach().await? {
            true => self.send_mark(None).await,
            false => Ok(()),
        }
    }

    /// Did it make the organization that it owns, so that the mark there is for it to write?
    fn is_maker(&self) -> bool {
        let owns = self.is_managed() && self.target == Target::Bound && self.holder.is_none();
        owns && K::right() == Right::OrganizationItself && self.bond.origin == Some(Origin::Created)
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
