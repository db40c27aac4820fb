//! Between a spec's object and what ZITADEL sends and takes, told by the object's schema alone.
//!
//! Names are the same. ZITADEL leaves fields of the zero value out, writes whole numbers as text, and puts the name of an
//! enumeration before its values (`PASSWORDLESS_TYPE_ALLOWED`, where the spec says `Allowed`).

use std::any::TypeId;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The fields of an object, as ZITADEL has them.
pub type Fields = Map<String, Value>;

/// How each field of an object is sent.
pub(crate) struct Wire(BTreeMap<String, Shape>);

#[derive(Debug, PartialEq)]
enum Shape {
    Boolean,
    Count,
    Text,
    /// With what stands before each value, and the values; the first is zero.
    Enumeration(String, Vec<String>),
}

impl Wire {
    /// Of an object with this schema, which is made once: every reconcile asks for it.
    pub(crate) fn of<T: JsonSchema + 'static>() -> &'static Self {
        static KNOWN: Mutex<BTreeMap<TypeId, &'static Wire>> = Mutex::new(BTreeMap::new());
        KNOWN.lock().entry(TypeId::of::<T>()).or_insert_with(|| Box::leak(Box::new(Self::read::<T>())))
    }

    fn read<T: JsonSchema>() -> Self {
        let inline = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        let schema = inline.into_generator().into_root_schema_for::<T>();
        let properties = schema.get("properties").and_then(Value::as_object);
        let shape = |(name, property): (&String, &Value)| (name.clone(), Shape::of(name, property));
        Self(properties.into_iter().flatten().map(shape).collect())
    }

    /// What a spec sets, as it is sent.
    pub(crate) fn sent(&self, spec: Value) -> Fields {
        let Value::Object(spec) = spec else { return Fields::new() };
        let known = spec.into_iter().filter(|(_, value)| !value.is_null());
        known.filter_map(|(name, value)| Some((name.clone(), self.0.get(&name)?.sent(value)))).collect()
    }

    /// What ZITADEL has, as a spec would say it.
    pub(crate) fn shown(&self, there: &Fields) -> Value {
        let field = |(name, shape): (&String, &Shape)| (name.clone(), shape.shown(there.get(name)));
        Value::Object(self.0.iter().map(field).collect())
    }

    /// Names of the fields that differ from what is wanted.
    pub(crate) fn differing(&self, wanted: &Fields, there: &Fields) -> Vec<String> {
        let differs = |name: &String, value: &Value| {
            self.0.get(name).is_some_and(|shape| shape.shown(Some(value)) != shape.shown(there.get(name)))
        };
        wanted.iter().filter(|(name, value)| differs(name, value)).map(|(name, _)| name.clone()).collect()
    }

    /// What is wanted, and what is there of the fields that are not: a write replaces all of them.
    pub(crate) fn over(&self, wanted: &Fields, there: &Fields) -> Fields {
        let kept = there.iter().filter(|(name, _)| self.0.contains_key(*name) && !wanted.contains_key(*name));
        wanted.iter().chain(kept).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Does it say every field?
    pub(crate) fn is_complete(&self, wanted: &Fields) -> bool {
        self.0.keys().all(|name| wanted.contains_key(name))
    }
}

impl Shape {
    fn of(name: &str, property: &Value) -> Self {
        let is_of = |kind: &str| match &property["type"] {
            Value::Array(kinds) => kinds.contains(&json!(kind)),
            one => one == kind,
        };
        match values(property) {
            values if !values.is_empty() => Self::Enumeration(format!("{}_", screaming(name)), values),
            _ if is_of("boolean") => Self::Boolean,
            _ if is_of("integer") => Self::Count,
            _ => Self::Text,
        }
    }

    fn sent(&self, value: Value) -> Value {
        match (self, &value) {
            (Self::Enumeration(prefix, _), Value::String(name)) => {
                json!(format!("{prefix}{}", screaming(name)))
            }
            _ => value,
        }
    }

    /// As a spec says it; a value that no spec can say is shown as it came.
    fn shown(&self, value: Option<&Value>) -> Value {
        match (self, value) {
            (Self::Boolean, None) => json!(false),
            (Self::Text, None) => json!(""),
            (Self::Count, value) => count(value),
            (Self::Enumeration(_, values), None) => json!(values.first()),
            (Self::Enumeration(prefix, values), Some(Value::String(sent))) => {
                let is_sent = |name: &&String| sent.strip_prefix(prefix.as_str()) == Some(&screaming(name));
                json!(values.iter().find(is_sent).unwrap_or(sent))
            }
            (_, Some(value)) => value.clone(),
        }
    }
}

fn count(value: Option<&Value>) -> Value {
    match value {
        None => json!(0),
        Some(Value::String(text)) => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        Some(number) => number.clone(),
    }
}

/// The values of an enumeration, also of one whose values are documented one by one or that may be left out.
fn values(property: &Value) -> Vec<String> {
    let listed =
        property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let single = property["const"].as_str().map(str::to_owned);
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|choice| property[choice].as_array()).flatten();
    listed.chain(single).chain(choices.flat_map(values)).collect()
}

/// `passwordlessType` as `PASSWORDLESS_TYPE`, `U2FWithVerification` as `U2F_WITH_VERIFICATION`.
fn screaming(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut word = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_lower = at > 0 && letters[at - 1].is_lowercase();
        let before_lower = at > 0 && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_lower || before_lower) {
            word.push('_');
        }
        word.extend(letter.to_uppercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum PasswordlessType {
        /// Nobody may.
        NotAllowed,
        /// Everybody may.
        Allowed,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", default)]
    struct Object {
        allow_register: Option<bool>,
        max_attempts: Option<u32>,
        redirect_uri: Option<String>,
        passwordless_type: Option<PasswordlessType>,
    }

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_spec_is_sent_as_zitadel_takes_it_and_shown_as_the_spec_says_it() {
        let wire = Wire::of::<Object>();
        let object = Object {
            allow_register: Some(true),
            passwordless_type: Some(PasswordlessType::Allowed),
            ..Default::default()
        };
        let sent = wire.sent(serde_json::to_value(object).unwrap());
        assert_eq!(
            sent,
            fields(&json!({ "allowRegister": true, "passwordlessType": "PASSWORDLESS_TYPE_ALLOWED" }))
        );
        assert!(!wire.is_complete(&sent));
        assert_eq!(
            wire.shown(&fields(&json!({ "maxAttempts": "5", "newer": 1, "redirectUri": "https://x" }))),
            json!({ "allowRegister": false, "maxAttempts": 5, "redirectUri": "https://x", "passwordlessType": "NotAllowed" })
        );
    }

    #[test]
    fn only_what_the_spec_sets_is_compared_and_the_rest_is_kept() {
        let wire = Wire::of::<Object>();
        let there =
            fields(&json!({ "maxAttempts": "5", "redirectUri": "https://x", "secondFactors": ["A"] }));
        for (wanted, differing) in [
            (json!({}), &[][..]),
            (json!({ "maxAttempts": 5, "allowRegister": false }), &[]),
            (json!({ "maxAttempts": 6, "allowRegister": true }), &["allowRegister", "maxAttempts"]),
            (
                json!({ "passwordlessType": "PASSWORDLESS_TYPE_NOT_ALLOWED", "redirectUri": "" }),
                &["redirectUri"],
            ),
        ] {
            assert_eq!(wire.differing(&fields(&wanted), &there), differing, "{wanted}");
        }
        assert_eq!(
            wire.over(&fields(&json!({ "maxAttempts": 0 })), &there),
            fields(&json!({ "maxAttempts": 0, "redirectUri": "https://x" }))
        );
    }

    #[test]
    fn names_become_those_of_protobuf() {
        for (name, screamed) in [
            ("passwordlessType", "PASSWORDLESS_TYPE"),
            ("U2FWithVerification", "U2F_WITH_VERIFICATION"),
            ("OtpSms", "OTP_SMS"),
            ("state", "STATE"),
        ] {
            assert_eq!(screaming(name), screamed);
        }
    }
}
