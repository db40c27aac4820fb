//! What the tests know of each kind: one row of data a kind.

mod field;
pub mod instance_login_policy;
pub mod org_domain_policy;
pub mod org_features;
pub mod org_lockout_policy;
pub mod org_login_policy;
pub mod org_metadata;
pub mod organization;
mod policy;
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
        instance_login_policy::row(),
        org_lockout_policy::row(),
    ]
}

/// The row of a kind.
pub fn row(kind: &str) -> Row {
    rows().into_iter().find(|row| row.kind == kind).unwrap_or_else(|| panic!("{kind} has no row"))
}

/// What tells one object of a kind from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An id of the server's; its name is unique below the parent.
    Assigned,
    /// There is always one below each parent: its own, or another's in its place.
    Setting,
    /// There is always one, which nobody removes.
    Always,
    /// Keys that the spec chooses.
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
    pub line: String,
    pub body: Value,
}

/// A request without a body.
pub fn call(line: &str) -> Call {
    sending(line, Value::Null)
}

/// A request with this body.
pub fn sending(line: &str, body: Value) -> Call {
    Call { line: line.to_owned(), body }
}

impl Call {
    /// Method, path and body of it for the object with this id.
    pub fn about(&self, id: &str) -> (&str, String, Value) {
        let (method, path) = self.line.split_once(' ').expect("method and path");
        let body = serde_json::from_str(&self.body.to_string().replace("$id", id)).expect("JSON");
        (method, path.replace("$id", id), body)
    }
}

/// What a person does to an object through ZITADEL's API. In all texts of a row `$organization`, `$parent`, `$name` and
/// `$id` stand for the ids of the organization and the parent, and for name and id of the object; in a body `"$fields"`
/// for all fields, alone or beside others, and `"$field"` for the one to change.
#[derive(Clone, Debug)]
pub struct Api {
    /// The organization in whose name all of it is done.
    pub within: String,
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
    /// The kind of what it belongs to; none where that is the instance.
    pub parent: Option<&'static str>,
    pub identity: Identity,
    /// What every spec has of its own.
    pub fixed: Value,
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
        let part = |all: Value, field: &Field| merged(all, &field.spec[field.choice(second)]);
        self.fields.iter().fold(self.fixed.clone(), part)
    }

    /// What a spec says so that a deletion removes what was created, or gives every field its second value.
    pub fn deleting(&self) -> Value {
        match self.identity {
            Identity::Always => {
                json!({ "deletionPolicy": "Delete", "resetOnDelete": self.spec(&self.names()) })
            }
            _ => json!({ "deletionPolicy": "Delete" }),
        }
    }

    /// What a create sends for the same.
    fn sent(&self, second: &[&str]) -> Value {
        let own = self.fields.iter().filter(|field| field.calls.is_none());
        own.fold(json!({}), |all, field| merged(all, &field.sent[field.choice(second)]))
    }

    /// With everything but the id of the object put in its place.
    pub fn placed(&self, organization: &str, parent: &str, name: &str) -> Self {
        let text = |text: &str| {
            text.replace("$organization", organization).replace("$parent", parent).replace("$name", name)
        };
        let value = |value: &Value| serde_json::from_str(&text(&value.to_string())).expect("JSON");
        let call = |call: &Call| Call { line: text(&call.line), body: value(&call.body) };
        let field = |field: &Field| Field {
            spec: field.spec.each_ref().map(value),
            sent: field.sent.each_ref().map(value),
            at: text(&field.at),
            shown: field.shown.each_ref().map(value),
            calls: field.calls.as_ref().map(|calls| calls.each_ref().map(call)),
            ..field.clone()
        };
        let api = Api {
            within: text(&self.api.within),
            read: call(&self.api.read),
            create: call(&self.api.create),
            change: call(&self.api.change),
            remove: call(&self.api.remove),
            ..self.api.clone()
        };
        Self {
            fixed: value(&self.fixed),
            fields: self.fields.iter().map(field).collect(),
            api,
            ..self.clone()
        }
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
        let body = match &call.body {
            Value::String(all) if all == "$fields" => self.sent(second),
            Value::String(changed) if changed == "$field" => one.clone(),
            Value::Object(fields) if fields.contains_key("$fields") => {
                let mut beside = fields.clone();
                beside.remove("$fields");
                merged(Value::Object(beside), &self.sent(second))
            }
            other => other.clone(),
        };
        Call { line: call.line.clone(), body }
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
            Shape::Object(_) => object["isDefault"] != true || self.identity == Identity::Always,
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
