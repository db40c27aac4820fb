//! A value that is misspelt, or of the wrong type, is refused with its place.

use std::path::Path;

use support::control_plane::ScratchDir;

use crate::helm::{chart, helm, objects};

/// What helm says to these values.
#[track_caller]
fn refused(set: &str) -> String {
    let output = helm(&["template", "zitadel-operator", ".", "--set", set]);
    assert!(!output.status.success(), "{set} was taken");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_typo_is_an_error_that_names_it() {
    for (set, place, name) in [
        ("replicas=2", "at ''", "replicas"),
        ("image.repo=x", "at '/image'", "repo"),
        ("crds.keeps=true", "at '/crds'", "keeps"),
        ("metrics.serviceMonitor.labls.a=b", "at '/metrics/serviceMonitor'", "labls"),
        ("metrics.rule.enabled=true", "at '/metrics'", "rule"),
        ("log.level=debug", "at '/log'", "level"),
        ("serviceAccount.annotation.a=b", "at '/serviceAccount'", "annotation"),
        ("networkPolicy.ingress={a}", "at '/networkPolicy'", "ingress"),
        ("podDisruptionBudget.minAvailable=1", "at '/podDisruptionBudget'", "minAvailable"),
        ("livenessProbe.period=1", "at '/livenessProbe'", "period"),
    ] {
        let refusal = refused(set);
        assert!(
            refusal.contains(&format!("{place}: additional properties '{name}' not allowed")),
            "{refusal}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_range_is_an_error_that_names_it() {
    for (set, place) in [
        ("replicaCount=two", "/replicaCount"),
        ("replicaCount=-1", "/replicaCount"),
        ("concurrency=0", "/concurrency"),
        ("concurrency=1001", "/concurrency"),
        ("maxRequestsPerSecond=1001", "/maxRequestsPerSecond"),
        ("minResyncSeconds=0", "/minResyncSeconds"),
        ("adminPort=70000", "/adminPort"),
        ("adminPort=80", "/adminPort"),
        ("image.digest=latest", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("log.format=yaml", "/log/format"),
        ("watchNamespaces=team-a", "/watchNamespaces"),
        ("watchNamespaces={Team A}", "/watchNamespaces/0"),
        ("watchNamespaces={a,a}", "/watchNamespaces"),
        ("secretNamespaces=team-a", "/secretNamespaces"),
        ("crds.enabled=maybe", "/crds/enabled"),
        ("enabled=maybe", "/enabled"),
        ("commonLabels=a", "/commonLabels"),
        ("podDisruptionBudget.maxUnavailable=most", "/podDisruptionBudget/maxUnavailable"),
        ("metrics.podMonitor.interval=often", "/metrics/podMonitor/interval"),
        ("extraArgs=--later", "/extraArgs"),
        ("connection.name=Default", "/connection/name"),
    ] {
        let refusal = refused(set);
        assert!(refusal.contains(&format!("at '{place}'")), "{set}: {refusal}");
    }
}

#[test]
fn a_connection_to_create_needs_a_url_and_the_name_of_its_secret() {
    assert!(refused("connection.create=true").contains("missing property 'url'"));
    let url = "connection.create=true,connection.spec.url=https://zitadel.example.com";
    assert!(refused(url).contains("at '/connection/spec': 'oneOf' failed, none matched"));
}

#[test]
fn metrics_are_not_scraped_twice() {
    let both = "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true";
    assert!(refused(both).contains("choose one of metrics.serviceMonitor and metrics.podMonitor"));
}

/// A chart with this one in it, on a condition.
fn parent(directory: &Path) {
    let dependency = "{name: zitadel-operator, version: '>=0-0', condition: zitadel-operator.enabled}";
    let chart = format!("apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies: [{dependency}]\n");
    std::fs::write(directory.join("Chart.yaml"), chart).unwrap();
    let output = helm(&["package", ".", "--destination", directory.join("charts").to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_parent_chart_turns_it_on_and_off_by_a_condition() {
    let scratch = ScratchDir::create(&std::env::temp_dir().join("zitadel-operator-parent")).unwrap();
    parent(scratch.path());
    let rendered = |condition: &str| {
        let output = helm(&["template", "idp", scratch.path().to_str().unwrap(), "--set", condition]);
        assert!(output.status.success(), "{output:?}");
        objects(&String::from_utf8(output.stdout).unwrap()).len()
    };
    assert!(rendered("zitadel-operator.enabled=true") > 1);
    assert_eq!(rendered("zitadel-operator.enabled=false"), 0);
}

#[test]
fn the_schema_describes_every_value() {
    let read = |name: &str| std::fs::read_to_string(chart().join(name)).unwrap();
    let values: serde_json::Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    for (name, value) in values.as_object().unwrap() {
        let described = &schema["properties"][name];
        assert!(described.is_object(), "{name}");
        let strict = described["additionalProperties"] == false;
        for inner in value.as_object().into_iter().filter(|_| strict).flatten() {
            assert!(described["properties"][inner.0].is_object(), "{name}.{}", inner.0);
        }
    }
}
