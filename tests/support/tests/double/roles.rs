//! Roles of projects.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use zitadel_operator_support::zitadel::Behaviour;

use crate::{Bench, PROJECTS, error_id};

async fn keys(bench: &Bench, project: &str, query: &Value) -> Vec<String> {
    let path = format!("{PROJECTS}/{project}/roles/_search");
    let (_, body) = bench.call(Method::POST, &path, query.clone()).await;
    let rows = body["result"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["key"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn searches_lag_filter_and_page() {
    let bench = Bench::new(Behaviour::v4().lagging(Duration::from_secs(10)));
    let project = bench.create("web").await;
    let roles: Vec<Value> =
        ["a", "b", "c"].map(|key| json!({"key": key, "displayName": format!("Role {key}")})).to_vec();
    bench.call(Method::POST, &format!("{PROJECTS}/{project}/roles/_bulk"), json!({"roles": roles})).await;
    assert_eq!(keys(&bench, &project, &json!({})).await, [""; 0]);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(keys(&bench, &project, &json!({})).await, ["a", "b", "c"]);
    assert_eq!(keys(&bench, &project, &json!({"query": {"limit": 1, "offset": "1"}})).await, ["b"]);
    let named = json!({"displayName": "role C", "method": "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE"});
    assert_eq!(keys(&bench, &project, &json!({"queries": [{"displayNameQuery": named}]})).await, ["c"]);
    bench.double.delete_project(&project);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(keys(&bench, &project, &json!({})).await, [""; 0]);
}

#[tokio::test]
async fn bulk_adds_all_or_none() {
    let bench = Bench::new(Behaviour::v3());
    let project = bench.create("web").await;
    let path = format!("{PROJECTS}/{project}/roles/_bulk");
    let bulk = |keys: [&str; 2]| {
        let roles = keys.map(|key| json!({"key": key, "displayName": "R"}));
        bench.call(Method::POST, &path, json!({"roles": roles}))
    };
    assert_eq!(error_id(&bulk(["a", "A"]).await.1), "V3-DKcYh");
    let (status, refused) = bulk(["a", ""]).await;
    assert_eq!((status, &refused["code"]), (400, &json!(3)));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("Roles[1]")), "{refused}");
    assert!(bench.double.roles(&project).is_empty());
    let mark = bench.double.ledger().mark();
    assert_eq!(bulk(["a", "b"]).await.0, 200);
    assert_eq!(bench.double.ledger().since(mark)[0].touched, vec![format!("project/{project}"); 2]);
}

#[tokio::test]
async fn person_edits_roles() {
    let bench = Bench::new(Behaviour::v4());
    let project = bench.create("web").await;
    bench.double.set_role(&project, "a", "A", "");
    bench.double.set_role(&project, "a", "B", "staff");
    let role = bench.double.roles(&project)["a"].clone();
    assert_eq!((role.display_name.as_str(), role.group.as_str()), ("B", "staff"));
    bench.double.remove_role(&project, "a");
    assert!(bench.double.roles(&project).is_empty());
}
