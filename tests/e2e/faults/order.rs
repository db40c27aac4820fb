//! What belongs together comes in any order, or not at all.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use support::zitadel::OrganizationFeatures;

use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::organization_ref::{all, by_reference, every_kind, possessions, subjects};
use crate::waits::{assert_kstatus, condition};
use crate::world::{CONNECTION, World};
use zitadel_operator::kinds::definitions;

/// Takes the connection and its Secret away; answers the spec.
async fn disconnect(world: &World) -> Value {
    let connection = world.subject("Connection", CONNECTION);
    let spec = connection.now().await["spec"].clone();
    connection.delete().await;
    connection.until_gone().await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_in_the_wrong_order_everything_is_made_once_and_nothing_spins_meanwhile() {
    needs_double!("the ledger");
    let mut world = World::without_operator().await;
    let implemented = OrganizationFeatures::Implemented;
    world.zitadel.configure(|behaviour| behaviour.organization_features = implemented);
    let connection = disconnect(&world).await;
    world.start_operator().await;
    for (subject, (_, spec)) in subjects(&world).into_iter().zip(every_kind()) {
        subject.apply(by_reference(spec)).await;
    }
    for subject in subjects(&world) {
        subject.until_reason("ReferenceNotFound").await;
    }
    world.subject(ORGANIZATION, "globex").apply(json!({})).await;
    world.apply("Connection", CONNECTION, connection).await;
    world.subject(ORGANIZATION, "globex").until_reason("CredentialsUnavailable").await;
    for subject in subjects(&world) {
        // Each says once what it waits for now.
        subject.until("moved on", |now| condition(now, "Ready")["reason"] != "ReferenceNotFound").await;
    }
    assert_eq!(world.zitadel.ledger().requests().len(), 0);
    let audit = world.control_plane.audit_mark().unwrap();
    world.assert_calm().await;
    let writes = world.control_plane.audit_since(audit).unwrap().into_iter();
    let writes = writes.filter(|entry| entry.object_ref.namespace == world.namespace);
    let writes: Vec<_> = writes.map(|entry| (entry.verb, entry.object_ref)).collect();
    assert!(writes.len() <= 3, "writes to Kubernetes while nothing happens: {writes:?}");

    world.store_token(&world.token).await;
    for subject in subjects(&world) {
        subject.until_ready().await;
    }
    let globex = world.subject(ORGANIZATION, "globex").until_ready().await;
    assert_eq!(possessions(&world, globex["status"]["id"].as_str().unwrap()).await, all());
    assert_eq!(crate::organization::names(&world), ["globex"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_never_comes_holds_up_only_its_children() {
    needs_double!("the ledger");
    let world = World::new().await;
    for n in 0..20 {
        let orphan = by_reference(json!({}));
        world.project(&format!("orphan{n}")).apply(orphan).await;
    }
    let orphan = world.project("orphan19").until_reason("ReferenceNotFound").await;
    assert_kstatus(&orphan, crate::kstatus::Kstatus::InProgress);
    world.project("web").apply(json!({})).await;
    let applied = tokio::time::Instant::now();
    world.project("web").until_ready().await;
    assert!(applied.elapsed() < std::time::Duration::from_secs(5), "{:?}", applied.elapsed());
    world.assert_calm().await;
    assert_eq!(world.project_names().await, ["web"]);
}

/// A resource refers to an Organization and a connection, and neither of these to a resource.
#[test]
fn a_cycle_of_references_cannot_be_written() {
    let schema = |kind: &str| -> Value {
        let definition = definitions().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let definition = serde_json::to_value(definition).unwrap();
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        definition.pointer(spec).unwrap().clone()
    };
    assert!(!schema("Project")["organization"]["properties"]["ref"].is_null());
    assert!(schema(ORGANIZATION)["organization"].is_null());
    for kind in ["Connection", "ClusterConnection"] {
        let default = &schema(kind)["defaultOrganization"]["properties"];
        assert!(!default["name"].is_null() && default["ref"].is_null(), "{default}");
    }
}
