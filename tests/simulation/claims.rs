//! Who owns what, whatever annotations and copies say.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};
use support::zitadel::State;
use zitadel_operator::api::annotation::{ID, RECONCILE_REQUESTED_AT};
use zitadel_operator::api::project::ProjectStatus;
use zitadel_operator::api::{CommonStatus, Project};
use zitadel_operator::engine::decision::error::ReconcileError;
use zitadel_operator::engine::kubernetes::resource::{FIELD_MANAGER, Handle, MetadataChange, known_as};

use crate::crash::behaviour;
use crate::deed::Deed::{self, *};
use crate::line::Side;
use crate::rules::{
    LATER, SOON, crashing_after_every_write, does, in_a_world, metadata, project, projects, reason, rule,
};
use crate::world::{DEFINITIONS, World};

fn inspect(kind: &'static str, name: &str) -> Deed {
    Annotate(kind, name.into(), RECONCILE_REQUESTED_AT, Some("now".into()))
}

/// Writes a status in the operator's own name.
async fn apply_status(world: &World, name: &str, status: Value) {
    let (api_version, kind) = (Project::api_version(&()), Project::kind(&()));
    let object = json!({
        "apiVersion": api_version, "kind": kind, "metadata": { "name": name }, "status": status,
    });
    let operator = PatchParams::apply(FIELD_MANAGER).force();
    world.api("Project").patch_status(name, &operator, &Patch::Apply(object)).await.unwrap();
}

async fn handle(world: &World) -> Handle {
    let seen = world.api("Project").get("web").await.unwrap();
    Handle::new::<Project>(world.client.clone(), "Project", &seen.metadata)
}

/// A status that no resource here has.
fn status() -> ProjectStatus {
    let common = CommonStatus { organization_id: Some("7".into()), ..Default::default() };
    ProjectStatus { common, ..Default::default() }
}

#[test]
fn an_object_of_another_organization_is_not_imported() {
    rule(async |world| {
        let organizations = world.zitadel.organizations();
        let other = organizations.iter().find(|organization| organization.name == "other").unwrap();
        let theirs = world.zitadel.create_project(&other.id, "theirs");
        let spec = json!({ "deletionPolicy": "Delete", "projectRoleCheck": true });
        world.apply_annotated("Project", "theirs", json!({ ID: theirs }), spec).await;
        tokio::time::sleep(SOON).await;
        assert_eq!(reason(world, "Project", "theirs").await, "NotFound");
        does(world, [Delete("Project", "theirs".into())]).await;
        assert_eq!(world.get("Project", "theirs").await, Value::Null);
        let left = world.zitadel.project(&theirs).unwrap();
        assert!(left.state == State::Active && !left.settings.project_role_check);
    });
}

#[test]
fn a_claim_stays_where_it_is_until_it_is_given_up() {
    rule(async |world| {
        let import = Import("Project", "late".into(), "web", json!({ "name": "web" }).into());
        does(world, [project("web", json!({})), Wait(SOON), import]).await;
        assert_eq!(reason(world, "Project", "late").await, "Conflict");
        world.crash().await;
        world.start();
        does(world, [inspect("Project", "late")]).await;
        assert_eq!(reason(world, "Project", "late").await, "Conflict");
        assert_eq!(reason(world, "Project", "web").await, "Available");
        let retained = project("web", json!({ "deletionPolicy": "Retain" }));
        does(world, [retained, Wait(SOON), Delete("Project", "web".into())]).await;
        assert_eq!(reason(world, "Project", "late").await, "Available");
        assert_eq!(projects(world), ["legacy", "web"]);
    });
}

#[test]
fn a_loser_is_deleted_alone() {
    rule(async |world| {
        let import = Import("Project", "late".into(), "web", json!({ "deletionPolicy": "Delete" }).into());
        does(world, [project("web", json!({})), Wait(SOON), import]).await;
        does(world, [Delete("Project", "late".into())]).await;
        assert_eq!(world.get("Project", "late").await, Value::Null);
        assert_eq!(projects(world), ["legacy", "web"]);
        assert_eq!(reason(world, "Project", "web").await, "Available");
    });
}

#[test]
fn what_the_status_proves_outranks_the_annotation() {
    rule(async |world| {
        does(world, [project("web", json!({}))]).await;
        let legacy = world.zitadel.projects(&world.acme).into_iter().find(|p| p.settings.name == "legacy");
        let legacy = legacy.unwrap().id;
        let before = world.get("Project", "web").await["status"]["id"].clone();
        does(world, [Annotate("Project", "web".into(), ID, Some(legacy))]).await;
        assert_eq!(world.get("Project", "web").await["status"]["id"], before);
        does(world, [project("web", json!({ "name": "web~2" }))]).await;
        assert_eq!(projects(world), ["legacy", "web~2"]);
        does(world, [Delete("Project", "web".into())]).await;
        assert_eq!(projects(world), ["legacy"]);
    });
}

#[test]
fn a_copied_status_owns_nothing() {
    let copies = ["a-copy", "z-copy"];
    rule(async |world| {
        does(world, [project("web", json!({}))]).await;
        // In which order they come after a restart is left to chance: in some of these one is before the owner.
        for _ in 0..6 {
            world.crash().await;
            for copy in copies {
                world.apply("Project", copy, json!({ "name": "web", "deletionPolicy": "Delete" })).await;
                apply_status(world, copy, world.get("Project", "web").await["status"].clone()).await;
            }
            world.start();
            tokio::time::sleep(SOON).await;
            for copy in copies {
                assert_eq!(reason(world, "Project", copy).await, "Conflict");
                assert_eq!(world.get("Project", copy).await["status"]["id"], Value::Null);
            }
        }
        does(world, [project("web", json!({ "projectRoleCheck": true }))]).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
        does(world, copies.map(|copy| Delete("Project", copy.into()))).await;
        for copy in copies {
            assert_eq!(world.get("Project", copy).await, Value::Null);
        }
        assert_eq!(projects(world), ["legacy", "web"]);
    });
}

#[test]
fn a_name_that_is_taken_is_no_create_of_ours() {
    let apply = [project("mine", json!({ "name": "legacy", "deletionPolicy": "Delete" }))];
    // What was made just before cannot be told from what an unfinished create made.
    let before = [Wait(Duration::from_secs(61))];
    crashing_after_every_write(&behaviour(), &before, &apply, &[], &async |world| {
        assert_eq!(reason(world, "Project", "mine").await, "Conflict");
        assert_eq!(world.get("Project", "mine").await["status"]["id"], Value::Null);
        does(world, [Delete("Project", "mine".into())]).await;
        assert_eq!(projects(world), ["legacy"]);
    });
}

#[test]
fn a_key_passes_on_when_it_is_given_up() {
    rule(async |world| {
        let entries =
            |keys: &[&str]| keys.iter().map(|key| json!({ "key": key, "value": "1" })).collect::<Vec<_>>();
        let both = metadata("labels", &json!(entries(&["tier", "zone"])));
        does(world, [both, Wait(SOON), metadata("more", &json!(entries(&["tier"])))]).await;
        assert_eq!(reason(world, "OrgMetadata", "more").await, "Conflict");
        does(world, [metadata("labels", &json!(entries(&["zone"])))]).await;
        assert_eq!(reason(world, "OrgMetadata", "more").await, "Available");
        assert_eq!(reason(world, "OrgMetadata", "labels").await, "Available");
    });
}

/// No status of this name is written.
struct Unwritten(&'static str);

impl Faults for Unwritten {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.verb == Verb::Patch && call.subresource == "status" && call.name == self.0 {
            true => FaultDecision::Fail(Failure::new(500, "InternalError", "etcd is away")),
            false => FaultDecision::Go,
        }
    }
}

#[test]
fn a_key_that_left_the_spec_before_it_was_recorded_is_free() {
    rule(async |world| {
        let entries =
            |keys: &[&str]| keys.iter().map(|key| json!({ "key": key, "value": "1" })).collect::<Vec<_>>();
        let labels = |keys| metadata("labels", &json!(entries(keys)));
        does(world, [labels(&["zone"])]).await;
        world.cluster.set_faults(Unwritten("labels"));
        let more = metadata("more", &json!(entries(&["tier"])));
        does(world, [labels(&["tier", "zone"]), Wait(SOON), more]).await;
        assert_eq!(reason(world, "OrgMetadata", "more").await, "Conflict");
        does(world, [labels(&["zone"])]).await;
        world.cluster.clear_faults();
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "OrgMetadata", "more").await, "Available");
    });
}

#[test]
fn a_status_made_from_an_old_view_takes_no_proof_away() {
    in_a_world(behaviour(), async |world| {
        world.apply("Project", "web", json!({})).await;
        let mut old = handle(world).await;
        apply_status(world, "web", json!({ "id": "1234567890", "organizationId": world.acme })).await;
        for _ in 0..2 {
            let outcome =
                old.apply_status(known_as::<ProjectStatus>, &ProjectStatus::default(), &status()).await;
            assert!(matches!(outcome, Err(ReconcileError::Stale)), "{outcome:?}");
        }
        assert_eq!(world.get("Project", "web").await["status"]["id"], "1234567890");
    });
}

#[test]
fn a_resource_that_took_the_name_of_another_is_not_written_to() {
    in_a_world(behaviour(), async |world| {
        world.apply("Project", "web", json!({})).await;
        let mut old = handle(world).await;
        world.delete("Project", "web").await;
        world.apply("Project", "web", json!({})).await;
        let outcome = old.apply_status(known_as::<ProjectStatus>, &ProjectStatus::default(), &status()).await;
        assert!(matches!(outcome, Err(ReconcileError::Stale)), "{outcome:?}");
        let protect = MetadataChange { finalizer: Some(true), ..Default::default() };
        let outcome = old.change(&protect).await;
        assert!(matches!(outcome, Err(ReconcileError::Stale)), "{outcome:?}");
        let web = world.get("Project", "web").await;
        assert_eq!(
            (&web["status"]["organizationId"], &web["metadata"]["finalizers"]),
            (&Value::Null, &Value::Null)
        );
    });
}

#[test]
fn metadata_are_changed_only_as_they_were_seen() {
    in_a_world(behaviour(), async |world| {
        world.apply("Project", "web", json!({})).await;
        let mut old = handle(world).await;
        world.annotate("Project", "web", "example.com/note", json!("seen by nobody")).await;
        let protect = MetadataChange { finalizer: Some(true), ..Default::default() };
        let outcome = old.change(&protect).await;
        assert!(matches!(outcome, Err(ReconcileError::Stale)), "{outcome:?}");
        assert_eq!(world.get("Project", "web").await["metadata"]["finalizers"], Value::Null);
    });
}

#[test]
fn what_was_not_seen_to_go_holds_nothing() {
    rule(async |world| {
        let import = Import("Project", "late".into(), "web", json!({ "name": "web" }).into());
        does(world, [project("web", json!({})), Wait(SOON), import]).await;
        assert_eq!(reason(world, "Project", "late").await, "Conflict");
        world.cluster.set_watch_lag(SOON);
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        world.api("Project").patch("web", &PatchParams::default(), &free).await.unwrap();
        world.delete("Project", "web").await;
        world.cluster.compact();
        world.cluster.end_watches();
        world.cluster.set_watch_lag(Duration::ZERO);
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Project", "late").await, "Available");
    });
}

/// The server does not show this project.
struct Hidden(&'static str);

impl Faults for Hidden {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.verb == Verb::Get && call.name == self.0 {
            true => FaultDecision::Fail(Failure::new(500, "InternalError", "etcd is away")),
            false => FaultDecision::Go,
        }
    }
}

/// The definition of projects without what it says of `spec.state`.
fn loosened() -> CustomResourceDefinition {
    let projects = DEFINITIONS.iter().find(|definition| definition.spec.names.kind == "Project").unwrap();
    let mut definition = serde_json::to_value(projects).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/state";
    *definition.pointer_mut(schema).unwrap() = json!({ "x-kubernetes-preserve-unknown-fields": true });
    serde_json::from_value(definition).unwrap()
}

/// A project that is made and does not parse any more, while no operator runs.
async fn odd(world: &World) {
    does(world, [project("web", json!({}))]).await;
    world.crash().await;
    world.cluster.redefine(&loosened());
    let odd = Patch::Merge(json!({ "spec": { "state": 7 } }));
    world.api("Project").patch("web", &PatchParams::default(), &odd).await.unwrap();
}

#[test]
fn what_cannot_be_read_at_the_start_holds_what_it_held() {
    rule(async |world| {
        odd(world).await;
        Import("Project", "late".into(), "web", json!({ "name": "web" }).into()).run(world).await;
        world.cluster.set_faults(Hidden("web"));
        world.start();
        tokio::time::sleep(SOON).await;
        world.cluster.clear_faults();
        tokio::time::sleep(SOON).await;
        assert_eq!(reason(world, "Project", "web").await, "InvalidSpec");
        assert_eq!(reason(world, "Project", "late").await, "Conflict");
    });
}

#[test]
fn an_operator_that_cannot_read_what_was_held_ends_when_it_is_told_to() {
    rule(async |world| {
        odd(world).await;
        world.cluster.set_faults(Hidden("web"));
        world.start();
        tokio::time::sleep(SOON).await;
        tokio::time::timeout(SOON, world.stop()).await.expect("it ended");
        world.start();
    });
}

#[test]
fn a_create_that_was_refused_is_over() {
    rule(async |world| {
        let theirs = world.zitadel.create_project(&world.acme, "theirs");
        does(world, [project("mine", json!({ "name": "theirs" }))]).await;
        assert_eq!(reason(world, "Project", "mine").await, "Conflict");
        world.zitadel.delete_project(&theirs);
        world.zitadel.create_project(&world.acme, "theirs");
        does(world, [inspect("Project", "mine")]).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Project", "mine").await, "Conflict");
        assert_eq!(world.get("Project", "mine").await["status"]["id"], Value::Null);
    });
}

#[test]
fn what_somebody_else_put_into_a_status_does_not_stay_there() {
    rule(async |world| {
        does(world, [project("web", json!({}))]).await;
        world.crash().await;
        world.apply("Project", "copy", json!({ "name": "web" })).await;
        let restored = Patch::Merge(json!({ "status": world.get("Project", "web").await["status"] }));
        world.api("Project").patch_status("copy", &PatchParams::default(), &restored).await.unwrap();
        world.start();
        tokio::time::sleep(SOON).await;
        assert_eq!(reason(world, "Project", "copy").await, "Conflict");
        assert_eq!(world.get("Project", "copy").await["status"]["id"], Value::Null);
        let line = world.line();
        line.trap(Side::After, 0);
        let written = tokio::time::timeout(LATER, line.trapped()).await;
        assert!(written.is_err(), "a write was sent");
    });
}
