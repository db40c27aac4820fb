//! What the status of a connection tells of its credential and of what its user may not do.

use kube::api::Patch;
use serde_json::{Value, json};
use support::zitadel::InjectedFault;

use crate::faults::process::Process;
use crate::needs_double;
use crate::waits::{assert_message, condition, until_answered};
use crate::world::{CONNECTION, World};

const WHO_AM_I: &str = "/auth/v1/users/me";

async fn until(world: &World, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let ready = |c: &Value| condition(c, "Ready")["status"] == "True" && holds(c);
    world.until("Connection", CONNECTION, what, ready).await
}

/// Lets the connection look again every second.
async fn often(world: &World) {
    world.patch_connection(json!({ "resyncInterval": "1s" })).await;
}

/// Waits until the connection has looked again a few times.
async fn until_looked_again(world: &World) {
    let looks = || world.zitadel.ledger().select(|call| call.path == WHO_AM_I).len();
    let before = looks();
    until_answered("looked at again", async || (looks() > before + 2, looks())).await;
}

/// Logs in with a key that ends after so many hours; its end.
async fn log_in_until(world: &World, hours: i64) -> String {
    let owner = world.hire("owner", Some("ORG_OWNER")).await;
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    let end = end.round(jiff::Unit::Second).unwrap().to_string();
    let key = owner.add_key_until(&end).await;
    world.store_secret(json!({ "key.json": key.file })).await;
    let spec = json!({ "personalAccessToken": null, "jwtProfile": { "name": CONNECTION } });
    world.patch_connection(spec).await;
    end
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_soon_is_told_in_status_message_and_event_and_not_written_again() {
    needs_double!("the ledger");
    let mut world = World::without_operator().await;
    let end = log_in_until(&world, 10 * 24).await;
    often(&world).await;
    world.start_operator().await;
    let reported =
        until(&world, "told its end", |c| c["status"]["credential"]["expiresAt"] == end.as_str()).await;
    assert_eq!(reported["status"]["credential"]["type"], "JwtProfile");
    let words = format!("its key ends at {end}: put a new one into its Secret");
    assert_message(&reported, &[&words]);
    assert!(world.until_event(CONNECTION, "Available").await.contains(&words));
    until_looked_again(&world).await;
    let now = world.api("Connection").get(CONNECTION).await.unwrap();
    assert_eq!(reported["metadata"]["resourceVersion"], now.metadata.resource_version.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_lasts_is_shown_and_no_matter_of_a_message() {
    let mut world = World::without_operator().await;
    let end = log_in_until(&world, 15 * 24).await;
    world.start_operator().await;
    let reported =
        until(&world, "told its end", |c| c["status"]["credential"]["expiresAt"] == end.as_str()).await;
    assert_eq!(condition(&reported, "Ready")["message"], "the credential works");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_lacks_for_the_kinds_in_use_is_told_with_its_remedy_until_it_has_it() {
    let mut world = World::without_operator().await;
    let user = world.log_in_as("viewer", Some("ORG_OWNER_VIEWER")).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_reason("PermissionDenied").await;
    let lacks = |c: &Value| c["status"]["missingPermissions"] != Value::Null;
    let reported = until(&world, "told the gap", lacks).await;
    let expected = json!([{
        "kind": "Project",
        "permissions": ["project.create", "project.write", "project.delete"],
        "organizationIds": [world.organization],
    }]);
    assert_eq!(reported["status"]["missingPermissions"], expected);
    assert_eq!(reported["status"]["credential"], json!({ "type": "PersonalAccessToken" }));
    let place = format!("for Project in organization {}", world.organization);
    let lacks = "its user lacks project.create, project.write, project.delete";
    assert_message(&reported, &[lacks, &place, "give it the role ORG_OWNER"]);
    user.change_role("ORG_OWNER").await;
    often(&world).await;
    let healed = |c: &Value| c["status"]["missingPermissions"].is_null();
    let reported = until(&world, "was free of gaps", healed).await;
    assert_eq!(condition(&reported, "Ready")["message"], "the credential works");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_resource_never_does_is_no_gap() {
    needs_double!("the ledger");
    let mut world = World::without_operator().await;
    let id = world.person.create_project(&world.organization, "web").await;
    world.log_in_as("viewer", Some("ORG_OWNER_VIEWER")).await;
    often(&world).await;
    world.start_operator().await;
    let annotations = json!({ "zitadel-operator.dev/id": id });
    let spec = json!({ "managementPolicy": "Observe", "name": "web" });
    let spec = crate::world::through_connection(spec);
    world.try_apply_annotated("Project", "web", annotations, spec).await.unwrap();
    world.project("web").until_ready().await;
    until_looked_again(&world).await;
    let reported = until(&world, "was ready", |_| true).await;
    assert_eq!(reported["status"]["missingPermissions"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_organization_that_does_not_exist_is_told_by_the_connection() {
    let mut world = World::without_operator().await;
    let missing = format!("{}-late", world.namespace);
    world.patch_connection(json!({ "defaultOrganization": { "id": null, "name": missing } })).await;
    world.start_operator().await;
    let words = format!("spec.defaultOrganization: no organization named \"{missing}\" is visible");
    let reported = |c: &Value| condition(c, "Ready")["message"].as_str().unwrap_or_default().contains(&words);
    until(&world, "missed it", reported).await;
    let event = world.until_published(CONNECTION, "Available").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"), "{event:?}");
    often(&world).await;
    world.person.create_organization(&missing).await;
    until(&world, "found it", |c| condition(c, "Ready")["message"] == "the credential works").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_organization_in_a_state_that_is_not_known_stops_nothing_else() {
    needs_double!("faults");
    let mut world = World::without_operator().await;
    let id = &world.organization;
    let frozen = json!({ "org": { "id": id, "name": "acme", "state": "ORG_STATE_FROZEN" } });
    let answer =
        InjectedFault::answer(200).header("content-type", "application/json").body(frozen.to_string());
    world.zitadel.inject(answer.path("/management/v1/orgs/me"));
    world.start_operator().await;
    let reported = |c: &Value| {
        condition(c, "Ready")["message"].as_str().unwrap_or_default().contains("spec.defaultOrganization: ")
    };
    until(&world, "missed it", reported).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_waits_for_its_last_user_says_so_once() {
    let world = World::without_operator().await;
    let process = Process::start(&world, &[]).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    let is_kept = |c: &Value| !c["metadata"]["finalizers"].is_null();
    world.until("Connection", CONNECTION, "was kept for its user", is_kept).await;
    world.api("Connection").delete(CONNECTION, &Default::default()).await.unwrap();
    let waits = |c: &Value| condition(c, "Ready")["message"] == "1 resource still uses this connection";
    world.until("Connection", CONNECTION, "waited for its last user", waits).await;
    for asked in ["1", "2", "3"] {
        let annotations = json!({ "zitadel-operator.dev/reconcile-requested-at": asked });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        world.api("Connection").patch(CONNECTION, &Default::default(), &patch).await.unwrap();
        let looked = |c: &Value| c["status"]["lastHandledReconcileAt"] == asked;
        world.until("Connection", CONNECTION, "was looked at again", looked).await;
    }
    let lines = process.log().into_iter().filter(|line| line["message"] == "connection not usable");
    assert_eq!(lines.count(), 1);
    process.terminate().await;
}
