//! The Kubernetes side: definitions, manifests, and what became of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use support::control_plane::ControlPlane;
use zitadel_operator::cli::crds_yaml;
use zitadel_operator::kinds::definitions;

use super::Result;

/// Where the operator would run, and where the Secrets of a `ClusterConnection` are.
pub const OPERATOR_NAMESPACE: &str = "zitadel-operator";

/// The API server, as administrator.
pub struct Cluster<'a> {
    control_plane: &'a ControlPlane,
    pub client: kube::Client,
}

impl<'a> Cluster<'a> {
    pub async fn connect(control_plane: &'a ControlPlane) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self { control_plane, client: kube::Client::try_from(config)? })
    }

    /// The definitions and the operator's namespace.
    pub fn install(&self) -> Result<()> {
        self.apply(&crds_yaml()?)?;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"], "")?;
        self.kubectl(&["create", "namespace", OPERATOR_NAMESPACE], "")
    }

    /// `kubectl apply`, the way a person does it.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        self.kubectl(&["apply", "-f", "-"], manifest)
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.control_plane.kubectl();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut kubectl = command.spawn()?;
        if let Some(mut stdin) = kubectl.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = kubectl.wait_with_output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
        }
    }

    /// Every resource of every kind of ours, in the order of the definitions.
    pub async fn resources(&self) -> Result<Vec<DynamicObject>> {
        let mut all = Vec::new();
        for definition in definitions() {
            let resource = ApiResource {
                api_version: format!("{}/v1alpha1", definition.spec.group),
                group: definition.spec.group,
                version: "v1alpha1".into(),
                kind: definition.spec.names.kind,
                plural: definition.spec.names.plural,
            };
            let listed = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
            let types = TypeMeta { api_version: resource.api_version, kind: resource.kind };
            let listed = listed.list(&ListParams::default()).await?.items.into_iter();
            all.extend(listed.map(|object| DynamicObject { types: Some(types.clone()), ..object }));
        }
        Ok(all)
    }

    /// The kubeconfig, and the directory of kubectl.
    pub fn paths(&self) -> (PathBuf, &Path) {
        (self.control_plane.kubeconfig_path(), self.control_plane.bin_dir())
    }
}
