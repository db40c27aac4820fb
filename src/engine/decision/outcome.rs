//! How a reconcile ended: what the metrics count, and when the next one comes.

use std::time::Duration;

use crate::api::Reason;
use crate::engine::decision::error::{ConditionUpdate, ReconcileError, Severity};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// As specified, or as a person asked for.
    Success,
    /// With a fault that a person or ZITADEL must mend.
    Error,
    /// The Kubernetes API refused it, or did not answer.
    Refused,
    /// It panicked.
    Panicked,
    /// On a view that is old: it is repeated.
    Requeue,
    /// It waits for its turn, or for another resource.
    RequeueAfter,
}

impl OutcomeKind {
    /// Every value of [`OutcomeKind::result`].
    pub const RESULTS: [&'static str; 4] = ["success", "error", "requeue", "requeue_after"];

    /// What this fault makes of it.
    pub fn of(error: &ReconcileError) -> Self {
        match (ConditionUpdate::of(error), error) {
            (Some(update), _) => update.severity.into(),
            (None, ReconcileError::NotAdmitted(_)) => Self::RequeueAfter,
            (None, ReconcileError::Stale) => Self::Requeue,
            (None, _) => Self::Refused,
        }
    }

    /// The word that the metrics have for it, of those of controller-runtime.
    pub const fn result(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error | Self::Refused | Self::Panicked => "error",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
        }
    }
}

impl From<Severity> for OutcomeKind {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Fine | Severity::Paused => Self::Success,
            Severity::Stalled | Severity::Transient => Self::Error,
            Severity::Waiting => Self::RequeueAfter,
        }
    }
}

/// Was ZITADEL changed by somebody else?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drifted {
    /// Not that it is known.
    #[default]
    No,
    /// It was, and is still.
    Found,
    /// It was, and is as specified again.
    Repaired,
}

/// The end of one reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub kind: OutcomeKind,
    /// The reason that was told; `None` where nothing was.
    pub reason: Option<Reason>,
    /// Whether it met somebody else's change.
    pub drift: Drifted,
    /// When the next one comes; `None`: when the resource changes.
    pub next: Option<Duration>,
}

impl Outcome {
    /// Ended so, without anything to tell.
    pub fn silent(kind: OutcomeKind, next: Option<Duration>) -> Self {
        Self { kind, reason: None, drift: Drifted::No, next }
    }
}
