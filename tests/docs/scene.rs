//! The examples on a real API server, with the operator and a ZITADEL double: what the documents show.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use support::control_plane::ControlPlane;
use support::zitadel::{Double, OrganizationFeatures};
use tokio_util::sync::CancellationToken;
use zitadel_operator::cli::{crd_yaml, crds_yaml};
use zitadel_operator::kinds::definitions;
use zitadel_operator::operator::{self, Options};

use crate::repository;

/// The address of ZITADEL in the examples.
const URL: &str = "https://zitadel.example.com";

/// The reasons that the examples end with on a released ZITADEL.
const SETTLED: &[&str] = &["Available", "DriftDetected", "Unsupported"];

/// The API server of this process, with the definitions.
pub struct Cluster(&'static ControlPlane);

impl Cluster {
    pub async fn shared() -> Self {
        static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        let cluster = Self(ControlPlane::shared().await);
        let install = async || {
            cluster.apply(&crds_yaml().unwrap(), &["--server-side"]);
            cluster.apply(&namesakes(), &["--server-side"]);
            cluster.printed("kubectl wait --for=condition=Established --timeout=60s crd --all");
            cluster.printed("kubectl create namespace zitadel-operator");
        };
        INSTALLED.get_or_init(install).await;
        cluster
    }

    /// Runs a line of shell in which `kubectl` is the administrator's.
    pub fn run(&self, line: &str) -> Output {
        self.shell(line, repository()).output().unwrap()
    }

    /// A shell in this directory that is to run a script and to stop where it fails.
    pub fn shell(&self, script: &str, directory: &Path) -> Command {
        let path = format!("{}:{}", self.0.bin_dir().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(directory);
        shell.env("PATH", path).env("KUBECONFIG", self.0.kubeconfig_path());
        shell
    }

    /// What the line prints.
    #[track_caller]
    pub fn printed(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Hands a manifest to `kubectl apply`, which must take it without a warning.
    #[track_caller]
    pub fn apply(&self, manifest: &str, arguments: &[&str]) {
        let output = self.try_apply(manifest, arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{manifest}");
    }

    pub fn try_apply(&self, manifest: &str, arguments: &[&str]) -> Output {
        use std::io::Write;
        let mut kubectl = self.0.kubectl();
        kubectl.args(["apply", "-f", "-"]).args(arguments);
        let streams = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = streams.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        kubectl.wait_with_output().unwrap()
    }

    async fn client(&self) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(self.0.kubeconfig_path()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        kube::Client::try_from(config.unwrap()).unwrap()
    }
}

/// Definitions of another group that have the names of ours, as OpenShift's and Rancher's projects do: whoever names no
/// group means them.
fn namesakes() -> String {
    let renamed = definitions().into_iter().map(|mut crd| {
        crd.spec.group = "example.com".into();
        crd.metadata.name = Some(format!("{}.{}", crd.spec.names.plural, crd.spec.group));
        (crd.spec.names.short_names, crd.spec.names.categories) = (None, None);
        crd_yaml(&crd).unwrap()
    });
    renamed.collect()
}

/// The examples as they are once the operator has followed them.
pub struct Scene {
    pub cluster: Cluster,
    pub zitadel: Double,
    /// The id of acme.
    pub organization: String,
    stop: CancellationToken,
    operator: tokio::task::JoinHandle<Result<(), operator::Ended>>,
}

impl Scene {
    pub async fn open() -> Self {
        let cluster = Cluster::shared().await;
        let zitadel = Double::start().await;
        let acme = zitadel.create_organization("acme").id;
        zitadel.create_project(&acme, "Payments");
        let imported = zitadel.create_project(&acme, "Legacy portal");
        let stop = CancellationToken::new();
        let options = Options::new("zitadel-operator");
        let operator = tokio::spawn(operator::run(cluster.client().await, options, stop.clone()));
        for (name, manifest) in crate::examples() {
            let url = format!("{}\n  insecure: true", zitadel.url());
            let manifest = manifest.replace(&format!("url: {URL}"), &format!("url: {url}"));
            let manifest = manifest.replace("paste-a-personal-access-token", &zitadel.admin_token());
            let manifest = manifest.replace("312909075211944345", &imported);
            assert!(!manifest.contains("paste-a"), "{name}");
            cluster.apply(&manifest, &[]);
        }
        let scene = Self { cluster, zitadel, organization: acme, stop, operator };
        scene.settle().await;
        scene
    }

    /// From now on ZITADEL implements the feature flags of organizations, and the operator is told.
    pub fn implement_features(&self) {
        self.zitadel.configure(|behaviour| {
            behaviour.organization_features = OrganizationFeatures::Implemented;
        });
        self.cluster.printed(
            "kubectl annotate zorgfeat -n shop acme zitadel-operator.dev/reconcile-requested-at=now",
        );
    }

    /// Without what differs from run to run.
    pub fn neutral(&self, printed: &str) -> String {
        printed.replace(&self.zitadel.url(), URL)
    }

    async fn settle(&self) {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.reasons().iter().all(|reason| SETTLED.contains(&reason.as_str())) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.reasons());
    }

    /// The reason of `Ready` of every resource.
    fn reasons(&self) -> Vec<String> {
        let listed: Value =
            serde_json::from_str(&self.cluster.printed("kubectl get zitadel -A -o json")).unwrap();
        let reason = |item: &Value| {
            let conditions = item["status"]["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
            ready["reason"].as_str().unwrap().to_owned()
        };
        listed["items"].as_array().unwrap().iter().map(reason).collect()
    }

    /// Ends the operator; all else stays.
    pub async fn close(self) -> Cluster {
        self.stop.cancel();
        self.operator.await.unwrap().unwrap();
        self.cluster
    }
}
