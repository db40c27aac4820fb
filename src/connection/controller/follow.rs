//! `Connection` and `ClusterConnection`: proves the credential, says who it is, and stays while it is in use.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::api::ConnectionKind;
use crate::api::address::ConnectionKey;
use crate::connection::any_connection::AnyConnection;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::conditions::ReadyState;
use crate::engine::decision::error::RequeuePolicy;
use crate::engine::decision::outcome::{Outcome, OutcomeKind};
use crate::engine::index::facts::Facts;
use crate::engine::index::selector::Selector;
use crate::engine::kubernetes::stripped::{Slim, Stripped};
use crate::engine::reconcile::bounded::reconcile_guarded;
use crate::engine::reconcile::malformed;
use crate::engine::shared::Engine;
use crate::engine::watch::reflected_store::{ReflectedStore, StoreWriter};
use crate::engine::watch::work_queue::WorkQueue;
use crate::runtime::admin::Readiness;
use crate::runtime::kubernetes::Watching;

use crate::connection::controller::probe::probe;

/// What a controller of connections follows, and for how long.
pub struct FollowContext {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The one namespace it follows, or all.
    pub namespace: Option<String>,
    /// Where it says that it is ready.
    pub readiness: Readiness,
    /// When it ends.
    pub stop: CancellationToken,
}

/// Follows one kind of connection, all of them or those that `api` shows, until `stop`.
pub async fn follow<K: AnyConnection>(
    context: FollowContext,
    api: Api<Slim<DeserializeGuard<K>>>,
    reader: ReflectedStore<DeserializeGuard<K>>,
    writer: StoreWriter<DeserializeGuard<K>>,
) where
    DeserializeGuard<K>: Stripped,
{
    let FollowContext { engine, namespace, readiness, stop } = context;
    let ready = readiness.register(K::NAME);
    let unlisted = engine.clone();
    ready.lacks(move || match K::KIND {
        ConnectionKind::Connection => unlisted.connections.unlisted(),
        ConnectionKind::ClusterConnection => 0,
    });
    let (listening, failing) = (engine.clone(), engine.clone());
    let applied = writer
        .follow(api, Watching::Resources.config(), engine.leadership.clone(), engine.bulk.clone())
        .inspect_ok(move |event| heard(&listening, event))
        .inspect_err(move |error| failing.watch_failed(K::NAME, Some(K::crd_name()), error));
    let queue = WorkQueue::new(K::NAME, engine.config.concurrency);
    let inspecting = engine.clone();
    let inspect = move |object: &_| (inspecting.index.kept(claimant(object)), wants_attention(object));
    let requests =
        queue.requests(applied.boxed(), engine.requeues.listen(K::NAME, namespace.clone()).boxed(), inspect);
    let (reconciling, shown) = (engine.clone(), reader.clone());
    let reconcile = move |object| handle(object, reconciling.clone(), shown.clone());
    let controller = queue.run(requests, reader.clone(), stop, reconcile);
    let report_ready = async {
        if engine.connections.warm().await {
            ready.ready();
        }
    };
    let left_out = async {
        if let Some(namespace) = namespace
            && engine.connections.known().await
            && !reader.is_filled()
            && engine.leave_out(K::NAME, &namespace, &reader).await
        {
            engine.requeues.wake(engine.resources(Selector::Namespace(&namespace)));
        }
    };
    future::join3(controller, report_ready, left_out).await;
}

/// Keeps the index. A connection that is gone leaves its session to those who still need it to go themselves, else to
/// nobody.
fn heard<K: AnyConnection>(engine: &Engine, event: &watcher::Event<DeserializeGuard<K>>) {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    match event {
        Apply(object) | InitApply(object) => {
            let key = key(object);
            engine.index.put(facts(engine, &key, object));
            engine.requeues.wake(engine.confirmations.observe(&key, object.annotations()));
        }
        Delete(object) => {
            let (key, uid) = (key(object), object.meta().uid.as_deref().unwrap_or_default());
            engine.index.remove(uid);
            engine.forget(uid);
            engine.requeues.wake(engine.confirmations.observe(&key, &BTreeMap::new()));
            engine.connections.admissions().forget(&key.address());
            engine.close_unused(&key);
        }
        Init | InitDone => {}
    }
}

fn key<K: AnyConnection>(object: &DeserializeGuard<K>) -> ConnectionKey {
    let namespace = object.namespace().unwrap_or_default();
    ConnectionKey { kind: K::KIND, namespace, name: object.name_any() }
}

/// As the index keeps it.
fn claimant<K: AnyConnection>(object: &DeserializeGuard<K>) -> Claimant {
    let (uid, address) = (object.uid().unwrap_or_default(), key(object).address());
    Claimant { uid, address, connection: K::KIND }
}

fn facts<K: AnyConnection>(engine: &Engine, key: &ConnectionKey, object: &DeserializeGuard<K>) -> Facts {
    let parsed = object.0.as_ref().ok();
    let conditions = |connection: &K| connection.status().map(|status| status.conditions.clone());
    let readiness =
        parsed.map_or(ReadyState::MALFORMED, |c| ReadyState::of(&conditions(c).unwrap_or_default()));
    let read = (engine.connections.secrets_namespace(key), parsed.map(K::endpoint));
    Facts::of_connection(key, object.uid().unwrap_or_default(), read, readiness)
}

fn wants_attention<K: AnyConnection>(object: &DeserializeGuard<K>) -> u64 {
    let mut hasher = DefaultHasher::new();
    let meta = object.meta();
    (meta.generation, meta.deletion_timestamp.is_some(), &meta.annotations).hash(&mut hasher);
    hasher.finish()
}

async fn handle<K: AnyConnection>(
    object: Arc<DeserializeGuard<K>>,
    engine: Arc<Engine>,
    reader: ReflectedStore<DeserializeGuard<K>>,
) -> Option<Duration>
where
    DeserializeGuard<K>: Stripped,
{
    if !reader.is_filled() {
        // It may have changed in the meantime: it is looked up anew.
        return reader.filled().await.then_some(Duration::ZERO);
    }
    let reference = ObjectRef::from_obj(&*object);
    let now = || reader.store.get(&reference);
    let reconcile = async |latest: DeserializeGuard<K>| {
        let spec = |object: &DeserializeGuard<K>| (object.uid(), object.meta().generation);
        if now().is_none_or(|shown| spec(&shown) != spec(&latest)) {
            // Its session would be one of the spec that was shown last, and says nothing of this one.
            let uid = latest.meta().uid.as_deref().unwrap_or_default();
            let next = engine.object_states.next_attempt(uid, RequeuePolicy::Transient, Duration::ZERO);
            return Outcome::silent(OutcomeKind::Requeue, Some(next));
        }
        let key = key(&latest);
        match &latest.0 {
            Ok(connection) => probe(&engine, key, connection).await,
            Err(invalid) => {
                let unused = engine.users(&key) == Some(0);
                malformed::tell::<K>(&engine, K::NAME, invalid, |_| unused).await
            }
        }
    };
    reconcile_guarded(&engine, K::NAME, now, reconcile).await
}
