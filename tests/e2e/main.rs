//! The operator on a real API server, against the ZITADEL double or a real ZITADEL.
//!
//! With `ZITADEL_TEST_URL` and `ZITADEL_TEST_TOKEN` (an IAM_OWNER's) set, the tests run against that server; those
//! that need the double's faults or ledger skip and say so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod crash;
mod credentials;
mod deletion;
mod drift;
mod gate;
mod install;
mod instance;
mod kstatus;
mod lifecycle;
mod org_metadata;
mod org_metadata_keys;
mod org_metadata_recovery;
mod org_metadata_refusals;
mod org_metadata_values;
mod outages;
mod ownership;
mod person;
mod refusals;
mod resident;
mod sides;
mod validation;
mod waits;
mod world;
