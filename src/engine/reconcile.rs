//! One reconcile from start to requeue: drives the plan, then writes the status, publishes events and chooses the pace.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::Engine;
use super::admission::NET;
use super::claims::Claim;
use super::conclusion::{Conclusion, Drifted, How};
use super::events::Note;
use super::fault::{Fault, Pace, Severity, Verdict};
use super::kind::{Kind, Scope};
use super::plan::{Hold, Identity, Observed, Step, Target, plan};
use super::resource::MetadataChange;
use super::run::{Bond, Run};
use super::status::{Outcome, conditions, now, ours, shows_in};
use crate::api::{CommonStatus, ConditionType, Drift, Reason, Status, annotation};
use crate::zitadel::Error;

/// The longest plan is protect, look, adopt, record, update; more steps mean that the plan does not end.
const MAX_STEPS: usize = 16;

/// How a reconcile ended without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    /// ZITADEL matches the spec.
    InSync,
    /// There is nothing left to do for this resource.
    Released,
}

/// Reconciles one resource.
pub(super) async fn reconcile<K: Kind>(engine: &Engine, object: Arc<K>) -> Conclusion {
    let mut run = Run::new(engine, object);
    let result = run.drive().await;
    run.finish(result).await
}

impl<K: Kind> Run<'_, K> {
    async fn drive(&mut self) -> Result<Settled, Fault> {
        if !self.is_deleting() && !self.handle.is_paused() {
            if K::BULKY {
                self.load().await?;
            }
            self.desire().await?;
        }
        if K::SCOPE == Scope::Instance && self.is_deleting() && !self.handle.is_paused() {
            // Who lives in it is not known before.
            self.engine.complete(&self.key, &self.handle.address).await?;
        }
        for _ in 0..MAX_STEPS {
            let step = plan(&self.facts());
            tracing::debug!(resource = %self.handle.address, ?step, "next step");
            if !self.engine.leadership.is_leader() {
                return Err(Fault::Stale);
            }
            match step {
                Step::Look => self.look().await?,
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
                Step::Hold(Hold::NameInUse) => return Err(self.name_in_use().await),
                Step::Hold(hold) => return Err(self.held(hold)),
                Step::Done if self.is_deleting() => return Ok(Settled::Released),
                Step::Done => {
                    self.mark().await;
                    return Ok(Settled::InSync);
                }
            }
        }
        Err(Fault::Soon {
            reason: Reason::Unavailable,
            message: "ZITADEL keeps changing while it is reconciled".into(),
            after: Duration::from_secs(30),
        })
    }

    /// Records the bond before anything else is written; the conditions follow at the end.
    pub(super) async fn record(&mut self) -> Result<(), Fault> {
        self.write(&self.bonded()).await
    }

    /// The status as it was, with the bond of now. Whoever lost the claim records no bond: it would win the next restart.
    fn bonded(&self) -> Status<K::Own> {
        let Bond { id, organization, instance, origin, organization_origin } =
            match (&self.holder, K::IDENTITY) {
                // Who only observes gives up what it owned, and says so; its organization stays pinned.
                (None, _) if !self.is_managed() => {
                    let id = self.bond.id.clone().filter(|id| Some(id) == self.target_id.as_ref());
                    Bond { id, origin: None, ..self.bond.clone() }
                }
                (None, _) => self.bond.clone(),
                (Some(_), Identity::Assigned) => Bond { id: None, origin: None, ..self.bond.clone() },
                (Some(_), Identity::Setting) => Bond::default(),
            };
        let (common, own) = (self.status().common, self.own.clone());
        let owns = self.target == Target::Bound && self.is_managed();
        Status {
            common: CommonStatus {
                conditions: ours(&common.conditions),
                id,
                organization_origin: organization.as_ref().and(organization_origin),
                organization_id: organization,
                instance,
                origin,
                pending_create: self.intent.clone().map(Box::new),
                ..common
            },
            own: if owns { K::record(own, &self.parts) } else { own },
        }
    }

    async fn write(&mut self, status: &Status<K::Own>) -> Result<(), Fault> {
        self.handle.apply_status(&self.status(), status).await?;
        self.engine.memo.wrote(self.handle.uid(), self.handle.meta.resource_version.as_deref());
        self.recorded = self.target == Target::Bound;
        self.own = status.own.clone();
        Ok(())
    }

    /// Writes what came of it.
    async fn finish(mut self, result: Result<Settled, Fault>) -> Conclusion {
        let uid = self.handle.uid().to_owned();
        if matches!(result, Ok(Settled::Released)) {
            self.publish().await;
            self.engine.forget(&uid);
            return Conclusion::silent(How::Success, None);
        }
        self.tell_connection(&result);
        let verdict = match &result {
            Ok(_) => Some(Verdict::available("ZITADEL matches the spec")),
            Err(fault) => self.verdict(fault),
        };
        if let Err(fault) = &result {
            tracing::debug!(resource = %self.handle.address, %fault, "not reconciled");
        }
        let written = self.settle(verdict.as_ref()).await;
        let how = written.as_ref().err().or(result.as_ref().err()).map_or(How::Success, How::of);
        let pace = match (written, result, &verdict) {
            (Err(fault), _, _) => self.engine.pace_of(&self.handle, &fault).await,
            (Ok(()), Err(Fault::Queued(_)), Some(_)) => self.until_told(),
            (Ok(()), _, Some(verdict)) => self.unmarked.unwrap_or(verdict.pace),
            (Ok(()), Err(fault), None) => self.engine.pace_of(&self.handle, &fault).await,
            (Ok(()), Ok(_), None) => Pace::Resync,
        };
        if matches!(pace, Pace::Resync) {
            self.engine.backoff.reset(&uid);
        }
        let reason = verdict.map(|verdict| verdict.reason);
        if reason == Some(Reason::DriftDetected) {
            self.drift = Drifted::Found;
        }
        let next = self.engine.backoff.next(&uid, pace, self.resync());
        Conclusion { how, reason, drift: self.drift, next: Some(next) }
    }

    /// The connection says that it lost the header, and finds out when it arrives again.
    fn tell_connection(&self, result: &Result<Settled, Fault>) {
        let is_lost = matches!(result, Err(Fault::Zitadel(Error::HeaderLost { .. })));
        if is_lost && self.engine.connections.is_header_news(&self.key) {
            self.engine.wakes.wake([self.key.address()]);
        }
    }

    fn verdict(&self, fault: &Fault) -> Option<Verdict> {
        let verdict = Verdict::of(fault)?;
        Some(match self.is_deleting() && verdict.severity != Severity::Paused {
            true => verdict.blocking_deletion(&self.handle.free_command()),
            false => verdict,
        })
    }

    /// Who waits for its turn is woken for it; before that only the end of the grace has something to tell.
    fn until_told(&self) -> Pace {
        let generation = self.object.meta().generation;
        let shows = shows_in(&self.conditions(), generation, self.engine.config.outage_grace, now());
        Pace::After(shows.map_or(NET, |shows| shows.min(NET)))
    }

    pub(super) fn resync(&self) -> Duration {
        let wanted = self.reach.as_ref().map(|reach| reach.session.freshness());
        wanted.unwrap_or(self.engine.config.resync).max(self.engine.config.min_resync)
    }

    /// Status, then annotations, then events. An unrecorded bond is written whatever else happened.
    async fn settle(&mut self, verdict: Option<&Verdict>) -> Result<(), Fault> {
        if !self.engine.leadership.is_leader() {
            return Err(Fault::Stale);
        }
        let unsent = self.forget_unsent();
        let before = self.status();
        let next = match verdict {
            Some(verdict) => self.next_status(verdict),
            None if unsent || self.target == Target::Bound && !self.recorded => self.bonded(),
            None => return Ok(()),
        };
        if unsent || differs(&before, &next) {
            self.take_time_to_tell()?;
            self.write(&next).await?;
        }
        self.give_up(&before, &next);
        self.tidy().await?;
        if let Some(verdict) = verdict {
            self.announce(&before, &next, verdict).await;
        }
        Ok(())
    }

    /// What comes of calls to ZITADEL is paced by their budget, all else here.
    fn take_time_to_tell(&self) -> Result<(), Fault> {
        let unpaced = self.reach.is_none();
        let wait = || self.engine.telling.wait(&self.handle.address.namespace, self.handle.uid());
        unpaced.then(wait).flatten().map_or(Ok(()), |wait| Err(Fault::NotAdmitted(wait)))
    }

    /// What the status proves no longer is free for others, and so is a part that left the spec before it was recorded.
    fn give_up(&self, before: &Status<K::Own>, next: &Status<K::Own>) {
        let (proved, kept) = (Self::recorded_claims(before), Self::recorded_claims(next));
        let wanted = self.reach.as_ref().zip(self.desired.as_ref()).filter(|_| K::PARTED);
        let wanted = wanted.map(|(reach, desired)| {
            let claim = |part: &String| Self::claim_on_part(&reach.instance, &reach.organization, part);
            K::parts(desired).iter().map(claim).collect::<Vec<_>>()
        });
        let is_left = |claim: &Claim| match &wanted {
            Some(wanted) => !wanted.contains(claim),
            None => proved.contains(claim),
        };
        let is_free = |claim: &Claim| !kept.contains(claim) && is_left(claim);
        self.engine.wakes.wake(self.engine.claims.release_where(self.handle.uid(), is_free));
    }

    fn next_status(&self, verdict: &Verdict) -> Status<K::Own> {
        let previous = self.status().common;
        let outcome = Outcome::of(verdict, self.object.meta(), self.engine.config.outage_grace);
        let (conditions, observed_generation) =
            conditions(&previous.conditions, previous.observed_generation, &outcome);
        // As it was when this began: what was asked for since is not answered yet.
        let handled = self.object.annotations().get(annotation::RECONCILE_REQUESTED_AT).cloned();
        let paused = verdict.severity == Severity::Paused;
        let Status { common, own } = self.with_report(self.bonded());
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

    fn with_report(&self, status: Status<K::Own>) -> Status<K::Own> {
        // What belongs to somebody else is not reported as if it were this resource's.
        let reports = self.target == Target::Bound || !self.is_managed();
        let Some(remote) = self.remote.as_ref().filter(|_| reports && self.observed != Observed::Foreign)
        else {
            return status;
        };
        let report = K::report(remote);
        let common = CommonStatus {
            sequence: Some(report.sequence).filter(|s| !s.is_empty()),
            creation_date: report.creation_date.map(|date| date.to_string()),
            change_date: report.change_date.map(|date| date.to_string()),
            ..status.common
        };
        // A part that was not written yet, or not removed yet, is still to be proved.
        let mark = K::mark(&status.own).map(str::to_owned);
        let own = if self.is_settled() || !K::PARTED { K::own(remote) } else { status.own };
        Status { common, own: K::marked(own, mark) }
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

    /// After the status proves the bond: the id beside it.
    async fn tidy(&mut self) -> Result<(), Fault> {
        if !self.is_managed() || !self.recorded || self.is_deleting() || self.holder.is_some() {
            return Ok(());
        }
        let mut annotations = Vec::new();
        if K::IDENTITY == Identity::Assigned {
            annotations.push((annotation::ID, self.bond.id.clone()));
        }
        if matches!(self.observed, Observed::InSync | Observed::Differs) {
            // Before it is there again the request stands.
            annotations.push((annotation::RECREATE, None));
        }
        self.change(MetadataChange { finalizer: None, annotations }).await
    }

    /// Events: what was done, and a change of the reason.
    async fn announce(&mut self, before: &Status<K::Own>, next: &Status<K::Own>, verdict: &Verdict) {
        let reason = |status: &Status<K::Own>, kind: ConditionType| {
            kind.find(&status.common.conditions).map(|c| c.reason.clone()).unwrap_or_default()
        };
        if reason(before, ConditionType::Synced) != reason(next, ConditionType::Synced) {
            let note = Note::normal(verdict.reason.as_str(), &verdict.message);
            let ready = |status: &Status<K::Own>| {
                ConditionType::Ready.find(&status.common.conditions).is_some_and(|c| c.status == "True")
            };
            let lost = ready(before) && !ready(next) && !self.is_deleting();
            let warning = lost || matches!(verdict.severity, Severity::Stalled | Severity::Transient);
            self.notes.push(Note { warning, ..note });
        }
        self.publish().await;
    }

    async fn publish(&mut self) {
        let about = self.object.object_ref(&());
        for note in std::mem::take(&mut self.notes) {
            tracing::info!(resource = %self.handle.address, reason = note.reason, "{}", note.note);
            self.engine.events.publish(&about, note).await;
        }
    }
}

/// Only what we own counts: a condition of somebody else is not ours to compare.
fn differs<Own: Clone + PartialEq>(before: &Status<Own>, next: &Status<Own>) -> bool {
    let ours = |status: &Status<Own>| Status {
        common: CommonStatus { conditions: ours(&status.common.conditions), ..status.common.clone() },
        own: status.own.clone(),
    };
    ours(before) != ours(next)
}
