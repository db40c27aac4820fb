//! The engine: reconciles any [`kind::Kind`] without knowing one.

pub mod access;
pub mod address;
pub mod admission;
pub mod attend;
mod authorization;
pub mod backoff;
pub mod bulk;
pub mod caps;
pub mod claims;
pub mod conclusion;
pub mod confirmations;
pub mod connections;
pub mod controller;
mod creation;
pub mod credentials;
mod departures;
mod directories;
mod directory;
mod effects;
pub mod events;
mod explain;
pub mod fault;
pub mod fence;
mod grants;
pub mod index;
pub mod kind;
mod learn;
mod load;
pub mod malformed;
pub mod mark;
mod marking;
pub mod memo;
pub mod metrics;
pub mod needs;
pub mod plan;
pub mod queue;
mod rates;
mod reconcile;
mod references;
mod refused;
pub mod resource;
mod run;
mod scrape;
pub mod seal;
pub mod session;
pub mod sources;
pub mod status;
mod steps;
pub mod stores;
pub mod stripped;
pub mod telling;
mod unwatched;
pub mod values;
pub mod wake;
pub mod watched;
pub mod work_queue;
pub mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;

use address::{Address, ConnectionKey};
use backoff::{Backoff, Delays};
use bulk::Bulk;
use claims::{Claimant, Claims};
use confirmations::Confirmations;
use connections::Connections;
use directories::Directories;
use events::Events;
use fault::Fault;
use index::Index;
use memo::Memo;
use metrics::Metrics;
use needs::Need;
use seal::Seals;
use sources::Source;
use status::Readiness;
use telling::Telling;
use wake::Wakes;
use watched::Watched;
use workers::Workers;

use crate::api::{CommonStatus, ConnectionKind};
use crate::runtime::kubernetes::Clients;
use crate::runtime::lease::Leadership;

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Reconciles of one kind at a time, in all namespaces together.
    pub concurrency: u16,
    /// The resync interval where no connection says one.
    pub resync: Duration,
    /// No connection makes it shorter.
    pub min_resync: Duration,
    /// No connection calls ZITADEL more often.
    pub max_requests_per_second: u32,
    /// How long an outage must last before it shows in a `Ready` that was true.
    pub outage_grace: Duration,
    /// How long a list may lag behind a create before its silence counts.
    pub projection_lag: Duration,
    /// The delays after failures.
    pub delays: Delays,
    /// Follow only these namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// Follow only resources with these labels.
    pub label_selector: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 16,
            resync: Duration::from_secs(600),
            min_resync: Duration::from_secs(30),
            max_requests_per_second: 100,
            outage_grace: Duration::from_secs(300),
            projection_lag: Duration::from_secs(30),
            delays: Delays::default(),
            namespaces: Vec::new(),
            label_selector: None,
        }
    }
}

impl Config {
    /// Does it see every resource that uses a connection of this kind?
    pub fn sees_all_users(&self, kind: ConnectionKind) -> bool {
        self.label_selector.is_none() && (kind == ConnectionKind::Connection || self.namespaces.is_empty())
    }

    /// Does it follow only a part of the cluster?
    pub fn is_partial(&self) -> bool {
        !self.namespaces.is_empty() || self.label_selector.is_some()
    }
}

/// One organization of one instance.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The organization's id.
    pub id: &'a str,
    /// The identities that its instance has or had.
    pub instances: &'a [String],
}

/// What the resources asked for have in common.
#[derive(Clone, Copy, Debug)]
pub enum Having<'a> {
    /// They use this connection.
    Connection(&'a ConnectionKey),
    /// They are in this namespace.
    Namespace(&'a str),
    /// They are in this namespace and use this connection.
    Using {
        /// The namespace.
        namespace: &'a str,
        /// The connection.
        connection: &'a ConnectionKey,
    },
    /// They take a value, or a connection its credential, from this Secret or ConfigMap.
    Source(Source<'a>),
    /// They are in this namespace, and name their organization so, compared without case.
    Named {
        /// The namespace.
        namespace: &'a str,
        /// The name of the organization.
        name: &'a str,
    },
    /// They are in this namespace, and are of an organization that is to be called so, compared without case.
    Called {
        /// The namespace.
        namespace: &'a str,
        /// The name of the organization.
        name: &'a str,
    },
    /// They live in an organization: bound to it, or pointing at the `Organization` that owns it.
    Organization {
        /// The `Organization`.
        owner: &'a Claimant,
        /// The organization, once there is one.
        place: Option<Place<'a>>,
    },
}

/// The resources of a kind, as the cluster has them.
pub trait Directory: Send + Sync {
    /// The status of one; `None` where there is no such resource.
    fn status(&self, address: &Address) -> Option<CommonStatus>;
}

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
    pub wakes: Arc<Wakes>,
    /// Who reconciles.
    pub workers: Workers,
    /// Who may hold large parts of Kubernetes' answers.
    pub bulk: Arc<Bulk>,
    /// The delays.
    pub backoff: Backoff,
    /// What is remembered between reconciles.
    pub memo: Memo,
    /// How fast statuses are written.
    pub telling: Telling,
    /// Where events go.
    pub events: Events,
    /// The operator's own key.
    pub seals: Seals,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// The namespaces and their labels.
    pub namespaces: Watched<PartialObjectMeta<Namespace>>,
    directories: Directories,
}

impl Engine {
    /// An engine of these kinds that knows nothing yet.
    pub fn new(
        kinds: Vec<&'static str>,
        clients: Clients,
        config: Config,
        connections: Connections,
        namespaces: Watched<PartialObjectMeta<Namespace>>,
        metrics: Metrics,
        leadership: Leadership,
    ) -> Self {
        let there = namespaces.clone();
        let is_there = Box::new(move |name: &str| there.store.get(&ObjectRef::new(name)).is_some());
        Self {
            events: Events::new(clients.calls.clone(), None),
            workers: Workers::new(config.concurrency),
            bulk: Arc::default(),
            seals: Seals::new(clients.calls.clone(), &connections.site.namespace),
            backoff: Backoff::new(config.delays),
            clients,
            config,
            wakes: connections.admissions().wakes(),
            connections,
            index: Index::new(metrics.visits.clone()),
            claims: Claims::new(metrics.visits.clone()),
            confirmations: Confirmations::default(),
            memo: Memo::default(),
            telling: Telling::default(),
            metrics,
            namespaces,
            directories: Directories::of(kinds, is_there),
            leadership,
        }
    }

    /// Adds the resources of a kind, once they are known but for those in these namespaces, and wakes who waited for that.
    pub fn add_directory(
        &self,
        kind: &'static str,
        directory: Box<dyn Directory>,
        left_out: BTreeSet<String>,
    ) {
        self.wakes.wake(self.directories.add(kind, directory, left_out));
        self.connections.open_sessions().iter().for_each(|key| self.close_unused(key));
    }

    /// The resources of a kind are known in this namespace too from now on; wakes who waited for that.
    pub fn take_up(&self, kind: &'static str, namespace: &str) {
        self.wakes.wake(self.directories.take_up(kind, namespace));
    }

    /// Leaves a namespace out that cannot be listed: says so, until it can. `false`: the process is ending.
    pub async fn leave_out<K>(&self, kind: &'static str, namespace: &str, reader: &Watched<K>) -> bool
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
    pub fn resources(&self, having: Having<'_>) -> Vec<Address> {
        let mut found = self.index.list(having);
        self.directories.read(|known| found.retain(|address| known.contains_key(address.kind)));
        found
    }

    /// Does any resource that was seen use the connection?
    pub fn is_used(&self, key: &ConnectionKey) -> bool {
        self.index.has_any(Having::Connection(key))
    }

    /// How many resources use a connection; `None` while not all kinds are known.
    pub fn users(&self, key: &ConnectionKey) -> Option<usize> {
        self.directories.is_complete(key.within()).then(|| self.index.users(key))
    }

    /// What the resources that use a connection need; `None` while not all kinds are known.
    pub fn needs(&self, key: &ConnectionKey) -> Option<Vec<Need>> {
        self.directories.is_complete(key.within()).then(|| self.index.needs(key))
    }

    /// The ids of organizations that are to be called so by resources of this namespace.
    pub fn organizations_called(&self, namespace: &str, name: &str) -> Vec<String> {
        let called = self.index.list(Having::Called { namespace, name }).into_iter();
        self.directories.read(|known| {
            called.filter_map(|address| known.get(address.kind)?.status(&address)?.id).collect()
        })
    }

    /// The status of a resource of any kind, for `who` asks; `None` where there is no such resource.
    ///
    /// # Errors
    /// `ReferenceNotReady` where its kind could not be listed yet; whoever asked is woken when that changes.
    pub async fn status_of(&self, address: &Address, who: &Address) -> Result<Option<CommonStatus>, Fault> {
        self.directories.known(&[address.kind], Some(&address.namespace), who).await?;
        Ok(self.directories.read(|known| known.get(address.kind)?.status(address)))
    }

    /// Kind and readiness of the connections and of the resources whose kind is known, and how many are so.
    pub fn readiness(&self) -> Vec<((&'static str, Readiness), usize)> {
        let mut readiness = self.index.readiness();
        readiness.retain(|((kind, _), _)| !self.directories.lacks(kind));
        readiness
    }

    /// Resolves once the resources of all kinds are known that may use this connection, or live in an organization of it.
    ///
    /// # Errors
    /// As [`Engine::status_of`].
    pub async fn complete(&self, key: &ConnectionKey, who: &Address) -> Result<(), Fault> {
        self.directories.complete(key.within(), who).await
    }

    /// The labels of a namespace; `None` while it is unknown, which is not the same as having none.
    pub fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let namespace = self.namespaces.store.get(&ObjectRef::new(name))?;
        Some(namespace.metadata.labels.clone().unwrap_or_default())
    }

    fn release_claims(&self, uid: &str) {
        self.wakes.wake(self.claims.release(uid));
    }

    /// Forgets a resource that is gone or needs nothing any more.
    pub fn forget(&self, uid: &str) {
        self.release_claims(uid);
        self.backoff.reset(uid);
        self.memo.forget(uid);
        self.telling.forget(uid);
        self.confirmations.forget(uid);
    }
}
