//! A store fed by a watch, and the sign that it knows the cluster.
//!
//! A process that stands by follows the cluster as well. When it leads it lists everything again: its watch may be a
//! while behind, and what the leader before wrote last must be known before anything is decided.
//!
//! What is passed on is in the store by then: kube alone would pass on what a list shows while the store still has
//! nothing of it, or the old.
//!
//! kube's own `Store::wait_until_ready` wakes only the task that asked last (5.0.0): everybody else would sleep on.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, select_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::engine::kubernetes::bulk::Bulk;
use crate::engine::kubernetes::stripped::{Slim, Stripped, unwrapped};
use crate::engine::watch::synthesize_deletes;
use crate::runtime::kubernetes::Pauses;
use crate::runtime::lease::Leadership;

/// What cannot be listed is waited for so long after another was: longer than a watch pauses between two attempts.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SyncState {
    Nothing,
    /// A whole list, from when another process may have been writing.
    Warm,
    /// A whole list that was begun when this process led.
    All,
}

/// The reading side.
pub struct ReflectedStore<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// What was seen so far.
    pub store: Store<K>,
    state: watch::Receiver<State>,
}

/// What a store knows, and whether the last attempt to list failed.
#[derive(Clone, Copy, Debug)]
struct State {
    sync: SyncState,
    fails: bool,
}

/// The writing side.
pub struct StoreWriter<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    state: watch::Sender<State>,
}

/// An empty store and what feeds it.
pub fn reflected_store<K: Resource<DynamicType = ()> + Clone + 'static>()
-> (ReflectedStore<K>, StoreWriter<K>) {
    let nothing = State { sync: SyncState::Nothing, fails: false };
    let ((store, writer), (sender, state)) = (store(), watch::channel(nothing));
    (ReflectedStore { store, state }, StoreWriter { writer, state: sender })
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for ReflectedStore<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), state: self.state.clone() }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> ReflectedStore<K> {
    /// Resolves once the store holds a whole list that was begun when this process led; any number may wait.
    /// `false`: it is fed no longer.
    pub async fn filled(&self) -> bool {
        self.sync(SyncState::All).await
    }

    /// Resolves once the store holds a whole list, whoever leads. `false`: it is fed no longer.
    pub async fn warm(&self) -> bool {
        self.sync(SyncState::Warm).await
    }

    /// Is it filled, as [`Self::filled`] says it?
    pub fn is_filled(&self) -> bool {
        self.state.borrow().sync == SyncState::All
    }

    /// Is it warm, as [`Self::warm`] says it?
    pub fn is_warm(&self) -> bool {
        self.state.borrow().sync >= SyncState::Warm
    }

    async fn sync(&self, enough: SyncState) -> bool {
        self.state.clone().wait_for(|state| state.sync >= enough).await.is_ok()
    }

    /// Resolves where it cannot be listed at this time or later.
    async fn fails_after(&self, time: Instant) {
        sleep_until(time).await;
        // Where it is fed no longer, that is told first.
        let _ = self.state.clone().wait_for(|state| state.fails).await;
    }
}

impl<K: Stripped + Clone + 'static> StoreWriter<K> {
    /// Fills the store from a watch that outlives errors, and passes the events on.
    pub fn follow(
        self,
        api: Api<Slim<K>>,
        config: watcher::Config,
        leadership: Leadership,
        bulk: Arc<Bulk>,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + use<K>
    where
        K: DeserializeOwned + Debug + Send + Sync,
    {
        let watch = move || {
            let watch = watcher(api.clone(), config.clone()).backoff(Pauses::default());
            listed_in_turn(watch, bulk.clone()).map_ok(unwrapped)
        };
        let standby = watch().take_until(leadership.begun().clone().cancelled_owned());
        let events = synthesize_deletes::synthesize_deletes(standby.chain(watch()), self.writer.as_reader());
        self.reflect(events, leadership)
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> StoreWriter<K> {
    fn reflect<S>(
        self,
        watch: S,
        leadership: Leadership,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>>
    where
        S: Stream<Item = watcher::Result<watcher::Event<K>>>,
    {
        let Self { writer, state } = self;
        let failing = state.clone();
        let (mut next, mut filling) = (SyncState::Warm, Filling::of(writer));
        watch
            .flat_map(move |event| stream::iter(filling.take(event)))
            .inspect_ok(move |event| match event {
                watcher::Event::Init if leadership.begun().is_cancelled() => next = SyncState::All,
                watcher::Event::InitDone => drop(state.send_replace(State { sync: next, fails: false })),
                _ => {}
            })
            .inspect(move |event| match event {
                Ok(watcher::Event::Init) => failing.send_modify(|state| state.fails = false),
                Err(_) => failing.send_modify(|state| state.fails = true),
                Ok(_) => {}
            })
    }
}

/// Fills a store. The first list becomes its content at once, what a later one shows comes to what is there object by
/// object, so that there is never a second copy of all; what it does not show is told to be gone before it ends.
struct Filling<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    store: Store<K>,
    /// What the first list has shown so far; `None` once it was whole.
    first: Option<Vec<ObjectRef<K>>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Filling<K> {
    fn of(writer: Writer<K>) -> Self {
        Self { store: writer.as_reader(), writer, first: Some(Vec::new()) }
    }

    /// Stores what the event tells; answers what is to be passed on now.
    fn take(
        &mut self,
        event: watcher::Result<watcher::Event<K>>,
    ) -> impl Iterator<Item = watcher::Result<watcher::Event<K>>> + use<K> {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (mut listed, mut passed) = (Vec::new(), None);
        match (event, &mut self.first) {
            (Ok(InitApply(object)), Some(first)) => {
                first.push(ObjectRef::from_obj(&object));
                self.writer.apply_watcher_event(&InitApply(object));
            }
            (Ok(InitApply(object)), None) => {
                let known = self.store.get(&ObjectRef::from_obj(&object));
                if known.is_none_or(|known| known.resource_version() != object.resource_version()) {
                    self.writer.apply_watcher_event(&Apply(object.clone()));
                }
                passed = Some(Ok(InitApply(object)));
            }
            (Ok(event @ (Init | InitDone)), first) => {
                if let Some(shown) = first {
                    self.writer.apply_watcher_event(&event);
                    listed = std::mem::take(shown);
                }
                if matches!(event, InitDone) {
                    *first = None;
                } else {
                    listed.clear();
                }
                passed = Some(Ok(event));
            }
            (Ok(event @ (Apply(_) | Delete(_))), _) => {
                self.writer.apply_watcher_event(&event);
                passed = Some(Ok(event));
            }
            (Err(error), _) => passed = Some(Err(error)),
        }
        let store = self.store.clone();
        let listed = listed.into_iter().filter_map(move |object| store.get(&object));
        listed.map(|object| Ok(InitApply((*object).clone()))).chain(passed)
    }
}

/// The events, where a list begins only once few others are under way.
fn listed_in_turn<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    bulk: Arc<Bulk>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send {
    stream::unfold((events.boxed(), None, bulk), |(mut events, mut listing, bulk)| async move {
        let event = events.next().await?;
        match &event {
            Ok(watcher::Event::Init) => listing = bulk.listing().await,
            Ok(watcher::Event::InitDone) | Err(_) => listing = None,
            Ok(_) => {}
        }
        Some((event, (events, listing, bulk)))
    })
}

/// As [`ReflectedStore::filled`] of all of them, but for those that cannot be listed while another can: answers which.
/// `None`: they are fed no longer.
pub async fn all_filled<K>(reflected_store: &[ReflectedStore<K>]) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    all_know(reflected_store, SyncState::All).await
}

/// As [`ReflectedStore::warm`] of all of them, with the exceptions of [`all_filled`].
pub async fn all_warm<K>(reflected_store: &[ReflectedStore<K>]) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    all_know(reflected_store, SyncState::Warm).await
}

async fn all_know<K>(reflected_store: &[ReflectedStore<K>], enough: SyncState) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    if reflected_store.is_empty() {
        return Some(Vec::new());
    }
    // While none can be listed, all of them are waited for: it is the API server that is not there, or not ready.
    let (is_fed, ..) = select_all(reflected_store.iter().map(|one| one.sync(enough).boxed())).await;
    let until = Instant::now() + PATIENCE;
    let each = reflected_store.iter().map(|one| async move {
        tokio::select! {
            biased;
            is_fed = one.sync(enough) => is_fed.then_some(true),
            () = one.fails_after(until) => Some(false),
        }
    });
    let each: Option<Vec<bool>> = join_all(each).await.into_iter().collect();
    let listed = each.filter(|_| is_fed)?.into_iter().enumerate();
    Some(listed.filter(|(_, is_listed)| !is_listed).map(|(number, _)| number).collect())
}

#[cfg(test)]
mod tests;
