//! A real API server with the definitions installed, and ways to ask it.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use support::control_plane::ControlPlane;
use tokio::sync::OnceCell;
use zitadel_operator::cli::crds_yaml;
use zitadel_operator::kinds::definitions;

static INSTALLED: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The shared API server, seen from one test.
pub struct Cluster {
    control_plane: &'static ControlPlane,
    client: kube::Client,
}

/// With every definition established.
pub async fn shared() -> Cluster {
    let control_plane = ControlPlane::shared().await;
    let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.unwrap()).unwrap();
    let cluster = Cluster { control_plane, client };
    INSTALLED.get_or_init(|| async { cluster.install() }).await;
    cluster
}

/// A name that no other test of this run has.
pub fn fresh_name() -> String {
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

impl Cluster {
    fn install(&self) {
        let applied = self.pipe(&["apply", "--server-side", "-f", "-"], &crds_yaml().unwrap());
        assert!(applied.status.success(), "{applied:?}");
        let established =
            self.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
        assert!(established.status.success(), "{established:?}");
    }

    /// kubectl with these arguments.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.control_plane.kubectl().args(arguments).output().unwrap()
    }

    /// What kubectl prints with these arguments.
    #[track_caller]
    pub fn printed(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// kubectl with these arguments and something to read.
    pub fn pipe(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.control_plane.kubectl();
        let streams =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = streams.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        kubectl.wait_with_output().unwrap()
    }

    /// The API of one of our kinds, in the default namespace.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let definition =
            definitions().into_iter().find(|crd| crd.spec.names.kind == kind).expect("one of our kinds");
        let resource = ApiResource {
            group: definition.spec.group,
            version: "v1alpha1".into(),
            api_version: "zitadel-operator.dev/v1alpha1".into(),
            kind: kind.into(),
            plural: definition.spec.names.plural,
        };
        match definition.spec.scope.as_str() {
            "Cluster" => Api::all_with(self.client.clone(), &resource),
            _ => Api::default_namespaced_with(self.client.clone(), &resource),
        }
    }

    /// Applies an object by server-side apply; `dry_run` stores nothing.
    pub async fn apply(&self, kind: &str, name: &str, spec: &Value, dry_run: bool) -> kube::Result<Value> {
        let params = PatchParams { dry_run, ..PatchParams::apply("a-person").force() };
        let applied = self.api(kind).patch(name, &params, &Patch::Apply(object(kind, name, spec))).await?;
        Ok(serde_json::to_value(applied).unwrap())
    }

    /// Applies a status by server-side apply, as the operator does.
    pub async fn apply_status(&self, kind: &str, name: &str, status: &Value) -> kube::Result<()> {
        let mut object = object(kind, name, &Value::Null);
        object.as_object_mut().unwrap().remove("spec");
        object["status"] = status.clone();
        let params = PatchParams::apply("zitadel-operator").force();
        self.api(kind).patch_status(name, &params, &Patch::Apply(object)).await?;
        Ok(())
    }

    /// What would be stored if the object were created; nothing is.
    pub async fn try_create(&self, kind: &str, name: &str, spec: &Value) -> kube::Result<Value> {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let object = serde_json::from_value(object(kind, name, spec)).unwrap();
        let created = self.api(kind).create(&params, &object).await?;
        Ok(serde_json::to_value(created).unwrap())
    }

    /// Asserts that the API server would store each of these specs.
    pub async fn accepts(&self, kind: &str, specs: impl IntoIterator<Item = Value>) {
        for spec in specs {
            if let Err(error) = self.try_create(kind, &fresh_name(), &spec).await {
                panic!("{kind} {spec} is refused: {error}");
            }
        }
    }

    /// Asserts that the API server refuses each of these specs, and says these words.
    pub async fn refuses(&self, kind: &str, specs: impl IntoIterator<Item = Value>, words: &str) {
        for spec in specs {
            match self.try_create(kind, &fresh_name(), &spec).await {
                Err(kube::Error::Api(status)) if status.code == 422 => {
                    assert!(status.message.contains(words), "{kind} {spec}: {}", status.message);
                }
                other => panic!("{kind} {spec} is not refused as invalid: {other:?}"),
            }
        }
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    })
}
