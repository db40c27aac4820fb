//! Which `OrgFeatures` the API server takes.

use serde_json::{Value, json};
use zitadel_operator::api::org_features::OrgFeaturesSpec;

use crate::cluster::{fresh_name, shared};

const KIND: &str = "OrgFeatures";

const SWITCHES: [&str; 9] = [
    "loginDefaultOrg",
    "userSchema",
    "oidcTokenExchange",
    "debugOidcParentError",
    "oidcSingleV1SessionTermination",
    "enableBackChannelLogout",
    "permissionCheckV2",
    "consoleUseV2UserApi",
    "enableRelationalTables",
];

fn features(features: Value) -> Value {
    [("features", features)].into_iter().collect()
}

#[tokio::test]
async fn a_known_switch_is_true_or_false() {
    let cluster = shared().await;
    for switch in SWITCHES {
        cluster.accepts(KIND, [true, false].map(|value| features(json!({ switch: value })))).await;
        let wrong = [json!("true"), json!(1), json!({ "enabled": true })];
        let wrong = wrong.map(|value| features(json!({ switch: value })));
        cluster.refuses(KIND, wrong, &format!("spec.features.{switch}")).await;
    }
}

#[tokio::test]
async fn the_second_login_has_a_shape_of_its_own() {
    let cluster = shared().await;
    let login = |value: Value| features(json!({ "loginV2": value }));
    let right = [
        json!({}),
        json!({ "required": true }),
        json!({ "required": false, "baseUri": "https://login.example.com/ui/v2" }),
    ];
    cluster.accepts(KIND, right.map(login)).await;
    let wrong =
        [json!(true), json!({ "required": "yes" }), json!({ "baseUri": "" }), json!({ "baseUri": "a b" })];
    cluster.refuses(KIND, wrong.map(login), "spec.features.loginV2").await;
}

#[tokio::test]
async fn flags_of_tomorrow_are_kept_as_they_are_written() {
    let written = json!({
        "loginDefaultOrg": true, "ofTomorrow": false,
        "improvedPerformance": ["IMPROVED_PERFORMANCE_PROJECT"], "shaped": { "a": [1, { "b": null }] },
    });
    let stored = shared().await.try_create(KIND, &fresh_name(), &features(written.clone())).await.unwrap();
    assert_eq!(stored["spec"]["features"], written);
    let read: OrgFeaturesSpec = serde_json::from_value(stored["spec"].clone()).unwrap();
    assert_eq!(serde_json::to_value(read.features.flags()).unwrap(), written);
}

#[tokio::test]
async fn at_least_one_flag_is_set() {
    let cluster = shared().await;
    let wrong = [features(json!({})), features(json!({ "loginDefaultOrg": null }))];
    cluster.refuses(KIND, wrong, "should have at least 1 properties").await;
    cluster.refuses(KIND, [json!({}), features(Value::Null)], "spec.features: Required value").await;
}

#[tokio::test]
async fn at_most_64_flags_are_set() {
    let cluster = shared().await;
    let flags = |count: usize| features((0..count).map(|n| (format!("flag{n}"), json!(true))).collect());
    cluster.accepts(KIND, [flags(64)]).await;
    cluster.refuses(KIND, [flags(65)], "must have at most 64 items").await;
}
