//! Which of ZITADEL's own roles have the permissions that kinds need.

use crate::engine::drivers::kind::{Permission, Verb};

/// A permission of all who may look at an organization and at what is in it.
pub(super) const fn viewers(name: &'static str, verb: Verb) -> Permission {
    Permission::new(name, verb, "ORG_OWNER, ORG_OWNER_VIEWER or IAM_OWNER")
}

/// A permission of those who may change an organization and what is in it.
pub(super) const fn owners(name: &'static str, verb: Verb) -> Permission {
    Permission::new(name, verb, "ORG_OWNER or IAM_OWNER")
}

/// A permission of those who may change the metadata and the features of an organization.
pub(super) const fn managers(name: &'static str, verb: Verb) -> Permission {
    Permission::new(name, verb, "ORG_OWNER, ORG_SETTINGS_MANAGER or IAM_OWNER")
}
