//! What changes who owns an object, and what ZITADEL has of it. Each asks the gate first; no other place does either.

use super::access::Action;
use super::events::Note;
use super::fault::Fault;
use super::kind::{Kind, Report};
use super::mark::KEY;
use super::plan::{Name, Pending, Target};
use super::run::{Bond, Run};
use crate::api::Origin;
use crate::zitadel::Error;

impl<K: Kind> Run<'_, K> {
    /// Takes ownership of the object that ZITADEL shows.
    pub(super) async fn bind(&mut self, remote: K::Remote, origin: Origin) -> Result<(), Fault> {
        let report = K::report(&remote);
        self.authorize(taking(origin), Some(&report)).await?;
        if origin == Origin::Adopted {
            self.unmark_for_itself().await?;
        }
        let Report { id, owner, .. } = report;
        if origin == Origin::Created && !self.is_deleting() {
            let note = match self.recognized {
                true => Note::normal("Restored", format!("has {} {id} back, by the mark there", K::KIND)),
                false => Note::normal("Created", format!("created {} {id}", K::KIND)),
            };
            self.notes.push(note);
        }
        self.bind_to(Some(id), owner, origin);
        self.saw(remote);
        Ok(())
    }

    /// Takes ownership of a setting of the resource's organization.
    pub(super) async fn bind_setting(&mut self, origin: Origin) -> Result<(), Fault> {
        self.authorize(taking(origin), None).await?;
        let organization = self.context()?.organization.to_owned();
        self.bind_to(None, organization, origin);
        Ok(())
    }

    fn bind_to(&mut self, id: Option<String>, organization: String, origin: Origin) {
        self.target_id = Some(id.clone().unwrap_or_else(|| organization.clone()));
        let instance = self.reach.as_ref().map(|reach| reach.instance.clone());
        let organization_origin = self.bond.organization_origin;
        self.bond = Bond {
            id,
            organization: Some(organization),
            instance,
            origin: Some(origin),
            organization_origin,
        };
        self.target = Target::Bound;
        (self.recorded, self.intent, self.pending, self.name) = (false, None, Pending::No, Name::Free);
        self.engine.memo.recovered(self.handle.uid());
        self.claim_bond();
    }

    /// Creates the object (`remote` is `None`) or brings it to `desired`; answers what it is then.
    pub(super) async fn send(
        &self,
        desired: &K::Desired,
        remote: Option<K::Remote>,
    ) -> Result<K::Remote, Fault> {
        let there = remote.as_ref().map(K::report);
        let action = if remote.is_some() { Action::Update } else { Action::Create };
        self.authorize(action, there.as_ref()).await?;
        Ok(K::apply(self.context()?, desired, remote).await?)
    }

    /// Removes the object; one that is gone already is fine.
    pub(super) async fn send_removal(&self, remote: &K::Remote) -> Result<(), Fault> {
        self.authorize(Action::Remove, Some(&K::report(remote))).await?;
        Ok(K::remove(self.context()?, remote).await?)
    }

    /// Writes the mark into the organization that the resource made, or removes it with `None`; it may be gone already.
    pub(super) async fn send_mark(&self, mark: Option<&[u8]>) -> Result<(), Fault> {
        self.authorize(Action::Update, None).await?;
        let (client, organization) = (self.context()?.client, self.target_id.as_deref().ok_or(Fault::Stale)?);
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
