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
    let (reflected_store, writer) = reflected_store::<Namespace>();
    let leadership = Leadership::pending();
    let begin = stream::once(async { leadership.begin(Instant::now()) }).filter_map(async |()| None);
    let mut events = std::pin::pin!(writer.reflect(list().chain(begin).chain(list()), leadership.clone()));
    let mut known = Vec::new();
    while events.next().await.is_some() {
        known.push((reflected_store.warm().now_or_never() == Some(true), reflected_store.is_filled()));
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
    let (reflected_store, writer) = reflected_store::<Namespace>();
    let first = [Init, InitApply(namespace("old", "1")), InitApply(namespace("kept", "2")), InitDone];
    let broken = [Init, InitApply(namespace("half", "3"))];
    let relist = [Init, InitApply(namespace("old", "4")), InitApply(namespace("new", "5")), InitDone];
    let events = first.into_iter().chain(broken).chain(relist);
    let mut events = std::pin::pin!(writer.reflect(stream::iter(events.map(Ok)), Leadership::always()));
    let mut passed = Vec::new();
    while let Some(Ok(event)) = events.next().await {
        if let Apply(seen) | InitApply(seen) = event {
            let stored = reflected_store.store.get(&ObjectRef::from_obj(&seen)).expect("it is stored");
            assert_eq!(stored.resource_version(), seen.resource_version());
            passed.push(seen.name_any());
        }
    }
    assert_eq!(passed, ["old", "kept", "half", "old", "new"]);
}

#[tokio::test]
async fn a_relist_replaces_only_what_changed() {
    use watcher::Event::{Init, InitApply, InitDone};
    let (reflected_store, writer) = reflected_store::<Namespace>();
    let shown = |name| reflected_store.store.get(&ObjectRef::new(name)).expect("it is stored");
    let list =
        |version| [Init, InitApply(namespace("same", "1")), InitApply(namespace("new", version)), InitDone];
    let events = stream::iter(list("2").into_iter().chain(list("3")).map(Ok));
    let mut events = std::pin::pin!(writer.reflect(events, Leadership::always()));
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

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_listed_is_waited_for_a_while_and_one_that_is_slow_to_the_end() {
    let (listed, fails, slow) =
        (reflected_store::<Namespace>(), reflected_store::<Namespace>(), reflected_store::<Namespace>());
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
    let (reflected_store, writer) = reflected_store::<Namespace>();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let reflected_store = reflected_store.clone();
            tokio::spawn(async move { reflected_store.filled().await })
        })
        .collect();
    tokio::task::yield_now().await;
    writer.reflect(list(), Leadership::always()).for_each(|_| std::future::ready(())).await;
    for waiter in waiters {
        assert!(waiter.await.unwrap());
    }
}
