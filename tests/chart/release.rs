//! What a tag may release.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::control_plane::ScratchDir;

use crate::helm::repository;

const MANIFEST: &str = "[package]\nname = \"zitadel-operator\"\nversion = \"1.2.3\"\n";

/// What the workflow asks of the tag v1.2.3, where Cargo.toml says the same and the chart this.
fn names(directory: &Path, version: &str, app_version: &str) -> Output {
    let write = |path: &str, text: &str| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", MANIFEST);
    write("Cargo.lock", &MANIFEST.replace("[package]", "version = 4\n[[package]]"));
    write("src/main.rs", "");
    let chart = format!("apiVersion: v2\nversion: {version}\nappVersion: {app_version}\n");
    write("charts/zitadel-operator/Chart.yaml", &chart);
    write(".ci/release/names", &fs::read_to_string(repository(".ci/release/names")).unwrap());
    let script = directory.join(".ci/release/names");
    Command::new("bash").arg(script).args(["v1.2.3", "Acme/Operator"]).output().unwrap()
}

#[test]
fn a_tag_releases_only_where_the_crate_and_the_chart_have_its_version() {
    let scratch = ScratchDir::create(&std::env::temp_dir().join("zitadel-operator-release")).unwrap();
    for (version, app_version, refusal) in [
        ("1.2.3", "1.2.3", ""),
        ("1.2.2", "1.2.3", "the tag says 1.2.3, version in Chart.yaml 1.2.2"),
        ("1.2.3", "1.2.2", "the tag says 1.2.3, appVersion in Chart.yaml 1.2.2"),
    ] {
        let output = names(scratch.path(), version, app_version);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), refusal.is_empty(), "{version} {app_version}: {output:?}");
        assert!(said.contains(refusal), "{said}");
    }
}
