//! The connections as the cluster has them.

use kube::core::DeserializeGuard;

use super::watched::Watched;
use crate::api::connection::{ClusterConnection, Connection};

/// Stores of both connection kinds, kept by their controllers.
pub struct Stores {
    /// Of `Connection`, one for each namespace that is followed, or one for all.
    pub namespaced: Vec<Watched<DeserializeGuard<Connection>>>,
    /// Of `ClusterConnection`.
    pub cluster: Watched<DeserializeGuard<ClusterConnection>>,
}
