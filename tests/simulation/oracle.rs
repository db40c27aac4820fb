//! What must hold at every step, looked at after each request that a server handled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::canary::Canaries;
use support::kubernetes::{Cluster, Write};
use support::zitadel::{Double, Mark, Project, State};
use tokio::time::Instant;
use zitadel_operator::api::FINALIZER;

use crate::ending::{metadata, projects};

/// The field manager of the operator.
const OPERATOR: &str = "zitadel-operator";

/// How old an answer may be that a status speaks of: a deadline of the client, and the lag of a list.
const OLDEST_ANSWER: Duration = Duration::from_secs(60);

/// Watches both servers.
pub struct Oracle {
    cluster: Cluster,
    zitadel: Double,
    acme: String,
    others: Value,
    canaries: Canaries,
    seen: Mutex<Seen>,
}

struct Seen {
    version: u64,
    mark: Mark,
    edited: Option<Instant>,
    /// Projects that outlive the resources that made them.
    retained: BTreeSet<String>,
    broken: Vec<String>,
}

impl Oracle {
    /// Begins to watch; whatever is in ZITADEL now belongs to others.
    pub fn new(cluster: &Cluster, zitadel: &Double, acme: &str, canaries: &Canaries) -> Self {
        let seen = Seen {
            version: 0,
            mark: zitadel.ledger().mark(),
            edited: None,
            retained: BTreeSet::new(),
            broken: Vec::new(),
        };
        Self {
            cluster: cluster.clone(),
            zitadel: zitadel.clone(),
            acme: acme.to_owned(),
            others: of_others(zitadel, acme),
            canaries: canaries.clone(),
            seen: Mutex::new(seen),
        }
    }

    /// What may stand in Secrets only.
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// A person edited ZITADEL now: a status may speak of what was before.
    pub fn edited(&self) {
        self.seen().edited = Some(Instant::now());
    }

    /// What was found broken, the first first.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.seen().broken.clone();
        broken.extend(self.canaries.found().iter().map(|found| format!("I9: {found}")));
        broken
    }

    /// Looks at all that happened since it last looked.
    pub fn inspect(&self) {
        let mut seen = self.seen();
        let writes = self.cluster.writes_since(seen.version);
        seen.version = writes.last().map_or(seen.version, |last| last.resource_version);
        for write in writes.iter().filter(|write| write.manager == OPERATOR) {
            self.judge(&mut seen, write);
        }
        let calls = self.zitadel.ledger().since(seen.mark);
        if calls.iter().any(|call| call.committed > 0) {
            self.at_most_one(&mut seen);
            if of_others(&self.zitadel, &self.acme) != self.others {
                seen.broken.push("I6: something of others was touched".to_owned());
            }
        }
        // What is under way commits later.
        let settled = calls.iter().take_while(|call| call.status.is_some()).count();
        if settled == calls.len() {
            seen.mark = self.zitadel.ledger().mark();
        }
    }

    fn judge(&self, seen: &mut Seen, write: &Write) {
        let text = write.after.as_ref().map(ToString::to_string).unwrap_or_default();
        let (resource, name) = (&write.resource, &write.name);
        self.canaries.watch().inspect(format_args!("{resource} {name} ({:?})", write.verb), text.as_bytes());
        let (before, after) = (object(write.before.as_deref()), object(write.after.as_deref()));
        match (is_protected(&before), is_protected(&after)) {
            (true, false) => self.released(seen, write, &before),
            (false, true) => drop(after["status"]["id"].as_str().map(|id| seen.retained.remove(id))),
            _ => {}
        }
        if write.subresource == "status" {
            self.reported(seen, write, &before, &after);
        }
    }

    /// I2: the finalizer leaves only after a confirmed absence, or where nothing is to be removed.
    fn released(&self, seen: &mut Seen, write: &Write, before: &Value) {
        let (spec, status) = (&before["spec"], &before["status"]);
        let Some(id) = status["id"].as_str() else { return };
        let observes = spec["managementPolicy"] == "Observe";
        let there = match write.resource.as_str() {
            "projects" => self.zitadel.project(id).is_some(),
            "organizations" => self.zitadel.organization(id).is_some_and(|o| o.state != State::Removed),
            _ => false,
        };
        match (there, status["deletionPolicy"].as_str()) {
            (true, Some("Delete")) if spec["deletionPolicy"] != "Retain" && !observes => {
                seen.broken.push(format!("I2: {} {} was let go, {id} is there", write.resource, write.name));
            }
            (true, _) => drop(seen.retained.insert(id.to_owned())),
            _ => {}
        }
    }

    /// I1: at most one live object for each resource, but for those that were retained.
    fn at_most_one(&self, seen: &mut Seen) {
        let mut live: BTreeMap<String, Vec<Project>> = BTreeMap::new();
        for organization in self.zitadel.organizations().iter().filter(|o| o.name != "other") {
            for project in self.zitadel.projects(&organization.id) {
                let key = project.settings.name.split('~').next().unwrap_or_default().to_owned();
                if !seen.retained.contains(&project.id) {
                    live.entry(key).or_default().push(project);
                }
            }
        }
        // Two resources want names that begin so.
        let most = |key: &str| if key == "d" { 2 } else { 1 };
        for (key, projects) in live.iter().filter(|(key, projects)| projects.len() > most(key)) {
            let ids: Vec<&str> = projects.iter().map(|project| project.id.as_str()).collect();
            seen.broken.push(format!("I1: {key} has {ids:?}"));
        }
    }

    /// A status says nothing that is not so.
    fn reported(&self, seen: &mut Seen, write: &Write, before: &Value, after: &Value) {
        let said = |object: &Value| (ours(object, "Ready"), object["status"]["observedGeneration"].clone());
        if said(before) == said(after) {
            return;
        }
        let recently = seen.edited.is_some_and(|edited| edited.elapsed() < OLDEST_ANSWER);
        let (status, generation) = (&after["status"], &after["metadata"]["generation"]);
        let ready = ours(after, "Ready");
        let (Some(id), false, "projects") = (status["id"].as_str(), recently, write.resource.as_str()) else {
            return;
        };
        let project = self.zitadel.project(id);
        if ready["status"] == "True" && ready["observedGeneration"] == *generation {
            match project.as_ref().map(|project| follows(project, after)) {
                Some(true) => {}
                None => seen.broken.push(format!("I4: {} is Ready, {id} is not there", write.name)),
                Some(false) => {
                    seen.broken
                        .push(format!("I7: {} is Ready and not as specified: {project:?}", write.name));
                }
            }
        }
        let gone = ready["message"].as_str().is_some_and(|message| message.contains("was removed"));
        if gone && project.is_some() {
            seen.broken.push(format!("I4: {} is told to be gone, {id} is there", write.name));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ours(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.clone().find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

fn object(value: Option<&Value>) -> Value {
    value.cloned().unwrap_or_default()
}

fn is_protected(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == FINALIZER))
}

fn follows(project: &Project, resource: &Value) -> bool {
    let (spec, settings) = (&resource["spec"], &project.settings);
    let name = spec["name"].as_str().or(resource["metadata"]["name"].as_str());
    let flag = |name: &str| spec[name].as_bool().unwrap_or_default();
    spec["managementPolicy"] == "Observe"
        || name == Some(&settings.name)
            && flag("projectRoleAssertion") == settings.project_role_assertion
            && flag("projectRoleCheck") == settings.project_role_check
            && flag("hasProjectCheck") == settings.has_project_check
            && (spec["state"] == "Inactive") == (project.state == State::Inactive)
}

/// Everything that no resource names.
fn of_others(zitadel: &Double, acme: &str) -> Value {
    let others = zitadel.organizations().into_iter().find(|organization| organization.name == "other");
    let other = others.map(|organization| organization.id).unwrap_or_default();
    json!({
        "projects": projects(zitadel, &other),
        "metadata": metadata(zitadel, &other),
        "legacy": projects(zitadel, acme).get("legacy"),
        "theirs": metadata(zitadel, acme).get("theirs"),
        "policy": zitadel.domain_policy(&other).is_some(),
        "features": zitadel.features(&other).is_some(),
    })
}
