//! The client of ZITADEL's HTTP API: one transport seam, one error enum, one call path.
//!
//! Guarantees: every call is bounded in time and size, redirects are never followed, secrets appear in no
//! `Debug`, `Display` or log, and an error is classified by gRPC code and ZITADEL error id, never by text.

mod aggregate;
mod answer;
mod auth;
mod budget;
mod call;
mod child;
mod circuit;
mod client;
mod details;
mod error;
mod feature;
mod header;
mod iam;
mod limit;
mod load;
mod memory;
mod metadata;
mod metrics;
mod mint;
mod object;
mod organization;
mod page;
mod page_limits;
mod policy;
mod proxy;
mod refusal;
mod resolve;
mod token;
mod token_cache;
mod transport;
mod url;
mod user;
mod write;

#[cfg(test)]
mod tests;

pub use crate::zitadel::aggregate::{AggregateGuard, AggregateLocks};
pub use crate::zitadel::answer::Answer;
pub use crate::zitadel::auth::{Credential, CredentialError, CredentialSource, JwtProfile};
pub use crate::zitadel::budget::{Budget, Opening};
pub use crate::zitadel::child::{Child, ChildPaths, ChildRef};
pub use crate::zitadel::circuit::{Circuit, Way};
pub use crate::zitadel::client::{Client, ClientConfig};
pub use crate::zitadel::details::{Created, Details};
pub use crate::zitadel::error::Error;
pub use crate::zitadel::feature::OrganizationFeatures;
pub use crate::zitadel::iam::{InstanceIdentity, Membership, User};
pub use crate::zitadel::limit::{Limiter, Rate};
pub use crate::zitadel::load::Load;
pub use crate::zitadel::memory::{MemoryBudget, MemoryShare, Reservation};
pub use crate::zitadel::metadata::Metadata;
pub use crate::zitadel::metrics::{Metrics, Route};
pub use crate::zitadel::object::{Listed, Object, ObjectPaths, PROJECT, RemoteState};
pub use crate::zitadel::organization::{ORGANIZATION, Organization, domain_label, has_same_domain};
pub use crate::zitadel::policy::{Policy, PolicyPaths, PolicySet};
pub use crate::zitadel::proxy::Proxy;
pub use crate::zitadel::token::TokenSource;
pub use crate::zitadel::token_cache::Tokens;
pub use crate::zitadel::transport::{
    HttpTransport, HttpTransportConfig, Transport, TransportError, TransportFactory, http_transport,
};
pub use crate::zitadel::url::{check_public, check_url, parse_base_url};

/// The permissions that calls need, as ZITADEL names them (`internal/api/authz` of the server).
pub mod permission {
    macro_rules! permissions {
        ($($(#[$doc:meta])* $name:ident = $value:literal;)+) => {
            $($(#[$doc])* pub const $name: &str = $value;)+
            /// Each of them.
            pub(super) const ALL: &[&str] = &[$($value),+];
        };
    }

    permissions! {
        /// Any authenticated user; ZITADEL checks or filters inside the call.
        AUTHENTICATED = "authenticated";
        /// Read the instance (`GET /admin/v1/instances/me`).
        IAM_READ = "iam.read";
        /// Read domain policies.
        IAM_POLICY_READ = "iam.policy.read";
        /// Add or change an organization's domain policy.
        IAM_POLICY_WRITE = "iam.policy.write";
        /// Reset an organization's domain policy to the instance's.
        IAM_POLICY_DELETE = "iam.policy.delete";
        /// Create an organization.
        ORG_CREATE = "org.create";
        /// Delete any organization of the instance.
        IAM_WRITE = "iam.write";
        /// Delete an organization.
        ORG_DELETE = "org.delete";
        /// Read an organization's features.
        ORG_FEATURE_READ = "org.feature.read";
        /// Set an organization's features.
        ORG_FEATURE_WRITE = "org.feature.write";
        /// Reset an organization's features.
        ORG_FEATURE_DELETE = "org.feature.delete";
        /// Read an organization and its metadata.
        ORG_READ = "org.read";
        /// Change an organization or its metadata.
        ORG_WRITE = "org.write";
        /// Read an organization's policies.
        POLICY_READ = "policy.read";
        /// Add or change a policy of an organization.
        POLICY_WRITE = "policy.write";
        /// Reset a policy of an organization to the instance's.
        POLICY_DELETE = "policy.delete";
        /// Create a project in an organization.
        PROJECT_CREATE = "project.create";
        /// Delete a project.
        PROJECT_DELETE = "project.delete";
        /// Read and list projects.
        PROJECT_READ = "project.read";
        /// Remove roles of a project.
        PROJECT_ROLE_DELETE = "project.role.delete";
        /// List the roles of a project.
        PROJECT_ROLE_READ = "project.role.read";
        /// Add or change roles of a project.
        PROJECT_ROLE_WRITE = "project.role.write";
        /// Change, deactivate or reactivate a project.
        PROJECT_WRITE = "project.write";
        /// List users.
        USER_READ = "user.read";
    }
}
