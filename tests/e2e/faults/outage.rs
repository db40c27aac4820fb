//! The API server, its store, or our definitions in it go and come back.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};
use support::control_plane::ControlPlane;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::tap::Tap;
use crate::meter::Meter;
use crate::needs_double;
use crate::world::{self, PATIENCE, World};

static BREAKABLE: OnceCell<ControlPlane> = OnceCell::const_new();

/// A world on a control plane that may be broken.
async fn breakable() -> World {
    let start = async || {
        let control_plane = ControlPlane::builder().controller_manager(false).start().await.unwrap();
        world::install_crds(world::client(&control_plane).await).await;
        control_plane
    };
    let world = World::on(BREAKABLE.get_or_init(start).await).await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world
}

/// Makes the past unreadable: whoever was watching has to list again.
async fn compact(control_plane: &ControlPlane) {
    let http = reqwest::Client::new();
    let ask = async |path: &str, body: Value| -> Value {
        let url = format!("{}/v3/kv/{path}", control_plane.etcd_url());
        let answer = http.post(url).body(body.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    };
    let revision = ask("range", json!({ "key": "AA==" })).await["header"]["revision"].clone();
    let compacted = ask("compaction", json!({ "revision": revision, "physical": true })).await;
    assert!(!compacted["header"].is_null(), "{compacted}");
}

/// Edits `edited` and deletes `deleted` in ZITADEL; the ids of the two.
async fn meddle(world: &World) -> [String; 2] {
    let mut ids = Vec::new();
    for name in ["edited", "deleted"] {
        let found = world.zitadel.projects(&world.organization);
        ids.push(found.into_iter().find(|project| project.settings.name == name).unwrap().id);
    }
    world.zitadel.edit_project(&ids[0], |settings| settings.name = "theirs".into());
    world.zitadel.delete_project(&ids[1]);
    ids.try_into().unwrap()
}

/// Everything is as specified again, at the cost of exactly these writes to ZITADEL.
async fn assert_recovered(
    world: &World,
    mark: support::zitadel::Mark,
    since: Instant,
    expected: &[(&str, usize)],
) {
    world.project("after").apply(json!({})).await;
    for name in ["edited", "deleted", "same", "after"] {
        world.project(name).until_ready().await;
    }
    world.until_listed(&["after", "deleted", "edited", "same"]).await;
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    let mut writes = BTreeMap::<String, usize>::new();
    for call in world.writes_since(mark) {
        *writes.entry(call.method.to_string()).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = expected.iter().map(|(m, n)| ((*m).to_owned(), *n)).collect();
    assert_eq!(writes, expected);
    world.project("after").delete().await;
    world.project("after").until_gone().await;
}

async fn a_restarted_api_server_and_a_stopped_etcd_cost_no_write_without_a_difference() {
    let mut world = breakable().await;
    // A server that has just started refuses what it has not read the rules of yet.
    world.forbidden.expect("* * *");
    world.start_operator().await;
    for name in ["edited", "deleted", "same"] {
        world.project(name).apply(json!({})).await;
        world.project(name).until_ready().await;
    }
    let control_plane = world.control_plane;
    let mark = world.zitadel.ledger().mark();
    control_plane.stop_api_server();
    compact(control_plane).await;
    control_plane.start_api_server().await.unwrap();
    assert_recovered(&world, mark, Instant::now(), &[("POST", 1)]).await;

    // What its watches learned to wait for in the first outage is not added to the second.
    world.stop_operator().await;
    world.start_operator().await;
    let mark = world.zitadel.ledger().mark();
    control_plane.stop_etcd();
    let [_, deleted] = meddle(&world).await;
    control_plane.start_etcd().await.unwrap();
    assert_recovered(&world, mark, Instant::now(), &[("POST", 2), ("PUT", 1)]).await;
    assert_ne!(world.project("deleted").now().await["status"]["id"], deleted);
    // A definition goes only when no finalizer is left.
    for name in ["edited", "deleted", "same"] {
        world.project(name).delete().await;
        world.project(name).until_gone().await;
    }
    world.stop_operator().await;
}

async fn a_definition_that_goes_and_comes_back_needs_no_restart_and_is_told_meanwhile() {
    let mut world = breakable().await;
    let (tap, meter) = (Tap::on("/projects"), Meter::new());
    world.start_operator_tapped(tap.client(&world).await, meter.metrics.clone());
    let kept = json!({ "deletionPolicy": "Retain" });
    world.project("kept").apply(kept.clone()).await;
    world.project("kept").until_ready().await;

    let definitions = Api::<CustomResourceDefinition>::all(world.client.clone());
    let name = "projects.zitadel-operator.dev";
    let uid = definitions.get(name).await.unwrap().metadata.uid.unwrap();
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    let gone = await_condition(definitions, name, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("the definition goes").unwrap();
    meter.until("watch_failures_total", &[("kind", "Project")], |failures| failures > 0.0).await;
    let before = tap.asked().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = tap.asked().len() - before;
    assert!(asked <= 6, "{asked} lists and watches in 3 s");

    let mark = world.zitadel.ledger().mark();
    world::install_crds(world.client.clone()).await;
    world.project("new").apply(json!({})).await;
    world.project("new").until_ready().await;
    assert_eq!(world.writes_since(mark).len(), 1);
    assert_eq!(world.project_names().await, ["kept", "new"]);
    world.stop_operator().await;
}

/// One after the other, because they break what the other needs.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_its_store_and_our_definitions_go_and_come_back() {
    needs_double!("the ledger");
    a_restarted_api_server_and_a_stopped_etcd_cost_no_write_without_a_difference().await;
    a_definition_that_goes_and_comes_back_needs_no_restart_and_is_told_meanwhile().await;
}
