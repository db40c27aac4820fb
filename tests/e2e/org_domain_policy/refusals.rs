//! What ZITADEL refuses, and what the condition says then.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Actor, Behaviour};

use super::{POLICIES, assert_reported, policy, spec};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::World;

/// The operator logs in as this user.
async fn world_of(pick: fn(&World) -> Actor) -> (World, Actor) {
    let mut world = World::without_operator().await;
    let actor = pick(&world);
    world.store_token(&actor.token).await;
    world.start_operator().await;
    (world, actor)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_viewer_may_observe() {
    needs_double!("its own way into the data or the ledger");
    let (world, _) = world_of(|world| world.zitadel.add_staff(&world.organization).viewer.clone()).await;
    policy(&world).apply(spec([false; 3], json!({ "managementPolicy": "Observe" }))).await;
    assert_reported(&world, &policy(&world).until_ready().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_any_membership_learns_that_a_viewer_may_observe() {
    needs_double!("its own way into the data or the ledger");
    let (world, nobody) = world_of(|world| world.zitadel.add_staff(&world.organization).nobody.clone()).await;
    policy(&world).apply(spec([false; 3], json!({ "managementPolicy": "Observe" }))).await;
    let denied = policy(&world).until_reason("PermissionDenied").await;
    assert_message(&denied, &["lacks org.read in organization", "ORG_OWNER_VIEWER", "AUTHZ-cdgFk"]);
    world.zitadel.set_roles(&nobody.user, &world.organization, &["ORG_OWNER_VIEWER"]);
    policy(&world).until_ready().await;
}

async fn never_writes_to_a_removed_organization(line: Behaviour, management: &str) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.zitadel.remove_organization(&world.organization);
    world.start_operator().await;
    policy(&world).apply(spec([false; 3], json!({ "managementPolicy": management }))).await;
    let missing = policy(&world).until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, &[&world.organization, "does not exist", "correct spec.organization"]);
    assert_eq!(missing["status"]["organizationId"], Value::Null, "it can still be corrected");
    assert_eq!(missing["metadata"]["finalizers"], Value::Null);
    world.assert_calm().await;
    let sent = world.zitadel.ledger().count(&Method::POST, POLICIES);
    assert_eq!(sent, 0, "a v4 server would have accepted it");
    let globex = world.zitadel.add_organization("globex");
    let right = json!({ "managementPolicy": management, "organization": { "id": globex } });
    policy(&world).apply(spec([false; 3], right)).await;
    assert_kstatus(&policy(&world).until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_organization_that_v4_still_answers_for_is_not_observed_as_if_it_were_there() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v4(), "Observe").await;
}
