//! Getting and listing.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::failure::Failure;
use super::kind::Kind;
use super::route::Query;
use super::selector::Selector;
use super::store::{Key, Store};
use super::write::Answer;

pub(super) fn get(store: &Store, kind: &Kind, key: &Key) -> Answer {
    match store.objects.get(key) {
        Some(object) => Ok((200, (**object).clone())),
        None => Err(Failure::not_found(kind, &key.name)),
    }
}

pub(super) fn list(store: &Store, index: usize, namespace: &str, query: &Query, partial: bool) -> Answer {
    let kind = &store.kinds[index];
    let selector = Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), kind)?;
    let (version, after) = start(store, query)?;
    let mut objects = store.snapshot(index, namespace, version);
    objects.retain(|_, object| selector.matches(object));
    if let Some((namespace, name)) = after {
        objects.retain(|key, _| (&key.namespace, &key.name) > (&namespace, &name));
    }
    let limit =
        query.number("limit").filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
    let metadata = page(&mut objects, version, limit);
    let items: Vec<Value> = objects.into_values().map(|object| shown(&object, partial)).collect();
    let (api_version, kind) = match partial {
        true => ("meta.k8s.io/v1".into(), "PartialObjectMetadataList".into()),
        false => (kind.api_version(), format!("{}List", kind.kind)),
    };
    Ok((200, json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items })))
}

/// Cuts to one page and says how to go on.
fn page(objects: &mut BTreeMap<Key, Arc<Value>>, version: u64, limit: Option<usize>) -> Value {
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    let Some(limit) = limit.filter(|limit| *limit < objects.len()) else { return metadata };
    let rest = objects.keys().nth(limit).cloned().map(|key| objects.split_off(&key)).unwrap_or_default();
    metadata["remainingItemCount"] = rest.len().into();
    if let Some(last) = objects.keys().next_back() {
        let token = json!({ "v": version, "namespace": last.namespace, "name": last.name });
        metadata["continue"] = URL_SAFE_NO_PAD.encode(token.to_string()).into();
    }
    metadata
}

/// The resourceVersion to list at, and after which object.
fn start(store: &Store, query: &Query) -> Result<(u64, Option<(String, String)>), Failure> {
    if !query.get("continue").is_empty() {
        return continued(store, query.get("continue"));
    }
    let version = version(query.get("resourceVersion"))
        .map_err(|why| Failure::bad_request(format!("invalid resource version: {why}")))?;
    if query.get("resourceVersionMatch") == "Exact" && version > 0 {
        at(store, version, Failure::too_old(version, store.oldest)).map(|version| (version, None))
    } else if version > store.version {
        let message = format!("Too large resource version: {version}, current: {}", store.version);
        Err(Failure::new(504, "Timeout", message))
    } else {
        Ok((store.version, None))
    }
}

fn at(store: &Store, version: u64, too_old: Failure) -> Result<u64, Failure> {
    if version < store.oldest { Err(too_old) } else { Ok(version.min(store.version)) }
}

fn continued(store: &Store, token: &str) -> Result<(u64, Option<(String, String)>), Failure> {
    let decoded =
        URL_SAFE_NO_PAD.decode(token).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let token = decoded.unwrap_or_default();
    let Some(version) = token["v"].as_u64() else {
        return Err(Failure::bad_request("invalid continue token: continue key is not valid"));
    };
    let gone = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
    let version = at(store, version, Failure::new(410, "Expired", gone))?;
    let text = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
    Ok((version, Some((text("namespace"), text("name")))))
}

/// A resourceVersion as sent; none is 0.
pub(super) fn version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let why = || {
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        )
    };
    text.parse().map_err(|_| why())
}

/// An object as it is answered: all of it, or only its metadata.
pub(super) fn shown(object: &Value, partial: bool) -> Value {
    match partial {
        true => json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"] }),
        false => object.clone(),
    }
}
