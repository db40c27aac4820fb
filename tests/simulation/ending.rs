//! How both servers look in the end, without what differs from run to run: ids, dates and sequences.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use support::zitadel::{Double, State};
use zitadel_operator::api::annotation;
use zitadel_operator::engine::reconcile::mark::KEY;
use zitadel_operator::kinds::registry;

use crate::world::World;

/// The condition that somebody else writes.
pub const SOMEBODYS: &str = "Audited";

/// Those that need nothing beside them, and of which a field that the spec leaves out is what it is by default.
pub const KINDS: [&str; 5] = ["Organization", "Project", "OrgMetadata", "OrgDomainPolicy", "OrgFeatures"];

/// The kinds of resources.
pub fn kinds() -> Vec<&'static str> {
    registry().iter().map(|entry| entry.kind).collect()
}

/// A project's roles by key, each with display name and group.
fn roles(zitadel: &Double, project: &str) -> BTreeMap<String, [String; 2]> {
    let shown = zitadel.roles(project).into_iter();
    shown.map(|(key, role)| (key, [role.display_name, role.group])).collect()
}

/// An organization's projects by name.
pub fn projects(zitadel: &Double, organization: &str) -> Map<String, Value> {
    let shown = zitadel.projects(organization).into_iter().map(|project| {
        let settings = &project.settings;
        let value = json!({
            "state": format!("{:?}", project.state),
            "projectRoleAssertion": settings.project_role_assertion,
            "projectRoleCheck": settings.project_role_check,
            "hasProjectCheck": settings.has_project_check,
            "privateLabelingSetting": settings.private_labeling_setting,
            "roles": roles(zitadel, &project.id),
        });
        (settings.name.clone(), value)
    });
    shown.collect()
}

/// An organization's metadata; of the operator's mark whose it is.
pub fn metadata(zitadel: &Double, organization: &str) -> BTreeMap<String, String> {
    let shown = zitadel.metadata(organization).into_iter();
    let text = |key: &str, value: &[u8]| match serde_json::from_slice::<Value>(value) {
        Ok(mark) if key == KEY => format!("{}/{}", mark["namespace"], mark["name"]),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    shown.map(|(key, entry)| (key.clone(), text(&key, &entry.value))).collect()
}

/// Everything in ZITADEL, by name.
pub fn in_zitadel(zitadel: &Double) -> Value {
    let live =
        zitadel.organizations().into_iter().filter(|organization| organization.state != State::Removed);
    live.map(|organization| {
        let id = &organization.id;
        let value = json!({
            "state": format!("{:?}", organization.state),
            "projects": projects(zitadel, id),
            "metadata": metadata(zitadel, id),
            "policy": zitadel.domain_policy(id).map(|policy| format!("{:?}", policy.settings)),
            "login": zitadel.policy("login", Some(id)),
            "features": zitadel.features(id).map(|features| features.flags).filter(|flags| !flags.is_empty()),
        });
        (organization.name, value)
    })
    .collect::<Map<_, _>>()
    .into()
}

/// Everything in both servers.
pub async fn ending(world: &World) -> Value {
    let mut resources = Map::new();
    for kind in kinds() {
        let list = world.api(kind).list(&Default::default()).await.expect("a list");
        for object in list {
            let name = format!("{kind}/{}", object.metadata.name.clone().unwrap_or_default());
            resources.insert(name, resource(&serde_json::to_value(object).expect("JSON")));
        }
    }
    json!({ "zitadel": in_zitadel(&world.zitadel), "kubernetes": resources })
}

fn resource(object: &Value) -> Value {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let annotations = &metadata["annotations"];
    let ours = |condition: &&Value| condition["type"] != SOMEBODYS;
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions: Vec<Value> = conditions.filter(ours).map(condition).collect();
    let keys: Vec<&Value> =
        status["entries"].as_array().into_iter().flatten().map(|entry| &entry["key"]).collect();
    json!({
        "deleting": !metadata["deletionTimestamp"].is_null(),
        "finalizers": metadata["finalizers"],
        "annotated": annotations[annotation::ID] == status["id"],
        "pending": !status["pendingCreate"].is_null(),
        "current": status["observedGeneration"] == metadata["generation"],
        "bound": !status["organizationId"].is_null(),
        "identified": !status["id"].is_null(),
        "origin": status["origin"],
        "deletionPolicy": status["deletionPolicy"],
        "entries": keys,
        "isDefault": status["isDefault"],
        "marked": !status["mark"].is_null(),
        "conditions": conditions,
    })
}

fn condition(condition: &Value) -> Value {
    let message = condition["message"].as_str().unwrap_or_default();
    json!([condition["type"], condition["status"], condition["reason"], without_ids(message)])
}

/// An id is at least ten digits in a row.
fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain([' ']) {
        match letter.is_ascii_digit() {
            true => digits.push(letter),
            false => {
                shown.push_str(if digits.len() < 10 { &digits } else { "#" });
                digits.clear();
                shown.push(letter);
            }
        }
    }
    shown.trim_end().to_owned()
}
