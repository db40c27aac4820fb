//! protojson, as the gateway reads and writes it.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Value, json};

use super::clock::rfc3339;
use super::failure::{Failure, Outcome};
use super::model::Stamp;

/// Leaves out zero values; a sub-message that is set stays, even if empty.
pub(super) fn message(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().filter(|(_, field)| !is_zero(field)).collect(),
        other => other,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}

/// A uint64 field: a string, left out when zero.
pub(super) fn number(value: u64) -> Value {
    if value == 0 { Value::Null } else { json!(value.to_string()) }
}

/// `details` of an object that was read: all four fields.
pub(super) fn details(stamp: &Stamp) -> Value {
    json!({
        "sequence": stamp.sequence.to_string(),
        "creationDate": rfc3339(stamp.created),
        "changeDate": rfc3339(stamp.changed),
        "resourceOwner": stamp.owner,
    })
}

/// `{details}` of a create-like write.
pub(super) fn created(stamp: &Stamp) -> Value {
    let date = rfc3339(stamp.changed);
    json!({"details": {"sequence": stamp.sequence.to_string(), "creationDate": date, "resourceOwner": stamp.owner}})
}

/// `{details}` of a change-like write.
pub(super) fn changed(stamp: &Stamp) -> Value {
    let date = rfc3339(stamp.changed);
    json!({"details": {"sequence": stamp.sequence.to_string(), "changeDate": date, "resourceOwner": stamp.owner}})
}

/// Padded standard base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// About how many bytes the protobuf form of an answer has; bytes fields are those named `value`.
pub(super) fn proto_size(name: &str, value: &Value) -> usize {
    match value {
        Value::String(text) if name == "value" => text.len() / 4 * 3 + 4,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| proto_size(name, item)).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| proto_size(name, field)).sum::<usize>() + 4
        }
        _ => 2,
    }
}

/// The fields of a request message. Unknown fields are ignored, `null` counts as absent.
#[derive(Debug, Clone)]
pub(super) struct Body {
    fields: Map<String, Value>,
    raw: Arc<str>,
}

impl Body {
    /// # Errors
    /// Code 3 for anything but a JSON object; an empty body is an empty message.
    pub(super) fn parse(bytes: &[u8]) -> Outcome<Self> {
        let raw: Arc<str> = String::from_utf8_lossy(bytes).into();
        if raw.trim().is_empty() {
            return Ok(Self { fields: Map::new(), raw });
        }
        match serde_json::from_str(&raw) {
            Ok(Value::Object(fields)) => Ok(Self { fields, raw }),
            Ok(_) => Err(Failure::bare(3, "proto: syntax error (line 1:1): unexpected token")),
            Err(error) if error.is_eof() => Err(Failure::bare(3, "unexpected EOF")),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                Err(Failure::bare(3, format!("proto: syntax error (line {line}:{column}): unexpected token")))
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let found = self.fields.get(name).or_else(|| self.fields.get(&snake(name)));
        found.filter(|value| !value.is_null())
    }

    /// About how many bytes its protobuf form has.
    pub(super) fn size(&self) -> usize {
        self.fields.iter().map(|(name, field)| proto_size(name, field)).sum()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn string(&self, name: &str) -> Outcome<String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.mismatch("string", name, other)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Outcome<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(set)) => Ok(*set),
            Some(other) => Err(self.mismatch("bool", name, other)),
        }
    }

    /// A uint64, as a number or a string.
    pub(super) fn number(&self, name: &str) -> Outcome<u64> {
        let Some(value) = self.get(name) else { return Ok(0) };
        let parsed = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        parsed.ok_or_else(|| self.mismatch("uint64", name, value))
    }

    /// Standard or URL-safe base64, padded or not.
    pub(super) fn bytes(&self, name: &str) -> Outcome<Vec<u8>> {
        let text = self.string(name)?;
        decode_base64(&text).ok_or_else(|| self.mismatch("bytes", name, &json!(text)))
    }

    /// An enum by name or number; an unknown name counts as absent, an unknown number is none.
    pub(super) fn choice(&self, name: &str, known: &[&'static str]) -> Outcome<Option<&'static str>> {
        match self.get(name) {
            Some(Value::Number(number)) => {
                let index = number.as_u64().and_then(|index| usize::try_from(index).ok());
                Ok(index.and_then(|index| known.get(index)).copied())
            }
            Some(Value::String(text)) => {
                Ok(known.iter().find(|known| **known == text).or(known.first()).copied())
            }
            None => Ok(known.first().copied()),
            Some(other) => Err(self.mismatch("enum", name, other)),
        }
    }

    pub(super) fn child(&self, name: &str) -> Self {
        let fields = self.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        Self { fields, raw: self.raw.clone() }
    }

    pub(super) fn children(&self, name: &str) -> Vec<Self> {
        let items = self.get(name).and_then(Value::as_array).into_iter().flatten();
        items
            .map(|item| Self { fields: item.as_object().cloned().unwrap_or_default(), raw: self.raw.clone() })
            .collect()
    }

    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let items = self.get(name).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    fn mismatch(&self, kind: &str, name: &str, value: &Value) -> Failure {
        let column = self.column_of(name);
        Failure::bare(3, format!("proto: (line 1:{column}): invalid value for {kind} field {name}: {value}"))
    }

    fn column_of(&self, name: &str) -> usize {
        let key = format!("\"{name}\"");
        let after = self.raw.find(&key).map_or(0, |start| start + key.len());
        let skipped = self.raw[after..].find(|c: char| c != ':' && !c.is_whitespace()).unwrap_or(0);
        after + skipped + 1
    }
}

fn snake(name: &str) -> String {
    let lower = |c: char| {
        if c.is_ascii_uppercase() { format!("_{}", c.to_ascii_lowercase()) } else { c.to_string() }
    };
    name.chars().map(lower).collect()
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = text.replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(standard).ok()
}
