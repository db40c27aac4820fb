//! `/management/v1/projects/{id}/roles`.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::project::owned;
use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, changed, created, details, message};
use crate::zitadel::model::{Role, Stamp};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::{Aggregate, Event, Store};

const ROLES: &str = "/management/v1/projects/{}/roles";
const ROLE: &str = "/management/v1/projects/{}/roles/{*}";

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, ROLES, Needs("project.role.write"), add_one),
    route(Method::POST, "/management/v1/projects/{}/roles/_bulk", Needs("project.role.write"), add_bulk),
    route(Method::POST, "/management/v1/projects/{}/roles/_search", Needs("project.role.read"), search),
    route(Method::PUT, ROLE, Needs("project.role.write"), update),
    route(Method::DELETE, ROLE, Needs("project.role.delete"), delete),
];

/// Key, display name and group.
type Wanted = (String, String, String);

fn role_message((key, role): (&str, &Role)) -> Value {
    message(json!({
        "key": key,
        "displayName": role.display_name,
        "group": role.group,
        "details": details(&role.stamp),
    }))
}

/// The role, of a project that the organization owns.
fn stored(store: &Store, owner: &str, project: &str, key: &str) -> Option<Role> {
    let role = store.current().roles.get(&(project.to_owned(), key.to_owned()));
    role.filter(|role| role.stamp.owner == owner).map(|role| (**role).clone())
}

fn save(store: &mut Store, project: &str, key: &str, role: Role) -> Role {
    store.edit().roles.insert((project.to_owned(), key.to_owned()), Arc::new(role.clone()));
    role
}

/// # Errors
/// 409 where one of the keys is taken, whatever the letter case, or asked for twice.
fn require_free(store: &Store, project: &str, wanted: &[Wanted]) -> Outcome<()> {
    let keys = store.current().roles.keys().filter(|(of, _)| of == project);
    let mut taken: BTreeSet<String> = keys.map(|(_, key)| key.to_lowercase()).collect();
    match wanted.iter().all(|(key, ..)| taken.insert(key.to_lowercase())) {
        true => Ok(()),
        false => Err(Failure::taken("Role already exists")),
    }
}

/// Adds all roles, or none.
pub(in crate::zitadel) fn add(
    store: &mut Store,
    owner: &str,
    project: &str,
    wanted: Vec<Wanted>,
) -> Outcome<Option<Role>> {
    owned(store, owner, project, "COMMAND-EbFMN")?;
    require_free(store, project, &wanted)?;
    let aggregate = Aggregate::of("project", project, owner);
    let mut last = None;
    for (key, display_name, group) in wanted {
        let payload = message(json!({"key": key, "displayName": display_name, "group": group}));
        let stamp = Stamp::new(store.push(&aggregate, "project.role.added", payload)?, owner);
        last = Some(save(store, project, &key, Role { display_name, group, stamp }));
    }
    Ok(last)
}

pub(in crate::zitadel) fn change(
    store: &mut Store,
    owner: &str,
    project: &str,
    (key, display_name, group): Wanted,
) -> Outcome<Role> {
    owned(store, owner, project, "COMMAND-EbFMN")?;
    let known = stored(store, owner, project, &key).ok_or_else(|| Failure::of("COMMAND-vv8M9"))?;
    let mut payload = json!({"key": key});
    if known.display_name != display_name {
        payload["displayName"] = json!(display_name);
    }
    if known.group != group {
        payload["group"] = json!(group);
    }
    if (&known.display_name, &known.group) == (&display_name, &group) {
        let accepted = store.behaviour.accepts_unchanged;
        return if accepted { Ok(known) } else { Err(Failure::of("COMMAND-5M0cs")) };
    }
    let moment = store.push(&Aggregate::of("project", project, owner), "project.role.changed", payload)?;
    Ok(save(store, project, &key, Role { display_name, group, stamp: known.stamp.touched(moment) }))
}

/// # Errors
/// 404 where the organization owns no such role.
pub(in crate::zitadel) fn remove(store: &mut Store, owner: &str, project: &str, key: &str) -> Outcome<Stamp> {
    let known = stored(store, owner, project, key).ok_or_else(|| Failure::of("COMMAND-m9vMf"))?;
    let aggregate = Aggregate::of("project", project, owner);
    let moment = store.push(&aggregate, "project.role.removed", json!({"key": key}))?;
    store.edit().roles.remove(&(project.to_owned(), key.to_owned()));
    Ok(known.stamp.touched(moment))
}

fn add_one(call: &mut Call<'_>) -> Outcome<Reply> {
    let key = call.name("AddProjectRoleRequest", "roleKey")?;
    let display_name = call.name("AddProjectRoleRequest", "displayName")?;
    let wanted = vec![(key, display_name, call.body.string("group")?)];
    let added = add(call.store, &call.organization, &call.parameters[0], wanted)?;
    Reply::ok(added.map_or_else(|| json!({}), |role| created(&role.stamp)))
}

fn bulk_entry((index, entry): (usize, &Body)) -> Outcome<Wanted> {
    let (key, display_name) = (entry.string("key")?, entry.string("displayName")?);
    for (field, value) in [("Key", &key), ("DisplayName", &display_name)] {
        length("BulkAddProjectRolesRequest_Role", field, value).map_err(|cause| {
            let text = "embedded message failed validation";
            let message = &cause.message;
            Failure::bare(
                3,
                format!("invalid BulkAddProjectRolesRequest.Roles[{index}]: {text} | caused by: {message}"),
            )
        })?;
    }
    Ok((key, display_name, entry.string("group")?))
}

fn add_bulk(call: &mut Call<'_>) -> Outcome<Reply> {
    let wanted: Outcome<Vec<Wanted>> =
        call.body.children("roles").iter().enumerate().map(bulk_entry).collect();
    add(call.store, &call.organization, &call.parameters[0], wanted?)?;
    Reply::ok(json!({"details": {"resourceOwner": call.organization}}))
}

fn update(call: &mut Call<'_>) -> Outcome<Reply> {
    let display_name = call.name("UpdateProjectRoleRequest", "displayName")?;
    let wanted = (call.parameters[1].clone(), display_name, call.body.string("group")?);
    let role = change(call.store, &call.organization, &call.parameters[0], wanted)?;
    Reply::ok(changed(&role.stamp))
}

/// What is told of a role that is absent: the last event of its key, or that its project went, if there was any.
fn absent(call: &Call<'_>) -> Value {
    let (project, key) = (&call.parameters[0], &call.parameters[1]);
    let concerns = |event: &&Event| {
        let gone = event.kind == "project.removed";
        event.aggregate == Aggregate::of("project", project, &call.organization)
            && (gone || event.kind.starts_with("project.role.") && event.payload["key"] == json!(key))
    };
    match call.store.instance.events.iter().rev().find(concerns) {
        Some(event) => changed(&Stamp::new(event.moment, &call.organization)),
        None => json!({"details": {"resourceOwner": call.organization}}),
    }
}

fn delete(call: &mut Call<'_>) -> Outcome<Reply> {
    match remove(call.store, &call.organization, &call.parameters[0], &call.parameters[1]) {
        Ok(stamp) => Reply::ok(changed(&stamp)),
        Err(failure) if failure.code == 5 && call.store.behaviour.accepts_unchanged => {
            Reply::ok(absent(call))
        }
        Err(failure) => Err(failure),
    }
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    length("ListProjectRolesRequest", "ProjectId", &call.parameters[0])?;
    let tables = call.store.listed();
    let (keys, names) = (filters(&call.body, "keyQuery"), filters(&call.body, "displayNameQuery"));
    let own = |((project, _), role): &(&(String, String), &Arc<Role>)| {
        *project == call.parameters[0] && role.stamp.owner == call.organization
    };
    let mut rows = Vec::new();
    for ((_, key), role) in tables.roles.iter().filter(own) {
        if passes_all(&keys, "key", key)? && passes_all(&names, "displayName", &role.display_name)? {
            rows.push(role_message((key, role)));
        }
    }
    page(call, Style::V1, rows, 0)
}
