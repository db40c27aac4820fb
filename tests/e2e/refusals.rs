//! What ZITADEL refuses: permissions, organizations, hosts.

use serde_json::json;
use support::zitadel::Behaviour;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

async fn v3_world() -> World {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = Behaviour::v3());
    world.start_operator().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_which_permission_and_role_a_create_needs() {
    let mut world = World::without_operator().await;
    let viewer = world.log_in_as("viewer", Some("ORG_OWNER_VIEWER")).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["project.create", "ORG_OWNER", &world.organization, "Connection"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    viewer.change_role("ORG_OWNER").await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_made_viewer_learns_which_permission_and_role_a_change_needs() {
    let mut world = World::without_operator().await;
    let owner = world.log_in_as("owner", Some("ORG_OWNER")).await;
    world.start_operator().await;
    world.apply_project("web", json!({ "name": "before" })).await;
    world.until_ready("web").await;
    owner.change_role("ORG_OWNER_VIEWER").await;
    world.apply_project("web", json!({ "name": "after" })).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["project.write", "ORG_OWNER"]);
    world.assert_calm().await;
    assert_eq!(world.project_names().await, ["before"]);
    owner.change_role("ORG_OWNER").await;
    world.until_ready("web").await;
    assert_eq!(world.project_names().await, ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_any_membership_is_denied_and_its_404_proves_no_absence() {
    let mut world = World::without_operator().await;
    let owner = world.log_in_as("owner", Some("ORG_OWNER")).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let id = world.until_ready("web").await["status"]["id"].clone();
    owner.dismiss().await;
    world.request_reconcile("web").await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTHZ-cdgFk", "project.read", "ORG_OWNER"]);
    world.assert_calm().await;
    assert_eq!(world.history().await, ["project.added"]);
    owner.grant("ORG_OWNER").await;
    assert_eq!(world.until_ready("web").await["status"]["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_creates_nothing() {
    let mut world = World::without_operator().await;
    let nobody = world.log_in_as("nobody", None).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTHZ-cdgFk", "project.create", "ORG_OWNER"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    nobody.grant("ORG_OWNER").await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_id_that_does_not_exist_is_named_and_can_be_corrected() {
    let world = World::new().await;
    world.apply_project("web", json!({ "organization": { "id": "999" } })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["organization 999", "AUTH-Bs7Ds", "spec.organization"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    world.apply_project("web", json!({ "organization": { "id": world.organization } })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_name_that_nobody_has_is_found_once_it_exists() {
    let world = World::new().await;
    let name = format!("{}-GLOBEX", world.namespace);
    world.apply_project("web", json!({ "organization": { "name": name } })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&name, "check the name", "by id"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    let globex = world.another_organization("globex").await;
    assert_eq!(world.until_ready("web").await["status"]["organizationId"], globex);
    assert_eq!(world.person.history(&globex).await, ["project.added"]);
}

async fn never_creates_in_a_removed_organization(world: World) {
    let gone = world.another_organization("gone").await;
    world.person.remove_organization(&gone).await;
    world.apply_project("web", json!({ "organization": { "id": gone } })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&gone, "does not exist", "spec.organization"]);
    world.assert_calm().await;
    assert_eq!(world.person.history(&gone).await, [""; 0], "a v4 server would have created it");
    if let Some(ledger) = world.ledger() {
        assert_eq!(ledger.count(&http::Method::POST, "/management/v1/projects"), 0);
    }
    world.apply_project("web", json!({ "organization": { "id": world.organization } })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_project_is_created_in_a_removed_organization_even_if_the_server_still_answers_for_it() {
    never_creates_in_a_removed_organization(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_project_is_created_in_a_removed_organization_of_v3() {
    needs_double!("the choice of a server line");
    never_creates_in_a_removed_organization(v3_world().await).await;
}

async fn survives_the_removal_of_its_organization(world: World) {
    let gone = world.another_organization("gone").await;
    world.apply_project("web", json!({ "organization": { "id": gone } })).await;
    let id = world.until_ready("web").await["status"]["id"].clone();
    world.person.remove_organization(&gone).await;
    world.request_reconcile("web").await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_eq!(web["status"]["id"], id);
    world.assert_calm().await;
    assert_eq!(world.person.history(&gone).await, ["project.added"]);
    world.delete_project("web").await;
    world.until_gone("web").await;
    assert_eq!(world.person.history(&gone).await, ["project.added"]);
    world.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recreated_after_an_organization_went_and_deletion_releases() {
    survives_the_removal_of_its_organization(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recreated_after_an_organization_went_and_deletion_releases_on_v3() {
    needs_double!("the choice of a server line");
    survives_the_removal_of_its_organization(v3_world().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_organization_is_fine() {
    let mut world = World::without_operator().await;
    world.person.deactivate_organization(&world.organization).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_instance_has_is_said_and_proves_no_absence() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    world.patch_connection(json!({ "externalDomain": "elsewhere.example" })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["host", "external domain"]);
    let connection =
        world.until("Connection", "zitadel", "failed", |c| condition(c, "Ready")["reason"] == "NotFound");
    assert_kstatus(&connection.await, Kstatus::Failed);
    world.assert_calm().await;
    assert_eq!(world.history().await, ["project.added"]);
    world.patch_connection(json!({ "externalDomain": null })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}
