//! The operator, a Kubernetes API and ZITADEL in one process, on time of their own: crashes at every point, and
//! random schedules of what people do and what goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod budgets;
mod claims;
mod connections;
mod crash;
mod crowd;
mod database;
mod deed;
mod elsewhere;
mod ending;
mod estate;
mod finalizers;
mod forged;
mod gone;
mod guards;
mod handover;
mod header;
mod homes;
mod left_out;
mod line;
mod mistakes;
mod moved;
mod oracle;
mod person;
mod proof;
mod random;
mod refused;
mod regressions;
mod renaming;
mod replay;
mod reported;
// Not every suite uses all of a row.
#[allow(dead_code)]
#[path = "../conformance/rows/mod.rs"]
mod rows;
mod rules;
mod scenario;
mod schedule;
mod specs;
mod starvation;
mod steady;
mod taken;
mod through_api;
mod transitions;
mod trouble;
mod unlisted;
mod waiting;
mod wakes;
mod workers;
mod world;
