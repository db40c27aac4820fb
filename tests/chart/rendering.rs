//! What the chart renders is the same each time, named after the release, and taken by the API server.

use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use crate::cluster;
use crate::helm::{chart, helm, objects, rendered, template, the, value_sets};

/// Of the functions of templates those whose result depends on more than the values.
const FORBIDDEN: &str =
    r"\b(lookup|rand\w*|shuffle|gen[A-Z]\w*|uuidv4|now|ago|htpasswd|bcrypt|encryptAES|getHostByName)\b";

#[test]
fn rendering_twice_gives_the_same_and_asks_no_cluster() {
    for (name, values) in value_sets() {
        assert_eq!(template(&["-f", &values]), template(&["-f", &values]), "{name}");
    }
    let (forbidden, actions) = (Regex::new(FORBIDDEN).unwrap(), Regex::new(r"(?s)\{\{.*?\}\}").unwrap());
    for entry in chart().join("templates").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let found = actions.find_iter(&text).find(|action| forbidden.is_match(action.as_str()));
        assert!(found.is_none(), "{path:?}: {found:?}");
    }
}

#[test]
fn helm_finds_nothing_to_mend() {
    for (name, values) in value_sets() {
        let output = helm(&["lint", ".", "--strict", "-f", &values]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !printed.contains("[WARNING]"), "{name}: {printed}");
    }
}

#[tokio::test]
async fn the_api_server_takes_every_value_set_without_a_warning() {
    let cluster = cluster::prepared().await;
    let sets = value_sets();
    assert_eq!(sets.len(), 5);
    for (name, values) in sets {
        let rendered = template(&["-f", &values]);
        let printed = cluster.pipe(&["apply", "--dry-run=server", "-f", "-"], &rendered);
        assert_eq!(printed.lines().count(), objects(&rendered).len(), "{name}: {printed}");
    }
}

#[tokio::test]
async fn the_api_server_takes_the_plain_manifest_without_a_warning() {
    let cluster = cluster::prepared().await;
    let plain = fs::read_to_string(crate::helm::repository("charts/install.yaml")).unwrap();
    let printed = cluster.pipe(&["apply", "--dry-run=server", "-f", "-"], &plain);
    assert_eq!(printed.lines().count(), objects(&plain).len(), "{printed}");
}

#[test]
fn two_releases_have_no_object_in_common_but_the_definitions() {
    let named = |release: &str| {
        let output = helm(&["template", release, ".", "-n", "ops", "--set", "watchNamespaces={default,ops}"]);
        let objects = objects(&String::from_utf8(output.stdout).unwrap());
        let own = objects.into_iter().filter(|object| object["kind"] != "CustomResourceDefinition");
        own.map(|object| format!("{} {}", object["kind"], object["metadata"]["name"])).collect::<Vec<_>>()
    };
    let (one, other) = (named("one"), named("other"));
    assert!(!one.is_empty() && one.iter().all(|name| !other.contains(name)), "{one:?} {other:?}");
}

#[test]
fn a_digest_wins_over_a_tag() {
    let image = |values: &[&str]| {
        the("Deployment", values)["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    let repository = "ghcr.io/zitadel-operator/zitadel-operator";
    assert_eq!(image(&[]), format!("{repository}:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(image(&["--set", "image.tag=edge"]), format!("{repository}:edge"));
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let pinned = format!("image.tag=edge,image.digest={digest}");
    assert_eq!(image(&["--set", &pinned]), format!("{repository}@{digest}"));
}

#[test]
fn a_single_replica_has_no_disruption_budget() {
    assert_eq!(rendered("PodDisruptionBudget", &[]).len(), 1);
    assert_eq!(rendered("PodDisruptionBudget", &["--set", "replicaCount=1"]).len(), 0);
}

#[test]
fn replicas_prefer_different_nodes() {
    let pod = &the("Deployment", &[])["spec"]["template"];
    let spread = &pod["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(spread["labelSelector"]["matchLabels"], pod["metadata"]["labels"]);
}

#[test]
fn every_object_carries_the_common_labels() {
    for (_, values) in value_sets() {
        for object in objects(&template(&["-f", &values, "--set", "commonLabels.team=identity"])) {
            assert_eq!(object["metadata"]["labels"]["team"], "identity", "{object}");
        }
    }
}

/// The labels of an object, of the Pod for a Deployment, under values which say some of them twice.
fn overlapping(kind: &str, name: &str) -> Value {
    let monitoring = chart().join("ci/monitoring-values.yaml");
    let common = json!({
        "team": "common", "release": "common",
        "app.kubernetes.io/name": "common", "app.kubernetes.io/instance": "common",
        "app.kubernetes.io/component": "common", "app.kubernetes.io/managed-by": "common",
        "app.kubernetes.io/version": "common", "rbac.authorization.k8s.io/aggregate-to-edit": "common",
    });
    let common = format!("commonLabels={common}");
    let pods = r#"podLabels={"team":"pods","app.kubernetes.io/instance":"pods"}"#;
    let values = ["-f", monitoring.to_str().unwrap(), "--set-json", &common, "--set-json", pods];
    let mut objects = rendered(kind, &values).into_iter();
    let object = objects.find(|object| object["metadata"]["name"] == name).unwrap();
    match kind {
        "Deployment" => object["spec"]["template"]["metadata"]["labels"].clone(),
        _ => object["metadata"]["labels"].clone(),
    }
}

#[test]
fn of_labels_that_overlap_the_more_specific_is_there_and_always_what_is_selected_by() {
    let selected = ["app.kubernetes.io/name", "app.kubernetes.io/instance"];
    for (kind, end, label, value) in [
        ("Deployment", "", "team", "pods"),
        ("Deployment", "", "release", "common"),
        ("PodDisruptionBudget", "", "app.kubernetes.io/version", "common"),
        ("PodDisruptionBudget", "", "app.kubernetes.io/managed-by", "Helm"),
        ("Service", "-metrics", "app.kubernetes.io/component", "metrics"),
        ("ServiceMonitor", "", "release", "prometheus"),
        ("PrometheusRule", "", "release", "prometheus"),
        ("ConfigMap", "-dashboard", "grafana_dashboard", "1"),
        ("ClusterRole", "-edit", "rbac.authorization.k8s.io/aggregate-to-edit", "true"),
    ] {
        let labels = overlapping(kind, &format!("zitadel-operator{end}"));
        assert_eq!(labels[label], value, "{kind} {label}");
        assert!(selected.iter().all(|label| labels[label] == "zitadel-operator"), "{kind}: {labels}");
    }
}

#[test]
fn of_annotations_that_overlap_one_is_there() {
    let pod = r#"podAnnotations={"kubectl.kubernetes.io/default-container":"mesh"}"#;
    let deployment = the("Deployment", &["--set-json", pod]);
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["kubectl.kubernetes.io/default-container"], "mesh");
    let created = r#"connection={"create":true,"annotations":{"helm.sh/resource-policy":"none"},
        "spec":{"url":"https://a.example","personalAccessToken":{"name":"a"}}}"#;
    let connection = the("ClusterConnection", &["--set-json", created]);
    assert_eq!(connection["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
}

#[test]
fn a_closed_network_reaches_name_servers_those_of_openshift_too() {
    let egress = r#"networkPolicy={"enabled":true,"egress":[{"ports":[{"port":443}]}]}"#;
    let policy = the("NetworkPolicy", &["--set-json", egress]);
    let port = |port: u16, protocol: &str| json!({ "port": port, "protocol": protocol });
    let names = [port(53, "UDP"), port(53, "TCP"), port(5353, "UDP"), port(5353, "TCP")];
    assert_eq!(policy["spec"]["egress"], json!([{ "ports": names }, { "ports": [{ "port": 443 }] }]));
}
