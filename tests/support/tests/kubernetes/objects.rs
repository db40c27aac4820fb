//! What an object is when it is made, and what is refused.

use kube::api::PostParams;
use serde_json::json;

use crate::{World, causes, conformance, json_of, pair, refusal, version, widget};

conformance!(birth, what_is_not_declared, duplicate, absent, schema_violations, names, foreign_bodies);

async fn birth(world: World) {
    let made = world.create("a").await;
    let object = json_of(&made);
    assert_eq!(
        object["spec"],
        json!({ "owner": "somebody", "size": 3, "mode": "Fast", "options": { "loud": false } })
    );
    let born = json!([{ "type": "Ready", "status": "Unknown", "reason": "Pending", "message": "waiting" }]);
    assert_eq!(object["status"], json!({ "conditions": born }));
    assert_eq!(object["metadata"]["generation"], 1);
    assert!(made.metadata.uid.as_deref().is_some_and(|uid| uid.len() == 36));
    assert!(made.metadata.creation_timestamp.is_some());
    assert!(version(&made) > 1);
    assert_eq!(json_of(&world.widgets().get("a").await.unwrap()), object);
    let second = world.create("b").await;
    assert!(version(&second) > version(&made));
    assert_ne!(second.metadata.uid, made.metadata.uid);
}

async fn what_is_not_declared(world: World) {
    let more = json!({ "spec": { "bogus": 1, "note": null, "mode": null, "options": { "deep": true } },
        "status": { "id": "mine" }, "metadata": { "generation": 9, "uid": "mine", "creationTimestamp": null } });
    let object = json_of(&world.create_with("a", more).await);
    assert_eq!(
        object["spec"],
        json!({ "owner": "somebody", "size": 3, "mode": "Fast", "options": { "loud": false } })
    );
    assert!(object["status"]["id"].is_null());
    assert_eq!(object["metadata"]["generation"], 1);
    assert_ne!(object["metadata"]["uid"], "mine");
}

async fn duplicate(world: World) {
    world.create("a").await;
    let again = world.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    let message = "widgets.conformance.example.com \"a\" already exists".to_owned();
    assert_eq!(refusal(again), (409, "AlreadyExists".into(), message));
}

async fn absent(world: World) {
    let widgets = world.widgets();
    let not_found =
        (404, "NotFound".to_owned(), "widgets.conformance.example.com \"no\" not found".to_owned());
    assert!(widgets.get_opt("no").await.unwrap().is_none());
    assert_eq!(refusal(widgets.get("no").await), not_found);
    assert_eq!(refusal(widgets.delete("no", &Default::default()).await), not_found);
    assert_eq!(refusal(world.merge("no", json!({})).await), not_found);
    assert_eq!(
        refusal(widgets.replace("no", &PostParams::default(), &widget("no", json!({}))).await),
        not_found
    );
    let elsewhere = World { namespace: "nowhere".into(), ..world };
    let made = elsewhere.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    assert_eq!(refusal(made), (404, "NotFound".into(), "namespaces \"nowhere\" not found".into()));
}

async fn schema_violations(world: World) {
    let create = async |more| world.widgets().create(&PostParams::default(), &widget("a", more)).await;
    let wrong = create(json!({ "spec": { "owner": null, "size": 99, "mode": "Odd", "note": 5 } })).await;
    let expected = [
        pair("FieldValueInvalid", "spec.size"),
        pair("FieldValueNotSupported", "spec.mode"),
        pair("FieldValueRequired", "spec.owner"),
        pair("FieldValueTypeInvalid", "spec.note"),
    ];
    assert_eq!(causes(wrong), expected);
    let long = create(json!({ "spec": { "owner": "a name of more than twenty letters" } })).await;
    assert_eq!(causes(long), [pair("FieldValueTooLong", "spec.owner")]);
    let message = refusal(create(json!({ "spec": { "size": 11 } })).await);
    let reported = "Widget.conformance.example.com \"a\" is invalid: spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10";
    assert_eq!(message, (422, "Invalid".into(), reported.into()));
    world.create("a").await;
    assert_eq!(causes(world.merge("a", json!({ "spec": null })).await), [pair("FieldValueRequired", "spec")]);
}

async fn names(world: World) {
    for bad in ["Upper", "under_score", "-dash", "a/b", "a..b"] {
        let made = world.widgets().create(&PostParams::default(), &widget(bad, json!({}))).await;
        assert_eq!(causes(made), [pair("FieldValueInvalid", "metadata.name")], "{bad}");
    }
    let nameless = world.widgets().create(&PostParams::default(), &widget("", json!({}))).await;
    assert_eq!(causes(nameless), [pair("FieldValueRequired", "metadata.name")]);
    let generated = widget("", json!({ "metadata": { "generateName": "some-" } }));
    let made = world.widgets().create(&PostParams::default(), &generated).await.unwrap();
    let name = made.metadata.name.unwrap();
    assert!(name.starts_with("some-") && name.len() == 10, "{name}");
}

async fn foreign_bodies(world: World) {
    let create = async |more| world.widgets().create(&PostParams::default(), &widget("a", more)).await;
    let other_namespace = refusal(create(json!({ "metadata": { "namespace": "other" } })).await);
    assert_eq!((other_namespace.0, other_namespace.1.as_str()), (400, "BadRequest"));
    assert_eq!(causes(create(json!({ "kind": "Gadget" })).await), [pair("FieldValueInvalid", "kind")]);
    let versioned = refusal(create(json!({ "metadata": { "resourceVersion": "5" } })).await);
    assert_eq!(
        (versioned.0, versioned.2.as_str()),
        (500, "resourceVersion should not be set on objects to be created")
    );
}
