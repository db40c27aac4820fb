//! Organization and connection can be corrected until the resource is bound, and not after.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, fresh_name, shared};

/// A stored project of the organization `acme`.
async fn stored(cluster: &Cluster) -> String {
    let name = fresh_name();
    cluster.apply("Project", &name, &json!({ "organization": { "name": "acme" } }), false).await.unwrap();
    name
}

/// Writes `status.organizationId`, as the operator does once it has resolved the organization.
async fn bind(cluster: &Cluster, name: &str) {
    let status = Patch::Merge(json!({ "status": { "organizationId": "1" } }));
    cluster.api("Project").patch_status(name, &PatchParams::default(), &status).await.unwrap();
}

fn moves() -> [Value; 6] {
    let acme = json!({ "name": "acme" });
    [
        json!({}),
        json!({ "organization": { "name": "other" } }),
        json!({ "organization": { "id": "1" } }),
        json!({ "organization": { "ref": { "name": "acme" } } }),
        json!({ "organization": acme, "connectionRef": { "name": "other" } }),
        json!({ "organization": acme, "connectionRef": { "kind": "Connection", "name": "default" } }),
    ]
}

#[tokio::test]
async fn before_a_typo_can_be_corrected() {
    let cluster = shared().await;
    let name = stored(&cluster).await;
    for spec in moves() {
        cluster.apply("Project", &name, &spec, true).await.unwrap_or_else(|error| panic!("{spec}: {error}"));
    }
}

#[tokio::test]
async fn after_neither_organization_nor_connection_can_change() {
    let cluster = shared().await;
    let name = stored(&cluster).await;
    bind(&cluster, &name).await;
    for spec in moves() {
        let refused =
            cluster.apply("Project", &name, &spec, true).await.expect_err(&spec.to_string()).to_string();
        assert!(refused.contains("immutable once the resource is bound"), "{spec}: {refused}");
    }
}

#[tokio::test]
async fn after_a_default_organization_cannot_become_another() {
    let cluster = shared().await;
    let name = fresh_name();
    cluster.apply("Project", &name, &json!({}), false).await.unwrap();
    bind(&cluster, &name).await;
    let spec = json!({ "organization": { "name": "acme" } });
    let refused = cluster.apply("Project", &name, &spec, true).await.unwrap_err().to_string();
    assert!(refused.contains("immutable once the resource is bound"), "{refused}");
}

#[tokio::test]
async fn everything_else_can_change() {
    let cluster = shared().await;
    let name = stored(&cluster).await;
    bind(&cluster, &name).await;
    let changes = json!({
        "organization": { "name": "acme" }, "name": "other", "state": "Inactive", "deletionPolicy": "Retain",
    });
    cluster.apply("Project", &name, &changes, true).await.unwrap();
}
