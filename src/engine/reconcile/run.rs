//! One reconcile from start to requeue: drives the plan, then writes the status, publishes events and chooses the requeue policy.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{CommonStatus, ConditionType, Drift, Reason, Status, annotation};
use crate::engine::decision::conditions::{ConditionInput, conditions, now, ours, shows_in};
use crate::engine::decision::error::{ConditionUpdate, NET, ReconcileError, RequeuePolicy, Severity};
use crate::engine::decision::outcome::{Drifted, Outcome, OutcomeKind};
use crate::engine::decision::plan::{BlockReason, ExternalRef, Identity, Observed, Step, plan};
use crate::engine::drivers::subject::{OwnStatus, Subject};
use crate::engine::index::claims::Claim;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::MetadataChange;
use crate::engine::reconcile::claiming::claims_on;
use crate::engine::reconcile::marking::with_mark_of;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Ownership;
use crate::engine::shared::Engine;
use crate::zitadel::{Details, Error};

/// The longest plan is protect, look, adopt, record, update; more steps mean that the plan does not end.
const MAX_STEPS: usize = 16;

/// How a reconcile ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// ZITADEL matches the spec.
    InSync,
    /// There is nothing left to do for this resource.
    Released,
}

/// Reconciles one resource.
pub(crate) async fn reconcile(engine: &Engine, object: Arc<dyn Subject>) -> Outcome {
    let mut run = Run::new(engine, object);
    let result = run.drive().await;
    run.finish(result).await
}

impl Run<'_> {
    async fn drive(&mut self) -> Result<Settled, ReconcileError> {
        if !self.is_deleting() && !self.handle.is_paused() {
            if self.kind.bulky {
                self.load().await?;
            }
            self.resolve_spec().await?;
        }
        if self.kind.is_organization() && self.is_deleting() && !self.handle.is_paused() {
            // Who lives in it is not known before.
            self.engine.complete(&self.key, &self.handle.address).await?;
        }
        for _ in 0..MAX_STEPS {
            let step = plan(&self.facts());
            tracing::debug!(resource = %self.handle.address, ?step, "next step");
            if !self.engine.leadership.is_leader() {
                return Err(ReconcileError::Stale);
            }
            match step {
                Step::Look => self.observe().await?,
                Step::FindByName => self.find_by_name().await?,
                Step::Protect => self.protect().await?,
                Step::BeginCreate => self.begin_create().await?,
                Step::Create => self.create().await?,
                Step::Recover => self.recover().await?,
                Step::Adopt => self.adopt().await?,
                Step::Record => self.record().await?,
                Step::Update => self.update().await?,
                Step::Remove => self.remove().await?,
                Step::Release if self.is_deleting() => {
                    return self.release().await.map(|()| Settled::Released);
                }
                Step::Release => self.release().await?,
                Step::BlockReason(BlockReason::NameInUse) => return Err(self.name_in_use().await),
                Step::BlockReason(block) => return Err(self.held(block)),
                Step::Done if self.is_deleting() => return Ok(Settled::Released),
                Step::Done => {
                    self.mark().await;
                    return Ok(Settled::InSync);
                }
            }
        }
        Err(ReconcileError::Soon {
            reason: Reason::Unavailable,
            message: "ZITADEL keeps changing while it is reconciled".into(),
            after: Duration::from_secs(30),
        })
    }

    /// Records ownership before anything else is written; the conditions follow at the end.
    pub(crate) async fn record(&mut self) -> Result<(), ReconcileError> {
        self.write(&self.owned_status()).await
    }

    /// The status as it was, with the ownership of now.
    fn owned_status(&self) -> Status<OwnStatus> {
        let Ownership { id, organization, project, instance, origin, organization_origin } =
            self.proved_ownership();
        let (common, own) = (self.before.common.clone(), self.own.clone());
        let owns = self.external == ExternalRef::Owned && self.is_managed();
        Status {
            common: CommonStatus {
                conditions: ours(&common.conditions),
                id,
                organization_origin: organization.as_ref().and(organization_origin),
                organization_id: organization,
                project_id: project,
                instance,
                origin,
                pending_create: self.intent.clone().map(Box::new),
                ..common
            },
            own: if owns { self.object.record(own, &self.keys) } else { own },
        }
    }

    async fn write(&mut self, status: &Status<OwnStatus>) -> Result<(), ReconcileError> {
        self.handle.apply_status(self.kind.known_status, &self.before, status).await?;
        self.engine
            .object_states
            .expect_version(self.handle.uid(), self.handle.meta.resource_version.as_deref());
        self.recorded = self.external == ExternalRef::Owned;
        self.own = status.own.clone();
        Ok(())
    }

    /// Writes what came of it.
    async fn finish(mut self, result: Result<Settled, ReconcileError>) -> Outcome {
        let uid = self.handle.uid().to_owned();
        if matches!(result, Ok(Settled::Released)) {
            self.publish().await;
            self.engine.forget(&uid);
            return Outcome::silent(OutcomeKind::Success, None);
        }
        self.tell_connection(&result);
        let update = match &result {
            Ok(_) => Some(ConditionUpdate::available("ZITADEL matches the spec")),
            Err(error) => self.condition_update(error),
        };
        if let Err(error) = &result {
            tracing::debug!(resource = %self.handle.address, %error, "not reconciled");
        }
        let written = self.settle(update.as_ref()).await;
        let kind =
            written.as_ref().err().or(result.as_ref().err()).map_or(OutcomeKind::Success, OutcomeKind::of);
        let requeue = match (written, result, &update) {
            (Err(error), _, _) => self.engine.pace_of(&self.handle, &error).await,
            (Ok(()), Err(ReconcileError::Queued(_)), Some(_)) => self.until_told(),
            (Ok(()), _, Some(update)) => self.unmarked.unwrap_or(update.requeue),
            (Ok(()), Err(error), None) => self.engine.pace_of(&self.handle, &error).await,
            (Ok(()), Ok(_), None) => RequeuePolicy::Resync,
        };
        let reason = update.map(|update| update.reason);
        if reason == Some(Reason::DriftDetected) {
            self.drift = Drifted::Found;
        }
        let next = self.engine.object_states.next_attempt(&uid, requeue, self.resync());
        Outcome { kind, reason, drift: self.drift, next: Some(next) }
    }

    /// The connection says that it lost the header, and finds out when it arrives again.
    fn tell_connection(&self, result: &Result<Settled, ReconcileError>) {
        let is_lost = matches!(result, Err(ReconcileError::Zitadel(Error::HeaderLost { .. })));
        if is_lost && self.engine.connections.is_header_news(&self.key) {
            self.engine.requeues.wake([self.key.address()]);
        }
    }

    fn condition_update(&self, error: &ReconcileError) -> Option<ConditionUpdate> {
        let update = ConditionUpdate::of(error)?;
        Some(match self.is_deleting() && update.severity != Severity::Paused {
            true => update.blocking_deletion(&self.handle.free_command()),
            false => update,
        })
    }

    /// Who waits for its turn is woken for it; before that only the end of the grace has something to tell.
    fn until_told(&self) -> RequeuePolicy {
        let generation = self.object.meta().generation;
        let shows = shows_in(self.conditions(), generation, self.engine.config.outage_grace, now());
        RequeuePolicy::After(shows.map_or(NET, |shows| shows.min(NET)))
    }

    pub(crate) fn resync(&self) -> Duration {
        let wanted = self.target.as_ref().map(|target| target.session.freshness());
        wanted.unwrap_or(self.engine.config.resync).max(self.engine.config.min_resync)
    }

    /// Status, then annotations, then events. Unrecorded ownership is written whatever else happened.
    async fn settle(&mut self, update: Option<&ConditionUpdate>) -> Result<(), ReconcileError> {
        if !self.engine.leadership.is_leader() {
            return Err(ReconcileError::Stale);
        }
        let unsent = self.forget_unsent();
        let before = self.before.clone();
        let next = match update {
            Some(update) => self.next_status(update),
            None if unsent || self.external == ExternalRef::Owned && !self.recorded => self.owned_status(),
            None => return Ok(()),
        };
        if unsent || differs(&before, &next) {
            self.take_time_to_tell()?;
            self.write(&next).await?;
        }
        self.release_dropped_claims(&before, &next);
        self.sync_annotations().await?;
        if let Some(update) = update {
            self.emit_events(&before, &next, update).await;
        }
        Ok(())
    }

    /// What comes of calls to ZITADEL is paced by their budget, all else here.
    fn take_time_to_tell(&self) -> Result<(), ReconcileError> {
        let unpaced = self.target.is_none();
        let wait =
            || self.engine.object_states.wait_to_tell(&self.handle.address.namespace, self.handle.uid());
        unpaced.then(wait).flatten().map_or(Ok(()), |wait| Err(ReconcileError::NotAdmitted(wait)))
    }

    /// What the status proves no longer is free for others, and so is a key that left the spec before it was recorded.
    fn release_dropped_claims(&self, before: &Status<OwnStatus>, next: &Status<OwnStatus>) {
        let (proved, kept) = (self.recorded_claims(before), self.recorded_claims(next));
        let wanted = self.target.as_ref().zip(self.desired.as_ref()).filter(|_| self.kind.many_keys);
        let wanted = wanted.map(|(target, desired)| {
            let keys = self.object.keys(desired);
            claims_on(self.kind, &target.instance, &target.parents.parent, &keys)
        });
        let is_left = |claim: &Claim| match &wanted {
            Some(wanted) => !wanted.contains(claim),
            None => proved.contains(claim),
        };
        let is_free = |claim: &Claim| !kept.contains(claim) && is_left(claim);
        self.engine.requeues.wake(self.engine.claims.release_where(self.handle.uid(), is_free));
    }

    fn next_status(&self, update: &ConditionUpdate) -> Status<OwnStatus> {
        let previous = self.before.common.clone();
        let outcome = ConditionInput::of(update, self.object.meta(), self.engine.config.outage_grace);
        let (conditions, observed_generation) =
            conditions(&previous.conditions, previous.observed_generation, &outcome);
        // As it was when this began: what was asked for since is not answered yet.
        let annotations = self.object.meta().annotations.as_ref();
        let handled = annotations.and_then(|given| given.get(annotation::RECONCILE_REQUESTED_AT)).cloned();
        let paused = update.severity == Severity::Paused;
        let Status { common, own } = self.with_report(self.owned_status());
        let common = CommonStatus {
            conditions,
            observed_generation,
            deletion_policy: Some(self.deletion_policy()),
            last_handled_reconcile_at: if paused { previous.last_handled_reconcile_at } else { handled },
            drift: self.drift_of(previous.drift),
            ..common
        };
        Status { common, own }
    }

    fn with_report(&self, status: Status<OwnStatus>) -> Status<OwnStatus> {
        // What belongs to somebody else is not reported as if it were this resource's.
        let reports = self.external == ExternalRef::Owned || !self.is_managed();
        let Some(remote) = self.remote.as_ref().filter(|_| reports && self.observed != Observed::Foreign)
        else {
            return status;
        };
        let Details { sequence, creation_date, change_date, .. } = &remote.details;
        let common = CommonStatus {
            sequence: Some(sequence.clone()).filter(|s| !s.is_empty()),
            creation_date: creation_date.map(|date| date.to_string()),
            change_date: change_date.map(|date| date.to_string()),
            ..status.common
        };
        // A key that was not written yet, or not removed yet, is still to be proved.
        let own = match self.is_settled() || !self.kind.many_keys {
            true => with_mark_of(&status.own, self.object.own_of(remote)),
            false => status.own,
        };
        Status { common, own }
    }

    /// Is ZITADEL as the spec wants it, or only looked at?
    fn is_settled(&self) -> bool {
        self.observed == Observed::InSync || !self.is_managed()
    }

    /// Under `Observe` the difference of now, else what was last reverted.
    fn drift_of(&self, previous: Option<Box<Drift>>) -> Option<Box<Drift>> {
        let fields = if self.is_managed() { self.reverted.clone() } else { self.differing.clone() };
        match previous {
            previous if fields.is_empty() => previous.filter(|_| self.is_managed()),
            Some(previous) if previous.fields == fields && !self.is_managed() => Some(previous),
            _ => Some(Box::new(Drift { fields, observed_at: Time(now()) })),
        }
    }

    /// After the status proves ownership: the id beside it.
    async fn sync_annotations(&mut self) -> Result<(), ReconcileError> {
        if !self.is_managed() || !self.recorded || self.is_deleting() || self.holder.is_some() {
            return Ok(());
        }
        let mut annotations = Vec::new();
        if self.kind.identity == Identity::Assigned {
            annotations.push((annotation::ID, self.ownership.id.clone()));
        }
        if matches!(self.observed, Observed::InSync | Observed::Differs) {
            // Before it is there again the request stands.
            annotations.push((annotation::RECREATE, None));
        }
        self.change(MetadataChange { finalizer: None, annotations }).await
    }

    /// Events: what was done, and a change of the reason.
    async fn emit_events(
        &mut self,
        before: &Status<OwnStatus>,
        next: &Status<OwnStatus>,
        update: &ConditionUpdate,
    ) {
        let reason = |status: &Status<OwnStatus>, kind: ConditionType| {
            kind.find(&status.common.conditions).map(|c| c.reason.clone()).unwrap_or_default()
        };
        if reason(before, ConditionType::Synced) != reason(next, ConditionType::Synced) {
            let note = EventSpec::normal(update.reason.as_str(), &update.message);
            let ready = |status: &Status<OwnStatus>| {
                ConditionType::Ready.find(&status.common.conditions).is_some_and(|c| c.status == "True")
            };
            let lost = ready(before) && !ready(next) && !self.is_deleting();
            let warning = lost || matches!(update.severity, Severity::Stalled | Severity::Transient);
            self.events.push(EventSpec { warning, ..note });
        }
        self.publish().await;
    }

    async fn publish(&mut self) {
        let resource_version = self.object.meta().resource_version.clone();
        let about = ObjectReference { resource_version, ..self.handle.reference() };
        for note in std::mem::take(&mut self.events) {
            tracing::info!(resource = %self.handle.address, reason = note.reason, "{}", note.note);
            self.engine.events.publish(&about, note).await;
        }
    }
}

/// Only what we own counts: a condition of somebody else is not ours to compare.
fn differs(before: &Status<OwnStatus>, next: &Status<OwnStatus>) -> bool {
    let ours = |status: &Status<OwnStatus>| Status {
        common: CommonStatus { conditions: ours(&status.common.conditions), ..status.common.clone() },
        own: status.own.clone(),
    };
    ours(before) != ours(next)
}
