//! What every operator process needs whatever it reconciles: probes and metrics over HTTP, one shutdown
//! signal, logs, leader election, the ways to Kubernetes, and the time of day. Nothing here knows a kind or ZITADEL.

pub mod admin;
pub mod ambient;
pub mod growth;
pub mod kubernetes;
pub mod lease;
pub mod shutdown;
pub mod telemetry;
