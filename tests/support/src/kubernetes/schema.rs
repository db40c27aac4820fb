//! Structural schemas: pruning, defaults and validation. Rules in CEL are not evaluated.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps as Schema, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

use super::failure::Cause;

/// What every object has, whatever its schema says.
const TYPE_AND_METADATA: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The schema of a field, if the schema says anything of it.
pub(super) fn field<'a>(schema: &'a Schema, name: &str) -> Option<&'a Schema> {
    schema.properties.as_ref().and_then(|properties| properties.get(name)).or_else(|| additional(schema))
}

fn additional(schema: &Schema) -> Option<&Schema> {
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(schema)) => Some(schema),
        _ => None,
    }
}

/// The schema of a list's items.
pub(super) fn items(schema: &Schema) -> Option<&Schema> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    }
}

/// Is every field allowed, declared or not?
pub(super) fn is_open(schema: &Schema) -> bool {
    schema.x_kubernetes_preserve_unknown_fields == Some(true)
        || matches!(schema.additional_properties, Some(JSONSchemaPropsOrBool::Bool(true)))
}

/// Drops what the schema does not declare, then sets defaults, as the API server does on every read and write.
/// A null that the schema does not allow counts as not set; of an apply (`keep_nulls`) only where there is a default.
pub(super) fn complete(object: &mut Value, schema: &Schema, keep_nulls: bool) {
    let Some(fields) = object.as_object_mut() else { return };
    let kept: Vec<(String, Value)> =
        TYPE_AND_METADATA.iter().filter_map(|name| fields.remove_entry(*name)).collect();
    prune(object, schema);
    default(object, schema, keep_nulls);
    if let Some(fields) = object.as_object_mut() {
        fields.extend(kept);
    }
}

fn prune(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            if !is_open(schema) {
                fields.retain(|name, _| field(schema, name).is_some());
            }
            each(fields, schema, prune);
        }
        Value::Array(list) => list.iter_mut().for_each(|item| {
            if let Some(schema) = items(schema) {
                prune(item, schema);
            }
        }),
        _ => {}
    }
}

fn each(fields: &mut Map<String, Value>, schema: &Schema, apply: impl Fn(&mut Value, &Schema)) {
    for (name, value) in fields {
        if let Some(schema) = field(schema, name) {
            apply(value, schema);
        }
    }
}

fn default(value: &mut Value, schema: &Schema, keep_nulls: bool) {
    let inside = |value: &mut Value, schema: &Schema| default(value, schema, keep_nulls);
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let declared = field(schema, name);
                let stays = |schema: &Schema| {
                    schema.nullable == Some(true) || (keep_nulls && schema.default.is_none())
                };
                !value.is_null() || declared.is_none_or(stays)
            });
            for (name, property) in schema.properties.iter().flatten() {
                if let (false, Some(value)) = (fields.contains_key(name), &property.default) {
                    fields.insert(name.clone(), value.0.clone());
                }
            }
            each(fields, schema, inside);
        }
        Value::Array(list) => {
            if let Some(schema) = items(schema) {
                list.iter_mut().for_each(|item| inside(item, schema));
            }
        }
        _ => {}
    }
}

/// Everything that is wrong with an object. What was as wrong before is let through, as the API server does.
pub(super) fn faults(object: &Value, old: Option<&Value>, schema: &Schema) -> Vec<Cause> {
    let mut causes = Vec::new();
    inspect(object, old, schema, "", &mut causes);
    causes
}

fn inspect(value: &Value, old: Option<&Value>, schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    if old == Some(value) {
        return;
    }
    if let Some(cause) = mistyped(value, schema, path) {
        causes.push(cause);
        return;
    }
    causes.extend(out_of_bounds(value, schema, path));
    match value {
        Value::Object(fields) => inspect_fields(fields, old, schema, path, causes),
        Value::Array(list) => {
            causes.extend(duplicates(list, schema, path));
            for (index, item) in list.iter().enumerate() {
                let Some(schema) = items(schema) else { break };
                inspect(
                    item,
                    old.and_then(|old| old.get(index)),
                    schema,
                    &format!("{path}[{index}]"),
                    causes,
                );
            }
        }
        _ => {}
    }
}

/// The items of a list that is a map, of which another has the same keys.
fn duplicates(list: &[Value], schema: &Schema, path: &str) -> Vec<Cause> {
    let names = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
    let key =
        |item: &Value| names.iter().map(|name| (name.clone(), item[name].clone())).collect::<Map<_, _>>();
    let keys: Vec<_> = list.iter().map(key).collect();
    let repeated = |index: &usize| !names.is_empty() && keys[..*index].contains(&keys[*index]);
    let reported = |index: usize| {
        let message = format!("Duplicate value: {}", Value::Object(keys[index].clone()));
        Cause::new("FieldValueDuplicate", format!("{path}[{index}]"), message)
    };
    (1..list.len()).filter(repeated).map(reported).collect()
}

fn inspect_fields(
    fields: &Map<String, Value>,
    old: Option<&Value>,
    schema: &Schema,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let missing = schema.required.iter().flatten().filter(|name| !fields.contains_key(*name));
    causes.extend(missing.map(|name| Cause::required(within(name), "")));
    let bodies =
        fields.iter().filter(|(name, _)| !path.is_empty() || !TYPE_AND_METADATA.contains(&name.as_str()));
    for (name, value) in bodies {
        if let Some(schema) = field(schema, name) {
            inspect(value, old.and_then(|old| old.get(name)), schema, &within(name), causes);
        }
    }
}

/// The name of a JSON value's type, as messages give it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(value: &Value, schema: &Schema) -> bool {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return matches!(type_of(value), "integer" | "string");
    }
    match (schema.type_.as_deref(), type_of(value)) {
        (None, _) => true,
        (Some("number"), "integer") => true,
        (Some(_), "null") => schema.nullable == Some(true),
        (Some(wanted), is) => wanted == is,
    }
}

fn mistyped(value: &Value, schema: &Schema, path: &str) -> Option<Cause> {
    if fits(value, schema) {
        return None;
    }
    let (is, wanted) = (type_of(value), schema.type_.as_deref().unwrap_or("integer or string"));
    let message = format!("Invalid value: \"{is}\": {path} in body must be of type {wanted}: \"{is}\"");
    Some(Cause::new("FieldValueTypeInvalid", path, message))
}

fn out_of_bounds(value: &Value, schema: &Schema, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(allowed) = &schema.enum_
        && !allowed.iter().any(|one| one.0 == *value)
    {
        let reported = allowed.iter().map(|one| one.0.to_string()).collect::<Vec<_>>().join(", ");
        let message = format!("Unsupported value: {value}: supported values: {reported}");
        causes.push(Cause::new("FieldValueNotSupported", path, message));
    }
    match value {
        Value::String(text) => causes.extend(bad_text(text, schema, path)),
        Value::Number(number) => causes.extend(bad_number(number.as_f64().unwrap_or(f64::NAN), schema, path)),
        Value::Array(list) => causes.extend(bad_count(list.len(), schema.min_items, schema.max_items, path)),
        Value::Object(map) => {
            causes.extend(bad_count(map.len(), schema.min_properties, schema.max_properties, path));
        }
        _ => {}
    }
    causes
}

fn bad_text(text: &str, schema: &Schema, path: &str) -> Option<Cause> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let value = Value::from(text);
    if schema.max_length.is_some_and(|max| length > max) {
        let max = schema.max_length.unwrap_or_default();
        return Some(Cause::new(
            "FieldValueTooLong",
            path,
            format!("Too long: may not be more than {max} bytes"),
        ));
    }
    if let Some(min) = schema.min_length.filter(|min| length < *min) {
        return Some(Cause::bad(
            path,
            &value,
            &format!("{path} in body should be at least {min} chars long"),
        ));
    }
    let pattern = schema.pattern.as_ref()?;
    let matches = regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
    (!matches).then(|| Cause::bad(path, &value, &format!("{path} in body should match '{pattern}'")))
}

fn bad_number(number: f64, schema: &Schema, path: &str) -> Option<Cause> {
    let value = serde_json::json!(number);
    let value = if number.fract() == 0.0 { serde_json::json!(number as i64) } else { value };
    if let Some(max) = schema.maximum.filter(|max| number > *max) {
        let why = format!("{path} in body should be less than or equal to {max}");
        return Some(Cause::bad(path, &value, &why));
    }
    let min = schema.minimum.filter(|min| number < *min)?;
    Some(Cause::bad(path, &value, &format!("{path} in body should be greater than or equal to {min}")))
}

fn bad_count(count: usize, min: Option<i64>, max: Option<i64>, path: &str) -> Option<Cause> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if let Some(max) = max.filter(|max| count > *max) {
        let message = format!("Too many: {count}: must have at most {max} items");
        return Some(Cause::new("FieldValueTooMany", path, message));
    }
    let min = min.filter(|min| count < *min)?;
    Some(Cause::bad(path, &count.into(), &format!("{path} in body should have at least {min} items")))
}

/// Why server-side apply cannot read a value as one of this schema; such a request ends with 500.
pub(super) fn untypeable(value: &Value, schema: &Schema, path: &str) -> Option<String> {
    if !fits(value, schema) && !value.is_null() {
        let wanted = match schema.type_.as_deref() {
            Some("integer" | "number") => "numeric (int or float)",
            Some("array") => "list",
            Some("object") => "map",
            wanted => wanted.unwrap_or_default(),
        };
        return Some(format!("{path}: expected {wanted}, got {}", type_of(value)));
    }
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| match field(schema, name) {
            Some(schema) => untypeable(value, schema, &format!("{path}.{name}")),
            None if is_open(schema) => None,
            None => Some(format!("{path}.{name}: field not declared in schema")),
        }),
        Value::Array(list) => {
            let schema = items(schema)?;
            list.iter().find_map(|item| untypeable(item, schema, path))
        }
        _ => None,
    }
}
