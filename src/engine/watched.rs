//! A store fed by a watch, and the sign that it knows the cluster.
//!
//! kube's own `Store::wait_until_ready` wakes only the task that asked last (5.0.0): everybody else would sleep on.

use futures::{Stream, TryStreamExt};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;

/// The reading side.
pub struct Watched<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// What was seen so far.
    pub store: Store<K>,
    filled: watch::Receiver<bool>,
}

/// The writing side.
pub struct Feed<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    filled: watch::Sender<bool>,
}

/// An empty store and what feeds it.
pub fn watched<K: Resource<DynamicType = ()> + Clone + 'static>() -> (Watched<K>, Feed<K>) {
    let ((store, writer), (sender, filled)) = (store(), watch::channel(false));
    (Watched { store, filled }, Feed { writer, filled: sender })
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), filled: self.filled.clone() }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Watched<K> {
    /// Resolves once the store holds the whole first list; any number may wait. `false`: it is fed no longer.
    pub async fn filled(&self) -> bool {
        self.filled.clone().wait_for(|filled| *filled).await.is_ok()
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Feed<K> {
    /// Fills the store from a watch and passes the events on.
    pub fn reflect<S>(self, watch: S) -> impl Stream<Item = watcher::Result<watcher::Event<K>>>
    where
        S: Stream<Item = watcher::Result<watcher::Event<K>>>,
    {
        let Self { writer, filled } = self;
        watch.reflect(writer).inspect_ok(move |event| {
            if matches!(event, watcher::Event::InitDone) {
                filled.send_replace(true);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use k8s_openapi::api::core::v1::Namespace;

    use super::*;

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
        let events = stream::iter([Ok(watcher::Event::Init), Ok(watcher::Event::InitDone)]);
        feed.reflect(events).for_each(|_| std::future::ready(())).await;
        for waiter in waiters {
            assert!(waiter.await.unwrap());
        }
    }
}
