//! What the tests and the playground stand on: a real control plane, a Kubernetes API in memory and a ZITADEL double.
#![warn(missing_docs)]

pub mod canary;
pub mod control_plane;
pub mod kubernetes;
pub mod tls;
pub mod zitadel;
