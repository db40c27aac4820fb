//! The controllers of `Connection` and `ClusterConnection`.

pub mod follow;
pub mod missing_permissions;
pub mod probe;
