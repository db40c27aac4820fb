//! Who is let do what. The rules themselves: `rules.rs`; what they are good for: docs/security.md.

use std::collections::BTreeSet;

use serde_json::Value;

use zitadel_operator::connection::installation::Installation;

use crate::cluster::Cluster;
use crate::helm::{rendered, repository, template, value_sets};

const NAMESPACES: [&str; 2] = ["--set", "watchNamespaces={team-a,team-b}"];

/// The names of these objects, in a namespace or in none.
fn names(objects: &[Value], namespace: Option<&str>) -> BTreeSet<String> {
    let there = objects.iter().filter(|object| object["metadata"]["namespace"].as_str() == namespace);
    there.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// `resource verb` of the rules that are bound in the whole cluster.
fn everywhere(values: &[&str]) -> BTreeSet<String> {
    let bound: Vec<Value> = rendered("ClusterRoleBinding", values)
        .iter()
        .map(|binding| binding["roleRef"]["name"].clone())
        .collect();
    let roles = rendered("ClusterRole", values).into_iter();
    let roles = roles.filter(|role| bound.contains(&role["metadata"]["name"]));
    let rules: Vec<Value> = roles.flat_map(|role| role["rules"].as_array().cloned().unwrap()).collect();
    let words = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let each = |rule: &Value| {
        let verbs = words(&rule["verbs"]);
        let resources = words(&rule["resources"]);
        resources
            .into_iter()
            .flat_map(move |resource| verbs.clone().into_iter().map(move |verb| format!("{resource} {verb}")))
            .collect::<Vec<_>>()
    };
    rules.iter().flat_map(each).collect()
}

#[test]
fn no_value_set_grants_secrets_in_the_whole_cluster_or_a_wildcard() {
    for (name, values) in value_sets() {
        let granted = everywhere(&["-f", &values]);
        let much = |right: &&String| {
            right.contains("secrets") || right.contains("configmaps") || right.contains('*')
        };
        assert!(!granted.iter().any(|right| much(&right)), "{name}: {granted:?}");
    }
}

#[test]
fn with_watch_namespaces_only_what_is_in_none_is_written_in_the_whole_cluster() {
    let granted = everywhere(&NAMESPACES);
    let written: Vec<&String> = granted.iter().filter(|right| right.ends_with(" patch")).collect();
    assert_eq!(written, ["clusterconnections patch", "clusterconnections/status patch"]);
    let seen = granted.iter().filter(|right| right.ends_with(" watch")).collect::<Vec<_>>();
    assert_eq!(seen, ["clusterconnections watch", "namespaces watch"]);
    assert!(!granted.iter().any(|right| right.starts_with("events ")));
}

#[test]
fn with_watch_namespaces_each_of_them_has_a_role_and_its_binding() {
    let (roles, bindings) = (rendered("Role", &NAMESPACES), rendered("RoleBinding", &NAMESPACES));
    for namespace in ["team-a", "team-b"] {
        let expected = BTreeSet::from(["zitadel-operator-resources".to_owned()]);
        assert_eq!(names(&roles, Some(namespace)), expected);
        assert_eq!(names(&bindings, Some(namespace)), expected);
    }
    // Events about ClusterConnections are there.
    assert_eq!(names(&roles, Some("default")), BTreeSet::from(["zitadel-operator-events".to_owned()]));
    let default = rendered("Role", &["--set", "watchNamespaces={default}"]);
    assert_eq!(names(&default, Some("default")), BTreeSet::from(["zitadel-operator-resources".to_owned()]));
}

#[test]
fn secret_namespaces_bind_the_secret_reader_and_no_others_do() {
    let bindings = rendered("RoleBinding", &["--set", "secretNamespaces={team-a}"]);
    let reader = |binding: &&Value| binding["roleRef"]["kind"] == "ClusterRole";
    let bound: Vec<&Value> = bindings.iter().filter(reader).collect();
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0]["metadata"]["namespace"], "team-a");
    assert_eq!(bound[0]["roleRef"]["name"], "zitadel-operator-secret-reader");
    assert!(!rendered("RoleBinding", &[]).iter().any(|binding| reader(&binding)));
}

#[test]
fn every_binding_is_for_the_account_of_the_pod() {
    for values in [["--set", "serviceAccount.name=idp"], ["--set", "serviceAccount.create=false"]] {
        let account = match values[1] {
            "serviceAccount.name=idp" => "idp",
            _ => "default",
        };
        let bindings = [rendered("RoleBinding", &values), rendered("ClusterRoleBinding", &values)].concat();
        assert!(bindings.iter().all(|binding| binding["subjects"][0]["name"] == account), "{account}");
        assert!(template(&values).contains(&format!("serviceAccountName: {account}\n")));
    }
}

/// The command in the messages of the release `zitadel-operator`.
fn remedy(namespace: &str) -> String {
    let [name, own, account] = ["zitadel-operator"; 3].map(str::to_owned);
    let installation =
        Installation { namespace: own, name, service_account: account, in_cluster: true, proxy: None };
    installation.reading(namespace)
}

#[tokio::test]
async fn a_namespace_that_was_let_read_by_hand_is_taken_into_the_values_later() {
    let cluster = Cluster::start().await;
    let release = |command: &str, values: &str| {
        let flags = ["-n", "zitadel-operator", "--create-namespace", "--set", values];
        cluster.helm(&[[command, "zitadel-operator", "."].as_slice(), &flags].concat());
    };
    release("install", "");
    cluster.kubectl(&["create", "namespace", "team-a"]);
    cluster.kubectl(&remedy("team-a").split(' ').skip(1).collect::<Vec<_>>());
    release("upgrade", "secretNamespaces={team-a}");
    let bound =
        cluster.kubectl(&["get", "rolebindings", "-n", "team-a", "-o", "jsonpath={.items[*].roleRef.name}"]);
    assert_eq!(bound, "zitadel-operator-secret-reader zitadel-operator-secret-reader");
}

#[test]
fn documents_and_examples_bind_the_secret_reader_as_messages_do() {
    for (path, namespace) in [
        ("docs/connections.md", "team-a"),
        ("docs/troubleshooting.md", "team-a"),
        ("examples/connection.yaml", "shop"),
        ("examples/org-metadata.yaml", "shop"),
    ] {
        let text = std::fs::read_to_string(repository(path)).unwrap().replace("\n#", "\n");
        let text = text.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&remedy(namespace)), "{path}");
    }
}
