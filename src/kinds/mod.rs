//! The kinds, and the one list of them.

mod guard;
mod instance_login_policy;
mod org_domain_policy;
mod org_features;
mod org_lockout_policy;
mod org_login_policy;
mod org_metadata;
mod organization;
mod policy;
mod project;
mod project_role;
mod roles;

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use tokio_util::sync::CancellationToken;

use crate::api::{
    ClusterConnection, Connection, InstanceLoginPolicy, OrgDomainPolicy, OrgFeatures, OrgLockoutPolicy,
    OrgLoginPolicy, OrgMetadata, Organization, Project, ProjectRole, crd,
};
use crate::engine::controllers::controller::follow;
use crate::engine::decision::access::Right;
use crate::engine::decision::plan::Identity;
use crate::engine::drivers::kind::{Kind, Parent, Permission};
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
    /// Its CustomResourceDefinition.
    pub definition: fn() -> CustomResourceDefinition,
}

/// Every workload kind: one line each.
pub fn registry() -> Vec<Entry> {
    vec![
        entry::<Organization>(),
        entry::<Project>(),
        entry::<ProjectRole>(),
        entry::<OrgMetadata>(),
        entry::<OrgDomainPolicy>(),
        entry::<OrgFeatures>(),
        entry::<OrgLoginPolicy>(),
        entry::<InstanceLoginPolicy>(),
        entry::<OrgLockoutPolicy>(),
    ]
}

fn entry<K: Kind>() -> Entry {
    Entry {
        kind: K::KIND,
        permissions: K::PERMISSIONS,
        right: K::right(),
        follow: |engine, readiness, stop| Box::pin(follow::<K>(engine, readiness, stop)),
        definition: definition::<K>,
    }
}

fn definition<K: Kind>() -> CustomResourceDefinition {
    let assigned = K::IDENTITY == Identity::Assigned;
    match K::PARENT {
        Parent::Instance => crd::of_instance(K::crd(), assigned),
        Parent::Organization => crd::of_organization(K::crd(), assigned),
        Parent::Project => crd::of_project(K::crd(), assigned),
    }
}

/// Every CustomResourceDefinition of this operator, in the order they are printed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let connections = [Connection::crd(), ClusterConnection::crd()].map(crd::connection);
    connections.into_iter().chain(registry().iter().map(|entry| (entry.definition)())).collect()
}
