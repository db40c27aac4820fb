//! What policies of organizations have in common.

use crate::engine::drivers::kind::{Permission, Verb};
use crate::zitadel::permission::{ORG_READ, POLICY_DELETE, POLICY_READ, POLICY_WRITE};

/// What a policy needs that the owners of an organization write.
pub(super) const OWNERS_PERMISSIONS: &[Permission] = &[
    Permission::new(ORG_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
    Permission::new(POLICY_READ, Verb::Read, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER"),
    Permission::new(POLICY_WRITE, Verb::Update, "ORG_OWNER or IAM_OWNER"),
    Permission::new(POLICY_DELETE, Verb::Delete, "ORG_OWNER or IAM_OWNER"),
];

/// What every policy of an organization says of itself as a `Kind`.
macro_rules! organization_policy {
    ($kind:ident, $permissions:expr) => {
        type Driver = $crate::engine::drivers::policy::Policy;
        type Own = $crate::api::policy::PolicyStatus<$crate::engine::drivers::policy::FieldsOf<Self>>;

        const KIND: &'static str = stringify!($kind);
        const IDENTITY: $crate::engine::decision::plan::Identity =
            $crate::engine::decision::plan::Identity::Keyed;
        const PERMISSIONS: &'static [$crate::engine::drivers::kind::Permission] = $permissions;
    };
}
pub(super) use organization_policy;

/// A kind whose object is a policy that the owners of an organization write: its path and the error id of adding one where
/// there is one; of each set in it the field, the path of an element, and the error ids of adding one that is there, or that
/// the server does not know, with a new policy.
macro_rules! owners_policy {
    (
        $kind:ident at $path:literal, exists $exists:literal;
        $($field:literal at $element:literal, exists $there:literal, unknown $unknown:literal;)*
    ) => {
        impl $crate::engine::drivers::policy::PolicyKind for $kind {
            const PATHS: $crate::zitadel::PolicyPaths = $crate::zitadel::PolicyPaths::of_owners(
                $path,
                $exists,
                &[$($crate::zitadel::PolicySet {
                    field: $field,
                    element: concat!($path, $element),
                    exists: $there,
                    unknown: $unknown,
                }),*],
            );
        }

        impl $crate::engine::drivers::kind::Kind for $kind {
            $crate::kinds::policy::organization_policy!($kind, $crate::kinds::policy::OWNERS_PERMISSIONS);
        }
    };
}
pub(super) use owners_policy;
