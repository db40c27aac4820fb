//! What helm says after an installation.

use std::fs;

use crate::cluster::Cluster;

/// The commands in what helm printed, as they are: the paragraphs that begin with one. No operator runs, so that a wait
/// only asks for what it would wait for.
fn commands(printed: &str) -> String {
    let notes = printed.split_once("NOTES:").unwrap().1;
    let pasted: Vec<&str> = notes.split("\n\n").filter(|text| text.trim().starts_with("kubectl ")).collect();
    let commands = pasted.join("\n") + "\n";
    commands.replace("kubectl wait ", "kubectl get ").replace(" --for=condition=Ready --timeout=1m", "")
}

const CREATED: &str =
    "connection.create=true,connection.spec.url=https://a.example,connection.spec.jwtProfile.name=key";

#[tokio::test]
async fn the_commands_of_the_notes_work_as_they_are() {
    for (release, values, namespace) in [
        ("zitadel-operator", "", "default"),
        ("teams", "watchNamespaces={team-a,team-b}", "team-a"),
        ("idp", CREATED, "default"),
    ] {
        let cluster = Cluster::start().await;
        for team in ["team-a", "team-b"] {
            cluster.kubectl(&["create", "namespace", team]);
        }
        let install = ["install", release, ".", "-n", "ops", "--create-namespace", "--set", values];
        let printed = cluster.helm(&install);
        let directory = format!("{}/notes-{release}", env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(&directory).unwrap();
        for file in ["token", "key.json"] {
            fs::write(format!("{directory}/{file}"), "{}").unwrap();
        }
        let output = cluster.shell(&directory, &commands(&printed));
        assert!(output.status.success() && output.stderr.is_empty(), "{printed}{output:?}");

        cluster.kubectl(&["get", "zproj", "hello", "-n", namespace]);
        let grants = "jsonpath={.spec.access[*].namespaceSelector.matchLabels.*}";
        let granted = cluster.kubectl(&["get", "zcconn", "default", "-o", grants]);
        assert!(values == CREATED || granted == namespace, "{granted}");
        let credentials = ["get", "secrets", "-n", "ops", "--field-selector", "type=Opaque", "-o", "name"];
        assert_eq!(cluster.kubectl(&credentials).lines().count(), 1);
    }
}
