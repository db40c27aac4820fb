//! Sets of fields, as `metadata.managedFields` keeps them (`FieldsV1`), and the merge of structured values.
//!
//! A path's elements are written as in `FieldsV1`: `f:NAME` a field, `k:{…}` the item of a list with keys,
//! `v:…` the item of a set.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps as Schema;
use serde_json::{Map, Value, json};

use super::schema::{field, items};

pub(super) type Path = Vec<String>;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(pub BTreeSet<Path>);

/// What a write changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New or of another value.
    pub written: FieldSet,
    pub removed: FieldSet,
}

#[derive(Clone, Copy)]
enum Shape<'a> {
    Whole,
    Fields,
    Keyed(&'a [String]),
    Set,
}

fn shape<'a>(value: &Value, schema: Option<&'a Schema>) -> Shape<'a> {
    let list_type = schema.and_then(|schema| schema.x_kubernetes_list_type.as_deref());
    match (value, list_type) {
        (Value::Object(_), _)
            if schema.and_then(|s| s.x_kubernetes_map_type.as_deref()) == Some("atomic") =>
        {
            Shape::Whole
        }
        (Value::Object(_), _) => Shape::Fields,
        (Value::Array(_), Some("set")) => Shape::Set,
        (Value::Array(_), Some("map")) => {
            Shape::Keyed(schema.and_then(|s| s.x_kubernetes_list_map_keys.as_deref()).unwrap_or_default())
        }
        _ => Shape::Whole,
    }
}

/// The element that names an item of a list.
fn element(item: &Value, shape: Shape<'_>) -> String {
    match shape {
        Shape::Keyed(keys) => {
            let key: Map<String, Value> =
                keys.iter().map(|key| (key.clone(), item[key.as_str()].clone())).collect();
            format!("k:{}", Value::Object(key))
        }
        _ => format!("v:{item}"),
    }
}

/// The parts of a value: the element, the part, its schema, and whether the schema names it as a field.
fn parts<'a>(
    value: &'a Value,
    schema: Option<&'a Schema>,
) -> Vec<(String, &'a Value, Option<&'a Schema>, bool)> {
    let shape = shape(value, schema);
    match (value, shape) {
        (Value::Object(fields), Shape::Fields) => {
            let part = |(name, part): (&'a String, &'a Value)| {
                let inner = schema.and_then(|schema| field(schema, name));
                let named = schema.and_then(|s| s.properties.as_ref()).is_some_and(|p| p.contains_key(name));
                (format!("f:{name}"), part, inner, named)
            };
            fields.iter().map(part).collect()
        }
        (Value::Array(list), Shape::Keyed(_) | Shape::Set) => {
            let inner = schema.and_then(items);
            list.iter().map(|item| (element(item, shape), item, inner, false)).collect()
        }
        _ => Vec::new(),
    }
}

/// Visits every part at every depth: its path, value, whether it is a leaf, and whether it is a named field.
fn walk(
    value: &Value,
    schema: Option<&Schema>,
    path: &mut Path,
    visit: &mut impl FnMut(&Path, &Value, bool, bool),
) {
    for (element, part, inner, named) in parts(value, schema) {
        path.push(element);
        let is_listed = matches!(shape(part, inner), Shape::Keyed(_) | Shape::Set);
        let leaf = parts(part, inner).is_empty() && !is_listed;
        visit(path, part, leaf, named);
        walk(part, inner, path, visit);
        path.pop();
    }
}

impl FieldSet {
    /// The fields that applying this value claims.
    pub(super) fn of(value: &Value, schema: &Schema) -> Self {
        let mut set = BTreeSet::new();
        walk(value, Some(schema), &mut Vec::new(), &mut |path, _, leaf, named| {
            if leaf || !named {
                set.insert(path.clone());
            }
        });
        Self(set)
    }

    /// With every ancestor that is a field the schema names: owning a part of a struct keeps the struct.
    pub(super) fn with_ancestors(&self, schema: &Schema) -> Self {
        let mut all = self.0.clone();
        for path in &self.0 {
            let named = (1..path.len()).filter(|end| is_named(&path[..*end], schema));
            all.extend(named.map(|end| path[..end].to_vec()));
        }
        Self(all)
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    pub(super) fn common(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Only the fields for which this holds.
    pub(super) fn filter(mut self, keep: impl Fn(&Path) -> bool) -> Self {
        self.0.retain(keep);
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut root = json!({});
        for path in &self.0 {
            let mut node = &mut root;
            for element in path {
                node = &mut node[element];
                if node.is_null() {
                    *node = json!({});
                }
            }
            node["."] = json!({});
        }
        only_leaves_bare(&mut root);
        root
    }

    pub(super) fn from_json(tree: &Value) -> Self {
        let mut set = BTreeSet::new();
        collect(tree, &mut Vec::new(), &mut set);
        Self(set)
    }
}

/// A leaf is `{}`; only what has children too says `.`.
fn only_leaves_bare(node: &mut Value) {
    let Some(children) = node.as_object_mut() else { return };
    if children.len() == 1 {
        children.remove(".");
    }
    children.values_mut().for_each(only_leaves_bare);
}

fn collect(tree: &Value, path: &mut Path, set: &mut BTreeSet<Path>) {
    let Some(children) = tree.as_object() else { return };
    if children.is_empty() && !path.is_empty() {
        set.insert(path.clone());
    }
    for (element, child) in children {
        if element == "." {
            set.insert(path.clone());
            continue;
        }
        path.push(element.clone());
        collect(child, path, set);
        path.pop();
    }
}

/// Is this the path of a field that the schema names?
fn is_named(path: &[String], schema: &Schema) -> bool {
    let mut at = Some(schema);
    let mut named = false;
    for element in path {
        let name = element.strip_prefix("f:");
        named = name.is_some_and(|name| {
            at.and_then(|schema| schema.properties.as_ref()).is_some_and(|fields| fields.contains_key(name))
        });
        at = at.and_then(|schema| match name {
            Some(name) => field(schema, name),
            None => items(schema),
        });
    }
    named
}

/// What differs between two states of an object.
pub(super) fn compare(old: &Value, new: &Value, schema: &Schema) -> Changes {
    let (before, mut after) = (all_parts(old, schema), all_parts(new, schema));
    // What held parts and is null now is gone; a null in the place of a value is another value.
    after.retain(|path, value| *value != Some(Value::Null) || before.get(path) != Some(&None));
    let mut changes = Changes::default();
    let written = after.iter().filter(|(path, value)| before.get(*path) != Some(*value));
    changes.written.0.extend(written.map(|(path, _)| path.clone()));
    changes.removed.0.extend(before.into_keys().filter(|path| !after.contains_key(path)));
    changes
}

/// Every part by its path, with the value of the leaves.
fn all_parts(object: &Value, schema: &Schema) -> BTreeMap<Path, Option<Value>> {
    let mut all = BTreeMap::new();
    walk(object, Some(schema), &mut Vec::new(), &mut |path, value, leaf, _| {
        let is_empty =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        all.insert(path.clone(), (leaf && !is_empty).then(|| value.clone()));
    });
    all
}

/// Lays `applied` over `live`: fields and keyed items one by one, everything else as a whole.
pub(super) fn merge(live: &mut Value, applied: &Value, schema: Option<&Schema>) {
    match (&mut *live, applied, shape(applied, schema)) {
        (Value::Object(fields), Value::Object(applied), Shape::Fields) => {
            for (name, value) in applied {
                let inner = schema.and_then(|schema| field(schema, name));
                merge(fields.entry(name.clone()).or_insert(Value::Null), value, inner);
            }
        }
        (Value::Array(list), Value::Array(applied), shape @ (Shape::Keyed(_) | Shape::Set)) => {
            *list = merged_list(list, applied, shape, schema.and_then(items));
        }
        _ => *live = applied.clone(),
    }
}

/// The items of both lists: those applied in the order applied, the others where they stood before an applied one.
fn merged_list(live: &[Value], applied: &[Value], shape: Shape<'_>, inner: Option<&Schema>) -> Vec<Value> {
    let names = |list: &[Value]| list.iter().map(|item| element(item, shape)).collect::<Vec<_>>();
    let (here, there) = (names(live), names(applied));
    let mut shared = there.iter().filter(|name| here.contains(name)).peekable();
    let mut merged: Vec<(&String, Value)> = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < live.len() || right < applied.len() {
        if let Some(name) = here.get(left) {
            let is_next = there.get(right) == Some(name);
            let out_of_turn = right < applied.len() && shared.peek().is_some_and(|next| *next != name);
            if !there.contains(name) {
                merged.push((name, live[left].clone()));
                left += 1;
                continue;
            } else if !is_next && (out_of_turn || merged.iter().any(|(done, _)| *done == name)) {
                left += 1;
                continue;
            }
            left += usize::from(is_next);
        }
        let Some(name) = there.get(right) else { continue };
        let before = here.iter().position(|other| other == name).map(|index| live[index].clone());
        let mut item = before.unwrap_or_default();
        merge(&mut item, &applied[right], inner);
        merged.push((name, item));
        shared.next_if(|next| *next == name);
        right += 1;
    }
    merged.into_iter().map(|(_, item)| item).collect()
}

/// Takes out `gone`, with all that is in it. What is left empty by that goes too, but for what is `kept`: that
/// becomes null, which most schemas then refuse.
pub(super) fn remove(object: &mut Value, gone: &FieldSet, kept: &FieldSet, schema: &Schema) {
    for path in &gone.0 {
        let mut end = path.len();
        while end > 0 && cut(object, &path[..end], Some(schema), false) {
            end -= 1;
            if kept.0.contains(&path[..end]) {
                cut(object, &path[..end], Some(schema), true);
                break;
            }
        }
    }
}

/// Removes what is at the path, or makes it null. Says whether that left the value around it empty.
fn cut(value: &mut Value, path: &[String], schema: Option<&Schema>, to_null: bool) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let shape = shape(value, schema);
    match value {
        Value::Object(fields) => {
            let name = first.trim_start_matches("f:");
            let Some(part) = fields.get_mut(name) else { return false };
            if !rest.is_empty() {
                return cut(part, rest, schema.and_then(|schema| field(schema, name)), to_null);
            }
            if to_null {
                *part = Value::Null;
            } else {
                fields.remove(name);
            }
            fields.is_empty()
        }
        Value::Array(list) if rest.is_empty() => {
            let before = list.len();
            list.retain(|item| element(item, shape) != *first);
            list.is_empty() && before > 0
        }
        Value::Array(list) => {
            let inner = schema.and_then(items);
            let found = list.iter_mut().find(|item| element(item, shape) == *first);
            found.is_some_and(|item| cut(item, rest, inner, to_null))
        }
        _ => false,
    }
}
