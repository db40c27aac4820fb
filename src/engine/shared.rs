//! What the controllers share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;

use crate::api::CommonStatus;
use crate::api::address::{Address, ConnectionKey};
use crate::connection::confirmations::Confirmations;
use crate::connection::connections::Connections;
use crate::engine::decision::conditions::ReadyState;
use crate::engine::decision::config::Config;
use crate::engine::decision::error::ReconcileError;
use crate::engine::index::claims::Claims;
use crate::engine::index::kinds::{ResourceIndex, ResourceIndexes};
use crate::engine::index::needs::Need;
use crate::engine::index::object_states::ObjectStates;
use crate::engine::index::resources::Index;
use crate::engine::index::selector::Selector;
use crate::engine::kubernetes::bulk::Bulk;
use crate::engine::kubernetes::events::Events;
use crate::engine::kubernetes::seal::Seals;
use crate::engine::metrics::counters::Metrics;
use crate::engine::metrics::scrape::Snapshot;
use crate::engine::watch::reflected_store::ReflectedStore;
use crate::engine::watch::requeue_channel::RequeueChannel;
use crate::engine::watch::workers::Workers;
use crate::runtime::kubernetes::Clients;
use crate::runtime::lease::Leadership;
use crate::zitadel::Budget;

/// Everything the controllers share.
pub struct Engine {
    /// The Kubernetes API.
    pub clients: Clients,
    /// The settings.
    pub config: Config,
    /// The connections and their sessions.
    pub connections: Connections,
    /// What the cluster holds.
    pub index: Index,
    /// Who owns what.
    pub claims: Claims,
    /// What is confirmed for all who use a connection.
    pub confirmations: Confirmations,
    /// The wake channel.
    pub requeues: Arc<RequeueChannel>,
    /// Who reconciles.
    pub workers: Workers,
    /// Who may hold large parts of Kubernetes' answers.
    pub bulk: Arc<Bulk>,
    /// What is remembered between reconciles.
    pub object_states: ObjectStates,
    /// Where events go.
    pub events: Events,
    /// The operator's own key.
    pub seals: Seals,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// The namespaces and their labels.
    pub namespaces: ReflectedStore<PartialObjectMeta<Namespace>>,
    pub(crate) resource_indexes: ResourceIndexes,
}

impl Engine {
    /// An engine of these kinds that knows nothing yet.
    pub fn new(
        kinds: Vec<&'static str>,
        clients: Clients,
        config: Config,
        connections: Connections,
        namespaces: ReflectedStore<PartialObjectMeta<Namespace>>,
        metrics: Metrics,
        leadership: Leadership,
    ) -> Self {
        let there = namespaces.clone();
        let is_there = Box::new(move |name: &str| there.store.get(&ObjectRef::new(name)).is_some());
        Self {
            events: Events::new(clients.calls.clone(), None),
            workers: Workers::new(config.concurrency),
            bulk: Arc::default(),
            seals: Seals::new(clients.calls.clone(), &connections.installation.namespace),
            object_states: ObjectStates::new(config.delays),
            clients,
            config,
            requeues: connections.admissions().requeues(),
            connections,
            index: Index::new(metrics.visits.clone()),
            claims: Claims::new(metrics.visits.clone()),
            confirmations: Confirmations::default(),
            metrics,
            namespaces,
            resource_indexes: ResourceIndexes::of(kinds, is_there),
            leadership,
        }
    }

    /// Adds the resources of a kind, once they are known but for those in these namespaces, and wakes who waited for that.
    pub fn add_resource_index(
        &self,
        kind: &'static str,
        resource_index: Box<dyn ResourceIndex>,
        left_out: BTreeSet<String>,
    ) {
        self.requeues.wake(self.resource_indexes.add(kind, resource_index, left_out));
        self.connections.open_sessions().iter().for_each(|key| self.close_unused(key));
    }

    /// The resources of a kind are known in this namespace too from now on; wakes who waited for that.
    pub fn take_up(&self, kind: &'static str, namespace: &str) {
        self.requeues.wake(self.resource_indexes.take_up(kind, namespace));
    }

    /// Leaves a namespace out that cannot be listed: says so, until it can. `false`: the process is ending.
    pub async fn leave_out<K>(&self, kind: &'static str, namespace: &str, reader: &ReflectedStore<K>) -> bool
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let _counted = self.metrics.unlisted(kind);
        tracing::warn!(kind, namespace, "cannot be listed, and is left out until it can; the rest goes on");
        let is_fed = reader.filled().await;
        if is_fed {
            tracing::info!(kind, namespace, "can be listed, and is followed from now on");
        }
        is_fed
    }

    /// Closes the session of a connection that is gone, unless resources still need it to go themselves.
    pub fn close_unused(&self, key: &ConnectionKey) {
        if !self.connections.exists(key) && self.users(key) == Some(0) {
            self.connections.close(key);
        }
    }

    /// The resources of all kinds that are known and have this in common.
    pub fn resources(&self, selector: Selector<'_>) -> Vec<Address> {
        let mut found = self.index.list(selector);
        self.resource_indexes.read(|known| found.retain(|address| known.contains_key(address.kind)));
        found
    }

    /// Does any resource that was seen use the connection?
    pub fn is_used(&self, key: &ConnectionKey) -> bool {
        self.index.has_any(Selector::Connection(key))
    }

    /// How many resources use a connection; `None` while not all kinds are known.
    pub fn users(&self, key: &ConnectionKey) -> Option<usize> {
        self.resource_indexes.is_complete(key.within()).then(|| self.index.users(key))
    }

    /// What the resources that use a connection need; `None` while not all kinds are known.
    pub fn needs(&self, key: &ConnectionKey) -> Option<Vec<Need>> {
        self.resource_indexes.is_complete(key.within()).then(|| self.index.needs(key))
    }

    /// The ids of organizations that are to be called so by resources of this namespace.
    pub fn organizations_called(&self, namespace: &str, name: &str) -> Vec<String> {
        let called = self.index.list(Selector::Called { namespace, name }).into_iter();
        self.resource_indexes.read(|known| {
            called.filter_map(|address| known.get(address.kind)?.status(&address)?.id).collect()
        })
    }

    /// The status of a resource of any kind, for `who` asks; `None` where there is no such resource.
    ///
    /// # Errors
    /// `ReferenceNotReady` where its kind could not be listed yet; whoever asked is woken when that changes.
    pub async fn status_of(
        &self,
        address: &Address,
        who: &Address,
    ) -> Result<Option<CommonStatus>, ReconcileError> {
        self.resource_indexes.known(&[address.kind], Some(&address.namespace), who).await?;
        Ok(self.resource_indexes.read(|known| known.get(address.kind)?.status(address)))
    }

    /// Resolves once the resources of all kinds are known that may use this connection, or live in an organization of it.
    ///
    /// # Errors
    /// As [`Engine::status_of`].
    pub async fn complete(&self, key: &ConnectionKey, who: &Address) -> Result<(), ReconcileError> {
        self.resource_indexes.complete(key.within(), who).await
    }

    /// The labels of a namespace; `None` while it is unknown, which is not the same as having none.
    pub fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let namespace = self.namespaces.store.get(&ObjectRef::new(name))?;
        Some(namespace.metadata.labels.clone().unwrap_or_default())
    }

    pub(crate) fn release_claims(&self, uid: &str) {
        self.requeues.wake(self.claims.release(uid));
    }

    /// Forgets a resource that is gone or needs nothing any more.
    pub fn forget(&self, uid: &str) {
        self.release_claims(uid);
        self.object_states.forget(uid);
        self.confirmations.forget(uid);
    }
}

impl Snapshot for Engine {
    fn is_leader(&self) -> bool {
        self.leadership.is_leader()
    }

    /// Of the connections and of the resources whose kind is known.
    fn readiness(&self) -> Vec<((&'static str, ReadyState), usize)> {
        let mut readiness = self.index.readiness();
        readiness.retain(|((kind, _), _)| !self.resource_indexes.lacks(kind));
        readiness
    }

    fn waiting(&self) -> Vec<&'static str> {
        self.connections.admissions().waiting()
    }

    fn budgets(&self) -> Vec<(ConnectionKey, Arc<Budget>)> {
        self.connections.budgets()
    }
}
