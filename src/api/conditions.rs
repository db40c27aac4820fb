//! Condition types and reasons: a stable, one-word API for people and GitOps tools.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The condition types a resource carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// Usable and as specified, at the observed generation.
    Ready,
    /// The last attempt to follow the spec succeeded.
    Synced,
    /// A person must fix something; absent otherwise.
    Stalled,
    /// Work is under way or will be retried; absent otherwise.
    Reconciling,
}

impl ConditionType {
    /// The `type` of the condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Synced => "Synced",
            Self::Stalled => "Stalled",
            Self::Reconciling => "Reconciling",
        }
    }

    /// The condition of this type, if it is there. As the operator's memory keeps them, one without a type is `Ready` and
    /// `Synced` in one.
    pub fn find(self, conditions: &[Condition]) -> Option<&Condition> {
        let is_both = |c: &Condition| c.type_.is_empty() && matches!(self, Self::Ready | Self::Synced);
        conditions.iter().find(|c| c.type_ == self.as_str() || is_both(c))
    }
}

/// Declares [`Reason`] so that names, documentation and the list of all stay one.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Why a condition has its status; each name is stable API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The `reason` of a condition or event.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

reasons! {
    /// ZITADEL matches the spec.
    Available,
    /// Nothing has been tried yet.
    Pending,
    /// ZITADEL refuses for want of a permission (403, or 404 `AUTHZ-cdgFk`).
    PermissionDenied,
    /// The object, the organization or the instance's host is not there (404, or 403 `AUTH-Bs7Ds`).
    NotFound,
    /// The server does not implement it.
    Unsupported,
    /// The spec is refused by ZITADEL (400), or does not parse.
    InvalidSpec,
    /// The name is taken, or another resource owns the same target.
    Conflict,
    /// A resource the spec names does not exist.
    ReferenceNotFound,
    /// A resource the spec names is not ready.
    ReferenceNotReady,
    /// The namespace is not granted the use of this connection for this organization.
    AccessDenied,
    /// The credential's Secret is missing, unlabelled or unreadable.
    CredentialsUnavailable,
    /// ZITADEL refuses the credential (401).
    Unauthorized,
    /// The connection reaches another ZITADEL instance than the one this resource was written to.
    InstanceChanged,
    /// The object is being removed in ZITADEL.
    Deleting,
    /// The removal cannot proceed.
    DeletionBlocked,
    /// Under `Observe`: ZITADEL differs from the spec.
    DriftDetected,
    /// ZITADEL or a proxy asks for fewer calls (429).
    RateLimited,
    /// ZITADEL cannot be reached or fails (5xx, timeout, connection).
    Unavailable,
    /// The `paused` annotation is set.
    Paused,
}
