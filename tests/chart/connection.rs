//! The ClusterConnection of the chart's values, which no helm command deletes.

use crate::cluster::Cluster;
use crate::helm::the;

/// A ClusterConnection that leads to this host.
fn to(host: &str) -> String {
    format!(
        "connection.create=true,connection.spec.url=https://{host},connection.spec.personalAccessToken.name=zitadel-admin"
    )
}

/// Its URL and UID, as long as nobody deletes it.
#[track_caller]
fn present(cluster: &Cluster) -> (String, String) {
    let path = "jsonpath={.spec.url} {.metadata.uid} {.metadata.deletionTimestamp}";
    let printed = cluster.kubectl(&["get", "clusterconnection", "default", "-o", path]);
    let words: Vec<&str> = printed.split(' ').collect();
    assert_eq!(words[2], "", "it is being deleted");
    (words[0].into(), words[1].into())
}

#[tokio::test]
async fn the_cluster_connection_outlives_every_helm_command_and_follows_the_values() {
    let cluster = Cluster::start().await;
    let release = |command: &str, host: &str| {
        let values = to(host);
        cluster.helm(&[command, "idp", ".", "-n", "ops", "--create-namespace", "--set", &values]);
        present(&cluster)
    };
    let install = || release("install", "one.example.com");
    let (url, uid) = install();
    assert_eq!(url, "https://one.example.com");
    // As the operator does, once resources use it: a deletion would hang.
    let finalizer = r#"{"metadata":{"finalizers":["zitadel-operator.dev/finalizer"]}}"#;
    cluster.kubectl(&["patch", "clusterconnection", "default", "--type=merge", "-p", finalizer]);

    let is = |host: &str| (format!("https://{host}.example.com"), uid.clone());
    assert_eq!(release("upgrade", "two.example.com"), is("two"));
    assert_eq!(release("upgrade", "three.example.com"), is("three"));
    cluster.helm(&["rollback", "idp", "2", "-n", "ops"]);
    assert_eq!(present(&cluster), is("two"));
    // The first release made it by a hook, of which a rollback knows nothing.
    cluster.helm(&["rollback", "idp", "1", "-n", "ops"]);
    assert_eq!(present(&cluster), is("two"));
    cluster.helm(&["upgrade", "idp", ".", "-n", "ops", "--set", "connection.create=false"]);
    assert_eq!(present(&cluster), is("two"));
    cluster.helm(&["uninstall", "idp", "-n", "ops"]);
    assert_eq!(present(&cluster), is("two"));
    assert_eq!(install(), is("one"));
}

#[tokio::test]
async fn a_connection_that_the_definition_refuses_fails_the_upgrade_and_changes_nothing() {
    let cluster = Cluster::start().await;
    cluster.helm(&[
        "install",
        "idp",
        ".",
        "-n",
        "ops",
        "--create-namespace",
        "--set",
        &to("one.example.com"),
    ]);
    let before = present(&cluster);
    let values = to("one.example.com").replace("https", "http");
    let output = cluster.try_helm(&["upgrade", "idp", ".", "-n", "ops", "--set", &values]);
    let refusal = String::from_utf8_lossy(&output.stderr);
    assert!(refusal.contains("plain http sends the credential in the clear"), "{refusal}");
    assert_eq!(present(&cluster), before);
}

#[test]
fn it_is_made_by_a_hook_only_where_its_definition_is_not_there_yet() {
    let values = ["--set", &to("one.example.com")];
    let annotations = |flags: &[&str]| {
        the("ClusterConnection", &[&values, flags].concat())["metadata"]["annotations"].clone()
    };
    assert_eq!(annotations(&[])["helm.sh/hook"], "post-install");
    for ordinary in [
        ["--set", "connection.hook=false"].as_slice(),
        &["--set", "crds.enabled=false"],
        &["--api-versions", "zitadel-operator.dev/v1alpha1"],
        &["--is-upgrade"],
    ] {
        let annotations = annotations(ordinary);
        assert!(annotations.get("helm.sh/hook").is_none(), "{ordinary:?}");
        assert_eq!(annotations["helm.sh/resource-policy"], "keep", "{ordinary:?}");
    }
}

/// Helm deletes an object before it makes it by a hook, unless another policy is named.
#[test]
fn the_hook_never_deletes_what_is_there() {
    let connection = the("ClusterConnection", &["--set", &to("one.example.com")]);
    assert_eq!(connection["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "hook-failed");
}
