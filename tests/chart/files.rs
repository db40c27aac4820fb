//! What is generated into the chart, and from it; `UPDATE_CHART=1 cargo test --test chart` writes it.

use std::{env, fs};

use kube::ResourceExt;
use zitadel_operator::api::crd;
use zitadel_operator::cli::crd_yaml;

use crate::helm::{chart, repository, template};

/// A file of the repository has this content, or is given it.
#[track_caller]
pub fn hold(path: &str, content: &str) {
    let file = repository(path);
    if env::var_os("UPDATE_CHART").is_some() {
        fs::write(&file, content).unwrap();
    }
    let present = fs::read_to_string(&file).unwrap_or_default();
    assert!(present == content, "{path} is stale; write it with UPDATE_CHART=1 cargo test --test chart");
}

#[test]
fn the_chart_has_the_definitions_that_the_binary_prints() {
    for crd in crd::all() {
        let path = format!("charts/zitadel-operator/files/crds/{}.yaml", crd.name_any());
        hold(&path, &crd_yaml(&crd).unwrap());
    }
    let files = chart().join("files/crds").read_dir().unwrap();
    assert_eq!(files.count(), crd::all().len(), "a file belongs to no kind");
}

#[test]
fn the_chart_installs_this_version_of_the_operator() {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&fs::read_to_string(chart().join("Chart.yaml")).unwrap()).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

const HEAD: &str = "\
# The operator with the chart's default values: kubectl apply --server-side -f charts/install.yaml
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
    let rendered = template(&["--set", "crds.keep=false"]);
    // What is said of Helm would be wrong.
    let of_helm = |line: &&str| line.contains("helm.sh/chart: ") || line.ends_with("managed-by: Helm");
    let lines = rendered.lines().filter(|line| !of_helm(line) && !line.starts_with("# Source: "));
    let plain: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    hold("charts/install.yaml", &format!("{HEAD}{}\n", plain.trim_end()));
}
