//! The roles of the plain manifest, which the chart renders, grant every kind what it needs, and nothing besides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::Value;
use zitadel_operator::api::GROUP;
use zitadel_operator::kinds::{definitions, registry};

fn manifest() -> Vec<Value> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/install.yaml");
    serde_saphyr::from_multiple(&fs::read_to_string(manifest).unwrap()).unwrap()
}

/// The resources that a role of the manifest grants in our API group, by verb.
fn granted(role: &str) -> BTreeMap<String, BTreeSet<String>> {
    let documents = manifest();
    let is_it = |object: &&Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == role;
    let object = documents.iter().find(is_it).expect("the manifest has the role");
    let role: ClusterRole = serde_json::from_value(object.clone()).unwrap();
    let rules = role.rules.unwrap().into_iter();
    let mut granted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in rules.filter(|rule| rule.api_groups.iter().flatten().any(|group| group == GROUP)) {
        for verb in rule.verbs {
            granted.entry(verb).or_default().extend(rule.resources.iter().flatten().cloned());
        }
    }
    granted
}

/// The plural names of all kinds, or of those in namespaces.
fn plurals(cluster_scoped_too: bool) -> BTreeSet<String> {
    let wanted = definitions().into_iter().filter(|crd| cluster_scoped_too || crd.spec.scope == "Namespaced");
    wanted.map(|crd| crd.spec.names.plural).collect()
}

fn each(verbs: &[&str], resources: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    verbs.iter().map(|verb| ((*verb).to_owned(), resources.clone())).collect()
}

#[test]
fn a_kind_of_the_registry_has_a_definition_and_no_other_has_but_the_connections() {
    let defined: BTreeSet<String> = definitions().into_iter().map(|crd| crd.spec.names.kind).collect();
    let registered = registry().into_iter().map(|entry| entry.kind);
    let expected = registered.chain(["Connection", "ClusterConnection"]).map(str::to_owned).collect();
    assert_eq!(defined, expected);
}

#[test]
fn the_operator_follows_and_patches_every_kind_and_writes_nothing_but_patches_of_it() {
    let kinds = plurals(true);
    let mut expected = each(&["get", "list", "watch", "patch"], &kinds);
    let statuses = kinds.iter().map(|plural| format!("{plural}/status"));
    expected.entry("patch".into()).or_default().extend(statuses);
    assert_eq!(granted("zitadel-operator"), expected);
}

#[test]
fn people_read_and_write_every_kind_of_a_namespace_and_never_its_status() {
    let kinds = plurals(false);
    assert_eq!(granted("zitadel-operator-view"), each(&["get", "list", "watch"], &kinds));
    let writes = ["create", "delete", "deletecollection", "patch", "update"];
    assert_eq!(granted("zitadel-operator-edit"), each(&writes, &kinds));
}

#[test]
fn what_is_granted_everywhere_has_no_secret_no_config_map_and_no_wildcard() {
    let objects = manifest();
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let bound = of_kind("ClusterRoleBinding").map(|binding| binding["roleRef"]["name"].clone());
    let bound: Vec<Value> = bound.collect();
    assert_eq!(bound, ["zitadel-operator"]);
    for role in of_kind("ClusterRole").chain(of_kind("Role")) {
        let everywhere = role["kind"] == "ClusterRole" && bound.contains(&role["metadata"]["name"]);
        let rules = role["rules"].to_string();
        let values = ["\"secrets\"", "\"configmaps\""].iter().any(|resource| rules.contains(resource));
        assert!(!(rules.contains('*') || everywhere && values), "{rules}");
    }
}
