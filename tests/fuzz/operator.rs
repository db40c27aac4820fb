//! The whole operator, before resources that its schema would never have let in.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use prometheus_client::registry::Registry;
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::kubernetes::Cluster;
use support::zitadel::Double;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zitadel_operator::api::{FINALIZER, GROUP, annotation};
use zitadel_operator::engine::metrics::counters::Metrics;
use zitadel_operator::kinds::definitions;
use zitadel_operator::operator::{Options, run};
use zitadel_operator::zitadel::{Transport, TransportError};

use crate::foreign::{bent, json as any_json, text};
use crate::resources;
use crate::server::on_paused_time;

/// Where the operator is; a resource is in `shop`.
const HOME: &str = "zitadel-operator";
/// How long the operator looks at a resource.
const WHILE: Duration = Duration::from_secs(120);
/// What it may ask meanwhile, of either side: no failure is repeated more often than every second or so.
const MOST_REQUESTS: usize = 300;

#[derive(Debug)]
pub struct Stored {
    kind: String,
    spec: Value,
    status: Value,
    annotations: std::collections::BTreeMap<String, String>,
    finalizer: bool,
    deleting: bool,
}

pub fn resources() -> impl Strategy<Value = Stored> {
    let names = [
        annotation::ID,
        annotation::PAUSED,
        annotation::RECONCILE_REQUESTED_AT,
        annotation::CONFIRM_USERNAME_REWRITE,
        annotation::CONFIRM_OWN_RENAME,
        annotation::CONFIRM_DEACTIVATION,
        annotation::CONFIRM_DELETION,
        annotation::RECREATE,
    ];
    let annotations = btree_map(select(names.to_vec()).prop_map(str::to_owned), text(), 0..4);
    let object = select(resources::ALL.clone());
    let parts = object.prop_flat_map(|object| {
        let spec = bent(vec![object["spec"].clone()]);
        let status = prop_oneof![Just(json!({})), bent(vec![object["status"].clone()]), any_json()];
        (Just(object["kind"].as_str().unwrap_or_default().to_owned()), spec, status)
    });
    (parts, annotations, any::<bool>(), any::<bool>()).prop_map(
        |((kind, spec, status), annotations, finalizer, deleting)| Stored {
            kind,
            spec,
            status,
            annotations,
            finalizer,
            deleting,
        },
    )
}

/// The definitions, with schemas that let anything in.
static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(|| {
    let mut all = definitions();
    for version in all.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        let anything =
            json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        version.schema = Some(serde_json::from_value(anything).unwrap());
    }
    all
});

fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn api(client: &kube::Client, kind: &str) -> Api<DynamicObject> {
    let found = DEFINITIONS.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let resource = ApiResource {
        group: found.spec.group.clone(),
        version: "v1alpha1".into(),
        api_version: format!("{}/v1alpha1", found.spec.group),
        kind: kind.into(),
        plural: found.spec.names.plural.clone(),
    };
    match found.spec.scope.as_str() {
        "Namespaced" => Api::namespaced_with(client.clone(), "shop", &resource),
        _ => Api::all_with(client.clone(), &resource),
    }
}

/// A connection that works, for every namespace.
async fn connect(client: &kube::Client, token: &str) {
    let secret = json!({"metadata": {"name": "pat"}, "stringData": {"token": token}});
    let secrets: Api<Secret> = Api::namespaced(client.clone(), HOME);
    secrets.create(&PostParams::default(), &parse(secret)).await.unwrap();
    let connection = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "ClusterConnection", "metadata": {"name": "default"},
        "spec": {
            "url": "http://localhost", "personalAccessToken": {"name": "pat"},
            "access": [{"namespaceSelector": {}, "organizations": [{"all": true}], "createOrganizations": true}],
        },
    });
    let connections = api(client, "ClusterConnection");
    connections.create(&PostParams::default(), &parse(connection)).await.unwrap();
}

/// `false`: no API server would hold it.
async fn store(client: &kube::Client, stored: &Stored) -> bool {
    let api = api(client, &stored.kind);
    let finalizers: Vec<&str> = stored.finalizer.then_some(FINALIZER).into_iter().collect();
    let object = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": stored.kind, "spec": stored.spec,
        "metadata": {"name": "bent", "annotations": stored.annotations, "finalizers": finalizers},
    });
    if api.create(&PostParams::default(), &parse(object)).await.is_err() {
        return false;
    }
    let status = Patch::Merge(json!({"status": stored.status}));
    if api.patch_status("bent", &PatchParams::default(), &status).await.is_err() {
        return false;
    }
    !stored.deleting || api.delete("bent", &DeleteParams::default()).await.is_ok()
}

struct Wire(Double);

impl Transport for Wire {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let dropped = |_| TransportError::Unreachable("connection closed".to_owned());
        self.0.call(request).map(move |answer| answer.map_err(dropped)).boxed()
    }
}

/// No panic, no hot loop, nothing written to ZITADEL for what does not parse, and it stops when it is told to.
pub fn lives_with_them(stored: Stored) {
    on_paused_time(async {
        let (cluster, double) = (Cluster::new(&DEFINITIONS), Double::builder().seed(1).build());
        cluster.add_namespace(HOME);
        cluster.add_namespace("shop");
        let client = cluster.client();
        connect(&client, &double.admin_token()).await;
        if !store(&client, &stored).await {
            return;
        }
        let before = cluster.calls().len();
        let mut registry = Registry::default();
        let wire = double.clone();
        let options = Options {
            metrics: Metrics::registered(&mut registry),
            transport: Arc::new(move |_| Ok(Arc::new(Wire(wire.clone())) as Arc<dyn Transport>)),
            ..Options::new(HOME)
        };
        let stop = CancellationToken::new();
        let operator = tokio::spawn(run(client, options, stop.clone()));
        sleep(WHILE).await;
        stop.cancel();
        operator.await.unwrap().unwrap();
        let mut shown = String::new();
        prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
        let panics: Vec<&str> = shown
            .lines()
            .filter(|line| {
                line.starts_with("zitadel_operator_reconcile_panics_total") && !line.ends_with(" 0")
            })
            .collect();
        assert!(panics.is_empty(), "{panics:?}");
        let asked = (cluster.calls().len() - before, double.ledger().requests().len());
        assert!(asked.0 < MOST_REQUESTS && asked.1 < MOST_REQUESTS, "{asked:?} requests");
        let mut states =
            cluster.writes().into_iter().filter(|write| write.name == "bent" && write.group == GROUP);
        let last =
            states.next_back().and_then(|write| write.after).map(|object| object["status"].to_string());
        let parses = !last.unwrap_or_default().contains("does not parse");
        assert!(parses || double.ledger().writes().is_empty(), "{:?}", double.ledger().writes());
    });
}
