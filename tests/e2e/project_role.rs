//! `ProjectRole`: a key under a project. Lists of roles are late, and show nothing of a project that is not there.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::Behaviour;

use crate::needs_double;
use crate::waits::{assert_message, condition};
use crate::world::World;

pub const ROLE: &str = "ProjectRole";

/// A world with a project "web"; its id.
async fn with_project(world: &World) -> String {
    let web = world.subject("Project", "web");
    web.apply(json!({})).await;
    id(&web.until_ready().await)
}

fn id(project: &Value) -> String {
    project["status"]["id"].as_str().expect("an id").into()
}

fn of_web(mut spec: Value) -> Value {
    spec["project"] = json!({ "ref": { "name": "web" } });
    spec
}

/// The role as ZITADEL has it: display name and group.
async fn there(world: &World, project: &str, key: &str) -> Option<(String, String)> {
    let path = format!("/management/v1/projects/{project}/roles/_search");
    let answer = world.person.done(Method::POST, &path, &world.organization, json!({})).await;
    let roles = answer["result"].as_array().cloned().unwrap_or_default();
    let role = roles.into_iter().find(|role| role["key"] == key)?;
    let text = |field: &str| role[field].as_str().unwrap_or_default().to_owned();
    Some((text("displayName"), text("group")))
}

fn role(display_name: &str, group: &str) -> Option<(String, String)> {
    Some((display_name.into(), group.into()))
}

async fn call(world: &World, method: Method, project: &str, rest: &str, body: Value) {
    let path = format!("/management/v1/projects/{project}/roles{rest}");
    world.person.done(method, &path, &world.organization, body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_added_changed_and_removed() {
    let world = World::new().await;
    let project = with_project(&world).await;
    let editor = world.subject(ROLE, "editor");
    editor.apply(of_web(json!({}))).await;
    let ready = editor.until_ready().await;
    assert_eq!(there(&world, &project, "editor").await, role("editor", ""));
    let status = &ready["status"];
    assert_eq!(
        [&status["key"], &status["projectId"], &status["organizationId"], &status["origin"]],
        ["editor", &project, &world.organization, "Created"]
    );
    assert_eq!(status["id"], Value::Null);
    editor.assert_no_write().await;
    editor.apply(of_web(json!({ "displayName": "Editors", "group": "News" }))).await;
    editor.until_ready().await;
    assert_eq!(there(&world, &project, "editor").await, role("Editors", "News"));
    editor.apply(of_web(json!({ "displayName": "Editors" }))).await;
    editor.until_ready().await;
    assert_eq!(there(&world, &project, "editor").await, role("Editors", ""));
    editor.delete().await;
    editor.until_gone().await;
    assert_eq!(there(&world, &project, "editor").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_person_does_to_a_role_is_undone() {
    let world = World::new().await;
    let project = with_project(&world).await;
    let editor = world.subject(ROLE, "editor");
    editor.apply(of_web(json!({ "displayName": "Editors" }))).await;
    editor.until_ready().await;
    call(&world, Method::PUT, &project, "/editor", json!({ "displayName": "Hacked", "group": "x" })).await;
    let drifted = editor.reconciled().await;
    assert_eq!(drifted["status"]["drift"]["fields"], json!(["displayName", "group"]));
    assert_eq!(there(&world, &project, "editor").await, role("Editors", ""));
    call(&world, Method::DELETE, &project, "/editor", Value::Null).await;
    editor.reconciled().await;
    assert_eq!(there(&world, &project, "editor").await, role("Editors", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_waits_for_its_project_and_goes_with_it() {
    let world = World::new().await;
    let editor = world.subject(ROLE, "editor");
    editor.apply(of_web(json!({}))).await;
    let waiting = editor.until_reason("ReferenceNotFound").await;
    assert_message(&waiting, &["Project", "web", "create it, or correct spec.project.ref"]);
    let project = with_project(&world).await;
    editor.until_ready().await;
    let web = world.subject("Project", "web");
    web.delete().await;
    web.until_gone().await;
    let lost = editor.reconciled().await;
    assert_eq!(condition(&lost, "Ready")["reason"], "NotFound");
    assert_message(&lost, &[&project, "its ProjectRole went with the project"]);
    // Nothing is tried where nothing can be.
    let mark = world.zitadel.ledger().mark();
    editor.reconciled().await;
    let adds = world.calls_since(mark).into_iter().filter(|call| call.path.ends_with("/roles"));
    assert_eq!(adds.count(), 0);
    editor.delete().await;
    editor.until_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_follows_its_project_when_that_is_made_again() {
    let world = World::new().await;
    let old = with_project(&world).await;
    let editor = world.subject(ROLE, "editor");
    editor.apply(of_web(json!({}))).await;
    editor.until_ready().await;
    world
        .person
        .done(Method::DELETE, &format!("/management/v1/projects/{old}"), &world.organization, Value::Null)
        .await;
    let web = world.subject("Project", "web");
    let new = id(&web.reconciled().await);
    assert_ne!(new, old);
    let moved = editor
        .until("was in the new project", |role| {
            role["status"]["projectId"] == new.as_str() && condition(role, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(moved["status"]["origin"], "Created");
    assert_eq!(there(&world, &new, "editor").await, role("editor", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_whose_project_is_still_there_stays_in_it() {
    let world = World::new().await;
    let old = with_project(&world).await;
    let editor = world.subject(ROLE, "editor");
    editor.apply(of_web(json!({}))).await;
    editor.until_ready().await;
    let web = world.subject("Project", "web");
    web.apply(json!({ "deletionPolicy": "Retain" })).await;
    web.until_ready().await;
    web.delete().await;
    web.until_gone().await;
    web.apply(json!({ "name": "another" })).await;
    let new = id(&web.until_ready().await);
    let stays = editor.until_reason("Conflict").await;
    assert_message(&stays, &[&new, &old, "create it anew to move it"]);
    assert_eq!(there(&world, &new, "editor").await, None);
    editor.delete().await;
    editor.until_gone().await;
    assert_eq!(there(&world, &old, "editor").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_named_by_id_or_by_name_and_must_be_in_the_organization() {
    let world = World::new().await;
    let project = with_project(&world).await;
    for (name, selector) in [("by-id", json!({ "id": project })), ("by-name", json!({ "name": "WEB" }))] {
        let role = world.subject(ROLE, name);
        role.apply(json!({ "project": selector })).await;
        assert_eq!(role.until_ready().await["status"]["projectId"], project.as_str());
    }
    let elsewhere = world.person.create_organization(&format!("{}-other", world.namespace)).await;
    let stray = world.subject(ROLE, "stray");
    let organization = json!({ "id": elsewhere });
    stray.apply(json!({ "project": { "id": project, "organization": organization } })).await;
    let refused = stray.until_reason("NotFound").await;
    assert_message(&refused, &["does not exist in organization", &elsewhere, "correct spec.project"]);
    let missing = world.subject(ROLE, "missing");
    missing.apply(json!({ "project": { "name": "nowhere" } })).await;
    assert_message(&missing.until_reason("ReferenceNotFound").await, &["no project named \"nowhere\""]);
    for gone in [stray, missing] {
        gone.delete().await;
        gone.until_gone().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_there_is_taken_over_by_its_key_and_one_in_another_case_is_a_conflict() {
    let world = World::new().await;
    let project = with_project(&world).await;
    let body = json!({ "roleKey": "admin", "displayName": "By hand", "group": "x" });
    call(&world, Method::POST, &project, "", body).await;
    let other = world.subject(ROLE, "other");
    other.apply(of_web(json!({ "key": "Admin" }))).await;
    assert_message(&other.until_reason("Conflict").await, &["\"Admin\" is taken by \"admin\""]);
    let admin = world.subject(ROLE, "admin");
    admin.apply(of_web(json!({ "displayName": "Admins" }))).await;
    assert_eq!(admin.until_ready().await["status"]["origin"], "Adopted");
    assert_eq!(there(&world, &project, "admin").await, role("Admins", ""));
    let second = world.subject(ROLE, "second");
    second.apply(of_web(json!({ "key": "admin", "displayName": "Mine" }))).await;
    assert_message(&second.until_reason("Conflict").await, &["is owned by ProjectRole", "admin"]);
    for loser in [other, second] {
        loser.delete().await;
        loser.until_gone().await;
    }
    assert_eq!(there(&world, &project, "admin").await, role("Admins", ""));
}

/// What a list does not show yet is neither taken for gone nor made twice.
async fn late(line: Behaviour) {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line.lagging(Duration::from_secs(3)));
    world.start_operator().await;
    let project = with_project(&world).await;
    let editor = world.subject(ROLE, "editor");
    let mark = world.zitadel.ledger().mark();
    editor.apply(of_web(json!({}))).await;
    editor.until_ready().await;
    let seen = editor.reconciled().await;
    assert_eq!(condition(&seen, "Ready")["reason"], "Available");
    editor.delete().await;
    editor.until_gone().await;
    let calls = world.zitadel.ledger().since(mark);
    let written =
        |method: &str| calls.iter().filter(|call| call.method == method && call.committed > 0).count();
    assert_eq!((written("POST"), written("PUT"), written("DELETE")), (1, 0, 1), "{calls:?}");
    assert!(world.zitadel.roles(&project).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_list_hides_no_role_from_its_removal() {
    needs_double!("a list that is late");
    late(Behaviour::v4()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_list_hides_no_role_from_its_removal_until_v3() {
    needs_double!("a list that is late");
    late(Behaviour::v3()).await;
}
