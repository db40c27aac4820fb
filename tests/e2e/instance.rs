//! Another, empty ZITADEL behind the same URL.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::InjectedFault;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, condition};
use crate::world::World;

/// A world with one project, looked at every 300 ms, whose ZITADEL was replaced.
async fn replaced_world() -> (World, String) {
    let mut world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let instance =
        world.project("web").until_ready().await["status"]["instance"].as_str().unwrap().to_owned();
    world.zitadel.replace_instance();
    (world, instance)
}

fn projects_here(world: &World) -> usize {
    let organizations = world.zitadel.organizations();
    organizations.iter().map(|organization| world.zitadel.projects(&organization.id).len()).sum()
}

fn message(project: &Value) -> String {
    condition(project, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_is_told_and_nothing_is_recreated_until_the_old_one_is_back() {
    needs_double!("another instance behind the URL");
    let (world, instance) = replaced_world().await;
    let mark = world.zitadel.ledger().mark();
    let web = world.project("web").until_reason("InstanceChanged").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_eq!(web["status"]["instance"], instance);
    let reported = message(&web);
    assert!(reported.contains(&instance) && reported.contains("previousInstances"), "{reported}");
    world.project("new").apply(json!({})).await;
    world.project("web").apply(json!({ "name": "renamed" })).await;
    world.project("web").until_reason("InstanceChanged").await;
    world.project("new").until_reason("NotFound").await;
    assert_eq!(projects_here(&world), 0);
    assert!(world.calls_since(mark).iter().all(|call| call.committed == 0));

    world.zitadel.restore_instance();
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    world.project("new").until_ready().await;
    assert_eq!(world.project_names().await, ["renamed", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_the_old_instance() {
    needs_double!("another instance behind the URL");
    let (world, instance) = replaced_world().await;
    world.project("web").delete().await;
    let web = world.project("web").until_reason("InstanceChanged").await;
    assert_kstatus(&web, Kstatus::Terminating);
    let reported = message(&web);
    assert!(reported.contains(&format!("add {instance:?} to spec.previousInstances")), "{reported}");
    assert!(reported.ends_with(r#"--type merge -p '{"spec":{"deletionPolicy":"Retain"}}'"#), "{reported}");
    world.zitadel.restore_instance();
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_patch_of_the_message_lets_a_deletion_through() {
    needs_double!("another instance behind the URL");
    let (world, _) = replaced_world().await;
    world.project("web").delete().await;
    let web = world.project("web").until_reason("InstanceChanged").await;
    world.run_command_of(&message(&web)).await;
    world.project("web").until_gone().await;
    world.zitadel.restore_instance();
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_instance_under_a_new_identity_is_accepted_once_the_connection_lists_the_old_one() {
    needs_double!("another instance behind the URL");
    let mut world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let before = world.project("web").until_ready().await;
    world.zitadel.renew_identity();
    world.project("web").until_reason("InstanceChanged").await;
    world.patch_connection(json!({ "previousInstances": [before["status"]["instance"]] })).await;
    let after = world.project("web").until_ready().await;
    assert_eq!(after["status"]["id"], before["status"]["id"]);
    assert_eq!(after["status"]["instance"], world.zitadel.instance_identity());
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_create_is_not_begun_again_in_another_instance() {
    needs_double!("another instance behind the URL");
    let mut world = World::new().await;
    let lost = world
        .zitadel
        .inject(InjectedFault::hold_after_commit().on(Method::POST).path("/management/v1/projects"));
    world.project("web").apply(json!({})).await;
    lost.reached(1).await;
    world.crash_operator().await;
    lost.remove();
    world.zitadel.replace_instance();
    world.start_operator().await;
    let web = world.project("web").until_reason("InstanceChanged").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_eq!(projects_here(&world), 0);
    world.zitadel.restore_instance();
    world.project("web").until_ready().await;
    assert_eq!(world.project_names().await, ["web"]);
}
