//! `/management/v1/policies/…` of organizations and `/admin/v1/policies/…` of the instance, by the rows of
//! `policy_rows`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::factor;
use crate::zitadel::access::Access::Needs;
use crate::zitadel::behaviour::ServerLine;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, changed, created, details};
use crate::zitadel::model::{Moment, Stamp};
use crate::zitadel::policy::{Policy, Settings, payload, read, shown};
use crate::zitadel::policy_rows::{LOCKOUT, LOGIN, Row};
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::store::{Store, Tables};

/// The routes of a policy: its row, its path, and the path at which the instance's is written.
macro_rules! policy {
    ($row:ident, $path:literal, $written:literal) => {
        &[
            route(Method::GET, concat!("/management/v1/policies/", $path), Needs("policy.read"), |call| {
                get(call, &$row)
            }),
            route(
                Method::GET,
                concat!("/management/v1/policies/default/", $path),
                Needs("policy.read"),
                |call| get_default(call, &$row),
            ),
            route(Method::POST, concat!("/management/v1/policies/", $path), Needs("policy.write"), |call| {
                add(call, &$row)
            }),
            route(Method::PUT, concat!("/management/v1/policies/", $path), Needs("policy.write"), |call| {
                update(call, &$row)
            }),
            route(
                Method::DELETE,
                concat!("/management/v1/policies/", $path),
                Needs("policy.delete"),
                |call| remove(call, &$row),
            ),
            route(Method::GET, concat!("/admin/v1/policies/", $path), Needs("iam.policy.read"), |call| {
                get_default(call, &$row)
            }),
            route(Method::PUT, concat!("/admin/v1/policies/", $written), Needs("iam.policy.write"), |call| {
                update_instance(call, &$row)
            }),
        ]
    };
}

pub(super) const LOGIN_ROUTES: &[Route] = policy!(LOGIN, "login", "login");
pub(super) const LOCKOUT_ROUTES: &[Route] = policy!(LOCKOUT, "lockout", "password/lockout");

/// The policy in force and whether it is the instance's.
///
/// # Errors
/// 404 where not even the instance has one.
pub(super) fn effective(
    tables: &Tables,
    row: &Row,
    organization: Option<&str>,
) -> Outcome<(Arc<Policy>, bool)> {
    let own = tables.policy(row.name, organization).filter(|_| organization.is_some());
    let found = own.map(|own| (own, false)).or_else(|| Some((tables.policy(row.name, None)?, true)));
    let (policy, default) = found.ok_or_else(|| Failure::bare(5, "Errors.IAM.Policy.NotFound"))?;
    Ok((policy.clone(), default))
}

/// Sets the policy of the organization or, without one, of the instance; or removes it, with its factors.
pub(in crate::zitadel) fn write(
    store: &mut Store,
    row: &'static Row,
    organization: Option<&str>,
    settings: Option<Settings>,
) -> Outcome<Moment> {
    let known = store.current().policy(row.name, organization).cloned();
    let events = if organization.is_some() { row.events } else { row.instance_events };
    let (event, payload) = match (&known, &settings) {
        (None, Some(new)) => (events[0], payload(row, None, new)),
        (Some(known), Some(new)) => (events[1], payload(row, Some(&known.settings), new)),
        (_, None) => (events[2], json!({})),
    };
    let aggregate = store.aggregate(organization);
    let moment = store.push(&aggregate, event, payload)?;
    let (tables, owner) = (store.edit(), organization.map(str::to_owned));
    let Some(settings) = settings else {
        tables.own_policies.remove(&(row.name, owner.clone()));
        tables.factors.retain(|(_, of, _)| row.factors.is_empty() || *of != owner);
        return Ok(moment);
    };
    let policy = match known.map(Arc::unwrap_or_clone) {
        Some(known) => Policy { settings, stamp: known.stamp.touched(moment), ..known },
        None => Policy { settings, factors: BTreeMap::new(), stamp: Stamp::new(moment, &aggregate.owner) },
    };
    tables.own_policies.insert((row.name, owner), Arc::new(policy));
    Ok(moment)
}

/// Makes a policy with the factors that come with it.
pub(in crate::zitadel) fn install(
    store: &mut Store,
    row: &'static Row,
    organization: Option<&str>,
    body: &Body,
) -> Outcome<Moment> {
    let settings = read(row, body, &format!("Add{}", row.request))?;
    let wanted = factor::asked_for(row, body, &store.behaviour)?;
    let mut moment = write(store, row, organization, Some(settings))?;
    for (factors, index) in wanted {
        moment = factor::set(store, factors, organization, index, true)?;
    }
    Ok(moment)
}

fn policy_message(row: &Row, policy: &Policy, default: bool) -> Value {
    let mut shown = shown(row, policy);
    shown["details"] = details(&policy.stamp);
    if default {
        shown["isDefault"] = json!(true);
    }
    shown
}

fn get(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let (policy, default) = effective(&call.store.read(), row, Some(&call.organization))?;
    call.store.catch_up(row.name);
    let mut answer = json!({"policy": policy_message(row, &policy, default)});
    if default {
        answer["isDefault"] = json!(true);
    }
    Reply::ok(answer)
}

/// As the projection has it, which no read of this kind brings up to date.
fn get_default(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let (policy, _) = effective(&call.store.caught_up(row.name), row, None)?;
    Reply::ok(json!({"policy": policy_message(row, &policy, true)}))
}

fn add(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let organization = call.organization.clone();
    if call.store.current().policy(row.name, Some(&organization)).is_some() {
        return Err(Failure::refusal(6, row.exists));
    }
    let moment = install(call.store, row, Some(&organization), &call.body)?;
    Reply::ok(created(&Stamp::new(moment, &organization)))
}

/// The settings that an update asks for, where they differ from those of the policy.
fn replacement(call: &Call<'_>, row: &Row, known: Option<&Policy>) -> Outcome<Option<Settings>> {
    let settings = read(row, &call.body, &format!("Update{}", row.request))?;
    let known = known.ok_or_else(|| Failure::refusal(5, row.update_missing))?;
    Ok(Some(settings).filter(|settings| *settings != known.settings))
}

fn update(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let organization = call.organization.clone();
    let known = call.store.current().policy(row.name, Some(&organization)).map(Arc::as_ref);
    let settings = replacement(call, row, known)?.ok_or_else(|| Failure::refusal(9, row.unchanged))?;
    let moment = write(call.store, row, Some(&organization), Some(settings))?;
    Reply::ok(changed(&Stamp::new(moment, &organization)))
}

fn update_instance(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let known = call.store.current().policy(row.name, None).map(Arc::as_ref);
    let Some(settings) = replacement(call, row, known)? else {
        let mut refused = Failure::refusal(9, row.instance_unchanged);
        if call.store.behaviour.line == ServerLine::V4Newer {
            refused.message = refused.message.replace("Errors.IAM.", "Errors.Instance.");
        }
        return Err(refused);
    };
    let moment = write(call.store, row, None, Some(settings))?;
    Reply::ok(changed(&Stamp::new(moment, &call.store.instance.id)))
}

fn remove(call: &mut Call<'_>, row: &'static Row) -> Outcome<Reply> {
    let organization = call.organization.clone();
    if call.store.current().policy(row.name, Some(&organization)).is_none() {
        return Err(Failure::refusal(5, row.remove_missing));
    }
    let moment = write(call.store, row, Some(&organization), None)?;
    Reply::ok(changed(&Stamp::new(moment, &organization)))
}
