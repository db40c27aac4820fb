//! A resource that does not parse: one condition, and a way out of its deletion.

use kube::Resource;
use kube::api::DynamicObject;
use kube::core::error_boundary::InvalidObject;

use crate::api::{CommonStatus, DeletionPolicy, Reason, Status};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::conditions::{ConditionInput, conditions, ours};
use crate::engine::decision::error::{ConditionUpdate, ReconcileError, RequeuePolicy, Severity};
use crate::engine::decision::outcome::{Outcome, OutcomeKind};
use crate::engine::drivers::kind::Kind;
use crate::engine::drivers::subject::KindInfo;
use crate::engine::index::facts::malformed_claimant;
use crate::engine::kubernetes::resource::{Handle, MetadataChange};
use crate::engine::shared::Engine;

/// Says that the resource does not parse. A deletion goes through only where nothing is to be removed in ZITADEL.
pub(crate) async fn reconcile<K: Kind>(engine: &Engine, invalid: &InvalidObject) -> Outcome {
    tell::<K>(engine, K::KIND, invalid, keeps_nothing::<K>).await
}

/// The same for any resource; `may_go` says whether a deletion may go through.
pub async fn tell<K: Resource<DynamicType = ()>>(
    engine: &Engine,
    kind: &'static str,
    invalid: &InvalidObject,
    may_go: impl Fn(&DynamicObject) -> bool,
) -> Outcome {
    let mut handle = Handle::new::<K>(engine.clients.calls.clone(), kind, &invalid.metadata);
    let uid = handle.uid().to_owned();
    let (kind, requeue) = match settle(engine, &mut handle, invalid, may_go).await {
        Ok(()) => (OutcomeKind::Error, RequeuePolicy::Resync),
        Err(error) => (OutcomeKind::of(&error), engine.pace_of(&handle, &error).await),
    };
    let next = engine.object_states.next_attempt(&uid, requeue, engine.config.resync);
    Outcome { reason: Some(Reason::InvalidSpec), ..Outcome::silent(kind, Some(next)) }
}

async fn settle(
    engine: &Engine,
    handle: &mut Handle,
    invalid: &InvalidObject,
    may_go: impl Fn(&DynamicObject) -> bool,
) -> Result<(), ReconcileError> {
    if !engine.leadership.is_leader() {
        return Err(ReconcileError::Stale);
    }
    let Some(raw) = handle.read().await? else {
        return Ok(());
    };
    handle.meta = raw.metadata.clone();
    let deleting = handle.meta.deletion_timestamp.is_some();
    if deleting && !handle.has_finalizer() {
        return Ok(());
    }
    if deleting && !handle.is_paused() && may_go(&raw) {
        handle.change(&MetadataChange { finalizer: Some(false), ..Default::default() }).await?;
        engine.forget(handle.uid());
        return Ok(());
    }
    let mut previous: CommonStatus = serde_json::from_value(raw.data["status"].clone()).unwrap_or_default();
    previous.conditions = ours(&previous.conditions);
    let update = condition_update(handle, invalid, deleting);
    let outcome = ConditionInput::of(&update, &handle.meta, engine.config.outage_grace);
    let (conditions, observed_generation) =
        conditions(&previous.conditions, previous.observed_generation, &outcome);
    let next = CommonStatus { conditions, observed_generation, ..previous.clone() };
    if next == previous { Ok(()) } else { handle.merge_status(&raw.data, &next).await }
}

/// A malformed resource as a claimant, and its status, each so far as it parses.
///
/// # Errors
/// It cannot be read, and what it holds is not known.
pub(crate) async fn recorded<K: Kind>(
    engine: &Engine,
    invalid: &InvalidObject,
) -> Result<(Claimant, Option<Status<K::Own>>), ReconcileError> {
    let handle = Handle::new::<K>(engine.clients.calls.clone(), K::KIND, &invalid.metadata);
    let raw = handle.read().await?;
    let status = raw.as_ref().and_then(|raw| serde_json::from_value(raw.data["status"].clone()).ok());
    Ok((malformed_claimant::<K>(&invalid.metadata, raw.as_ref()), status))
}

/// Retained by spec or by origin, or never bound and never begun.
fn keeps_nothing<K: Kind>(raw: &DynamicObject) -> bool {
    let Ok(status) = serde_json::from_value::<Option<CommonStatus>>(raw.data["status"].clone()) else {
        return false;
    };
    let status = status.unwrap_or_default();
    let begun = status.pending_create.is_some();
    match raw.data["spec"]["deletionPolicy"].as_str() {
        Some(policy) => policy == "Retain",
        None => {
            let kind = KindInfo::of_kind::<K>();
            kind.default_deletion(status.origin) == DeletionPolicy::Retain
                || !kind.is_owned(&status) && !begun
        }
    }
}

fn condition_update(handle: &Handle, invalid: &InvalidObject, deleting: bool) -> ConditionUpdate {
    let update = ConditionUpdate {
        reason: Reason::InvalidSpec,
        severity: Severity::Stalled,
        requeue: RequeuePolicy::Resync,
        message: format!(
            "the resource does not parse: {}; correct its spec by an edit or a patch, server-side apply refuses it",
            invalid.error
        ),
    };
    if deleting { update.blocking_deletion(&handle.free_command()) } else { update }
}
