//! The client of ZITADEL's HTTP API: one transport seam, one error enum, one call path.
//!
//! Guarantees: every call is bounded in time and size, redirects are never followed, secrets appear in no
//! `Debug`, `Display` or log, and an error is classified by gRPC code and ZITADEL error id, never by text.

mod answer;
mod auth;
mod call;
mod client;
mod error;
mod iam;
mod limit;
mod mint;
mod organization;
mod page;
mod project;
mod refusal;
mod resolve;
mod token;
mod transport;
mod url;

#[cfg(test)]
mod tests;

pub use self::answer::Answer;
pub use self::auth::{Credential, CredentialError, CredentialSource, JwtProfile};
pub use self::client::{Client, ClientConfig};
pub use self::error::Error;
pub use self::iam::{InstanceIdentity, Membership, User};
pub use self::limit::{AggregateGuard, AggregateLocks, Limiter};
pub use self::organization::{Organization, OrganizationState};
pub use self::project::{Created, Details, PrivateLabelingSetting, Project, ProjectSettings, ProjectState};
pub use self::token::TokenSource;
pub use self::transport::{HttpTransport, HttpTransportConfig, Transport, TransportError};
pub use self::url::{check_url, parse_base_url};

/// The permissions that calls need, as ZITADEL names them (`internal/api/authz` of the server).
pub mod permission {
    /// Any authenticated user; ZITADEL checks or filters inside the call.
    pub const AUTHENTICATED: &str = "authenticated";
    /// Read the instance (`GET /admin/v1/instances/me`).
    pub const IAM_READ: &str = "iam.read";
    /// Read an organization and its metadata.
    pub const ORG_READ: &str = "org.read";
    /// Create a project in an organization.
    pub const PROJECT_CREATE: &str = "project.create";
    /// Delete a project.
    pub const PROJECT_DELETE: &str = "project.delete";
    /// Read and list projects.
    pub const PROJECT_READ: &str = "project.read";
    /// Change, deactivate or reactivate a project.
    pub const PROJECT_WRITE: &str = "project.write";
}
