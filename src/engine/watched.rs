//! A store fed by a watch, and the sign that it knows the cluster.
//!
//! A process that stands by follows the cluster as well. When it leads it lists everything again: its watch may be a
//! while behind, and what the leader before wrote last must be known before anything is decided.
//!
//! kube replaces the content of a store at the end of a list, which may have many pages, and passes on before what the
//! list shows: who looks it up then finds nothing, or the old. So that is held back until the store has it.
//!
//! kube's own `Store::wait_until_ready` wakes only the task that asked last (5.0.0): everybody else would sleep on.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::{join_all, select_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::departures;
use crate::runtime::kubernetes::Pauses;
use crate::runtime::lease::Leadership;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What cannot be listed is waited for so long after another was: longer than a watch pauses between two attempts.
const PATIENCE: Duration = Duration::from_secs(30);

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
    state: watch::Receiver<State>,
}

/// What a store knows, and whether the last attempt to list failed.
#[derive(Clone, Copy, Debug)]
struct State {
    knows: Knows,
    fails: bool,
}

/// The writing side.
pub struct Feed<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    state: watch::Sender<State>,
}

/// An empty store and what feeds it.
pub fn watched<K: Resource<DynamicType = ()> + Clone + 'static>() -> (Watched<K>, Feed<K>) {
    let nothing = State { knows: Knows::Nothing, fails: false };
    let ((store, writer), (sender, state)) = (store(), watch::channel(nothing));
    (Watched { store, state }, Feed { writer, state: sender })
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), state: self.state.clone() }
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
        self.state.borrow().knows == Knows::All
    }

    /// Is it warm, as [`Self::warm`] says it?
    pub fn is_warm(&self) -> bool {
        self.state.borrow().knows >= Knows::Warm
    }

    async fn knows(&self, enough: Knows) -> bool {
        self.state.clone().wait_for(|state| state.knows >= enough).await.is_ok()
    }

    /// Resolves where it cannot be listed at this time or later.
    async fn fails_after(&self, time: Instant) {
        sleep_until(time).await;
        // Where it is fed no longer, that is told first.
        let _ = self.state.clone().wait_for(|state| state.fails).await;
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Feed<K> {
    /// Fills the store from a watch that outlives errors, and passes the events on.
    pub fn follow(
        self,
        api: Api<K>,
        config: watcher::Config,
        leadership: Leadership,
    ) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
    where
        K: DeserializeOwned + Debug + Send + Sync,
    {
        let watch = move || watcher(api.clone(), config.clone()).backoff(Pauses::default()).modify(strip);
        let standby = watch().take_until(leadership.begun().clone().cancelled_owned());
        let told = departures::told(standby.chain(watch()), self.writer.as_reader());
        self.reflect(told, leadership)
    }

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
        let mut next = Knows::Warm;
        stored(watch.reflect(writer))
            .inspect_ok(move |event| match event {
                watcher::Event::Init if leadership.begun().is_cancelled() => next = Knows::All,
                watcher::Event::InitDone => drop(state.send_replace(State { knows: next, fails: false })),
                _ => {}
            })
            .inspect(move |event| match event {
                Ok(watcher::Event::Init) => failing.send_modify(|state| state.fails = false),
                Err(_) => failing.send_modify(|state| state.fails = true),
                Ok(_) => {}
            })
    }
}

/// The events, those of a list once the list is whole.
fn stored<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> {
    use watcher::Event::{Init, InitApply, InitDone};
    let mut listed = Vec::new();
    events.flat_map(move |event| {
        let passed = match &event {
            Ok(InitApply(_)) => {
                listed.push(event);
                Vec::new()
            }
            Ok(InitDone) => {
                listed.push(event);
                std::mem::take(&mut listed)
            }
            Ok(Init) => {
                listed.clear();
                vec![event]
            }
            _ => vec![event],
        };
        stream::iter(passed)
    })
}

/// As [`Watched::filled`] of all of them, but for those that cannot be listed while another can: answers which.
/// `None`: they are fed no longer.
pub async fn all_filled<K>(watched: &[Watched<K>]) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    all_know(watched, Knows::All).await
}

/// As [`Watched::warm`] of all of them, with the exceptions of [`all_filled`].
pub async fn all_warm<K>(watched: &[Watched<K>]) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    all_know(watched, Knows::Warm).await
}

async fn all_know<K>(watched: &[Watched<K>], enough: Knows) -> Option<Vec<usize>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    if watched.is_empty() {
        return Some(Vec::new());
    }
    // While none can be listed, all of them are waited for: it is the API server that is not there, or not ready.
    let (is_fed, ..) = select_all(watched.iter().map(|one| one.knows(enough).boxed())).await;
    let until = Instant::now() + PATIENCE;
    let each = watched.iter().map(|one| async move {
        tokio::select! {
            biased;
            is_fed = one.knows(enough) => is_fed.then_some(true),
            () = one.fails_after(until) => Some(false),
        }
    });
    let each: Option<Vec<bool>> = join_all(each).await.into_iter().collect();
    let listed = each.filter(|_| is_fed)?.into_iter().enumerate();
    Some(listed.filter(|(_, is_listed)| !is_listed).map(|(number, _)| number).collect())
}

/// Drops what is large and never read.
fn strip<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
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
        let broken = [Init, InitApply(namespace("half", "2"))];
        let relist = [Init, InitApply(namespace("old", "3")), InitApply(namespace("new", "4")), InitDone];
        let events = [Init, InitDone, Apply(namespace("old", "1"))].into_iter().chain(broken).chain(relist);
        let mut events = std::pin::pin!(feed.reflect(stream::iter(events.map(Ok)), Leadership::always()));
        let mut passed = Vec::new();
        while let Some(Ok(event)) = events.next().await {
            if let Apply(seen) | InitApply(seen) = event {
                let stored = watched.store.get(&ObjectRef::from_obj(&seen)).expect("it is stored");
                assert_eq!(stored.resource_version(), seen.resource_version());
                passed.push(seen.name_any());
            }
        }
        assert_eq!(passed, ["old", "old", "new"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_listed_is_waited_for_a_while_and_one_that_is_slow_to_the_end() {
        let (listed, fails, slow) = (watched::<Namespace>(), watched::<Namespace>(), watched::<Namespace>());
        let readers = [listed.0, fails.0, slow.0];
        let refused = || Err(watcher::Error::NoResourceVersion);
        let failing = stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(7)).await;
            Some((refused(), ()))
        });
        let slowly = stream::once(tokio::time::sleep(3 * PATIENCE)).flat_map(|()| list());
        let begun = Instant::now();
        tokio::spawn(fails.1.reflect(failing, Leadership::always()).for_each(|_| std::future::ready(())));
        tokio::spawn(slow.1.reflect(slowly, Leadership::always()).for_each(|_| std::future::ready(())));
        let waiting = tokio::spawn({
            let readers = readers.clone();
            async move { all_filled(&readers).await }
        });
        tokio::time::sleep(2 * PATIENCE).await;
        assert!(!waiting.is_finished(), "while none is listed all are waited for");
        let first = listed.1.reflect(list().chain(stream::pending()), Leadership::always());
        tokio::spawn(first.for_each(|_| std::future::ready(())));
        assert_eq!(waiting.await.unwrap(), Some(vec![1]));
        assert_eq!(begun.elapsed(), 3 * PATIENCE);
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
