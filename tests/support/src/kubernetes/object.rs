//! What all objects share: names, metadata that only the server sets, and the parts that writes may touch.

use serde_json::{Map, Value, json};

use super::failure::{Cause, Failure};
use super::kind::Kind;

const DNS_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Metadata that a client cannot set.
const OF_THE_SERVER: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// A field of the metadata as text; empty if it is not set.
pub(super) fn meta<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"][name].as_str().unwrap_or_default()
}

pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

/// A valid object of this kind, for this namespace, with metadata of which nothing is the server's.
pub(super) fn incoming(mut object: Value, kind: &Kind, namespace: &str) -> Result<Value, Failure> {
    if !object.is_object() {
        let why = format!("the object provided is unrecognized (must be of type {})", kind.kind);
        return Err(Failure::bad_request(why));
    }
    of_kind(&object, kind)?;
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if !["", namespace].contains(&meta(&object, "namespace")) {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if kind.namespaced {
        object["metadata"]["namespace"] = namespace.into();
    }
    Ok(object)
}

fn of_kind(object: &Value, kind: &Kind) -> Result<(), Failure> {
    let name = meta(object, "name");
    let checks = [("apiVersion", kind.api_version()), ("kind", kind.kind.clone())];
    let wrong = checks.iter().find(|(field, wanted)| object[*field] != wanted.as_str());
    match wrong {
        Some((field, wanted)) => {
            let why = format!("must be {wanted}");
            Err(Failure::invalid(kind, name, &[Cause::bad(*field, &object[*field], &why)]))
        }
        None => Ok(()),
    }
}

/// What is wrong with the name, if anything is.
pub(super) fn bad_name(object: &Value) -> Option<Cause> {
    let name = meta(object, "name");
    if name.is_empty() {
        return Some(Cause::required("metadata.name", "name or generateName is required"));
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(alphanumeric)
            && label.ends_with(alphanumeric)
            && label.chars().all(|c| alphanumeric(c) || c == '-')
    };
    let fits = name.len() <= 253 && name.split('.').all(is_label);
    (!fits).then(|| Cause::bad("metadata.name", &name.into(), DNS_RULE))
}

/// Gives a new object the metadata that the server sets.
pub(super) fn born(object: &mut Value, kind: &Kind, uid: String, now: String) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| name == "managedFields" || !OF_THE_SERVER.contains(&name.as_str()));
        metadata.insert("uid".into(), uid.into());
        metadata.insert("creationTimestamp".into(), now.into());
    }
    if kind.custom {
        object["metadata"]["generation"] = 1.into();
    }
    if kind.status {
        object.as_object_mut().and_then(|fields| fields.remove("status"));
    }
    if kind.is_namespace() {
        let name = object["metadata"]["name"].clone();
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        object["spec"]["finalizers"] = json!(["kubernetes"]);
        object["status"] = json!({ "phase": "Active" });
    }
}

/// The new object with everything that this write may not touch as it was.
pub(super) fn confined(old: &Value, mut new: Value, kind: &Kind, subresource: &str) -> Value {
    if subresource == "status" {
        let mut confined = old.clone();
        confined["metadata"]["managedFields"] = new["metadata"]["managedFields"].take();
        transfer(&new, &mut confined, "status");
        return confined;
    }
    if kind.status {
        transfer(old, &mut new, "status");
    }
    for name in ["generation", "creationTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        transfer(&old["metadata"], &mut new["metadata"], name);
    }
    for name in ["uid", "deletionTimestamp"] {
        if meta(&new, name).is_empty() {
            transfer(&old["metadata"], &mut new["metadata"], name);
        }
    }
    new
}

fn transfer(from: &Value, to: &mut Value, name: &str) {
    match from.get(name) {
        Some(value) => to[name] = value.clone(),
        None => drop(to.as_object_mut().and_then(|fields| fields.remove(name))),
    }
}

/// Empty labels, annotations, finalizers and owners are the same as none.
pub(super) fn cleaned(object: &mut Value) {
    let is_empty = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
    };
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| !is_empty(value));
    }
}

/// Changes that no update may make.
pub(super) fn forbidden(old: &Value, new: &Value, kind: &Kind) -> Vec<Cause> {
    let mut causes = Vec::new();
    for name in ["uid", "deletionTimestamp"] {
        if old["metadata"][name] != new["metadata"][name] {
            let field = format!("metadata.{name}");
            causes.push(Cause::bad(field, &new["metadata"][name], "field is immutable"));
        }
    }
    let had = finalizers(old);
    let added: Vec<&str> = finalizers(new).into_iter().filter(|one| !had.contains(one)).collect();
    if is_deleting(old) && !added.is_empty() {
        let quoted = added.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        let message = format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{quoted}}}"
        );
        causes.push(Cause::new("FieldValueForbidden", "metadata.finalizers", message));
    }
    // Custom resources go through the checks of the metadata twice.
    let again = if kind.custom { causes.clone() } else { Vec::new() };
    causes
        .into_iter()
        .flat_map(|cause| [Some(cause.clone()), again.contains(&cause).then_some(cause)])
        .flatten()
        .collect()
}

/// Did anything but metadata (and status, where that is a subresource) change?
pub(super) fn is_new_generation(old: &Value, new: &Value, kind: &Kind) -> bool {
    let body = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        if kind.status {
            fields.remove("status");
        }
        fields
    };
    kind.custom && body(old) != body(new)
}

/// RFC 7386.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, change) in changes {
        match change {
            Value::Null => drop(fields.remove(name)),
            change => merge_patch(fields.entry(name.clone()).or_insert(Value::Null), change),
        }
    }
}
