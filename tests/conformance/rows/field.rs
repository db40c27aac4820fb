//! One field of an object, with two values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Call;

/// A field of an object, its first value and another one.
#[derive(Clone, Debug)]
pub struct Field {
    /// As a drift names it.
    pub name: &'static str,
    /// What it adds to the spec.
    pub spec: [Value; 2],
    /// What it adds to a request.
    pub sent: [Value; 2],
    /// Where ZITADEL's object has it.
    pub at: String,
    /// What is there.
    pub shown: [Value; 2],
    /// The requests that set it, where it is none of those that are changed together.
    pub calls: Option<[Call; 2]>,
}

/// A field that has one name and the same values on both sides.
pub fn field(name: &'static str, values: [Value; 2]) -> Field {
    let set = values.clone().map(|value| json!({ name: value }));
    Field { name, spec: set.clone(), sent: set, at: format!("/{name}"), shown: values, calls: None }
}

/// One that is on or off.
pub fn flag(name: &'static str) -> Field {
    field(name, [json!(false), json!(true)])
}

/// An entry of metadata.
pub fn entry(name: &'static str, key: &'static str, values: [&str; 2]) -> Field {
    let spec = values.map(|value| json!({ "entries": [{ "key": key, "value": value }] }));
    let encoded = values.map(|value| json!(STANDARD.encode(value)));
    let sent = encoded.clone().map(|value| json!({ "metadata": [{ "key": key, "value": value }] }));
    Field { name, spec, sent, at: format!("/{key}/value"), shown: encoded, calls: None }
}

impl Field {
    /// With other values in ZITADEL.
    pub fn shown_as(mut self, values: [Value; 2]) -> Self {
        self.sent = values.clone().map(|value| json!({ self.name: value }));
        self.shown = values;
        self
    }

    /// In the item of a list with this key.
    pub fn inside(mut self, key: &str) -> Self {
        self.at = format!("/{key}{}", self.at);
        self
    }

    /// Set by requests of its own.
    pub fn set_by(mut self, calls: [Call; 2]) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Which value it has where these fields have their second.
    pub fn choice(&self, second: &[&str]) -> usize {
        usize::from(second.contains(&self.name))
    }

    /// The part of the object that is there if this field is.
    pub fn part<'a>(&self, object: &'a Value) -> &'a Value {
        &object[self.at.split('/').nth(1).unwrap_or_default()]
    }

    /// Its value in ZITADEL's object; a zero value is not shown.
    pub fn value(&self, object: &Value) -> Value {
        unless_zero(object.pointer(&self.at).unwrap_or(&Value::Null))
    }

    /// The value that is expected there.
    pub fn expected(&self, second: &[&str]) -> Value {
        unless_zero(&self.shown[self.choice(second)])
    }
}

fn unless_zero(value: &Value) -> Value {
    let is_zero = match value {
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty() || text.ends_with("_UNSPECIFIED"),
        Value::Array(items) => items.is_empty(),
        other => *other == json!(0),
    };
    if is_zero { Value::Null } else { value.clone() }
}
