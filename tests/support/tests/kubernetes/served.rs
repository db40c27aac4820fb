//! The built-in kinds, and the operator's own definitions.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ObjectReference, Secret};
use k8s_openapi::api::events::v1;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use serde_json::{Value, json};

use crate::{World, by, causes, conformance, json_of, pair, refusal};

conformance!(secrets, config_maps, leases, events, namespaces, unknown_kinds, projects, connections);

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), ..Default::default() }
}

async fn secrets(world: World) {
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let string_data = Some([("key".to_owned(), "value".to_owned())].into());
    let secret = Secret { metadata: named("a"), string_data, ..Default::default() };
    let made = api.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(made.type_.as_deref(), Some("Opaque"));
    assert_eq!(made.data.as_ref().unwrap()["key"].0, b"value");
    assert!(made.string_data.is_none() && made.metadata.generation.is_none());
    let blind = Secret { metadata: named("a"), ..made.clone() };
    let same = api.replace("a", &PostParams::default(), &blind).await.unwrap();
    assert_eq!(same.metadata.resource_version, made.metadata.resource_version);
    let other = Secret { type_: Some("Other".into()), ..blind };
    let refused = api.replace("a", &PostParams::default(), &other).await;
    assert_eq!(causes(refused), [pair("FieldValueInvalid", "type")]);
    let applied =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "b" }, "data": { "k": "dg==" } });
    let applied = api.patch("b", &PatchParams::apply("op"), &Patch::Apply(&applied)).await.unwrap();
    assert_eq!(applied.data.unwrap()["k"].0, b"v");
}

async fn config_maps(world: World) {
    let api: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let data = Some([("key".to_owned(), "value".to_owned())].into());
    let made = ConfigMap { metadata: named("a"), data, ..Default::default() };
    api.create(&PostParams::default(), &made).await.unwrap();
    let patch = Patch::Merge(json!({ "data": { "key": null, "other": "x" } }));
    let patched = api.patch("a", &by("tester"), &patch).await.unwrap();
    assert_eq!(patched.data.unwrap().into_iter().collect::<Vec<_>>(), [("other".to_owned(), "x".to_owned())]);
}

async fn leases(world: World) {
    let api: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let lease = |holder: &str, version: Option<String>| Lease {
        metadata: ObjectMeta { resource_version: version, ..named("a") },
        spec: Some(LeaseSpec { holder_identity: Some(holder.into()), ..Default::default() }),
    };
    let made = api.create(&PostParams::default(), &lease("one", None)).await.unwrap();
    let version = made.metadata.resource_version;
    let renewed = api.replace("a", &PostParams::default(), &lease("two", version.clone())).await.unwrap();
    assert_eq!(renewed.spec.unwrap().holder_identity.as_deref(), Some("two"));
    let late = api.replace("a", &PostParams::default(), &lease("three", version.clone())).await;
    assert_eq!(refusal(late).0, 409);
    let blind = api.replace("a", &PostParams::default(), &lease("three", None)).await;
    assert_eq!(refusal(blind).0, 422);
    api.delete("a", &Default::default()).await.unwrap();
    // A replacement makes a Lease that is gone, whatever version it names.
    let again = api.replace("a", &PostParams::default(), &lease("one", version)).await.unwrap();
    assert_eq!(again.spec.unwrap().holder_identity.as_deref(), Some("one"));
}

async fn events(world: World) {
    let reporter = Reporter { controller: "tester".into(), instance: None };
    let recorder = Recorder::new(world.client.clone(), reporter);
    let about = ObjectReference {
        namespace: Some(world.namespace.clone()),
        name: Some("a".into()),
        kind: Some("Widget".into()),
        ..Default::default()
    };
    let event = Event {
        type_: EventType::Normal,
        reason: "Tested".into(),
        note: Some("note".into()),
        action: "Test".into(),
        secondary: None,
    };
    recorder.publish(&event, &about).await.unwrap();
    recorder.publish(&event, &about).await.unwrap();
    let api: Api<v1::Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let listed = api.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].series.as_ref().unwrap().count, 2);
    assert_eq!(listed[0].regarding.as_ref().unwrap().name.as_deref(), Some("a"));
}

async fn namespaces(world: World) {
    let api: Api<Namespace> = Api::all(world.client.clone());
    let found = api.get(&world.namespace).await.unwrap();
    assert_eq!(found.metadata.labels.unwrap()["kubernetes.io/metadata.name"], world.namespace);
    assert_eq!(found.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
    assert_eq!(found.status.unwrap().phase.as_deref(), Some("Active"));
    let namespace = Namespace { metadata: named(&world.namespace), ..Default::default() };
    let again = refusal(api.create(&PostParams::default(), &namespace).await);
    assert_eq!((again.0, again.1.as_str()), (409, "AlreadyExists"));
}

async fn unknown_kinds(world: World) {
    let gadgets = world.api("conformance.example.com/v1", "Gadget", "gadgets");
    assert_eq!(refusal(gadgets.list(&ListParams::default()).await).0, 404);
    let newer = world.api("conformance.example.com/v2", "Widget", "widgets");
    assert_eq!(refusal(newer.get("a").await).0, 404);
}

async fn projects(world: World) {
    let api = world.api("zitadel-operator.dev/v1alpha1", "Project", "projects");
    let create = async |name: &str, spec: Value| {
        let body = json!({ "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project",
            "metadata": { "name": name }, "spec": spec });
        api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await
    };
    let spec = json!({ "organization": { "id": "1" }, "connectionRef": { "name": "c" } });
    let made = json_of(&create("a", spec.clone()).await.unwrap());
    assert_eq!(made["spec"]["state"], "Active");
    assert_eq!(made["spec"]["projectRoleCheck"], false);
    assert_eq!(made["status"]["conditions"][0]["reason"], "Pending");
    let wrong = json!({ "organization": { "id": "" }, "connectionRef": { "name": "c" }, "state": "Odd" });
    let causes = causes(create("b", wrong).await);
    assert!(causes.contains(&pair("FieldValueNotSupported", "spec.state")), "{causes:?}");
    assert!(causes.contains(&pair("FieldValueInvalid", "spec.organization.id")), "{causes:?}");
    let condition = json!({ "type": "Ready", "status": "True", "reason": "Available", "message": "",
        "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let body = json!({ "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project", "metadata": { "name": "a" },
        "status": { "id": "7", "organizationId": "1", "origin": "Created", "conditions": [condition] } });
    let params = PatchParams::apply("zitadel-operator").force();
    let applied = json_of(&api.patch_status("a", &params, &Patch::Apply(&body)).await.unwrap());
    assert_eq!(applied["status"], body["status"]);
    let selected =
        api.list(&ListParams::default().fields("status.organizationId=1,status.id=7")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
    let none = api.list(&ListParams::default().fields("spec.connectionRef.name=other")).await.unwrap();
    assert!(none.items.is_empty());
}

async fn connections(world: World) {
    let api = world.api("zitadel-operator.dev/v1alpha1", "Connection", "connections");
    let body = json!({ "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Connection",
        "metadata": { "name": "a" },
        "spec": { "url": "https://zitadel.example.com", "personalAccessToken": { "name": "s", "key": "k" } } });
    let object = serde_json::from_value(body).unwrap();
    let made = json_of(&api.create(&PostParams::default(), &object).await.unwrap());
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["status"]["conditions"][0]["status"], "Unknown");
}
