//! What was begun through one connection says nothing through another: a tenant's server says whatever it likes.

use std::time::Duration;

use http::Method;
use kube::api::Patch;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault};

use crate::world::{SHARED, World, simulate};

const NAME: &str = "victim";
const QUIET: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(1800);

fn creates() -> InjectedFault {
    InjectedFault::unavailable()
        .on(Method::POST)
        .path("/v2/organizations")
        .when(|request| !request.path.ends_with("_search"))
}

/// An organization through the tenant's own connection, of which nobody knows whether it was made.
async fn begun(world: &World, fault: InjectedFault) {
    world.share().await;
    world.start();
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.zitadel.inject(fault);
    world.apply("Organization", "shop", json!({ "name": NAME, "deletionPolicy": "Delete" })).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn move_to_shared(world: &World) {
    let shared = json!({ "kind": "ClusterConnection", "name": SHARED });
    let patch = Patch::Merge(json!({ "spec": { "connectionRef": shared } }));
    world.api("Organization").patch("shop", &Default::default(), &patch).await.expect("patched");
}

fn assert_unbound(shop: &Value) {
    let status = &shop["status"];
    assert!(status["id"].is_null() && status["origin"].is_null(), "{status}");
}

#[test]
fn a_create_is_recovered_through_no_other_connection() {
    simulate(1, Behaviour::v4(), async |world: World| {
        begun(&world, creates()).await;
        let intent = world.get("Organization", "shop").await["status"]["pendingCreate"].clone();
        assert_eq!(intent["connectionRef"]["kind"], "Connection", "{intent}");
        let victim = world.zitadel.add_organization(NAME);
        move_to_shared(&world).await;
        world.zitadel.clear_faults();
        world.rest(QUIET, PATIENCE).await;
        let held = world.get("Organization", "shop").await;
        assert_unbound(&held);
        let ready = &held["status"]["conditions"][0];
        assert_eq!(ready["reason"], "InstanceChanged", "{ready}");
        assert!(ready["message"].as_str().unwrap_or_default().contains("set it back"), "{ready}");
        world.delete("Organization", "shop").await;
        world.rest(QUIET, PATIENCE).await;
        assert_unbound(&world.get("Organization", "shop").await);
        let there = world.zitadel.organization(&victim);
        assert!(there.is_some_and(|there| there.name == NAME), "it is as it was");
    });
}

#[test]
fn an_answer_of_the_connection_before_binds_nothing_to_the_one_after() {
    simulate(1, Behaviour::v4(), async |world: World| {
        let slow = InjectedFault::delay(Duration::from_secs(10));
        let slow = slow
            .on(Method::POST)
            .path("/v2/organizations")
            .when(|request| !request.path.ends_with("_search"));
        begun(&world, slow).await;
        move_to_shared(&world).await;
        world.zitadel.clear_faults();
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.rest(QUIET, PATIENCE).await;
        assert_unbound(&world.get("Organization", "shop").await);
    });
}
