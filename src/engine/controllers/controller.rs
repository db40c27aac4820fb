//! The wiring of one kind: one watch, one store, one queue.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::api::address::{Address, ConnectionKey, ORGANIZATION, PROJECT};
use crate::api::{ConditionType, annotation};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::config::Config;
use crate::engine::drivers::kind::Kind;
use crate::engine::drivers::subject::KindInfo;
use crate::engine::index::facts::{Facts, malformed_claimant};
use crate::engine::index::needs;
use crate::engine::index::selector::Selector;
use crate::engine::kubernetes::resource::is_protected;
use crate::engine::reconcile::bounded::reconcile_guarded;
use crate::engine::reconcile::{malformed, run};
use crate::engine::shared::Engine;
use crate::engine::watch::reflected_store::{ReflectedStore, StoreWriter, all_warm, reflected_store};
use crate::engine::watch::work_queue::WorkQueue;
use crate::runtime::admin::Readiness;
use crate::runtime::kubernetes::Watching;

pub(crate) type Guarded<K> = DeserializeGuard<K>;

/// Follows one kind, in all namespaces or the configured ones, until `stop`; then lets running reconciles end.
pub async fn follow<K: Kind>(engine: Arc<Engine>, readiness: Readiness, stop: CancellationToken) {
    let scopes = scopes(&engine.config);
    let (readers, writers): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflected_store::<Guarded<K>>()).unzip();
    let claims_known = scopes.iter().map(|_| SetOnce::new()).collect();
    let (parents, elsewhere) = (Mutex::default(), Mutex::default());
    let kind =
        Arc::new(KindController { engine, readers, claims_known, elsewhere, parents, stop: stop.clone() });
    let ready = readiness.register(K::KIND);
    let counted = kind.readers.clone();
    ready.lacks(move || counted.iter().filter(|reader| !reader.is_warm()).count());
    let mut controllers = Vec::new();
    for ((scope, reader), writer) in scopes.into_iter().zip(kind.readers.clone()).zip(writers) {
        let (followed, failing) = (kind.clone(), kind.engine.clone());
        let applied = watch::<K>(&kind.engine, scope.as_deref(), writer)
            .inspect_ok(move |event| followed.heard(event))
            .inspect_err(move |error| failing.watch_failed(K::KIND, Some(K::crd_name()), error));
        let (queue, inspecting) =
            (WorkQueue::new(K::KIND, kind.engine.config.concurrency), kind.engine.clone());
        let inspect =
            move |object: &_| (inspecting.index.kept(claimant::<K>(object)), wants_attention(object));
        let requests =
            queue.requests(applied.boxed(), kind.engine.requeues.listen(K::KIND, scope).boxed(), inspect);
        let reconciling = kind.clone();
        let reconcile = move |object| reconciling.clone().handle(object);
        controllers.push(queue.run(requests, reader, stop.clone(), reconcile).boxed());
    }
    let report_ready = async {
        if all_warm(&kind.readers).await.is_some() {
            ready.ready();
        }
    };
    // Ends with the process, or once nothing is left out.
    let learn = stop.run_until_cancelled(kind.learn());
    future::join3(future::join_all(controllers), report_ready, learn).await;
}

/// The namespaces that are followed, one by one; `None` is all of them.
pub fn scopes(config: &Config) -> Vec<Option<String>> {
    match config.namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().cloned().map(Some).collect(),
    }
}

/// The resources of one scope.
pub fn scoped<K>(client: kube::Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

fn watch<K: Kind>(
    engine: &Engine,
    namespace: Option<&str>,
    writer: StoreWriter<Guarded<K>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<Guarded<K>>>> + use<K> {
    let mut config = Watching::Resources.config();
    config.label_selector = engine.config.label_selector.clone();
    writer.follow(
        scoped(engine.clients.resources.clone(), namespace),
        config,
        engine.leadership.clone(),
        engine.bulk.clone(),
    )
}

/// One kind being followed.
pub(crate) struct KindController<K: Kind> {
    pub(crate) engine: Arc<Engine>,
    /// One a scope.
    pub(crate) readers: Vec<ReflectedStore<Guarded<K>>>,
    /// Of each scope: nothing in it is reconciled before.
    pub(crate) claims_known: Vec<SetOnce<()>>,
    pub(crate) elsewhere: Mutex<Elsewhere>,
    /// What those in an organization or a project were last told of it.
    parents: Mutex<HashMap<Address, (ParentReadiness, OrganizationName)>>,
    pub(crate) stop: CancellationToken,
}

/// By namespace that is left out the UIDs of the resources that were seen there by the list of all namespaces.
pub(crate) type Elsewhere = HashMap<String, HashSet<String>>;

/// What those need to know that are in what a resource owns, or wait for it: the id, and whether it is ready.
type ParentReadiness = (Option<String>, bool);

/// What an organization was called last, for those who name it so.
type OrganizationName = Option<String>;

impl<K: Kind> KindController<K> {
    /// Reconciles it; answers after which time it is due again, if it is.
    async fn handle(self: Arc<Self>, object: Arc<Guarded<K>>) -> Option<Duration> {
        let claims_known = self.claims_known.get(self.scope_of(&*object));
        if let Some(known) = claims_known.filter(|known| !known.initialized()) {
            // It may have changed in the meantime: it is looked up anew.
            return self.stop.run_until_cancelled(known.wait()).await.map(|()| Duration::ZERO);
        }
        let reconcile = async |latest: Guarded<K>| match latest.0 {
            Ok(resource) => run::reconcile(&self.engine, Arc::new(resource)).await,
            Err(invalid) => malformed::reconcile::<K>(&self.engine, &invalid).await,
        };
        reconcile_guarded(&self.engine, K::KIND, || self.now(&object), reconcile).await
    }

    /// Which of the scopes it is in.
    pub(crate) fn scope_of(&self, object: &impl ResourceExt) -> usize {
        let namespaces = &self.engine.config.namespaces;
        namespaces.iter().position(|followed| Some(followed) == object.namespace().as_ref()).unwrap_or(0)
    }

    /// The resource of this name as it is now.
    pub(crate) fn now(&self, object: &Guarded<K>) -> Option<Arc<Guarded<K>>> {
        let reference = ObjectRef::from_obj(object);
        self.readers.iter().find_map(|reader| reader.store.get(&reference))
    }

    /// Tells others what the store knows by now.
    fn heard(&self, event: &watcher::Event<Guarded<K>>) {
        match event {
            watcher::Event::Apply(object) => {
                self.note(object);
                self.tell_connection(object);
            }
            watcher::Event::InitApply(object) => self.note(object),
            watcher::Event::Delete(object) => {
                let left = self.engine.index.remove(object.meta().uid.as_deref().unwrap_or_default());
                self.notify_members(object, false);
                gone(&self.engine, object);
                left.iter().for_each(|key| leave(&self.engine, key));
            }
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    /// Keeps the index, and tells who depends on what changed.
    fn note(&self, object: &Guarded<K>) {
        let left = self.engine.index.put(Facts::of::<K>(object));
        left.iter().for_each(|key| leave(&self.engine, key));
        self.notify_members(object, true);
    }

    /// Wakes the connection that does not tell yet what this resource is denied.
    fn tell_connection(&self, object: &Guarded<K>) {
        let Ok(denied) = &object.0 else { return };
        let namespace = object.namespace().unwrap_or_default();
        let key = ConnectionKey::of(&denied.management().connection_ref, &namespace);
        let sees_all = self.engine.config.sees_all_users(key.kind);
        if sees_all && needs::is_denied(denied) && !self.engine.connections.tells_missing(&key, K::KIND) {
            self.engine.requeues.wake([key.address()]);
        }
    }

    /// Wakes the members of an organization, those that refer to a `Project`, and those that wait for either, when it comes
    /// or goes, or becomes ready or not; and who names an organization so, when it is called otherwise than before.
    fn notify_members(&self, object: &Guarded<K>, is_there: bool) {
        let (address, is_organization) = (K::address_of(object), KindInfo::of_kind::<K>().is_organization());
        let is_referred_to = || self.engine.index.has_any(Selector::Referring(&address));
        let has_children = is_organization || K::KIND == PROJECT && is_referred_to();
        if !has_children {
            return;
        }
        let parsed = object.0.as_ref().ok();
        let status = parsed.and_then(|object| object.status()).map(|status| &status.common);
        let id = status.and_then(|status| status.id.clone());
        let ready = status.and_then(|status| ConditionType::Ready.find(&status.conditions));
        let is_ready = ready.is_some_and(|ready| ready.status == "True");
        let settled = is_ready && status.and_then(|s| s.observed_generation) == object.meta().generation;
        let called_now = parsed.filter(|_| settled).and_then(K::object_name);
        let readiness = (id.clone(), is_ready);
        let mut parents = self.parents.lock();
        let known = parents.remove(&address).filter(|_| is_there);
        let (known, called) = known.unzip();
        let called = called.flatten();
        let called_now = called_now.or_else(|| called.clone());
        if is_there {
            parents.insert(address.clone(), (readiness.clone(), called_now.clone()));
        }
        drop(parents);
        if known != Some(readiness) {
            let instance = status.and_then(|status| status.instance.as_deref());
            match is_organization {
                true => self.engine.wake_members(&claimant(object), id.as_deref(), instance),
                false => self.engine.requeues.wake(self.engine.resources(Selector::Referring(&address))),
            }
        }
        if let Some(name) = called_now.filter(|called_now| Some(called_now) != called.as_ref()) {
            let named = Selector::Named { namespace: &address.namespace, name: &name };
            self.engine.requeues.wake(self.engine.resources(named));
        }
    }
}

fn claimant<K: Kind>(object: &Guarded<K>) -> Claimant {
    object.0.as_ref().map_or_else(|_| malformed_claimant::<K>(object.meta(), None), K::claimant)
}

/// A resource that is gone holds nothing any more; its organization may have waited for that.
fn gone<K: Kind>(engine: &Engine, object: &Guarded<K>) {
    engine.forget(object.meta().uid.as_deref().unwrap_or_default());
    engine.connections.admissions().forget(&K::address_of(object));
    let Ok(object) = &object.0 else { return };
    let namespace = object.namespace().unwrap_or_default();
    if let Some(status) = object.status() {
        engine.wake_owner(&object.claimant(), &status.common);
    }
    let reference = object.organization().and_then(|selector| selector.r#ref.as_ref());
    engine.requeues.wake(reference.map(|r| Address { kind: ORGANIZATION, namespace, name: r.name.clone() }));
}

/// Tells a connection that its last user left it. While others use it, it has nothing to do: who comes and goes must not
/// make it call.
fn leave(engine: &Engine, key: &ConnectionKey) {
    if !engine.is_used(key) {
        engine.requeues.wake([key.address()]);
    }
    engine.close_unused(key);
}

/// What a person can change and must be answered to; our own writes are not among it.
fn wants_attention<K: Kind>(object: &Guarded<K>) -> u64 {
    let meta = object.meta();
    let status = object.0.as_ref().ok().and_then(|o| o.status()).map(|status| &status.common);
    let id = status.and_then(|status| status.id.as_deref());
    let owned = status.is_some_and(|status| KindInfo::of_kind::<K>().is_owned(status));
    let annotations = meta.annotations.iter().flatten().filter(|(name, value)| match name.as_str() {
        annotation::ID => Some(value.as_str()) != id,
        _ => true,
    });
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    (owned && !is_protected(meta)).hash(&mut hasher);
    object.0.is_err().hash(&mut hasher);
    for annotation in annotations {
        annotation.hash(&mut hasher);
    }
    hasher.finish()
}
