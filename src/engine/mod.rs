//! The engine: reconciles any [`kind::Kind`] without knowing one.

pub mod access;
pub mod backoff;
pub mod claims;
pub mod connections;
pub mod controller;
pub mod credentials;
pub mod events;
mod explain;
pub mod fault;
pub mod kind;
mod malformed;
pub mod memo;
pub mod metrics;
pub mod pending;
pub mod plan;
mod reconcile;
pub mod resource;
mod run;
pub mod session;
pub mod status;
mod steps;
pub mod wake;
pub mod watched;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;

use backoff::{Backoff, Delays};
use claims::{Claim, Claimant, Claims};
use connections::{ConnectionKey, Connections};
use events::Events;
use memo::Memo;
use metrics::Metrics;
use wake::{Address, Wakes};
use watched::Watched;

use crate::runtime::lease::Leadership;

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Reconciles of one kind at a time.
    pub concurrency: u16,
    /// The resync interval where no connection says one.
    pub resync: Duration,
    /// No connection makes it shorter.
    pub min_resync: Duration,
    /// How long an outage must last before it shows in a `Ready` that was true.
    pub outage_grace: Duration,
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
            outage_grace: Duration::from_secs(300),
            delays: Delays::default(),
            namespaces: Vec::new(),
            label_selector: None,
        }
    }
}

/// What the resources asked for have in common.
#[derive(Clone, Copy, Debug)]
pub enum Having<'a> {
    /// They use this connection.
    Connection(&'a ConnectionKey),
    /// They are in this namespace.
    Namespace(&'a str),
}

/// Lists the resources of a kind.
type Resources = dyn Fn(Having<'_>) -> Vec<Address> + Send + Sync;

/// Everything the controllers share.
pub struct Engine {
    /// The Kubernetes API.
    pub client: kube::Client,
    /// The settings.
    pub config: Config,
    /// The connections and their sessions.
    pub connections: Connections,
    /// Who owns what.
    pub claims: Claims,
    /// The wake channel.
    pub wakes: Wakes,
    /// The delays.
    pub backoff: Backoff,
    /// What is remembered between reconciles.
    pub memo: Memo,
    /// Where events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this process may write.
    pub leadership: Leadership,
    namespaces: Watched<PartialObjectMeta<Namespace>>,
    resources: Mutex<Vec<Box<Resources>>>,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(
        client: kube::Client,
        config: Config,
        connections: Connections,
        namespaces: Watched<PartialObjectMeta<Namespace>>,
        metrics: Metrics,
        leadership: Leadership,
    ) -> Self {
        Self {
            events: Events::new(client.clone(), None),
            backoff: Backoff::new(config.delays),
            client,
            config,
            connections,
            claims: Claims::default(),
            wakes: Wakes::default(),
            memo: Memo::default(),
            metrics,
            namespaces,
            resources: Mutex::default(),
            leadership,
        }
    }

    /// Adds a way to list the resources of a kind, once they are known.
    pub fn add_resources(&self, list: Box<Resources>) {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).push(list);
    }

    /// The resources of all kinds that have this in common.
    pub fn resources(&self, having: Having<'_>) -> Vec<Address> {
        let lists = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        lists.iter().flat_map(|list| list(having)).collect()
    }

    /// How many resources use a connection; `None` while not all of that many kinds are known.
    pub fn users(&self, key: &ConnectionKey, kinds: usize) -> Option<usize> {
        let known = self.resources.lock().unwrap_or_else(PoisonError::into_inner).len();
        (known >= kinds).then(|| self.resources(Having::Connection(key)).len())
    }

    /// The labels of a namespace; none while it is unknown.
    pub fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        let namespace = self.namespaces.store.get(&ObjectRef::new(name));
        namespace.and_then(|n| n.metadata.labels.clone()).unwrap_or_default()
    }

    /// Resolves once the namespaces' labels are known.
    pub async fn namespaces_known(&self) {
        // Fed no longer: the process is ending.
        let _ = self.namespaces.filled().await;
    }

    /// Takes a claim, or says who holds it.
    fn claim(&self, claim: &Claim, claimant: &Claimant) -> Result<(), Claimant> {
        self.claims.acquire(claim, claimant)
    }

    /// Who else holds a claim.
    fn holder(&self, claim: &Claim, uid: &str) -> Option<Claimant> {
        self.claims.held_by_other(claim, uid)
    }

    fn wake_waiting(&self, claim: &Claim) {
        self.wakes.wake(self.claims.take_waiting(claim));
    }

    fn release_claims(&self, uid: &str) {
        self.wakes.wake(self.claims.release(uid));
    }

    /// Forgets a resource that is gone or needs nothing any more.
    pub fn forget(&self, uid: &str) {
        self.release_claims(uid);
        self.backoff.reset(uid);
        self.memo.forget(uid);
    }
}
