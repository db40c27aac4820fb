//! What ZITADEL refuses, and what the condition says then.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Actor, Behaviour, OrganizationFeatures};

use super::{calls, flags, implement, set, spec};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::World;

/// The operator logs in as this user.
async fn world_of(pick: fn(&World) -> Actor) -> (World, Actor) {
    let mut world = World::without_operator().await;
    implement(&world, OrganizationFeatures::Implemented);
    let actor = pick(&world);
    world.store_token(&actor.token).await;
    world.start_operator().await;
    (world, actor)
}

async fn is_told_to_become_owner(pick: fn(&World) -> Actor, words: &[&str]) {
    let (world, actor) = world_of(pick).await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    let denied = flags(&world).until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    let role = "give it the role ORG_OWNER, ORG_SETTINGS_MANAGER or IAM_OWNER";
    assert_message(&denied, &["org.feature.write", role, &world.organization, "Connection"]);
    assert_message(&denied, words);
    world.assert_calm().await;
    world.assert_no_writes();
    world.zitadel.set_roles(&actor.user, &world.organization, &["ORG_OWNER"]);
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_which_permission_and_role_the_flags_need() {
    needs_double!("its own way into the data or the ledger");
    is_told_to_become_owner(
        |world| world.zitadel.add_staff(&world.organization).viewer.clone(),
        &["AUTH-5mWD2"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_any_membership_learns_the_same() {
    needs_double!("its own way into the data or the ledger");
    is_told_to_become_owner(
        |world| world.zitadel.add_staff(&world.organization).nobody.clone(),
        &["AUTHZ-cdgFk", "org.read"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_owner_may_set_and_reset_flags() {
    needs_double!("its own way into the data or the ledger");
    let (world, _) = world_of(|world| world.zitadel.add_staff(&world.organization).owner.clone()).await;
    flags(&world).apply(spec(json!({ "userSchema": true, "loginDefaultOrg": true }))).await;
    flags(&world).until_ready().await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_ready().await;
    flags(&world).delete().await;
    flags(&world).until_gone().await;
    assert_eq!(set(&world), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_reset_no_longer_learns_it_from_the_deletion() {
    needs_double!("its own way into the data or the ledger");
    let (world, owner) = world_of(|world| world.zitadel.add_staff(&world.organization).owner.clone()).await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_ready().await;
    world.zitadel.set_roles(&owner.user, &world.organization, &["ORG_OWNER_VIEWER"]);
    flags(&world).delete().await;
    let blocked = flags(&world).until_reason("DeletionBlocked").await;
    assert_message(&blocked, &["org.feature.delete", "ORG_OWNER", "kubectl patch", "Retain"]);
    world.zitadel.set_roles(&owner.user, &world.organization, &["ORG_OWNER"]);
    flags(&world).until_gone().await;
    assert_eq!(set(&world), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_does_not_exist_is_named_and_can_be_corrected() {
    needs_double!("its own way into the data or the ledger");
    let world = super::world_of_tomorrow().await;
    let spec = |id: &str| json!({ "organization": { "id": id }, "features": { "userSchema": true } });
    flags(&world).apply(spec("999")).await;
    let missing = flags(&world).until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, &["organization 999", "AUTH-Bs7Ds", "spec.organization"]);
    world.assert_calm().await;
    world.assert_no_writes();
    flags(&world).apply(spec(&world.organization)).await;
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
}

fn of_tomorrow(mut line: Behaviour) -> Behaviour {
    line.organization_features = OrganizationFeatures::Implemented;
    line
}

async fn never_writes_to_a_removed_organization(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = of_tomorrow(line));
    world.zitadel.remove_organization(&world.organization);
    world.start_operator().await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    let missing = flags(&world).until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, &[&world.organization, "does not exist", "correct spec.organization"]);
    assert_eq!(missing["status"]["organizationId"], Value::Null, "it can still be corrected");
    world.assert_calm().await;
    assert!(calls(&world, Method::PUT).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flag_is_set_in_a_removed_organization_that_v4_still_answers_for() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flag_is_set_in_a_removed_organization_of_v3() {
    needs_double!("its own way into the data or the ledger");
    never_writes_to_a_removed_organization(Behaviour::v3()).await;
}

async fn survives_the_removal_of_its_organization(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = of_tomorrow(line));
    world.start_operator().await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_ready().await;
    world.zitadel.remove_organization(&world.organization);
    flags(&world).reconciled().await;
    let lost = flags(&world).until_reason("NotFound").await;
    assert_kstatus(&lost, Kstatus::Failed);
    assert_message(&lost, &[&world.organization, "does not exist", "delete this resource"]);
    world.assert_calm().await;
    flags(&world).delete().await;
    flags(&world).until_gone().await;
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "nothing after the first create");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_went_with_their_organization_are_not_set_again_and_deletion_releases_on_v4() {
    needs_double!("its own way into the data or the ledger");
    survives_the_removal_of_its_organization(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_went_with_their_organization_are_not_set_again_and_deletion_releases_on_v3() {
    needs_double!("its own way into the data or the ledger");
    survives_the_removal_of_its_organization(Behaviour::v3()).await;
}
