//! What ZITADEL refuses: permissions, organizations, hosts.

use serde_json::json;

use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_name_that_nobody_has_is_found_once_it_exists() {
    let world = World::new().await;
    let name = format!("{}-GLOBEX", world.namespace);
    world.project("web").apply(json!({ "organization": { "name": name } })).await;
    let web = world.project("web").until_reason("NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&name, "check the name", "by id"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    let globex = world.another_organization("globex").await;
    assert_eq!(world.project("web").until_ready().await["status"]["organizationId"], globex);
    assert_eq!(world.person.history(&globex).await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_organization_is_fine() {
    let mut world = World::without_operator().await;
    world.person.deactivate_organization(&world.organization).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_instance_has_is_said_and_proves_no_absence() {
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.patch_connection(json!({ "externalDomain": "elsewhere.example" })).await;
    let web = world.project("web").until_reason("NotFound").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["host", "external domain"]);
    let connection =
        world.until("Connection", "zitadel", "failed", |c| condition(c, "Ready")["reason"] == "NotFound");
    assert_kstatus(&connection.await, Kstatus::Failed);
    world.assert_calm().await;
    assert_eq!(world.history().await, ["project.added"]);
    world.patch_connection(json!({ "externalDomain": null })).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}
