//! Memberships of users in organizations and the instance; `/management/v1/orgs/me/members`, which is not recorded:
//! its paths and fields are those of the public API definition.

use http::Method;
use serde_json::json;

use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, created};
use crate::zitadel::model::{Member, Moment, Stamp};
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::store::Store;

const MEMBERS: &str = "/management/v1/orgs/me/members";
const MEMBER: &str = "/management/v1/orgs/me/members/{}";

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, MEMBERS, Needs("org.member.write"), add),
    route(Method::PUT, MEMBER, Needs("org.member.write"), update),
    route(Method::DELETE, MEMBER, Needs("org.member.delete"), remove),
];

/// Gives the user exactly these roles in the organization, or in the instance; without roles, none. Answers with
/// the event, if one was needed.
pub(in crate::zitadel) fn set(
    store: &mut Store,
    user: &str,
    scope: Option<&str>,
    roles: &[&str],
) -> Outcome<Option<Moment>> {
    let key = (user.to_owned(), scope.map(str::to_owned));
    let known = store.current().members.get(&key).cloned();
    let events = match scope {
        Some(_) => ["org.member.added", "org.member.changed", "org.member.removed"],
        None => ["instance.member.added", "instance.member.changed", "instance.member.removed"],
    };
    let event = match (&known, roles.is_empty()) {
        (None, true) => return Ok(None),
        (None, false) => events[0],
        (Some(_), false) => events[1],
        (Some(_), true) => events[2],
    };
    let aggregate = store.aggregate(scope);
    let moment = store.push(&aggregate, event, json!({"userId": user, "roles": roles}))?;
    if roles.is_empty() {
        store.edit().members.remove(&key);
        return Ok(Some(moment));
    }
    let mut stamp = known.map_or_else(|| Stamp::new(moment, &aggregate.owner), |known| known.stamp);
    stamp.touch(moment);
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    store.edit().members.insert(key, Member { roles, stamp });
    Ok(Some(moment))
}

/// Sets the roles of a user who is a member of the context organization already, or is not.
fn write(call: &mut Call<'_>, user: &str, roles: &[String], member: bool) -> Outcome<Stamp> {
    let known =
        call.store.current().members.contains_key(&(user.to_owned(), Some(call.organization.clone())));
    match (known, member) {
        (true, false) => return Err(Failure::of("ORG-poWwe")),
        (false, true) => return Err(Failure::of("Org-D8JxR")),
        _ => {}
    }
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let moment = set(call.store, user, Some(&call.organization), &roles)?;
    moment.map(|moment| Stamp::new(moment, &call.organization)).ok_or_else(|| Failure::bare(3, "no roles"))
}

fn roles(call: &Call<'_>) -> Outcome<Vec<String>> {
    let roles = call.body.strings("roles");
    if roles.is_empty() { Err(Failure::bare(3, "Errors.Org.MemberInvalid")) } else { Ok(roles) }
}

fn add(call: &mut Call<'_>) -> Outcome<Reply> {
    let (user, roles) = (call.name("AddOrgMemberRequest", "userId")?, roles(call)?);
    Reply::ok(created(&write(call, &user, &roles, false)?))
}

fn update(call: &mut Call<'_>) -> Outcome<Reply> {
    let (user, roles) = (call.parameters[0].clone(), roles(call)?);
    Reply::ok(changed(&write(call, &user, &roles, true)?))
}

fn remove(call: &mut Call<'_>) -> Outcome<Reply> {
    let user = call.parameters[0].clone();
    Reply::ok(changed(&write(call, &user, &[], true)?))
}
