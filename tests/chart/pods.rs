//! The Pod itself: a Deployment with one that Pod Security refuses would only warn.

use serde_json::{Value, json};

use crate::cluster::{self, Cluster};
use crate::helm::{template, the, value_sets};

/// The Pod of the Deployment, in this namespace.
fn pod(namespace: &str, values: &[&str]) -> Value {
    let mut pod = the("Deployment", values)["spec"]["template"].clone();
    let labels = pod["metadata"]["labels"].clone();
    pod["metadata"] = json!({ "name": "operator", "namespace": namespace, "labels": labels });
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    pod
}

/// A namespace that enforces "restricted", with the account that the Pod runs as.
fn restricted(cluster: &Cluster, namespace: &str, pod: &Value) {
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    let metadata = json!({ "name": namespace, "labels": labels });
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
    cluster.pipe(&["apply", "-f", "-"], &object.to_string());
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap();
    cluster.kubectl(&["create", "serviceaccount", account, "-n", namespace]);
}

#[tokio::test]
async fn the_pod_of_every_value_set_is_let_in_where_restricted_is_enforced() {
    let cluster = cluster::prepared().await;
    for (name, values) in value_sets() {
        let namespace = format!("restricted-{name}");
        let pod = pod(&namespace, &["-f", &values]);
        restricted(cluster, &namespace, &pod);
        let created = cluster.pipe(&["create", "-f", "-"], &pod.to_string());
        assert_eq!(created, "pod/operator created\n", "{name}");
    }
}

#[tokio::test]
async fn a_pod_with_less_than_the_default_restrictions_is_refused() {
    let cluster = cluster::prepared().await;
    for (namespace, value) in [
        ("escalating", "securityContext.allowPrivilegeEscalation=true"),
        ("capable", "securityContext.capabilities.drop=null"),
        ("root", "podSecurityContext.runAsNonRoot=false"),
        ("unconfined", "podSecurityContext.seccompProfile=null"),
    ] {
        let pod = pod(namespace, &["--set", value]);
        restricted(cluster, namespace, &pod);
        let output = cluster.try_pipe(&["create", "-f", "-"], &pod.to_string());
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert!(refusal.contains(r#"violates PodSecurity "restricted"#), "{value}: {refusal}");
    }
}

#[test]
fn nothing_in_the_pod_is_writable_and_no_password_is_an_argument() {
    for (name, values) in value_sets() {
        let pod = pod("ops", &["-f", &values]);
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");
        assert!(!container["args"].to_string().contains("--proxy="), "{name}");
    }
    assert!(!template(&[]).contains("kind: Secret\n"));
}

/// What a flag of the Pod is set to.
fn flags(values: &[&str]) -> Vec<String> {
    let pod = pod("ops", values);
    let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_setting_reaches_the_operator() {
    let set = |values: &str| flags(&["--set", values]);
    for (value, flag) in [
        ("fullnameOverride=idp", "--name=idp"),
        ("log.format=text", "--log-format=text"),
        ("log.filter=debug", "--log=debug"),
        ("concurrency=4", "--concurrency=4"),
        ("maxRequestsPerSecond=50", "--max-requests-per-second=50"),
        ("minResyncSeconds=60", "--min-resync-seconds=60"),
        ("labelSelector=team", "--label-selector=team"),
        ("watchNamespaces={team-a}", "--watch-namespace=team-a"),
        ("proxy.except={.svc}", "--proxy-except=.svc"),
        ("adminPort=9090", "--admin-address=[::]:9090"),
        ("extraArgs={--later}", "--later"),
    ] {
        assert!(set(value).iter().any(|argument| argument == flag), "{value}: {:?}", set(value));
    }
    let proxy = pod("ops", &["--set", "proxy.secretName=egress"]);
    let proxy = proxy["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .find(|env| env["name"] == "PROXY")
        .cloned();
    assert_eq!(proxy.unwrap()["valueFrom"]["secretKeyRef"], json!({ "name": "egress", "key": "url" }));
}

#[test]
fn the_binary_knows_every_flag_and_variable_that_the_chart_sets() {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_zitadel-operator")).args(["run", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let values = ["--set", "labelSelector=a,watchNamespaces={a},proxy.except={a},proxy.secretName=a"];
    for flag in flags(&values).iter().skip(1) {
        let flag = flag.split('=').next().unwrap();
        assert!(help.contains(&format!("{flag} ")), "{flag}");
    }
    let pod = pod("ops", &values);
    for variable in pod["spec"]["containers"][0]["env"].as_array().unwrap() {
        let variable = variable["name"].as_str().unwrap();
        assert!(help.contains(&format!("[env: {variable}")), "{variable}");
    }
}
