//! Sees every state of every resource of our kinds as it occurs, and has it judged.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures::StreamExt;
use futures::stream::select_all;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use support::control_plane::ControlPlane;

use super::Judge;
use crate::world::{client_at, resource};
use zitadel_operator::kinds::definitions;

static WATCHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on every state on this control plane is judged; the first wrong judgement ends the process and says why.
pub fn watch(control_plane: &ControlPlane) {
    let kubeconfig = control_plane.kubeconfig_path();
    if WATCHED.lock().unwrap().insert(kubeconfig.clone()) {
        // The runtime of a test ends with it.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(follow(&kubeconfig));
        });
    }
}

/// The states judged so far, see [`state`].
pub fn seen() -> BTreeSet<String> {
    SEEN.lock().unwrap().clone()
}

async fn follow(kubeconfig: &Path) {
    let (client, judge) = (client_at(kubeconfig).await, Judge::of_the_page());
    let mut events = select_all(definitions().into_iter().map(|definition| {
        let (kind, resource) = (definition.spec.names.kind.clone(), resource(definition));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        events.map(move |event| (kind.clone(), event)).boxed()
    }));
    while let Some((kind, event)) = events.next().await {
        if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
            see(&judge, &kind, &serde_json::to_value(object).unwrap());
        }
    }
}

fn see(judge: &Judge, kind: &str, object: &Value) {
    let is_new = SEEN.lock().unwrap().insert(format!("{kind} {}", state(object)));
    if is_new && let Err(wrong) = judge.agree(object) {
        // What the macros print is kept back for a test that ends.
        let _ = writeln!(std::io::stderr(), "{kind}: {wrong}");
        std::process::exit(101);
    }
}

/// What tells states apart: whether it is deleted, how far it is observed, and each condition without its message.
fn state(object: &Value) -> String {
    let observed = match &object["status"]["observedGeneration"] {
        Value::Null => "unobserved",
        observed if *observed == object["metadata"]["generation"] => "observed",
        _ => "outdated",
    };
    let deleted = if super::is_deleted(object) { " deleted" } else { "" };
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let conditions = conditions
        .map(|c| [" ", &text(c, "type"), "=", &text(c, "status"), "/", &text(c, "reason")].concat());
    [observed, deleted].into_iter().map(str::to_owned).chain(conditions).collect()
}
