//! Which `Project`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};

fn named(name: impl Into<Value>) -> Value {
    json!({ "name": name.into() })
}

fn organization(selector: Value) -> Value {
    [("organization", selector)].into_iter().collect()
}

#[tokio::test]
async fn everything_has_a_default() {
    let stored = shared().await.try_create("Project", &fresh_name(), &json!({})).await.unwrap();
    let expected = json!({
        "connectionRef": { "kind": "ClusterConnection", "name": "default" },
        "managementPolicy": "Manage",
        "projectRoleAssertion": false,
        "projectRoleCheck": false,
        "hasProjectCheck": false,
        "privateLabelingSetting": "Unspecified",
        "state": "Active",
        "adoptionPolicy": "Never",
    });
    assert_eq!(stored["spec"], expected);
}

#[tokio::test]
async fn a_created_null_is_the_same_as_nothing() {
    let nulls = json!({
        "name": null, "organization": null, "deletionPolicy": null, "connectionRef": null,
        "managementPolicy": null, "state": null, "projectRoleCheck": null,
    });
    let cluster = shared().await;
    let stored = cluster.try_create("Project", &fresh_name(), &nulls).await.unwrap();
    let plain = cluster.try_create("Project", &fresh_name(), &json!({})).await.unwrap();
    assert_eq!(stored["spec"], plain["spec"]);
}

/// Server-side apply drops a null only where there is a default.
#[tokio::test]
async fn an_applied_null_is_never_stored() {
    let cluster = shared().await;
    let name = fresh_name();
    let stored = cluster.apply("Project", &name, &json!({ "state": null }), true).await.unwrap();
    assert_eq!(stored["spec"]["state"], "Active");
    for field in ["name", "organization", "deletionPolicy"] {
        let refused =
            cluster.apply("Project", &name, &json!({ field: null }), true).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("spec.{field} in body must be of type")), "{refused}");
    }
}

#[tokio::test]
async fn an_organization_is_named_in_exactly_one_way() {
    let cluster = shared().await;
    let ways = [json!({ "id": "1" }), json!({ "name": "acme" }), json!({ "ref": { "name": "acme" } })];
    cluster.accepts("Project", ways.map(organization)).await;
    let wrong = [
        json!({}),
        json!({ "id": "1", "name": "acme" }),
        json!({ "id": "1", "ref": { "name": "acme" } }),
        json!({ "id": "1", "name": "acme", "ref": { "name": "acme" } }),
        json!({ "id": null }),
    ];
    cluster.refuses("Project", wrong.map(organization), "set exactly one of id, name and ref").await;
}

#[tokio::test]
async fn an_organization_id_has_no_blanks() {
    let cluster = shared().await;
    let wrong = ["", "1 2", "1\n", "é"].map(|id| organization(json!({ "id": id })));
    cluster.refuses("Project", wrong, "spec.organization.id").await;
}

#[tokio::test]
async fn a_name_has_up_to_200_characters_however_many_bytes() {
    let cluster = shared().await;
    cluster.accepts("Project", [named("w"), named("é".repeat(200)), named("a/b ..%2f \u{1F600}")]).await;
    cluster.refuses("Project", [named(""), named("é".repeat(201))], "spec.name").await;
}

#[tokio::test]
async fn a_name_has_no_control_characters() {
    let wrong = ["a\nb", "a\tb", "a\u{0}b", "a\u{7f}b", "a\u{85}b"].map(named);
    shared().await.refuses("Project", wrong, "spec.name").await;
}

#[tokio::test]
async fn a_long_metadata_name_needs_a_name_that_fits() {
    let cluster = shared().await;
    let apply = |length, spec| {
        let (cluster, name) = (&cluster, "w".repeat(length));
        async move { cluster.try_create("Project", &name, &spec).await }
    };
    assert!(apply(200, json!({})).await.is_ok());
    assert!(apply(201, named("web")).await.is_ok());
    let refused = apply(201, json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("set spec.name"), "{refused}");
}

#[tokio::test]
async fn each_choice_takes_its_values_and_no_others() {
    let choices = [
        ("state", vec!["Active", "Inactive"]),
        ("adoptionPolicy", vec!["Never", "ByName"]),
        ("deletionPolicy", vec!["Delete", "Retain"]),
        ("managementPolicy", vec!["Manage", "Observe"]),
        (
            "privateLabelingSetting",
            vec!["Unspecified", "EnforceProjectResourceOwnerPolicy", "AllowLoginUserResourceOwnerPolicy"],
        ),
    ];
    let cluster = shared().await;
    for (field, values) in choices {
        cluster.accepts("Project", values.into_iter().map(|value| json!({ field: value }))).await;
        cluster
            .refuses("Project", [json!({ field: "active" }), json!({ field: "" })], "Unsupported value")
            .await;
        cluster.refuses("Project", [json!({ field: 7 })], field).await;
    }
}

#[tokio::test]
async fn a_connection_is_named_by_kind_and_name() {
    let cluster = shared().await;
    let reference = |reference: Value| json!({ "connectionRef": reference });
    let right = [json!({ "name": "x" }), json!({ "kind": "Connection", "name": "x" })];
    cluster.accepts("Project", right.map(reference)).await;
    let wrong = [
        json!({ "kind": "Secret", "name": "x" }),
        json!({ "kind": "Connection" }),
        json!({ "name": "" }),
        json!({ "name": "x".repeat(254) }),
    ];
    cluster.refuses("Project", wrong.map(reference), "spec.connectionRef").await;
}
