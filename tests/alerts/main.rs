//! The alerts fire when they should and not when they should not, and the dashboard shows what there is: evaluated by
//! Prometheus' own `promtool`.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Value, json};
use support::control_plane::{Assets, Binary, ScratchDir};

const ALERTS: &str = "charts/zitadel-operator/files/alerts.yaml";
const DASHBOARD: &str = "charts/zitadel-operator/files/dashboard.json";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// Runs it in the repository; what it printed, if it is content.
fn promtool(arguments: &[&str]) -> String {
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    let path = PROMTOOL.get_or_init(|| {
        let assets = Assets::ensure(&[Binary::Promtool]).unwrap_or_else(|error| panic!("{error}"));
        assets.path(Binary::Promtool)
    });
    let output = Command::new(path).args(arguments).current_dir(repository()).output().unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {printed}");
    printed
}

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(ALERTS)).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// What the dashboard asks, with what Grafana puts in.
fn questions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let questions = targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "5m"));
    questions.collect()
}

/// The metrics that the document has a row for.
fn documented() -> BTreeSet<String> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `zitadel_operator_"));
    rows.map(|row| format!("zitadel_operator_{}", row.split('`').next().unwrap())).collect()
}

/// The metrics that a text names, without what a histogram adds.
fn named(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"zitadel_operator_[a-z_]+").unwrap();
    let base = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"].into_iter();
        ends.filter_map(|end| name.strip_suffix(end)).next().unwrap_or(name).to_owned()
    };
    name.find_iter(text).map(|name| base(name.as_str())).collect()
}

#[test]
fn each_alert_fires_when_it_should_and_not_when_it_should_not() {
    promtool(&["check", "rules", "--lint-fatal", ALERTS]);
    let mut cases = Vec::new();
    for file in ["operator", "kubernetes", "zitadel"] {
        let path = format!("tests/alerts/{file}.yaml");
        promtool(&["test", "rules", &path]);
        let tests: Value = serde_saphyr::from_str(&read(&path)).unwrap();
        let all = tests["tests"].as_array().unwrap().clone().into_iter();
        cases.extend(all.flat_map(|test| test["alert_rule_test"].as_array().cloned().unwrap_or_default()));
    }
    for alert in alerts() {
        let expects = |fires: bool| {
            let expected =
                |case: &Value| case["exp_alerts"].as_array().is_some_and(|all| all.is_empty() != fires);
            cases.iter().any(|case| case["alertname"] == alert["alert"] && expected(case))
        };
        assert!(expects(true) && expects(false), "{}", alert["alert"]);
    }
}

/// What the chart makes of the rules in the release `idp` of the namespace `ops`.
fn rendered(monitor: &str) -> Value {
    let helm = Assets::ensure(&[Binary::Helm]).unwrap_or_else(|error| panic!("{error}")).path(Binary::Helm);
    let values = format!("metrics.rules.enabled=true,metrics.{monitor}.enabled=true,fullnameOverride=idp");
    let show = ["--namespace", "ops", "--show-only", "templates/prometheusrule.yaml", "--set", &values];
    let release = ["template", "idp", "charts/zitadel-operator"];
    let mut helm = Command::new(helm);
    let output = helm.args(release).args(show).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rule: Value = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    rule["spec"].clone()
}

/// What the Prometheus Operator calls the jobs: its documentation of the `jobLabel` of both monitors.
#[test]
fn a_release_that_is_not_scraped_is_told_although_another_is() {
    for (monitor, job) in [("serviceMonitor", "idp-metrics"), ("podMonitor", "ops/idp")] {
        let scratch = ScratchDir::create(&std::env::temp_dir().join("zitadel-operator-rules")).unwrap();
        let tests = scratch.path().join("release.yaml");
        std::fs::write(scratch.path().join("rules.yaml"), rendered(monitor).to_string()).unwrap();
        std::fs::write(&tests, read("tests/alerts/release.yaml").replace("JOB", job)).unwrap();
        promtool(&["test", "rules", tests.to_str().unwrap()]);
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let (alerts, dashboard) = (named(&read(ALERTS)), named(&read(DASHBOARD)));
    let known = documented();
    let unknown: Vec<_> = alerts.union(&dashboard).filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let unseen: Vec<_> = known.iter().filter(|name| !dashboard.contains(*name)).collect();
    assert!(unseen.is_empty(), "not on the dashboard: {unseen:?}");
}

#[test]
fn what_the_dashboard_asks_can_be_answered() {
    let rule = |(at, expr)| json!({ "record": format!("panel:{at}"), "expr": expr });
    let rules: Vec<Value> = questions().into_iter().enumerate().map(rule).collect();
    let scratch = ScratchDir::create(&std::env::temp_dir().join("zitadel-operator-dashboard")).unwrap();
    let path = scratch.path().join("rules.yaml");
    // JSON is YAML.
    std::fs::write(&path, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())
        .unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()]);
}

#[test]
fn each_alert_says_what_to_do() {
    let text = read("docs/metrics.md");
    let headings: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let names = alerts().into_iter().map(|alert| {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let annotations = &alert["annotations"];
        assert_eq!(annotations["runbook"], format!("docs/metrics.md#{}", name.to_lowercase()));
        assert!(annotations["summary"].is_string() && annotations["description"].is_string(), "{name}");
        name
    });
    assert_eq!(names.collect::<Vec<_>>().iter().map(String::as_str).collect::<BTreeSet<_>>(), headings);
}
