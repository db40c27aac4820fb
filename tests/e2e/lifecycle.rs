//! A project from its creation to its removal.

use serde_json::json;
use support::zitadel::State;

use crate::kstatus::Kstatus;
use crate::world::{World, assert_kstatus};

#[tokio::test(flavor = "multi_thread")]
async fn a_created_project_is_ready_with_sequence_and_dates() {
    let world = World::new().await;
    let born = world.apply_project("web", json!({ "projectRoleAssertion": true })).await;
    assert_kstatus(&born, Kstatus::InProgress);
    let web = world.until_ready("web").await;
    assert_kstatus(&web, Kstatus::Current);
    let status = &web["status"];
    let remote = world.zitadel.project(status["id"].as_str().unwrap()).expect("it is in ZITADEL");
    assert_eq!(remote.settings.name, "web");
    assert!(remote.settings.project_role_assertion);
    assert_eq!(status["organizationId"], world.acme.id);
    assert_eq!(status["instance"], world.zitadel.instance_identity());
    assert_eq!(status["sequence"], remote.stamp.sequence.to_string());
    assert_eq!(status["changeDate"], remote.stamp.changed.to_string());
    assert_eq!(status["creationDate"], remote.stamp.created.to_string());
    assert_eq!(status["deletionPolicy"], "Delete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_keeps_the_id_and_never_makes_a_second_project() {
    let world = World::new().await;
    world.apply_project("web", json!({ "name": "before" })).await;
    let before = world.until_ready("web").await;
    world.apply_project("web", json!({ "name": "after" })).await;
    let after = world.until_ready("web").await;
    assert_eq!(before["status"]["id"], after["status"]["id"]);
    assert_eq!(world.project_names(), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_removes_the_project_in_zitadel_before_the_resource_goes() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    world.delete_project("web").await;
    world.until_gone("web").await;
    assert!(world.project_names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_can_be_deactivated_and_activated() {
    let world = World::new().await;
    world.apply_project("web", json!({ "state": "Inactive" })).await;
    let web = world.until_ready("web").await;
    let id = web["status"]["id"].as_str().unwrap();
    assert_eq!(world.zitadel.project(id).unwrap().state, State::Inactive);
    world.apply_project("web", json!({ "state": "Active" })).await;
    world.until_ready("web").await;
    assert_eq!(world.zitadel.project(id).unwrap().state, State::Active);
}
