//! Resources of any kind: what people do to them, and what is waited for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

use crate::waits::condition;
use crate::world::{World, through_connection};

/// One resource of a test.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub world: &'a World,
    pub kind: &'static str,
    pub name: &'a str,
}

impl World {
    /// A resource of this kind and name, which need not exist yet.
    pub fn subject<'a>(&'a self, kind: &'static str, name: &'a str) -> Subject<'a> {
        Subject { world: self, kind, name }
    }

    /// The `Project` of this name.
    pub fn project<'a>(&'a self, name: &'a str) -> Subject<'a> {
        self.subject("Project", name)
    }

    /// Puts a value into a Secret that the operator may read, or a ConfigMap.
    pub async fn store_value(&self, kind: &str, name: &str, key: &str, value: &[u8]) {
        let field = if kind == "Secret" { "data" } else { "binaryData" };
        self.apply_core(kind, name, json!({ field: { key: STANDARD.encode(value) } })).await;
    }

    /// Applies a Secret with the allow label, or a ConfigMap.
    pub async fn apply_core(&self, kind: &str, name: &str, mut object: Value) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        (object["apiVersion"], object["kind"]) = (json!("v1"), json!(kind));
        object["metadata"] = json!({ "name": name, "labels": { "zitadel-operator.dev/allow": "true" } });
        let params = PatchParams::apply("a-person").force();
        api.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }
}

impl Subject<'_> {
    /// Applies it through the world's connection, as a person does.
    pub async fn apply(&self, spec: Value) -> Value {
        self.world.apply(self.kind, self.name, through_connection(spec)).await
    }

    /// The same with the request to import the object with this id.
    pub async fn import(&self, id: &str, spec: Value) -> Value {
        let (annotations, spec) = (json!({ "zitadel-operator.dev/id": id }), through_connection(spec));
        self.world.try_apply_annotated(self.kind, self.name, annotations, spec).await.unwrap()
    }

    /// Merges a patch, as `kubectl patch` does.
    pub async fn patch(&self, patch: Value) -> Value {
        let api = self.world.api(self.kind);
        let patched = api.patch(self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        serde_json::to_value(patched).unwrap()
    }

    /// Sets an annotation, or removes it with null.
    pub async fn annotate(&self, annotation: &str, value: impl Into<Value>) {
        self.patch(json!({ "metadata": { "annotations": { annotation: value.into() } } })).await;
    }

    /// As it is now; null if it is gone.
    pub async fn now(&self) -> Value {
        serde_json::to_value(self.world.api(self.kind).get_opt(self.name).await.unwrap()).unwrap()
    }

    /// Asks for its deletion and returns at once.
    pub async fn delete(&self) {
        self.world.api(self.kind).delete(self.name, &Default::default()).await.unwrap();
    }

    /// Waits until it satisfies the condition; null stands for one that is gone.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.world.until(self.kind, self.name, what, holds).await
    }

    /// Waits until it has this reason in `Ready`, at its current generation.
    pub async fn until_reason(&self, reason: &str) -> Value {
        let what = format!("had Ready reason {reason}");
        self.until(&what, |object| {
            let ready = condition(object, "Ready");
            ready["reason"] == reason && ready["observedGeneration"] == object["metadata"]["generation"]
        })
        .await
    }

    /// Waits until it has this reason in `Synced`.
    pub async fn until_synced_reason(&self, reason: &str) -> Value {
        let what = format!("had Synced reason {reason}");
        self.until(&what, |object| condition(object, "Synced")["reason"] == reason).await
    }

    /// Waits until it is as specified.
    pub async fn until_ready(&self) -> Value {
        self.until_reason("Available").await
    }

    /// Waits until it is gone from Kubernetes.
    pub async fn until_gone(&self) {
        self.until("went", Value::is_null).await;
    }

    /// Asks for a reconcile as a person does; answers the value of the annotation.
    pub async fn request(&self) -> String {
        let now = self.world.zitadel.now().to_string();
        self.annotate("zitadel-operator.dev/reconcile-requested-at", now.as_str()).await;
        now
    }

    /// Asks for a reconcile and waits until it was handled.
    pub async fn reconciled(&self) -> Value {
        let asked = self.request().await;
        self.until("was looked at again", |object| object["status"]["lastHandledReconcileAt"] == asked).await
    }

    /// Asserts that another reconcile writes nothing to ZITADEL and nothing but the echo of the request here.
    pub async fn assert_no_write(&self) {
        let mark = self.world.zitadel.ledger().mark();
        let before = self.now().await;
        let after = self.reconciled().await;
        let calls = self.world.zitadel.ledger().since(mark);
        let writes: Vec<_> = calls.iter().filter(|call| call.committed > 0).collect();
        assert!(writes.is_empty(), "{writes:?}");
        for field in ["conditions", "sequence", "changeDate", "entries", "effective", "isDefault", "drift"] {
            assert_eq!(before["status"][field], after["status"][field], "{field}");
        }
    }
}
