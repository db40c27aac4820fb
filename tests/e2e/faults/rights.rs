//! Rights and credentials that come late, go, and come back.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::meter::Meter;
use crate::needs_double;
use crate::waits::{assert_message, condition, until_answered};
use crate::world::{CONNECTION, World};

/// A service account of the world's namespace, whose rights can be given and taken.
struct Account<'a> {
    world: &'a World,
    user: String,
}

impl<'a> Account<'a> {
    /// One that may do what the installed operator may, once it is let.
    async fn of(world: &'a World) -> Self {
        let account = json!({ "metadata": { "name": "operator" } });
        let accounts = Api::<ServiceAccount>::namespaced(world.client.clone(), &world.namespace);
        let account = serde_json::from_value(account).unwrap();
        accounts.create(&PostParams::default(), &account).await.unwrap();
        let verbs = ["get", "list", "watch", "patch"];
        let rules = json!([
            { "apiGroups": ["zitadel-operator.dev"], "resources": ["*"], "verbs": verbs },
            { "apiGroups": [""], "resources": ["namespaces", "secrets", "configmaps"], "verbs": verbs[..3] },
            { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"] },
        ]);
        let role = json!({ "metadata": { "name": world.namespace }, "rules": rules });
        let roles = Api::<ClusterRole>::all(world.client.clone());
        roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
        let user = format!("system:serviceaccount:{}:operator", world.namespace);
        Self { world, user }
    }

    async fn client(&self) -> kube::Client {
        let control_plane = self.world.control_plane;
        let mut kubectl = control_plane.kubectl();
        kubectl.args(["create", "token", "operator", "-n", &self.world.namespace]);
        let token = String::from_utf8(kubectl.output().unwrap().stdout).unwrap();
        let path = control_plane.kubeconfig_for(&self.world.namespace, token.trim()).unwrap();
        let (kubeconfig, options) = (Kubeconfig::read_from(path).unwrap(), KubeConfigOptions::default());
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    fn bindings(&self) -> Api<ClusterRoleBinding> {
        Api::all(self.world.client.clone())
    }

    async fn give(&self) {
        let namespace = &self.world.namespace;
        let binding = json!({
            "metadata": { "name": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace },
            "subjects": [{ "kind": "ServiceAccount", "name": "operator", "namespace": namespace }],
        });
        let binding = serde_json::from_value(binding).unwrap();
        self.bindings().create(&PostParams::default(), &binding).await.unwrap();
    }

    async fn take(&self) {
        self.bindings().delete(&self.world.namespace, &DeleteParams::default()).await.unwrap();
        let mut kubectl = self.world.control_plane.kubectl();
        let (user, namespace) = (format!("--as={}", self.user), self.world.namespace.as_str());
        kubectl.args(["auth", "can-i", "patch", "projects.zitadel-operator.dev", "-n", namespace, &user]);
        until_answered("lost the right", async || (!kubectl.output().unwrap().status.success(), ())).await;
    }

    /// What it was refused since the mark.
    fn refused(&self, since: support::control_plane::AuditMark) -> usize {
        let entries = self.world.control_plane.audit_since(since).unwrap().into_iter();
        entries.filter(|e| e.user.username == self.user && e.response_status.code == 403).count()
    }

    async fn remove(self) {
        let roles = Api::<ClusterRole>::all(self.world.client.clone());
        roles.delete(&self.world.namespace, &DeleteParams::default()).await.unwrap();
        self.bindings().delete(&self.world.namespace, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_come_late_go_and_come_back_need_no_restart_and_their_lack_is_told() {
    needs_double!("the ledger");
    let world = World::without_operator().await;
    let account = Account::of(&world).await;
    let meter = Meter::new();
    let _operator = world.operator(account.client().await, meter.metrics.clone());
    meter.until("watch_failures_total", &[("kind", "Project")], |failures| failures > 0.0).await;
    account.give().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready("web").await;

    account.take().await;
    let (audit, mark) = (world.control_plane.audit_mark().unwrap(), world.zitadel.ledger().mark());
    world.apply_project("web", json!({ "name": "renamed" })).await;
    world.apply_project("new", json!({})).await;
    // The server notes a refusal before the operator counts it.
    let counted = async || {
        let told = meter.value("kubernetes_failures_total", &[("controller", "Project")]);
        (told > 0.0 && account.refused(audit) >= 2, told)
    };
    until_answered("was refused, and told so", counted).await;
    let before = account.refused(audit);
    world.assert_calm().await;
    let refused = account.refused(audit) - before;
    // Two projects and the connection, each after 0.1 to 1 s, with up to three calls; a hot loop makes thousands.
    assert!(refused <= 90, "{refused} refused writes in 3 s");
    let made = |method: &str| world.writes_since(mark).iter().filter(|call| call.method == method).count();
    assert_eq!(made("POST"), 0, "nothing is created without the finalizer");

    account.give().await;
    let renamed = world.until_ready("web").await;
    world.until_ready("new").await;
    assert_eq!(renamed["status"]["id"], web["status"]["id"]);
    assert_eq!((made("PUT"), made("POST")), (1, 1));
    assert_eq!(world.project_names().await, ["renamed", "new"]);
    account.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_removed_is_told_and_its_return_is_noticed_without_a_restart() {
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    let lacks = |object: &Value| condition(object, "Synced")["reason"] == "CredentialsUnavailable";
    let connection = world.until("Connection", CONNECTION, "lacked its Secret", lacks).await;
    assert_message(&connection, &["Secret", CONNECTION]);
    world.assert_calm().await;

    world.store_token(&world.good_token()).await;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "example.com/by": "hand" } } }));
    secrets.patch(CONNECTION, &PatchParams::default(), &label).await.unwrap();
    let usable = |object: &Value| condition(object, "Ready")["reason"] == "Available";
    world.until("Connection", CONNECTION, "was usable again", usable).await;
    world.apply_project("web", json!({ "name": "renamed" })).await;
    let web = tokio::time::timeout(Duration::from_secs(20), world.until_ready("web")).await.unwrap();
    assert_eq!(world.remote(&web).await["name"], "renamed");
}
