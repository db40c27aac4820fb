//! Which `InstanceLoginPolicy`s the API server takes.

use serde_json::json;

use crate::binding::{bind, is_immutable};
use crate::cluster::{fresh_name, shared};

const KIND: &str = "InstanceLoginPolicy";

#[tokio::test]
async fn a_deletion_that_changes_the_policy_says_what_to_go_back_to() {
    let cluster = shared().await;
    let then = json!({ "forceMfa": false });
    let fine = [
        json!({}),
        json!({ "deletionPolicy": "Retain" }),
        json!({ "deletionPolicy": "Delete", "resetOnDelete": then }),
        // As the operator advises where a deletion is blocked.
        json!({ "deletionPolicy": "Retain", "resetOnDelete": then }),
    ];
    cluster.accepts(KIND, fine).await;
    let wrong = [json!({ "deletionPolicy": "Delete" }), json!({ "resetOnDelete": then })];
    cluster.refuses(KIND, wrong, "deletionPolicy Delete and resetOnDelete go together").await;
}

#[tokio::test]
async fn it_stays_with_its_connection() {
    let cluster = shared().await;
    let (name, elsewhere) = (fresh_name(), json!({ "connectionRef": { "name": "other" } }));
    cluster.apply(KIND, &name, &json!({}), false).await.unwrap();
    cluster.apply(KIND, &name, &elsewhere, true).await.unwrap();
    bind(&cluster, KIND, &name, json!({ "instance": "1" })).await;
    is_immutable(&cluster, KIND, &name, &elsewhere).await;
    cluster.apply(KIND, &name, &json!({ "forceMfa": true }), true).await.unwrap();
}
