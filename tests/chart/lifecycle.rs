//! Install, upgrade from the previous chart, rollback, uninstall.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::helm::repository;

/// The chart of the version before, as it was packaged.
const PREVIOUS: &str = "tests/chart/zitadel-operator-0.1.0.tgz";

/// Helm keeps a release in a Secret, which holds no more than 1 MiB; there is to be room for what comes.
const RELEASE_BYTES: usize = 256 * 1024;

fn project() -> Value {
    json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project",
        "metadata": { "name": "web", "namespace": "default" }, "spec": {},
    })
}

impl Cluster {
    fn uid(&self, resource: &str) -> String {
        self.kubectl(&["get", resource, "-n", "default", "-o", "jsonpath={.metadata.uid}"])
    }

    /// The versions of the chart that the Deployment is of, and the definitions that each version has: what a later one adds
    /// stays after a rollback.
    fn charts(&self) -> Vec<String> {
        let label = r#"jsonpath={.items[*].metadata.labels.helm\.sh/chart}"#;
        let of_definition = |name: &str| {
            let one = r#"jsonpath={.metadata.labels.helm\.sh/chart}"#;
            self.kubectl(&["get", "crd", &format!("{name}.zitadel-operator.dev"), "-o", one])
        };
        let deployments = self.kubectl(&["get", "deployment", "-n", "ops", "-o", label]);
        let mut charts: Vec<String> = ["connections", "clusterconnections", "organizations", "projects"]
            .map(of_definition)
            .into_iter()
            .chain(deployments.split_whitespace().map(str::to_owned))
            .collect();
        charts.dedup();
        charts
    }

    fn bytes_of_revision(&self, revision: u32) -> usize {
        let secret = format!("sh.helm.release.v1.idp.v{revision}");
        self.kubectl(&["get", "secret", &secret, "-n", "ops", "-o", "jsonpath={.data.release}"]).len() / 4 * 3
    }

    fn present(&self, kinds: &str) -> String {
        self.kubectl(&[
            "get",
            kinds,
            "-n",
            "ops",
            "-l",
            "app.kubernetes.io/instance=idp",
            "-o",
            "name",
            "--ignore-not-found",
        ])
    }
}

/// `name-version` of the present chart.
fn present() -> String {
    let chart = std::fs::read_to_string(crate::helm::chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    format!("zitadel-operator-{}", chart["version"].as_str().unwrap())
}

#[tokio::test]
async fn resources_stay_through_upgrade_rollback_and_uninstall() {
    let cluster = Cluster::start().await;
    let previous = repository(PREVIOUS);
    cluster.helm(&["install", "idp", previous.to_str().unwrap(), "-n", "ops", "--create-namespace"]);
    cluster.pipe(&["apply", "-f", "-"], &project().to_string());
    let uid = cluster.uid("project/web");
    assert_eq!(cluster.charts(), ["zitadel-operator-0.1.0"]);

    cluster.helm(&["upgrade", "idp", ".", "-n", "ops"]);
    assert_eq!(cluster.charts(), [present()]);
    assert!(cluster.bytes_of_revision(2) < RELEASE_BYTES);
    cluster.helm(&["rollback", "idp", "-n", "ops"]);
    assert_eq!(cluster.charts(), ["zitadel-operator-0.1.0"]);
    cluster.helm(&["upgrade", "idp", ".", "-n", "ops"]);
    cluster.helm(&["upgrade", "idp", ".", "-n", "ops", "--set", "crds.enabled=false"]);
    assert_eq!(cluster.uid("project/web"), uid);

    cluster.helm(&["uninstall", "idp", "-n", "ops", "--wait"]);
    let kinds = "deployment,service,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding,poddisruptionbudget";
    assert_eq!(cluster.present(kinds), "");
    assert_eq!(cluster.uid("project/web"), uid);
    cluster.helm(&["install", "idp", ".", "-n", "ops"]);
    assert_eq!(cluster.uid("project/web"), uid);
}

#[tokio::test]
async fn the_plain_manifest_becomes_a_release() {
    let cluster = Cluster::start().await;
    let plain = repository("charts/install.yaml");
    cluster.kubectl(&["apply", "--server-side", "-f", plain.to_str().unwrap()]);
    cluster.pipe(&["apply", "-f", "-"], &project().to_string());
    let uid = cluster.uid("project/web");
    let release = |command, flags: &[&str]| {
        let release = [command, "zitadel-operator", ".", "-n", "zitadel-operator", "--force-conflicts"];
        cluster.helm(&[&release, flags].concat());
    };
    release("install", &["--take-ownership"]);
    release("upgrade", &["--set", "concurrency=8"]);
    assert_eq!(cluster.uid("project/web"), uid);
}

#[tokio::test]
async fn without_crds_keep_an_uninstall_deletes_the_definitions_and_every_resource() {
    let cluster = Cluster::start().await;
    cluster.helm(&["install", "idp", ".", "-n", "ops", "--create-namespace", "--set", "crds.keep=false"]);
    cluster.pipe(&["apply", "-f", "-"], &project().to_string());
    cluster.helm(&["uninstall", "idp", "-n", "ops", "--wait"]);
    assert_eq!(cluster.present("crd"), "");
}

#[tokio::test]
async fn a_second_release_leaves_the_definitions_to_the_first() {
    let cluster = Cluster::start().await;
    cluster.helm(&["install", "idp", ".", "-n", "ops", "--create-namespace"]);
    let second = ["install", "two", ".", "-n", "ops", "--set", "labelSelector=team=b"];
    let output = cluster.try_helm(&second);
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid ownership metadata"), "{output:?}");
    cluster.helm(&[&second, ["--set", "crds.enabled=false"].as_slice()].concat());
    let deployments = cluster.kubectl(&["get", "deployments", "-n", "ops", "-o", "name"]);
    assert_eq!(deployments, "deployment.apps/idp-zitadel-operator\ndeployment.apps/two-zitadel-operator\n");
}
