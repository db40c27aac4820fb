//! Every field that refers to something, found in the schemas of the CRDs by its shape: a new one is found by itself.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Map, Value, json};
use zitadel_operator::kinds::definitions;

use crate::conformance::rows::merged;

/// Text that refers to nothing, wherever it stands. Whoever adds a field says here that it is such a text, or gives
/// it the shape of a reference. Numbers, booleans and enumerations can refer to nothing.
const PLAIN: [&str; 17] = [
    // What is made is called so; whose name it may be is in organization_grants and ownership.
    "Organization.spec.name",
    "Project.spec.name",
    // Where a tenant's own credential goes, and how long what came from there stands.
    "Connection.spec.url",
    "Connection.spec.externalDomain",
    "Connection.spec.caBundle.inline",
    "Connection.spec.previousInstances[]",
    "Connection.spec.resyncInterval",
    // What ZITADEL is told.
    "ProjectRole.spec.key",
    "ProjectRole.spec.displayName",
    "ProjectRole.spec.group",
    "OrgLoginPolicy.spec.defaultRedirectUri",
    "InstanceLoginPolicy.spec.defaultRedirectUri",
    "InstanceLoginPolicy.spec.resetOnDelete.defaultRedirectUri",
    "OrgFeatures.spec.features.*",
    "OrgFeatures.spec.features.loginV2.baseUri",
    "OrgMetadata.spec.entries[].key",
    "OrgMetadata.spec.entries[].value",
];
/// The same, where a text is another form of one of those.
const ENCODED: [&str; 1] = ["OrgMetadata.spec.entries[].base64"];

/// What a field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Secret,
    ConfigMap,
    Connection,
    /// An `Organization` or a `Project` of the namespace.
    Neighbour,
    OrganizationId,
    OrganizationName,
    ProjectId,
    ProjectName,
    /// An object in ZITADEL, by the annotation of an import.
    Import,
}

/// One step from the spec to a reference.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    /// Into a list, by an item that has what is required beside the next step.
    Item(Map<String, Value>),
}

/// One field of a kind that refers to something.
#[derive(Clone, Debug)]
pub struct Reference {
    pub kind: String,
    pub path: String,
    pub names: Names,
    /// The fields that name a key in what is referred to.
    pub keys: Vec<String>,
    steps: Vec<Step>,
}

impl Reference {
    /// The spec's field that leads to it.
    pub fn root(&self) -> &str {
        match self.steps.first() {
            Some(Step::Field(name)) => name,
            _ => "",
        }
    }

    /// Is it a part of what selects a project?
    pub fn is_of_project(&self) -> bool {
        self.root() == "project"
    }

    /// Puts a value where the reference is; what the spec has in the same field goes.
    pub fn put(&self, spec: &mut Value, value: Value) {
        let nested = self.steps.iter().rev().fold(value, |inner, step| match step {
            Step::Field(name) => json!({ name: inner }),
            Step::Item(required) => {
                let mut item = required.clone();
                item.extend(inner.as_object().expect("an item is an object").clone());
                json!([item])
            }
        });
        if self.steps.is_empty() {
            return;
        }
        match self.is_of_project() {
            true => *spec = merged(spec.take(), &nested),
            false => spec.as_object_mut().expect("a spec is an object").extend(fields(&nested)),
        }
    }
}

/// All references of the kinds that a namespace can have, and the text of which nobody said what it is.
#[derive(Default)]
pub struct Found {
    pub references: Vec<Reference>,
    pub unknown: Vec<String>,
}

/// A `ClusterConnection` is not for a tenant to write.
pub fn all() -> Found {
    let mut found = Found::default();
    for definition in definitions().iter().filter(|crd| crd.spec.scope == "Namespaced") {
        found.look_into(definition);
    }
    found
}

impl Found {
    fn look_into(&mut self, definition: &CustomResourceDefinition) {
        let kind = definition.spec.names.kind.as_str();
        let schema = definition.spec.versions[0].schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref());
        let spec = &schema.expect("a schema").properties.as_ref().expect("fields")["spec"];
        self.walk(kind, &format!("{kind}.spec"), &[], spec);
        if spec.properties.as_ref().expect("fields").contains_key("connectionRef") {
            self.note(kind, "metadata.annotations.id", Names::Import, &[], Vec::new());
        }
    }

    fn note(&mut self, kind: &str, path: &str, names: Names, steps: &[Step], keys: Vec<String>) {
        let (kind, path, steps) = (kind.to_owned(), path.to_owned(), steps.to_vec());
        self.references.push(Reference { kind, path, names, keys, steps });
    }

    fn walk(&mut self, kind: &str, path: &str, steps: &[Step], schema: &JSONSchemaProps) {
        if let Some((names, keys)) = shape(path, schema) {
            return self.note(kind, path, names, steps, keys);
        }
        let selected = selected_by(schema);
        for (name, field) in schema.properties.iter().flatten() {
            let (path, steps) = (format!("{path}.{name}"), step(steps, Step::Field(name.clone())));
            match (selected, name.as_str()) {
                (Some([id, _]), "id") => self.note(kind, &path, id, &steps, Vec::new()),
                (Some([_, named]), "name") => self.note(kind, &path, named, &steps, Vec::new()),
                _ => self.walk(kind, &path, &steps, field),
            }
        }
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
            self.walk(kind, &format!("{path}[]"), &step(steps, Step::Item(required(item))), item);
        }
        let open = schema.x_kubernetes_preserve_unknown_fields == Some(true);
        if open || schema.additional_properties.is_some() {
            self.classify(&format!("{path}.*"));
        }
        if is_text(schema) {
            self.classify(path);
        }
    }

    fn classify(&mut self, path: &str) {
        if !PLAIN.iter().chain(&ENCODED).any(|plain| *plain == path) {
            self.unknown.push(path.to_owned());
        }
    }
}

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn step(steps: &[Step], next: Step) -> Vec<Step> {
    [steps, &[next]].concat()
}

/// What an object refers to by its fields alone.
fn shape(path: &str, schema: &JSONSchemaProps) -> Option<(Names, Vec<String>)> {
    let fields: Vec<&str> = schema.properties.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let (keys, rest): (Vec<&str>, Vec<&str>) =
        fields.into_iter().partition(|name| *name == "key" || name.ends_with("Key"));
    let names = match (rest.as_slice(), keys.len()) {
        (["name"], 0) => Names::Neighbour,
        (["name"], _) if path.to_lowercase().contains("configmap") => Names::ConfigMap,
        (["name"], _) => Names::Secret,
        (["kind", "name"], 0) => Names::Connection,
        _ => return None,
    };
    Some((names, keys.into_iter().map(Into::into).collect()))
}

/// What an id and a name say where there is nothing beside them that could be a setting: of an organization, or of a
/// project in one.
fn selected_by(schema: &JSONSchemaProps) -> Option<[Names; 2]> {
    let fields: Vec<&str> = schema.properties.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let selects = ["id", "name"].iter().all(|name| fields.contains(name));
    let beside: Vec<&str> = fields.into_iter().filter(|name| !["id", "name", "ref"].contains(name)).collect();
    match beside.as_slice() {
        [] if selects => Some([Names::OrganizationId, Names::OrganizationName]),
        ["organization"] if selects => Some([Names::ProjectId, Names::ProjectName]),
        _ => None,
    }
}

/// Whether it could name something: no duration and none of a few words does.
fn is_text(schema: &JSONSchemaProps) -> bool {
    let typed = schema.type_.as_deref() == Some("string") || schema.x_kubernetes_int_or_string == Some(true);
    typed && schema.enum_.is_none() && schema.format.as_deref() != Some("duration")
}

/// What an item needs to be accepted, as text.
fn required(item: &JSONSchemaProps) -> Map<String, Value> {
    let needed = item.required.iter().flatten();
    needed.map(|name| (name.clone(), json!("required"))).collect()
}

#[test]
fn every_field_refers_to_something_or_is_said_not_to() {
    let Found { references, unknown } = all();
    assert_eq!(unknown, [""; 0], "give each the shape of a reference, or list it as plain");
    for names in [
        Names::Secret,
        Names::ConfigMap,
        Names::Connection,
        Names::Neighbour,
        Names::OrganizationId,
        Names::OrganizationName,
        Names::ProjectId,
        Names::ProjectName,
        Names::Import,
    ] {
        assert!(references.iter().any(|reference| reference.names == names), "no {names:?} was found");
    }
}

#[test]
fn a_text_that_nobody_knows_is_noticed() {
    let mut definition = definitions().into_iter().find(|crd| crd.spec.names.kind == "Project").unwrap();
    let schema = definition.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
    let text = JSONSchemaProps { type_: Some("string".into()), ..Default::default() };
    spec.properties.as_mut().unwrap().insert("grantedOrganizationId".into(), text);
    let mut found = Found::default();
    found.look_into(&definition);
    assert_eq!(found.unknown, ["Project.spec.grantedOrganizationId"]);
}
