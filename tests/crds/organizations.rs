//! Which `Organization`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};

fn named(name: impl Into<Value>) -> Value {
    json!({ "name": name.into() })
}

#[tokio::test]
async fn everything_has_a_default() {
    let stored = shared().await.try_create("Organization", &fresh_name(), &json!({})).await.unwrap();
    let expected = json!({
        "connectionRef": { "kind": "ClusterConnection", "name": "default" },
        "managementPolicy": "Manage",
        "state": "Active",
        "adoptionPolicy": "Never",
        "confirmAboveUsers": 100,
    });
    assert_eq!(stored["spec"], expected);
}

#[tokio::test]
async fn a_number_of_users_is_not_negative() {
    let above = |users: Value| json!({ "confirmAboveUsers": users });
    let cluster = shared().await;
    cluster.accepts("Organization", [json!(0), json!(1_000_000_000)].map(above)).await;
    let wrong = [json!(-1), json!(1_000_000_001), json!("many")].map(above);
    cluster.refuses("Organization", wrong, "spec.confirmAboveUsers").await;
}

#[tokio::test]
async fn it_lives_in_no_other_organization() {
    let cluster = shared().await;
    let spec = json!({ "organization": { "name": "acme" } });
    let stored = cluster.try_create("Organization", &fresh_name(), &spec).await.unwrap();
    assert_eq!(stored["spec"].get("organization"), None);
}

#[tokio::test]
async fn a_name_has_up_to_200_characters_however_many_bytes() {
    let cluster = shared().await;
    cluster
        .accepts("Organization", [named("w"), named("é".repeat(200)), named("Acme, Inc. \u{1F600}")])
        .await;
    cluster.refuses("Organization", [named(""), named("é".repeat(201))], "spec.name").await;
}

#[tokio::test]
async fn a_name_has_no_control_characters() {
    let wrong = ["a\nb", "a\tb", "a\u{0}b", "a\u{7f}b", "a\u{85}b", "\n"].map(named);
    shared().await.refuses("Organization", wrong, "spec.name").await;
}

/// ZITADEL would cut them, and the name would never be as specified.
#[tokio::test]
async fn a_name_has_no_blanks_around_it() {
    let cluster = shared().await;
    cluster.accepts("Organization", ["a b", "a\u{a0}b", "a\u{200b}"].map(named)).await;
    let wrong = [" ", " a", "a ", "\u{a0}a", "a\u{2003}", "\u{3000}a", "a\u{2028}"].map(named);
    cluster.refuses("Organization", wrong, "spec.name").await;
}

#[tokio::test]
async fn a_long_metadata_name_needs_a_name_that_fits() {
    let cluster = shared().await;
    let name = "w".repeat(201);
    cluster.try_create("Organization", &name, &named("acme")).await.unwrap();
    let refused = cluster.try_create("Organization", &name, &json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("set spec.name"), "{refused}");
}

#[tokio::test]
async fn each_choice_takes_its_values_and_no_others() {
    let cluster = shared().await;
    for (field, values) in [("state", ["Active", "Inactive"]), ("adoptionPolicy", ["Never", "ByName"])] {
        cluster.accepts("Organization", values.map(|value| json!({ field: value }))).await;
        let wrong = ["", "active", "Removed"].map(|value| json!({ field: value }));
        cluster.refuses("Organization", wrong, "Unsupported value").await;
    }
}
