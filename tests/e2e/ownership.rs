//! Who owns what: names that are taken, imports, adoption, and what cannot be claimed.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::InjectedFault;
use tokio::time::Instant;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, condition};
use crate::world::{CONNECTION, World};

fn message(project: &Value) -> String {
    condition(project, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

/// Waits until a conflict is final: before, the object in the way may not be in the list yet.
async fn until_conflict(world: &World, name: &str) -> Value {
    let is_final = |p: &Value| {
        let ready = condition(p, "Ready");
        ready["reason"] == "Conflict"
            && ready["observedGeneration"] == p["metadata"]["generation"]
            && condition(p, "Stalled")["status"] == "True"
    };
    world.project(name).until("was in conflict for good", is_final).await
}

/// Two resources that want the name `shared`; the first has it.
async fn rivals() -> World {
    let world = World::new().await;
    world.project("first").apply(json!({ "name": "shared" })).await;
    world.project("first").until_ready().await;
    world.project("second").apply(json!({ "name": "shared" })).await;
    until_conflict(&world, "second").await;
    world
}

/// Deletes a resource that owns nothing; nothing in ZITADEL may change by that.
async fn deletes_nothing(world: &World, name: &str) {
    let before = world.history().await;
    world.project(name).delete().await;
    world.project(name).until_gone().await;
    assert_eq!(world.history().await, before);
}

/// Nothing slower than a wake-up may explain that the resource became ready: retries of a conflict take minutes.
async fn is_ready_within_seconds(world: &World, name: &str) -> Value {
    let since = Instant::now();
    let project = world.project(name).until_ready().await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_had_within_seconds_once_its_owner_is_renamed() {
    let world = rivals().await;
    world.project("first").apply(json!({ "name": "elsewhere" })).await;
    let second = is_ready_within_seconds(&world, "second").await;
    assert_eq!(second["status"]["origin"], "Created");
    world.project("first").until_ready().await;
    assert_eq!(world.project_names().await, ["elsewhere", "shared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_resources_that_swap_names_need_a_third_name_in_between() {
    let world = World::new().await;
    world.project("a").apply(json!({ "name": "one" })).await;
    let a = world.project("a").until_ready().await["status"]["id"].clone();
    world.project("b").apply(json!({ "name": "two" })).await;
    let b = world.project("b").until_ready().await["status"]["id"].clone();
    world.project("a").apply(json!({ "name": "two" })).await;
    world.project("b").apply(json!({ "name": "one" })).await;
    for name in ["a", "b"] {
        let stuck = until_conflict(&world, name).await;
        assert!(message(&stuck).contains("third name"), "{}", message(&stuck));
        assert_kstatus(&stuck, Kstatus::Failed);
    }
    assert_eq!(world.project_names().await, ["one", "two"]);
    world.project("a").apply(json!({ "name": "three" })).await;
    is_ready_within_seconds(&world, "b").await;
    world.project("a").apply(json!({ "name": "two" })).await;
    assert_eq!(world.project("a").until_ready().await["status"]["id"], a);
    assert_eq!(world.project("b").until_ready().await["status"]["id"], b);
    assert_eq!(world.project_names().await, ["two", "one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_differs_only_in_case_is_taken() {
    let world = World::new().await;
    world.project("first").apply(json!({ "name": "Shared" })).await;
    world.project("first").until_ready().await;
    world.project("second").apply(json!({ "name": "sHARED" })).await;
    let second = until_conflict(&world, "second").await;
    assert!(message(&second).contains("/first"), "{}", message(&second));
    assert_eq!(world.project_names().await, ["Shared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_what_another_resource_owns_changes_nothing() {
    let world = World::new().await;
    world.project("owner").apply(json!({})).await;
    let owner = world.project("owner").until_ready().await;
    let id = owner["status"]["id"].as_str().unwrap();
    let before = world.history().await;
    world.project("thief").import(id, json!({ "projectRoleCheck": true, "deletionPolicy": "Delete" })).await;
    let thief = until_conflict(&world, "thief").await;
    assert!(message(&thief).contains("/owner"), "{}", message(&thief));
    assert_eq!(thief["status"]["id"], Value::Null);
    assert_kstatus(&thief, Kstatus::Failed);
    assert_eq!(world.history().await, before);
    deletes_nothing(&world, "thief").await;
    assert_eq!(world.project("owner").now().await["status"], owner["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_from_another_organization_or_what_is_not_there_changes_nothing() {
    let world = World::new().await;
    let beta = world.another_organization("beta").await;
    let foreign = world.person.create_project(&beta, "foreign").await;
    for (name, id) in [("foreign", foreign.as_str()), ("unknown", "123456789012345678")] {
        world.project(name).import(id, json!({ "deletionPolicy": "Delete" })).await;
        let refused = world.project(name).until_reason("NotFound").await;
        let reported = message(&refused);
        assert!(reported.contains(id) && reported.contains("zitadel-operator.dev/id"), "{reported}");
        assert_kstatus(&refused, Kstatus::Failed);
        world.assert_nothing_written().await;
        deletes_nothing(&world, name).await;
    }
    assert_eq!(world.person.history(&beta).await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_annotation_of_a_bound_resource_moves_nothing() {
    let world = World::new().await;
    let beta = world.another_organization("beta").await;
    let foreign = world.person.create_project(&beta, "foreign").await;
    world.project("web").apply(json!({})).await;
    world.project("other").apply(json!({})).await;
    let web = world.project("web").until_ready().await;
    let other = world.project("other").until_ready().await["status"]["id"].as_str().unwrap().to_owned();
    for id in [foreign.as_str(), other.as_str()] {
        world.project("web").annotate("zitadel-operator.dev/id", id).await;
        let own = |p: &Value| p["metadata"]["annotations"]["zitadel-operator.dev/id"] == web["status"]["id"];
        world.project("web").until("had its own id again", own).await;
    }
    assert_eq!(world.project("web").now().await["status"]["id"], web["status"]["id"]);
    world.project("web").annotate("zitadel-operator.dev/id", foreign.as_str()).await;
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, ["other"]);
    assert_eq!(world.person.history(&beta).await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_never_makes_ours_what_a_person_made_meanwhile() {
    needs_double!("faults");
    let world = World::new().await;
    let fault =
        InjectedFault::hold().on(Method::POST).path("/management/v1/projects").when(world.is_operators());
    let held = world.zitadel.inject(fault.times(1));
    world.project("web").apply(json!({})).await;
    held.reached(1).await;
    world.person.create_project(&world.organization, "web").await;
    // The resource changes under the operator, so that it cannot note at once that the create was refused.
    world.project("web").annotate("example.com/touched", "true").await;
    held.release();
    let refused = until_conflict(&world, "web").await;
    assert_eq!(refused["status"]["id"], Value::Null);
    deletes_nothing(&world, "web").await;
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn adoption_by_name_takes_nothing_that_another_resource_owns() {
    let world = rivals().await;
    let by_name = json!({ "name": "shared", "adoptionPolicy": "ByName", "projectRoleCheck": true });
    let before = world.history().await;
    world.project("second").apply(by_name).await;
    let second = until_conflict(&world, "second").await;
    assert!(message(&second).contains("/first"), "{}", message(&second));
    deletes_nothing(&world, "second").await;
    assert_eq!(world.history().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_and_connection_can_be_corrected_until_the_resource_is_bound() {
    let world = World::new().await;
    let name = world.person.organization_name(&world.organization).await;
    let (mistaken, shouted) = (format!("{name}e"), name.to_uppercase());
    world.project("web").apply(json!({ "organization": { "name": mistaken } })).await;
    world.project("web").until_reason("NotFound").await;
    world.project("web").apply(json!({ "organization": { "name": shouted } })).await;
    world.project("web").until_ready().await;
    for organization in [json!({ "name": "beta" }), json!({ "id": world.organization }), Value::Null] {
        let mut spec = json!({ "connectionRef": { "kind": "Connection", "name": CONNECTION } });
        if !organization.is_null() {
            spec["organization"] = organization;
        }
        let refused = world.try_apply("Project", "web", spec).await.unwrap_err();
        assert!(refused.to_string().contains("organization"), "{refused}");
    }
    let elsewhere = json!({ "organization": { "name": shouted }, "connectionRef": { "name": "default" } });
    let refused = world.try_apply("Project", "web", elsewhere).await.unwrap_err();
    assert!(refused.to_string().contains("connectionRef"), "{refused}");
}
