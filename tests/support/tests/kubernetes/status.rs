//! Server-side apply of the status: who owns what, and what goes when it is applied no longer.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::{World, by, causes, conformance, json_of, pair, refusal, version};

conformance!(
    owns_what_it_applies,
    drops_what_it_applies_no_longer,
    keeps_what_others_own,
    condition_that_another_touched,
    conflict_and_force,
    no_difference,
    merge_leaves_another_owner,
    metadata_in_an_apply,
    schema_violations,
    of_a_missing_object,
    whole_objects,
);

fn condition(kind: &str, status: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": "Because", "message": "m" })
}

async fn apply(world: &World, manager: &str, force: bool, status: Value) -> kube::Result<Value> {
    apply_as(world, manager, force, json!({ "name": "a" }), status).await
}

async fn apply_as(
    world: &World,
    manager: &str,
    force: bool,
    metadata: Value,
    status: Value,
) -> kube::Result<Value> {
    let body = json!({ "apiVersion": "conformance.example.com/v1", "kind": "Widget",
        "metadata": metadata, "status": status });
    let params = PatchParams { force, ..PatchParams::apply(manager) };
    world.widgets().patch_status("a", &params, &Patch::Apply(&body)).await.map(|object| json_of(&object))
}

async fn merge(world: &World, manager: &str, status: Value) -> Value {
    let patch = json!({ "status": status });
    let patched = world.widgets().patch_status("a", &by(manager), &Patch::Merge(&patch)).await;
    json_of(&patched.unwrap())
}

/// The types of the conditions, in order.
fn types(object: &Value) -> Vec<&str> {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["type"].as_str())
        .collect()
}

fn owned(object: &Value, manager: &str, operation: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut own = entries.filter(|entry| entry["manager"] == manager && entry["operation"] == operation);
    own.next().map(|entry| entry["fieldsV1"].clone()).unwrap_or_default()
}

async fn owns_what_it_applies(world: World) {
    let made = json_of(&world.create("a").await);
    let status =
        json!({ "id": "1", "drift": { "fields": ["x"] }, "conditions": [condition("Ready", "True")] });
    let applied = apply(&world, "op", true, status).await.unwrap();
    assert_eq!(types(&applied), ["Ready"]);
    assert_eq!(applied["metadata"]["generation"], 1);
    assert_eq!(applied["spec"], made["spec"]);
    let leaf = json!({});
    let ready = json!({ ".": leaf, "f:type": leaf, "f:status": leaf, "f:reason": leaf, "f:message": leaf });
    let expected = json!({ "f:status": { "f:id": leaf, "f:drift": { "f:fields": leaf },
        "f:conditions": { "k:{\"type\":\"Ready\"}": ready } } });
    assert_eq!(owned(&applied, "op", "Apply"), expected);
}

async fn drops_what_it_applies_no_longer(world: World) {
    world.create("a").await;
    let full = json!({ "id": "1", "drift": { "fields": ["x"], "at": "now" },
        "conditions": [condition("Ready", "True"), condition("Synced", "True")] });
    apply(&world, "op", true, full).await.unwrap();
    let less = json!({ "count": 2, "conditions": [condition("Synced", "False")] });
    let applied = apply(&world, "op", true, less).await.unwrap();
    assert_eq!(applied["status"], json!({ "count": 2, "conditions": [condition("Synced", "False")] }));
    let nothing = apply(&world, "op", true, Value::Null).await.unwrap();
    let born = json!([{ "type": "Ready", "status": "Unknown", "reason": "Pending", "message": "waiting" }]);
    assert_eq!(nothing["status"], json!({ "conditions": born }));
}

async fn keeps_what_others_own(world: World) {
    world.create("a").await;
    // Nobody owns the condition that the schema gives at birth: an apply that does not name it leaves it.
    let applied =
        apply(&world, "op", true, json!({ "conditions": [condition("Synced", "True")] })).await.unwrap();
    assert_eq!(types(&applied), ["Ready", "Synced"]);
    apply(&world, "other", false, json!({ "conditions": [condition("Theirs", "True")] })).await.unwrap();
    let applied = apply(&world, "op", true, json!({ "id": "1" })).await.unwrap();
    assert_eq!(types(&applied), ["Ready", "Theirs"]);
    // Owned by two: it goes with the second.
    apply(&world, "op", true, json!({ "conditions": [condition("Theirs", "True")] })).await.unwrap();
    let applied = apply(&world, "op", true, json!({})).await.unwrap();
    assert_eq!(types(&applied), ["Ready", "Theirs"]);
    let applied = apply(&world, "other", true, json!({})).await.unwrap();
    assert_eq!(types(&applied), ["Ready"]);
}

/// A part of a condition that another wrote does not hold the condition.
async fn condition_that_another_touched(world: World) {
    world.create("a").await;
    apply(&world, "op", true, json!({ "conditions": [condition("Ready", "True")] })).await.unwrap();
    let mut touched = condition("Ready", "True");
    touched["reason"] = "Changed".into();
    let merged =
        merge(&world, "other", json!({ "conditions": [touched, condition("Theirs", "True")] })).await;
    let leaf = json!({});
    let theirs = json!({ ".": leaf, "f:type": leaf, "f:status": leaf, "f:reason": leaf, "f:message": leaf });
    let expected = json!({ "f:status": { "f:conditions": {
        "k:{\"type\":\"Ready\"}": { "f:reason": leaf }, "k:{\"type\":\"Theirs\"}": theirs } } });
    assert_eq!(owned(&merged, "other", "Update"), expected);
    let applied = apply(&world, "op", true, json!({ "id": "1" })).await.unwrap();
    assert_eq!(types(&applied), ["Theirs"]);
}

async fn conflict_and_force(world: World) {
    world.create("a").await;
    apply(&world, "op", false, json!({ "id": "1" })).await.unwrap();
    let refused = apply(&world, "other", false, json!({ "id": "2" })).await;
    let message =
        "Apply failed with 1 conflict: conflict with \"op\" with subresource \"status\": .status.id";
    assert_eq!(refusal(refused), (409, "Conflict".into(), message.into()));
    let refused = apply(&world, "other", false, json!({ "id": "2" })).await;
    assert_eq!(causes(refused), [pair("FieldManagerConflict", ".status.id")]);
    let agreed = apply(&world, "other", false, json!({ "id": "1" })).await.unwrap();
    assert_eq!(owned(&agreed, "op", "Apply"), owned(&agreed, "other", "Apply"));
    let forced = apply(&world, "other", true, json!({ "id": "2" })).await.unwrap();
    assert_eq!(forced["status"]["id"], "2");
    assert_eq!(owned(&forced, "op", "Apply"), Value::Null);
}

async fn no_difference(world: World) {
    world.create("a").await;
    let status = json!({ "id": "1", "conditions": [condition("Ready", "True")] });
    let first = apply(&world, "op", true, status.clone()).await.unwrap();
    // The times in the managed fields have whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(apply(&world, "op", true, status).await.unwrap(), first);
    let merged = merge(&world, "op", json!({ "id": "1" })).await;
    assert_eq!(merged["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
}

/// A merge by the same manager is another owner: what it wrote outlives an apply without it.
async fn merge_leaves_another_owner(world: World) {
    world.create("a").await;
    let conditions = json!({ "conditions": [condition("Ready", "True"), condition("Stalled", "True")] });
    merge(&world, "op", conditions).await;
    let both = json!({ "conditions": [condition("Ready", "True"), condition("Stalled", "True")] });
    apply(&world, "op", true, both).await.unwrap();
    let applied =
        apply(&world, "op", true, json!({ "conditions": [condition("Ready", "True")] })).await.unwrap();
    assert_eq!(types(&applied), ["Ready", "Stalled"]);
    let replaced = merge(&world, "op", json!({ "conditions": [condition("Ready", "True")] })).await;
    assert_eq!(types(&replaced), ["Ready"]);
    let leaf = json!({});
    assert!(
        owned(&replaced, "op", "Update")["f:status"]["f:conditions"]["k:{\"type\":\"Stalled\"}"].is_null()
    );
    assert_eq!(
        owned(&replaced, "op", "Apply")["f:status"]["f:conditions"]["k:{\"type\":\"Ready\"}"]["."],
        leaf
    );
}

/// Of the metadata an apply to the status looks at the resourceVersion only: another UID is *not* noticed.
async fn metadata_in_an_apply(world: World) {
    let made = world.create("a").await;
    let stale = json!({ "name": "a", "resourceVersion": "1" });
    let refused = apply_as(&world, "op", true, stale, json!({ "id": "1" })).await;
    assert_eq!((refusal(refused).0), 409);
    let labelled =
        json!({ "name": "a", "uid": "another", "labels": { "a": "b" }, "finalizers": ["example.com/one"] });
    let applied = apply_as(&world, "op", true, labelled, json!({ "id": "2" })).await.unwrap();
    assert_eq!(applied["status"]["id"], "2");
    assert_eq!(applied["metadata"]["uid"], made.metadata.uid.as_deref().unwrap());
    assert!(applied["metadata"]["labels"].is_null() && applied["metadata"]["finalizers"].is_null());
    let current = json!({ "name": "a", "resourceVersion": applied["metadata"]["resourceVersion"] });
    apply_as(&world, "op", true, current, json!({ "id": "3" })).await.unwrap();
}

async fn schema_violations(world: World) {
    world.create("a").await;
    let undeclared = refusal(apply(&world, "op", true, json!({ "bogus": 1 })).await);
    assert_eq!(undeclared.0, 500);
    assert!(undeclared.2.ends_with(".status.bogus: field not declared in schema"), "{undeclared:?}");
    let mistyped = refusal(apply(&world, "op", true, json!({ "id": 5 })).await);
    assert!(mistyped.0 == 500 && mistyped.2.contains(".status.id: expected string, got"), "{mistyped:?}");
    let unknown = apply(&world, "op", true, json!({ "conditions": [condition("Ready", "Maybe")] })).await;
    assert_eq!(causes(unknown), [pair("FieldValueNotSupported", "status.conditions[0].status")]);
    let part = apply(&world, "op", true, json!({ "conditions": [{ "type": "New" }] })).await;
    let missing = ["message", "reason", "status"]
        .map(|name| pair("FieldValueRequired", &format!("status.conditions[1].{name}")));
    assert_eq!(causes(part), missing);
    let merged = merge(&world, "op", json!({ "bogus": 1 })).await;
    assert!(merged["status"]["bogus"].is_null());
}

async fn of_a_missing_object(world: World) {
    let refused = apply(&world, "op", true, json!({ "id": "1" })).await;
    assert_eq!(refusal(refused).0, 404);
    world.create("a").await;
    let body =
        json!({ "apiVersion": "conformance.example.com/v1", "kind": "Widget", "metadata": { "name": "a" } });
    let nameless = world.widgets().patch_status("a", &PatchParams::default(), &Patch::Apply(&body)).await;
    assert_eq!(causes(nameless), [pair("FieldValueRequired", "fieldManager")]);
}

/// People apply whole objects: that makes them, changes them, and leaves the status alone.
async fn whole_objects(world: World) {
    let apply = async |spec: Value| {
        let body = json!({ "apiVersion": "conformance.example.com/v1", "kind": "Widget",
            "metadata": { "name": "a", "labels": { "a": "b" } }, "spec": spec, "status": { "id": "ignored" } });
        world.widgets().patch("a", &PatchParams::apply("person").force(), &Patch::Apply(&body)).await.unwrap()
    };
    let made = apply(json!({ "owner": "one", "note": "n", "labels": { "x": "1", "y": "2" } })).await;
    assert_eq!((made.metadata.generation, &made.data["spec"]["size"]), (Some(1), &json!(3)));
    assert!(made.data["status"]["id"].is_null());
    let changed = apply(json!({ "owner": "two", "size": 5, "labels": { "y": "2" } })).await;
    assert_eq!(changed.metadata.generation, Some(2));
    let spec = json!({ "owner": "two", "size": 5, "mode": "Fast", "options": { "loud": false }, "labels": { "y": "2" } });
    assert_eq!(changed.data["spec"], spec);
    let defaulted = apply(json!({ "owner": "two" })).await;
    assert_eq!(defaulted.data["spec"]["size"], 3);
    assert!(version(&defaulted) > version(&changed));
}
