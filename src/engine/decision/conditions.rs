//! What a condition update means for the status. Pure.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};

use crate::api::connection::ConnectionStatus;
use crate::api::{ConditionType, Reason};
use crate::engine::decision::error::{ConditionUpdate, Severity};
use crate::runtime::ambient;

/// The `Ready` condition of a resource, in words of which there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyState {
    /// `True`, `False` or `Unknown`.
    pub ready: &'static str,
    /// Its reason, or `Paused` while the resource is; `Other` where it is none of ours.
    pub reason: &'static str,
}

impl ReadyState {
    /// Of a resource that does not parse: what its status says is not known.
    pub const MALFORMED: Self = Self { ready: "Unknown", reason: Reason::InvalidSpec.as_str() };

    /// What these conditions say; what is not said is pending.
    pub fn of(conditions: &[Condition]) -> Self {
        let Some(ready) = ConditionType::Ready.find(conditions) else {
            return Self { ready: "Unknown", reason: Reason::Pending.as_str() };
        };
        let synced = ConditionType::Synced.find(conditions);
        // A pause keeps `Ready` with the reason it had.
        let shown = synced.filter(|synced| synced.reason == Reason::Paused.as_str()).unwrap_or(ready);
        let known = Reason::ALL.iter().map(|reason| reason.as_str()).find(|known| *known == shown.reason);
        let status = ["True", "False"].into_iter().find(|status| *status == ready.status);
        Self { ready: status.unwrap_or("Unknown"), reason: known.unwrap_or("Other") }
    }
}

/// Does the status of a connection say that an instance has answered for this generation, and not that none has the host?
pub fn has_answered(status: &ConnectionStatus, generation: Option<i64>) -> bool {
    let synced = ConditionType::Synced.find(&status.conditions);
    let lost = synced.is_some_and(|condition| condition.reason == Reason::NotFound.as_str());
    status.instance.is_some() && status.observed_generation == generation && !lost
}

/// The longest message a condition gets, in characters.
const MESSAGE_LIMIT: usize = 1024;

/// What the conditions are made from.
pub struct ConditionInput<'a> {
    /// What came of the reconcile.
    pub update: &'a ConditionUpdate,
    /// The generation it is about.
    pub generation: i64,
    /// The resource is being deleted.
    pub deleting: bool,
    /// How long an outage must last before it shows in a `Ready` that was true.
    pub outage_grace: Duration,
    /// The time to stamp changes with.
    pub now: Timestamp,
}

impl<'a> ConditionInput<'a> {
    /// What this condition update makes of the resource with this metadata, now.
    pub fn of(update: &'a ConditionUpdate, meta: &ObjectMeta, outage_grace: Duration) -> Self {
        Self {
            update,
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            outage_grace,
            now: now(),
        }
    }
}

/// Whole seconds, as Kubernetes stamps.
pub fn now() -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    let now = ambient::now();
    now.round(round).unwrap_or(now)
}

/// The next conditions and observed generation. `lastTransitionTime` moves only when `status` flips.
pub fn conditions(
    previous: &[Condition],
    observed: Option<i64>,
    input: &ConditionInput<'_>,
) -> (Vec<Condition>, Option<i64>) {
    let update = input.update;
    let keeps_ready = update.severity == Severity::Paused || outlives(previous, input);
    let mut next: Vec<Condition> = Vec::new();
    let mut push = |kind: ConditionType, status: &str, reason: Reason, message: &str| {
        next.push(condition(previous, input, kind, status, reason, message));
    };
    if !keeps_ready {
        let (status, reason) = ready(input);
        push(ConditionType::Ready, status, reason, &update.message);
    }
    let synced = if update.severity == Severity::Fine || update.reason == Reason::DriftDetected {
        "True"
    } else {
        "False"
    };
    push(ConditionType::Synced, synced, update.reason, &update.message);
    match update.severity {
        Severity::Stalled => push(ConditionType::Stalled, "True", update.reason, &update.message),
        Severity::Waiting | Severity::Transient if !keeps_ready => {
            push(ConditionType::Reconciling, "True", update.reason, &update.message);
        }
        _ => {}
    }
    if keeps_ready {
        next.splice(0..0, ConditionType::Ready.find(previous).cloned());
        return (next, observed);
    }
    (next, Some(input.generation))
}

/// `Ready` of a resource under deletion says so whatever delays it.
fn ready(input: &ConditionInput<'_>) -> (&'static str, Reason) {
    match input.update.severity {
        Severity::Fine => ("True", input.update.reason),
        Severity::Waiting | Severity::Transient if input.deleting => ("False", Reason::Deleting),
        _ => ("False", input.update.reason),
    }
}

/// A `Ready` that is true for this generation outlives a short outage.
fn outlives(previous: &[Condition], input: &ConditionInput<'_>) -> bool {
    let is_true = |c: &Condition| c.status == "True" && c.observed_generation == Some(input.generation);
    input.update.severity == Severity::Transient
        && !input.deleting
        && ConditionType::Ready.find(previous).is_some_and(is_true)
        && !outage_lasted(previous, input)
}

/// `Synced` false says since when; a change of reason within the outage does not restart the clock.
fn outage_lasted(previous: &[Condition], input: &ConditionInput<'_>) -> bool {
    lasted(previous, input.now).is_some_and(|lasted| lasted >= input.outage_grace)
}

/// How long an outage has lasted; not at all where the clock was set back since it began. `None`: there is none.
fn lasted(previous: &[Condition], now: Timestamp) -> Option<Duration> {
    let synced = ConditionType::Synced.find(previous).filter(|synced| synced.status == "False")?;
    let since = now.duration_since(synced.last_transition_time.0);
    Some(Duration::try_from(since).unwrap_or_default())
}

/// When an outage that goes on will show in a `Ready` that is true for this generation; `None`: it shows, or there is
/// no such `Ready`.
pub fn shows_in(
    previous: &[Condition],
    generation: Option<i64>,
    grace: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let ready = ConditionType::Ready.find(previous)?;
    let holds = ready.status == "True" && ready.observed_generation == generation;
    // Times are of whole seconds.
    let left = || grace.saturating_sub(lasted(previous, now).unwrap_or_default()) + Duration::from_secs(1);
    holds.then(left)
}

fn condition(
    previous: &[Condition],
    input: &ConditionInput<'_>,
    kind: ConditionType,
    status: &str,
    reason: Reason,
    message: &str,
) -> Condition {
    let unflipped = kind.find(previous).filter(|c| c.status == status);
    Condition {
        type_: kind.as_str().into(),
        status: status.into(),
        reason: reason.as_str().into(),
        message: cut(message, MESSAGE_LIMIT),
        observed_generation: Some(input.generation),
        last_transition_time: unflipped.map_or(Time(input.now), |c| c.last_transition_time.clone()),
    }
}

/// At most `limit` characters, on a character boundary.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.into(),
        Some(_) => text.chars().take(limit - 1).chain(['…']).collect(),
    }
}

/// The conditions we own, of all that are there.
pub fn ours(conditions: &[Condition]) -> Vec<Condition> {
    use ConditionType::{Ready, Reconciling, Stalled, Synced};
    [Ready, Synced, Stalled, Reconciling]
        .into_iter()
        .filter_map(|kind| kind.find(conditions).cloned())
        .collect()
}

#[cfg(test)]
mod tests;
