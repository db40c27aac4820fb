//! Specs that are refused, and what was stored before the rules refused it.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use support::control_plane::ControlPlane;
use tokio::sync::{Mutex, OnceCell};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::kinds::definitions;
use zitadel_operator::runtime::growth::Growth;

use crate::kstatus::{Kstatus, kstatus};
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{CONNECTION, PATIENCE, World, client, config, install_crds, through_connection};

/// CRDs are shared, so the tests that loosen them have a control plane of their own and take turns.
static LOOSE: OnceCell<ControlPlane> = OnceCell::const_new();
static TURN: Mutex<()> = Mutex::const_new(());

async fn loose_world() -> World {
    let start = || async {
        let control_plane = ControlPlane::builder().controller_manager(false).start().await.unwrap();
        install_crds(client(&control_plane).await).await;
        control_plane
    };
    World::on(LOOSE.get_or_init(start).await).await
}

/// `Project` as an older version might have had it: any text is a name, anything is a state.
fn loosened() -> CustomResourceDefinition {
    let tight = definitions().into_iter().find(|crd| crd.spec.names.kind == "Project").unwrap();
    let mut loose = serde_json::to_value(tight).unwrap();
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = loose.pointer_mut(spec).unwrap();
    fields["name"] = json!({ "type": "string" });
    fields["state"] = json!({ "x-kubernetes-preserve-unknown-fields": true });
    serde_json::from_value(loose).unwrap()
}

/// Replaces the rules and waits until the API server follows them.
async fn set_rules(world: &World, rules: &CustomResourceDefinition, loose: bool) {
    let api = Api::<CustomResourceDefinition>::all(world.client.clone());
    let name = rules.meta().name.clone().unwrap();
    api.patch(&name, &PatchParams::apply("a-person").force(), &Patch::Apply(rules)).await.unwrap();
    let probe = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project",
        "metadata": { "name": "probe" }, "spec": { "state": 7 },
    });
    let params = PatchParams { dry_run: true, ..PatchParams::apply("a-person") };
    let followed = async {
        while world.api("Project").patch("probe", &params, &Patch::Apply(&probe)).await.is_ok() != loose {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, followed).await.expect("the API server follows the rules");
}

/// Merges specs into Projects, or makes them, while the rules are loose; then tightens these.
async fn store_before_the_rules(world: &World, specs: &[(&str, Value)]) {
    let _turn = TURN.lock().await;
    set_rules(world, &loosened(), true).await;
    for (name, spec) in specs {
        match world.project(name).now().await {
            Value::Null => drop(world.project(name).apply(spec.clone()).await),
            _ => drop(world.project(name).patch(json!({ "spec": spec })).await),
        }
    }
    let tight = definitions().into_iter().find(|crd| crd.spec.names.kind == "Project").unwrap();
    set_rules(world, &tight, false).await;
}

/// Waits until nothing is left of the state before: `Stalled` goes a write after `Ready` came.
async fn until_current(world: &World, name: &str) -> Value {
    world.project(name).until("was current", |project| kstatus(project) == Kstatus::Current).await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_zitadel_does_not_take_are_refused_at_once() {
    let world = World::without_operator().await;
    for name in ["x".repeat(201), "bell\u{7}".into(), "two\nlines".into(), String::new()] {
        let spec = through_connection(json!({ "name": name }));
        let refused = world.try_apply("Project", "web", spec).await.unwrap_err();
        assert!(refused.to_string().contains("spec.name"), "{name:?}: {refused}");
    }
    let refused =
        world.try_apply("Project", &"x".repeat(201), through_connection(json!({}))).await.unwrap_err();
    assert!(refused.to_string().contains("set spec.name"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stored_before_the_rules_are_never_sent() {
    let mut world = loose_world().await;
    let specs = [("long", json!({ "name": "x".repeat(201) })), ("bell", json!({ "name": "bell\u{7}" }))];
    store_before_the_rules(&world, &specs).await;
    world.start_operator().await;
    for (name, words) in [("long", "201 characters"), ("bell", "control character")] {
        let project = world.project(name).until_reason("InvalidSpec").await;
        assert_kstatus(&project, Kstatus::Failed);
        assert_message(&project, &[words, "spec.name"]);
    }
    world.assert_calm().await;
    world.assert_nothing_written().await;
    if let Some(ledger) = world.ledger() {
        assert_eq!(ledger.count(&http::Method::POST, "/management/v1/projects"), 0);
    }
    for name in ["long", "bell"] {
        world.project(name).apply(json!({ "name": name })).await;
        assert_kstatus(&world.project(name).until_ready().await, Kstatus::Current);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_does_not_parse_says_so_and_disturbs_nobody() {
    let mut world = loose_world().await;
    store_before_the_rules(&world, &[("odd", json!({ "state": 7 }))]).await;
    world.start_operator().await;
    let odd = world.project("odd").until_reason("InvalidSpec").await;
    assert_kstatus(&odd, Kstatus::Failed);
    assert_message(&odd, &["does not parse", "an edit or a patch", "integer `7`"]);
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.assert_calm().await;
    assert_eq!(world.project_names().await, ["web"]);
    // Server-side apply refuses to touch it; `kubectl edit` and `patch` do this.
    world.project("odd").patch(json!({ "spec": { "state": "Active" } })).await;
    until_current(&world, "odd").await;
    assert_eq!(world.project_names().await, ["web", "odd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_project_that_no_longer_parses_keeps_its_object() {
    let mut world = loose_world().await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let id = world.project("web").until_ready().await["status"]["id"].clone();
    store_before_the_rules(&world, &[("web", json!({ "state": 7 }))]).await;
    let web = world.project("web").until_reason("InvalidSpec").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_eq!(web["status"]["id"], id);
    world.project("web").patch(json!({ "spec": { "state": "Active" } })).await;
    let web = until_current(&world, "web").await;
    assert_eq!(web["status"]["id"], id);
    assert_eq!(world.history().await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_resource_that_does_not_parse_can_be_deleted() {
    let mut world = loose_world().await;
    world.start_operator().await;
    world.project("web").apply(json!({ "deletionPolicy": "Retain" })).await;
    world.project("web").until_ready().await;
    store_before_the_rules(&world, &[("web", json!({ "state": 7 }))]).await;
    world.project("web").until_reason("InvalidSpec").await;
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_what_does_not_parse_is_blocked_until_the_printed_patch_was_run() {
    let mut world = loose_world().await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    store_before_the_rules(&world, &[("web", json!({ "state": 7 }))]).await;
    world.project("web").until_reason("InvalidSpec").await;
    world.project("web").delete().await;
    let web = world.project("web").until_reason("DeletionBlocked").await;
    assert_kstatus(&web, Kstatus::Terminating);
    assert_eq!(condition(&web, "Stalled")["status"], "True");
    assert_message(&web, &["does not parse", "kubectl patch", "Retain"]);
    world.assert_calm().await;
    world.run_command_of(condition(&web, "Ready")["message"].as_str().unwrap()).await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, ["web"], "given up, not removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_exist_wakes_its_users_when_it_is_created() {
    let mut world = World::without_operator().await;
    let never = Growth { base: Duration::from_secs(3600), cap: Duration::from_secs(3600) };
    let short = config();
    let delays = Delays { dependency: never, ..short.delays };
    world.start_operator_with(Config { delays, ..short }).await;
    world
        .apply("Project", "web", json!({ "connectionRef": { "kind": "Connection", "name": "later" } }))
        .await;
    let web = world.project("web").until_reason("ReferenceNotFound").await;
    assert_kstatus(&web, Kstatus::InProgress);
    let named = format!("Connection {}/later does not exist", world.namespace);
    assert_message(&web, &[&named, "create it", "spec.connectionRef"]);
    let connection = serde_json::to_value(world.api("Connection").get(CONNECTION).await.unwrap()).unwrap();
    world.apply("Connection", "later", connection["spec"].clone()).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}
