//! A stateful double of the ZITADEL HTTP API, held to recordings of the real server.
//!
//! It answers organizations, projects and their roles, organization metadata, policies (domain, login with its factors,
//! lockout), organization features, machine users, the change feed and the token endpoint as the recorded lines do. What
//! it does beyond the recordings follows the server's published source. Not covered: human users, grants,
//! applications, identity providers, other policies, TLS.

mod access;
mod api;
mod behaviour;
mod clock;
mod credentials;
mod database;
mod double;
mod edits;
mod failure;
mod fault;
mod json;
mod ledger;
mod model;
mod policy;
mod policy_rows;
mod roles;
mod route;
mod search;
mod server;
mod setup;
mod store;
mod world;

pub use behaviour::{Behaviour, OrganizationFeatures, OwnIds, ServerLine};
pub use database::{DATABASE, driver_error, lookup_failed};
pub use double::{Builder, Double};
pub use failure::Failure;
pub use fault::{Dropped, Injected, InjectedFault};
pub use ledger::{Fingerprint, Ledger, Mark, Request};
pub use model::{
    DomainPolicy, DomainSettings, Features, Metadata, Organization, Project, ProjectSettings, Role, Stamp,
    State, User,
};
pub use world::{Actor, Frozen, OrgWorld};
