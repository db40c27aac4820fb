//! Lost answers and crashes: whatever the point, the end is that of an undisturbed run. On the real API server this
//! is shown once around each side; the simulation has every scenario of every kind.

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use support::zitadel::InjectedFault;

use crate::gate::{Barrier, Side};
use crate::needs_double;
use crate::waits::{condition, until_answered};
use crate::world::{PATIENCE, World};

const PROJECTS: &str = "/management/v1/projects";

/// Worlds that crash at the same time.
const AT_ONCE: usize = 4;

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
    let web = world.until("Project", "web", "was settled", is_settled).await;
    assert_eq!(world.project_names().await, [name]);
    assert_eq!(creations(world).await, 1);
    assert_eq!(world.remote(&web).await["id"], web["status"]["id"], "its id is that of the project");
    assert_eq!(web["status"]["origin"], "Created");
    assert_eq!(web["status"]["deletionPolicy"], "Delete");
}

async fn gone_on_both_sides(world: &World) {
    world.until_gone("web").await;
    assert_eq!(world.project_names().await, [""; 0]);
    assert_eq!(creations(world).await, 1);
}

/// Where an operator is stopped for ever.
enum Point {
    Zitadel(InjectedFault),
    Kubernetes(Barrier),
}

/// Crashes one world at the point, if it gets there, starts another operator and waits for the end.
async fn crash_at(point: Point) -> bool {
    let mut world = World::without_operator().await;
    let (reached, quiet): (BoxFuture<'_, ()>, BoxFuture<'_, ()>) = match point {
        Point::Zitadel(fault) => {
            world.start_operator().await;
            let held = world.zitadel.inject(fault.when(world.is_operators()));
            world.apply_project("web", json!({})).await;
            (async move { held.reached(1).await }.boxed(), world.until_quiet().map(drop).boxed())
        }
        Point::Kubernetes(gate) => {
            world.apply_project("web", json!({})).await;
            let client = gate.before(world.operator_client().await);
            world.start_operator_through(client);
            let other = gate.clone();
            (async move { gate.reached().await }.boxed(), async move { other.until_quiet().await }.boxed())
        }
    };
    // The end may be seen before the answer that brought it; what comes after is a point too.
    let undisturbed = async {
        made_once(&world, "web").await;
        quiet.await;
    };
    let crashed = tokio::select! {
        () = reached => true,
        () = undisturbed => false,
    };
    if crashed {
        world.crash_operator().await;
        world.start_operator().await;
        made_once(&world, "web").await;
    }
    crashed
}

/// Crashes at the first, second, … request until a run needs no further one; answers how many there were.
async fn crash_at_each(point: impl Fn(usize) -> Point) -> usize {
    let mut crashes = 0;
    loop {
        // All of them end: a world given up while it is made leaves its organization behind.
        let worlds = (crashes..crashes + AT_ONCE).map(|n| crash_at(point(n)));
        match join_all(worlds).await.iter().position(|crashed| !crashed) {
            Some(first) => return crashes + first,
            None => crashes += AT_ONCE,
        }
    }
}

async fn crash_around_zitadel() {
    let before = crash_at_each(|n| Point::Zitadel(InjectedFault::hold().after(n).times(1))).await;
    let after = crash_at_each(|n| Point::Zitadel(InjectedFault::hold_after_commit().after(n).times(1))).await;
    println!("crashed before {before} and after {after} requests to ZITADEL");
    assert!(before > 1 && after > 1, "{before} and {after}");
}

async fn crash_around_kubernetes() {
    let before = crash_at_each(|n| Point::Kubernetes(Barrier::after(n, Side::Before))).await;
    let after = crash_at_each(|n| Point::Kubernetes(Barrier::after(n, Side::After))).await;
    println!("crashed before {before} and after {after} writes to Kubernetes");
    assert!(before > 0 && after > 0, "{before} and {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_around_every_request_to_zitadel() {
    needs_double!("faults");
    crash_around_zitadel().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_around_every_write_to_kubernetes() {
    crash_around_kubernetes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_ends_with_one_project_of_ours() {
    needs_double!("faults");
    let world = World::new().await;
    let lost =
        world.zitadel.inject(InjectedFault::drop_after_commit().on(Method::POST).path(PROJECTS).times(1));
    world.apply_project("web", json!({})).await;
    made_once(&world, "web").await;
    assert_eq!(lost.hits(), 1);
    world.delete_project("web").await;
    gone_on_both_sides(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_during_the_outage_that_lost_the_answer_ends_with_one_project_of_the_new_name() {
    needs_double!("faults");
    let world = World::new().await;
    let lost =
        world.zitadel.inject(InjectedFault::hold_after_commit().on(Method::POST).path(PROJECTS).times(1));
    world.apply_project("web", json!({})).await;
    lost.reached(1).await;
    world.zitadel.stop().await;
    world.apply_project("web", json!({ "name": "renamed" })).await;
    let reported = |p: &Value| condition(p, "Ready")["reason"] == "Unavailable";
    world.until("Project", "web", "told of the outage", reported).await;
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
        world.apply_project("web", json!({})).await;
        lost.reached(1).await;
        world.crash_operator().await;
        world.delete_project("web").await;
        world.start_operator().await;
        gone_on_both_sides(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_never_arrived_and_then_deleted_is_never_sent_again() {
    needs_double!("faults");
    let mut world = World::new().await;
    let held = world.zitadel.inject(InjectedFault::hold().on(Method::POST).path(PROJECTS).times(1));
    world.apply_project("web", json!({})).await;
    held.reached(1).await;
    world.crash_operator().await;
    world.delete_project("web").await;
    world.start_operator().await;
    let searches = || world.zitadel.ledger().count(&Method::POST, "/management/v1/projects/_search");
    // Lists may lag: for `projection_lag` it must look, and only then let go.
    until_answered("searched", async || (searches() >= 2, searches())).await;
    assert!(!world.project("web").await.is_null(), "released before the lists could tell");
    let looking = async {
        while !world.project("web").await.is_null() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 2, looking).await.expect("released once the lists can tell");
    world.assert_nothing_written().await;
}
