//! Which `ProjectRole`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};

const KIND: &str = "ProjectRole";

fn of_web(mut spec: Value) -> Value {
    spec["project"] = json!({ "ref": { "name": "web" } });
    spec
}

#[tokio::test]
async fn the_project_is_named_in_exactly_one_way_and_its_organization_not_beside_a_reference() {
    let cluster = shared().await;
    let acme = json!({ "name": "acme" });
    let fine = [
        json!({ "id": "1" }),
        json!({ "name": "web" }),
        json!({ "ref": { "name": "web" } }),
        json!({ "id": "1", "organization": acme }),
    ];
    cluster.accepts(KIND, fine.map(|project| json!({ "project": project }))).await;
    let wrong = [json!({}), json!({ "id": "1", "name": "web" }), json!({ "organization": acme })];
    let wrong = wrong.map(|project| json!({ "project": project }));
    cluster.refuses(KIND, wrong, "set exactly one of id, name and ref").await;
    let both = json!({ "project": { "ref": { "name": "web" }, "organization": acme } });
    cluster.refuses(KIND, [both], "the organization follows from ref").await;
    cluster.refuses(KIND, [json!({})], "spec.project").await;
}

#[tokio::test]
async fn keys_and_names_are_what_zitadel_takes() {
    let cluster = shared().await;
    let fine = ["a", "urn:acme:editor", "Größe", &"x".repeat(200)].map(|key| of_web(json!({ "key": key })));
    cluster.accepts(KIND, fine).await;
    for key in ["", "a/b", "a b", "a\tb", &"x".repeat(201)] {
        cluster.refuses(KIND, [of_web(json!({ "key": key }))], "spec.key").await;
    }
    cluster.accepts(KIND, [of_web(json!({ "displayName": "The editors", "group": "News room" }))]).await;
    for field in ["displayName", "group"] {
        for text in ["", "a\nb", &"x".repeat(201)] {
            cluster.refuses(KIND, [of_web(json!({ field: text }))], &format!("spec.{field}")).await;
        }
    }
}

#[tokio::test]
async fn a_name_that_is_no_key_needs_one() {
    let cluster = shared().await;
    let long = "x".repeat(201);
    let refused = cluster.try_create(KIND, &long, &of_web(json!({}))).await.unwrap_err().to_string();
    assert!(refused.contains("longer than the 200 characters"), "{refused}");
    cluster.try_create(KIND, &long, &of_web(json!({ "key": "short" }))).await.unwrap();
}

#[tokio::test]
async fn the_key_never_changes_and_the_project_not_once_it_is_bound() {
    let cluster = shared().await;
    let name = fresh_name();
    let apply = async |spec: Value| cluster.apply(KIND, &name, &of_web(spec), true).await;
    cluster.apply(KIND, &name, &of_web(json!({ "key": "a" })), false).await.unwrap();
    for other in [json!({ "key": "b" }), json!({})] {
        let refused = apply(other).await.unwrap_err().to_string();
        assert!(refused.contains("key is immutable"), "{refused}");
    }
    let elsewhere = json!({ "key": "a", "project": { "id": "2" } });
    cluster.apply(KIND, &name, &elsewhere, true).await.unwrap();
    cluster.apply_status(KIND, &name, &json!({ "projectId": "1" })).await.unwrap();
    let connection = of_web(json!({ "key": "a", "connectionRef": { "name": "other" } }));
    for moved in [elsewhere, connection] {
        let refused = cluster.apply(KIND, &name, &moved, true).await.unwrap_err().to_string();
        assert!(refused.contains("project and connectionRef are immutable"), "{refused}");
    }
    apply(json!({ "key": "a", "displayName": "Other", "deletionPolicy": "Retain" })).await.unwrap();
}
