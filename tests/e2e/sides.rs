//! What several tests ask of the two sides: imports, the ledger, and commands that messages give.

use std::time::Duration;

use serde_json::{Value, json};
use support::zitadel::{Mark, Project, Request};

use crate::world::{PATIENCE, World, through_connection};

impl World {
    /// Applies a `Project` that asks for the import of the object with this id.
    pub async fn import_project(&self, name: &str, id: &str, spec: Value) -> Value {
        let annotations = json!({ "zitadel-operator.dev/id": id });
        self.try_apply_annotated("Project", name, annotations, through_connection(spec)).await.unwrap()
    }

    /// What is in ZITADEL for this resource, by the id in its status.
    pub fn remote(&self, project: &Value) -> Option<Project> {
        self.zitadel.project(project["status"]["id"].as_str()?)
    }

    /// The requests since the mark that changed something in ZITADEL.
    pub fn writes_since(&self, mark: Mark) -> Vec<Request> {
        self.zitadel.ledger().since(mark).into_iter().filter(|request| request.committed > 0).collect()
    }

    /// Waits until half a second passed without a call to ZITADEL; answers the end of its ledger.
    pub async fn until_quiet(&self) -> Mark {
        let (ledger, deadline) = (self.zitadel.ledger(), tokio::time::Instant::now() + PATIENCE);
        loop {
            let mark = ledger.mark();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if mark == ledger.mark() {
                return mark;
            }
            assert!(tokio::time::Instant::now() < deadline, "the calls to ZITADEL never end");
        }
    }

    /// Runs the kubectl command that a message ends with, as a person would paste it.
    pub async fn run_command_of(&self, message: &str) {
        let command = &message[message.find("kubectl ").expect("a command in the message")..];
        let path = format!("{}:{}", self.control_plane.bin_dir().display(), std::env::var("PATH").unwrap());
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", command]).env("PATH", path);
        let done = shell.env("KUBECONFIG", self.control_plane.kubeconfig_path()).output().await.unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
