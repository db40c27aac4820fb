//! The manifests that a reader copies, and the playground that shows them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::canary::Watch;
use support::control_plane::ControlPlane;
use support::zitadel::{Double, State};
use zitadel_operator::kinds::definitions;

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

/// Runs the playground until every example is as expected; what it prints.
#[track_caller]
fn play(more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--locked", "--example", "playground", "--", "--once"]).args(more);
    let output = command.current_dir(repository()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    for stream in [&output.stdout, &output.stderr] {
        Watch::shared().inspect(format_args!("what the playground prints"), stream);
    }
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed.into_owned()
}

/// The first command of the README.
#[test]
fn the_playground_brings_every_example_to_its_expected_state() {
    let printed = play(&[]);
    assert!(printed.contains("Every example is in its expected state"), "{printed}");
    for kind in definitions().into_iter().map(|crd| crd.spec.names.kind) {
        let is_row = |line: &str| line.split_whitespace().next() == Some(kind.as_str());
        assert!(printed.lines().any(is_row), "no {kind} among the examples: {printed}");
    }
    let unsupported = printed.lines().find(|line| line.starts_with("OrgFeatures")).unwrap();
    assert!(unsupported.contains("as expected, no released ZITADEL implements"), "{unsupported}");
}

/// Organizations that are still there, by name.
fn organizations(zitadel: &Double) -> Vec<String> {
    let there = zitadel.organizations().into_iter().filter(|there| there.state != State::Removed);
    let mut names: Vec<String> = there.map(|organization| organization.name).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_leaves_the_zitadel_of_somebody_as_it_was() {
    let zitadel = Double::start().await;
    let token = std::env::temp_dir().join(format!("playground-{}.token", std::process::id()));
    std::fs::write(&token, zitadel.admin_token()).unwrap();
    let arguments = ["--zitadel-url", &zitadel.url(), "--token-file", token.to_str().unwrap()];
    let canaries = Watch::shared().begin();
    canaries.mark("the token", zitadel.admin_token().as_bytes());
    let at_first = organizations(&zitadel);
    play(&arguments);
    assert_eq!(organizations(&zitadel), at_first);

    let acme = zitadel.create_organization("acme").id;
    let before = organizations(&zitadel);
    play(&arguments);
    assert_eq!(organizations(&zitadel), before);
    assert!(zitadel.projects(&acme).is_empty());
    assert!(zitadel.metadata(&acme).is_empty());
    assert_eq!(zitadel.domain_policy(&acme), None);
    assert_eq!(zitadel.policy("login", Some(&acme)), None);
    std::fs::remove_file(token).unwrap();
    canaries.end();
}
