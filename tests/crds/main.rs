//! The CustomResourceDefinitions: the committed files, their schema, and every rule on a real API server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod binding;
mod cluster;
mod connections;
mod files;
mod instance_login_policies;
mod kinds;
mod org_domain_policies;
mod org_features;
mod org_login_policies;
mod org_metadata;
mod organizations;
mod people;
mod project_roles;
mod projects;
mod roles;
mod schema;
mod subjects;
