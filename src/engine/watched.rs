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

use futures::{Stream, StreamExt, TryStreamExt, stream};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::bulk::Bulk;
use super::stripped::{Slim, Stripped, unwrapped};
use super::{Engine, departures};
use crate::runtime::kubernetes::Pauses;
use crate::runtime::lease::Leadership;

/// What a store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Knows {
    Nothing,
    /// A whole list, from when another process may have been writing.
    Warm,
    /// A whole list that was begun when this process led.
    All,
}

/// The reading side.
pub struct Watched<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// What was seen so far.
    pub store: Store<K>,
    knows: watch::Receiver<Knows>,
}

/// The writing side.
pub struct Feed<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    knows: watch::Sender<Knows>,
}

/// An empty store and what feeds it.
pub fn watched<K: Resource<DynamicType = ()> + Clone + 'static>() -> (Watched<K>, Feed<K>) {
    let ((store, writer), (sender, knows)) = (store(), watch::channel(Knows::Nothing));
    (Watched { store, knows }, Feed { writer, knows: sender })
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), knows: self.knows.clone() }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Watched<K> {
    /// Resolves once the store holds a whole list that was begun when this process led; any number may wait.
    /// `false`: it is fed no longer.
    pub async fn filled(&self) -> bool {
        self.knows(Knows::All).await
    }

    /// Resolves once the store holds a whole list, whoever leads. `false`: it is fed no longer.
    pub async fn warm(&self) -> bool {
        self.knows(Knows::Warm).await
    }

    /// Is it filled, as [`Self::filled`] says it?
    pub fn is_filled(&self) -> bool {
        *self.knows.borrow() == Knows::All
    }

    async fn knows(&self, enough: Knows) -> bool {
        self.knows.clone().wait_for(|knows| *knows >= enough).await.is_ok()
    }
}

impl<K: Stripped + Clone + 'static> Feed<K> {
    /// Fills the store from a watch that outlives errors, and passes the events on.
    pub fn follow(
        self,
        api: Api<Slim<K>>,
        config: watcher::Config,
        engine: &Engine,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + use<K>
    where
        K: DeserializeOwned + Debug + Send + Sync,
    {
        let (leadership, bulk) = (engine.leadership.clone(), engine.bulk.clone());
        let watch = move || {
            let watch = watcher(api.clone(), config.clone()).backoff(Pauses::default());
            listed_in_turn(watch, bulk.clone()).map_ok(unwrapped)
        };
        let standby = watch().take_until(leadership.begun().clone().cancelled_owned());
        let told = departures::told(standby.chain(watch()), self.writer.as_reader());
        self.reflect(told, leadership)
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Feed<K> {
    fn reflect<S>(
        self,
        watch: S,
        leadership: Leadership,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>>
    where
        S: Stream<Item = watcher::Result<watcher::Event<K>>>,
    {
        let Self { writer, knows } = self;
        let (mut next, mut filling) = (Knows::Warm, Filling::of(writer));
        watch.flat_map(move |event| stream::iter(filling.take(event))).inspect_ok(move |event| match event {
            watcher::Event::Init if leadership.begun().is_cancelled() => next = Knows::All,
            watcher::Event::InitDone => drop(knows.send_replace(next)),
            _ => {}
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
    stream::unfold((events.boxed(), None, bulk), |(mut events, mut turn, bulk)| async move {
        let event = events.next().await?;
        match &event {
            Ok(watcher::Event::Init) => turn = bulk.listing().await,
            Ok(watcher::Event::InitDone) | Err(_) => turn = None,
            Ok(_) => {}
        }
        Some((event, (events, turn, bulk)))
    })
}

/// Is it so of all of them?
pub async fn all<W>(watched: &[W], is_so: impl AsyncFn(&W) -> bool) -> bool {
    for each in watched {
        if !is_so(each).await {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::runtime::reflector::ObjectRef;
    use tokio::time::Instant;

    use super::*;

    fn list() -> impl Stream<Item = watcher::Result<watcher::Event<Namespace>>> {
        stream::iter([Ok(watcher::Event::Init), Ok(watcher::Event::InitDone)])
    }

    #[tokio::test]
    async fn what_was_listed_while_another_led_is_not_all() {
        let (watched, feed) = watched::<Namespace>();
        let leadership = Leadership::pending();
        let begin = stream::once(async { leadership.begin(Instant::now()) }).filter_map(async |()| None);
        let mut events = std::pin::pin!(feed.reflect(list().chain(begin).chain(list()), leadership.clone()));
        let mut known = Vec::new();
        while events.next().await.is_some() {
            known.push((watched.warm().now_or_never() == Some(true), watched.is_filled()));
        }
        assert_eq!(known, [(false, false), (true, false), (true, false), (true, true)]);
    }

    fn namespace(name: &str, version: &str) -> Namespace {
        let mut namespace = Namespace::default();
        let (name, version) = (Some(name.to_owned()), Some(version.to_owned()));
        (namespace.metadata.name, namespace.metadata.resource_version) = (name, version);
        namespace
    }

    #[tokio::test]
    async fn what_a_list_of_many_pages_shows_is_in_the_store_when_it_is_passed_on() {
        use watcher::Event::{Apply, Init, InitApply, InitDone};
        let (watched, feed) = watched::<Namespace>();
        let first = [Init, InitApply(namespace("old", "1")), InitApply(namespace("kept", "2")), InitDone];
        let broken = [Init, InitApply(namespace("half", "3"))];
        let relist = [Init, InitApply(namespace("old", "4")), InitApply(namespace("new", "5")), InitDone];
        let events = first.into_iter().chain(broken).chain(relist);
        let mut events = std::pin::pin!(feed.reflect(stream::iter(events.map(Ok)), Leadership::always()));
        let mut passed = Vec::new();
        while let Some(Ok(event)) = events.next().await {
            if let Apply(seen) | InitApply(seen) = event {
                let stored = watched.store.get(&ObjectRef::from_obj(&seen)).expect("it is stored");
                assert_eq!(stored.resource_version(), seen.resource_version());
                passed.push(seen.name_any());
            }
        }
        assert_eq!(passed, ["old", "kept", "half", "old", "new"]);
    }

    #[tokio::test]
    async fn a_relist_replaces_only_what_changed() {
        use watcher::Event::{Init, InitApply, InitDone};
        let (watched, feed) = watched::<Namespace>();
        let shown = |name| watched.store.get(&ObjectRef::new(name)).expect("it is stored");
        let list = |version| {
            [Init, InitApply(namespace("same", "1")), InitApply(namespace("new", version)), InitDone]
        };
        let events = stream::iter(list("2").into_iter().chain(list("3")).map(Ok));
        let mut events = std::pin::pin!(feed.reflect(events, Leadership::always()));
        for _ in 0..list("").len() {
            events.next().await;
        }
        let before = (shown("same"), shown("new"));
        while events.next().await.is_some() {}
        assert!(Arc::ptr_eq(&before.0, &shown("same")) && !Arc::ptr_eq(&before.1, &shown("new")));
    }

    #[tokio::test]
    async fn a_list_waits_for_those_under_way_and_a_failed_one_for_nobody() {
        let bulk = Arc::<Bulk>::default();
        let listing = |events: Vec<watcher::Result<watcher::Event<Namespace>>>| {
            let endless = stream::iter(events).chain(stream::pending());
            Box::pin(listed_in_turn(endless, bulk.clone()))
        };
        let (init, failure) = (|| Ok(watcher::Event::Init), || Err(watcher::Error::NoResourceVersion));
        let mut under_way =
            [listing(vec![init(), Ok(watcher::Event::InitDone)]), listing(vec![init(), failure()])];
        for list in &mut under_way {
            list.next().await;
        }
        let mut late = [listing(vec![init()]), listing(vec![init()])];
        assert!(late.iter_mut().all(|list| list.next().now_or_never().is_none()));
        for (list, waiting) in under_way.iter_mut().zip(&mut late) {
            list.next().await;
            assert!(waiting.next().now_or_never().is_some());
        }
    }

    #[tokio::test]
    async fn everybody_who_waits_is_woken() {
        let (watched, feed) = watched::<Namespace>();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let watched = watched.clone();
                tokio::spawn(async move { watched.filled().await })
            })
            .collect();
        tokio::task::yield_now().await;
        feed.reflect(list(), Leadership::always()).for_each(|_| std::future::ready(())).await;
        for waiter in waiters {
            assert!(waiter.await.unwrap());
        }
    }
}
