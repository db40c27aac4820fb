//! Specs made from the schema of a kind: for each field all values that are worth a try, rows that hold every pair of
//! them, and what the schema refuses. A new field of any kind is covered by itself, unless only people know its values.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use fastrand::Rng;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps as Schema, JSONSchemaPropsOrArray,
};
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::world::DEFINITIONS;

/// Fields whose values must name something that is there, with such values; `$acme` and the like stand for ids.
const BY_HAND: &str = r#"{
    "connectionRef": [{ "kind": "Connection", "name": "zitadel" }],
    "organization.id": ["$acme", "$beta"],
    "organization.name": ["beta", "ACME"],
    "organization.ref.name": ["shop"],
    "entries[].valueFrom.secretKeyRef.name": ["vault"],
    "entries[].valueFrom.secretKeyRef.key": ["one", "two"],
    "entries[].valueFrom.configMapKeyRef.name": ["site"],
    "entries[].valueFrom.configMapKeyRef.key": ["region", "tier"],
    "features.loginV2.baseUri": ["https://login.example.com", "https://login.example.com/v2"],
    "url": ["$url", "$url/"],
    "externalDomain": ["$host"],
    "personalAccessToken.name": ["zitadel", "vault"],
    "personalAccessToken.key": ["token", "pat"],
    "jwtProfile.name": ["vault"],
    "jwtProfile.key": ["key.json", "machine"],
    "clientCredentials.name": ["vault"],
    "clientCredentials.idKey": ["client-id", "id"],
    "clientCredentials.secretKey": ["client-secret", "secret"],
    "caBundle.secretKeyRef.name": ["vault"],
    "caBundle.secretKeyRef.key": ["one", "two"],
    "caBundle.configMapKeyRef.name": ["site"],
    "caBundle.configMapKeyRef.key": ["region", "tier"],
    "defaultOrganization.id": ["$acme", "$beta"],
    "defaultOrganization.name": ["beta", "ACME"],
    "resyncInterval": ["90s", "10m", "1h30m"]
}"#;

/// How many texts are tried for one field besides the longest.
const MANY: usize = 6;

/// Longer texts are a matter of other tests.
const LONGEST: usize = 2048;

static HAND: LazyLock<Map<String, Value>> = LazyLock::new(|| serde_json::from_str(BY_HAND).expect("JSON"));

/// A part of an object that is chosen as a whole: mostly one field; fields of which exactly one is set are one part.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it adds to the object; the first is the usual one.
    pub choices: Vec<Value>,
}

/// The schema of a kind.
pub fn schema(kind: &str) -> Schema {
    let definition = DEFINITIONS.iter().find(|definition| definition.spec.names.kind == kind);
    let version = definition.expect("our kind").spec.versions.first().expect("a version");
    version.schema.clone().and_then(|schema| schema.open_api_v3_schema).expect("a schema")
}

/// The schema of a kind's spec.
pub fn spec_schema(kind: &str) -> Schema {
    schema(kind).properties.and_then(|mut properties| properties.remove("spec")).expect("a spec")
}

/// The fields that cannot change once a resource is bound, as the rules of the schema say.
pub fn fixed(kind: &str) -> BTreeSet<String> {
    let of_old = Regex::new(r"oldSelf\.spec\.(\w+)").expect("a pattern");
    let rules = schema(kind).x_kubernetes_validations.unwrap_or_default();
    let named = rules.iter().flat_map(|rule| of_old.captures_iter(&rule.rule));
    named.map(|found| found[1].to_owned()).collect()
}

/// The parts of a kind's spec.
pub fn parts(kind: &str) -> Vec<Part> {
    parts_of(&spec_schema(kind), "")
}

/// One choice of each part, put together.
pub fn put_together<'a>(choices: impl IntoIterator<Item = &'a Value>) -> Value {
    let fields = choices.into_iter().filter_map(Value::as_object).flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn usual(parts: &[Part]) -> Value {
    put_together(parts.iter().map(|part| &part.choices[0]))
}

/// The usual object, but for this choice of that part.
fn but_for(parts: &[Part], index: usize, choice: &Value) -> Value {
    let rest = parts.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, part)| &part.choices[0]);
    put_together(rest.chain([choice]))
}

/// For each part of a spec: the usual spec with each of its choices, the usual one first.
pub fn singles(parts: &[Part]) -> Vec<Vec<Value>> {
    let choices = |(index, part): (usize, &Part)| {
        part.choices.iter().map(|choice| but_for(parts, index, choice)).collect()
    };
    parts.iter().enumerate().map(choices).collect()
}

/// Specs that hold every pair of choices of any two parts; of a part with many choices four are taken.
pub fn rows(parts: &[Part], rng: &mut Rng) -> Vec<Value> {
    let few = |part: &Part| {
        let count = part.choices.len();
        (0..count.min(4)).map(|i| part.choices[i * count / count.min(4)].clone()).collect::<Vec<_>>()
    };
    let choices: Vec<Vec<Value>> = parts.iter().map(few).collect();
    let pairs = |row: &[usize]| -> BTreeSet<(usize, usize, usize, usize)> {
        let two = |a: usize| (a + 1..row.len()).map(move |b| (a, row[a], b, row[b]));
        (0..row.len()).flat_map(two).collect()
    };
    let mut covered = BTreeSet::new();
    let mut rows = Vec::new();
    let all: usize = (0..choices.len())
        .flat_map(|a| (a + 1..choices.len()).map(move |b| (a, b)))
        .map(|(a, b)| choices[a].len() * choices[b].len())
        .sum();
    while covered.len() < all {
        let mut draw = || choices.iter().map(|choices| rng.usize(0..choices.len())).collect::<Vec<_>>();
        let candidates = (0..50).map(|_| draw()).collect::<Vec<_>>();
        let new = |row: &Vec<usize>| pairs(row).difference(&covered).count();
        let best = candidates.into_iter().max_by_key(new).expect("a candidate");
        if new(&best) == 0 {
            continue;
        }
        covered.extend(pairs(&best));
        rows.push(put_together(best.iter().enumerate().map(|(part, choice)| &choices[part][*choice])));
    }
    rows
}

fn within(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn parts_of(schema: &Schema, path: &str) -> Vec<Part> {
    let exclusive = exclusive(schema);
    let required = schema.required.clone().unwrap_or_default();
    let mut parts = Vec::new();
    let mut alternatives = Vec::new();
    for (name, property) in schema.properties.iter().flatten() {
        let path = within(path, name);
        let choices = values(property, &path).into_iter().map(|value| json!({ name: value }));
        let is_optional = !required.contains(name) && path != "connectionRef";
        match exclusive.contains(name) {
            true => alternatives.extend(choices),
            false => parts
                .push(Part { choices: is_optional.then(|| json!({})).into_iter().chain(choices).collect() }),
        }
    }
    if !alternatives.is_empty() {
        parts.push(Part { choices: alternatives });
    }
    parts
}

/// The fields of which exactly one is to be set, as a rule says.
fn exclusive(schema: &Schema) -> BTreeSet<String> {
    let one_of = Regex::new(r"size\(\) == 1|has\(self\.\w+\) != has\(self\.\w+\)").expect("a pattern");
    let named = Regex::new(r"has\(self\.(\w+)\)").expect("a pattern");
    let rules = schema.x_kubernetes_validations.iter().flatten().map(|rule| rule.rule.as_str());
    let rules = rules.filter(|rule| one_of.is_match(rule));
    rules.flat_map(|rule| named.captures_iter(rule)).map(|found| found[1].to_owned()).collect()
}

/// The values of a field that are worth a try.
fn values(schema: &Schema, path: &str) -> Vec<Value> {
    if let Some(known) = HAND.get(path) {
        return known.as_array().cloned().unwrap_or_default();
    }
    if let Some(members) = &schema.enum_ {
        return members.iter().map(|member| member.0.clone()).collect();
    }
    match schema.type_.as_deref() {
        Some("boolean") => vec![json!(true), json!(false)],
        Some("integer") => integers(schema),
        Some("string") => texts(schema, path),
        Some("array") => lists(schema, path),
        _ => objects(schema, path),
    }
}

fn integers(schema: &Schema) -> Vec<Value> {
    let whole = |number: f64| number as i64;
    let least = whole(schema.minimum.unwrap_or(0.0));
    let most = whole(schema.maximum.unwrap_or(f64::from(i32::MAX)));
    let numbers: BTreeSet<i64> =
        [least, least + 1, most].into_iter().filter(|n| (least..=most).contains(n)).collect();
    let default = schema.default.iter().map(|default| default.0.clone());
    default.chain(numbers.into_iter().map(Value::from)).collect()
}

fn texts(schema: &Schema, path: &str) -> Vec<Value> {
    let most = usize::try_from(schema.max_length.unwrap_or(64)).unwrap_or(LONGEST).min(LONGEST);
    let longest = "x".repeat(most);
    let candidates = [
        "web~1",
        "WEB~1",
        "über ✓ 漢字",
        "a/b?c=d&e=%2f../#",
        " blank ",
        "\"'\\{{$x}}",
        "AAEC",
        "/w==",
        "https://example.com",
        "5m",
        longest.as_str(),
    ];
    let mut fitting: Vec<Value> =
        candidates.into_iter().filter(|text| fits(text, schema)).map(Value::from).collect();
    // The first ones, and the longest.
    let end = fitting.len().saturating_sub(1).max(MANY);
    fitting.drain(MANY.min(fitting.len())..end.min(fitting.len()));
    assert!(!fitting.is_empty(), "{path} needs values made by hand");
    fitting
}

fn fits(text: &str, schema: &Schema) -> bool {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let matches = |pattern: &String| Regex::new(pattern).expect("a pattern").is_match(text);
    schema.min_length.is_none_or(|min| length >= min)
        && schema.max_length.is_none_or(|max| length <= max)
        && schema.pattern.as_ref().is_none_or(matches)
}

/// None, each alone, each beside the next, and all; those of a list that is a map have different keys.
fn lists(schema: &Schema, path: &str) -> Vec<Value> {
    let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items else { return vec![json!([])] };
    let items = values(item, &format!("{path}[]"));
    let keys = schema.x_kubernetes_list_map_keys.clone().unwrap_or_default();
    let mut lists = vec![json!([items[0]]), json!([])];
    lists.extend(items.iter().skip(1).map(|item| json!([item])));
    lists.extend(items.windows(2).map(|two| distinct(two, &keys)));
    lists.push(distinct(&items, &keys));
    lists.push(distinct(&items.iter().rev().cloned().collect::<Vec<_>>(), &keys));
    let mut seen = BTreeSet::new();
    lists.retain(|list| seen.insert(list.to_string()));
    lists
}

fn distinct(items: &[Value], keys: &[String]) -> Value {
    let mut seen = BTreeSet::new();
    let key = |item: &Value| match keys.is_empty() {
        true => item.to_string(),
        false => keys.iter().map(|key| item[key].to_string()).collect::<Vec<_>>().join(" "),
    };
    items.iter().filter(|item| seen.insert(key(item))).cloned().collect::<Vec<_>>().into()
}

/// The usual object, each that differs in one part, and one that differs in all.
fn objects(schema: &Schema, path: &str) -> Vec<Value> {
    let parts = parts_of(schema, path);
    let mut objects = vec![usual(&parts)];
    objects.extend(singles(&parts).into_iter().flat_map(|choices| choices.into_iter().skip(1)));
    objects.push(put_together(parts.iter().filter_map(|part| part.choices.last())));
    let least = usize::try_from(schema.min_properties.unwrap_or(0)).unwrap_or(0);
    let mut seen = BTreeSet::new();
    objects.retain(|object| {
        object.as_object().is_some_and(|fields| fields.len() >= least) && seen.insert(object.to_string())
    });
    objects
}

/// Specs that the schema refuses, each for one reason.
pub fn refused(kind: &str) -> Vec<Value> {
    bad(&spec_schema(kind), "")
}

fn bad(schema: &Schema, path: &str) -> Vec<Value> {
    match schema.type_.as_deref() {
        Some("string") => bad_texts(schema),
        Some("boolean") => vec![json!("true"), json!(1)],
        Some("integer") => {
            let limits = [schema.minimum.map(|min| min - 1.0), schema.maximum.map(|max| max + 1.0)];
            let beyond = limits.into_iter().flatten().map(|limit| json!(limit as i64));
            beyond.chain([json!("1"), json!(1.5)]).collect()
        }
        Some("array") => bad_lists(schema, path),
        _ => bad_objects(schema, path),
    }
}

fn bad_texts(schema: &Schema) -> Vec<Value> {
    if schema.enum_.is_some() {
        return vec![json!("Nonsense"), json!(""), json!(true)];
    }
    let too_long = schema.max_length.and_then(|max| usize::try_from(max + 1).ok()).map(|n| "x".repeat(n));
    let candidates = ["", "line\nbreak", "NUL\0", "Upper Case", "x"].map(str::to_owned);
    let wrong = candidates.into_iter().chain(too_long).filter(|text| !fits(text, schema));
    wrong.map(Value::from).chain([json!(7)]).collect()
}

fn bad_lists(schema: &Schema, path: &str) -> Vec<Value> {
    let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items else { return vec![json!("none")] };
    let good = &values(item, &format!("{path}[]"))[0];
    let inside = bad(item, &format!("{path}[]")).into_iter().map(|item| json!([item]));
    let twice = schema.x_kubernetes_list_map_keys.is_some().then(|| json!([good, good]));
    inside.chain(twice).chain([json!({})]).collect()
}

fn bad_objects(schema: &Schema, path: &str) -> Vec<Value> {
    let usual = values(schema, path).swap_remove(0);
    let with = |name: &str, value: Value| {
        let mut object = usual.clone();
        object[name] = value;
        object
    };
    let properties = schema.properties.iter().flatten();
    let inside = properties.flat_map(|(name, property)| {
        bad(property, &within(path, name)).into_iter().map(|value| with(name, value)).collect::<Vec<_>>()
    });
    let missing = schema.required.iter().flatten().map(|name| {
        let mut object = usual.clone();
        object.as_object_mut().expect("an object").remove(name);
        object
    });
    let too_few = schema.min_properties.map(|_| json!({}));
    let undeclared = path.is_empty().then(|| with("undeclared", json!(1)));
    inside.chain(missing).chain(too_few).chain(undeclared).chain([json!(["not an object"])]).collect()
}

/// The paths of all leaves of a schema, with the members of those that are enumerations.
pub fn leaves(schema: &Schema, path: &str) -> Vec<(String, Vec<Value>)> {
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        return leaves(item, &format!("{path}[]"));
    }
    let mut found = Vec::new();
    for (name, property) in schema.properties.iter().flatten() {
        found.extend(leaves(property, &within(path, name)));
    }
    if schema.properties.is_none() {
        let members = schema.enum_.iter().flatten().map(|member| member.0.clone()).collect();
        found.push((path.to_owned(), members));
    }
    found
}

/// What stands at a path, in every item of the lists on the way; null where there is nothing.
pub fn at(value: &Value, path: &str) -> Vec<Value> {
    let Some((first, rest)) = path.split_once('.').or(Some((path, ""))) else { return vec![] };
    let inner = &value[first.trim_end_matches("[]")];
    let found = match (first.ends_with("[]"), inner) {
        (true, Value::Array(items)) => items.clone(),
        _ => vec![inner.clone()],
    };
    match rest {
        "" => found,
        rest => found.iter().flat_map(|value| at(value, rest)).collect(),
    }
}

/// The paths of the fields with values made by hand.
pub fn by_hand() -> impl Iterator<Item = &'static String> {
    HAND.keys()
}
