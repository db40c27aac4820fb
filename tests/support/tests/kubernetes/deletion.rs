//! Finalizers, preconditions, and namespaces that go.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use serde_json::json;

use crate::{World, causes, conformance, json_of, pair, refusal, version, widget};

conformance!(at_once, held_by_a_finalizer, preconditions, namespace);

async fn at_once(world: World) {
    let made = world.create("a").await;
    let answer = world.widgets().delete("a", &DeleteParams::default()).await.unwrap();
    let status = answer.right().expect("a Status is answered");
    let details = status.details.unwrap();
    assert_eq!((details.name.as_str(), details.kind.as_str()), ("a", "widgets"));
    assert_eq!(Some(details.uid), made.metadata.uid);
    assert!(world.widgets().get_opt("a").await.unwrap().is_none());
    assert_ne!(world.create("a").await.metadata.uid, made.metadata.uid);
}

async fn held_by_a_finalizer(world: World) {
    let made = world.create_with("a", json!({ "metadata": { "finalizers": ["example.com/one"] } })).await;
    let delete = async || {
        let answer = world.widgets().delete("a", &DeleteParams::default()).await.unwrap();
        answer.left().expect("the object is answered")
    };
    let marked = delete().await;
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.generation, Some(2));
    assert!(version(&marked) > version(&made));
    assert_eq!(json_of(&delete().await), json_of(&marked));
    let more = json!({ "metadata": { "finalizers": ["example.com/one", "example.com/two"] } });
    let twice = pair("FieldValueForbidden", "metadata.finalizers");
    assert_eq!(causes(world.merge("a", more).await), [twice.clone(), twice]);
    let edited = world.merge("a", json!({ "spec": { "note": "late" } })).await.unwrap();
    assert_eq!(edited.metadata.generation, Some(3));
    let recreated = world.widgets().create(&PostParams::default(), &widget("a", json!({}))).await;
    assert_eq!(
        refusal(recreated).2,
        "object is being deleted: widgets.conformance.example.com \"a\" already exists"
    );
    let freed = world.merge("a", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    assert_eq!(version(&freed), version(&edited));
    assert!(freed.metadata.finalizers.is_none());
    assert!(world.widgets().get_opt("a").await.unwrap().is_none());
}

async fn preconditions(world: World) {
    let made = world.create("a").await;
    let delete = async |uid: Option<&str>, resource_version: Option<&str>| {
        let preconditions =
            Preconditions { uid: uid.map(Into::into), resource_version: resource_version.map(Into::into) };
        let params = DeleteParams { preconditions: Some(preconditions), ..Default::default() };
        world.widgets().delete("a", &params).await
    };
    let (code, reason, message) = refusal(delete(Some("another"), None).await);
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains("the UID in the precondition (another) does not match"), "{message}");
    let (code, _, message) = refusal(delete(None, Some("1")).await);
    assert!(code == 409 && message.contains("the ResourceVersion in the precondition (1)"), "{message}");
    delete(made.metadata.uid.as_deref(), made.metadata.resource_version.as_deref()).await.unwrap();
}

async fn namespace(world: World) {
    world.create("free").await;
    world.create_with("held", json!({ "metadata": { "finalizers": ["example.com/one"] } })).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let name = world.namespace.clone();
    let answer = namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    let going = answer.left().expect("the namespace is answered");
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.status.unwrap().phase.as_deref(), Some("Terminating"));
    let late = async || world.widgets().create(&PostParams::default(), &widget("late", json!({}))).await;
    assert_eq!(causes(late().await), [pair("NamespaceTerminating", "metadata.namespace")]);
    assert_eq!((refusal(late().await).0, refusal(late().await).1), (403, "Forbidden".into()));
    let marked = async || {
        let held = world.widgets().get("held").await.unwrap();
        let free = world.widgets().get_opt("free").await.unwrap();
        held.metadata.deletion_timestamp.is_some() && free.is_none()
    };
    eventually(marked).await;
    assert!(namespaces.get_opt(&name).await.unwrap().is_some());
    world.merge("held", json!({ "metadata": { "finalizers": null } })).await.unwrap();
    eventually(async || namespaces.get_opt(&name).await.unwrap().is_none()).await;
}

async fn eventually(holds: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute");
}
