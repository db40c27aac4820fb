//! The connections as the cluster has them.

use kube::core::DeserializeGuard;

use super::status::Readiness;
use super::watched::Watched;
use crate::api::connection::{ClusterConnection, Connection, ConnectionStatus};

/// Stores of both connection kinds, kept by their controllers.
pub struct Stores {
    /// Of `Connection`, one for each namespace that is followed, or one for all.
    pub namespaced: Vec<Watched<DeserializeGuard<Connection>>>,
    /// Of `ClusterConnection`.
    pub cluster: Watched<DeserializeGuard<ClusterConnection>>,
}

impl Stores {
    /// The kind of each connection, and whether it is ready.
    pub(super) fn readiness(&self) -> Vec<(&'static str, Readiness)> {
        let namespaced = self.namespaced.iter().flat_map(|watched| watched.store.state());
        let namespaced = namespaced.map(|c| ("Connection", readiness(&c, |c| c.status.as_ref())));
        let cluster = self.cluster.store.state().into_iter();
        let cluster = cluster.map(|c| ("ClusterConnection", readiness(&c, |c| c.status.as_ref())));
        namespaced.chain(cluster).collect()
    }
}

fn readiness<K>(
    object: &DeserializeGuard<K>,
    status: impl FnOnce(&K) -> Option<&ConnectionStatus>,
) -> Readiness {
    let conditions = |object| status(object).map_or(&[][..], |status| &status.conditions);
    object.0.as_ref().map_or(Readiness::MALFORMED, |object| Readiness::of(conditions(object)))
}
