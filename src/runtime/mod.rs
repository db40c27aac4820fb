//! What every operator process needs whatever it reconciles: probes and metrics over HTTP, one shutdown
//! signal, logs, and leader election. Nothing here knows a kind or ZITADEL.

pub mod admin;
pub mod lease;
pub mod shutdown;
pub mod telemetry;
