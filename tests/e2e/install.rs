//! The plain manifest and the binary, as somebody installs them.

mod partial;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};
use support::canary::Watch;
use support::control_plane::{AuditEntry, AuditMark, ControlPlane};
use support::zitadel::{Behaviour, Double, OrganizationFeatures, State};
use tokio::sync::OnceCell;

use crate::verdicts;
use crate::world::PATIENCE;

const NAMESPACE: &str = "zitadel-operator";
const OPERATOR: &str = "system:serviceaccount:zitadel-operator:zitadel-operator";

static INSTALLED: OnceCell<Cluster> = OnceCell::const_new();

/// A control plane of its own, on which nothing is but what a person installed.
struct Cluster(ControlPlane);

async fn installed() -> &'static Cluster {
    INSTALLED.get_or_init(Cluster::install).await
}

impl Cluster {
    async fn install() -> Self {
        let cluster = Self(ControlPlane::builder().audit(true).start().await.unwrap());
        // As the README says it.
        cluster.kubectl(&["apply", "--server-side", "-f", "charts/install.yaml"]);
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
        verdicts::watch(&cluster.0);
        cluster
    }

    fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.0.kubectl().args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
    }

    /// What kubectl prints.
    #[track_caller]
    fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command line as a person would paste it.
    #[track_caller]
    fn paste(&self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        assert_eq!(words[0], "kubectl", "{command}");
        self.kubectl(&words[1..]);
    }

    /// `kubectl apply`; answers its warnings.
    #[track_caller]
    fn apply(&self, object: &Value) -> String {
        let mut kubectl = self.0.kubectl();
        kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut kubectl = kubectl.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
        let output = kubectl.wait_with_output().unwrap();
        assert!(output.status.success(), "{object}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    #[track_caller]
    fn wait_for_reason(&self, namespace: &str, resource: &str, reason: &str) -> String {
        let path = r#"{.status.conditions[?(@.type=="Ready")].reason}"#;
        let condition = format!("--for=jsonpath={path}={reason}");
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        self.kubectl(&["wait", "-n", namespace, resource, &condition, &timeout]);
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;
        self.kubectl(&["get", "-n", namespace, resource, "-o", path])
    }

    /// May this user do that?
    fn can(&self, user: &str, what: &[&str]) -> bool {
        let user = format!("--as={user}");
        let arguments = [["auth", "can-i"].as_slice(), what, &[user.as_str()]].concat();
        self.try_kubectl(&arguments).status.success()
    }

    /// What the operator asked for and was refused, as `verb resource namespace`.
    fn refused(&self, since: AuditMark) -> Vec<String> {
        self.refused_to(OPERATOR, since)
    }

    fn refused_to(&self, user: &str, since: AuditMark) -> Vec<String> {
        let entries =
            self.0.audit_since(since).unwrap().into_iter().filter(|entry| entry.user.username == user);
        let entries: Vec<AuditEntry> = entries.collect();
        assert!(!entries.is_empty(), "its calls are in the log");
        let refused = entries.into_iter().filter(|entry| entry.response_status.code == 403);
        let named = |AuditEntry { verb, object_ref: object, .. }| {
            format!("{verb} {} {}", object.resource, object.namespace)
        };
        refused.map(named).collect()
    }

    /// What helm prints.
    #[track_caller]
    fn helm(&self, arguments: &[&str]) -> String {
        let mut helm = self.0.helm();
        let output = helm.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "helm {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the binary as the Deployment of this name would: its arguments, and a token of its ServiceAccount.
    fn run_operator_of(&self, deployment: &str) -> Operator {
        let printed = self.kubectl(&["get", "deployment", deployment, "-n", NAMESPACE, "-o", "json"]);
        let deployment: Value = serde_json::from_str(&printed).unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        let account = pod["serviceAccountName"].as_str().unwrap();
        let arguments =
            pod["containers"][0]["args"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap());
        let elsewhere = arguments.filter(|flag| !flag.starts_with("--admin-address="));
        let token = self.kubectl(&["create", "token", account, "-n", NAMESPACE]);
        let kubeconfig = self.0.kubeconfig_for("operator", token.trim()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_zitadel-operator"));
        command.args(elsewhere).arg("--admin-address=127.0.0.1:0");
        command.env_clear().envs([("POD_NAMESPACE", NAMESPACE), ("SERVICE_ACCOUNT", account)]);
        // A proxy of the environment, which nobody serves, is none to ZITADEL.
        command.envs([("HTTP_PROXY", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")]);
        command.env("KUBECONFIG", kubeconfig).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, logs) = mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| {
                Watch::shared().inspect(format_args!("the log of the installed operator"), line.as_bytes());
                sender.send(line)
            })
        });
        Operator { process, logs }
    }
}

/// The running binary.
struct Operator {
    process: Child,
    logs: Receiver<String>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Operator {
    /// The next line of the log; every one is a JSON object.
    fn log_line(&self) -> Value {
        let line = self.logs.recv_timeout(PATIENCE).expect("a line of log");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The address of the probes, from the line that says it.
    fn admin(&self) -> String {
        let starting = self.log_line();
        assert_eq!((&starting["level"], &starting["message"]), (&json!("INFO"), &json!("starting")));
        format!("http://{}", starting["admin"].as_str().unwrap())
    }

    /// SIGTERM, as the kubelet sends it.
    async fn terminate(mut self) -> (std::process::ExitStatus, Vec<String>) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let ended = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends within 10 s");
        (status, self.logs.iter().collect())
    }
}

async fn until_ready(admin: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = async {
        while http.get(format!("{admin}/readyz")).send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("/readyz answers 200");
}

fn secret(namespace: &str, token: &str) -> Value {
    Watch::shared().unattended().mark("the token of an installation", token.as_bytes());
    let labels = json!({ "zitadel-operator.dev/allow": "true" });
    let metadata = json!({ "name": "zitadel", "namespace": namespace, "labels": labels });
    json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { "token": token }, "metadata": metadata })
}

fn ours(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": namespace });
    json!({ "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

/// What a ClusterConnection and a Connection to this double have in common.
fn endpoint(zitadel: &Double) -> Value {
    json!({
        "url": zitadel.url(),
        "personalAccessToken": { "name": "zitadel" },
        "defaultOrganization": { "name": "acme" },
    })
}

/// A ZITADEL in which every kind can become ready.
async fn double() -> Double {
    let organization_features = OrganizationFeatures::Implemented;
    let behaviour = Behaviour { organization_features, ..Behaviour::v4() };
    Double::builder().behaviour(behaviour).start().await.unwrap()
}

/// One of each kind with values of every source, in a namespace with a Connection `own` that may be read.
fn assert_every_kind_works(cluster: &Cluster, zitadel: &Double, namespace: &str) {
    let metadata = json!({ "name": "site", "namespace": namespace });
    let data = json!({ "region": "eu-central" });
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }));
    let secret = json!({ "secretKeyRef": { "name": "zitadel", "key": "token" } });
    let config_map = json!({ "configMapKeyRef": { "name": "site", "key": "region" } });
    let entries = json!([
        { "key": "tier", "value": "gold" },
        { "key": "billing", "valueFrom": secret },
        { "key": "region", "valueFrom": config_map },
    ]);
    let policy = json!({
        "userLoginMustBeDomain": false, "validateOrgDomains": true,
        "smtpSenderAddressMatchesInstanceDomain": true,
    });
    let features = json!({ "features": { "loginDefaultOrg": true } });
    let organization = json!({ "name": "Globex", "deletionPolicy": "Delete" });
    cluster.apply(&ours("Organization", namespace, "globex", &through_own(organization)));
    for (kind, mut spec) in [
        ("Project", json!({})),
        ("OrgMetadata", json!({ "entries": entries })),
        ("OrgDomainPolicy", policy),
        ("OrgFeatures", features),
        ("OrgLoginPolicy", json!({ "forceMfa": true })),
    ] {
        spec["organization"] = json!({ "ref": { "name": "globex" } });
        cluster.apply(&ours(kind, namespace, "all", &through_own(spec)));
    }
    let role = json!({ "project": { "ref": { "name": "all" } } });
    cluster.apply(&ours("ProjectRole", namespace, "all", &through_own(role)));
    for resource in [
        "zorg/globex",
        "zproj/all",
        "zrole/all",
        "zorgmeta/all",
        "zorgdom/all",
        "zorglogin/all",
        "zorgfeat/all",
    ] {
        cluster.wait_for_reason(namespace, resource, "Available");
    }
    let organizations = zitadel.organizations();
    let globex = &organizations.iter().find(|organization| organization.name == "Globex").unwrap().id;
    let there = zitadel.metadata(globex);
    assert_eq!(there["billing"].value, zitadel.admin_token().into_bytes());
    assert_eq!(there["region"].value, b"eu-central");
    let kinds = "zconn,zorg,zproj,zrole,zorgmeta,zorgdom,zorglogin,zorgfeat";
    cluster.kubectl(&["delete", kinds, "-n", namespace, "--all", "--timeout=60s"]);
    let left = zitadel.organizations().into_iter().filter(|organization| &organization.id == globex);
    assert!(left.into_iter().all(|organization| organization.state == State::Removed));
}

fn through_own(mut spec: Value) -> Value {
    spec["connectionRef"] = json!({ "kind": "Connection", "name": "own" });
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installed_operator_works_with_the_rights_it_has() {
    let (cluster, zitadel) = (installed().await, double().await);
    zitadel.create_organization("acme");
    let (start, operator) = (cluster.0.audit_mark().unwrap(), cluster.run_operator_of("zitadel-operator"));
    let admin = operator.admin();

    let mut shared = ours("ClusterConnection", "", "default", &endpoint(&zitadel));
    shared["spec"]["access"] = json!([{ "namespaceSelector": {}, "organizations": [{ "name": "acme" }] }]);
    cluster.apply(&secret(NAMESPACE, &zitadel.admin_token()));
    cluster.apply(&shared);
    cluster.apply(&ours("Project", "default", "web", &json!({ "projectRoleCheck": true })));
    cluster.wait_for_reason("default", "zproj/web", "Available");
    until_ready(&admin).await;
    assert_apply_goes_on_working(cluster);
    assert_eq!(cluster.refused(start), [""; 0]);

    cluster.kubectl(&["create", "namespace", "tenant"]);
    cluster.apply(&secret("tenant", &zitadel.admin_token()));
    cluster.apply(&ours("Connection", "tenant", "own", &endpoint(&zitadel)));
    cluster.apply(&ours("Project", "tenant", "shop", &through_own(json!({}))));
    let message = cluster.wait_for_reason("tenant", "zconn/own", "CredentialsUnavailable");
    cluster.paste(&message[message.find("kubectl create rolebinding").expect("a command to paste")..]);
    let request = "zitadel-operator.dev/reconcile-requested-at=now";
    cluster.kubectl(&["annotate", "-n", "tenant", "zconn/own", request]);
    cluster.wait_for_reason("tenant", "zproj/shop", "Available");

    let bound = cluster.0.audit_mark().unwrap();
    assert_every_kind_works(cluster, &zitadel, "tenant");
    assert_eq!(cluster.refused(bound), [""; 0]);
    let (status, log) = operator.terminate().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(!log.iter().any(|line| line.to_lowercase().contains("forbidden")), "{log:#?}");
    let refused = cluster.refused(start);
    assert!(!refused.is_empty() && refused.iter().all(|what| what == "get secrets tenant"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_read_secrets_only_where_it_was_let_and_make_them_in_its_own_namespace() {
    let cluster = installed().await;
    assert!(cluster.can(OPERATOR, &["get", "secrets", "-n", NAMESPACE]));
    for namespace in ["default", "kube-system"] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
            assert!(!cluster.can(OPERATOR, &[verb, "secrets", "-n", namespace]), "{verb} in {namespace}");
        }
    }
    for verb in ["update", "patch", "delete"] {
        assert!(!cluster.can(OPERATOR, &[verb, "secrets", "-n", NAMESPACE]), "{verb} in its own");
    }
    // The key of its marks, which RBAC cannot name before it is there.
    assert!(cluster.can(OPERATOR, &["create", "secrets", "-n", NAMESPACE]));
    assert!(!cluster.can(OPERATOR, &["update", "leases.coordination.k8s.io/other", "-n", NAMESPACE]));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_edit_write_resources_and_never_their_status() {
    let cluster = installed().await;
    for user in ["view", "edit"] {
        let role = format!("--clusterrole={user}");
        cluster.kubectl(&["create", "rolebinding", user, "-n", "default", &role, &format!("--user={user}")]);
    }
    let can = |user: &str, verb: &str, what: &str| cluster.can(user, &[verb, what, "-n", "default"]);
    // The roles are put together by a controller.
    let started = std::time::Instant::now();
    while !(can("view", "list", "zproj") && can("edit", "create", "zproj")) {
        assert!(started.elapsed() < PATIENCE, "the roles were not aggregated");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for kind in ["zconn", "zorg", "zproj", "zorgmeta", "zorgdom", "zorgfeat"] {
        assert!(
            can("edit", "delete", kind) && can("view", "get", kind) && !can("view", "create", kind),
            "{kind}"
        );
        assert!(!cluster.can("edit", &["patch", kind, "--subresource=status", "-n", "default"]), "{kind}");
    }
    assert!(!can("edit", "create", "zcconn"));
}

/// `kubectl apply` keeps in an annotation what it tells by later which fields a person took away.
fn assert_apply_goes_on_working(cluster: &Cluster) {
    let warnings = cluster.apply(&ours("Project", "default", "web", &json!({})));
    assert_eq!(warnings, "");
    let path = "jsonpath={.spec.projectRoleCheck}";
    assert_eq!(cluster.kubectl(&["get", "-n", "default", "zproj/web", "-o", path]), "false");
}

/// There is no kubelet here; but a Pod that Pod Security "restricted" refuses would not even exist.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_meets_the_restricted_pod_security_standard() {
    let cluster = installed().await;
    let enforced = cluster.kubectl(&["get", "namespace", NAMESPACE, "-o", "jsonpath={.metadata.labels}"]);
    assert!(enforced.contains(r#""pod-security.kubernetes.io/enforce":"restricted""#), "{enforced}");
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    cluster.kubectl(&[
        "wait",
        "--for=create",
        "pod",
        "-n",
        NAMESPACE,
        "-l",
        "app.kubernetes.io/name=zitadel-operator",
        &timeout,
    ]);
    let replicas = cluster.kubectl(&[
        "get",
        "deployment",
        "zitadel-operator",
        "-n",
        NAMESPACE,
        "-o",
        "jsonpath={.status.replicas}",
    ]);
    assert_eq!(replicas, "2");
}
