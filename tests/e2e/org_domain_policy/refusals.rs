//! What ZITADEL refuses, and what the condition says then.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Actor, Behaviour};

use super::{POLICIES, assert_reported, in_force, policy, spec};
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

async fn is_told_to_become_instance_owner(pick: fn(&World) -> Actor, words: &[&str]) {
    let (world, actor) = world_of(pick).await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    let denied = policy(&world).until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &["iam.policy.write", "give it the role IAM_OWNER (", "Connection"]);
    assert_message(&denied, words);
    world.assert_calm().await;
    world.assert_no_writes();
    world.zitadel.set_instance_roles(&actor.user, &["IAM_OWNER"]);
    assert_kstatus(&policy(&world).until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_which_permission_and_role_a_policy_needs() {
    needs_double!("its own way into the data or the ledger");
    is_told_to_become_instance_owner(
        |world| world.zitadel.add_staff(&world.organization).viewer.clone(),
        &["in the instance", "AUTH-5mWD2"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_owner_learns_that_only_an_instance_owner_may_write_a_policy() {
    needs_double!("its own way into the data or the ledger");
    is_told_to_become_instance_owner(
        |world| world.zitadel.add_staff(&world.organization).owner.clone(),
        &["in the instance", "AUTH-5mWD2"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_any_membership_learns_the_same() {
    needs_double!("its own way into the data or the ledger");
    is_told_to_become_instance_owner(
        |world| world.zitadel.add_staff(&world.organization).nobody.clone(),
        &["AUTHZ-cdgFk", "org.read"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_write_no_longer_learns_it_and_the_policy_stays() {
    needs_double!("its own way into the data or the ledger");
    let (world, owner) = world_of(|world| world.zitadel.add_staff(&world.organization).owner.clone()).await;
    world.zitadel.set_instance_roles(&owner.user, &["IAM_OWNER"]);
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    world.zitadel.set_instance_roles(&owner.user, &[]);
    policy(&world).apply(spec([false, false, true], json!({}))).await;
    let denied = policy(&world).until_reason("PermissionDenied").await;
    assert_reported(&world, &denied).await;
    policy(&world).delete().await;
    let blocked = policy(&world).until_reason("DeletionBlocked").await;
    assert_message(
        &blocked,
        &["iam.policy.delete", "give it the role IAM_OWNER (", "kubectl patch", "Retain"],
    );
    assert_eq!(in_force(&world).await, [false, true, false]);
    world.zitadel.set_instance_roles(&owner.user, &["IAM_OWNER"]);
    policy(&world).until_gone().await;
    assert!(world.zitadel.domain_policy(&world.organization).is_none());
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

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_does_not_exist_is_named_and_can_be_corrected() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({ "organization": { "id": "999" } }))).await;
    let missing = policy(&world).until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, &["organization 999", "AUTH-Bs7Ds", "spec.organization"]);
    world.assert_calm().await;
    world.assert_no_writes();
    let right = json!({ "organization": { "id": world.organization } });
    policy(&world).apply(spec([false, true, false], right)).await;
    assert_kstatus(&policy(&world).until_ready().await, Kstatus::Current);
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
async fn no_policy_is_made_in_a_removed_organization_that_v4_still_answers_for() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v4(), "Manage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_is_made_in_a_removed_organization_of_v3() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v3(), "Manage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_organization_that_v4_still_answers_for_is_not_observed_as_if_it_were_there() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v4(), "Observe").await;
}

async fn survives_the_removal_of_its_organization(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.start_operator().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    world.zitadel.remove_organization(&world.organization);
    policy(&world).reconciled().await;
    let lost = policy(&world).until_reason("NotFound").await;
    assert_kstatus(&lost, Kstatus::Failed);
    assert_message(&lost, &[&world.organization, "does not exist", "delete this resource"]);
    world.assert_calm().await;
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "nothing after the first create");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_went_with_its_organization_is_not_made_again_and_deletion_releases_on_v4() {
    needs_double!("its own way into the data or the ledger");
    survives_the_removal_of_its_organization(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_went_with_its_organization_is_not_made_again_and_deletion_releases_on_v3() {
    needs_double!("its own way into the data or the ledger");
    survives_the_removal_of_its_organization(Behaviour::v3()).await;
}
