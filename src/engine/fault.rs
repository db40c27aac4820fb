//! What stops a reconcile, and the one table from it to reason, severity and pace.

use std::time::Duration;

use kube::core::Status;

use super::admission::NET;
use super::plan::Hold;
use crate::api::Reason;
use crate::zitadel;

/// No server makes a resource wait longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Why a reconcile did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// ZITADEL, or the way to it.
    #[error(transparent)]
    Zitadel(#[from] zitadel::Error),
    /// The Kubernetes API.
    #[error("Kubernetes API: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// A person must act.
    #[error("{message}")]
    Blocked {
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
    Held {
        /// The decision.
        hold: Hold,
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

impl Fault {
    /// Does it pass by itself?
    pub fn is_transient(&self) -> bool {
        Verdict::of(self).is_some_and(|verdict| verdict.severity == Severity::Transient)
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

impl From<kube::Error> for Fault {
    /// 404 and 409 on a guarded patch say that the resource is not what it was, and so does a 422 about what guards it.
    /// Another 422 is a refusal: that of an admission policy.
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if is_stale(status) => Self::Stale,
            _ => Self::Kubernetes(Box::new(error)),
        }
    }
}

fn is_stale(status: &Status) -> bool {
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
pub enum Pace {
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
pub struct Verdict {
    /// Reason of the conditions.
    pub reason: Reason,
    /// How it shows.
    pub severity: Severity,
    /// When to try again.
    pub pace: Pace,
    /// What a person reads.
    pub message: String,
}

impl Verdict {
    /// ZITADEL matches the spec.
    pub fn available(message: impl Into<String>) -> Self {
        Self {
            reason: Reason::Available,
            severity: Severity::Fine,
            pace: Pace::Resync,
            message: message.into(),
        }
    }

    /// The verdict of a fault; `None` where there is nothing to tell: a stale view, no admission, the Kubernetes API itself.
    pub fn of(fault: &Fault) -> Option<Self> {
        let (reason, severity, pace) = match fault {
            Fault::Zitadel(error) => of_zitadel(error),
            Fault::Queued(error) => {
                let (reason, severity, _) = of_zitadel(error);
                (reason, severity, Pace::After(NET))
            }
            Fault::Blocked { reason, .. } => (*reason, Severity::Stalled, Pace::Slow),
            Fault::Waiting { reason, .. } => (*reason, Severity::Waiting, Pace::Dependency),
            Fault::Soon { reason, after, .. } => (*reason, Severity::Waiting, Pace::After(*after)),
            Fault::Contested(_) => (Reason::Conflict, Severity::Stalled, Pace::Resync),
            Fault::Held { hold, .. } => of_hold(*hold),
            Fault::NotAdmitted(_) | Fault::Stale | Fault::Kubernetes(_) => return None,
        };
        Some(Self { reason, severity, pace, message: fault.to_string() })
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
fn of_zitadel(error: &zitadel::Error) -> (Reason, Severity, Pace) {
    use zitadel::Error as E;
    match error {
        E::Unreachable { .. } | E::Timeout { .. } | E::Malformed { .. } | E::Unavailable { .. } => {
            (Reason::Unavailable, Severity::Transient, Pace::Transient)
        }
        E::TokenUnavailable { .. } => (Reason::Unavailable, Severity::Transient, Pace::Transient),
        E::RateLimited { retry_after: Some(after), .. } => {
            (Reason::RateLimited, Severity::Transient, Pace::After((*after).min(LONGEST_WAIT)))
        }
        E::RateLimited { retry_after: None, .. } => (Reason::RateLimited, Severity::Transient, Pace::Slow),
        E::Unauthorized { .. } | E::TokenRefused { .. } => {
            (Reason::Unauthorized, Severity::Stalled, Pace::Slow)
        }
        E::Credential(_) => (Reason::CredentialsUnavailable, Severity::Stalled, Pace::Slow),
        E::PermissionDenied { .. } => (Reason::PermissionDenied, Severity::Stalled, Pace::Slow),
        E::OrganizationNotFound { .. } | E::NotFound { .. } | E::UnknownEndpoint { .. } => {
            (Reason::NotFound, Severity::Stalled, Pace::Slow)
        }
        E::AlreadyExists { .. } => (Reason::Conflict, Severity::Stalled, Pace::Slow),
        E::Unchanged { .. } => (Reason::Conflict, Severity::Transient, Pace::Transient),
        E::Invalid { .. } | E::TooLarge => (Reason::InvalidSpec, Severity::Stalled, Pace::Resync),
        E::Unsupported { .. } => (Reason::Unsupported, Severity::Stalled, Pace::Rare),
        E::HeaderLost { .. } => (Reason::Unavailable, Severity::Stalled, Pace::Slow),
    }
}

fn of_hold(hold: Hold) -> (Reason, Severity, Pace) {
    match hold {
        Hold::Paused => (Reason::Paused, Severity::Paused, Pace::Resync),
        Hold::Taken | Hold::PartsTaken | Hold::NameInUse | Hold::Foreign => {
            (Reason::Conflict, Severity::Stalled, Pace::Resync)
        }
        Hold::NothingToImport | Hold::NothingToObserve | Hold::Gone => {
            (Reason::NotFound, Severity::Stalled, Pace::Slow)
        }
        Hold::InUse => (Reason::DeletionBlocked, Severity::Stalled, Pace::Dependency),
        Hold::InstanceChanged => (Reason::InstanceChanged, Severity::Stalled, Pace::Slow),
        Hold::Drift => (Reason::DriftDetected, Severity::Stalled, Pace::Resync),
    }
}

#[cfg(test)]
mod tests;
