//! What every operator process needs whatever it reconciles: probes and metrics over HTTP, one shutdown
//! signal, logs, leader election, and the ways to Kubernetes. Nothing here knows a kind or ZITADEL.

pub mod admin;
pub mod kubernetes;
pub mod lease;
pub mod shutdown;
pub mod telemetry;
