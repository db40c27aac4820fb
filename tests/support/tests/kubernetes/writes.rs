//! Updates and merge patches: conflicts, generations, and what does not count as a change.

use kube::api::{Patch, PostParams};
use serde_json::json;

use crate::{World, by, causes, conformance, json_of, pair, refusal, version};

conformance!(
    annotations_and_finalizers,
    version_conflict,
    another_uid,
    another_name,
    generations,
    no_difference,
    replacing,
    fixed_metadata,
);

async fn annotations_and_finalizers(world: World) {
    let made =
        world.create_with("a", json!({ "metadata": { "annotations": { "kept": "1", "gone": "1" } } })).await;
    let patch = json!({ "metadata": { "resourceVersion": made.metadata.resource_version, "uid": made.metadata.uid,
        "finalizers": ["example.com/one"], "annotations": { "gone": null, "new": "2" } } });
    let patched = world.merge("a", patch).await.unwrap();
    let metadata = &json_of(&patched)["metadata"];
    assert_eq!(metadata["annotations"], json!({ "kept": "1", "new": "2" }));
    assert_eq!(metadata["finalizers"], json!(["example.com/one"]));
    assert_eq!(metadata["generation"], 1);
    assert!(version(&patched) > version(&made));
    let bare = json!({ "metadata": { "finalizers": [], "annotations": null } });
    let bare = json_of(&world.merge("a", bare).await.unwrap());
    assert!(bare["metadata"].get("finalizers").is_none() && bare["metadata"].get("annotations").is_none());
}

async fn version_conflict(world: World) {
    let made = world.create("a").await;
    world.merge("a", json!({ "spec": { "note": "newer" } })).await.unwrap();
    let stale = json!({ "metadata": { "resourceVersion": made.metadata.resource_version, "annotations": { "a": "b" } } });
    let message = "Operation cannot be fulfilled on widgets.conformance.example.com \"a\": the object has been modified; please apply your changes to the latest version and try again".to_owned();
    let conflict = (409, "Conflict".to_owned(), message);
    assert_eq!(refusal(world.merge("a", stale.clone()).await), conflict);
    let on_status = world.widgets().patch_status("a", &by("tester"), &Patch::Merge(&stale)).await;
    assert_eq!(refusal(on_status), conflict);
    assert_eq!(refusal(world.widgets().replace("a", &PostParams::default(), &made).await), conflict);
}

/// A patch that names another UID is refused as invalid; with an old resourceVersion as well, as a conflict.
async fn another_uid(world: World) {
    let made = world.create("a").await;
    let only_uid = world.merge("a", json!({ "metadata": { "uid": "another" } })).await;
    assert_eq!(refusal(only_uid).0, 422);
    let only_uid = world.merge("a", json!({ "metadata": { "uid": "another" } })).await;
    let twice = pair("FieldValueInvalid", "metadata.uid");
    assert_eq!(causes(only_uid), [twice.clone(), twice]);
    world.widgets().delete("a", &Default::default()).await.unwrap();
    world.create("a").await;
    let old = json!({ "metadata": { "uid": made.metadata.uid, "resourceVersion": made.metadata.resource_version } });
    assert_eq!(refusal(world.merge("a", old).await).0, 409);
}

async fn another_name(world: World) {
    world.create("a").await;
    let message = "the name of the object (b) does not match the name on the URL (a)";
    let renamed = world.merge("a", json!({ "metadata": { "name": "b" } })).await;
    assert_eq!(refusal(renamed), (400, "BadRequest".into(), message.into()));
}

async fn generations(world: World) {
    world.create("a").await;
    let generation = async |patch| world.merge("a", patch).await.unwrap().metadata.generation.unwrap();
    assert_eq!(generation(json!({ "metadata": { "labels": { "a": "b" } } })).await, 1);
    assert_eq!(generation(json!({ "spec": { "note": "changed" } })).await, 2);
    assert_eq!(generation(json!({ "spec": { "note": "changed" } })).await, 2);
    assert_eq!(generation(json!({ "status": { "id": "ignored" } })).await, 2);
    assert_eq!(generation(json!({ "metadata": { "generation": 40 } })).await, 2);
    let status = json!({ "status": { "id": "x" }, "spec": { "note": "ignored" } });
    let after = world.widgets().patch_status("a", &by("tester"), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(after.metadata.generation, Some(2));
    assert_eq!(json_of(&after)["status"]["id"], "x");
    assert_eq!(json_of(&after)["spec"]["note"], "changed");
}

/// What changes nothing is not stored, except once: the first write after the creation stores the default status.
async fn no_difference(world: World) {
    let made = world.create("a").await;
    let settled = world.merge("a", json!({})).await.unwrap();
    assert!(version(&settled) > version(&made));
    assert_eq!(settled.data, made.data);
    let made = settled;
    let same = [
        json!({}),
        json!({ "spec": { "owner": "somebody" } }),
        json!({ "spec": { "note": null, "bogus": 1 } }),
        json!({ "metadata": { "annotations": {} } }),
        json!({ "status": { "id": "x" } }),
    ];
    for patch in same {
        let after = world.merge("a", patch.clone()).await.unwrap();
        assert_eq!(version(&after), version(&made), "{patch} {}", json_of(&after));
    }
    let status = json!({ "status": null });
    let after = world.widgets().patch_status("a", &by("tester"), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(version(&after), version(&made));
}

async fn replacing(world: World) {
    let mut object = world.create("a").await;
    object.data["spec"] = json!({ "owner": "another" });
    object.data["status"] = json!({ "id": "ignored" });
    let replaced = world.widgets().replace("a", &PostParams::default(), &object).await.unwrap();
    assert_eq!(json_of(&replaced)["spec"]["owner"], "another");
    assert!(json_of(&replaced)["status"]["id"].is_null());
    assert_eq!(replaced.metadata.generation, Some(2));
    let mut status = replaced.clone();
    status.data["status"] = json!({ "id": "x" });
    status.data["spec"] = json!({ "owner": "ignored" });
    let after = world.widgets().replace_status("a", &PostParams::default(), &status).await.unwrap();
    assert_eq!(json_of(&after)["status"]["id"], "x");
    assert_eq!(json_of(&after)["spec"]["owner"], "another");
    let mut blind = after.clone();
    blind.metadata.resource_version = None;
    let refused = world.widgets().replace("a", &PostParams::default(), &blind).await;
    assert_eq!(causes(refused), [pair("FieldValueInvalid", "metadata.resourceVersion")]);
}

async fn fixed_metadata(world: World) {
    let made = world.create("a").await;
    let dying = json!({ "metadata": { "deletionTimestamp": "2020-01-01T00:00:00Z" } });
    assert_eq!(refusal(world.merge("a", dying).await).0, 422);
    let patch = json!({ "metadata": { "creationTimestamp": "2020-01-01T00:00:00Z", "uid": null, "labels": { "a": "b" } } });
    let after = world.merge("a", patch).await.unwrap();
    assert_eq!(after.metadata.creation_timestamp, made.metadata.creation_timestamp);
    assert_eq!(after.metadata.uid, made.metadata.uid);
}
