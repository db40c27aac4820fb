//! `docs/reference/` is what the definitions say, a page a kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use crate::{guides, hold};
use zitadel_operator::kinds::definitions;

#[test]
fn every_kind_has_its_page_of_reference() {
    let stale: Vec<String> =
        definitions().iter().filter_map(|crd| hold(&path(crd), &page(crd)).err()).collect();
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn no_page_of_reference_is_left_of_a_kind_that_is_gone() {
    let pages = std::fs::read_dir(crate::repository().join("docs/reference")).unwrap();
    assert_eq!(pages.count(), definitions().len());
}

/// Where the page of a kind is.
pub fn path(crd: &CustomResourceDefinition) -> String {
    format!("docs/reference/{}.md", crd.spec.names.singular.as_deref().unwrap())
}

fn page(crd: &CustomResourceDefinition) -> String {
    let version = &crd.spec.versions[0];
    let schema = serde_json::to_value(version.schema.clone().unwrap().open_api_v3_schema).unwrap();
    let part = |name: &str| fields("", &schema["properties"][name]).concat();
    let head = "|---|---|---|---|\n";
    [
        "<!-- Written from the schema by UPDATE_DOCS=1 cargo test --test docs -->\n".to_owned(),
        format!("# {}\n\n{}\n\n", crd.spec.names.kind, text(&schema)),
        names(crd),
        format!("## Spec\n\n| Field | Type | Default | What it is |\n{head}{}\n", part("spec")),
        rules(&schema),
        format!("## Status\n\n{}| Field | Type | | What it is |\n{head}{}\n", birth(&schema), part("status")),
        columns(&serde_json::to_value(version).unwrap()),
    ]
    .concat()
}

fn names(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let list = |names: &Option<Vec<String>>| code(&names.clone().unwrap_or_default().join("`, `"));
    let guide = guides().into_iter().find(|guide| guide.kind == names.kind).unwrap();
    let scope = match crd.spec.scope.as_str() {
        "Cluster" => "the cluster",
        _ => "a namespace",
    };
    format!(
        "How it is used: [{}](../{}). Reasons: [conditions](../conditions.md).\n\n\
         | | |\n|---|---|\n| `apiVersion` | `{}/{}` |\n| Names | `{}`, `{}`, {} |\n| Category | {} |\n| Lives in | {scope} |\n\n",
        guide.title,
        guide.page,
        crd.spec.group,
        crd.spec.versions[0].name,
        names.plural,
        names.singular.as_deref().unwrap(),
        list(&names.short_names),
        list(&names.categories),
    )
}

/// A row for every field below a schema.
fn fields(path: &str, schema: &Value) -> Vec<String> {
    let required = |name: &str| schema["required"].as_array().into_iter().flatten().any(|r| r == name);
    let each = schema["properties"].as_object().into_iter().flatten();
    let rows = each.flat_map(|(name, field)| {
        let path = format!("{path}{name}");
        let row = row(&path, field, required(name));
        let below = match name.as_str() {
            // Kubernetes' own, the same everywhere.
            "conditions" => Vec::new(),
            _ if field["type"] == "array" => fields(&format!("{path}[]."), &field["items"]),
            _ => fields(&format!("{path}."), field),
        };
        [vec![row], below].concat()
    });
    rows.collect()
}

fn row(path: &str, field: &Value, required: bool) -> String {
    let default = match (&field["default"], required) {
        (Value::Null, true) => "**required**".into(),
        (Value::Null, false) => String::new(),
        (Value::String(text), _) => code(text),
        (default, _) => code(&default.to_string()),
    };
    let limits = limits(field);
    let limits = if limits.is_empty() { String::new() } else { format!(", {}", limits.join(", ")) };
    let cells = [code(path), kind(field) + &limits, default, text(field)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return format!("`{}`", values.join("`, `"));
    }
    match (schema["type"].as_str().unwrap_or("any value"), &schema["additionalProperties"]) {
        ("array", _) => {
            let items = &schema["items"];
            let each = match limits(items) {
                limits if limits.is_empty() => String::new(),
                limits => format!(" ({})", limits.join(", ")),
            };
            format!("list of {}{each}", kind(items))
        }
        ("object", Value::Object(_)) => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        (other, _) => other.to_owned(),
    }
}

/// What the API server checks besides the type.
fn limits(schema: &Value) -> Vec<String> {
    let range = |least: &str, most: &str, unit: &str| match (number(schema, least), number(schema, most)) {
        (None, None) => None,
        (Some(least), Some(most)) => Some(format!("{least}–{most}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
    };
    let listed = |name: &str, words: &str| schema[name].as_str().map(|value| format!("{words} `{value}`"));
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let found = [
        range("minLength", "maxLength", " characters"),
        range("minimum", "maximum", ""),
        range("minItems", "maxItems", " items"),
        range("minProperties", "maxProperties", " fields"),
        listed("pattern", "matching"),
        keys.map(|keys| format!("one for each `{}`", keys[0].as_str().unwrap())),
        schema["x-kubernetes-preserve-unknown-fields"]
            .as_bool()
            .map(|_| "other fields are kept as they are".into()),
    ];
    found.into_iter().flatten().collect()
}

fn number(schema: &Value, name: &str) -> Option<i64> {
    schema[name].as_i64().or_else(|| schema[name].as_f64().map(|number| number as i64))
}

fn rules(schema: &Value) -> String {
    let mut rows = Vec::new();
    collect_rules("", schema, &mut rows);
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "## Rules\n\nWhat the API server refuses, and how it says so.\n\n| Where | Message | Rule (CEL) |\n|---|---|---|\n{}\n",
            rows.concat()
        ),
    }
}

fn collect_rules(path: &str, schema: &Value, rows: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let place = if path.is_empty() { "the resource".into() } else { code(path) };
        let cells = [place, rule["message"].as_str().unwrap().into(), code(rule["rule"].as_str().unwrap())];
        rows.push(format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")));
    }
    let separator = if path.is_empty() { "" } else { "." };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        collect_rules(&format!("{path}{separator}{name}"), field, rows);
    }
    if schema["items"].is_object() {
        collect_rules(&format!("{path}[]"), &schema["items"], rows);
    }
}

/// What a resource says before anybody looked at it.
fn birth(schema: &Value) -> String {
    let born = &schema["properties"]["status"]["default"]["conditions"][0];
    let part = |name: &str| born[name].as_str().unwrap();
    format!("At first `{}` is {}, with the reason `{}`.\n\n", part("type"), part("status"), part("reason"))
}

fn columns(version: &Value) -> String {
    let rows = version["additionalPrinterColumns"].as_array().unwrap().iter().map(|column| {
        let wide = if column["priority"].is_null() { "" } else { "with `-o wide`" };
        let name = column["name"].as_str().unwrap().to_uppercase();
        format!("| {name} | {} | {wide} |\n", code(column["jsonPath"].as_str().unwrap()))
    });
    let rows: String = rows.collect();
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    let selectable: Vec<&str> =
        selectable.map(|field| field["jsonPath"].as_str().unwrap().trim_start_matches('.')).collect();
    let selectable = match selectable.is_empty() {
        true => String::new(),
        false => format!(
            "\n`--field-selector` knows, besides name and namespace: `{}`.\n",
            selectable.join("`, `")
        ),
    };
    format!("## Columns of kubectl get\n\n| Column | From | |\n|---|---|---|\n{rows}{selectable}")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}
