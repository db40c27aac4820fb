//! What of a watch is worth a reconcile: what changed in what matters, however old the last look is.
//!
//! kube's own filter (5.0.0) forgets what it has not seen for an hour: a list after that would be a change of everything.

use std::collections::HashMap;

use futures::{Stream, StreamExt, future};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};

/// The resources whose `mark` is not what it was when they were passed on last. What is gone is forgotten.
///
/// Failures end here: they were told, and the watch pauses after each. A controller that heard of one would pause all
/// else, wakes too.
pub fn changed<K: Resource>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
    mark: impl Fn(&K) -> u64,
) -> impl Stream<Item = watcher::Result<K>> {
    let mut marks = HashMap::new();
    events.filter_map(move |event| {
        let changed = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                let mark = mark(&object);
                let is_news = marks.insert(object.uid(), mark) != Some(mark);
                is_news.then_some(Ok(object))
            }
            Ok(watcher::Event::Delete(object)) => {
                marks.remove(&object.uid());
                None
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => None,
        };
        future::ready(changed)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;
    use k8s_openapi::api::core::v1::Namespace;
    use watcher::Event::{self, Apply, Delete, Init, InitApply, InitDone};

    use super::*;

    fn namespace(uid: &str, generation: i64) -> Namespace {
        let mut namespace = Namespace::default();
        (namespace.metadata.uid, namespace.metadata.generation) = (Some(uid.into()), Some(generation));
        namespace
    }

    /// What is passed on of these events, each an hour and a half after the one before.
    async fn passed(events: impl IntoIterator<Item = Event<Namespace>>) -> Vec<(String, i64)> {
        let hourly = stream::iter(events.into_iter().collect::<Vec<_>>()).then(|event| async {
            tokio::time::sleep(Duration::from_secs(5400)).await;
            Ok(event)
        });
        let mark = |namespace: &Namespace| namespace.metadata.generation.unwrap_or_default() as u64;
        let passed = changed(hourly, mark).filter_map(async |object| object.ok());
        passed
            .map(|o| (o.uid().unwrap_or_default(), o.metadata.generation.unwrap_or_default()))
            .collect()
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_after_hours_is_a_change_of_what_changed_alone() {
        let first = [Init, InitApply(namespace("a", 1)), InitApply(namespace("b", 1)), InitDone];
        let later = [Init, InitApply(namespace("a", 1)), InitApply(namespace("b", 2)), InitDone];
        let told = passed(first.into_iter().chain(later)).await;
        assert_eq!(told, [("a".into(), 1), ("b".into(), 1), ("b".into(), 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_forgotten() {
        let events = [Apply(namespace("a", 1)), Delete(namespace("a", 1)), Apply(namespace("a", 1))];
        assert_eq!(passed(events).await.len(), 2);
    }

    #[tokio::test]
    async fn a_failure_is_passed_to_nobody() {
        let events = stream::iter([Err(watcher::Error::NoResourceVersion), Ok(Apply(namespace("a", 1)))]);
        assert_eq!(changed(events, |_| 0).collect::<Vec<_>>().await.len(), 1);
    }
}
