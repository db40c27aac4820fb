use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use zitadel_operator_support::control_plane::{AuditMark, ControlPlane};

use super::{assert_says, fails, succeeds};

#[tokio::test]
async fn it_answers_kubectl_and_helm_as_administrator() {
    let control_plane = ControlPlane::shared().await;
    assert_says(
        &succeeds(control_plane.kubectl().args(["get", "namespaces", "-o", "name"])),
        "namespace/default",
    );
    assert_eq!(succeeds(control_plane.helm().args(["list", "-A", "-q"])), "");
    let path = control_plane.kubeconfig_path();
    assert!(path.is_absolute());
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn it_finishes_the_deletion_of_a_namespace() {
    let control_plane = ControlPlane::shared().await;
    let mut apply = control_plane.kubectl();
    let mut apply = apply.args(["apply", "-f", "-"]).stdin(Stdio::piped()).spawn().expect("it runs");
    let manifest = br#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}"#;
    apply.stdin.take().expect("piped").write_all(manifest).expect("it reads");
    assert!(apply.wait().expect("it ends").success());
    succeeds(control_plane.kubectl().args(["delete", "namespace", "short-lived", "--timeout=60s"]));
    assert_says(&fails(control_plane.kubectl().args(["get", "namespace", "short-lived"])), "NotFound");
}

#[tokio::test]
async fn it_lets_a_service_account_in_with_its_own_kubeconfig_and_rights() {
    let control_plane = ControlPlane::shared().await;
    let token = succeeds(control_plane.kubectl().args(["create", "token", "default"]));
    let path = control_plane.kubeconfig_for("default-account", token.trim()).expect("it can be written");
    let mut kubectl = Command::new(control_plane.bin_dir().join("kubectl"));
    let refusal = fails(kubectl.arg("--kubeconfig").arg(path).args(["get", "namespaces"]));
    assert_says(&refusal, r#"User "system:serviceaccount:default:default" cannot list"#);
}

#[tokio::test]
async fn it_tells_which_writes_it_got() {
    let control_plane = ControlPlane::shared().await;
    let mark = || control_plane.audit_mark().expect("it is audited");
    let writes = |since: AuditMark| {
        let entries = control_plane.audit_since(since).expect("it is audited");
        let ours = entries.into_iter().filter(|entry| entry.object_ref.name == "counted");
        let facts = ours.map(|entry| (entry.user.username, entry.verb, entry.response_status.code));
        facts.collect::<Vec<_>>()
    };
    let write = |verb: &str, code| ("admin".to_owned(), verb.to_owned(), code);
    let start = mark();
    succeeds(control_plane.kubectl().args(["create", "configmap", "counted"]));
    succeeds(control_plane.kubectl().args(["get", "configmap", "counted"]));
    fails(control_plane.kubectl().args(["create", "configmap", "counted"]));
    assert_eq!(writes(start), [write("create", 201), write("create", 409)]);

    let later = mark();
    succeeds(control_plane.kubectl().args(["delete", "configmap", "counted"]));
    assert_eq!(writes(later), [write("delete", 200)]);
}

#[test]
fn it_is_shared_by_runtimes_that_end_before_it() {
    let urls = [(); 2].map(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let control_plane = runtime.block_on(ControlPlane::shared());
        drop(runtime);
        succeeds(control_plane.kubectl().args(["get", "--raw", "/readyz"]));
        control_plane.url()
    });
    assert_eq!(urls[0], urls[1]);
}

#[tokio::test]
async fn its_parts_stop_and_come_back_with_their_data() {
    let control_plane = ControlPlane::start().await.expect("it starts");
    let mut get = control_plane.kubectl();
    get.args(["get", "configmap", "kept", "--request-timeout=5s"]);
    succeeds(control_plane.kubectl().args(["create", "configmap", "kept"]));

    control_plane.stop_api_server();
    assert_says(&fails(&mut get), "refused");
    control_plane.start_api_server().await.expect("it starts again");
    succeeds(&mut get);

    control_plane.stop_etcd();
    fails(control_plane.kubectl().args(["create", "configmap", "lost", "--request-timeout=5s"]));
    control_plane.start_etcd().await.expect("it starts again");
    succeeds(&mut get);
    succeeds(control_plane.kubectl().args(["create", "namespace", "after"]));
    succeeds(control_plane.kubectl().args(["delete", "namespace", "after", "--timeout=60s"]));
}
