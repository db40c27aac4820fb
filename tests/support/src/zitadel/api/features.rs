//! `/v2/features/organization/{id}` and the same under `/v2beta`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::{Authenticated, Needs};
use crate::zitadel::behaviour::OrganizationFeatures;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, changed, message};
use crate::zitadel::model::{Features, Stamp};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::store::{Aggregate, Store};

const V2: &str = "/v2/features/organization/{}";
const V2_BETA: &str = "/v2beta/features/organization/{}";

/// Every flag that is merely on or off, of all versions.
const SWITCHES: &[&str] = &[
    "loginDefaultOrg",
    "oidcTriggerIntrospectionProjections",
    "oidcLegacyIntrospection",
    "userSchema",
    "oidcTokenExchange",
    "actions",
    "webKey",
    "debugOidcParentError",
    "oidcSingleV1SessionTermination",
    "disableUserTokenEvent",
    "enableBackChannelLogout",
    "permissionCheckV2",
    "consoleUseV2UserApi",
    "enableRelationalTables",
];

pub(super) const ROUTES: &[Route] = &[
    route(Method::PUT, V2, Needs("org.feature.write"), set),
    route(Method::PUT, V2_BETA, Needs("org.feature.write"), set),
    route(Method::DELETE, V2, Needs("org.feature.delete"), reset),
    route(Method::DELETE, V2_BETA, Needs("org.feature.write"), reset),
    route(Method::GET, V2, Authenticated, get),
    route(Method::GET, V2_BETA, Needs("org.feature.read"), get),
];

/// The organization of the path, where the endpoint works at all.
fn target(call: &Call<'_>, method: &str) -> Outcome<String> {
    length(&format!("{method}OrganizationFeaturesRequest"), "OrganizationId", &call.parameters[0])?;
    let text = format!("method {method}OrganizationFeatures not implemented");
    match call.store.behaviour.organization_features {
        OrganizationFeatures::Implemented => Ok(call.parameters[0].clone()),
        OrganizationFeatures::Unimplemented => Err(Failure::bare(12, text)),
        OrganizationFeatures::UnimplementedAsUnknown => {
            Err(Failure::bare(2, format!("rpc error: code = Unimplemented desc = {text}")))
        }
    }
}

fn never_set(organization: &str, call: &Call<'_>) -> Features {
    let at = call.store.instance.created.created;
    let stamp = Stamp { sequence: 0, created: at, changed: at, owner: organization.to_owned() };
    Features { flags: BTreeMap::new(), stamp }
}

/// Replaces the flags of an organization; events go to its own feature aggregate.
pub(in crate::zitadel) fn write(
    store: &mut Store,
    organization: &str,
    flags: BTreeMap<String, Value>,
) -> Outcome<Features> {
    let event =
        if flags.is_empty() { "feature.organization.v2.reset" } else { "feature.organization.v2.set" };
    let moment = store.push(&Aggregate::of("feature", organization, organization), event, json!(flags))?;
    let known = store.current().features.get(organization).map(|known| known.stamp.clone());
    let mut stamp = known.unwrap_or_else(|| Stamp::new(moment, organization));
    stamp.touch(moment);
    let features = Features { flags, stamp };
    store.edit().features.insert(organization.to_owned(), features.clone());
    Ok(features)
}

/// The flags of a request; a name that is no flag is ignored, as everywhere in protojson.
fn known_flags(body: &Body) -> Outcome<BTreeMap<String, Value>> {
    let mut flags = BTreeMap::new();
    for name in SWITCHES.iter().filter(|name| body.has(name)) {
        flags.insert((*name).to_owned(), json!(body.flag(name)?));
    }
    if body.has("loginV2") {
        let login = body.child("loginV2");
        let login = json!({"required": login.flag("required")?, "baseUri": login.string("baseUri")?});
        flags.insert("loginV2".to_owned(), message(login));
    }
    let paths = body.strings("improvedPerformance");
    if !paths.is_empty() {
        flags.insert("improvedPerformance".to_owned(), json!(paths));
    }
    Ok(flags)
}

/// A flag as a read shows it.
fn shown(value: &Value) -> Value {
    let mut fields = match value {
        Value::Object(fields) => json!(fields),
        Value::Array(paths) => json!({"executionPaths": paths}),
        switch => message(json!({"enabled": switch})),
    };
    fields["source"] = json!("SOURCE_ORGANIZATION");
    fields
}

fn set(call: &mut Call<'_>) -> Outcome<Reply> {
    let organization = target(call, "Set")?;
    let sent = known_flags(&call.body)?;
    if sent.is_empty() {
        return Err(Failure::of("COMMAND-Vigh1"));
    }
    let known = call.store.current().features.get(&organization).cloned();
    let known = known.unwrap_or_else(|| never_set(&organization, call));
    let mut flags = known.flags.clone();
    flags.extend(sent);
    if flags == known.flags {
        return Reply::ok(changed(&known.stamp));
    }
    Reply::ok(changed(&write(call.store, &organization, flags)?.stamp))
}

fn reset(call: &mut Call<'_>) -> Outcome<Reply> {
    let organization = target(call, "Reset")?;
    match call.store.current().features.get(&organization) {
        Some(known) if !known.flags.is_empty() => {
            Reply::ok(changed(&write(call.store, &organization, BTreeMap::new())?.stamp))
        }
        Some(known) => Reply::ok(changed(&known.stamp)),
        None => Reply::ok(changed(&never_set(&organization, call).stamp)),
    }
}

fn get(call: &mut Call<'_>) -> Outcome<Reply> {
    let organization = target(call, "Get")?;
    let tables = call.store.read();
    let features =
        tables.features.get(&organization).cloned().unwrap_or_else(|| never_set(&organization, call));
    let mut answer = changed(&features.stamp);
    for (name, value) in &features.flags {
        answer[name] = shown(value);
    }
    if call.query.contains("inheritance=true") && answer.get("loginDefaultOrg").is_none_or(Value::is_null) {
        answer["loginDefaultOrg"] = json!({"enabled": true, "source": "SOURCE_INSTANCE"});
    }
    Reply::ok(answer)
}
