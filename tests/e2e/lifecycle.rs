//! A project from its creation to its removal.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, date};
use crate::world::{PATIENCE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_created_project_is_ready_with_sequence_and_dates() {
    let world = World::new().await;
    let born = world.apply_project("web", json!({ "projectRoleAssertion": true })).await;
    assert_kstatus(&born, Kstatus::InProgress);
    let web = world.until_ready("web").await;
    assert_kstatus(&web, Kstatus::Current);
    let (status, remote) = (&web["status"], world.remote(&web).await);
    assert_eq!((&remote["name"], &remote["projectRoleAssertion"]), (&json!("web"), &json!(true)));
    assert_eq!(status["organizationId"], world.organization);
    assert_eq!(status["instance"], world.person.instance().await);
    assert_eq!(status["sequence"], remote["details"]["sequence"]);
    for field in ["changeDate", "creationDate"] {
        assert_eq!(status[field], date(&remote["details"][field]), "{field}");
    }
    assert_eq!((&status["deletionPolicy"], &status["origin"]), (&json!("Delete"), &json!("Created")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_follows_the_spec() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    let settings = json!({
        "name": "Web", "projectRoleAssertion": true, "projectRoleCheck": true, "hasProjectCheck": true,
        "privateLabelingSetting": "EnforceProjectResourceOwnerPolicy", "state": "Inactive",
    });
    world.apply_project("web", settings).await;
    let web = world.until_ready("web").await;
    let remote = world.remote(&web).await;
    assert_eq!(web["status"]["sequence"], remote["details"]["sequence"]);
    let expected = json!({
        "name": "Web", "projectRoleAssertion": true, "projectRoleCheck": true, "hasProjectCheck": true,
        "privateLabelingSetting": "PRIVATE_LABELING_SETTING_ENFORCE_PROJECT_RESOURCE_OWNER_POLICY",
        "state": "PROJECT_STATE_INACTIVE",
    });
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(remote[field], *value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_keeps_the_id_and_never_makes_a_second_project() {
    let world = World::new().await;
    world.apply_project("web", json!({ "name": "before" })).await;
    let before = world.until_ready("web").await;
    world.apply_project("web", json!({ "name": "after" })).await;
    let after = world.until_ready("web").await;
    assert_eq!(before["status"]["id"], after["status"]["id"]);
    assert_eq!(world.remote(&after).await["name"], "after");
    world.until_listed(&["after"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_removes_the_project_in_zitadel_before_the_resource_goes() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    world.delete_project("web").await;
    world.until_gone("web").await;
    assert_eq!(world.remote(&web).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_project_can_be_activated_again() {
    let world = World::new().await;
    world.apply_project("web", json!({ "state": "Inactive" })).await;
    let web = world.until_ready("web").await;
    assert_eq!(world.remote(&web).await["state"], "PROJECT_STATE_INACTIVE");
    world.apply_project("web", json!({ "state": "Active" })).await;
    world.until_ready("web").await;
    assert_eq!(world.remote(&web).await["state"], "PROJECT_STATE_ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_out_of_band_edit_is_reverted_and_an_event_names_the_fields() {
    let world = World::new().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    let id = web["status"]["id"].as_str().expect("an id");
    world
        .person
        .update_project(&world.organization, id, json!({ "name": "theirs", "hasProjectCheck": true }))
        .await;
    let note = world.until_event("web", "DriftReverted").await;
    assert!(note.contains("name") && note.contains("hasProjectCheck"), "{note}");
    assert_eq!(world.remote(&web).await["name"], "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_deleted_out_of_band_is_created_again() {
    let world = World::new().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;
    let id = web["status"]["id"].clone();
    world.person.delete_project(&world.organization, id.as_str().expect("an id")).await;
    let again = world
        .until("Project", "web", "got another id", |web| !web.is_null() && web["status"]["id"] != id)
        .await;
    assert_eq!(world.remote(&again).await["name"], "web");
    world.until_listed(&["web"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_finds_everything_as_it_left_it() {
    let mut world = World::new().await;
    world.apply_project("web", json!({})).await;
    let before = world.until_ready("web").await;
    world.stop_operator().await;
    world.start_operator().await;
    let asked = world.request_reconcile("web").await;
    let after = world
        .until("Project", "web", "was looked at again", |web| {
            web["status"]["lastHandledReconcileAt"] == asked
        })
        .await;
    for field in ["id", "sequence", "changeDate", "conditions"] {
        assert_eq!(before["status"][field], after["status"][field], "{field}");
    }
    assert_eq!(world.remote(&after).await["details"]["sequence"], after["status"]["sequence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_stopped_while_it_starts_ends_at_once() {
    let mut world = World::without_operator().await;
    for delay in (0..200).step_by(10) {
        world.start_operator().await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        tokio::time::timeout(PATIENCE, world.stop_operator()).await.expect("it ends in time");
    }
}
