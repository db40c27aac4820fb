//! Lost answers around the creation of an organization: always exactly one. Crashes at every request are in the
//! simulation.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault};

use crate::needs_double;
use crate::organization::{ORGANIZATION, creations, id_of, names, world_of};
use crate::waits::condition;
use crate::world::World;

const LINES: [fn() -> Behaviour; 2] = [Behaviour::v3, Behaviour::v4];

async fn applied(world: &World, name: &str) {
    let spec = json!({ "name": name, "deletionPolicy": "Delete" });
    world.subject(ORGANIZATION, "globex").apply(spec).await;
}

/// Ready at its present generation, and nothing left of the create protocol.
fn is_settled(organization: &Value) -> bool {
    let ready = condition(organization, "Ready");
    let annotations = &organization["metadata"]["annotations"];
    ready["reason"] == "Available"
        && ready["observedGeneration"] == organization["metadata"]["generation"]
        && annotations["zitadel-operator.dev/id"] == organization["status"]["id"]
        && organization["status"]["pendingCreate"].is_null()
}

async fn made_once(world: &World, name: &str) {
    let globex = world.subject(ORGANIZATION, "globex").until("was settled", is_settled).await;
    assert_eq!((names(world), creations(world)), (vec![name.to_owned()], 1));
    assert_eq!(world.zitadel.organization(&id_of(&globex)).map(|found| found.name), Some(name.into()));
    assert_eq!(globex["status"]["origin"], "Created");
}

async fn gone_on_both_sides(world: &World) {
    world.subject(ORGANIZATION, "globex").until_gone().await;
    assert_eq!((names(world), creations(world)), (vec![], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_ends_with_one_organization_of_ours() {
    needs_double!("its own way into the data or the ledger");
    for line in LINES {
        let world = world_of(line()).await;
        let path = "/v2/organizations";
        let create = move |r: &support::zitadel::Request| r.path == path && r.method == Method::POST;
        let lost = world.zitadel.inject(InjectedFault::drop_after_commit().when(create).times(1));
        applied(&world, "globex").await;
        made_once(&world, "globex").await;
        assert_eq!(lost.hits(), 1);
        world.subject(ORGANIZATION, "globex").delete().await;
        gone_on_both_sides(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_answer_is_lost_and_that_is_then_deleted_leaves_nothing() {
    needs_double!("its own way into the data or the ledger");
    for line in LINES {
        let mut world = world_of(line()).await;
        let create = |r: &support::zitadel::Request| r.path == "/v2/organizations";
        let lost = world.zitadel.inject(InjectedFault::hold_after_commit().when(create).times(1));
        applied(&world, "globex").await;
        lost.reached(1).await;
        world.crash_operator().await;
        world.subject(ORGANIZATION, "globex").delete().await;
        world.start_operator().await;
        gone_on_both_sides(&world).await;
    }
}
