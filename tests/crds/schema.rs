//! What must hold for every field of every definition.

use serde_json::{Map, Value};
use zitadel_operator::kinds::definitions;

/// The schema of every kind, as JSON.
fn schemas() -> impl Iterator<Item = (String, Value)> {
    definitions().into_iter().map(|crd| {
        let schema = crd.spec.versions.into_iter().next().unwrap().schema.unwrap();
        (crd.spec.names.kind, serde_json::to_value(schema.open_api_v3_schema).unwrap())
    })
}

/// Calls back for every schema below this one, with its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let Some(fields) = schema.as_object() else { return };
    visit(path, fields);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    walk(&format!("{path}[]"), &schema["items"], visit);
    walk(&format!("{path}{{}}"), &schema["additionalProperties"], visit);
}

/// The paths where something is wrong.
fn wrong(is_wrong: impl Fn(&str, &Map<String, Value>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, fields| {
            if is_wrong(path, fields) {
                found.push(path.to_owned());
            }
        });
    }
    found
}

#[test]
fn every_field_is_described() {
    let described = |fields: &Map<String, Value>| {
        fields.get("description").is_some_and(|d| !d.as_str().unwrap().trim().is_empty())
    };
    let is_field = |path: &str| !path.ends_with("[]") && !path.ends_with("{}");
    assert_eq!(wrong(|path, fields| is_field(path) && !described(fields)), [""; 0]);
}

#[test]
fn an_enumeration_says_what_its_values_mean() {
    let silent = |path: &str, fields: &Map<String, Value>| {
        let text = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let values = fields.get("enum").and_then(Value::as_array).into_iter().flatten();
        path.contains(".spec.") && values.into_iter().any(|value| !text.contains(value.as_str().unwrap()))
    };
    assert_eq!(wrong(silent), [""; 0]);
}

#[test]
fn nothing_is_nullable_so_that_has_means_is_set() {
    assert_eq!(wrong(|_, fields| fields.contains_key("nullable")), [""; 0]);
}

#[test]
fn every_format_is_one_that_the_api_server_knows() {
    let unknown = |fields: &Map<String, Value>| {
        let known = ["int32", "int64", "date-time", "duration"];
        fields.get("format").is_some_and(|f| !known.contains(&f.as_str().unwrap()))
    };
    assert_eq!(wrong(|_, fields| unknown(fields)), [""; 0]);
}

/// The API server fills it in there, and who compares structurally with what was applied, such as Argo CD, sees a
/// difference for ever.
#[test]
fn no_element_of_a_list_or_map_has_a_default() {
    let inside = |path: &str| path.contains("[]") || path.contains("{}");
    assert_eq!(wrong(|path, fields| inside(path) && fields.contains_key("default")), [""; 0]);
}

/// Rules are charged for the largest value that the schema allows. No rule reads the label selectors.
#[test]
fn every_text_and_list_that_a_person_writes_is_bounded() {
    let unbounded = |path: &str, fields: &Map<String, Value>| {
        let bound = match fields.get("type").and_then(Value::as_str) {
            Some("string") => fields.contains_key("maxLength") || fields.contains_key("enum"),
            Some("array") => fields.contains_key("maxItems"),
            Some("integer") => fields.contains_key("minimum") && fields.contains_key("maximum"),
            _ => true,
        };
        path.contains(".spec.") && !path.contains(".namespaceSelector") && !bound
    };
    assert_eq!(wrong(unbounded), [""; 0]);
}

#[test]
fn the_walk_reaches_the_fields_of_lists() {
    let schema = serde_json::json!({ "properties": { "items": { "items": { "properties": { "a": {} } } } } });
    let mut seen = Vec::new();
    walk("Kind", &schema, &mut |path, _| seen.push(path.to_owned()));
    assert_eq!(seen, ["Kind", "Kind.items", "Kind.items[]", "Kind.items[].a"]);
}
