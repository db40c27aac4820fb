//! What the tests know of each kind: one row of data a kind.

mod field;
pub mod org_domain_policy;
pub mod org_features;
pub mod org_login_policy;
pub mod org_metadata;
pub mod organization;
pub mod project;
pub mod project_role;

use serde_json::{Value, json};

pub use field::{Field, entry, field, flag};

/// Every row, in the order of the registry.
pub fn rows() -> Vec<Row> {
    vec![
        organization::row(),
        project::row(),
        project_role::row(),
        org_metadata::row(),
        org_domain_policy::row(),
        org_features::row(),
        org_login_policy::row(),
    ]
}

/// What an object belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    Instance,
    Organization,
    /// One that a person made.
    Project,
}

/// What tells one object of a kind from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An id of the server's; its name is unique below the parent.
    Assigned,
    /// There is always one below each parent.
    Setting,
    /// Keys below a parent, which specs say.
    Keys,
}

/// How ZITADEL shows an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As what this pointer leads to in the answer.
    Object(&'static str),
    /// As fields of the answer, each of which may be missing.
    Flags,
    /// As items of this list, by their `key`, each of which may be missing.
    Entries(&'static str),
}

/// One request: method and path, and the body.
#[derive(Clone, Debug)]
pub struct Call {
    pub line: &'static str,
    pub body: Value,
}

/// A request without a body.
pub fn call(line: &'static str) -> Call {
    Call { line, body: Value::Null }
}

/// A request with this body.
pub fn sending(line: &'static str, body: Value) -> Call {
    Call { line, body }
}

/// What a person does to an object through ZITADEL's API. In all texts `$organization`, `$project`, `$id` and `$name` stand
/// for the organization, the project, the object's id and its name; the body `"$fields"` for all fields, in a list with more
/// beside them, and `"$field"` for those to change.
#[derive(Clone, Debug)]
pub struct Api {
    /// The organization in whose name all of it is done.
    pub within: &'static str,
    pub read: Call,
    pub shape: Shape,
    pub create: Call,
    /// Where the answer to a create has the id.
    pub id: &'static str,
    /// Changes fields that have no calls of their own.
    pub change: Call,
    pub remove: Call,
}

/// An object of one kind, on both sides.
#[derive(Clone, Debug)]
pub struct Row {
    pub kind: &'static str,
    /// What a resource of the kind is called where there is one.
    pub resource: &'static str,
    pub parent: Parent,
    pub identity: Identity,
    /// What every spec says.
    pub base: Value,
    /// Every field of the object.
    pub fields: Vec<Field>,
    /// Fields of the spec that are no fields of the object.
    pub beside: &'static [&'static str],
    pub api: Api,
    /// What nobody but an owner may: make it, change it, remove it.
    pub permissions: [&'static str; 3],
    /// Whether a deletion leaves what was created, unless the spec says otherwise.
    pub is_retained: bool,
    /// Whether it is made again by itself after somebody removed it in ZITADEL.
    pub is_recreated: bool,
    /// Whether released servers have it.
    pub is_released: bool,
}

impl Row {
    /// The names of all fields.
    pub fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }

    /// A spec in which these fields have their second value, and all others their first.
    pub fn spec(&self, second: &[&str]) -> Value {
        let part = |field: &'_ Field| field.spec[field.choice(second)].clone();
        self.fields.iter().fold(self.base.clone(), |all, field| merged(all, &part(field)))
    }

    /// What a create sends for the same.
    pub fn sent(&self, second: &[&str]) -> Value {
        let own = self.fields.iter().filter(|field| field.calls.is_none());
        own.fold(json!({}), |all, field| merged(all, &field.sent[field.choice(second)]))
    }

    /// The requests that bring one field to its second value, or back to its first, where the others have their first.
    pub fn change(&self, name: &str, second: bool) -> Call {
        let field = self.fields.iter().find(|field| field.name == name);
        let field = field.unwrap_or_else(|| panic!("{} has no field {name}", self.kind));
        if let Some(calls) = &field.calls {
            return calls[usize::from(second)].clone();
        }
        let changed: &[&str] = if second { &[field.name] } else { &[] };
        self.with_fields(&self.api.change, changed, &field.sent[usize::from(second)])
    }

    /// The request that makes it with these fields second.
    pub fn create(&self, second: &[&str]) -> Call {
        self.with_fields(&self.api.create, second, &Value::Null)
    }

    fn with_fields(&self, call: &Call, second: &[&str], one: &Value) -> Call {
        let body = match call.body.as_str() {
            Some("$fields") => self.sent(second),
            Some("$field") => one.clone(),
            None if call.body[0] == "$fields" => merged(self.sent(second), &call.body[1]),
            _ => call.body.clone(),
        };
        Call { line: call.line, body }
    }

    /// The object in an answer to a read; null if it is not there.
    pub fn object(&self, answer: &Value) -> Value {
        let object = match self.api.shape {
            Shape::Object(place) => answer.pointer(place).cloned().unwrap_or_default(),
            Shape::Flags => answer.clone(),
            Shape::Entries(place) => {
                let items = answer.pointer(place).and_then(Value::as_array).cloned().unwrap_or_default();
                let key = |item: &Value| item["key"].as_str().unwrap_or_default().to_owned();
                items.into_iter().map(|item| (key(&item), item)).collect()
            }
        };
        let is_there = match self.api.shape {
            // A removed organization of v4 has no state.
            Shape::Object(_) if self.names().contains(&"state") => !object["state"].is_null(),
            Shape::Object(_) => object["isDefault"] != true,
            Shape::Flags | Shape::Entries(_) => {
                self.fields.iter().any(|field| !field.part(&object).is_null())
            }
        };
        if is_there { object } else { Value::Null }
    }

    /// What ZITADEL says of each write to it, which may have been several.
    pub fn stamps(&self, object: &Value) -> Vec<Value> {
        let whole = object["details"].clone();
        let parts = self.fields.iter().map(|field| field.part(object)["details"].clone());
        parts.chain([whole]).filter(|details| !details.is_null()).collect()
    }
}

/// Both, the second over the first; lists are put together.
pub fn merged(one: Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (name, value) in other {
                let known = one.remove(name).unwrap_or_default();
                one.insert(name.clone(), merged(known, value));
            }
            Value::Object(one)
        }
        (Value::Array(mut one), Value::Array(other)) => {
            one.extend(other.iter().cloned());
            Value::Array(one)
        }
        (_, other) => other.clone(),
    }
}

/// What stands in the places of a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    pub organization: &'a str,
    pub project: &'a str,
    pub id: &'a str,
    pub name: &'a str,
}

/// With everything in its place.
pub fn filled(text: &str, places: &Places<'_>) -> String {
    let Places { organization, project, id, name } = places;
    let text = text.replace("$organization", organization).replace("$project", project);
    text.replace("$id", id).replace("$name", name)
}

/// The same in every text of a value.
pub fn filled_in(value: &Value, places: &Places<'_>) -> Value {
    serde_json::from_str(&filled(&value.to_string(), places)).expect("JSON")
}
