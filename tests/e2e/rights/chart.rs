//! What the chart renders, by the real helm.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use support::control_plane::ControlPlane;

/// Stand in for names: helm is asked once for each sort of installation.
const RELEASE: &str = "the-release";
const HOME: &str = "the-home";
const FOLLOWED: &str = "followed-";

const KINDS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

static RENDERED: Mutex<Option<HashMap<Install, String>>> = Mutex::new(None);

/// Where an operator lives, and what it follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Install {
    /// Its namespace.
    pub home_organization: String,
    /// `watchNamespaces`; empty: all.
    pub watched: Vec<String>,
    /// Where people want their Secrets and ConfigMaps used; all of `watched` and more.
    pub used: Vec<String>,
}

impl Install {
    /// The account and its rights, all named like the release.
    pub fn manifest(&self, control_plane: &ControlPlane, release: &str) -> Vec<Value> {
        let sort = self.renamed(|name| stand_in(self.used.iter().position(|used| used == name)));
        let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
        let rendered = rendered.get_or_insert_default();
        let text = rendered.entry(sort.clone()).or_insert_with(|| sort.render(control_plane)).clone();
        let text = text.replace(RELEASE, release);
        let named = |text: String, (n, name): (usize, &String)| text.replace(&stand_in(Some(n)), name);
        let text = self.used.iter().enumerate().fold(text, named);
        objects(&text.replace(HOME, &self.home_organization))
    }

    fn renamed(&self, name: impl Fn(&String) -> String) -> Self {
        let all = |names: &[String]| names.iter().map(&name).collect();
        Self {
            home_organization: name(&self.home_organization),
            watched: all(&self.watched),
            used: all(&self.used),
        }
    }

    fn render(&self, control_plane: &ControlPlane) -> String {
        let elsewhere: Vec<&String> =
            self.used.iter().filter(|name| **name != self.home_organization).collect();
        let values = [
            ("fullnameOverride", json!(RELEASE)),
            ("crds.enabled", json!(false)),
            ("rbac.aggregateRoles", json!(false)),
            ("watchNamespaces", json!(self.watched)),
            ("secretNamespaces", json!(elsewhere)),
        ];
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/zitadel-operator");
        let mut helm = control_plane.helm();
        helm.args(["template", RELEASE, chart, "--namespace", &self.home_organization]);
        for (name, value) in values {
            helm.args(["--set-json", &format!("{name}={value}")]);
        }
        let output = helm.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn stand_in(followed: Option<usize>) -> String {
    followed.map_or_else(|| HOME.to_owned(), |n| format!("{FOLLOWED}{n}"))
}

fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().filter(|object| KINDS.iter().any(|kind| object["kind"] == *kind)).collect()
}
