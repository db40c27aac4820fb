//! An API server for what the chart renders.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use support::control_plane::ControlPlane;
use tokio::sync::OnceCell;
use zitadel_operator::cli::crds_yaml;

use crate::helm::{chart, repository};

static PREPARED: OnceCell<Cluster> = OnceCell::const_new();

/// Namespaces that the value sets name.
const NAMESPACES: [&str; 3] = ["zitadel-operator", "team-a", "team-b"];

/// A control plane of its own.
pub struct Cluster(ControlPlane);

/// With the definitions of ours and of the Prometheus Operator, and the namespaces that the value sets name.
pub async fn prepared() -> &'static Cluster {
    let prepare = || async {
        let cluster = Cluster::start().await;
        let monitoring = std::fs::read_to_string(repository("tests/chart/monitoring/crds.yaml")).unwrap();
        cluster.pipe(&["apply", "-f", "-"], &(crds_yaml().unwrap() + &monitoring));
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
        for namespace in NAMESPACES {
            cluster.kubectl(&["create", "namespace", namespace, "--save-config"]);
        }
        cluster
    };
    PREPARED.get_or_init(prepare).await
}

impl Cluster {
    /// An empty one. No Pod is made of a Deployment: nothing here needs any.
    pub async fn start() -> Self {
        Self(ControlPlane::builder().controller_manager(false).start().await.unwrap())
    }

    /// What kubectl prints; it warns of nothing.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        succeeded(&self.0.kubectl().args(arguments).output().unwrap())
    }

    /// The same with something to read.
    #[track_caller]
    pub fn pipe(&self, arguments: &[&str], input: &str) -> String {
        succeeded(&self.try_pipe(arguments, input))
    }

    /// kubectl with something to read.
    pub fn try_pipe(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.0.kubectl();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = command.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        kubectl.wait_with_output().unwrap()
    }

    /// helm on this cluster, in the chart's directory.
    pub fn try_helm(&self, arguments: &[&str]) -> Output {
        self.0.helm().args(arguments).current_dir(chart()).output().unwrap()
    }

    /// What helm prints; it warns of nothing.
    #[track_caller]
    pub fn helm(&self, arguments: &[&str]) -> String {
        succeeded(&self.try_helm(arguments))
    }

    /// A shell in a directory, in which `kubectl` is this cluster's.
    pub fn shell(&self, directory: &str, script: &str) -> Output {
        let path = format!("{}:{}", self.0.bin_dir().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).current_dir(directory).env("PATH", path);
        shell.env("KUBECONFIG", self.0.kubeconfig_path()).output().unwrap()
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
