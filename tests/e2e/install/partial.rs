//! An operator of some namespaces only, with the rights that the chart's `watchNamespaces` gives it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_some_namespaces_writes_and_reads_values_in_no_other() {
    const USER: &str = "system:serviceaccount:zitadel-operator:partial";
    let (cluster, zitadel) = (Cluster::install().await, double().await);
    let organization = zitadel.add_organization("acme");
    for namespace in ["followed", "private", "other"] {
        cluster.kubectl(&["create", "namespace", namespace]);
    }
    let values = "crds.enabled=false,fullnameOverride=partial,watchNamespaces={followed,private},secretNamespaces={followed}";
    cluster.helm(&["install", "partial", "charts/zitadel-operator", "-n", NAMESPACE, "--set", values]);
    for kind in ["zproj", "zorgmeta", "zconn"] {
        assert!(!cluster.can(USER, &["patch", kind, "-n", "other"]), "{kind}");
    }
    assert!(!cluster.can(USER, &["get", "secrets", "-n", "other"]));

    let start = cluster.0.audit_mark().unwrap();
    let operator = cluster.run_operator_of("partial");
    let (admin, endpoint) = (operator.admin(), endpoint(&zitadel));
    let mut shared = ours("ClusterConnection", "", "default", &endpoint);
    shared["spec"]["access"] = json!([{ "namespaceSelector": {}, "organizations": [{ "name": "acme" }] }]);
    cluster.apply(&secret(NAMESPACE, &zitadel.admin_token()));
    cluster.apply(&shared);
    cluster.apply(&secret("followed", &zitadel.admin_token()));
    cluster.apply(&ours("Connection", "followed", "own", &endpoint));
    cluster.apply(&ours("Project", "followed", "shared", &json!({})));
    cluster.apply(&ours("Project", "other", "left", &json!({})));
    cluster.wait_for_reason("followed", "zproj/shared", "Available");
    assert_eq!(zitadel.projects(&organization).len(), 1);
    assert_every_kind_works(&cluster, &zitadel, "followed");
    until_ready(&admin).await;
    assert_eq!(cluster.refused_to(USER, start), [""; 0]);
    assert_the_remedy_is_of_this_release(&cluster, &endpoint, &zitadel);
    assert_eq!(operator.terminate().await.0.code(), Some(0));
}

/// Where Secrets may not be read yet, the message has a command with the names of this release.
fn assert_the_remedy_is_of_this_release(cluster: &Cluster, endpoint: &Value, zitadel: &Double) {
    cluster.apply(&secret("private", &zitadel.admin_token()));
    cluster.apply(&ours("Connection", "private", "own", endpoint));
    let message = cluster.wait_for_reason("private", "zconn/own", "CredentialsUnavailable");
    cluster.paste(&message[message.find("kubectl create rolebinding").unwrap()..]);
    cluster.kubectl(&[
        "annotate",
        "-n",
        "private",
        "zconn/own",
        "zitadel-operator.dev/reconcile-requested-at=now",
    ]);
    cluster.wait_for_reason("private", "zconn/own", "Available");
}
