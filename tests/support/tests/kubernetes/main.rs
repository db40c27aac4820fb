//! Every scenario runs against the API in memory and against a real kube-apiserver, and sees the same.

mod deletion;
mod faults;
mod lists;
mod malformed;
mod objects;
mod random;
mod served;
mod status;
mod watches;
mod writes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams, WatchEvent};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use zitadel_operator_support::control_plane::ControlPlane;
use zitadel_operator_support::kubernetes::Cluster;

/// Declares each scenario as two tests, `NAME::in_memory` and `NAME::real`.
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(start_paused = true)]
            async fn in_memory() {
                super::$name(crate::World::in_memory()).await;
            }

            #[tokio::test]
            async fn real() {
                super::$name(crate::World::real().await).await;
            }
        }
    )*};
}
pub(crate) use conformance;

static NEXT: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// One of the two servers, and an empty namespace of it.
#[derive(Clone)]
pub struct World {
    /// The one in memory, if it is that.
    pub cluster: Option<Cluster>,
    pub client: kube::Client,
    pub namespace: String,
}

impl World {
    pub fn in_memory() -> Self {
        let cluster = Cluster::new(&definitions());
        cluster.add_namespace("conformance");
        Self { client: cluster.client(), cluster: Some(cluster), namespace: "conformance".into() }
    }

    pub async fn real() -> Self {
        let control_plane = ControlPlane::shared().await;
        let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = kube::Client::try_from(config).unwrap();
        INSTALLED.get_or_init(|| install(&client)).await;
        let namespace = format!("conformance-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let world = Self { client, namespace, cluster: None };
        let body = json!({ "metadata": { "name": world.namespace } });
        let namespaces: Api<Namespace> = Api::all(world.client.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap();
        world
    }

    pub fn widgets(&self) -> Api<DynamicObject> {
        self.api("conformance.example.com/v1", "Widget", "widgets")
    }

    pub fn api(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version.into(),
            kind: kind.into(),
            plural: plural.into(),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub async fn create(&self, name: &str) -> DynamicObject {
        self.create_with(name, json!({})).await
    }

    /// Makes a widget with more than the least: `more` is merged over it.
    pub async fn create_with(&self, name: &str, more: Value) -> DynamicObject {
        self.widgets().create(&PostParams::default(), &widget(name, more)).await.unwrap()
    }

    pub async fn merge(&self, name: &str, patch: Value) -> kube::Result<DynamicObject> {
        self.widgets().patch(name, &by("tester"), &Patch::Merge(&patch)).await
    }
}

/// What is served besides the built-in kinds.
fn definitions() -> Vec<CustomResourceDefinition> {
    let mut texts = vec![include_str!("widgets.yaml").to_owned()];
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    texts.extend(files.iter().map(|file| std::fs::read_to_string(file).unwrap()));
    texts.iter().map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

async fn install(client: &kube::Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in definitions() {
        let name = definition.metadata.name.clone().unwrap();
        api.create(&PostParams::default(), &definition).await.unwrap();
        let established = kube::runtime::conditions::is_crd_established();
        kube::runtime::wait::await_condition(api.clone(), &name, established).await.unwrap();
    }
    // Established a moment before it is served: ask until it is.
    let world = World { client: client.clone(), namespace: "default".into(), cluster: None };
    while world.widgets().list(&Default::default()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn widget(name: &str, more: Value) -> DynamicObject {
    let mut body = json!({ "apiVersion": "conformance.example.com/v1", "kind": "Widget",
        "metadata": { "name": name }, "spec": { "owner": "somebody" } });
    overlay(&mut body, more);
    serde_json::from_value(body).unwrap()
}

fn overlay(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                overlay(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (target, more) => *target = more,
    }
}

pub fn by(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() }
}

/// The whole object as JSON.
pub fn json_of(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}

pub fn version(object: &DynamicObject) -> u64 {
    object.metadata.resource_version.as_deref().unwrap().parse().unwrap()
}

/// Code, reason and message of a refusal.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("no refusal: {other:?}"),
    }
}

/// The reasons and fields of the causes, in any order.
#[track_caller]
pub fn causes<T: std::fmt::Debug>(result: kube::Result<T>) -> Vec<(String, String)> {
    let Err(kube::Error::Api(status)) = result else { panic!("no refusal: {result:?}") };
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let mut causes: Vec<_> = causes.into_iter().map(|cause| (cause.reason, cause.field)).collect();
    causes.sort();
    causes
}

pub fn pair(reason: &str, field: &str) -> (String, String) {
    (reason.into(), field.into())
}

/// The next `count` events but bookmarks, each as `ADDED name`.
pub async fn reported<S>(stream: &mut S, count: usize) -> Vec<String>
where
    S: Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Unpin,
{
    let mut reported = Vec::new();
    while reported.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(30), stream.next()).await;
        let name = |object: DynamicObject| object.metadata.name.unwrap_or_default();
        match next.unwrap_or_else(|_| panic!("only {reported:?}")).expect("the watch goes on").unwrap() {
            WatchEvent::Added(object) => reported.push(format!("ADDED {}", name(object))),
            WatchEvent::Modified(object) => reported.push(format!("MODIFIED {}", name(object))),
            WatchEvent::Deleted(object) => reported.push(format!("DELETED {}", name(object))),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => reported.push(format!("ERROR {} {}", status.code, status.reason)),
        }
    }
    reported
}
