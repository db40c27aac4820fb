//! The real helm on the chart of this repository, without a cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use support::control_plane::{Assets, Binary};

static ASSETS: OnceLock<Assets> = OnceLock::new();

/// The file with this path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The chart's directory.
pub fn chart() -> PathBuf {
    repository("charts/zitadel-operator")
}

/// The value sets that the chart is tried with, by name.
pub fn value_sets() -> Vec<(String, String)> {
    let files = chart().join("ci").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().trim_end_matches("-values").to_owned();
        (name, path.to_str().unwrap().to_owned())
    };
    let mut sets: Vec<_> = files.map(named).collect();
    sets.sort();
    sets
}

/// `helm` with these arguments; a kubeconfig or settings of the caller's are none to it.
pub fn helm(arguments: &[&str]) -> Output {
    let assets = ASSETS.get_or_init(|| Assets::ensure(&[Binary::Helm]).unwrap());
    let mut command = Command::new(assets.path(Binary::Helm));
    command.args(arguments).env_clear().env("HOME", env!("CARGO_TARGET_TMPDIR")).current_dir(chart());
    command.output().unwrap()
}

/// What the release `zitadel-operator` in the namespace of this name consists of, under these values.
#[track_caller]
pub fn template(values: &[&str]) -> String {
    let release = ["template", "zitadel-operator", ".", "--namespace", "zitadel-operator"];
    let output = helm(&[&release, values].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{values:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The objects in a stream of YAML; a key that is there twice is an error, as it is to Flux.
pub fn objects(yaml: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    objects.retain(|object| !object.is_null());
    objects
}

/// The objects of this kind under these values.
#[track_caller]
pub fn rendered(kind: &str, values: &[&str]) -> Vec<Value> {
    let mut objects = objects(&template(values));
    objects.retain(|object| object["kind"] == kind);
    objects
}

/// The only object of this kind under these values.
#[track_caller]
pub fn the(kind: &str, values: &[&str]) -> Value {
    let mut objects = rendered(kind, values);
    assert_eq!(objects.len(), 1, "{kind}");
    objects.remove(0)
}

#[test]
#[should_panic(expected = "duplicate mapping key")]
fn a_key_that_is_there_twice_is_an_error() {
    objects("kind: ConfigMap\nmetadata: {labels: {team: a, team: b}}\n");
}
