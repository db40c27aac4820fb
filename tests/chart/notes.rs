//! What helm says after an installation.

use std::fs;

use crate::cluster::Cluster;

/// The commands in what helm printed: its indented lines, but for the waits, since no operator runs.
fn commands(printed: &str) -> String {
    let notes = printed.split_once("NOTES:").unwrap().1;
    let indented = notes.lines().filter_map(|line| line.strip_prefix("  "));
    indented.filter(|line| !line.starts_with("kubectl wait")).map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn the_commands_of_the_notes_work_as_they_are() {
    for (release, values) in [
        ("zitadel-operator", ""),
        (
            "idp",
            "connection.create=true,connection.spec.url=https://a.example,connection.spec.jwtProfile.name=key",
        ),
    ] {
        let cluster = Cluster::start().await;
        let install = ["install", release, ".", "-n", "ops", "--create-namespace", "--set", values];
        let printed = cluster.helm(&install);
        let directory = format!("{}/notes-{release}", env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(&directory).unwrap();
        for file in ["token", "key.json"] {
            fs::write(format!("{directory}/{file}"), "{}").unwrap();
        }
        let output = cluster.shell(&directory, &commands(&printed));
        assert!(output.status.success(), "{printed}{output:?}");
        let made = cluster.kubectl(&[
            "get",
            "clusterconnection/default",
            "project/hello",
            "-n",
            "default",
            "-o",
            "name",
        ]);
        assert_eq!(made.lines().count(), 2, "{made}");
        let secrets = cluster.kubectl(&[
            "get",
            "secrets",
            "-n",
            "ops",
            "--field-selector",
            "type=Opaque",
            "-o",
            "name",
        ]);
        assert_eq!(secrets.lines().count(), 1, "{secrets}");
    }
}
