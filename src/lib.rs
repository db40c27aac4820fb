//! Makes a ZITADEL instance follow Kubernetes custom resources.
//!
//! [`operator::run`] is the operator; the binary adds flags, probes, leader election and logs around it.

pub mod api;
pub mod cli;
pub mod connection;
pub mod engine;
pub mod kinds;
pub mod operator;
pub mod runtime;
pub mod zitadel;
