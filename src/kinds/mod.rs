//! The kinds, and the one list of them.

mod common;
mod guard;
mod org_domain_policy;
mod org_features;
mod org_metadata;
mod organization;
mod project;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::api::{OrgDomainPolicy, OrgFeatures, OrgMetadata, Organization, Project};
use crate::engine::controllers::controller::follow;
use crate::engine::decision::access::Right;
use crate::engine::drivers::kind::{Kind, Permission};
use crate::engine::shared::Engine;
use crate::runtime::admin::Readiness;

/// Starts the controller of a kind.
type Follow = fn(Arc<Engine>, Readiness, CancellationToken) -> BoxFuture<'static, ()>;

/// A kind as the registry lists it.
pub struct Entry {
    /// Its name.
    pub kind: &'static str,
    /// What it needs to be allowed in an organization.
    pub permissions: &'static [Permission],
    /// What a grant must say for it.
    pub right: Right,
    /// Its controller.
    pub follow: Follow,
}

/// Every workload kind: one line each.
pub fn registry() -> Vec<Entry> {
    vec![
        entry::<Organization>(),
        entry::<Project>(),
        entry::<OrgMetadata>(),
        entry::<OrgDomainPolicy>(),
        entry::<OrgFeatures>(),
    ]
}

fn entry<K: Kind>() -> Entry {
    Entry {
        kind: K::KIND,
        permissions: K::PERMISSIONS,
        right: K::right(),
        follow: |engine, readiness, stop| Box::pin(follow::<K>(engine, readiness, stop)),
    }
}
