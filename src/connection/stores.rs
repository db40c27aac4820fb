//! The connections as the cluster has them.

use kube::core::DeserializeGuard;

use crate::api::connection::{ClusterConnection, Connection};
use crate::engine::watch::reflected_store::{ReflectedStore, all_filled, all_warm};

/// Stores of both connection kinds, kept by their controllers.
pub struct ConnectionStores {
    /// Of `Connection`, one for each namespace that is followed, or one for all.
    pub namespaced: Vec<ReflectedStore<DeserializeGuard<Connection>>>,
    /// Of `ClusterConnection`.
    pub cluster: ReflectedStore<DeserializeGuard<ClusterConnection>>,
}

impl ConnectionStores {
    /// Resolves once this process leads and all were listed, but for the namespaces left out. `false`: it is ending.
    pub(crate) async fn filled(&self) -> bool {
        all_filled(&self.namespaced).await.is_some() && self.cluster.filled().await
    }

    /// The same, whoever leads.
    pub(crate) async fn warm(&self) -> bool {
        all_warm(&self.namespaced).await.is_some() && self.cluster.warm().await
    }

    /// In how many namespaces they were not listed yet.
    pub(crate) fn unlisted(&self) -> usize {
        self.namespaced.iter().filter(|reflected_store| !reflected_store.is_warm()).count()
    }

    /// Were they listed in this one of the namespaces that are followed?
    pub(crate) fn lists(&self, namespace: &str, followed: &[String]) -> bool {
        let place = followed.iter().position(|one| one == namespace).unwrap_or(0);
        self.namespaced.get(place).is_none_or(ReflectedStore::is_filled)
    }
}
