//! The manifests that a reader copies, and the playground that shows them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::control_plane::ControlPlane;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let directory = repository().join("examples").read_dir().unwrap();
    let mut files: Vec<PathBuf> = directory.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[track_caller]
fn succeeds_silently(output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn a_reader_can_apply_every_example_as_it_is() {
    let control_plane = ControlPlane::start().await.unwrap();
    let kubectl =
        |arguments: &[&str]| control_plane.kubectl().args(arguments).current_dir(repository()).output();
    succeeds_silently(&kubectl(&["apply", "-f", "crds/"]).unwrap());
    succeeds_silently(
        &kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).unwrap(),
    );
    succeeds_silently(&kubectl(&["create", "namespace", "zitadel-operator"]).unwrap());
    let files = examples();
    assert!(!files.is_empty());
    for file in files {
        succeeds_silently(&kubectl(&["apply", "-f", file.to_str().unwrap()]).unwrap());
    }
}

/// The first command of the README.
#[test]
fn the_playground_brings_every_example_to_its_expected_state() {
    let arguments = ["run", "--quiet", "--locked", "--example", "playground", "--", "--once"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(repository()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let rows = printed.lines().filter(|line| line.starts_with("Project ")).count();
    assert!(rows > 0 && printed.contains("Every example is in its expected state"), "{printed}");
}
