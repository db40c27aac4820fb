//! Connections to the API server that die without a word, and watches that cannot begin.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use zitadel_operator::runtime::kubernetes::Clients;
use zitadel_operator::runtime::lease::Timing;

use super::process::Process;
use super::proxy::Proxy;
use super::tap::Tap;
use crate::meter::Meter;
use crate::waits::until_answered;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_packets_are_dropped_is_noticed_within_30_seconds_and_the_lease_is_kept() {
    let world = World::without_operator().await;
    let proxy = Proxy::to(&world.control_plane.url()).await;
    let elect = ["--leader-election", "true"];
    let mut operator = Process::start_through(&proxy.url(), &world, &elect).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;

    proxy.drop_packets();
    let dropped = Instant::now();
    world.project("web").apply(json!({ "name": "renamed" })).await;
    let web = world.project("web").until_ready().await;
    eprintln!("a dead watch of resources: the change arrived after {:?}", dropped.elapsed());
    assert!(dropped.elapsed() < Duration::from_secs(30), "{:?}", dropped.elapsed());
    assert_eq!(world.remote(&web).await["name"], "renamed");
    assert!(operator.is_running(), "{:#?}", operator.log());
    let lost = operator.log().iter().any(|line| line.to_string().contains("leadership lost"));
    assert!(!lost, "{:#?}", operator.log());
}

/// The ways of an operator to the API server, through a proxy.
async fn clients(world: &World, proxy: &Proxy) -> Clients {
    let kubeconfig = Kubeconfig::read_from(world.control_plane.kubeconfig_path()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.cluster_url = proxy.url().parse().unwrap();
    Clients::new(&config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_dead_connections_a_leader_meets_one_and_renews_in_time() {
    let world = World::without_operator().await;
    let proxy = Proxy::to(&world.control_plane.url()).await;
    let leases: Api<Lease> = Api::namespaced(clients(&world, &proxy).await.lease, &world.namespace);
    join_all((0..4).map(|_| leases.get_opt("any"))).await.into_iter().for_each(|got| assert!(got.is_ok()));

    proxy.drop_packets();
    let Timing { call_timeout, retry_period, .. } = Timing::default();
    assert!(timeout(call_timeout, leases.get_opt("any")).await.is_err(), "a dead connection answered");
    sleep(retry_period).await;
    let again = timeout(call_timeout / 2, leases.get_opt("any")).await;
    again.expect("a connection that is not dead").unwrap();
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
    world.subject("OrgMetadata", "acme").apply(json!({ "entries": [entry] })).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn while_a_kind_cannot_be_listed_what_is_known_of_it_is_kept_as_promptly_as_ever() {
    let (world, tap, meter) = (World::without_operator().await, Tap::on("/orgmetadata"), Meter::new());
    let _operator = world.operator(tap.client(&world).await, meter.metrics.clone());
    world.store_value("Secret", "values", "tier", b"silver").await;
    let entry =
        json!({ "key": "tier", "valueFrom": { "secretKeyRef": { "name": "values", "key": "tier" } } });
    world.subject("OrgMetadata", "acme").apply(json!({ "entries": [entry] })).await;
    until_value(&world, "c2lsdmVy").await;

    tap.refuse();
    let many = |failures| failures >= 6.0;
    meter.until("watch_failures_total", &[("kind", "OrgMetadata")], many).await;
    let changed = Instant::now();
    world.store_value("Secret", "values", "tier", b"bronze").await;
    until_value(&world, "YnJvbnpl").await;
    eprintln!("the change arrived after {:?}", changed.elapsed());
    assert!(changed.elapsed() < Duration::from_secs(15), "{:?}", changed.elapsed());
}
