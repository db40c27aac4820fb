//! `crds/` holds what `zitadel-operator crds` prints, and the API server takes it without a warning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use kube::ResourceExt;
use zitadel_operator::cli::{crd_yaml, crds_yaml};
use zitadel_operator::kinds::definitions;

use crate::cluster;

/// Name and content of the files as they should be.
fn printed() -> BTreeMap<String, String> {
    definitions().iter().map(|crd| (format!("{}.yaml", crd.name_any()), crd_yaml(crd).unwrap())).collect()
}

fn committed() -> BTreeMap<String, String> {
    let files = fs::read_dir(directory()).expect("crds/ is there").map(|entry| entry.unwrap().path());
    files.map(|path| (cluster::file_name(&path), fs::read_to_string(path).unwrap())).collect()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crds")
}

#[test]
fn the_committed_files_are_what_the_binary_prints() {
    if env::var_os("UPDATE_CRDS").is_some() {
        for (name, content) in printed() {
            fs::write(directory().join(name), content).unwrap();
        }
    }
    let (printed, committed) = (printed(), committed());
    let stale: Vec<&String> =
        printed.keys().filter(|name| committed.get(*name) != printed.get(*name)).collect();
    assert!(stale.is_empty(), "stale: {stale:?}; write them with UPDATE_CRDS=1 cargo test --test crds");
    assert_eq!(committed.len(), printed.len(), "a file in crds/ belongs to no kind");
}

#[test]
fn the_crds_command_prints_all_of_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_zitadel-operator")).arg("crds").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), crds_yaml().unwrap());
}

#[tokio::test]
async fn kubectl_applies_what_is_printed_without_a_warning() {
    let cluster = cluster::shared().await;
    let output = cluster.pipe(&["apply", "--server-side", "-f", "-"], &crds_yaml().unwrap());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// Without `--server-side` kubectl keeps the whole object in an annotation of at most 256 KiB.
#[tokio::test]
async fn kubectl_applies_the_directory_the_client_side_way_too() {
    let cluster = cluster::shared().await;
    let directory = directory();
    let output = cluster.kubectl(&["apply", "--dry-run=server", "-f", directory.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}
