//! What stops a reconcile, and the one table from it to reason, severity and requeue policy.

use std::time::Duration;

use kube::core::Status;

use crate::api::Reason;
use crate::engine::decision::plan::BlockReason;
use crate::zitadel;

/// Who waits is woken; should that be lost, it asks again after so long.
pub const NET: Duration = Duration::from_secs(900);
/// No server makes a resource wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Why a reconcile did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// ZITADEL, or the way to it.
    #[error(transparent)]
    Zitadel(#[from] zitadel::Error),
    /// The Kubernetes API.
    #[error("Kubernetes API: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// A person must act.
    #[error("{message}")]
    Stalled {
        /// Reason of the conditions.
        reason: Reason,
        /// What is wrong and what to do.
        message: String,
    },
    /// Something else must happen first; it wakes the resource.
    #[error("{message}")]
    Waiting {
        /// Reason of the conditions.
        reason: Reason,
        /// What it waits for.
        message: String,
    },
    /// ZITADEL itself must come round; it will soon.
    #[error("{message}")]
    Soon {
        /// Reason of the conditions.
        reason: Reason,
        /// What it waits for.
        message: String,
        /// When to look again.
        after: Duration,
    },
    /// Somebody else writes the same fields.
    #[error("{0}")]
    Contested(String),
    /// The decision ends here.
    #[error("{message}")]
    Blocked {
        /// The decision.
        block: BlockReason,
        /// What is wrong and what to do.
        message: String,
    },
    /// ZITADEL cannot be asked now, which this says of it; it waits in the queue of its connection, and is woken for its turn.
    #[error(transparent)]
    Queued(zitadel::Error),
    /// No budget or worker of the connection is free; nothing was tried.
    #[error("no budget for another {0:?}")]
    NotAdmitted(Duration),
    /// The resource changed or went while it was worked on; its next event brings the truth.
    #[error("the resource changed meanwhile")]
    Stale,
}

impl ReconcileError {
    /// Does it pass by itself?
    pub fn is_transient(&self) -> bool {
        ConditionUpdate::of(self).is_some_and(|update| update.severity == Severity::Transient)
    }

    /// Did the Kubernetes API answer that it will not do this? Where it did not answer it may have done it.
    pub fn is_refused(&self) -> bool {
        self.refusal().is_some_and(|status| status.code < 500)
    }

    /// What the Kubernetes API answered where it will answer the same until somebody changes a right or a policy.
    pub fn definite_refusal(&self) -> Option<&Status> {
        // 401 is the operator's own token, which is renewed; 408 and 429 ask for another attempt.
        self.refusal()
            .filter(|status| matches!(status.code, 400..500) && ![401, 408, 429].contains(&status.code))
    }

    fn refusal(&self) -> Option<&Status> {
        match self {
            Self::Kubernetes(error) => match &**error {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<kube::Error> for ReconcileError {
    /// 404 and 409 on a guarded patch say that the resource is not what it was, and so does a 422 about what guards it.
    /// Another 422 is a refusal: that of an admission policy.
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if is_outdated(status) => Self::Stale,
            _ => Self::Kubernetes(Box::new(error)),
        }
    }
}

fn is_outdated(status: &Status) -> bool {
    let guards = |field: &str| matches!(field, "metadata.uid" | "metadata.resourceVersion");
    let causes = || status.details.iter().flat_map(|details| &details.causes);
    match status.code {
        404 | 409 => true,
        422 => causes().next().is_some() && causes().all(|cause| guards(&cause.field)),
        _ => false,
    }
}

/// How a result shows in the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As specified.
    Fine,
    /// A person asked for a stop; `Ready` keeps what it was.
    Paused,
    /// A person must act.
    Stalled,
    /// Something else happens first.
    Waiting,
    /// Passes by itself; a `Ready` that is true outlives a short one.
    Transient,
}

/// When to try again. Every delay is jittered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeuePolicy {
    /// At the resync interval.
    Resync,
    /// With the short, growing delays of a passing failure.
    Transient,
    /// With long, growing delays: a person or a permission is awaited.
    Slow,
    /// With medium delays, as the net under a wake-up.
    Dependency,
    /// Hours: only another version of the server changes it.
    Rare,
    /// Not before this has passed.
    After(Duration),
}

/// The outcome of a reconcile, as conditions, events and the scheduler see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionUpdate {
    /// Reason of the conditions.
    pub reason: Reason,
    /// How it shows.
    pub severity: Severity,
    /// When to try again.
    pub requeue: RequeuePolicy,
    /// What a person reads.
    pub message: String,
}

impl ConditionUpdate {
    /// ZITADEL matches the spec.
    pub fn available(message: impl Into<String>) -> Self {
        Self {
            reason: Reason::Available,
            severity: Severity::Fine,
            requeue: RequeuePolicy::Resync,
            message: message.into(),
        }
    }

    /// The condition update of an error; `None` where there is nothing to tell: a stale view, no admission, the Kubernetes API itself.
    pub fn of(error: &ReconcileError) -> Option<Self> {
        let (reason, severity, requeue) = match error {
            ReconcileError::Zitadel(error) => of_zitadel(error),
            ReconcileError::Queued(error) => {
                let (reason, severity, _) = of_zitadel(error);
                (reason, severity, RequeuePolicy::After(NET))
            }
            ReconcileError::Stalled { reason, .. } => (*reason, Severity::Stalled, RequeuePolicy::Slow),
            ReconcileError::Waiting { reason, .. } => (*reason, Severity::Waiting, RequeuePolicy::Dependency),
            ReconcileError::Soon { reason, after, .. } => {
                (*reason, Severity::Waiting, RequeuePolicy::After(*after))
            }
            ReconcileError::Contested(_) => (Reason::Conflict, Severity::Stalled, RequeuePolicy::Resync),
            ReconcileError::Blocked { block, .. } => of_hold(*block),
            ReconcileError::NotAdmitted(_) | ReconcileError::Stale | ReconcileError::Kubernetes(_) => {
                return None;
            }
        };
        Some(Self { reason, severity, requeue, message: error.to_string() })
    }

    /// The same failure seen from a deletion: what needs a person blocks it, the rest delays it.
    ///
    /// `free` is the command that gives the object up.
    pub fn blocking_deletion(self, free: &str) -> Self {
        let patch =
            || format!("{}. To give up the object in ZITADEL: {free}", self.message.trim_end_matches('.'));
        match (self.severity, self.reason) {
            (Severity::Stalled, Reason::InstanceChanged) => Self { message: patch(), ..self },
            (Severity::Stalled, _)
            | (
                Severity::Waiting,
                Reason::CredentialsUnavailable | Reason::ReferenceNotFound | Reason::ReferenceNotReady,
            ) => Self {
                message: patch(),
                reason: Reason::DeletionBlocked,
                severity: Severity::Stalled,
                ..self
            },
            _ => self,
        }
    }
}

/// The error table: one row a class of error.
fn of_zitadel(error: &zitadel::Error) -> (Reason, Severity, RequeuePolicy) {
    use zitadel::Error as E;
    match error {
        E::Unreachable { .. } | E::Timeout { .. } | E::Malformed { .. } | E::Unavailable { .. } => {
            (Reason::Unavailable, Severity::Transient, RequeuePolicy::Transient)
        }
        E::TokenUnavailable { .. } => (Reason::Unavailable, Severity::Transient, RequeuePolicy::Transient),
        E::RateLimited { retry_after: Some(after), .. } => {
            (Reason::RateLimited, Severity::Transient, RequeuePolicy::After((*after).min(LONGEST_WAIT)))
        }
        E::RateLimited { retry_after: None, .. } => {
            (Reason::RateLimited, Severity::Transient, RequeuePolicy::Slow)
        }
        E::Unauthorized { .. } | E::TokenRefused { .. } => {
            (Reason::Unauthorized, Severity::Stalled, RequeuePolicy::Slow)
        }
        E::Credential(_) => (Reason::CredentialsUnavailable, Severity::Stalled, RequeuePolicy::Slow),
        E::PermissionDenied { .. } => (Reason::PermissionDenied, Severity::Stalled, RequeuePolicy::Slow),
        E::OrganizationNotFound { .. }
        | E::ProjectNotFound { .. }
        | E::NotFound { .. }
        | E::UnknownEndpoint { .. } => (Reason::NotFound, Severity::Stalled, RequeuePolicy::Slow),
        E::AlreadyExists { .. } => (Reason::Conflict, Severity::Stalled, RequeuePolicy::Slow),
        E::Unchanged { .. } => (Reason::Conflict, Severity::Transient, RequeuePolicy::Transient),
        E::Invalid { .. } | E::TooLarge => (Reason::InvalidSpec, Severity::Stalled, RequeuePolicy::Resync),
        E::Unsupported { .. } => (Reason::Unsupported, Severity::Stalled, RequeuePolicy::Rare),
        E::HeaderLost { .. } => (Reason::Unavailable, Severity::Stalled, RequeuePolicy::Slow),
    }
}

fn of_hold(block: BlockReason) -> (Reason, Severity, RequeuePolicy) {
    match block {
        BlockReason::Paused => (Reason::Paused, Severity::Paused, RequeuePolicy::Resync),
        BlockReason::Taken | BlockReason::KeysTaken | BlockReason::NameInUse | BlockReason::Foreign => {
            (Reason::Conflict, Severity::Stalled, RequeuePolicy::Resync)
        }
        BlockReason::NothingToImport | BlockReason::NothingToObserve | BlockReason::Gone => {
            (Reason::NotFound, Severity::Stalled, RequeuePolicy::Slow)
        }
        BlockReason::InUse => (Reason::DeletionBlocked, Severity::Stalled, RequeuePolicy::Dependency),
        BlockReason::InstanceChanged => (Reason::InstanceChanged, Severity::Stalled, RequeuePolicy::Slow),
        BlockReason::Drift => (Reason::DriftDetected, Severity::Stalled, RequeuePolicy::Resync),
    }
}

#[cfg(test)]
mod tests;
