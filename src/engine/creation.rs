//! Creating an object whose id the server assigns: at most one, whatever is lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::ListParams;

use super::Engine;
use super::access::Action;
use super::claims::Claimant;
use super::conclusion::Drifted;
use super::controller::Guarded;
use super::events::Note;
use super::fault::Fault;
use super::kind::{Kind, Scope};
use super::plan::{Identity, Name, Pending};
use super::run::{Reach, Run};
use crate::api::{Origin, PendingCreate, Reason, Status};
use crate::runtime::ambient;
use crate::zitadel::{Answer, Error};

/// How far the clock behind `Date`, which a proxy may write, can be ahead of the database's, which dates what is created.
const CLOCK_DOUBT: SignedDuration = SignedDuration::from_secs(60);

/// Nothing that is created after this answer is dated before this. Without a `Date` our own clock stands in.
fn not_before<T>(answer: &Answer<T>) -> Timestamp {
    answer.server_time.unwrap_or_else(ambient::now) - CLOCK_DOUBT
}

impl<K: Kind> Run<'_, K> {
    /// Confirms instance and organization, then records the intent.
    pub(super) async fn begin_create(&mut self) -> Result<(), Fault> {
        let Some(after) = self.confirm_ground().await? else {
            return Ok(());
        };
        let reach = self.reach.as_ref().ok_or(Fault::Stale)?;
        self.intent = Some(PendingCreate {
            name: K::name(self.desired()?).into(),
            connection_ref: self.object.management().connection_ref.clone(),
            parent: Some(reach.organization.clone()).filter(|_| K::SCOPE == Scope::Organization),
            instance: reach.instance.clone(),
            after,
        });
        let recorded = self.record().await;
        match recorded {
            Ok(()) => self.pending = Pending::Begun,
            Err(_) => self.intent = None,
        }
        recorded
    }

    /// Was the unfinished create sent through another connection, whose server may state any instance?
    pub(super) fn is_begun_elsewhere(&self) -> bool {
        let connection = &self.object.management().connection_ref;
        self.intent.as_ref().is_some_and(|intent| intent.connection_ref != *connection)
    }

    /// The server's time, if nothing forbids to create here; `None`: this is another instance.
    pub(super) async fn confirm_ground(&mut self) -> Result<Option<Timestamp>, Fault> {
        if !self.reach().await? || !self.confirm_instance().await? {
            return Ok(None);
        }
        self.authorize(Action::Create, None).await?;
        let session = self.session()?.clone();
        if K::SCOPE == Scope::Instance {
            return Ok(Some(not_before(&session.client.instance().await?)));
        }
        let organization = self.context()?.organization.to_owned();
        match session.confirm_organization(&organization).await {
            Ok(answer) => Ok(Some(not_before(&answer))),
            Err(Fault::Zitadel(error)) => Err(self.explain(error).await),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn create(&mut self) -> Result<(), Fault> {
        let warning = self.permit().await?;
        let outcome = self.post().await;
        self.warn(warning, &outcome);
        match outcome {
            Ok(remote) if K::IDENTITY == Identity::Setting => self.made(remote),
            Ok(remote) => self.bind(remote, Origin::Created).await?,
            Err(Fault::Zitadel(Error::AlreadyExists { .. })) if K::IDENTITY == Identity::Assigned => {
                self.name_is_in_use().await?;
            }
            Err(Fault::Zitadel(error)) if !error.outcome_unknown() => {
                self.drop_intent().await?;
                return Err(self.explain(error).await);
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// The bond of a setting stands since before; only what it says is new.
    fn made(&mut self, remote: K::Remote) {
        let id = self.target_id.as_deref().unwrap_or_default();
        let note = format!("set the {} of organization {id}", K::KIND);
        let was_there = !K::PARTED || !K::recorded(&self.status().own).is_empty();
        let again = self.was_in_sync() && was_there;
        if again {
            self.drift = Drifted::Repaired;
        }
        self.notes.push(match again {
            true => Note::warning("DriftReverted", format!("{note} again: somebody else had removed it")),
            false => Note::normal("Created", note),
        });
        self.saw(remote);
    }

    /// Creates under the name that was announced; a rename comes after.
    async fn post(&mut self) -> Result<K::Remote, Fault> {
        self.pending = Pending::Unresolved;
        let mut desired = self.desired()?.clone();
        if let Some(intent) = &self.intent {
            desired = K::named(desired, &intent.name);
        }
        self.engine.memo.sending(self.handle.uid());
        self.send(&desired, None).await
    }

    /// An intent of which nothing was sent must not be recovered: what others make meanwhile could pass for it.
    pub(super) fn forget_unsent(&mut self) -> bool {
        let unsent = self.pending == Pending::Begun;
        if unsent {
            (self.intent, self.pending) = (None, Pending::No);
        }
        unsent
    }

    async fn name_is_in_use(&mut self) -> Result<(), Fault> {
        self.drop_intent().await?;
        self.name = Name::InUse;
        Ok(())
    }

    /// What is settled must not be recovered later: somebody else's object could pass for the one that was refused.
    async fn drop_intent(&mut self) -> Result<(), Fault> {
        self.engine.memo.recovered(self.handle.uid());
        self.pending = Pending::No;
        match self.intent.take() {
            Some(_) => self.record().await,
            None => Ok(()),
        }
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
            Ok(remote) => self.bind(remote, Origin::Created).await?,
            Err(Fault::Zitadel(Error::AlreadyExists { .. })) => match self.find_created().await? {
                Some(remote) => self.bind(remote, Origin::Created).await?,
                None if self.engine.memo.recovering_for(self.handle.uid())
                    < self.engine.config.projection_lag =>
                {
                    return Err(self.awaiting_list());
                }
                None => self.name_is_in_use().await?,
            },
            Err(Fault::Zitadel(error)) => return Err(self.explain(error).await),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    async fn recover_for_deletion(&mut self) -> Result<(), Fault> {
        if !self.reach().await? || !self.confirm_instance().await? {
            return Ok(());
        }
        self.authorize(Action::Create, None).await?;
        if let Some(remote) = self.find_created().await? {
            return self.bind(remote, Origin::Created).await;
        }
        // Counted by our own clock: a recovery may have sent again, long after the intent.
        if self.engine.memo.quiet_for(self.handle.uid()) < self.engine.config.projection_lag {
            return Err(self.awaiting_list());
        }
        (self.intent, self.pending) = (None, Pending::No);
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
            let free = self.engine.claims.held_by_other(&claim, &self.claimant()).is_none()
                && self.holder_elsewhere(&report.id).await?.is_none();
            if free && intent.can_have_made(report.creation_date) {
                return Ok(Some(remote));
            }
        }
        Ok(None)
    }

    /// An operator that follows a part of the cluster asks for the rest before it takes what it did not make.
    pub(super) async fn holder_elsewhere(&self, id: &str) -> Result<Option<Claimant>, Fault> {
        let mut holder = None;
        self.each_bound_elsewhere(id, |other| _ = holder.get_or_insert_with(|| Claimant::of(other))).await?;
        Ok(holder)
    }

    /// Leaves new parts alone that resources of other operators own.
    pub(super) async fn yield_parts(&mut self) -> Result<(), Fault> {
        let new: BTreeSet<String> = self.parts.difference(&K::recorded(&self.own)).cloned().collect();
        if !K::PARTED || !self.is_managed() || self.is_deleting() || new.is_empty() {
            return Ok(());
        }
        let Reach { instance, organization, .. } = self.reach.as_ref().ok_or(Fault::Stale)?;
        let (instance, organization) = (instance.clone(), organization.clone());
        let mut taken = BTreeMap::new();
        let take = |other: &K| {
            let theirs = other.status().map(|status| K::recorded(&status.own)).unwrap_or_default();
            taken.extend(new.intersection(&theirs).map(|part| (part.clone(), Claimant::of(other))));
        };
        self.each_bound_elsewhere(&organization, take).await?;
        for part in taken.keys() {
            let claim = Self::claim_on_part(&instance, &organization, part);
            self.engine.claims.release_where(self.handle.uid(), |held| *held == claim);
        }
        self.parts_taken.extend(taken);
        self.leave_taken();
        Ok(())
    }

    /// Shows those who own the same object in this instance and whom no store of ours need have.
    async fn each_bound_elsewhere(&self, id: &str, mut show: impl FnMut(&K)) -> Result<(), Fault> {
        let instance = self.reach.as_ref().map(|reach| reach.instance.as_str());
        let binds = |other: &K| {
            other.uid().as_deref() != Some(self.handle.uid())
                && owns_in(other, instance)
                && Claimant::of(other).binds(&self.claimant())
        };
        let each = |guard: Guarded<K>| guard.0.iter().filter(|other| binds(other)).for_each(&mut show);
        each_elsewhere(self.engine, id, each).await
    }
}

/// Shows the resources of a kind whose status names this object, where no store of ours need have them all. Whoever wants
/// memory makes many, and large ones: what is kept of each is no more than is asked.
pub(super) async fn each_elsewhere<K: Kind>(
    engine: &Engine,
    id: &str,
    show: impl FnMut(Guarded<K>),
) -> Result<(), Fault> {
    if !engine.config.is_partial() {
        return Ok(());
    }
    let field = match K::IDENTITY {
        Identity::Assigned => "status.id",
        Identity::Setting => "status.organizationId",
    };
    let list = ListParams::default().fields(&format!("{field}={id}"));
    engine.bulk.each(engine.clients.calls.clone(), list, show).await
}

/// Does its status prove that it owns what it names in this instance?
pub(super) fn owns_in<K: Kind>(object: &K, instance: Option<&str>) -> bool {
    let is_here = |status: &Status<K::Own>| {
        K::is_bound(&status.common) && status.common.instance.as_deref() == instance
    };
    !object.is_let_go() && object.status().is_some_and(is_here)
}
