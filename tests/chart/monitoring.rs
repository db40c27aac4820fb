//! What Prometheus and Grafana are given.

use std::fs;

use serde_json::Value;

use crate::helm::{chart, rendered, the};

#[test]
fn nothing_of_it_is_installed_by_default() {
    for kind in ["Service", "ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "NetworkPolicy"] {
        assert_eq!(rendered(kind, &[]), [Value::Null; 0], "{kind}");
    }
}

#[test]
fn a_service_monitor_finds_its_service_and_its_port() {
    let values = ["--set", "metrics.serviceMonitor.enabled=true"];
    let (monitor, service) = (the("ServiceMonitor", &values), the("Service", &values));
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(wanted.iter().all(|(name, value)| &service["metadata"]["labels"][name] == value));
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    let pod = &the("Deployment", &values)["spec"]["template"];
    assert_eq!(service["spec"]["ports"][0]["targetPort"], pod["spec"]["containers"][0]["ports"][0]["name"]);
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
}

#[test]
fn a_pod_monitor_needs_no_service() {
    let values = ["--set", "metrics.podMonitor.enabled=true"];
    let (monitor, pod) = (the("PodMonitor", &values), the("Deployment", &values)["spec"]["template"].clone());
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    assert_eq!(
        monitor["spec"]["podMetricsEndpoints"][0]["port"],
        pod["spec"]["containers"][0]["ports"][0]["name"]
    );
    assert!(rendered("Service", &values).is_empty());
}

#[test]
fn without_a_monitor_the_rules_and_the_dashboard_are_the_files_as_they_are() {
    let read = |name: &str| fs::read_to_string(chart().join("files").join(name)).unwrap();
    let rule = the("PrometheusRule", &["--set", "metrics.rules.enabled=true"]);
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yaml")).unwrap();
    assert_eq!(rule["spec"], alerts);
    let map = the("ConfigMap", &["--set", "metrics.dashboard.enabled=true"]);
    let dashboard = map["data"]["zitadel-operator.json"].as_str().unwrap();
    assert_eq!(dashboard.trim(), read("dashboard.json").trim());
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
}
