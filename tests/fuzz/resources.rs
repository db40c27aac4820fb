//! Custom resources as the Kubernetes API has them, whatever wrote them there.

use std::fmt::Debug;
use std::sync::LazyLock;

use kube::Resource;
use kube::core::DeserializeGuard;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zitadel_operator::api::{
    ClusterConnection, Connection, InstanceLoginPolicy, OrgDomainPolicy, OrgFeatures, OrgLoginPolicy,
    OrgMetadata, Organization, Project, ProjectRole,
};

use crate::foreign::{Bent, CANARY, bent, json as any_json, sent};

/// One of each kind with every field, and with a status.
pub static ALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let status = json!({
        "conditions": [condition("Ready", "True"), condition("Synced", "False"), condition("Other", "Unknown")],
        "observedGeneration": 3, "id": "1", "organizationId": "2", "instance": "3", "origin": "Created",
        "deletionPolicy": "Delete", "sequence": "42", "changeDate": "2026-11-21T10:00:00Z",
        "creationDate": "2026-11-21T10:00:00Z", "lastHandledReconcileAt": "now",
        "drift": {"fields": ["name"], "observedAt": "2026-11-21T10:00:00Z"},
        "entries": [{"key": "tier", "sequence": "42", "changeDate": "2026-11-21T10:00:00Z"}],
        "user": {"id": "1", "loginName": "bot", "organizationId": "2"}, "version": "v4.19.5",
        "memberships": [{"organizationId": "2", "roles": ["ORG_OWNER"]}],
        "credential": {"type": "JwtProfile", "expiresAt": "2026-12-01T00:00:00Z"},
        "missingPermissions": [{"kind": "Project", "permissions": ["project.write"], "organizationIds": ["2"]}],
    });
    let metadata = json!({
        "name": "web", "namespace": "shop", "uid": "0b7c1f5e", "resourceVersion": "7", "generation": 3,
        "finalizers": ["zitadel-operator.dev/finalizer"], "annotations": {"zitadel-operator.dev/id": "1"},
        "creationTimestamp": "2026-11-21T10:00:00Z", "deletionTimestamp": "2026-11-21T10:00:00Z",
    });
    examples()
        .into_iter()
        .map(|mut object| {
            object["status"] = status.clone();
            object["metadata"] = metadata.clone();
            object
        })
        .collect()
});

fn condition(kind: &str, status: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": "Available", "message": "m", "observedGeneration": 3,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    })
}

/// The custom resources of the examples.
fn examples() -> Vec<Value> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let documents: Vec<Value> =
        texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap()).collect();
    let ours = |document: &Value| {
        document["apiVersion"].as_str().is_some_and(|v| v.starts_with("zitadel-operator.dev"))
    };
    documents.into_iter().filter(ours).collect()
}

pub fn objects() -> impl Strategy<Value = (usize, Bent)> {
    let kinds = KINDS.len();
    (0..kinds, any::<bool>()).prop_flat_map(|(kind, any_kind)| {
        let ours = |object: &&Value| any_kind || object["kind"] == KINDS[kind].0;
        (Just(kind), sent(ALL.iter().filter(ours).cloned().collect()))
    })
}

type Parse = fn(&[u8]);

const KINDS: [(&str, Parse); 10] = [
    ("ClusterConnection", comes_back::<ClusterConnection>),
    ("Connection", comes_back::<Connection>),
    ("Organization", comes_back::<Organization>),
    ("Project", comes_back::<Project>),
    ("ProjectRole", comes_back::<ProjectRole>),
    ("OrgMetadata", comes_back::<OrgMetadata>),
    ("OrgDomainPolicy", comes_back::<OrgDomainPolicy>),
    ("OrgFeatures", comes_back::<OrgFeatures>),
    ("OrgLoginPolicy", comes_back::<OrgLoginPolicy>),
    ("InstanceLoginPolicy", comes_back::<InstanceLoginPolicy>),
];

/// What parses is written as it was read.
pub fn come_back((kind, Bent(bytes)): (usize, Bent)) {
    KINDS[kind].1(&bytes);
}

fn comes_back<K>(bytes: &[u8])
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Serialize + PartialEq + Debug,
{
    match serde_json::from_slice::<DeserializeGuard<K>>(bytes) {
        Ok(DeserializeGuard(Ok(object))) => {
            let written = serde_json::to_vec(&object).unwrap();
            assert_eq!(serde_json::from_slice::<K>(&written).unwrap(), object);
        }
        Ok(DeserializeGuard(Err(invalid))) => assert!(!invalid.error.is_empty()),
        // Neither JSON nor an object with metadata: no API server holds such a thing.
        Err(_) => {}
    }
}

/// Metadata with a secret where values are, in whatever shape.
pub fn secrets() -> impl Strategy<Value = (&'static str, Value)> {
    let shapes = vec![
        json!(CANARY),
        json!([CANARY]),
        json!({CANARY: 1}),
        json!({"name": CANARY, "key": {"a": [CANARY]}}),
        json!([[CANARY, 7], null]),
    ];
    (select(vec!["value", "base64"]), prop_oneof![2 => bent(shapes), 1 => any_json()])
}

/// Values show neither in `Debug` nor in the error of a resource that does not parse.
pub fn stay_hidden((field, value): (&'static str, Value)) {
    let object = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "OrgMetadata", "metadata": {"name": "acme"},
        "spec": {"entries": [{"key": "tier", field: value}, {"key": "other", "value": CANARY}]},
    });
    let guard: DeserializeGuard<OrgMetadata> = serde_json::from_value(object).unwrap();
    let shown = format!("{guard:?}");
    assert!(!shown.contains(CANARY), "{shown}");
}
