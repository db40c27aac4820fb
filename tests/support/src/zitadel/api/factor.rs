//! Factors of the login policy: `…/policies/login/second_factors` and `…/multi_factors`.

use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::policy::effective;
use crate::zitadel::access::Access::Needs;
use crate::zitadel::behaviour::Behaviour;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, changed, created};
use crate::zitadel::model::{Moment, Stamp};
use crate::zitadel::policy::names;
use crate::zitadel::policy_rows::{Factors, LOGIN, MULTI_FACTORS, RECOVERY_CODES, Row, SECOND_FACTORS};
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::search::{Style, page};
use crate::zitadel::store::Store;

/// The routes of a kind of factors: its row, its path, and the path under which an organization lists them.
macro_rules! factors {
    ($row:ident, $path:literal, $listed:literal) => {
        &[
            route(Method::POST, concat!($listed, "/_search"), Needs("policy.read"), |call| {
                list(call, &$row, true)
            }),
            route(
                Method::POST,
                concat!("/management/v1/policies/login/", $path),
                Needs("policy.write"),
                |call| add(call, &$row, true),
            ),
            route(
                Method::DELETE,
                concat!("/management/v1/policies/login/", $path, "/{}"),
                Needs("policy.write"),
                |call| remove(call, &$row, true),
            ),
            route(
                Method::POST,
                concat!("/admin/v1/policies/login/", $path, "/_search"),
                Needs("iam.policy.read"),
                |call| list(call, &$row, false),
            ),
            route(
                Method::POST,
                concat!("/admin/v1/policies/login/", $path),
                Needs("iam.policy.write"),
                |call| add(call, &$row, false),
            ),
            route(
                Method::DELETE,
                concat!("/admin/v1/policies/login/", $path, "/{}"),
                Needs("iam.policy.write"),
                |call| remove(call, &$row, false),
            ),
        ]
    };
}

pub(super) const SECOND_ROUTES: &[Route] =
    factors!(SECOND_FACTORS, "second_factors", "/management/v1/policies/login/second_factors");
pub(super) const MULTI_ROUTES: &[Route] =
    factors!(MULTI_FACTORS, "multi_factors", "/management/v1/policies/login/auth_factors");

/// The factors that the server knows, by number.
fn known(factors: &Factors, behaviour: &Behaviour) -> &'static [&'static str] {
    match factors.names.split_last() {
        Some((&RECOVERY_CODES, before)) if !behaviour.recovery_codes => before,
        _ => factors.names,
    }
}

/// The factors that a new policy comes with.
///
/// # Errors
/// 400 for one that the server does not know.
pub(super) fn asked_for(
    row: &Row,
    body: &Body,
    behaviour: &Behaviour,
) -> Outcome<Vec<(&'static Factors, usize)>> {
    let mut asked = Vec::new();
    for factors in row.factors {
        for name in body.strings(factors.field) {
            let index = known(factors, behaviour).iter().position(|known| *known == name);
            let index = index.filter(|index| *index > 0);
            asked.push((*factors, index.ok_or_else(|| Failure::refusal(3, factors.unspecified))?));
        }
    }
    Ok(asked)
}

/// Adds or removes a factor. Reads show it only where there was a policy at that time.
pub(in crate::zitadel) fn set(
    store: &mut Store,
    factors: &'static Factors,
    organization: Option<&str>,
    index: usize,
    present: bool,
) -> Outcome<Moment> {
    let events = if organization.is_some() { factors.events } else { factors.instance_events };
    let event = if present { events[0] } else { events[1] };
    let aggregate = store.aggregate(organization);
    let moment = store.push(&aggregate, event, json!({"mfaType": index}))?;
    let (tables, owner) = (store.edit(), organization.map(str::to_owned));
    if let Some(policy) = tables.own_policies.get_mut(&(LOGIN.name, owner.clone())) {
        let policy = Arc::make_mut(policy);
        policy.stamp.touch(moment);
        let shown = policy.factors.entry(factors.field).or_default();
        shown.retain(|shown| *shown != index);
        shown.extend(present.then_some(index));
    }
    let key = (factors.field, owner, index);
    if present {
        tables.factors.insert(key)
    } else {
        tables.factors.remove(&key)
    };
    Ok(moment)
}

/// # Errors
/// Code 3 for none, or one that the server does not know.
fn require(request: &str, factors: &Factors, index: Option<usize>) -> Outcome<usize> {
    let text = match index {
        Some(index) if index > 0 => return Ok(index),
        Some(_) => format!("value must not be in list [{}]", factors.names[0]),
        None => "value must be one of the defined enum values".to_owned(),
    };
    Err(Failure::bare(3, format!("invalid {request}.Type: {text}")))
}

/// The organization that the call is about, none for the instance, and the id of either.
fn owner(call: &Call<'_>, own: bool) -> (Option<String>, String) {
    match own {
        true => (Some(call.organization.clone()), call.organization.clone()),
        false => (None, call.store.instance.id.clone()),
    }
}

fn list(call: &mut Call<'_>, factors: &'static Factors, own: bool) -> Outcome<Reply> {
    let (organization, _) = owner(call, own);
    let (policy, _) = effective(&call.store.read(), &LOGIN, organization.as_deref())?;
    let rows = names(factors, &policy).into_iter().map(Into::into).collect();
    page(call, Style::V1, rows, 0)
}

fn add(call: &mut Call<'_>, factors: &'static Factors, own: bool) -> Outcome<Reply> {
    let known = known(factors, &call.store.behaviour);
    let name = call.body.choice("type", known)?;
    let index = name.and_then(|name| known.iter().position(|known| *known == name));
    let index = require(&format!("Add{}ToLoginPolicyRequest", factors.request), factors, index)?;
    let (organization, id) = owner(call, own);
    if call.store.current().factors.contains(&(factors.field, organization.clone(), index)) {
        return Err(Failure::refusal(6, if own { factors.exists } else { factors.instance_exists }));
    }
    let moment = set(call.store, factors, organization.as_deref(), index, true)?;
    Reply::ok(created(&Stamp::new(moment, &id)))
}

fn remove(call: &mut Call<'_>, factors: &'static Factors, own: bool) -> Outcome<Reply> {
    let asked = call.parameters[0].clone();
    let known = known(factors, &call.store.behaviour);
    let index = known.iter().position(|known| *known == asked).or_else(|| asked.parse().ok());
    let Some(index) = index else {
        return Err(Failure::bare(3, format!("type mismatch, parameter: type, error: {asked} is not valid")));
    };
    let request = format!("Remove{}FromLoginPolicyRequest", factors.request);
    let index = require(&request, factors, Some(index).filter(|index| *index < known.len()))?;
    let (organization, id) = owner(call, own);
    if !call.store.current().factors.contains(&(factors.field, organization.clone(), index)) {
        return Err(Failure::refusal(5, if own { factors.missing } else { factors.instance_missing }));
    }
    let moment = set(call.store, factors, organization.as_deref(), index, false)?;
    Reply::ok(changed(&Stamp::new(moment, &id)))
}
