//! Who owns which field: `metadata.managedFields`, and server-side apply.

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::fields::{FieldSet, Path, compare, merge, remove};
use super::kind::Kind;
use super::schema::{field, is_open, untypeable};

/// Fields of the metadata that nobody owns.
const UNOWNED: [&str; 10] = [
    "f:name",
    "f:namespace",
    "f:uid",
    "f:resourceVersion",
    "f:generation",
    "f:creationTimestamp",
    "f:deletionTimestamp",
    "f:deletionGracePeriodSeconds",
    "f:managedFields",
    "f:selfLink",
];

/// Who writes, and when.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub manager: String,
    pub subresource: String,
    /// RFC 3339, whole seconds.
    pub now: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Owner {
    manager: String,
    operation: String,
    subresource: String,
    api_version: String,
    time: String,
    fields: FieldSet,
}

impl Owner {
    fn new(kind: &Kind, author: &Author, operation: &str) -> Self {
        Self {
            manager: author.manager.clone(),
            operation: operation.into(),
            subresource: author.subresource.clone(),
            api_version: kind.api_version(),
            time: author.now.clone(),
            fields: FieldSet::default(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        let key = |owner: &Self| {
            (
                owner.manager.clone(),
                owner.operation.clone(),
                owner.subresource.clone(),
                owner.api_version.clone(),
            )
        };
        key(self) == key(other)
    }

    fn from_json(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: text("time"),
            fields: FieldSet::from_json(&entry["fieldsV1"]),
        }
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({ "manager": self.manager, "operation": self.operation, "time": self.time,
            "apiVersion": self.api_version, "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json() });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.clone().into();
        }
        entry
    }

    /// As conflicts name it.
    fn label(&self) -> String {
        let with = match self.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" with subresource \"{subresource}\""),
        };
        let using = match self.operation.as_str() {
            "Update" => format!(" using {}", self.api_version),
            _ => String::new(),
        };
        format!("\"{}\"{with}{using}", self.manager)
    }
}

fn owners(object: &Value) -> Vec<Owner> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(Owner::from_json).collect()
}

/// Stores the owners; who owns the same as before keeps the time.
fn store(object: &mut Value, mut owners: Vec<Owner>, before: &[Owner]) {
    owners.retain(|owner| !owner.fields.is_empty());
    for owner in &mut owners {
        if let Some(same) = before.iter().find(|old| old.is(owner) && old.fields == owner.fields) {
            owner.time.clone_from(&same.time);
        }
    }
    // Applies come first, then by time, as the API server lists them.
    owners.sort_by_key(|owner| {
        let Owner { operation, time, manager, subresource, .. } = owner.clone();
        (operation, time, manager, subresource)
    });
    match owners.is_empty() {
        true => drop(object["metadata"].as_object_mut().and_then(|meta| meta.remove("managedFields"))),
        false => object["metadata"]["managedFields"] = owners.iter().map(Owner::to_json).collect(),
    }
}

/// What a write to this (sub)resource can own.
fn ownable(set: FieldSet, kind: &Kind, subresource: &str) -> FieldSet {
    set.filter(|path| match (path[0].as_str(), subresource) {
        ("f:apiVersion" | "f:kind", _) => false,
        ("f:status", "") => !kind.status,
        (top, "status") => top == "f:status",
        ("f:metadata", _) => path.get(1).is_some_and(|name| !UNOWNED.contains(&name.as_str())),
        _ => true,
    })
}

/// Records what a write other than an apply did: `new` gets its owners from `old` and the difference.
pub(super) fn track(old: &Value, new: &mut Value, kind: &Kind, author: &Author) {
    let before = owners(old);
    let changes = compare(old, new, &kind.ownership);
    let written = ownable(changes.written, kind, &author.subresource);
    let mut own = Owner::new(kind, author, "Update");
    let mut after = Vec::new();
    for mut owner in before.clone() {
        owner.fields = owner.fields.minus(&changes.removed);
        if owner.is(&own) {
            own.fields = owner.fields;
        } else {
            owner.fields = owner.fields.minus(&written);
            after.push(owner);
        }
    }
    own.fields = own.fields.union(&written);
    after.push(own);
    store(new, after, &before);
}

/// Server-side apply: what `config` says over `live`, without what the manager applied before and does not now.
///
/// # Errors
/// 500 for what the schema does not declare, 409 for fields of others unless `force`.
pub(super) fn apply(
    live: &Value,
    config: &Value,
    kind: &Kind,
    author: &Author,
    force: bool,
) -> Result<Value, Failure> {
    typeable(config, kind, "patch")?;
    typeable(live, kind, "live")?;
    let schema = &kind.ownership;
    let before = owners(live);
    let mut own = Owner::new(kind, author, "Apply");
    own.fields = ownable(FieldSet::of(config, schema), kind, &author.subresource);
    let last =
        before.iter().find(|owner| owner.is(&own)).map(|owner| owner.fields.clone()).unwrap_or_default();
    let mut others: Vec<Owner> = before.iter().filter(|owner| !owner.is(&own)).cloned().collect();
    let mut new = live.clone();
    merge(&mut new, config, Some(schema));
    let kept = others.iter().fold(own.fields.clone(), |kept, owner| kept.union(&owner.fields));
    let kept = kept.with_ancestors(schema);
    remove(&mut new, &last.with_ancestors(schema).minus(&kept), &kept, schema);
    let changes = compare(live, &new, schema);
    let written = ownable(changes.written, kind, &author.subresource);
    let conflicts = conflicts(&others, &written);
    if !force && !conflicts.is_empty() {
        return Err(Failure::field_conflicts(&conflicts));
    }
    for owner in &mut others {
        owner.fields = owner.fields.minus(&written).minus(&changes.removed);
    }
    others.push(own);
    store(&mut new, others, &before);
    Ok(new)
}

fn conflicts(others: &[Owner], written: &FieldSet) -> Vec<(String, String)> {
    let of = |owner: &Owner| {
        let mut paths: Vec<Path> = owner.fields.common(written).0.into_iter().collect();
        // At each level what ends there comes before what goes deeper.
        paths.sort_by_cached_key(|path| {
            let level = |(index, element): (usize, &String)| (index + 1 < path.len(), element.clone());
            path.iter().enumerate().map(level).collect::<Vec<_>>()
        });
        paths.iter().map(|path| (owner.label(), dotted(path))).collect::<Vec<_>>()
    };
    others.iter().flat_map(of).collect()
}

/// A path as messages give it: `.status.conditions[type="Ready"].reason`.
fn dotted(path: &[String]) -> String {
    let keyed = |key: &str| {
        let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
        key.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    };
    let part = |element: &String| match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", key)) => format!("[{}]", keyed(key)),
        Some((_, value)) => format!("[={value}]"),
        None => String::new(),
    };
    path.iter().map(part).collect()
}

fn typeable(object: &Value, kind: &Kind, what: &str) -> Result<(), Failure> {
    let bodies = object.as_object().into_iter().flatten();
    let mut bodies = bodies.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()));
    let why = bodies.find_map(|(name, value)| match field(&kind.ownership, name) {
        Some(schema) => untypeable(value, schema, &format!(".{name}")),
        None if is_open(&kind.ownership) => None,
        None => Some(format!(".{name}: field not declared in schema")),
    });
    let Some(why) = why else { return Ok(()) };
    let metadata = &object["metadata"];
    let part = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
    let message = format!(
        "failed to create typed {what} object ({}/{}; {}, Kind={}): {why}",
        part("namespace"),
        part("name"),
        kind.api_version(),
        kind.kind
    );
    Err(Failure::new(500, "", message))
}
