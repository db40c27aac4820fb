//! The wiring of one kind: one watch, one store, one queue.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{Action, Config as ControllerConfig, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{PredicateConfig, WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::address::ConnectionKey;
use super::attend::attend;
use super::claims::Claimant;
use super::directory::Stores;
use super::fault::Fault;
use super::kind::{Kind, Scope};
use super::needs;
use super::references::ORGANIZATION;
use super::run::Run;
use super::watched::{Feed, Watched, all, watched};
use super::{Config, Engine, malformed, reconcile};
use crate::api::{ConditionType, FINALIZER, ManagementPolicy, annotation};
use crate::runtime::admin::Readiness;
use crate::runtime::kubernetes::Watching;

/// So long what could not be read is not asked for again.
const AGAIN: Duration = Duration::from_secs(1);

type Guarded<K> = DeserializeGuard<K>;

/// Follows one kind, in all namespaces or the configured ones, until `stop`; then lets running reconciles end.
pub async fn follow<K: Kind>(engine: Arc<Engine>, readiness: Readiness, stop: CancellationToken) {
    let scopes = scopes(&engine.config);
    let (readers, feeds): (Vec<_>, Vec<_>) = scopes.iter().map(|_| watched::<Guarded<K>>()).unzip();
    let homes = Mutex::default();
    let kind =
        Arc::new(Followed { engine, readers, claims_known: OnceCell::new(), homes, stop: stop.clone() });
    let ready = readiness.register(K::KIND);
    let mut controllers = Vec::new();
    for ((scope, reader), feed) in scopes.into_iter().zip(kind.readers.clone()).zip(feeds) {
        let (followed, failing) = (kind.clone(), kind.engine.clone());
        let applied = watch::<K>(&kind.engine, scope.as_deref(), feed)
            .inspect_ok(move |event| followed.heard(event))
            .inspect_err(move |error| failing.watch_failed(K::KIND, error))
            .applied_objects()
            .predicate_filter(wants_attention::<K>, PredicateConfig::default())
            .filter(unfailing);
        let (kicks, began) = (kind.engine.wakes.listen(K::KIND, scope), reader.clone());
        let controller = Controller::for_stream(applied, reader.store)
            .with_config(ControllerConfig::default().concurrency(kind.engine.config.concurrency))
            .reconcile_on(kicks.map(|address| ObjectRef::new(&address.name).within(&address.namespace)))
            .graceful_shutdown_on(stop.clone().cancelled_owned())
            .run(
                |object, kind: Arc<Followed<K>>| kind.handle(object),
                |_, error, _| match *error {},
                kind.clone(),
            );
        controllers.push(until_idle(controller, began, stop.clone()).boxed());
    }
    let announce = async {
        if all(&kind.readers, Watched::warm).await {
            ready.ready();
        }
        if kind.learn_claims().await {
            kind.offer_directory();
        }
    };
    future::join(future::join_all(controllers), announce).await;
}

/// A failure was told, and the watch pauses after it: a controller that heard of it would pause all else, wakes too.
pub fn unfailing<T>(event: &watcher::Result<T>) -> future::Ready<bool> {
    future::ready(event.is_ok())
}

/// Runs a controller to its end. One that is stopped before its first list is complete would wait for that for ever
/// (kube 5.0.0); that, and what stands by, has nothing under way.
pub async fn until_idle<K>(controller: impl Stream, began: Watched<K>, stop: CancellationToken)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let stillborn = async {
        stop.cancelled().await;
        if began.is_filled() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = controller.for_each(|_| future::ready(())) => {}
        () = stillborn => {}
    }
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
    feed: Feed<Guarded<K>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<Guarded<K>>>> + use<K> {
    let mut config = Watching::Resources.config();
    config.label_selector = engine.config.label_selector.clone();
    feed.follow(scoped(engine.clients.resources.clone(), namespace), config, engine)
}

/// One kind being followed.
struct Followed<K: Kind> {
    engine: Arc<Engine>,
    readers: Vec<Watched<Guarded<K>>>,
    claims_known: OnceCell<()>,
    homes: Mutex<HashMap<Address, Home>>,
    stop: CancellationToken,
}

/// What those who live in an organization, or wait to, need to know of its resource: the id, and whether it is ready.
type Home = (Option<String>, bool);

impl<K: Kind> Followed<K> {
    async fn handle(self: Arc<Self>, object: Arc<Guarded<K>>) -> Result<Action, Infallible> {
        if !self.claims_known.initialized() {
            // It may have changed in the meantime: it is looked up anew.
            return Ok(match self.learn_claims().await {
                true => Action::requeue(Duration::ZERO),
                false => Action::await_change(),
            });
        }
        let reconcile = async |fresh: Guarded<K>| match fresh.0 {
            Ok(resource) => reconcile::reconcile(&self.engine, Arc::new(resource)).await,
            Err(invalid) => malformed::reconcile::<K>(&self.engine, &invalid).await,
        };
        Ok(attend(&self.engine, K::KIND, || self.now(&object), reconcile).await)
    }

    /// Rebuilds the claims of this kind from all statuses, once, when this process leads and before the first
    /// reconcile. `false`: the process is ending.
    async fn learn_claims(&self) -> bool {
        let learned = self.claims_known.get_or_try_init(|| async {
            let Engine { connections, namespaces, .. } = &*self.engine;
            let known = connections.known().await && namespaces.filled().await;
            if !(known && all(&self.readers, Watched::filled).await) {
                return Err(());
            }
            let mut all = self.all();
            all.sort_by_cached_key(|object| (object.creation_timestamp(), object.uid()));
            for object in all {
                while let Err(fault) = self.learn_claim(&object).await {
                    tracing::warn!(kind = K::KIND, name = object.name_any(), %fault, "what it holds cannot be read");
                    self.stop.run_until_cancelled(sleep(AGAIN)).await.ok_or(())?;
                }
            }
            Ok(())
        });
        learned.await.is_ok()
    }

    /// The oldest comes first and keeps what it has; a later one learns at its reconcile who holds it.
    async fn learn_claim(&self, object: &Guarded<K>) -> Result<(), Fault> {
        let (claimant, status) = match &object.0 {
            Ok(object) if object.management().management_policy == ManagementPolicy::Observe => return Ok(()),
            Ok(object) => (Claimant::of(object), object.status().cloned()),
            Err(invalid) => malformed::recorded::<K>(&self.engine, invalid).await?,
        };
        if self.now(object).is_none() {
            // It went while another could not be read.
            return Ok(());
        }
        for claim in status.iter().flat_map(Run::<K>::recorded_claims) {
            let _ = self.engine.claims.acquire(&claim, &claimant);
        }
        Ok(())
    }

    /// The resource of this name as it is now.
    fn now(&self, object: &Guarded<K>) -> Option<Arc<Guarded<K>>> {
        let reference = ObjectRef::from_obj(object);
        self.readers.iter().find_map(|reader| reader.store.get(&reference))
    }

    fn all(&self) -> Vec<Arc<Guarded<K>>> {
        self.readers.iter().flat_map(|reader| reader.store.state()).collect()
    }

    fn offer_directory(&self) {
        self.engine.add_directory(K::KIND, Box::new(Stores { readers: self.readers.clone() }));
    }

    /// Tells others what the store knows by now.
    fn heard(&self, event: &watcher::Event<Guarded<K>>) {
        match event {
            watcher::Event::Apply(object) => {
                self.tell_inhabitants(object, true);
                self.tell_connection(object);
            }
            watcher::Event::Delete(object) => {
                self.tell_inhabitants(object, false);
                gone(&self.engine, object);
            }
            watcher::Event::InitDone => {
                self.all().iter().for_each(|object| self.tell_inhabitants(object, true));
            }
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }

    /// Wakes the connection that does not tell yet what this resource is denied.
    fn tell_connection(&self, object: &Guarded<K>) {
        let Ok(denied) = &object.0 else { return };
        let namespace = object.namespace().unwrap_or_default();
        let key = ConnectionKey::of(&denied.management().connection_ref, &namespace);
        let sees_all = self.engine.config.sees_all_users(key.kind);
        if sees_all && needs::is_denied(denied) && !self.engine.connections.tells_missing(&key, K::KIND) {
            self.engine.wakes.wake([key.address()]);
        }
    }

    /// Wakes who lives in an organization, or waits to, when it comes or goes, or becomes ready or not.
    fn tell_inhabitants(&self, object: &Guarded<K>, is_there: bool) {
        if K::SCOPE == Scope::Organization {
            return;
        }
        let address = Address::of::<K>(object);
        let parsed = object.0.as_ref().ok();
        let status = parsed.and_then(|object| object.status()).map(|status| &status.common);
        let id = status.and_then(|status| status.id.clone());
        let ready = status.and_then(|status| ConditionType::Ready.find(&status.conditions));
        let home = (id.clone(), ready.is_some_and(|ready| ready.status == "True"));
        let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match is_there {
            true => homes.insert(address.clone(), home.clone()),
            false => homes.remove(&address).and(None),
        };
        drop(homes);
        if known != Some(home) {
            let owner = parsed.map_or_else(|| malformed::claimant::<K>(object.meta(), None), Claimant::of);
            let instance = status.and_then(|status| status.instance.as_deref());
            self.engine.wake_inhabitants(&owner, id.as_deref(), instance);
        }
    }
}

/// A resource that is gone holds nothing any more; its connection and its organization may have waited for that.
fn gone<K: Kind>(engine: &Engine, object: &Guarded<K>) {
    engine.forget(object.meta().uid.as_deref().unwrap_or_default());
    engine.connections.admissions().forget(&Address::of::<K>(object));
    let Ok(object) = &object.0 else { return };
    let namespace = object.namespace().unwrap_or_default();
    let key = ConnectionKey::of(&object.management().connection_ref, &namespace);
    // While others use it, it has nothing to do: who comes and goes must not make it call.
    if !engine.is_used(&key) {
        engine.wakes.wake([key.address()]);
    }
    if let Some(status) = object.status() {
        engine.wake_owner(&Claimant::of(object), &status.common);
    }
    let reference = object.organization().and_then(|selector| selector.r#ref.as_ref());
    engine.wakes.wake(reference.map(|r| Address { kind: ORGANIZATION, namespace, name: r.name.clone() }));
    engine.close_unused(&key);
}

/// What a person can change and must be answered to; our own writes are not among it.
fn wants_attention<K: Kind>(object: &Guarded<K>) -> Option<u64> {
    let meta = object.meta();
    let status = object.0.as_ref().ok().and_then(|o| o.status()).map(|status| &status.common);
    let (id, bound) = (status.and_then(|s| s.id.as_deref()), status.is_some_and(K::is_bound));
    let protected = meta.finalizers.iter().flatten().any(|f| f == FINALIZER);
    let annotations = meta.annotations.iter().flatten().filter(|(name, value)| match name.as_str() {
        annotation::CREATE_PENDING => false,
        annotation::ID => Some(value.as_str()) != id,
        _ => true,
    });
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.deletion_timestamp.is_some().hash(&mut hasher);
    (bound && !protected).hash(&mut hasher);
    object.0.is_err().hash(&mut hasher);
    for annotation in annotations {
        annotation.hash(&mut hasher);
    }
    Some(hasher.finish())
}
