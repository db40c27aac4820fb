//! What is generated into the chart, and from it; `UPDATE_CHART=1 cargo test --test chart` writes it.

use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use kube::ResourceExt;
use zitadel_operator::cli::crd_yaml;
use zitadel_operator::kinds::definitions;

use crate::helm::{chart, repository, template};
use crate::rules::hold_rules;

static WRITING: Mutex<()> = Mutex::new(());

/// A file of the repository has this content, or is given it.
#[track_caller]
pub fn hold(path: &str, content: &str) {
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = repository(path);
    if fs::read_to_string(&file).is_ok_and(|present| present == content) {
        return;
    }
    let update = env::var_os("UPDATE_CHART").is_some();
    assert!(update, "{path} is stale; write it with UPDATE_CHART=1 cargo test --test chart");
    fs::write(&file, content).unwrap();
}

#[test]
fn the_chart_has_the_definitions_that_the_binary_prints() {
    hold_definitions();
}

fn hold_definitions() {
    for crd in definitions() {
        let path = format!("charts/zitadel-operator/files/crds/{}.yaml", crd.name_any());
        hold(&path, &crd_yaml(&crd).unwrap());
    }
    let files = chart().join("files/crds").read_dir().unwrap();
    assert_eq!(files.count(), definitions().len(), "a file belongs to no kind");
}

#[test]
fn the_chart_installs_this_version_of_the_operator() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

const HEAD: &str = "\
# The operator with the chart's default values: kubectl apply --server-side -f charts/install.yaml
# Never `kubectl delete -f` it: with the CustomResourceDefinitions goes every resource, and what it owns in ZITADEL.
apiVersion: v1
kind: Namespace
metadata:
  name: zitadel-operator
  labels:
    app.kubernetes.io/name: zitadel-operator
    pod-security.kubernetes.io/enforce: restricted
";

#[test]
fn the_plain_manifest_is_what_the_chart_renders() {
    hold_definitions();
    hold_rules();
    let rendered = template(&["--set", "crds.keep=false"]);
    // What is said of Helm would be wrong.
    let of_helm = |line: &&str| line.contains("helm.sh/chart: ") || line.ends_with("managed-by: Helm");
    let lines = rendered.lines().filter(|line| !of_helm(line) && !line.starts_with("# Source: "));
    let plain: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    hold("charts/install.yaml", &format!("{HEAD}{}\n", plain.trim_end()));
}
