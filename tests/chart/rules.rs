//! The rules of the chart's roles follow from the registry.

use std::collections::BTreeSet;

use zitadel_operator::api::GROUP;
use zitadel_operator::kinds::{definitions, registry};

use crate::files::hold;

/// The plural names of what is in a namespace, or of what is in none.
fn plurals(scope: &str) -> Vec<String> {
    let definitions = definitions().into_iter().filter(|crd| crd.spec.scope == scope);
    let plurals: BTreeSet<String> = definitions.map(|crd| crd.spec.names.plural).collect();
    plurals.into_iter().collect()
}

/// The plural names of what is made in ZITADEL.
fn workloads() -> Vec<String> {
    let kinds: BTreeSet<&str> = registry().iter().map(|entry| entry.kind).collect();
    let names = definitions().into_iter().map(|crd| crd.spec.names);
    let plurals: BTreeSet<String> =
        names.filter(|names| kinds.contains(names.kind.as_str())).map(|names| names.plural).collect();
    plurals.into_iter().collect()
}

fn statuses(plurals: &[String]) -> Vec<String> {
    plurals.iter().map(|plural| format!("{plural}/status")).collect()
}

fn rule(group: &str, resources: &[impl AsRef<str>], verbs: &str) -> String {
    let resources: Vec<&str> = resources.iter().map(AsRef::as_ref).collect();
    format!("- apiGroups: [{group}]\n  resources: [{}]\n  verbs: [{verbs}]\n", resources.join(", "))
}

/// Following resources: patched are finalizers and annotations, never the spec.
fn followed(plurals: &[String]) -> String {
    rule(GROUP, plurals, "get, list, watch, patch") + &rule(GROUP, &statuses(plurals), "patch")
}

#[test]
fn the_rules_are_those_that_the_registry_asks_for() {
    hold_rules();
}

/// Each file of rules is what it should be.
pub fn hold_rules() {
    let (here, nowhere) = (plurals("Namespaced"), plurals("Cluster"));
    // The labels of namespaces decide who may use a ClusterConnection.
    let cluster = followed(&nowhere) + &rule("\"\"", &["namespaces"], "list, watch");
    let events = rule("events.k8s.io", &["events"], "create, patch");
    for (name, rules) in [
        ("cluster", cluster),
        ("followed", followed(&here) + &events),
        // Whether a resource elsewhere owns an object is asked before it is taken.
        ("elsewhere", rule(GROUP, &workloads(), "list")),
        ("events", events),
        ("view", rule(GROUP, &here, "get, list, watch")),
        ("edit", rule(GROUP, &here, "create, delete, deletecollection, patch, update")),
    ] {
        hold(&format!("charts/zitadel-operator/files/rules/{name}.yaml"), &rules);
    }
    let files = crate::helm::chart().join("files/rules").read_dir().unwrap();
    assert_eq!(files.count(), 6, "a file belongs to no rules");
}
