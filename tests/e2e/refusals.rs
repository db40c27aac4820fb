//! What ZITADEL refuses: permissions, organizations, hosts.

use serde_json::json;
use support::zitadel::{Behaviour, State};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_which_permission_and_role_a_create_needs() {
    needs_double!();
    let mut world = World::without_operator().await;
    world.store_token(&world.acme.viewer.token).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["project.create", "ORG_OWNER", &world.acme.id, "Connection"]);
    world.assert_calm().await;
    world.assert_nothing_written();
    world.zitadel.set_roles(&world.acme.viewer.user, &world.acme.id, &["ORG_OWNER"]);
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_made_viewer_learns_which_permission_and_role_a_change_needs() {
    needs_double!();
    let mut world = World::without_operator().await;
    let owner = world.acme.owner.clone();
    world.store_token(&owner.token).await;
    world.start_operator().await;
    world.apply_project("web", json!({ "name": "before" })).await;
    world.until_ready("web").await;
    world.zitadel.set_roles(&owner.user, &world.acme.id, &["ORG_OWNER_VIEWER"]);
    world.apply_project("web", json!({ "name": "after" })).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["project.write", "ORG_OWNER"]);
    world.assert_calm().await;
    assert_eq!(world.project_names(), ["before"]);
    world.zitadel.set_roles(&owner.user, &world.acme.id, &["ORG_OWNER"]);
    world.until_ready("web").await;
    assert_eq!(world.project_names(), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_any_membership_is_denied_and_its_404_proves_no_absence() {
    needs_double!();
    let mut world = World::without_operator().await;
    let owner = world.acme.owner.clone();
    world.store_token(&owner.token).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let id = world.until_ready("web").await["status"]["id"].clone();
    let written = world.zitadel.ledger().writes().len();
    world.zitadel.set_roles(&owner.user, &world.acme.id, &[]);
    world.request_reconcile("web").await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTHZ-cdgFk", "project.read", "ORG_OWNER"]);
    world.assert_calm().await;
    assert_eq!(world.zitadel.ledger().writes().len(), written);
    world.zitadel.set_roles(&owner.user, &world.acme.id, &["ORG_OWNER"]);
    assert_eq!(world.until_ready("web").await["status"]["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_creates_nothing() {
    needs_double!();
    let mut world = World::without_operator().await;
    world.store_token(&world.acme.nobody.token).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "PermissionDenied").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTHZ-cdgFk", "project.create", "ORG_OWNER"]);
    world.assert_calm().await;
    world.assert_nothing_written();
    world.zitadel.set_roles(&world.acme.nobody.user, &world.acme.id, &["ORG_OWNER"]);
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_id_that_does_not_exist_is_named_and_can_be_corrected() {
    needs_double!();
    let world = World::new().await;
    world.apply_project("web", json!({ "organization": { "id": "999" } })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["organization 999", "AUTH-Bs7Ds", "spec.organization"]);
    world.assert_calm().await;
    world.assert_nothing_written();
    world.apply_project("web", json!({ "organization": { "id": world.acme.id } })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_name_that_nobody_has_is_found_once_it_exists() {
    needs_double!();
    let world = World::new().await;
    world.apply_project("web", json!({ "organization": { "name": "Globex" } })).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["Globex", "check the name", "by id"]);
    world.assert_calm().await;
    world.assert_nothing_written();
    let globex = world.zitadel.add_organization("globex");
    assert_eq!(world.until_ready("web").await["status"]["organizationId"], globex);
    assert_eq!(world.zitadel.projects(&globex).len(), 1);
}

async fn never_creates_in_a_removed_organization(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.zitadel.remove_organization(&world.acme.id);
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&world.acme.id, "does not exist", "spec.organization"]);
    world.assert_calm().await;
    let sent = world.zitadel.ledger().count(&http::Method::POST, "/management/v1/projects");
    assert_eq!(sent, 0, "a v4 server would have created it");
    let globex = world.zitadel.add_organization("globex");
    world.apply_project("web", json!({ "organization": { "id": globex } })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_project_is_created_in_a_removed_organization_that_v4_still_answers_for() {
    needs_double!();
    never_creates_in_a_removed_organization(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_project_is_created_in_a_removed_organization_of_v3() {
    needs_double!();
    never_creates_in_a_removed_organization(Behaviour::v3()).await;
}

async fn survives_the_removal_of_its_organization(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let id = world.until_ready("web").await["status"]["id"].clone();
    world.zitadel.remove_organization(&world.acme.id);
    world.request_reconcile("web").await;
    let web = world.until_ready_reason("web", "NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_eq!(web["status"]["id"], id);
    world.assert_calm().await;
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "nothing after the first create");
    world.delete_project("web").await;
    world.until_gone("web").await;
    assert_eq!(world.zitadel.ledger().writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recreated_after_an_organization_went_and_deletion_releases_on_v4() {
    needs_double!();
    survives_the_removal_of_its_organization(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recreated_after_an_organization_went_and_deletion_releases_on_v3() {
    needs_double!();
    survives_the_removal_of_its_organization(Behaviour::v3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_organization_is_fine() {
    needs_double!();
    let mut world = World::without_operator().await;
    world.zitadel.set_organization_state(&world.acme.id, State::Inactive);
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
    assert_eq!(world.project_names(), ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_instance_has_is_said_and_proves_no_absence() {
    needs_double!();
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
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "only the first create");
    world.patch_connection(json!({ "externalDomain": "localhost" })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}
