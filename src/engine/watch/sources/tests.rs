//! What is told of Secrets and ConfigMaps, and what is followed.

use futures::stream;
use kube::api::ObjectMeta;
use kube::core::Status;

use k8s_openapi::api::core::v1::Secret;

use super::*;

fn namespace() -> SourceNamespace {
    SourceNamespace { kind: SourceKind::Secret, namespace: "team".into(), trusted: false }
}

fn read(sources: &Sources, name: &str, version: Option<&str>) {
    sources.read(SourceKind::Secret, "team", false, (name, version));
}

fn secret(name: &str, version: &str) -> Secret {
    let metadata =
        ObjectMeta { name: Some(name.into()), resource_version: Some(version.into()), ..Default::default() };
    Secret { metadata, ..Default::default() }
}

fn refused(code: u16) -> kube::Error {
    kube::Error::Api(Status::failure("no", "no").with_code(code).boxed())
}

#[test]
fn what_changed_came_or_went_since_it_was_read_is_told_by_the_first_list() {
    use watcher::Event::{Init, InitApply, InitDone};
    let (sources, _wanted) = Sources::new();
    let mut seen = Seen::default();
    let mut changed = Vec::new();
    let mut show = |event| changed.extend(seen.changes(&event, || sources.listed(&namespace())));
    read(&sources, "same", Some("1"));
    read(&sources, "still missing", None);
    read(&sources, "came", None);
    show(Init);
    read(&sources, "changed", Some("1"));
    read(&sources, "gone", Some("1"));
    for (name, version) in [("same", "1"), ("came", "1"), ("changed", "2"), ("of nobody", "1")] {
        show(InitApply(secret(name, version)));
    }
    show(InitDone);
    assert_eq!(changed, ["came", "changed", "gone"]);
}

#[test]
fn who_read_the_old_is_told_also_where_the_new_was_read_before_the_first_list() {
    use watcher::Event::{Init, InitApply, InitDone};
    let (sources, _wanted) = Sources::new();
    read(&sources, "a", Some("1"));
    read(&sources, "a", Some("2"));
    let events = [Init, InitApply(secret("a", "2")), InitDone];
    let mut seen = Seen::default();
    let changed: Vec<String> =
        events.iter().flat_map(|event| seen.changes(event, || sources.listed(&namespace()))).collect();
    assert_eq!(changed, ["a"]);
}

#[test]
fn of_what_is_read_while_its_changes_are_told_nothing_is_kept() {
    let (sources, _wanted) = Sources::new();
    sources.listed(&namespace());
    read(&sources, "a", Some("1"));
    assert_eq!(sources.listed(&namespace()), Read::new());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fell_out_of_use_is_wanted_as_soon_as_it_is_read_again() {
    let (sources, mut wanted) = Sources::new();
    read(&sources, "a", Some("1"));
    assert_eq!(wanted.try_recv().ok(), Some(namespace()));
    let begun = Instant::now();
    sources.follow::<Secret>(&namespace(), stream::pending(), || false, |_| {}).await;
    assert_eq!(begun.elapsed(), PAUSE);
    read(&sources, "a", Some("1"));
    assert_eq!(wanted.try_recv().ok(), Some(namespace()));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refuses_is_wanted_again_only_after_the_pause() {
    let (sources, mut wanted) = Sources::new();
    read(&sources, "a", Some("1"));
    assert_eq!(wanted.try_recv().ok(), Some(namespace()));
    let refusals = stream::repeat_with(|| Err(watcher::Error::InitialListFailed(refused(403))));
    sources.follow::<Secret>(&namespace(), refusals, || true, |_| {}).await;
    tokio::time::advance(PAUSE - Duration::from_secs(1)).await;
    read(&sources, "a", Some("1"));
    assert!(wanted.try_recv().is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    read(&sources, "a", Some("1"));
    assert_eq!(wanted.try_recv().ok(), Some(namespace()));
}

#[test]
fn what_changes_after_the_first_list_is_told_also_where_only_a_relist_shows_it() {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let mut seen = Seen::default();
    let mut changed = Vec::new();
    let events = [
        Init,
        InitApply(secret("a", "1")),
        InitApply(secret("b", "1")),
        InitDone,
        Apply(secret("a", "2")),
        Apply(secret("a", "2")),
        Init,
        InitApply(secret("a", "3")),
        InitApply(secret("c", "1")),
        InitDone,
        Delete(secret("c", "1")),
    ];
    for event in &events {
        changed.extend(seen.changes(event, Read::new));
    }
    assert_eq!(changed, ["a", "a", "c", "b", "c"]);
}

#[test]
fn a_moment_of_refusals_closes_no_namespace() {
    use watcher::Event::{Init, InitDone};
    let mut seen = Seen::default();
    let mut is_closed = |code, recovered: bool| {
        seen.changes::<Secret>(&Init, Read::new);
        let closed = seen.is_closed(&watcher::Error::InitialListFailed(refused(code)));
        if recovered {
            seen.changes::<Secret>(&InitDone, Read::new);
        }
        closed
    };
    assert!(!(1..REFUSALS).any(|nth| is_closed(403, nth == REFUSALS - 1)));
    assert!(!(1..REFUSALS).any(|_| is_closed(403, false)));
    assert!(!is_closed(503, false));
    assert!(is_closed(403, false));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refused_is_forgotten_when_it_may_be_asked_again() {
    let (sources, _wanted) = Sources::new();
    read(&sources, "a", Some("1"));
    sources.refused(&namespace());
    assert!(sources.followed().contains_key(&namespace()));
    tokio::time::advance(2 * PAUSE).await;
    sources.read(SourceKind::Secret, "other", false, ("b", None));
    assert!(!sources.followed().contains_key(&namespace()));
}
