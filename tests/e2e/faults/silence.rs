//! Connections to the API server that die without a word.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::process::Process;
use super::proxy::Proxy;
use crate::waits::until_answered;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_packets_are_dropped_is_noticed_within_30_seconds_and_the_lease_is_kept() {
    let world = World::without_operator().await;
    let proxy = Proxy::to(&world.control_plane.url()).await;
    let elect = ["--leader-election", "true"];
    let mut operator = Process::start_through(&proxy.url(), &world, &elect).await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;

    proxy.drop_packets();
    let dropped = Instant::now();
    world.apply_project("web", json!({ "name": "renamed" })).await;
    let web = world.until_ready("web").await;
    eprintln!("a dead watch of resources: the change arrived after {:?}", dropped.elapsed());
    assert!(dropped.elapsed() < Duration::from_secs(30), "{:?}", dropped.elapsed());
    assert_eq!(world.remote(&web).await["name"], "renamed");
    assert!(operator.is_running(), "{:#?}", operator.log());
    let lost = operator.log().iter().any(|line| line.to_string().contains("leadership lost"));
    assert!(!lost, "{:#?}", operator.log());
}

/// What ZITADEL has for the key, in base64.
async fn until_value(world: &World, value: &str) {
    until_answered(&format!("had {value}"), async || {
        let path = "/management/v1/metadata/tier";
        let (_, answer) = world.person.call(Method::GET, path, &world.organization, Value::Null).await;
        let current = answer["metadata"]["value"].clone();
        (current == value, current)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_secrets_whose_packets_are_dropped_is_noticed_within_30_seconds() {
    let world = World::without_operator().await;
    let proxy = Proxy::to(&world.control_plane.url()).await;
    let _operator = Process::start_through(&proxy.url(), &world, &[]).await;
    world.store_value("Secret", "values", "tier", b"silver").await;
    let entry =
        json!({ "key": "tier", "valueFrom": { "secretKeyRef": { "name": "values", "key": "tier" } } });
    world.resident("OrgMetadata", "acme").apply(json!({ "entries": [entry] })).await;
    until_value(&world, "c2lsdmVy").await;
    // No resync is near: what is seen now was told by the watch.
    world.store_value("Secret", "values", "tier", b"gold!!").await;
    until_value(&world, "Z29sZCEh").await;

    proxy.drop_packets();
    let dropped = Instant::now();
    world.store_value("Secret", "values", "tier", b"bronze").await;
    until_value(&world, "YnJvbnpl").await;
    eprintln!("a dead watch of Secrets: the change arrived after {:?}", dropped.elapsed());
    assert!(dropped.elapsed() < Duration::from_secs(30), "{:?}", dropped.elapsed());
}
