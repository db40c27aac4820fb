//! Watches: order, selectors, bookmarks, what is too old, and how kube's own watcher gets on.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use serde_json::json;

use crate::{World, by, conformance, json_of, reported, version};

conformance!(
    order,
    from_the_middle,
    present_first,
    selected_by_label,
    selected_by_field,
    final_state,
    bookmarks,
    too_old,
    streaming_list,
    metadata_only,
    watcher_follows,
);

async fn start(world: &World) -> String {
    world.widgets().list(&Default::default()).await.unwrap().metadata.resource_version.unwrap()
}

async fn order(world: World) {
    let from = start(&world).await;
    let mut events = world.widgets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    world.create("a").await;
    world.create("b").await;
    world.merge("a", json!({ "spec": { "note": "x" } })).await.unwrap();
    // No difference, no event.
    world.merge("a", json!({ "spec": { "note": "x" } })).await.unwrap();
    let status = Patch::Merge(json!({ "status": { "id": "1" } }));
    world.widgets().patch_status("b", &by("tester"), &status).await.unwrap();
    world.widgets().delete("a", &DeleteParams::default()).await.unwrap();
    world.create("a").await;
    let expected = ["ADDED a", "ADDED b", "MODIFIED a", "MODIFIED b", "DELETED a", "ADDED a"];
    assert_eq!(reported(&mut events, 6).await, expected);
}

async fn from_the_middle(world: World) {
    world.create("a").await;
    let middle = version(&world.create("b").await);
    world.create("c").await;
    world.widgets().delete("b", &DeleteParams::default()).await.unwrap();
    let mut events =
        world.widgets().watch(&WatchParams::default(), &middle.to_string()).await.unwrap().boxed();
    assert_eq!(reported(&mut events, 2).await, ["ADDED c", "DELETED b"]);
}

async fn present_first(world: World) {
    world.create("b").await;
    world.create("a").await;
    let mut events = world.widgets().watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let mut present = reported(&mut events, 2).await;
    present.sort();
    assert_eq!(present, ["ADDED a", "ADDED b"]);
    world.create("c").await;
    assert_eq!(reported(&mut events, 1).await, ["ADDED c"]);
}

async fn selected_by_label(world: World) {
    let from = start(&world).await;
    let params = WatchParams::default().labels("tier=gold");
    let mut events = world.widgets().watch(&params, &from).await.unwrap().boxed();
    world.create("plain").await;
    world.create_with("a", json!({ "metadata": { "labels": { "tier": "gold" } } })).await;
    world.merge("plain", json!({ "metadata": { "labels": { "tier": "gold" } } })).await.unwrap();
    world.merge("a", json!({ "metadata": { "labels": { "tier": "silver" } } })).await.unwrap();
    world.merge("a", json!({ "spec": { "note": "unseen" } })).await.unwrap();
    world.merge("plain", json!({ "spec": { "note": "seen" } })).await.unwrap();
    let expected = ["ADDED a", "ADDED plain", "DELETED a", "MODIFIED plain"];
    assert_eq!(reported(&mut events, 4).await, expected);
}

async fn selected_by_field(world: World) {
    let from = start(&world).await;
    let params = WatchParams::default().fields("status.id=1");
    let mut events = world.widgets().watch(&params, &from).await.unwrap().boxed();
    for name in ["a", "b"] {
        world.create(name).await;
        let status = Patch::Merge(json!({ "status": { "id": if name == "a" { "1" } else { "2" } } }));
        world.widgets().patch_status(name, &by("tester"), &status).await.unwrap();
    }
    world.widgets().delete("b", &DeleteParams::default()).await.unwrap();
    world.widgets().delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(reported(&mut events, 2).await, ["ADDED a", "DELETED a"]);
}

/// A deletion shows the object as it was last stored, with the resourceVersion of its end.
async fn final_state(world: World) {
    world.create_with("a", json!({ "metadata": { "finalizers": ["example.com/one"] } })).await;
    world.widgets().delete("a", &DeleteParams::default()).await.unwrap();
    let last = world.merge("a", json!({ "spec": { "note": "last" } })).await.unwrap();
    let from = version(&last).to_string();
    world
        .merge("a", json!({ "metadata": { "finalizers": null }, "spec": { "note": "never stored" } }))
        .await
        .unwrap();
    let mut events = world.widgets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap();
    let WatchEvent::Deleted(gone) = event.unwrap() else { panic!("not a deletion") };
    assert!(version(&gone) > version(&last));
    assert_eq!(json_of(&gone)["spec"]["note"], "last");
    assert_eq!(json_of(&gone)["metadata"]["finalizers"], json!(["example.com/one"]));
}

/// Before a watch ends by its timeout, a bookmark says how far it came.
async fn bookmarks(world: World) {
    let from = start(&world).await;
    let params = WatchParams::default().timeout(5);
    let mut events = world.widgets().watch(&params, &from).await.unwrap().boxed();
    let made = world.create("a").await;
    let mut marks = Vec::new();
    let all = async {
        while let Some(event) = events.next().await {
            match event.unwrap() {
                WatchEvent::Added(object) => assert_eq!(version(&object), version(&made)),
                WatchEvent::Bookmark(mark) => {
                    marks.push(mark.metadata.resource_version.parse::<u64>().unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("the watch ends");
    assert!(!marks.is_empty() && marks.iter().all(|mark| *mark >= version(&made)), "{marks:?}");
    let resumed = marks[0].to_string();
    let mut events = world.widgets().watch(&WatchParams::default(), &resumed).await.unwrap().boxed();
    world.create("b").await;
    assert_eq!(reported(&mut events, 1).await, ["ADDED b"]);
}

async fn too_old(world: World) {
    world.create("a").await;
    let mut events = world.widgets().watch(&WatchParams::default(), "1").await.unwrap().boxed();
    assert_eq!(reported(&mut events, 1).await, ["ERROR 410 Expired"]);
    let end = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    assert!(end.expect("the watch ends").is_none());
}

async fn streaming_list(world: World) {
    world.create("a").await;
    world.create("b").await;
    let params = WatchParams { send_initial_events: true, ..WatchParams::default() };
    let mut events = world.widgets().watch(&params, "0").await.unwrap().boxed();
    assert_eq!(reported(&mut events, 2).await, ["ADDED a", "ADDED b"]);
    let next = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap();
    let WatchEvent::Bookmark(mark) = next.unwrap() else { panic!("no bookmark") };
    assert_eq!(mark.metadata.annotations["k8s.io/initial-events-end"], "true");
    world.create("c").await;
    assert_eq!(reported(&mut events, 1).await, ["ADDED c"]);
}

async fn metadata_only(world: World) {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let make = async |name: &str, allowed: bool| {
        let labels = allowed.then(|| [("allowed".to_owned(), "true".to_owned())].into());
        let metadata = ObjectMeta { name: Some(name.into()), labels, ..Default::default() };
        let string_data = Some([("key".to_owned(), name.to_owned())].into());
        let secret = Secret { metadata, string_data, ..Default::default() };
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    };
    make("hidden", false).await;
    make("a", true).await;
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(world.client.clone(), &world.namespace);
    let config = watcher::Config::default().labels("allowed=true");
    let mut events = watcher(api, config).boxed();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap();
        match event.unwrap() {
            watcher::Event::Init => "Init".to_owned(),
            watcher::Event::InitApply(object) => format!("InitApply {}", object.metadata.name.unwrap()),
            watcher::Event::InitDone => "InitDone".to_owned(),
            watcher::Event::Apply(object) => format!("Apply {}", object.metadata.name.unwrap()),
            watcher::Event::Delete(object) => format!("Delete {}", object.metadata.name.unwrap()),
        }
    };
    assert_eq!([next().await, next().await, next().await], ["Init", "InitApply a", "InitDone"]);
    make("b", true).await;
    let changed = Patch::Merge(json!({ "stringData": { "key": "changed" } }));
    secrets.patch("a", &by("tester"), &changed).await.unwrap();
    secrets.delete("b", &DeleteParams::default()).await.unwrap();
    assert_eq!([next().await, next().await, next().await], ["Apply b", "Apply a", "Delete b"]);
}

/// kube's watcher with small pages and short watches sees every object, and every change once.
async fn watcher_follows(world: World) {
    for name in ["a", "b", "c", "d", "e"] {
        world.create(name).await;
    }
    let config = watcher::Config { page_size: Some(2), ..watcher::Config::default().timeout(3) };
    let mut events = watcher(world.widgets(), config).boxed();
    let mut listed = Vec::new();
    loop {
        match events.next().await.unwrap().unwrap() {
            watcher::Event::Init => {}
            watcher::Event::InitApply(object) => listed.push(object.metadata.name.unwrap()),
            watcher::Event::InitDone => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(listed, ["a", "b", "c", "d", "e"]);
    for round in 0..3 {
        let changed = world.merge("c", json!({ "spec": { "note": round.to_string() } })).await.unwrap();
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap();
        let watcher::Event::Apply(seen) = event.unwrap() else { panic!("no change") };
        assert_eq!(version(&seen), version(&changed));
        // Beyond the timeout of the watch, so that the next change comes through another one.
        let quiet = tokio::time::timeout(Duration::from_millis(3500), events.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}
