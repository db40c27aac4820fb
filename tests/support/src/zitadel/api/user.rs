//! `/management/v1/users`, machine users only.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::domain_policy::effective;
use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, details, message};
use crate::zitadel::model::{Stamp, User};
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::{Aggregate, Store, Tables};

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/management/v1/users/_search", Needs("user.read"), search),
    route(Method::POST, "/management/v1/users/machine", Needs("user.write"), create),
    route(Method::GET, "/management/v1/users/{}", Needs("user.read"), get),
    route(Method::DELETE, "/management/v1/users/{}", Needs("user.delete"), delete),
];

/// What a user logs in with, also with client credentials.
pub(in crate::zitadel) fn login_name(tables: &Tables, organization: &str, user_name: &str) -> String {
    let scoped =
        effective(tables, organization).is_some_and(|policy| policy.settings.user_login_must_be_domain);
    match tables.organizations.get(organization).filter(|_| scoped) {
        Some(organization) => format!("{user_name}@{}", organization.primary_domain),
        None => user_name.to_owned(),
    }
}

pub(super) fn user_message(tables: &Tables, user: &User) -> Value {
    let login_name = login_name(tables, &user.organization, &user.user_name);
    message(json!({
        "id": user.id,
        "details": details(&user.stamp),
        "state": "USER_STATE_ACTIVE",
        "userName": user.user_name,
        "loginNames": [login_name],
        "preferredLoginName": login_name,
        "machine": {"name": user.name},
    }))
}

/// # Errors
/// 409 where another user has the same login name.
pub(in crate::zitadel) fn add(
    store: &mut Store,
    id: Option<String>,
    organization: &str,
    user_name: &str,
    name: &str,
) -> Outcome<User> {
    let tables = store.current();
    let wanted = login_name(tables, organization, user_name);
    if tables.users.values().any(|user| login_name(tables, &user.organization, &user.user_name) == wanted) {
        return Err(Failure::taken("Username already taken"));
    }
    let id = id.unwrap_or_else(|| store.ids.id());
    let payload = json!({"userName": user_name, "name": name});
    let moment = store.push(&Aggregate::of("user", &id, organization), "user.machine.added", payload)?;
    let (user_name, name) = (user_name.to_owned(), name.to_owned());
    let stamp = Stamp::new(moment, organization);
    let user = User { id, organization: organization.to_owned(), user_name, name, stamp };
    store.edit().users.insert(user.id.clone(), Arc::new(user.clone()));
    Ok(user)
}

/// Removes the user with its memberships; its tokens end.
pub(in crate::zitadel) fn remove(store: &mut Store, organization: &str, id: &str) -> Outcome<Stamp> {
    let found = store.current().users.get(id).filter(|user| user.organization == organization);
    let user = found.cloned().ok_or_else(|| Failure::of("COMMAND-m9od"))?;
    let moment = store.push(&Aggregate::of("user", id, organization), "user.removed", Value::Null)?;
    let tables = store.edit();
    tables.users.remove(id);
    tables.members.retain(|(user, _), _| user != id);
    let mut stamp = user.stamp.clone();
    stamp.touch(moment);
    Ok(stamp)
}

fn create(call: &mut Call<'_>) -> Outcome<Reply> {
    let user_name = call.name("AddMachineUserRequest", "userName")?;
    let name = call.name("AddMachineUserRequest", "name")?;
    let user = add(call.store, None, &call.organization, &user_name, &name)?;
    let mut answer = changed(&user.stamp);
    answer["userId"] = json!(user.id);
    Reply::ok(answer)
}

fn get(call: &mut Call<'_>) -> Outcome<Reply> {
    let tables = call.store.read();
    let found = tables.users.get(&call.parameters[0]);
    let user = found.ok_or_else(|| Failure::of("QUERY-Dfbg2"))?;
    Reply::ok(json!({"user": user_message(&tables, user)}))
}

fn delete(call: &mut Call<'_>) -> Outcome<Reply> {
    Reply::ok(changed(&remove(call.store, &call.organization, &call.parameters[0])?))
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    let (tables, names) = (call.store.listed(), filters(&call.body, "userNameQuery"));
    let mut rows = Vec::new();
    for user in tables.users.values().filter(|user| user.organization == call.organization) {
        if passes_all(&names, "userName", &user.user_name)? {
            rows.push(user_message(&tables, user));
        }
    }
    page(call, Style::V1, rows, 0)
}
