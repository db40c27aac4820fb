//! Creating an object whose id the server assigns: at most one, whatever is lost on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;

use crate::api::{CommonStatus, Origin, PendingCreate, Reason};
use crate::engine::decision::access::Action;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::outcome::Drifted;
use crate::engine::decision::plan::{Identity, Name, Pending};
use crate::engine::drivers::kind::Parent;
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::subject::{KindInfo, Subject};
use crate::engine::index::claims::Claim;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::reconcile::claiming::claims_on;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Target;
use crate::runtime::ambient;
use crate::zitadel::{Answer, Error};

/// How far the clock behind `Date`, which a proxy may write, can be ahead of the database's, which dates what is created.
const CLOCK_DOUBT: SignedDuration = SignedDuration::from_secs(60);

/// Nothing that is created after this answer is dated before this. Without a `Date` our own clock stands in.
fn not_before<T>(answer: &Answer<T>) -> Timestamp {
    answer.server_time.unwrap_or_else(ambient::now) - CLOCK_DOUBT
}

impl Run<'_> {
    /// Confirms instance and organization, then records the intent.
    pub(crate) async fn begin_create(&mut self) -> Result<(), ReconcileError> {
        let Some(after) = self.confirm_ground().await? else {
            return Ok(());
        };
        let target = self.target.as_ref().ok_or(ReconcileError::Stale)?;
        self.intent = Some(PendingCreate {
            name: self.desired()?.name.clone(),
            connection_ref: self.object.management().connection_ref.clone(),
            parent: Some(target.parents.parent.clone()).filter(|parent| !parent.is_empty()),
            instance: target.instance.clone(),
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
    pub(crate) fn is_begun_elsewhere(&self) -> bool {
        let connection = &self.object.management().connection_ref;
        self.intent.as_ref().is_some_and(|intent| intent.connection_ref != *connection)
    }

    /// The server's time, if nothing forbids to create here; `None`: this is another instance.
    pub(crate) async fn confirm_ground(&mut self) -> Result<Option<Timestamp>, ReconcileError> {
        if !self.target().await? || !self.confirm_instance().await? {
            return Ok(None);
        }
        self.authorize(Action::Create, None).await?;
        let session = self.session()?.clone();
        if self.kind.parent == Parent::Instance {
            return Ok(Some(not_before(&session.client.instance().await?)));
        }
        let organization = self.context()?.organization.to_owned();
        match session.confirm_organization(&organization).await {
            Ok(answer) => Ok(Some(not_before(&answer))),
            Err(ReconcileError::Zitadel(error)) => Err(self.explain(error).await),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn create(&mut self) -> Result<(), ReconcileError> {
        let warning = self.preflight().await?;
        let outcome = self.post().await;
        self.warn(warning, &outcome);
        match outcome {
            Ok(remote) if self.kind.identity == Identity::Keyed => self.made(remote),
            Ok(remote) => self.take_ownership(remote, Origin::Created).await?,
            Err(ReconcileError::Zitadel(Error::AlreadyExists { .. }))
                if self.kind.identity == Identity::Assigned =>
            {
                self.name_is_in_use().await?;
            }
            Err(ReconcileError::Zitadel(error)) if !error.outcome_unknown() => {
                self.drop_intent().await?;
                return Err(self.explain(error).await);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Ownership stands since before; only what is under the key is new.
    fn made(&mut self, remote: Remote) {
        let note = format!("set {}", self.describe_object());
        let was_there = !self.kind.many_keys || !self.object.recorded(&self.before.own).is_empty();
        let again = self.was_in_sync() && was_there;
        if again {
            self.drift = Drifted::Repaired;
        }
        self.events.push(match again {
            true => {
                EventSpec::warning("DriftReverted", format!("{note} again: somebody else had removed it"))
            }
            false => EventSpec::normal("Created", note),
        });
        self.record_observation(remote);
    }

    /// Creates under the name that was announced; a rename comes after.
    async fn post(&mut self) -> Result<Remote, ReconcileError> {
        self.pending = Pending::Unresolved;
        let mut desired = self.desired()?.clone();
        if let Some(intent) = &self.intent {
            desired = Desired { name: intent.name.clone(), ..desired };
        }
        self.engine.object_states.sending(self.handle.uid());
        self.send(&desired, None).await
    }

    /// An intent of which nothing was sent must not be recovered: what others make meanwhile could pass for it.
    pub(crate) fn forget_unsent(&mut self) -> bool {
        let unsent = self.pending == Pending::Begun;
        if unsent {
            (self.intent, self.pending) = (None, Pending::No);
        }
        unsent
    }

    async fn name_is_in_use(&mut self) -> Result<(), ReconcileError> {
        self.drop_intent().await?;
        self.name = Name::InUse;
        Ok(())
    }

    /// What is settled must not be recovered later: somebody else's object could pass for the one that was refused.
    async fn drop_intent(&mut self) -> Result<(), ReconcileError> {
        self.engine.object_states.recovered(self.handle.uid());
        self.pending = Pending::No;
        match self.intent.take() {
            Some(_) => self.record().await,
            None => Ok(()),
        }
    }

    /// Settles a create of which only the intent is known.
    ///
    /// Asking again under the same name cannot make a second object: the server keeps names unique (409 `V3-DKcYh`).
    pub(crate) async fn recover(&mut self) -> Result<(), ReconcileError> {
        if self.is_deleting() {
            return self.recover_for_deletion().await;
        }
        if self.confirm_ground().await?.is_none() {
            return Ok(());
        }
        match self.post().await {
            Ok(remote) => self.take_ownership(remote, Origin::Created).await?,
            Err(ReconcileError::Zitadel(Error::AlreadyExists { .. })) => match self.find_created().await? {
                Some(remote) => self.take_ownership(remote, Origin::Created).await?,
                None if self.engine.object_states.recovering_for(self.handle.uid())
                    < self.engine.config.projection_lag =>
                {
                    return Err(self.awaiting_list());
                }
                None => self.name_is_in_use().await?,
            },
            Err(ReconcileError::Zitadel(error)) => return Err(self.explain(error).await),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn recover_for_deletion(&mut self) -> Result<(), ReconcileError> {
        if !self.target().await? || !self.confirm_instance().await? {
            return Ok(());
        }
        self.authorize(Action::Create, None).await?;
        if let Some(remote) = self.find_created().await? {
            return self.take_ownership(remote, Origin::Created).await;
        }
        // Counted by our own clock: a recovery may have sent again, long after the intent.
        if self.engine.object_states.quiet_for(self.handle.uid()) < self.engine.config.projection_lag {
            return Err(self.awaiting_list());
        }
        (self.intent, self.pending) = (None, Pending::No);
        Ok(())
    }

    fn awaiting_list(&self) -> ReconcileError {
        let reason = if self.is_deleting() { Reason::Deleting } else { Reason::Pending };
        ReconcileError::Soon {
            reason,
            message: "finding out whether an earlier create reached ZITADEL".into(),
            after: Duration::from_secs(2),
        }
    }

    /// The object that the unfinished create made: of that name, in this organization, not older, and nobody else's.
    async fn find_created(&self) -> Result<Option<Remote>, ReconcileError> {
        let Some(intent) = self.intent.clone() else {
            return Ok(None);
        };
        for remote in self.named(&intent.name).await? {
            let claim = Claim::on_id(&intent.instance, self.kind.name, &remote.id);
            let free = self.engine.claims.held_by_other(&claim, &self.claimant()).is_none()
                && self.holder_elsewhere(&remote.id).await?.is_none();
            if free && intent.can_have_made(remote.details.creation_date) {
                return Ok(Some(remote));
            }
        }
        Ok(None)
    }

    /// An operator that follows a part of the cluster asks for the rest before it takes what it did not make.
    pub(crate) async fn holder_elsewhere(&self, id: &str) -> Result<Option<Claimant>, ReconcileError> {
        let mut holder = None;
        let (identity, keys) = (self.kind.identity, &self.keys);
        let mut take = |other: &dyn Subject| {
            // Others own other keys under the same parent.
            if identity == Identity::Assigned || !other.recorded(&other.own()).is_disjoint(keys) {
                holder.get_or_insert_with(|| other.claimant());
            }
        };
        self.each_bound_elsewhere(id, &mut take).await?;
        Ok(holder)
    }

    /// Leaves new keys alone that resources of other operators own.
    pub(crate) async fn yield_keys(&mut self) -> Result<(), ReconcileError> {
        let new: BTreeSet<String> = self.keys.difference(&self.object.recorded(&self.own)).cloned().collect();
        if !self.kind.many_keys || !self.is_managed() || self.is_deleting() || new.is_empty() {
            return Ok(());
        }
        let Target { instance, parents, .. } = self.target.as_ref().ok_or(ReconcileError::Stale)?;
        let (instance, parent) = (instance.clone(), parents.parent.clone());
        let mut taken = BTreeMap::new();
        let mut take = |other: &dyn Subject| {
            let theirs = other.recorded(&other.own());
            taken.extend(new.intersection(&theirs).map(|key| (key.clone(), other.claimant())));
        };
        self.each_bound_elsewhere(&parent, &mut take).await?;
        let lost = claims_on(self.kind, &instance, &parent, taken.keys());
        self.engine.claims.release_where(self.handle.uid(), |held| lost.contains(held));
        self.keys_taken.extend(taken);
        self.leave_taken();
        Ok(())
    }

    /// Shows those who own the same object in this instance and whom no store of ours need have.
    async fn each_bound_elsewhere(
        &self,
        id: &str,
        show: &mut (dyn FnMut(&dyn Subject) + Send),
    ) -> Result<(), ReconcileError> {
        let engine = self.engine;
        if !engine.config.is_partial() {
            return Ok(());
        }
        let instance = self.target.as_ref().map(|target| target.instance.as_str());
        let (uid, claimant) = (self.handle.uid(), self.claimant());
        let mut binds = |other: &dyn Subject| {
            let is_other = other.meta().uid.as_deref() != Some(uid);
            if is_other && owns_in(other, instance) && other.claimant().binds(&claimant) {
                show(other);
            }
        };
        let (list, client) = (naming(self.kind, id), engine.clients.calls.clone());
        self.object.each(&engine.bulk, client, list, &mut binds).await
    }
}

/// The list of the resources of a kind whose status names this object. Whoever wants memory makes many, and large ones:
/// what is kept of each is no more than is asked.
pub(crate) fn naming(kind: &KindInfo, id: &str) -> ListParams {
    let field = kind.proof(["status.id", "status.instance", "status.organizationId", "status.projectId"]);
    ListParams::default().fields(&format!("{field}={id}"))
}

/// Does its status prove that it owns what it names in this instance?
pub(crate) fn owns_in(object: &dyn Subject, instance: Option<&str>) -> bool {
    let is_here =
        |status: &CommonStatus| object.kind().is_owned(status) && status.instance.as_deref() == instance;
    !object.is_let_go() && object.common().is_some_and(is_here)
}
