//! The steps of a plan, carried out. Each leaves in the run what it learned.

use std::time::Duration;

use crate::api::common::AdoptionPolicy;
use crate::api::{Origin, Reason};
use crate::engine::decision::access::{Action, same_name};
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::outcome::Drifted;
use crate::engine::decision::plan::{ExternalRef, Identity, Name, Observed, Pending};
use crate::engine::drivers::kind::Parent;
use crate::engine::drivers::remote::Remote;
use crate::engine::index::claims::Claim;
use crate::engine::index::object_states::Left;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::MetadataChange;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Target;
use crate::zitadel::Error;

impl Run<'_> {
    /// Reads the target with certainty.
    pub(crate) async fn observe(&mut self) -> Result<(), ReconcileError> {
        if self.is_empty_handed() {
            self.observed = Observed::Absent;
            return Ok(());
        }
        if !self.target().await? || (self.kind.identity == Identity::Keyed && self.holder.is_some()) {
            return Ok(());
        }
        if self.kind.is_organization() {
            self.recognize().await?;
            self.authorize(Action::Read, None).await?;
        }
        self.yield_keys().await?;
        let id = self.external_id.clone().ok_or(ReconcileError::Stale)?;
        match self.object.observe(self.context()?, &id).await {
            Ok(Some(remote)) => {
                self.note_taken_over(&remote);
                self.record_observation(remote);
            }
            Ok(None) => {
                self.confirm_absence().await?;
                self.doubt_absence();
            }
            Err(
                Error::OrganizationNotFound { .. }
                | Error::ProjectNotFound { .. }
                | Error::Unsupported { .. },
            ) if self.is_deleting() => {
                self.confirm_absence().await?;
            }
            Err(error) => return Err(self.explain(error).await),
        }
        Ok(())
    }

    /// Keys that are there already and that the status does not prove yet are taken over by naming them.
    fn note_taken_over(&mut self, remote: &Remote) {
        if !self.kind.many_keys || !self.is_managed() || self.is_deleting() {
            return;
        }
        let (there, proved) =
            (self.object.recorded(&self.object.own_of(remote)), self.object.recorded(&self.own));
        let taken: Vec<&str> =
            there.intersection(&self.keys).filter(|key| !proved.contains(*key)).map(String::as_str).collect();
        if !taken.is_empty() {
            let note = format!("took over what was there: {}", taken.join(", "));
            self.events.push(EventSpec::normal("Adopted", note));
        }
    }

    /// A deletion with no key left has nothing to look for.
    fn is_empty_handed(&self) -> bool {
        self.kind.identity == Identity::Keyed && self.is_deleting() && self.keys.is_empty()
    }

    pub(crate) fn record_observation(&mut self, remote: Remote) {
        let is_there = |target: &Target| target.parents.organization == remote.owner;
        let owned = remote.owner.is_empty()
            || self.kind.parent == Parent::Instance
            || self.target.as_ref().is_some_and(is_there);
        self.differing =
            self.desired.as_ref().map(|desired| self.object.diff(desired, &remote)).unwrap_or_default();
        self.observed = match self.differing.as_slice() {
            _ if !owned => Observed::Foreign,
            _ if self.is_managed() && self.object.is_reset(&remote) => Observed::Absent,
            [] => Observed::InSync,
            _ => Observed::Differs,
        };
        match self.external {
            // What is bound and there is what the intent was for, or what was before it.
            ExternalRef::Owned if owned => (self.intent, self.pending) = (None, Pending::No),
            ExternalRef::Owned => {}
            _ if self.kind.identity == Identity::Keyed => {}
            _ => self.find_holder(&remote.id.clone()),
        }
        self.remote = Some(remote);
    }

    fn find_holder(&mut self, id: &str) {
        let Some(target) = &self.target else { return };
        let claim = Claim::on_id(&target.instance, self.kind.name, id);
        self.holder = self.engine.claims.held_by_other(&claim, &self.claimant());
    }

    /// "Not there" counts only on the instance the resource was written to.
    async fn confirm_absence(&mut self) -> Result<(), ReconcileError> {
        if self.confirm_instance().await? {
            (self.observed, self.remote) = (Observed::Absent, None);
        }
        Ok(())
    }

    /// What only a list shows may be there all the same, until it was removed.
    fn doubt_absence(&mut self) {
        let is_listed = self.object.unlisted(&self.keys).is_some();
        if is_listed && !self.removed && self.observed == Observed::Absent {
            self.observed = Observed::Unlisted;
        }
    }

    pub(crate) async fn protect(&mut self) -> Result<(), ReconcileError> {
        self.change(MetadataChange { finalizer: Some(true), ..Default::default() }).await
    }

    /// Objects of this name in this organization, each read with certainty.
    pub(crate) async fn named(&self, name: &str) -> Result<Vec<Remote>, ReconcileError> {
        let cx = self.context()?;
        let mut named = Vec::new();
        let ids = match self.object.find(cx, name).await {
            Err(Error::OrganizationNotFound { .. }) if self.is_deleting() => Vec::new(),
            ids => ids?,
        };
        for id in ids {
            if let Some(remote) = self.object.observe(cx, &id).await? {
                let resides = self.kind.parent == Parent::Instance || remote.owner == cx.organization;
                if resides && same_name(&remote.name, name) {
                    named.push(remote);
                }
            }
        }
        Ok(named)
    }

    pub(crate) async fn find_by_name(&mut self) -> Result<(), ReconcileError> {
        if !self.target().await? {
            return Ok(());
        }
        let name = self.desired()?.name.clone();
        let found = match self.named(&name).await {
            Ok(found) => found.into_iter().next(),
            Err(ReconcileError::Zitadel(error)) => return Err(self.explain(error).await),
            Err(error) => return Err(error),
        };
        match found {
            // What it owned is gone, and whatever has the name now is not it.
            Some(_) if self.external == ExternalRef::Owned => self.name = Name::InUse,
            Some(remote) => {
                (self.external, self.external_id) = (ExternalRef::Found, Some(remote.id.clone()));
                match self.authorize(Action::Read, Some(&remote)).await {
                    Err(ReconcileError::Stalled { reason: Reason::AccessDenied, .. })
                        if !self.takes_by_name() =>
                    {
                        self.hidden = true;
                    }
                    authorized => authorized?,
                }
                self.record_observation(remote);
            }
            None => self.searched = true,
        }
        Ok(())
    }

    fn takes_by_name(&self) -> bool {
        !self.is_managed() || self.object.adoption() == AdoptionPolicy::ByName
    }

    pub(crate) async fn adopt(&mut self) -> Result<(), ReconcileError> {
        if self.kind.identity == Identity::Keyed {
            return self.take_over().await;
        }
        let Some(remote) = self.remote.take() else {
            return Err(ReconcileError::Stale);
        };
        let id = remote.id.clone();
        if let Some(holder) = self.holder_elsewhere(&id).await? {
            (self.holder, self.remote) = (Some(holder), Some(remote));
            return Ok(());
        }
        let origin = if self.recognized { Origin::Created } else { Origin::Adopted };
        self.take_ownership(remote, origin).await?;
        if self.holder.is_none() && !self.recognized {
            self.events.push(EventSpec::normal("Adopted", format!("took over {} {id}", self.kind.name)));
        }
        Ok(())
    }

    /// Takes what is under the keys as it is; that it is owned is recorded before anything is written.
    async fn take_over(&mut self) -> Result<(), ReconcileError> {
        // A server that still answers for a removed organization shows nothing in it.
        if self.kind.many_keys && self.observed.is_absent() && self.confirm_ground().await?.is_none() {
            return Ok(());
        }
        if !self.kind.many_keys {
            let under = self.external_id.clone().ok_or(ReconcileError::Stale)?;
            self.holder = self.holder_elsewhere(&under).await?;
        }
        if self.holder.is_some() {
            return Ok(());
        }
        let origin = if self.observed.is_absent() { Origin::Created } else { Origin::Adopted };
        if origin == Origin::Adopted && !self.kind.many_keys {
            self.events.push(EventSpec::normal("Adopted", format!("took over {}", self.describe_object())));
        }
        self.own_keys(origin).await
    }

    /// Asks the kind whether a person must confirm the write first: to the spec, or under deletion the removal.
    pub(crate) async fn preflight(&mut self) -> Result<Option<EventSpec>, ReconcileError> {
        let Some(remote) = &self.remote else { return Ok(None) };
        match self.object.preflight(self.context()?, remote, self.desired.as_ref()).await {
            Err(ReconcileError::Zitadel(error)) => Err(self.explain(error).await),
            permitted => permitted,
        }
    }

    /// Warns of a write that was permitted, unless it is sure that nothing was done.
    pub(crate) fn warn<T>(&mut self, warning: Option<EventSpec>, outcome: &Result<T, ReconcileError>) {
        let may_be_done = match outcome {
            Ok(_) => true,
            Err(ReconcileError::Zitadel(error)) => error.outcome_unknown(),
            Err(_) => false,
        };
        self.events.extend(warning.filter(|_| may_be_done));
    }

    pub(crate) async fn update(&mut self) -> Result<(), ReconcileError> {
        let fields = std::mem::take(&mut self.differing);
        let drifted = self.remote.as_ref().is_some_and(|remote| self.drifted(remote));
        if drifted {
            self.drift = Drifted::Found;
        }
        self.check_fight(&fields)?;
        self.check_taken(&fields)?;
        let warning = self.preflight().await?;
        let Some(remote) = self.remote.take() else {
            return Err(ReconcileError::Stale);
        };
        let old_name = remote.name.clone();
        let outcome = self.send(self.desired()?, Some(remote)).await;
        self.warn(warning, &outcome);
        match outcome {
            Ok(remote) => self.updated(remote, fields, &old_name, drifted),
            Err(ReconcileError::Zitadel(Error::NotFound { .. })) => self.observed = Observed::Unknown,
            Err(ReconcileError::Zitadel(Error::OrganizationNotFound { .. }))
                if self.kind.is_organization() =>
            {
                self.observed = Observed::Unknown;
            }
            Err(ReconcileError::Zitadel(Error::AlreadyExists { .. }))
                if self.kind.identity == Identity::Assigned =>
            {
                return Err(self.name_in_use().await);
            }
            Err(ReconcileError::Zitadel(error)) => return Err(self.explain(error).await),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Did somebody else write? It was as specified at this generation, and is not what was reported then.
    fn drifted(&self, remote: &Remote) -> bool {
        self.was_in_sync() && self.object.moved(remote)
    }

    fn updated(&mut self, remote: Remote, mut fields: Vec<String>, old_name: &str, drifted: bool) {
        self.record_observation(remote);
        // What differs still was not changed.
        fields.retain(|field| !self.differing.contains(field));
        if fields.is_empty() {
            return;
        }
        if drifted {
            self.engine.object_states.repaired(self.handle.uid(), &fields);
            let note = format!("reverted what was changed outside: {}", fields.join(", "));
            let action = format!("Revert {}", fields.join(", "));
            self.events.push(EventSpec { action, ..EventSpec::warning("DriftReverted", note) });
        } else {
            self.events.push(EventSpec::normal("Updated", format!("changed {}", fields.join(", "))));
        }
        if fields.iter().any(|field| field == "name") {
            self.wake_who_wants(old_name);
        }
        if drifted {
            self.reverted = fields;
            self.drift = Drifted::Repaired;
        }
    }

    fn wake_who_wants(&self, name: &str) {
        if let Some(freed) = self.name_claim(name) {
            self.engine.requeues.wake(self.engine.claims.take_waiting(&freed, &self.claimant()));
        }
    }

    /// What was sent and still differs was not taken; sending it again would not help until the server is another.
    fn check_taken(&mut self, fields: &[String]) -> Result<(), ReconcileError> {
        let (object_states, uid, rare) =
            (&self.engine.object_states, self.handle.uid(), self.engine.config.delays.rare);
        let left = Left {
            generation: self.object.meta().generation,
            sequence: self.remote.as_ref().map(|remote| remote.details.sequence.clone()),
            fields: fields.to_vec(),
        };
        if std::mem::replace(&mut self.sent, fields.to_vec()) == fields {
            object_states.left(uid, left);
        } else if !object_states.was_left(uid, &left, rare) {
            return Ok(());
        }
        Err(ReconcileError::Stalled {
            reason: Reason::InvalidSpec,
            message: format!(
                "ZITADEL accepted {} and does not show it: this version may not know it; remove it from the spec, or wait for an upgrade: it is sent again every few hours",
                fields.join(", ")
            ),
        })
    }

    /// The same field repaired again and again is somebody else's field too.
    fn check_fight(&self, fields: &[String]) -> Result<(), ReconcileError> {
        let contested = self.engine.object_states.contested(self.handle.uid(), fields);
        let edited = self.before.common.observed_generation != self.object.meta().generation;
        if contested.is_empty() || edited {
            return Ok(());
        }
        Err(ReconcileError::Contested(format!(
            "somebody else keeps changing {}: repaired 5 times in 10 minutes, from now on only at the resync interval; find the other writer, or leave the field to it",
            contested.join(", ")
        )))
    }

    pub(crate) async fn remove(&mut self) -> Result<(), ReconcileError> {
        if std::mem::replace(&mut self.removed, true) {
            return Err(ReconcileError::Soon {
                reason: Reason::Deleting,
                message: format!("ZITADEL still shows the {} that was removed", self.kind.name),
                after: Duration::from_secs(2),
            });
        }
        let warning = self.preflight().await?;
        let unlisted = || self.object.unlisted(&self.keys);
        let Some(remote) = self.remote.take().or_else(unlisted) else {
            return Err(ReconcileError::Stale);
        };
        let outcome = self.send_removal(&remote).await;
        self.warn(warning, &outcome);
        match outcome {
            // What the server does not take stays: there is nothing left to wait for.
            Ok(()) if self.kind.is_always_there() => self.observed = Observed::Absent,
            Ok(()) => self.observed = Observed::Unknown,
            // Nobody can remove it there: no reason to hold on to the resource.
            Err(ReconcileError::Zitadel(Error::Unsupported { .. })) => return self.confirm_absence().await,
            Err(ReconcileError::Zitadel(error)) => return Err(self.explain(error).await),
            Err(error) => return Err(error),
        }
        let verb = if self.kind.is_always_there() { "reset" } else { "removed" };
        self.events.push(EventSpec::normal("Removed", format!("{verb} {}", self.describe_object())));
        self.wake_who_wants(&remote.name);
        Ok(())
    }

    pub(crate) async fn release(&mut self) -> Result<(), ReconcileError> {
        self.unmark().await?;
        if self.recorded && !self.is_deleting() {
            // Before others may take it: after a restart the status alone says whose it is.
            self.record().await?;
        }
        self.change(MetadataChange { finalizer: Some(false), ..Default::default() }).await?;
        self.engine.release_claims(self.handle.uid());
        Ok(())
    }

    pub(crate) async fn change(&mut self, change: MetadataChange) -> Result<(), ReconcileError> {
        self.handle.change(&change).await?;
        self.engine
            .object_states
            .expect_version(self.handle.uid(), self.handle.meta.resource_version.as_deref());
        Ok(())
    }
}
