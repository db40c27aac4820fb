//! The steps of a plan, carried out. Each leaves in the run what it learned.

use std::time::Duration;

use super::access::same_name;
use super::events::Note;
use super::fault::Fault;
use super::kind::{Kind, Report};
use super::plan::{Hold, Name, Observed, Pending, Target};
use super::resource::MetadataChange;
use super::run::{Bond, Run};
use crate::api::{Origin, Reason};
use crate::zitadel::Error;

impl<K: Kind> Run<'_, K> {
    /// Reads the target with certainty.
    pub(super) async fn look(&mut self) -> Result<(), Fault> {
        let Some(id) = self.target_id.clone() else {
            return Err(Fault::Stale);
        };
        if !self.reach().await? {
            return Ok(());
        }
        match K::observe(self.context()?, &id).await {
            Ok(Some(remote)) => self.saw(remote),
            Ok(None) => self.confirm_absence().await?,
            Err(Error::OrganizationNotFound { .. }) if self.is_deleting() => self.confirm_absence().await?,
            Err(error) => return Err(self.explain(error).await),
        }
        Ok(())
    }

    fn saw(&mut self, remote: K::Remote) {
        let report = K::report(&remote);
        let owned = self.reach.as_ref().is_some_and(|reach| reach.organization == report.owner);
        self.differing = self.desired.as_ref().map(|desired| K::diff(desired, &remote)).unwrap_or_default();
        self.observed = match (owned, self.differing.as_slice()) {
            (false, _) => Observed::Foreign,
            (true, []) => Observed::InSync,
            (true, _) => Observed::Differs,
        };
        match self.target {
            // What is bound and there is what the intent was for, or what was before it.
            Target::Bound if owned => (self.intent, self.pending) = (None, Pending::No),
            Target::Bound => {}
            _ => self.find_holder(&report.id),
        }
        self.remote = Some(remote);
    }

    fn find_holder(&mut self, id: &str) {
        let Some(reach) = &self.reach else { return };
        let claim = Self::claim_on(&reach.instance, id);
        self.holder = self.engine.claims.held_by_other(&claim, self.handle.uid());
    }

    /// "Not there" counts only on the instance the resource was written to.
    async fn confirm_absence(&mut self) -> Result<(), Fault> {
        if self.confirm_instance().await? {
            (self.observed, self.remote) = (Observed::Absent, None);
        }
        Ok(())
    }

    pub(super) async fn protect(&mut self) -> Result<(), Fault> {
        self.change(MetadataChange { finalizer: Some(true), ..Default::default() }).await
    }

    /// Objects of this name in this organization, each read with certainty.
    pub(super) async fn named(&self, name: &str) -> Result<Vec<K::Remote>, Fault> {
        let cx = self.context()?;
        let mut named = Vec::new();
        let ids = match K::find(cx, name).await {
            Err(Error::OrganizationNotFound { .. }) if self.is_deleting() => Vec::new(),
            ids => ids?,
        };
        for id in ids {
            if let Some(remote) = K::observe(cx, &id).await? {
                let report = K::report(&remote);
                if report.owner == cx.organization && same_name(&report.name, name) {
                    named.push(remote);
                }
            }
        }
        Ok(named)
    }

    pub(super) async fn find_by_name(&mut self) -> Result<(), Fault> {
        if !self.reach().await? {
            return Ok(());
        }
        let name = K::name(self.desired()?).to_owned();
        let found = match self.named(&name).await {
            Ok(found) => found.into_iter().next(),
            Err(Fault::Zitadel(error)) => return Err(self.explain(error).await),
            Err(fault) => return Err(fault),
        };
        match found {
            Some(remote) => {
                (self.target, self.target_id) = (Target::Found, Some(K::report(&remote).id));
                self.saw(remote);
            }
            None => self.searched = true,
        }
        Ok(())
    }

    pub(super) async fn adopt(&mut self) -> Result<(), Fault> {
        let Some(remote) = self.remote.take() else {
            return Err(Fault::Stale);
        };
        let id = K::report(&remote).id;
        if let Some(holder) = self.holder_elsewhere(&id).await? {
            (self.holder, self.remote) = (Some(holder), Some(remote));
            return Ok(());
        }
        self.bind(remote, Origin::Adopted);
        if self.holder.is_none() {
            self.notes.push(Note::normal("Adopted", format!("took over {} {id}", K::KIND)));
        }
        Ok(())
    }

    pub(super) fn bind(&mut self, remote: K::Remote, origin: Origin) {
        let Some(reach) = &self.reach else { return };
        let id = K::report(&remote).id;
        if origin == Origin::Created && !self.is_deleting() {
            self.notes.push(Note::normal("Created", format!("created {} {id}", K::KIND)));
        }
        self.bond = Bond {
            id: Some(id.clone()),
            organization: Some(reach.organization.clone()),
            instance: Some(reach.instance.clone()),
            origin: Some(origin),
        };
        (self.target, self.target_id) = (Target::Bound, Some(id));
        (self.recorded, self.pending, self.name) = (false, Pending::No, Name::Free);
        self.engine.memo.recovered(self.handle.uid());
        self.claim_bond();
        self.saw(remote);
    }

    pub(super) async fn update(&mut self) -> Result<(), Fault> {
        let Some(remote) = self.remote.take() else {
            return Err(Fault::Stale);
        };
        let fields = std::mem::take(&mut self.differing);
        self.check_fight(&fields)?;
        let old_name = K::report(&remote).name;
        match K::apply(self.context()?, self.desired()?, Some(remote)).await {
            Ok(remote) => self.updated(remote, &fields, &old_name),
            Err(Error::NotFound { .. }) => self.observed = Observed::Unknown,
            Err(Error::AlreadyExists { .. }) => return Err(self.held(Hold::NameInUse)),
            Err(error) => return Err(self.explain(error).await),
        }
        Ok(())
    }

    fn updated(&mut self, remote: K::Remote, fields: &[&'static str], old_name: &str) {
        if self.was_in_sync() {
            self.engine.memo.repaired(self.handle.uid(), fields);
            self.reverted = fields.to_vec();
            let note = format!("reverted what was changed outside: {}", fields.join(", "));
            let action = format!("Revert {}", fields.join(", "));
            self.notes.push(Note { action, ..Note::warning("DriftReverted", note) });
        } else {
            self.notes.push(Note::normal("Updated", format!("changed {}", fields.join(", "))));
        }
        if fields.contains(&"name") {
            self.wake_who_wants(old_name);
        }
        self.saw(remote);
    }

    fn wake_who_wants(&self, name: &str) {
        if let Some(freed) = self.name_claim(name) {
            self.engine.wakes.wake(self.engine.claims.take_waiting(&freed));
        }
    }

    /// The same field repaired again and again is somebody else's field too.
    fn check_fight(&self, fields: &[&'static str]) -> Result<(), Fault> {
        let contested = self.engine.memo.contested(self.handle.uid(), fields);
        let edited = self.status().observed_generation != self.object.meta().generation;
        if contested.is_empty() || edited {
            return Ok(());
        }
        Err(Fault::Contested(format!(
            "somebody else keeps changing {}: repaired 5 times in 10 minutes, from now on only at the resync interval; find the other writer, or leave the field to it",
            contested.join(", ")
        )))
    }

    pub(super) async fn remove(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.removed, true) {
            return Err(Fault::Soon {
                reason: Reason::Deleting,
                message: format!("ZITADEL still shows the {} that was removed", K::KIND),
                after: Duration::from_secs(2),
            });
        }
        let Some(remote) = self.remote.take() else {
            return Err(Fault::Stale);
        };
        match K::remove(self.context()?, &remote).await {
            Ok(()) => self.observed = Observed::Unknown,
            Err(error) => return Err(self.explain(error).await),
        }
        let Report { id, name, .. } = K::report(&remote);
        self.notes.push(Note::normal("Removed", format!("removed {} {id}", K::KIND)));
        self.wake_who_wants(&name);
        Ok(())
    }

    pub(super) async fn release(&mut self) -> Result<(), Fault> {
        self.change(MetadataChange { finalizer: Some(false), ..Default::default() }).await?;
        self.engine.release_claims(self.handle.uid());
        Ok(())
    }

    pub(super) async fn change(&mut self, change: MetadataChange) -> Result<(), Fault> {
        self.handle.change(&change).await?;
        self.engine.memo.wrote(self.handle.uid(), self.handle.meta.resource_version.as_deref());
        Ok(())
    }
}
