//! What happens when ZITADEL is changed by somebody else.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault, Mark, Request};

use crate::kstatus::Kstatus;
use crate::meter::Meter;
use crate::needs_double;
use crate::waits::{assert_kstatus, condition, until_answered};
use crate::world::{World, config};

const PROJECTS: &str = "/management/v1/projects";
const ENFORCED: &str = "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY";

/// A world that looks at ZITADEL again every 300 ms.
async fn watchful_world() -> World {
    let world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    let mut world = world;
    world.start_operator().await;
    world
}

/// A person's change of one field, by the name of the spec field, away from its default and back.
async fn edit(world: &World, id: &str, field: &str) {
    let (person, organization) = (&world.person, &world.organization);
    let set = person.project(organization, id).await[field] == true;
    match field {
        "state" => person.deactivate_project(organization, id).await,
        "name" => person.edit_project(organization, id, field, json!(format!("{id} renamed"))).await,
        "privateLabelingSetting" => person.edit_project(organization, id, field, json!(ENFORCED)).await,
        _ => person.edit_project(organization, id, field, json!(!set)).await,
    }
}

/// What a person sets of a project.
fn without_details(mut project: Value) -> Value {
    project.as_object_mut().unwrap().remove("details");
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_any_field_is_reverted_and_named_in_an_event_and_in_status() {
    let world = watchful_world().await;
    let fields = [
        "name",
        "projectRoleAssertion",
        "projectRoleCheck",
        "hasProjectCheck",
        "privateLabelingSetting",
        "state",
    ];
    for field in fields {
        let resource = field.to_lowercase();
        world.apply_project(&resource, json!({})).await;
        let before = world.remote(&world.until_ready(&resource).await).await;
        edit(&world, before["id"].as_str().unwrap(), field).await;
        let healed = world
            .until("Project", &resource, "told of the drift", |p| {
                p["status"]["drift"]["fields"] == json!([field])
            })
            .await;
        let after = world.remote(&healed).await;
        assert_eq!(healed["status"]["sequence"], after["details"]["sequence"]);
        assert_eq!(without_details(after), without_details(before), "{field}");
        assert_eq!(condition(&healed, "Ready")["reason"], "Available");
        let note = world.until_event(&resource, "DriftReverted").await;
        assert!(note.ends_with(field), "{note}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_deleted_by_somebody_else_is_made_again_once() {
    let world = watchful_world().await;
    world.apply_project("web", json!({})).await;
    let before = world.until_ready("web").await["status"]["id"].clone();
    world.person.delete_project(&world.organization, before.as_str().unwrap()).await;
    let again = world
        .until("Project", "web", "got another id", |p| {
            p["status"]["id"] != before && condition(p, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(world.project_names().await, ["web"]);
    assert_eq!(world.remote(&again).await["id"], again["status"]["id"]);
    world
        .until("Project", "web", "was annotated with the other id", |p| {
            p["metadata"]["annotations"]["zitadel-operator.dev/id"] == again["status"]["id"]
        })
        .await;
    world.delete_project("web").await;
    world.until_gone("web").await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_project_is_left_alone_by_edits_on_either_side_until_it_goes_on() {
    let mut world = World::without_operator().await;
    let resync = Duration::from_millis(300);
    world
        .start_operator_with(zitadel_operator::engine::decision::config::Config { resync, ..config() })
        .await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    world.annotate("web", "zitadel-operator.dev/paused", "true").await;
    let is_paused = |p: &Value| condition(p, "Synced")["reason"] == "Paused";
    let paused = world.until("Project", "web", "was paused", is_paused).await;
    assert_eq!(condition(&paused, "Synced")["status"], "False");
    assert_eq!(condition(&paused, "Ready")["status"], "True");
    assert_kstatus(&paused, Kstatus::Current);

    let mark = world.until_quiet().await;
    edit(&world, web["status"]["id"].as_str().unwrap(), "projectRoleCheck").await;
    world.apply_project("web", json!({ "name": "other" })).await;
    // Nothing is to happen: five resyncs long.
    tokio::time::sleep(resync * 5).await;
    world.assert_no_call_since(mark);
    assert_eq!(
        world.history().await,
        ["project.added", "project.changed"],
        "created, and edited by the person"
    );
    assert_kstatus(&world.project("web").await, Kstatus::InProgress);

    world.annotate("web", "zitadel-operator.dev/paused", Value::Null).await;
    let after = world.remote(&world.until_ready("web").await).await;
    assert_eq!((&after["name"], &after["projectRoleCheck"]), (&json!("other"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_differences_are_told_and_nothing_is_written() {
    let world = watchful_world().await;
    let id = world.person.create_project(&world.organization, "web").await;
    world.until_listed(&["web"]).await;
    edit(&world, &id, "hasProjectCheck").await;
    world.apply_project("web", json!({ "managementPolicy": "Observe" })).await;
    let drifted = world.until_ready_reason("web", "DriftDetected").await;
    assert_eq!(drifted["status"]["drift"]["fields"], json!(["hasProjectCheck"]));
    assert_eq!(condition(&drifted, "Synced")["status"], "True");
    assert_kstatus(&drifted, Kstatus::Failed);
    assert!(world.until_event("web", "DriftDetected").await.contains("hasProjectCheck"));

    edit(&world, &id, "hasProjectCheck").await;
    let agreed = world.until_ready("web").await;
    assert_eq!(agreed["status"]["drift"], Value::Null);
    assert_eq!(agreed["metadata"]["finalizers"], Value::Null);
    assert_eq!(agreed["metadata"]["annotations"], Value::Null);
    assert_kstatus(&agreed, Kstatus::Current);

    world.delete_project("web").await;
    world.until_gone("web").await;
    assert_eq!(world.project_names().await, ["web"]);
    assert_eq!(
        world.history().await,
        ["project.added", "project.changed", "project.changed"],
        "the person's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_what_is_not_there_says_so_and_creates_nothing() {
    let world = World::new().await;
    world.apply_project("web", json!({ "managementPolicy": "Observe" })).await;
    let missing = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    world.person.create_project(&world.organization, "web").await;
    world.until_ready("web").await;
    assert_eq!(world.history().await, ["project.added"], "the person's");
}

async fn looks_at_the_resync_pace(world: &World, mark: Mark) {
    let looks = || {
        let calls = world.calls_since(mark).into_iter();
        calls.filter(|call| call.path.starts_with(PROJECTS)).map(|call| call.at).collect::<Vec<_>>()
    };
    let looks = until_answered("looked", async || {
        let seen = looks();
        (seen.len() >= 8, seen)
    })
    .await;
    for pause in looks.windows(2).map(|two| two[1].duration_since(two[0])) {
        assert!(pause.as_millis() >= 270, "{pause:?}, {looks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_repaired_five_times_is_left_to_its_other_writer_and_told() {
    let world = watchful_world().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    let id = web["status"]["id"].as_str().unwrap();
    for _ in 0..5 {
        edit(&world, id, "projectRoleAssertion").await;
        world.until_remote(id, "repaired", |p| p["projectRoleAssertion"].is_null()).await;
        world.until_ready("web").await;
    }
    edit(&world, id, "projectRoleAssertion").await;
    let lost = world.until_ready_reason("web", "Conflict").await;
    let message = condition(&lost, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("projectRoleAssertion") && message.contains("5 times"), "{message}");
    assert_kstatus(&lost, Kstatus::Failed);
    assert_eq!(world.until_event("web", "Conflict").await, message);

    let (before, mark) = (world.history().await, world.zitadel.ledger().mark());
    // Only looks at the resync pace: at most one each 270 ms, and no write.
    match world.ledger() {
        Some(_) => looks_at_the_resync_pace(&world, mark).await,
        None => tokio::time::sleep(Duration::from_millis(2700)).await,
    }
    assert_eq!(world.history().await, before);

    edit(&world, id, "projectRoleAssertion").await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_reconcile_is_echoed_and_writes_nothing_without_a_difference() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    let mark = world.until_quiet().await;
    world.annotate("web", "zitadel-operator.dev/reconcile-requested-at", "now").await;
    world
        .until("Project", "web", "echoed the request", |p| p["status"]["lastHandledReconcileAt"] == "now")
        .await;
    assert_eq!(world.history().await, ["project.added"]);
    if world.ledger().is_some() {
        let looks = world.calls_since(mark);
        assert!(looks.iter().any(|request| request.path.starts_with(PROJECTS)), "it never looked");
        assert!(looks.iter().all(|request| request.method == Method::GET), "{looks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_is_asked_for_in_the_middle_of_a_reconcile_is_told_once_there_was_one() {
    needs_double!("faults");
    let world = World::new().await;
    let hold = |method, is_path: fn(&str) -> bool| {
        let is_operators = world.is_operators();
        let here = move |call: &Request| is_path(&call.path) && is_operators(call);
        world.zitadel.inject(InjectedFault::hold().on(method).when(here).times(1))
    };
    let create = hold(Method::POST, |path| path == PROJECTS);
    world.apply_project("web", json!({ "state": "Inactive" })).await;
    create.reached(1).await;
    let asked = world.request_reconcile("web").await;
    let last = hold(Method::POST, |path| path.ends_with("/_deactivate"));
    create.release();
    last.reached(1).await;
    let inspect = hold(Method::GET, |path| path.starts_with(PROJECTS));
    last.release();
    let web = world.until_ready("web").await;
    assert_eq!(web["status"]["lastHandledReconcileAt"], Value::Null);
    inspect.reached(1).await;
    inspect.release();
    let handled = |web: &Value| web["status"]["lastHandledReconcileAt"] == asked;
    world.until("Project", "web", "was looked at", handled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_somebody_else_made_first_is_success_on_the_line_that_refuses_it() {
    needs_double!("faults and the choice of a server line");
    let world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = Behaviour::v3());
    let meter = Meter::new();
    let _operator = world.operator(world.operator_client().await, meter.metrics.clone());
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    let fault = InjectedFault::hold().on(Method::PUT).path(PROJECTS).when(world.is_operators());
    let held = world.zitadel.inject(fault);
    world.apply_project("web", json!({ "projectRoleCheck": true })).await;
    held.reached(1).await;
    edit(&world, web["status"]["id"].as_str().unwrap(), "projectRoleCheck").await;
    held.release();
    let web = world.until_ready("web").await;
    assert_eq!(condition(&web, "Synced")["status"], "True");
    world.until_quiet().await;
    let is_operators = world.is_operators();
    let ledger = world.zitadel.ledger();
    let calls = ledger.select(|request| request.path.starts_with(PROJECTS) && is_operators(request));
    let writes: Vec<_> = calls.iter().filter(|call| call.method == Method::PUT).collect();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].status, Some(400), "No changes");
    assert_eq!(meter.value("reconcile_errors_total", &[("controller", "Project")]), 0.0);
}
