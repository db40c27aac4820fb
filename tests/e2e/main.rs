//! The operator on a real API server, against the ZITADEL double or a real ZITADEL.
//!
//! With `ZITADEL_TEST_URL` and `ZITADEL_TEST_TOKEN` (an IAM_OWNER's) set, the tests run against that server; those
//! that need what only the double has, its faults or its ledger, skip and say so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod binary;
mod canaries;
#[path = "../conformance/mod.rs"]
mod conformance;
mod connection_status;
mod crash;
mod credentials;
mod deletion;
mod drift;
mod faults;
mod foreign;
mod gate;
mod gitops;
mod impostor;
mod install;
mod instance;
mod instance_login_policy;
mod kept_back;
mod kstatus;
mod lifecycle;
mod logs;
mod meter;
mod metrics;
mod namespace;
mod network;
mod operators;
mod org_domain_policy;
mod org_features;
mod org_login_policy;
mod org_metadata;
mod org_metadata_keys;
mod org_metadata_neighbours;
mod org_metadata_recovery;
mod org_metadata_values;
mod organization;
mod organization_crash;
mod organization_grants;
mod organization_home;
mod organization_mark;
mod organization_ownership;
mod organization_ref;
mod organization_rename;
mod outages;
mod own_user;
mod ownership;
mod person;
mod project_role;
mod refusals;
mod rights;
mod rotation;
mod sides;
mod sources;
mod staff;
mod subject;
mod unowned;
mod validation;
mod verdicts;
mod waits;
mod watched;
mod way;
mod world;
