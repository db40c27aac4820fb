//! Lost answers and crashes around the creation and removal of an organization: always exactly one.

use std::time::Duration;

use futures::FutureExt;
use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, Fault};

use crate::crash::{Scenario, crash_around_kubernetes, crash_around_zitadel};
use crate::needs_double;
use crate::organization::{ORGANIZATION, RECREATE, creations, id_of, names, world_of};
use crate::waits::condition;
use crate::world::World;

const LINES: [fn() -> Behaviour; 2] = [Behaviour::v3, Behaviour::v4];

const CREATE: Scenario = Scenario {
    prepare: |_| async {}.boxed(),
    act: |world| applied(world, "globex").boxed(),
    ends: |world| made_once(world, "globex").boxed(),
    lag: Duration::ZERO,
};

const DELETE: Scenario = Scenario {
    prepare: |world| {
        async {
            applied(world, "globex").await;
            made_once(world, "globex").await;
        }
        .boxed()
    },
    act: |world| async { world.resident(ORGANIZATION, "globex").delete().await }.boxed(),
    ends: |world| gone_on_both_sides(world).boxed(),
    lag: Duration::ZERO,
};

const MAKE_AGAIN: Scenario = Scenario {
    prepare: |world| removed_behind_its_back(world).boxed(),
    act: |world| asked_to_make_it_again(world).boxed(),
    ends: |world| made(world, "globex", 2).boxed(),
    lag: Duration::ZERO,
};

async fn removed_behind_its_back(world: &World) {
    applied(world, "globex").await;
    made_once(world, "globex").await;
    let globex = world.resident(ORGANIZATION, "globex");
    world.zitadel.remove_organization(&id_of(&globex.now().await));
    globex.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
    globex.until_reason("NotFound").await;
}

async fn removed_on_v3(world: &World) {
    v3(world).await;
    removed_behind_its_back(world).await;
}

async fn asked_to_make_it_again(world: &World) {
    let globex = world.resident(ORGANIZATION, "globex");
    globex.annotate(RECREATE, id_of(&globex.now().await)).await;
}

async fn v3(world: &World) {
    world.zitadel.configure(|behaviour| {
        let (lag_least, lag_most) = (behaviour.lag_least, behaviour.lag_most);
        *behaviour = Behaviour { lag_least, lag_most, ..Behaviour::v3() };
    });
}

async fn applied(world: &World, name: &str) {
    let spec = json!({ "name": name, "deletionPolicy": "Delete" });
    world.resident(ORGANIZATION, "globex").apply(spec).await;
}

/// Ready at its present generation, and nothing left of the create protocol.
fn is_settled(organization: &Value) -> bool {
    let ready = condition(organization, "Ready");
    let annotations = &organization["metadata"]["annotations"];
    ready["reason"] == "Available"
        && ready["observedGeneration"] == organization["metadata"]["generation"]
        && annotations["zitadel-operator.dev/id"] == organization["status"]["id"]
        && organization["status"]["pendingCreate"].is_null()
        && annotations[RECREATE].is_null()
}

async fn made_once(world: &World, name: &str) {
    made(world, name, 1).await;
}

async fn made(world: &World, name: &str, times: usize) {
    let globex = world.resident(ORGANIZATION, "globex").until("was settled", is_settled).await;
    assert_eq!((names(world), creations(world)), (vec![name.to_owned()], times));
    assert_eq!(world.zitadel.organization(&id_of(&globex)).map(|found| found.name), Some(name.into()));
    assert_eq!(globex["status"]["origin"], "Created");
}

async fn gone_on_both_sides(world: &World) {
    world.resident(ORGANIZATION, "globex").until_gone().await;
    assert_eq!((names(world), creations(world)), (vec![], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_around_every_request_on_v4() {
    needs_double!("its own way into the data or the ledger");
    crash_around_zitadel(CREATE).await;
    crash_around_kubernetes(CREATE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_a_crash_around_every_request_on_v3() {
    needs_double!("its own way into the data or the ledger");
    let create = Scenario { prepare: |world| v3(world).boxed(), ..CREATE };
    crash_around_zitadel(create).await;
    crash_around_kubernetes(create).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_crashes_while_lists_lag_behind() {
    needs_double!("its own way into the data or the ledger");
    let lag = Duration::from_millis(1500);
    crash_around_zitadel(Scenario { prepare: |world| v3(world).boxed(), lag, ..CREATE }).await;
    crash_around_zitadel(Scenario { lag, ..CREATE }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_made_again_is_made_again_once_whatever_crashes() {
    needs_double!("its own way into the data or the ledger");
    crash_around_zitadel(MAKE_AGAIN).await;
    crash_around_kubernetes(MAKE_AGAIN).await;
    crash_around_zitadel(Scenario { prepare: |world| removed_on_v3(world).boxed(), ..MAKE_AGAIN }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_survives_a_crash_around_every_request() {
    needs_double!("its own way into the data or the ledger");
    crash_around_zitadel(DELETE).await;
    crash_around_kubernetes(DELETE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_ends_with_one_organization_of_ours() {
    needs_double!("its own way into the data or the ledger");
    for line in LINES {
        let world = world_of(line()).await;
        let path = "/v2/organizations";
        let create = move |r: &support::zitadel::Request| r.path == path && r.method == Method::POST;
        let lost = world.zitadel.inject(Fault::drop_after_commit().when(create).times(1));
        applied(&world, "globex").await;
        made_once(&world, "globex").await;
        assert_eq!(lost.hits(), 1);
        world.resident(ORGANIZATION, "globex").delete().await;
        gone_on_both_sides(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_answer_is_lost_and_that_is_then_deleted_leaves_nothing() {
    needs_double!("its own way into the data or the ledger");
    for line in LINES {
        let mut world = world_of(line()).await;
        let create = |r: &support::zitadel::Request| r.path == "/v2/organizations";
        let lost = world.zitadel.inject(Fault::hold_after_commit().when(create).times(1));
        applied(&world, "globex").await;
        lost.reached(1).await;
        world.crash_operator().await;
        world.resident(ORGANIZATION, "globex").delete().await;
        world.start_operator().await;
        gone_on_both_sides(&world).await;
    }
}
