//! `/management/v1/metadata`.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{Body, base64, changed, created, details};
use crate::zitadel::model::{Metadata, Moment, Stamp, State};
use crate::zitadel::route::{Call, Reply, Route, length, route};
use crate::zitadel::search::{Style, filters, page, passes_all};
use crate::zitadel::store::{Aggregate, Store};

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/management/v1/metadata/_search", Needs("org.read"), search),
    route(Method::POST, "/management/v1/metadata/_bulk", Needs("org.write"), set_bulk),
    route(Method::DELETE, "/management/v1/metadata/_bulk", Needs("org.write"), remove_bulk),
    route(Method::GET, "/management/v1/metadata/{}", Needs("org.read"), get),
    route(Method::POST, "/management/v1/metadata/{}", Needs("org.write"), set_one),
    route(Method::DELETE, "/management/v1/metadata/{}", Needs("org.write"), remove_one),
];

fn metadata_message(key: &str, metadata: &Metadata) -> Value {
    json!({"details": details(&metadata.stamp), "key": key, "value": base64(&metadata.value)})
}

fn require_bytes(request: &str, value: &[u8]) -> Outcome<()> {
    if (1..=500_000).contains(&value.len()) {
        return Ok(());
    }
    let text = "value length must be between 1 and 500000 bytes, inclusive";
    Err(Failure::bare(3, format!("invalid {request}.Value: {text}")))
}

/// # Errors
/// 400 `COMMAND-QXPGs` for an organization that is missing or removed.
pub(in crate::zitadel) fn set(
    store: &mut Store,
    organization: &str,
    key: &str,
    value: Vec<u8>,
) -> Outcome<Moment> {
    let known = store.current().organizations.get(organization);
    if known.is_none_or(|known| known.state == State::Removed) {
        return Err(Failure::of("COMMAND-QXPGs"));
    }
    let payload = json!({"key": key, "value": base64(&value)});
    let moment = store.push(&Aggregate::organization(organization), "org.metadata.set", payload)?;
    let place = (organization.to_owned(), key.to_owned());
    let known = store.current().metadata.get(&place).map(|known| known.stamp.clone());
    let mut stamp = known.unwrap_or_else(|| Stamp::new(moment, organization));
    stamp.touch(moment);
    store.edit().metadata.insert(place, Arc::new(Metadata { value, stamp }));
    Ok(moment)
}

/// Removes a key that exists.
pub(in crate::zitadel) fn remove(store: &mut Store, organization: &str, key: &str) -> Outcome<Moment> {
    let moment =
        store.push(&Aggregate::organization(organization), "org.metadata.removed", json!({"key": key}))?;
    store.edit().metadata.remove(&(organization.to_owned(), key.to_owned()));
    Ok(moment)
}

fn place(call: &Call<'_>, key: &str) -> (String, String) {
    (call.organization.clone(), key.to_owned())
}

fn get(call: &mut Call<'_>) -> Outcome<Reply> {
    let (tables, key) = (call.store.read(), &call.parameters[0]);
    let found = tables.metadata.get(&place(call, key));
    let metadata = found.ok_or_else(|| Failure::of("QUERY-Rph32"))?;
    Reply::ok(json!({"metadata": metadata_message(key, metadata)}))
}

fn set_one(call: &mut Call<'_>) -> Outcome<Reply> {
    let (key, value) = (call.parameters[0].clone(), call.body.bytes("value")?);
    length("SetOrgMetadataRequest", "Key", &key)?;
    require_bytes("SetOrgMetadataRequest", &value)?;
    let moment = set(call.store, &call.organization, &key, value)?;
    Reply::ok(created(&Stamp::new(moment, &call.organization)))
}

fn entry(body: &Body) -> Outcome<(String, Vec<u8>)> {
    let (key, value) = (body.string("key")?, body.bytes("value")?);
    length("BulkSetOrgMetadataRequest_Metadata", "Key", &key)?;
    require_bytes("BulkSetOrgMetadataRequest_Metadata", &value)?;
    Ok((key, value))
}

fn set_bulk(call: &mut Call<'_>) -> Outcome<Reply> {
    let mut entries = call.body.children("metadata").iter().map(entry).collect::<Outcome<Vec<_>>>()?;
    if entries.is_empty() {
        return Err(Failure::of("META-9mm2d"));
    }
    let known = &call.store.current().metadata;
    let mut last = entries
        .iter()
        .filter_map(|(key, _)| known.get(&place(call, key)).map(|m| m.stamp.clone()))
        .max_by_key(|s| s.sequence);
    if call.store.behaviour.bulk_skips_unchanged {
        entries.retain(|(key, value)| known.get(&place(call, key)).is_none_or(|known| known.value != *value));
    }
    for (key, value) in entries {
        last = Some(Stamp::new(set(call.store, &call.organization, &key, value)?, &call.organization));
    }
    Reply::ok(last.as_ref().map(changed).unwrap_or_default())
}

fn remove_one(call: &mut Call<'_>) -> Outcome<Reply> {
    let key = call.parameters[0].clone();
    if !call.store.current().metadata.contains_key(&place(call, &key)) {
        return Err(Failure::of("META-mcnw3"));
    }
    let moment = remove(call.store, &call.organization, &key)?;
    Reply::ok(changed(&Stamp::new(moment, &call.organization)))
}

fn remove_bulk(call: &mut Call<'_>) -> Outcome<Reply> {
    let keys: BTreeSet<String> = call.body.strings("keys").into_iter().collect();
    if keys.is_empty() {
        return Err(Failure::of("META-9mw2d"));
    }
    if keys.iter().any(|key| !call.store.current().metadata.contains_key(&place(call, key))) {
        return Err(Failure::of("META-2npds"));
    }
    let mut answer = Value::Null;
    for key in &keys {
        let moment = remove(call.store, &call.organization, key)?;
        answer = changed(&Stamp::new(moment, &call.organization));
    }
    Reply::ok(answer)
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    let (tables, keys) = (call.store.read(), filters(&call.body, "keyQuery"));
    let mut rows = Vec::new();
    for ((_, key), metadata) in tables.metadata.iter().filter(|((owner, _), _)| *owner == call.organization) {
        if passes_all(&keys, "key", key)? {
            rows.push(metadata_message(key, metadata));
        }
    }
    page(call, Style::V1, rows, 0)
}
