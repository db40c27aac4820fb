//! Lost answers and crashes: whatever the point, the end is that of an undisturbed run. On the real API server this
//! is shown once around each side; the simulation has every scenario of every kind.

use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use support::zitadel::InjectedFault;

use crate::gate::{Barrier, Side};
use crate::needs_double;
use crate::waits::{condition, until_answered};
use crate::world::{PATIENCE, World};

const PROJECTS: &str = "/management/v1/projects";

/// Ready at its present generation, and nothing left of the create protocol.
fn is_settled(project: &Value) -> bool {
    let ready = condition(project, "Ready");
    let annotations = &project["metadata"]["annotations"];
    ready["reason"] == "Available"
        && ready["observedGeneration"] == project["metadata"]["generation"]
        && annotations["zitadel-operator.dev/id"] == project["status"]["id"]
        && project["status"]["pendingCreate"].is_null()
}

/// How many projects were ever created.
async fn creations(world: &World) -> usize {
    world.history().await.iter().filter(|event| *event == "project.added").count()
}

async fn made_once(world: &World, name: &str) {
    let web = world.project("web").until("was settled", is_settled).await;
    assert_eq!(world.project_names().await, [name]);
    assert_eq!(creations(world).await, 1);
    assert_eq!(world.remote(&web).await["id"], web["status"]["id"], "its id is that of the project");
    assert_eq!(web["status"]["origin"], "Created");
    assert_eq!(web["status"]["deletionPolicy"], "Delete");
}

async fn gone_on_both_sides(world: &World) {
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, [""; 0]);
    assert_eq!(creations(world).await, 1);
}

/// Where an operator is stopped for ever.
enum Point {
    Zitadel(InjectedFault),
    Kubernetes(Barrier),
}

/// Crashes a world at the point, starts another operator and waits for the end.
async fn crash_at(point: Point) {
    let mut world = World::without_operator().await;
    match point {
        Point::Zitadel(fault) => {
            world.start_operator().await;
            let held = world.zitadel.inject(fault.when(world.is_operators()));
            world.project("web").apply(json!({})).await;
            held.reached(1).await;
        }
        Point::Kubernetes(gate) => {
            world.project("web").apply(json!({})).await;
            let client = gate.before(world.operator_client().await);
            world.start_operator_through(client);
            gate.reached().await;
        }
    }
    world.crash_operator().await;
    world.start_operator().await;
    made_once(&world, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_on_both_sides_of_its_request_to_zitadel() {
    needs_double!("faults");
    for create in [InjectedFault::hold(), InjectedFault::hold_after_commit()] {
        crash_at(Point::Zitadel(create.on(Method::POST).path(PROJECTS).times(1))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_on_both_sides_of_each_of_its_first_writes_to_kubernetes() {
    // Finalizer, intent, id.
    let points = (0..3).flat_map(|n| [Side::Before, Side::After].map(|side| Barrier::after(n, side)));
    join_all(points.map(|gate| crash_at(Point::Kubernetes(gate)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_ends_with_one_project_of_ours() {
    needs_double!("faults");
    let world = World::new().await;
    let lost =
        world.zitadel.inject(InjectedFault::drop_after_commit().on(Method::POST).path(PROJECTS).times(1));
    world.project("web").apply(json!({})).await;
    made_once(&world, "web").await;
    assert_eq!(lost.hits(), 1);
    world.project("web").delete().await;
    gone_on_both_sides(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_during_the_outage_that_lost_the_answer_ends_with_one_project_of_the_new_name() {
    needs_double!("faults");
    let world = World::new().await;
    let lost =
        world.zitadel.inject(InjectedFault::hold_after_commit().on(Method::POST).path(PROJECTS).times(1));
    world.project("web").apply(json!({})).await;
    lost.reached(1).await;
    world.zitadel.stop().await;
    world.project("web").apply(json!({ "name": "renamed" })).await;
    let reported = |p: &Value| condition(p, "Ready")["reason"] == "Unavailable";
    world.project("web").until("told of the outage", reported).await;
    world.zitadel.resume().await.unwrap();
    made_once(&world, "renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_and_then_deleted_leaves_nothing() {
    needs_double!("faults");
    for lag in [Duration::ZERO, Duration::from_millis(1500)] {
        let mut world = World::new().await;
        world.zitadel.configure(|b| *b = b.clone().lagging(lag));
        let lost =
            world.zitadel.inject(InjectedFault::hold_after_commit().on(Method::POST).path(PROJECTS).times(1));
        world.project("web").apply(json!({})).await;
        lost.reached(1).await;
        world.crash_operator().await;
        world.project("web").delete().await;
        world.start_operator().await;
        gone_on_both_sides(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_never_arrived_and_then_deleted_is_never_sent_again() {
    needs_double!("faults");
    let mut world = World::new().await;
    let held = world.zitadel.inject(InjectedFault::hold().on(Method::POST).path(PROJECTS).times(1));
    world.project("web").apply(json!({})).await;
    held.reached(1).await;
    world.crash_operator().await;
    world.project("web").delete().await;
    world.start_operator().await;
    let searches = || world.zitadel.ledger().count(&Method::POST, "/management/v1/projects/_search");
    // Lists may lag: for `projection_lag` it must look, and only then let go.
    until_answered("searched", async || (searches() >= 2, searches())).await;
    assert!(!world.project("web").now().await.is_null(), "released before the lists could tell");
    let looking = async {
        while !world.project("web").now().await.is_null() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, looking).await.expect("released once the lists can tell");
    world.assert_nothing_written().await;
}
