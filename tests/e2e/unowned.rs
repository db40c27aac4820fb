//! What a resource does not own, or may not read, stays where it is.

use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use serde_json::{Value, json};
use zitadel_operator::api::Project;
use zitadel_operator::engine::decision::error::ReconcileError;
use zitadel_operator::engine::kubernetes::resource::{Handle, known_as};

use crate::world::{World, through_connection};

/// `status.entries` names under Observe what was seen; it proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_metadata_key_that_was_only_observed_is_not_removed_when_the_resource_begins_to_manage() {
    crate::needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    for key in ["kept", "foreign"] {
        world.zitadel.set_metadata(&world.organization, key, b"x");
    }
    let entries = json!([{ "key": "kept", "value": "x" }, { "key": "foreign", "value": "x" }]);
    let resource = world.subject("OrgMetadata", "acme");
    resource.apply(json!({ "managementPolicy": "Observe", "entries": entries })).await;
    resource.until_ready().await;

    resource.apply(json!({ "managementPolicy": "Manage", "entries": [entries[0]] })).await;
    let managed = resource.until("took the key over", |now| now["status"]["origin"] == "Adopted").await;
    assert_eq!(managed["status"]["organizationId"], world.organization.as_str());
    let managed = resource.reconciled().await;
    assert_eq!(managed["status"]["entries"].as_array().unwrap().len(), 1, "{managed}");
    assert_eq!(world.zitadel.metadata(&world.organization)["foreign"].value, b"x");
}

/// Else whoever may write an OrgMetadata there could publish the credential of every ClusterConnection.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_comes_only_from_a_secret_with_the_label_in_the_namespace_of_the_operator_too() {
    crate::needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    let namespace = world.namespace.clone();
    world.start_operator_from(&namespace).await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(world.client.clone(), &namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "admin" }, "stringData": { "token": "hush" },
    });
    let applied = PatchParams::apply("test");
    secrets.patch("admin", &applied, &Patch::Apply(&secret)).await.unwrap();
    let entries =
        json!([{ "key": "k", "valueFrom": { "secretKeyRef": { "name": "admin", "key": "token" } } }]);
    let spec = through_connection(json!({ "entries": entries }));
    world.apply("OrgMetadata", "acme", spec).await;

    let refused = world.subject("OrgMetadata", "acme").until_reason("ReferenceNotFound").await;
    let message = refused["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("kubectl label secret"), "{message}");
    assert!(world.zitadel.metadata(&world.organization).is_empty());
}

/// The API server checks no UID where a status is applied: else the newcomer would own what its predecessor did.
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_made_anew_under_the_same_name_gets_no_status_of_its_predecessor() {
    let world = World::without_operator().await;
    let project = world.subject("Project", "web");
    let first: ObjectMeta =
        serde_json::from_value(project.apply(json!({})).await["metadata"].clone()).unwrap();
    let mut handle = Handle::new::<Project>(world.client.clone(), "Project", &first);
    project.annotate("example.com/edited", "meanwhile").await;
    handle.apply_status(known_as::<Value>, &json!({}), &json!({ "observedGeneration": 1 })).await.unwrap();
    assert_eq!(project.now().await["status"]["observedGeneration"], 1, "an edit in between is no obstacle");

    project.delete().await;
    project.until_gone().await;
    project.apply(json!({})).await;
    let refused =
        handle.apply_status(known_as::<Value>, &json!({}), &json!({ "id": "312909075211944345" })).await;
    assert!(matches!(refused, Err(ReconcileError::Stale)), "{refused:?}");
    assert_eq!(project.now().await["status"]["id"], serde_json::Value::Null);
}
