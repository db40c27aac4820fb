//! The cluster as tests hold it.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::fault::{Call, Faults, Fine};
use super::kind::Kind;
use super::managers::Author;
use super::route::Verb;
use super::store::{Change, Store};
use super::write::{NAMESPACES, Writer};

/// When every cluster begins: 2026-01-01T00:00:00Z.
const EPOCH_SECONDS: i64 = 1_767_225_600;

/// A Kubernetes API in memory. Cheap to clone; clones are the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    state: Mutex<State>,
    /// Wakes in order; a `tokio::sync::watch` does not.
    pub(super) changed: Notify,
    /// How often all watches were ended.
    pub(super) ended: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub store: Store,
    pub calls: Vec<Call>,
    pub faults: Arc<dyn Faults>,
    pub watch_lag: Duration,
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One committed change.
#[derive(Clone, Debug)]
pub struct Write {
    /// The resourceVersion that it made.
    pub resource_version: u64,
    /// The [`Call::index`] of the request that made it.
    pub call: usize,
    /// What that request asked for; a deletion may come of a patch, and much of one deleted namespace.
    pub verb: Verb,
    /// The API group; empty for core resources.
    pub group: String,
    /// The plural, such as `projects`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for cluster-wide kinds.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The field manager of the request.
    pub manager: String,
    /// The object before; none if it was made.
    pub before: Option<Arc<Value>>,
    /// The object after; none if it is gone.
    pub after: Option<Arc<Value>>,
}

impl Write {
    fn of(change: &Change, state: &State) -> Self {
        let kind = &state.store.kinds[change.key.kind];
        Self {
            resource_version: change.version,
            call: change.call,
            verb: state.calls.get(change.call).map_or(Verb::Create, |call| call.verb),
            group: kind.group.clone(),
            resource: kind.plural.clone(),
            subresource: change.subresource.clone(),
            namespace: change.key.namespace.clone(),
            name: change.key.name.clone(),
            manager: change.manager.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        }
    }
}

impl Cluster {
    /// A cluster with the namespace `default` that serves these definitions too. Needs a tokio runtime.
    pub fn new(definitions: &[CustomResourceDefinition]) -> Self {
        let mut store = Store::new(Timestamp::from_second(EPOCH_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH));
        let custom = definitions.iter().flat_map(Kind::custom);
        store.kinds = Kind::built_in().into_iter().chain(custom).map(Arc::new).collect();
        let state = State { store, calls: Vec::new(), faults: Arc::new(Fine), watch_lag: Duration::ZERO };
        let cluster = Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                changed: Notify::new(),
                ended: AtomicU64::new(0),
            }),
        };
        cluster.add_namespace("default");
        cluster
    }

    /// Serves a definition, or takes it in the place of the one with the same group, plural and version. Objects
    /// are shown as they fit it now, without a write; those that are not valid by it may keep what they had.
    pub fn redefine(&self, definition: &CustomResourceDefinition) {
        let store = &mut self.inner.state().store;
        for changed in Kind::custom(definition) {
            let same = |kind: &Arc<Kind>| {
                (&kind.group, &kind.plural, &kind.version)
                    == (&changed.group, &changed.plural, &changed.version)
            };
            match store.kinds.iter().position(same) {
                Some(index) => store.redefine(index, changed),
                None => store.kinds.push(Arc::new(changed)),
            }
        }
    }

    /// A client that speaks to it. Every client has a task of its own in the runtime it is made in.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Makes a namespace, if it is not there.
    pub fn add_namespace(&self, name: &str) {
        let mut state = self.inner.state();
        let now = state.store.now();
        let author = Author { manager: "cluster".into(), subresource: String::new(), now };
        let kind = state.store.kinds[NAMESPACES].clone();
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        // A refusal says that it is there.
        let _ = Writer { store: &mut state.store, kind, author }.create(NAMESPACES, "", body);
        self.inner.changed.notify_waiters();
    }

    /// Sets what comes between requests and answers from now on.
    pub fn set_faults(&self, faults: impl Faults) {
        self.inner.state().faults = Arc::new(faults);
    }

    /// Requests go through again.
    pub fn clear_faults(&self) {
        self.set_faults(Fine);
    }

    /// Every change reaches watches only after that time; reads are current.
    pub fn set_watch_lag(&self, lag: Duration) {
        self.inner.state().watch_lag = lag;
        self.inner.changed.notify_waiters();
    }

    /// Ends every watch under way, as a restart of the API server does.
    pub fn end_watches(&self) {
        self.inner.ended.fetch_add(1, Ordering::SeqCst);
        self.inner.changed.notify_waiters();
    }

    /// Forgets the past: watches and continued lists of an earlier resourceVersion get 410 from now on.
    pub fn compact(&self) {
        let mut state = self.inner.state();
        state.store.oldest = state.store.version;
    }

    /// The resourceVersion of the last change.
    pub fn resource_version(&self) -> u64 {
        self.inner.state().store.version
    }

    /// Waits until there is a later change than this, and returns the last one's resourceVersion.
    pub async fn changed_since(&self, version: u64) -> u64 {
        loop {
            let mut changed = pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            let latest = self.resource_version();
            if latest > version {
                return latest;
            }
            changed.await;
        }
    }

    /// Every committed change since the start, in order. What changed nothing is not among them.
    pub fn writes(&self) -> Vec<Write> {
        self.writes_since(0)
    }

    /// Every committed change after a resourceVersion, in order.
    pub fn writes_since(&self, version: u64) -> Vec<Write> {
        let state = self.inner.state();
        state.store.since(version).iter().map(|change| Write::of(change, &state)).collect()
    }

    /// Every request since the start, in order of arrival, refused ones too.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.state().calls.clone()
    }
}
