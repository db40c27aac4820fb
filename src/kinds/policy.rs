//! What policies have in common.

use crate::engine::drivers::kind::{Permission, Verb};
use crate::kinds::roles::{owners, viewers};
use crate::zitadel::permission::{
    IAM_POLICY_READ, IAM_POLICY_WRITE, ORG_READ, POLICY_DELETE, POLICY_READ, POLICY_WRITE,
};

/// What a policy needs that the owners of an organization write.
pub(super) const OWNERS_PERMISSIONS: &[Permission] = &[
    viewers(ORG_READ, Verb::Read),
    viewers(POLICY_READ, Verb::Read),
    owners(POLICY_WRITE, Verb::Update),
    owners(POLICY_DELETE, Verb::Delete),
];

/// What the instance's policy needs.
pub(super) const INSTANCE_PERMISSIONS: &[Permission] = &[
    viewers(POLICY_READ, Verb::Read),
    Permission::new(IAM_POLICY_READ, Verb::Read, "IAM_OWNER or IAM_OWNER_VIEWER"),
    Permission::new(IAM_POLICY_WRITE, Verb::Update, "IAM_OWNER"),
];

/// What every policy says of itself as a `Kind`.
macro_rules! policy {
    ($kind:ident, $permissions:expr) => {
        type Driver = $crate::engine::drivers::policy::Policy;
        type Own = $crate::api::policy::PolicyStatus<$crate::engine::drivers::policy::FieldsOf<Self>>;

        const KIND: &'static str = stringify!($kind);
        const IDENTITY: $crate::engine::decision::plan::Identity =
            $crate::engine::decision::plan::Identity::Keyed;
        const PERMISSIONS: &'static [$crate::engine::drivers::kind::Permission] = $permissions;
    };
}
pub(super) use policy;

/// The sets in the policy at a path: of each the field, the path of an element, and the error ids of adding one that is
/// there, or that the server does not know, with a new policy.
macro_rules! policy_sets {
    ($path:expr; $($field:literal at $element:literal, exists $exists:literal $(, unknown $unknown:literal)?;)*) => {
        &[$($crate::zitadel::PolicySet {
            field: $field,
            element: concat!($path, $element),
            exists: $exists,
            unknown: concat!($($unknown)?),
        }),*]
    };
}
pub(super) use policy_sets;

/// A kind whose object is a policy that the owners of an organization write: its path, the error id of adding one where
/// there is one, and its sets.
macro_rules! owners_policy {
    ($kind:ident at $path:literal, exists $exists:literal; $($sets:tt)*) => {
        impl $crate::engine::drivers::policy::PolicyKind for $kind {
            const PATHS: $crate::zitadel::PolicyPaths = $crate::zitadel::PolicyPaths::of_owners(
                $path,
                $exists,
                $crate::kinds::policy::policy_sets!($path; $($sets)*),
            );
        }

        impl $crate::engine::drivers::kind::Kind for $kind {
            $crate::kinds::policy::policy!($kind, $crate::kinds::policy::OWNERS_PERMISSIONS);
        }
    };
}
pub(super) use owners_policy;

/// A kind whose object is the instance's policy: its path below that of an API, and its sets. Nobody but a person knows what
/// it was before.
macro_rules! instance_policy {
    ($kind:ident at $path:literal; $($sets:tt)*) => {
        impl $crate::engine::drivers::policy::PolicyKind for $kind {
            const PATHS: $crate::zitadel::PolicyPaths = $crate::zitadel::PolicyPaths::of_late_instance(
                concat!("/admin/v1", $path),
                concat!("/management/v1", $path),
                $crate::kinds::policy::policy_sets!(concat!("/admin/v1", $path); $($sets)*),
            );
        }

        impl $crate::engine::drivers::kind::Kind for $kind {
            $crate::kinds::policy::policy!($kind, $crate::kinds::policy::INSTANCE_PERMISSIONS);
            const PARENT: $crate::engine::drivers::kind::Parent =
                $crate::engine::drivers::kind::Parent::Instance;

            fn default_deletion(_: Option<$crate::api::Origin>) -> $crate::api::DeletionPolicy {
                $crate::api::DeletionPolicy::Retain
            }
        }
    };
}
pub(super) use instance_policy;
