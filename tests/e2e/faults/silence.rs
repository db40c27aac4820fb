//! Connections to the API server that die without a word.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::process::Process;
use super::proxy::Proxy;
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
    assert!(dropped.elapsed() < Duration::from_secs(30), "{:?}", dropped.elapsed());
    assert_eq!(world.remote(&web).await["name"], "renamed");
    assert!(operator.is_running(), "{:#?}", operator.log());
    let lost = operator.log().iter().any(|line| line.to_string().contains("leadership lost"));
    assert!(!lost, "{:#?}", operator.log());
}
