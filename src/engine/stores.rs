//! The connections as the cluster has them.

use kube::core::DeserializeGuard;

use super::watched::{Watched, all_filled, all_warm};
use crate::api::connection::{ClusterConnection, Connection};

/// Stores of both connection kinds, kept by their controllers.
pub struct Stores {
    /// Of `Connection`, one for each namespace that is followed, or one for all.
    pub namespaced: Vec<Watched<DeserializeGuard<Connection>>>,
    /// Of `ClusterConnection`.
    pub cluster: Watched<DeserializeGuard<ClusterConnection>>,
}

impl Stores {
    /// Resolves once this process leads and all were listed, but for the namespaces left out. `false`: it is ending.
    pub(super) async fn filled(&self) -> bool {
        all_filled(&self.namespaced).await.is_some() && self.cluster.filled().await
    }

    /// The same, whoever leads.
    pub(super) async fn warm(&self) -> bool {
        all_warm(&self.namespaced).await.is_some() && self.cluster.warm().await
    }

    /// In how many namespaces they were not listed yet.
    pub(super) fn unlisted(&self) -> usize {
        self.namespaced.iter().filter(|watched| !watched.is_warm()).count()
    }

    /// Were they listed in this one of the namespaces that are followed?
    pub(super) fn lists(&self, namespace: &str, followed: &[String]) -> bool {
        let place = followed.iter().position(|one| one == namespace).unwrap_or(0);
        self.namespaced.get(place).is_none_or(Watched::is_filled)
    }
}
