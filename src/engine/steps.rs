//! The steps of a plan, carried out. Each leaves in the run what it learned.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use kube::ResourceExt;
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard;

use super::access::same_name;
use super::claims::Claimant;
use super::events::Note;
use super::fault::Fault;
use super::kind::{Kind, Report};
use super::pending::PendingCreate;
use super::plan::{Hold, Name, Observed, Pending, Target};
use super::resource::{MetadataChange, bounded};
use super::run::{Bond, Run};
use crate::api::annotation::CREATE_PENDING;
use crate::api::{ManagementPolicy, Origin, Reason};
use crate::zitadel::Error;

/// Where a proxy drops the server's `Date`, our own clock with room for its error stands in.
const CLOCK_DOUBT: SignedDuration = SignedDuration::from_secs(60);

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

    /// Confirms instance and organization, then records the intent together with the finalizer.
    pub(super) async fn begin_create(&mut self) -> Result<(), Fault> {
        let Some(after) = self.confirm_ground().await? else {
            return Ok(());
        };
        let reach = self.reach.as_ref().ok_or(Fault::Stale)?;
        let intent = PendingCreate {
            uid: self.handle.uid().into(),
            name: K::name(self.desired()?).into(),
            after,
            organization: reach.organization.clone(),
            instance: reach.instance.clone(),
        };
        let annotations = vec![intent.annotation()];
        self.change(MetadataChange { finalizer: Some(true), annotations }).await?;
        (self.intent, self.pending) = (Some(intent), Pending::Begun);
        Ok(())
    }

    /// The server's time, if nothing forbids to create here; `None`: this is another instance.
    async fn confirm_ground(&mut self) -> Result<Option<Timestamp>, Fault> {
        if !self.reach().await? || !self.confirm_instance().await? {
            return Ok(None);
        }
        let organization = self.context()?.organization.to_owned();
        match self.session()?.clone().confirm_organization(&organization).await {
            Ok(answer) => Ok(Some(answer.server_time.unwrap_or_else(|| Timestamp::now() - CLOCK_DOUBT))),
            Err(Fault::Zitadel(error)) => Err(self.explain(error).await),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn create(&mut self) -> Result<(), Fault> {
        match self.post().await {
            Ok(remote) => self.bind(remote, Origin::Created),
            Err(error) if error.outcome_unknown() => return Err(error.into()),
            Err(Error::AlreadyExists { .. }) => self.name_is_in_use().await?,
            Err(error) => {
                self.drop_intent().await?;
                return Err(self.explain(error).await);
            }
        }
        Ok(())
    }

    /// Creates under the name that was announced; a rename comes after.
    async fn post(&self) -> Result<K::Remote, Error> {
        let refused = |_| Error::Unreachable { message: "no way to ZITADEL was taken".into() };
        let mut desired = self.desired().map_err(refused)?.clone();
        if let Some(intent) = &self.intent {
            desired = K::named(desired, &intent.name);
        }
        self.engine.memo.sending(self.handle.uid());
        K::apply(self.context().map_err(refused)?, &desired, None).await
    }

    async fn name_is_in_use(&mut self) -> Result<(), Fault> {
        self.drop_intent().await?;
        self.name = Name::InUse;
        Ok(())
    }

    /// What is settled must not be recovered later: somebody else's object could pass for the one that was refused.
    /// So the intent goes also where the resource changed meanwhile; only then a new run sees that change.
    async fn drop_intent(&mut self) -> Result<(), Fault> {
        self.engine.memo.recovered(self.handle.uid());
        let dropped = || MetadataChange { finalizer: None, annotations: vec![(CREATE_PENDING, None)] };
        if let Err(fault) = self.change(dropped()).await {
            if matches!(fault, Fault::Stale) {
                self.handle.refresh().await?;
                self.change(dropped()).await?;
            }
            return Err(fault);
        }
        (self.intent, self.pending) = (None, Pending::No);
        Ok(())
    }

    /// Settles a create of which only the intent is known.
    ///
    /// Asking again under the same name cannot make a second object: the server keeps names unique (409 `V3-DKcYh`).
    pub(super) async fn recover(&mut self) -> Result<(), Fault> {
        if self.is_deleting() {
            return self.recover_for_deletion().await;
        }
        if self.confirm_ground().await?.is_none() {
            return Ok(());
        }
        match self.post().await {
            Ok(remote) => self.bind(remote, Origin::Created),
            Err(Error::AlreadyExists { .. }) => match self.find_created().await? {
                Some(remote) => self.bind(remote, Origin::Created),
                None if self.engine.memo.recovering_for(self.handle.uid())
                    < self.engine.config.projection_lag =>
                {
                    return Err(self.awaiting_list());
                }
                None => self.name_is_in_use().await?,
            },
            Err(error) => return Err(self.explain(error).await),
        }
        Ok(())
    }

    async fn recover_for_deletion(&mut self) -> Result<(), Fault> {
        if !self.reach().await? || !self.confirm_instance().await? {
            return Ok(());
        }
        if let Some(remote) = self.find_created().await? {
            self.bind(remote, Origin::Created);
            return Ok(());
        }
        // Counted by our own clock: the time in the intent is tenant input, and a recovery may have sent again.
        if self.engine.memo.quiet_for(self.handle.uid()) < self.engine.config.projection_lag {
            return Err(self.awaiting_list());
        }
        self.pending = Pending::No;
        Ok(())
    }

    fn awaiting_list(&self) -> Fault {
        let reason = if self.is_deleting() { Reason::Deleting } else { Reason::Pending };
        Fault::Soon {
            reason,
            message: "finding out whether an earlier create reached ZITADEL".into(),
            after: Duration::from_secs(2),
        }
    }

    /// The object that the unfinished create made: of that name, in this organization, not older, and nobody else's.
    async fn find_created(&self) -> Result<Option<K::Remote>, Fault> {
        let Some(intent) = self.intent.clone() else {
            return Ok(None);
        };
        for remote in self.named(&intent.name).await? {
            let report = K::report(&remote);
            let claim = Self::claim_on(&intent.instance, &report.id);
            let free = self.engine.claims.held_by_other(&claim, self.handle.uid()).is_none()
                && self.holder_elsewhere(&report.id).await?.is_none();
            if free && intent.can_be(report.creation_date) {
                return Ok(Some(remote));
            }
        }
        Ok(None)
    }

    /// Objects of this name in this organization, each read with certainty.
    async fn named(&self, name: &str) -> Result<Vec<K::Remote>, Fault> {
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

    /// An operator that follows a part of the cluster asks for the rest before it takes what it did not make.
    async fn holder_elsewhere(&self, id: &str) -> Result<Option<Claimant>, Fault> {
        if !self.engine.config.is_partial() {
            return Ok(None);
        }
        let api = Api::<DeserializeGuard<K>>::all(self.engine.client.clone());
        let bound = bounded(api.list(&ListParams::default().fields(&format!("status.id={id}")))).await?;
        let other = bound.items.iter().filter_map(|guard| guard.0.as_ref().ok()).find(|other| {
            let status = other.status();
            let instance = status.and_then(|status| status.instance.as_deref());
            other.uid().as_deref() != Some(self.handle.uid())
                && instance == self.reach.as_ref().map(|reach| reach.instance.as_str())
                && other.common().management.management_policy == ManagementPolicy::Manage
        });
        Ok(other.map(Claimant::of))
    }

    fn bind(&mut self, remote: K::Remote, origin: Origin) {
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
            self.notes.push(Note::warning("DriftReverted", note));
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
