//! What the API server holds every kind to that lives in an organization; of `Organization` all but where it lives.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};
use crate::kinds::{RESIDENTS, minimal, with};

fn workloads() -> impl Iterator<Item = &'static str> {
    RESIDENTS.into_iter().chain(["Organization", "ProjectRole"])
}

#[tokio::test]
async fn connection_and_management_have_defaults_and_deletion_has_none() {
    let cluster = shared().await;
    for kind in workloads() {
        let stored = cluster.try_create(kind, &fresh_name(), &minimal(kind)).await.unwrap();
        let spec = &stored["spec"];
        assert_eq!(
            spec["connectionRef"],
            json!({ "kind": "ClusterConnection", "name": "default" }),
            "{kind}"
        );
        assert_eq!(spec["managementPolicy"], "Manage", "{kind}");
        assert_eq!(spec.get("deletionPolicy"), None, "{kind}");
    }
}

#[tokio::test]
async fn each_is_born_waiting() {
    let cluster = shared().await;
    for kind in workloads() {
        let stored = cluster.try_create(kind, &fresh_name(), &minimal(kind)).await.unwrap();
        let ready = &stored["status"]["conditions"][0];
        assert_eq!((&ready["type"], &ready["reason"]), (&json!("Ready"), &json!("Pending")), "{kind}");
    }
}

#[tokio::test]
async fn the_organization_is_named_in_exactly_one_way() {
    let cluster = shared().await;
    for kind in RESIDENTS {
        let at = |selector: Value| with(kind, &json!({ "organization": selector }));
        let ways = [json!({ "id": "1" }), json!({ "name": "acme" }), json!({ "ref": { "name": "acme" } })];
        cluster.accepts(kind, ways.map(at)).await;
        let wrong = [json!({}), json!({ "id": "1", "name": "acme" }), json!({ "id": null })];
        cluster.refuses(kind, wrong.map(at), "set exactly one of id, name and ref").await;
    }
}

#[tokio::test]
async fn each_policy_takes_its_values_and_no_others() {
    let cluster = shared().await;
    for kind in workloads() {
        for (field, values) in
            [("deletionPolicy", ["Delete", "Retain"]), ("managementPolicy", ["Manage", "Observe"])]
        {
            cluster.accepts(kind, values.map(|value| with(kind, &json!({ field: value })))).await;
            let wrong = ["", "delete", "Orphan"].map(|value| with(kind, &json!({ field: value })));
            cluster.refuses(kind, wrong, "Unsupported value").await;
        }
        let wrong = [json!({ "kind": "Secret", "name": "x" }), json!({ "name": "" })];
        let wrong = wrong.map(|reference| with(kind, &json!({ "connectionRef": reference })));
        cluster.refuses(kind, wrong, "spec.connectionRef").await;
    }
}
