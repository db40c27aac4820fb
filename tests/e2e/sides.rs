//! What several tests ask of the two sides: imports, what ZITADEL has, the ledger, and commands that messages give.

use serde_json::Value;
use support::zitadel::{Fingerprint, Ledger, Mark, Request};

use crate::waits::{until_answered, until_still};
use crate::world::{PATIENCE, World, real_zitadel};

impl World {
    /// What is in ZITADEL for this resource, by the id in its status; null if nothing is.
    pub async fn remote(&self, project: &Value) -> Value {
        self.person.project(&self.organization, project["status"]["id"].as_str().expect("an id")).await
    }

    /// Waits until ZITADEL's project with this id satisfies the condition.
    pub async fn until_remote(&self, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until_answered(what, async || {
            let project = self.person.project(&self.organization, id).await;
            (holds(&project), project)
        })
        .await
    }

    /// The names of all projects of the organization, in the order of their making; never late.
    pub async fn project_names(&self) -> Vec<String> {
        let projects = self.person.projects(&self.organization).await;
        projects.iter().map(|project| project["name"].as_str().expect("a name").into()).collect()
    }

    /// What was ever written to projects of the organization, by the operator or by the person.
    pub async fn history(&self) -> Vec<String> {
        self.person.history(&self.organization).await
    }

    /// Another organization of the test, removed with it; its id.
    pub async fn another_organization(&self, name: &str) -> String {
        self.person.create_organization(&format!("{}-{name}", self.namespace)).await
    }

    /// The ledger of the double; nobody counts the calls to a real server, which this says.
    pub fn ledger(&self) -> Option<Ledger> {
        if real_zitadel().is_some() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("not counted: {test} goes on without the ledger, which only the double has");
            return None;
        }
        Some(self.zitadel.ledger())
    }

    /// Whether a call to the double is not the person's.
    pub fn is_operators(&self) -> impl Fn(&Request) -> bool + Send + Sync + 'static {
        let person = Fingerprint::of_token(self.person.token());
        move |request| request.credential != Some(person)
    }

    /// The operator's calls to the double since the mark.
    pub fn calls_since(&self, mark: Mark) -> Vec<Request> {
        let is_operators = self.is_operators();
        self.zitadel.ledger().since(mark).into_iter().filter(|request| is_operators(request)).collect()
    }

    /// The operator's calls that changed something in the double after the mark.
    pub fn writes_since(&self, mark: Mark) -> Vec<Request> {
        self.calls_since(mark).into_iter().filter(|call| call.committed > 0).collect()
    }

    /// Asserts in the ledger that the operator has changed nothing in the double so far.
    #[track_caller]
    pub fn assert_no_writes(&self) {
        let is_operators = self.is_operators();
        let writes: Vec<_> = self.zitadel.ledger().writes().into_iter().filter(is_operators).collect();
        assert!(writes.is_empty(), "{writes:?}");
    }

    /// Waits until half a second passed without a call to the double; answers the end of its ledger.
    pub async fn until_quiet(&self) -> Mark {
        let still = until_still(|| self.zitadel.ledger().mark());
        tokio::time::timeout(PATIENCE, still).await.expect("the calls to ZITADEL end")
    }

    /// Asserts that the operator called nobody since the mark, where calls are counted.
    pub fn assert_no_call_since(&self, mark: Mark) {
        if self.ledger().is_some() {
            assert_eq!(self.calls_since(mark).len(), 0);
        }
    }

    /// Runs the kubectl command that a message ends with, as a person would paste it.
    pub async fn run_command_of(&self, message: &str) {
        let command = &message[message.rfind("kubectl ").expect("a command in the message")..];
        let path = format!("{}:{}", self.control_plane.bin_dir().display(), std::env::var("PATH").unwrap());
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", command]).env("PATH", path);
        let done = shell.env("KUBECONFIG", self.control_plane.kubeconfig_path()).output().await.unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
