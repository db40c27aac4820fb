//! What only the API in memory can do: faults, a lagging watch, compaction, and the ledger of its changes.

use std::sync::Mutex;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use kube::api::{PostParams, WatchParams};
use serde_json::json;
use tokio::time::{Instant, timeout};
use zitadel_operator_support::kubernetes::{Call, Cluster, Delivery, Failure, FaultDecision, Faults, Verb};

use crate::{World, definitions, refusal, reported, version, widget};

fn world() -> (Cluster, World) {
    let cluster = Cluster::new(&definitions());
    let world =
        World { client: cluster.client(), namespace: "default".into(), cluster: Some(cluster.clone()) };
    (cluster, world)
}

/// One fault, for the first write.
struct First(Mutex<Option<FaultDecision>>, Mutex<Delivery>);

impl First {
    fn before(verdict: FaultDecision) -> Self {
        Self(Mutex::new(Some(verdict)), Mutex::default())
    }

    fn after(delivery: Delivery) -> Self {
        Self(Mutex::default(), Mutex::new(delivery))
    }
}

impl Faults for First {
    fn before(&self, call: &Call) -> FaultDecision {
        let mut fault = self.0.lock().unwrap();
        if call.verb.writes() { fault.take().unwrap_or_default() } else { FaultDecision::Go }
    }

    fn after(&self, call: &Call) -> Delivery {
        let mut fault = self.1.lock().unwrap();
        if call.verb.writes() { std::mem::take(&mut *fault) } else { Delivery::Deliver }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_broken_request_commits_nothing() {
    let (cluster, world) = world();
    let before = cluster.resource_version();
    cluster.set_faults(First::before(FaultDecision::Fail(Failure::new(
        500,
        "InternalError",
        "etcd is away",
    ))));
    let refused = world.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    assert_eq!(refusal(refused), (500, "InternalError".into(), "etcd is away".into()));
    cluster.set_faults(First::before(FaultDecision::Drop));
    let broken = world.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    assert!(matches!(broken, Err(kube::Error::Service(_))), "{broken:?}");
    assert_eq!(cluster.resource_version(), before);
    assert_eq!(cluster.calls().iter().map(|call| call.status).collect::<Vec<_>>(), [Some(500), None]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_client_is_told_how_long() {
    let (cluster, world) = world();
    cluster.set_faults(First::before(FaultDecision::Fail(Failure::too_many_requests(7))));
    let body = serde_json::to_vec(&widget("a", json!({}))).unwrap();
    let path = "/apis/conformance.example.com/v1/namespaces/default/widgets";
    let request = http::Request::post(path).body(kube::client::Body::from(body)).unwrap();
    let response = world.client.send(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, "7".parse().as_ref().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_committed() {
    let (cluster, world) = world();
    cluster.set_faults(First::after(Delivery::Lose));
    let lost = world.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    assert!(matches!(lost, Err(kube::Error::Service(_))), "{lost:?}");
    assert!(world.widgets().get_opt("a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn delays_and_silence_pass_in_paused_time() {
    let (cluster, world) = world();
    let began = Instant::now();
    cluster.set_faults(First::before(FaultDecision::Delay(Duration::from_secs(3600))));
    world.create("a").await;
    assert_eq!(began.elapsed().as_secs(), 3600);
    for faults in [First::before(FaultDecision::Hang), First::after(Delivery::Withhold)] {
        cluster.set_faults(faults);
        let params = PostParams::default();
        let (widgets, object) = (world.widgets(), widget("b", json!({})));
        assert!(timeout(Duration::from_secs(60), widgets.create(&params, &object)).await.is_err());
    }
    assert!(world.widgets().get_opt("b").await.unwrap().is_some(), "the second was only not answered");
    cluster.clear_faults();
    world.create("c").await;
}

#[tokio::test(start_paused = true)]
async fn after_compaction_the_past_is_gone() {
    let (cluster, world) = world();
    let made = version(&world.create("a").await).to_string();
    world.create("b").await;
    let mut running = world.widgets().watch(&WatchParams::default(), &made).await.unwrap().boxed();
    let page = world.widgets().list(&kube::api::ListParams::default().limit(1)).await.unwrap();
    world.create("c").await;
    cluster.compact();
    let mut late = world.widgets().watch(&WatchParams::default(), &made).await.unwrap().boxed();
    assert_eq!(reported(&mut late, 1).await, ["ERROR 410 Expired"]);
    assert_eq!(reported(&mut running, 2).await, ["ADDED b", "ADDED c"]);
    let params = kube::api::ListParams {
        continue_token: page.metadata.continue_,
        limit: Some(1),
        ..Default::default()
    };
    assert_eq!(refusal(world.widgets().list(&params).await).0, 410);
    let now = cluster.resource_version().to_string();
    let mut fresh = world.widgets().watch(&WatchParams::default(), &now).await.unwrap().boxed();
    world.create("d").await;
    assert_eq!(reported(&mut fresh, 1).await, ["ADDED d"]);
}

#[tokio::test(start_paused = true)]
async fn watches_can_lag_and_end() {
    let (cluster, world) = world();
    let from = cluster.resource_version().to_string();
    cluster.set_watch_lag(Duration::from_secs(10));
    let mut events = world.widgets().watch(&WatchParams::default(), &from).await.unwrap().boxed();
    world.create("a").await;
    let began = Instant::now();
    assert!(timeout(Duration::from_secs(9), events.next()).await.is_err());
    assert_eq!(reported(&mut events, 1).await, ["ADDED a"]);
    assert_eq!(began.elapsed().as_secs(), 10);
    world.create("b").await;
    cluster.end_watches();
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_ledger_tells_every_change_and_nothing_else() {
    let (cluster, world) = world();
    let start = cluster.resource_version();
    world.create_with("a", json!({ "metadata": { "finalizers": ["example.com/one"] } })).await;
    world.widgets().delete("a", &Default::default()).await.unwrap();
    world.merge("a", json!({})).await.unwrap();
    world.merge("a", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    let reported: Vec<_> = cluster
        .writes_since(start)
        .iter()
        .map(|write| (write.verb, write.before.is_some(), write.after.is_some(), write.manager.clone()))
        .collect();
    let expected = [
        (Verb::Create, false, true, "unknown".to_owned()),
        (Verb::Delete, true, true, "unknown".to_owned()),
        (Verb::Patch, true, false, "tester".to_owned()),
    ];
    assert_eq!(reported, expected);
    let calls = cluster.calls();
    assert_eq!(
        calls.iter().map(|call| call.status).collect::<Vec<_>>(),
        [Some(201), Some(200), Some(200), Some(200)]
    );
    let versions: Vec<_> = cluster.writes_since(start).iter().map(|write| write.resource_version).collect();
    assert_eq!(versions, [start + 1, start + 2, start + 3]);
    let mut waiting = Box::pin(cluster.changed_since(start + 3));
    assert!(waiting.as_mut().now_or_never().is_none());
    world.create("b").await;
    assert_eq!(waiting.await, start + 4);
}

#[tokio::test(start_paused = true)]
async fn two_runs_are_the_same() {
    let run = async || {
        let (cluster, world) = world();
        world.create("a").await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        world.merge("a", json!({ "spec": { "note": "x" } })).await.unwrap();
        world.widgets().delete("a", &Default::default()).await.unwrap();
        format!("{:?}", cluster.writes())
    };
    assert_eq!(run().await, run().await);
}
