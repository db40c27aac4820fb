//! Organization and connection can be corrected until the resource is bound, and not after.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Cluster, fresh_name, shared};
use crate::kinds::{RESIDENTS, with};

/// A stored resource of the organization `acme`.
async fn stored(cluster: &Cluster, kind: &str) -> String {
    let name = fresh_name();
    let spec = with(kind, &json!({ "organization": { "name": "acme" } }));
    cluster.apply(kind, &name, &spec, false).await.unwrap();
    name
}

/// Writes the status, as the operator does once it has resolved the organization.
pub async fn bind(cluster: &Cluster, kind: &str, name: &str, status: Value) {
    let status = Patch::Merge(json!({ "status": status }));
    cluster.api(kind).patch_status(name, &PatchParams::default(), &status).await.unwrap();
}

/// Asserts that the API server refuses this change of what is bound.
pub async fn is_immutable(cluster: &Cluster, kind: &str, name: &str, change: &Value) {
    let applied = cluster.apply(kind, name, &with(kind, change), true).await;
    let refused = applied.expect_err(&format!("{kind} {change}")).to_string();
    assert!(refused.contains("immutable once the resource is bound"), "{kind} {change}: {refused}");
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
    for kind in RESIDENTS {
        let name = stored(&cluster, kind).await;
        for change in moves() {
            let applied = cluster.apply(kind, &name, &with(kind, &change), true).await;
            applied.unwrap_or_else(|error| panic!("{kind} {change}: {error}"));
        }
    }
}

#[tokio::test]
async fn after_neither_organization_nor_connection_can_change() {
    let cluster = shared().await;
    for kind in RESIDENTS {
        let name = stored(&cluster, kind).await;
        bind(&cluster, kind, &name, json!({ "organizationId": "1" })).await;
        for change in moves() {
            is_immutable(&cluster, kind, &name, &change).await;
        }
    }
}

#[tokio::test]
async fn after_a_default_organization_cannot_become_another() {
    let cluster = shared().await;
    for kind in RESIDENTS {
        let name = fresh_name();
        cluster.apply(kind, &name, &with(kind, &json!({})), false).await.unwrap();
        bind(&cluster, kind, &name, json!({ "organizationId": "1" })).await;
        is_immutable(&cluster, kind, &name, &json!({ "organization": { "name": "acme" } })).await;
    }
}

#[tokio::test]
async fn everything_else_can_change() {
    let changes = [
        ("Project", json!({ "name": "other", "state": "Inactive", "deletionPolicy": "Retain" })),
        ("OrgMetadata", json!({ "entries": [{ "key": "other", "base64": "AA==" }] })),
        ("OrgDomainPolicy", json!({ "userLoginMustBeDomain": true, "confirmAboveUsers": 5 })),
        ("OrgFeatures", json!({ "features": { "userSchema": false } })),
        ("OrgLoginPolicy", json!({ "forceMfa": true, "secondFactors": [], "passwordCheckLifetime": "1h" })),
    ];
    let cluster = shared().await;
    for (kind, mut change) in changes {
        let name = stored(&cluster, kind).await;
        bind(&cluster, kind, &name, json!({ "organizationId": "1" })).await;
        change["organization"] = json!({ "name": "acme" });
        cluster.apply(kind, &name, &with(kind, &change), true).await.unwrap();
    }
}

#[tokio::test]
async fn an_organization_stays_with_its_connection() {
    let cluster = shared().await;
    let elsewhere = json!({ "connectionRef": { "name": "other" } });
    for status in [json!({ "id": "1" }), json!({ "organizationId": "1" })] {
        let name = fresh_name();
        cluster.apply("Organization", &name, &json!({}), false).await.unwrap();
        cluster.apply("Organization", &name, &elsewhere, true).await.unwrap();
        bind(&cluster, "Organization", &name, status).await;
        is_immutable(&cluster, "Organization", &name, &elsewhere).await;
        let renamed = json!({ "name": "Acme Inc", "state": "Inactive", "deletionPolicy": "Delete" });
        cluster.apply("Organization", &name, &renamed, true).await.unwrap();
    }
}

#[tokio::test]
async fn while_a_create_is_pending_its_connection_cannot_change() {
    let cluster = shared().await;
    let connection = json!({ "kind": "Connection", "name": "own" });
    for kind in ["Project", "Organization"] {
        let name = fresh_name();
        let through = |connection: &Value| with(kind, &json!({ "connectionRef": connection }));
        cluster.apply(kind, &name, &through(&connection), false).await.unwrap();
        let intent = json!({
            "name": "acme", "connectionRef": connection, "instance": "1", "after": "2026-01-01T00:00:00Z",
        });
        bind(&cluster, kind, &name, json!({ "pendingCreate": intent })).await;
        for other in [json!({ "name": "own" }), json!({ "kind": "Connection", "name": "other" })] {
            let refused = cluster.apply(kind, &name, &through(&other), true).await.unwrap_err().to_string();
            assert!(refused.contains("immutable while a create is pending"), "{kind}: {refused}");
        }
        let renamed = with(kind, &json!({ "connectionRef": connection, "name": "other" }));
        cluster.apply(kind, &name, &renamed, true).await.unwrap();
    }
}
