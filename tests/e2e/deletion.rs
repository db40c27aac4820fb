//! What deleting a resource does in ZITADEL, and what can stand in its way.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::Behaviour;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::staff::User;
use crate::waits::{assert_kstatus, condition};
use crate::world::{CONNECTION, World};

const FINALIZER: &str = "zitadel-operator.dev/finalizer";

/// A world with one project that is ready, and that with this spec.
async fn world_with(spec: Value) -> World {
    let world = World::new().await;
    world.project("web").apply(spec).await;
    world.project("web").until_ready().await;
    world
}

/// The same, whose connection logs in as a user that can be dismissed.
async fn owned_world_with(spec: Value) -> (World, User) {
    let mut world = World::without_operator().await;
    let owner = world.log_in_as("owner", Some("ORG_OWNER")).await;
    world.start_operator().await;
    world.project("web").apply(spec).await;
    world.project("web").until_ready().await;
    (world, owner)
}

/// Waits until the deletion is blocked; answers the message.
async fn until_blocked(world: &World) -> String {
    let blocked = world.project("web").until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    condition(&blocked, "Ready")["message"].as_str().unwrap().to_owned()
}

/// Takes the connection away from under its users, finalizer or not.
async fn tear_out_connection(world: &World) {
    let api = world.api("Connection");
    api.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    let bare = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch(CONNECTION, &PatchParams::default(), &bare).await.unwrap();
    world.until("Connection", CONNECTION, "went", Value::is_null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_needs_neither_a_working_credential_nor_a_connection() {
    let (mut world, owner) = owned_world_with(json!({ "deletionPolicy": "Retain" })).await;
    world.project("second").apply(json!({ "deletionPolicy": "Retain" })).await;
    world.project("second").until_ready().await;
    owner.revoke(&owner.token).await;
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    world.crash_operator().await;
    tear_out_connection(&world).await;
    world.start_operator().await;
    world.project("second").delete().await;
    world.project("second").until_gone().await;
    assert_eq!(world.project_names().await, ["web", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_blocks_and_the_patch_of_the_message_frees() {
    let (world, owner) = owned_world_with(json!({})).await;
    owner.revoke(&owner.token).await;
    world.project("web").delete().await;
    let message = until_blocked(&world).await;
    let patch = format!(
        "kubectl patch projects.zitadel-operator.dev -n {} web --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'",
        world.namespace
    );
    assert!(message.ends_with(&patch), "{message}");
    world.run_command_of(&message).await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, ["web"]);
}

/// Removes the organization of a project, then the resource.
async fn releases_what_went_with_its_organization(world: World) {
    let beta = world.another_organization("beta").await;
    world.project("web").apply(json!({ "organization": { "id": beta } })).await;
    world.project("web").until_ready().await;
    world.person.remove_organization(&beta).await;
    world.project("web").delete().await;
    world.project("web").until_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_with_its_organization_is_released() {
    releases_what_went_with_its_organization(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_with_its_organization_is_released_by_v3() {
    needs_double!("the choice of a server line");
    let world = World::new().await;
    world.zitadel.configure(|behaviour| *behaviour = Behaviour::v3());
    releases_what_went_with_its_organization(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_delays_a_deletion_and_does_not_block_it() {
    needs_double!("outages");
    let world = world_with(json!({})).await;
    world.zitadel.stop().await;
    world.project("web").delete().await;
    let waiting = world.project("web").until_reason("Deleting").await;
    assert_eq!(condition(&waiting, "Synced")["reason"], "Unavailable");
    assert_eq!(condition(&waiting, "Stalled"), Value::Null);
    world.zitadel.resume().await.unwrap();
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_until_its_users_are_gone_also_over_a_restart() {
    let mut world = world_with(json!({})).await;
    let protected = |c: &Value| c["metadata"]["finalizers"] == json!([FINALIZER]);
    world.until("Connection", CONNECTION, "was protected", protected).await;
    world.api("Connection").delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    let reported = |c: &Value| {
        let ready = condition(c, "Ready");
        ready["reason"] == "Deleting" && ready["message"].as_str().unwrap_or_default().contains("1 resource")
    };
    world.until("Connection", CONNECTION, "told that it is in use", reported).await;
    world.crash_operator().await;
    world.start_operator().await;
    world.project("web").apply(json!({ "name": "renamed" })).await;
    world.project("web").until_ready().await;
    assert_eq!(world.project_names().await, ["renamed"]);
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    world.until("Connection", CONNECTION, "went", Value::is_null).await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_a_new_operator_says_that_the_deletion_is_blocked() {
    let mut world = world_with(json!({})).await;
    world.crash_operator().await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    world.project("web").delete().await;
    world.start_operator().await;
    let message = until_blocked(&world).await;
    assert!(message.contains(&format!("Secret {}/{CONNECTION}", world.namespace)), "{message}");
    world.store_token(&world.token).await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, [""; 0]);
}
