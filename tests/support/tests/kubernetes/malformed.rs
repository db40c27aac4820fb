//! A definition that changed under its objects: what is shown, what may stay, and what can still be written.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{World, by, causes, conformance, json_of, pair, refusal, version};

conformance!(changed_definition);

/// Widgets under another name, before (`loose`) and after.
fn definition(loose: bool) -> CustomResourceDefinition {
    let text = include_str!("widgets.yaml").replace("widget", "gizmo").replace("Widget", "Gizmo");
    let mut definition: CustomResourceDefinition = serde_saphyr::from_str(&text).unwrap();
    if loose {
        let schema =
            definition.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap().properties.as_mut().unwrap();
        let text = spec["note"].clone();
        spec.extend(["size", "mode", "old"].map(|name| (name.to_owned(), text.clone())));
    }
    definition
}

async fn define(world: &World, definition: &CustomResourceDefinition) {
    if let Some(cluster) = &world.cluster {
        cluster.redefine(definition);
        return;
    }
    let api: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = definition.metadata.name.as_deref().unwrap();
    let params = PatchParams::apply("tester").force();
    let mut body = serde_json::to_value(definition).unwrap();
    body["apiVersion"] = "apiextensions.k8s.io/v1".into();
    body["kind"] = "CustomResourceDefinition".into();
    api.patch(name, &params, &Patch::Apply(&body)).await.unwrap();
}

fn gizmo(name: &str, spec: &Value) -> DynamicObject {
    let body = json!({ "apiVersion": "conformance.example.com/v1", "kind": "Gizmo",
        "metadata": { "name": name }, "spec": spec });
    serde_json::from_value(body).unwrap()
}

/// Waits until the definition is served as it should be.
async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute");
}

async fn changed_definition(world: World) {
    let api = world.api("conformance.example.com/v1", "Gizmo", "gizmos");
    let create = async |name: &str, spec| api.create(&PostParams::default(), &gizmo(name, &spec)).await;
    define(&world, &definition(true)).await;
    until(async || api.list(&ListParams::default()).await.is_ok()).await;
    let made = create("typed", json!({ "owner": "o", "size": "big", "old": "x" })).await.unwrap();
    create("listed", json!({ "owner": "o", "mode": "Odd" })).await.unwrap();
    define(&world, &definition(false)).await;
    until(async || {
        create("probe", json!({ "owner": "o", "mode": "Odd" }))
            .await
            .is_err_and(|e| e.to_string().contains("Odd"))
    })
    .await;

    let shown = api.get("typed").await.unwrap();
    let spec = json!({ "owner": "o", "size": "big", "mode": "Fast", "options": { "loud": false } });
    assert_eq!((&shown.data["spec"], version(&shown)), (&spec, version(&made)));
    let apply = async |name: &str| {
        let body = json!({ "apiVersion": "conformance.example.com/v1", "kind": "Gizmo",
            "metadata": { "name": name }, "status": { "id": "1" } });
        api.patch_status(name, &PatchParams::apply("op").force(), &Patch::Apply(&body)).await
    };
    let merge = async |name: &str, patch: Value| api.patch(name, &by("tester"), &Patch::Merge(&patch)).await;
    let (code, _, message) = refusal(apply("typed").await);
    assert!(code == 500 && message.contains("typed live object"), "{code} {message}");
    assert!(message.ends_with(".spec.size: expected numeric (int or float), got string"), "{message}");
    let status = Patch::Merge(json!({ "status": { "id": "2" } }));
    let merged = api.patch_status("typed", &by("tester"), &status).await.unwrap();
    assert_eq!(json_of(&merged)["status"]["id"], "2");
    let held = merge("typed", json!({ "metadata": { "finalizers": ["example.com/one"] } })).await.unwrap();
    assert_eq!(held.metadata.generation, Some(1));
    let noted = merge("typed", json!({ "spec": { "note": "n" } })).await.unwrap();
    assert_eq!((noted.metadata.generation, &noted.data["spec"]["size"]), (Some(2), &json!("big")));
    let still_wrong = merge("typed", json!({ "spec": { "size": "bigger" } })).await;
    assert_eq!(causes(still_wrong), [pair("FieldValueTypeInvalid", "spec.size")]);
    let cured = merge("typed", json!({ "spec": { "size": 4 } })).await.unwrap();
    assert_eq!(cured.data["spec"]["size"], 4);
    apply("typed").await.unwrap();
    // Of the right type but not among the values: an apply goes through.
    assert_eq!(apply("listed").await.unwrap().data["spec"]["mode"], "Odd");
}
