//! The Kubernetes side: definitions, manifests, what became of them, and what to try.

use std::io::Write;
use std::process::Stdio;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use support::control_plane::ControlPlane;
use zitadel_operator::api::crd;
use zitadel_operator::cli::crds_yaml;

use super::Result;
use super::examples::NAMESPACE;
use super::zitadel::{Prepared, Zitadel};

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
        for definition in crd::all() {
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

    /// The ids in ZITADEL of everything the operator made or took over.
    pub async fn project_ids(&self) -> Result<Vec<String>> {
        let ids = self.resources().await?.into_iter();
        Ok(ids.filter_map(|object| object.data["status"]["id"].as_str().map(str::to_owned)).collect())
    }

    /// What a person can do now.
    pub fn welcome(&self, zitadel: &Zitadel, prepared: &Prepared) -> String {
        let (kubeconfig, bin) = (self.control_plane.kubeconfig_path(), self.control_plane.bin_dir());
        let (kubeconfig, bin) = (kubeconfig.display(), bin.display());
        let Zitadel { url, shown_token, .. } = zitadel;
        let organization = &prepared.organization;
        format!(
            r#"
The examples are applied. In another terminal:

  export KUBECONFIG={kubeconfig}
  export PATH={bin}:$PATH

Look:
  kubectl get zitadel -A                        # everything; -o wide shows the messages
  kubectl describe zproj -n {NAMESPACE} web
  kubectl explain project.spec
Rename a project, here and in ZITADEL:
  kubectl patch zproj -n {NAMESPACE} web --type merge -p '{{"spec":{{"name":"Web shop"}}}}'
Change it in ZITADEL behind the operator's back; it is put right within 30 s, and an event names the field:
  ID=$(kubectl get zproj -n {NAMESPACE} web -o jsonpath='{{.status.id}}')
  curl -X PUT {url}/management/v1/projects/$ID -H "Authorization: Bearer {shown_token}" \
    -H 'x-zitadel-orgid: {organization}' -H 'Content-Type: application/json' -d '{{"name":"Changed by hand"}}'
  kubectl get events -n {NAMESPACE} --field-selector reason=DriftReverted
Not to wait for that:
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/reconcile-requested-at="$(date)" --overwrite
Let the operator stand back, and take over again:
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/paused=true
  kubectl annotate zproj -n {NAMESPACE} web zitadel-operator.dev/paused-
Make a mistake, read in the table what it says about it, and correct it:
  kubectl patch zproj -n {NAMESPACE} archive --type merge -p '{{"spec":{{"name":"Storefront"}}}}'
  kubectl patch zproj -n {NAMESPACE} archive --type merge -p '{{"spec":{{"name":"Archive"}}}}'
Remove a project, in ZITADEL too:
  kubectl delete zproj -n {NAMESPACE} web

Ctrl-C ends everything here. The table below is printed again when it changes."#
        )
    }
}
