//! What happens when ZITADEL is changed by somebody else.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault, Mark, Request};

use crate::kstatus::Kstatus;
use crate::meter::Meter;
use crate::needs_double;
use crate::waits::{assert_kstatus, condition, until_answered};
use crate::world::World;

const PROJECTS: &str = "/management/v1/projects";

/// A world that looks at ZITADEL again every 300 ms.
async fn watchful_world() -> World {
    let world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    let mut world = world;
    world.start_operator().await;
    world
}

/// A person turns a flag.
async fn edit(world: &World, id: &str, flag: &str) {
    let (person, organization) = (&world.person, &world.organization);
    let set = person.project(organization, id).await[flag] == true;
    person.edit_project(organization, id, flag, json!(!set)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_noticed_within_a_resync_and_an_event_names_the_fields() {
    let world = World::new().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_ready().await;
    let id = web["status"]["id"].as_str().expect("an id");
    world
        .person
        .update_project(&world.organization, id, json!({ "name": "theirs", "hasProjectCheck": true }))
        .await;
    let note = world.until_event("web", "DriftReverted").await;
    assert!(note.contains("name") && note.contains("hasProjectCheck"), "{note}");
    assert_eq!(world.remote(&web).await["name"], "web");
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
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_ready().await;
    let id = web["status"]["id"].as_str().unwrap();
    for _ in 0..5 {
        edit(&world, id, "projectRoleAssertion").await;
        world.until_remote(id, "repaired", |p| p["projectRoleAssertion"].is_null()).await;
        world.project("web").until_ready().await;
    }
    edit(&world, id, "projectRoleAssertion").await;
    let lost = world.project("web").until_reason("Conflict").await;
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
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
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
    world.project("web").apply(json!({ "state": "Inactive" })).await;
    create.reached(1).await;
    let asked = world.project("web").request().await;
    let last = hold(Method::POST, |path| path.ends_with("/_deactivate"));
    create.release();
    last.reached(1).await;
    let inspect = hold(Method::GET, |path| path.starts_with(PROJECTS));
    last.release();
    let web = world.project("web").until_ready().await;
    assert_eq!(web["status"]["lastHandledReconcileAt"], Value::Null);
    inspect.reached(1).await;
    inspect.release();
    let handled = |web: &Value| web["status"]["lastHandledReconcileAt"] == asked;
    world.project("web").until("was looked at", handled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_somebody_else_made_first_is_success_on_the_line_that_refuses_it() {
    needs_double!("faults and the choice of a server line");
    let world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = Behaviour::v3());
    let meter = Meter::new();
    let _operator = world.operator(world.operator_client().await, meter.metrics.clone());
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_ready().await;
    let fault = InjectedFault::hold().on(Method::PUT).path(PROJECTS).when(world.is_operators());
    let held = world.zitadel.inject(fault);
    world.project("web").apply(json!({ "projectRoleCheck": true })).await;
    held.reached(1).await;
    edit(&world, web["status"]["id"].as_str().unwrap(), "projectRoleCheck").await;
    held.release();
    let web = world.project("web").until_ready().await;
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
