//! `/management/v1/projects/{id}/roles`.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::project::owned;
use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, created, details, message};
use crate::zitadel::model::{Moment, Role, Stamp};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::Aggregate;

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/management/v1/projects/{}/roles", Needs("project.role.write"), add),
    route(Method::POST, "/management/v1/projects/{}/roles/_search", Needs("project.role.read"), search),
    route(Method::PUT, "/management/v1/projects/{}/roles/{}", Needs("project.role.write"), update),
    route(Method::DELETE, "/management/v1/projects/{}/roles/{}", Needs("project.role.delete"), remove),
];

fn push(call: &mut Call<'_>, kind: &'static str, payload: Value) -> Outcome<Moment> {
    let aggregate = Aggregate::of("project", &call.parameters[0], &call.organization);
    call.push(&aggregate, kind, payload)
}

fn payload(key: &str, role: &Role) -> Value {
    message(json!({"key": key, "displayName": role.display_name, "group": role.group}))
}

fn role_message((key, role): (&str, &Role)) -> Value {
    let mut shown = payload(key, role);
    shown["details"] = details(&role.stamp);
    shown
}

fn store_role(call: &mut Call<'_>, key: &str, role: Role) {
    call.store.edit().roles.insert((call.parameters[0].clone(), key.to_owned()), Arc::new(role));
}

fn stored(call: &Call<'_>, key: &str) -> Option<Role> {
    let roles = &call.store.current().roles;
    roles.get(&(call.parameters[0].clone(), key.to_owned())).map(|role| (**role).clone())
}

fn add(call: &mut Call<'_>) -> Outcome<Reply> {
    let key = call.name("AddProjectRoleRequest", "roleKey")?;
    let display_name = call.name("AddProjectRoleRequest", "displayName")?;
    let group = call.body.string("group")?;
    let project = owned(call.store, &call.organization, &call.parameters[0], "COMMAND-3M9sd")?;
    if stored(call, &key).is_some() {
        return Err(Failure::taken("Role already exists"));
    }
    let mut role = Role { display_name, group, stamp: project.stamp.clone() };
    role.stamp = Stamp::new(push(call, "project.role.added", payload(&key, &role))?, &call.organization);
    store_role(call, &key, role.clone());
    Reply::ok(created(&role.stamp))
}

fn update(call: &mut Call<'_>) -> Outcome<Reply> {
    let key = call.parameters[1].clone();
    let display_name = call.name("UpdateProjectRoleRequest", "displayName")?;
    let group = call.body.string("group")?;
    owned(call.store, &call.organization, &call.parameters[0], "COMMAND-3M9sd")?;
    let mut role = stored(call, &key).ok_or_else(|| Failure::of("COMMAND-m9vMf"))?;
    if (&role.display_name, &role.group) == (&display_name, &group) {
        let accepted = call.store.behaviour.accepts_unchanged;
        return if accepted { Reply::ok(changed(&role.stamp)) } else { Err(Failure::of("COMMAND-5M0cs")) };
    }
    (role.display_name, role.group) = (display_name, group);
    role.stamp.touch(push(call, "project.role.changed", payload(&key, &role))?);
    store_role(call, &key, role.clone());
    Reply::ok(changed(&role.stamp))
}

fn remove(call: &mut Call<'_>) -> Outcome<Reply> {
    let key = call.parameters[1].clone();
    let project = owned(call.store, &call.organization, &call.parameters[0], "COMMAND-3M9sd")?;
    let Some(mut role) = stored(call, &key) else {
        return match call.store.behaviour.accepts_unchanged {
            true => Reply::ok(changed(&project.stamp)),
            false => Err(Failure::of("COMMAND-m9vMf")),
        };
    };
    role.stamp.touch(push(call, "project.role.removed", json!({"key": key}))?);
    call.store.edit().roles.remove(&(project.id.clone(), key));
    Reply::ok(changed(&role.stamp))
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    length("ListProjectRolesRequest", "ProjectId", &call.parameters[0])?;
    let tables = call.store.listed();
    let keys = filters(&call.body, "keyQuery");
    let mut rows = Vec::new();
    for ((_, key), role) in tables.roles.iter().filter(|((project, _), _)| *project == call.parameters[0]) {
        if passes_all(&keys, "key", key)? {
            rows.push(role_message((key, role)));
        }
    }
    page(call, Style::V1, rows, 0)
}
