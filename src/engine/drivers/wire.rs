//! Between a spec's object and what ZITADEL sends and takes, told by the object's schema alone.
//!
//! Names are the same. ZITADEL leaves fields of the zero value out, writes whole numbers as text and durations in seconds
//! (`864000s`, also `0s`), and puts the name of an enumeration before its values (`PASSWORDLESS_TYPE_ALLOWED`, where the
//! spec says `Allowed`).

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use parking_lot::Mutex;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::lifetime::in_go;

/// Of a text, in characters, and of a set; no schema of a spec allows more.
const LONGEST_TEXT: usize = 2048;
const MOST_ELEMENTS: usize = 64;

/// The fields of an object, as ZITADEL has them.
pub type Fields = Map<String, Value>;

/// How each field of an object is sent.
pub(crate) struct Wire(BTreeMap<String, Shape>);

#[derive(Debug, PartialEq)]
enum Shape {
    Boolean,
    Count,
    Text,
    Duration,
    /// With what stands before each value, and the values; the first is zero.
    Enumeration(String, Vec<String>),
    /// In no order, each once.
    Set(Box<Shape>),
}

impl Wire {
    /// Of an object with this schema, which is made once: every reconcile asks for it.
    pub(crate) fn of<T: JsonSchema + 'static>() -> &'static Self {
        static KNOWN: Mutex<BTreeMap<TypeId, &'static Wire>> = Mutex::new(BTreeMap::new());
        KNOWN.lock().entry(TypeId::of::<T>()).or_insert_with(|| Box::leak(Box::new(Self::read::<T>())))
    }

    fn read<T: JsonSchema>() -> Self {
        let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        let properties = schema["properties"].as_object().into_iter().flatten();
        Self(properties.map(|(name, of)| (name.clone(), Shape::of(of, &schema["$defs"]))).collect())
    }

    /// What a spec sets, as it is sent.
    pub(crate) fn sent(&self, spec: Value) -> Fields {
        let Value::Object(spec) = spec else { return Fields::new() };
        let known = spec.into_iter().filter(|(_, value)| !value.is_null());
        known.filter_map(|(name, value)| Some((name.clone(), self.0.get(&name)?.sent(value)))).collect()
    }

    /// What ZITADEL has, as a spec would say it, and no more of it than a status holds.
    pub(crate) fn shown(&self, there: &Fields) -> Value {
        let field = |(name, shape): (&String, &Shape)| (name.clone(), limited(shape.shown(there.get(name))));
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
    fn of(property: &Value, types: &Value) -> Self {
        let (name, schema) = resolved(property, types);
        let is_of = |kind: &str| match &schema["type"] {
            Value::Array(kinds) => kinds.contains(&json!(kind)),
            one => one == kind,
        };
        match values(schema) {
            values if !values.is_empty() => Self::Enumeration(format!("{}_", screaming(name)), values),
            _ if is_of("boolean") => Self::Boolean,
            _ if is_of("integer") => Self::Count,
            _ if is_of("array") => Self::Set(Box::new(Self::of(&schema["items"], types))),
            _ if schema["format"] == "duration" => Self::Duration,
            _ => Self::Text,
        }
    }

    fn sent(&self, value: Value) -> Value {
        match (self, &value) {
            (Self::Enumeration(prefix, _), Value::String(name)) => {
                json!(format!("{prefix}{}", screaming(name)))
            }
            (Self::Duration, Value::String(text)) => text.parse().map_or(value, in_seconds),
            (Self::Set(of), Value::Array(elements)) => {
                Value::Array(elements.iter().map(|element| of.sent(element.clone())).collect())
            }
            _ => value,
        }
    }

    /// As a spec says it; a name or a duration that no spec can say is shown as it came.
    fn shown(&self, value: Option<&Value>) -> Value {
        let text = value.and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::Boolean => json!(value.and_then(Value::as_bool).unwrap_or_default()),
            Self::Count => {
                json!(value.and_then(Value::as_u64).or_else(|| text.parse().ok()).unwrap_or_default())
            }
            Self::Text => json!(text),
            Self::Duration if text.is_empty() => json!("0s"),
            Self::Duration => json!(text.parse().map_or_else(|_| text.to_owned(), in_go)),
            Self::Enumeration(_, values) if text.is_empty() => json!(values.first()),
            Self::Enumeration(prefix, values) => {
                let is_sent = |name: &&String| text.strip_prefix(prefix.as_str()) == Some(&screaming(name));
                json!(values.iter().find(is_sent).map_or(text, String::as_str))
            }
            Self::Set(of) => {
                let elements = value.and_then(Value::as_array).into_iter().flatten();
                let named = elements.filter(|element| element.is_string());
                let shown = named.filter_map(|name| of.shown(Some(name)).as_str().map(str::to_owned));
                json!(shown.collect::<BTreeSet<String>>())
            }
        }
    }
}

/// As protobuf's JSON has it: with no or nine digits behind the point.
fn in_seconds(duration: SignedDuration) -> Value {
    match duration.subsec_nanos() {
        0 => json!(format!("{}s", duration.as_secs())),
        nanos => json!(format!("{}.{nanos:09}s", duration.as_secs())),
    }
}

/// What a status holds of a value: a server may answer anything.
fn limited(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > LONGEST_TEXT => {
            json!(text.chars().take(LONGEST_TEXT).collect::<String>())
        }
        Value::Array(elements) => elements.into_iter().take(MOST_ELEMENTS).map(limited).collect(),
        value => value,
    }
}

/// What a property refers to, also where it may be left out: the name of a type and its schema, or none and itself.
fn resolved<'a>(property: &'a Value, types: &'a Value) -> (&'a str, &'a Value) {
    let choices = property["anyOf"].as_array().into_iter().flatten();
    let references = std::iter::once(property).chain(choices).filter_map(|choice| choice["$ref"].as_str());
    let name = references.filter_map(|reference| reference.rsplit('/').next()).next();
    name.map_or(("", property), |name| (name, &types[name]))
}

/// The values of an enumeration, also of one whose values are documented one by one.
fn values(schema: &Value) -> Vec<String> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let documented = schema["oneOf"].as_array().into_iter().flatten().map(|value| &value["const"]);
    listed.chain(documented).filter_map(Value::as_str).map(str::to_owned).collect()
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
    use crate::api::lifetime::Lifetime;

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum PasswordlessType {
        /// Nobody may.
        NotAllowed,
        /// Everybody may.
        Allowed,
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
    enum SecondFactorType {
        Otp,
        U2F,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", default)]
    struct Object {
        allow_register: Option<bool>,
        max_attempts: Option<u32>,
        redirect_uri: Option<String>,
        passwordless_type: Option<PasswordlessType>,
        check_lifetime: Option<Lifetime>,
        second_factors: Option<BTreeSet<SecondFactorType>>,
    }

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_spec_is_sent_as_zitadel_takes_it_and_shown_as_the_spec_says_it() {
        let wire = Wire::of::<Object>();
        let object = json!({
            "allowRegister": true, "passwordlessType": "Allowed", "checkLifetime": "240h", "secondFactors": ["U2F", "Otp"],
        });
        let object: Object = serde_json::from_value(object).unwrap();
        let sent = wire.sent(serde_json::to_value(object).unwrap());
        let expected = json!({
            "allowRegister": true, "passwordlessType": "PASSWORDLESS_TYPE_ALLOWED", "checkLifetime": "864000s",
            "secondFactors": ["SECOND_FACTOR_TYPE_OTP", "SECOND_FACTOR_TYPE_U2F"],
        });
        assert_eq!(sent, fields(&expected));
        assert!(!wire.is_complete(&sent));
        let there =
            json!({ "maxAttempts": "5", "newer": 1, "redirectUri": "https://x", "checkLifetime": "5400.5s" });
        assert_eq!(
            wire.shown(&fields(&there)),
            json!({
                "allowRegister": false, "maxAttempts": 5, "redirectUri": "https://x", "passwordlessType": "NotAllowed",
                "checkLifetime": "1h30m500ms", "secondFactors": [],
            })
        );
    }

    #[test]
    fn every_duration_survives_the_way_there_and_back() {
        let wire = Wire::of::<Object>();
        for (spec, sent) in [
            ("0s", "0s"),
            ("500ms", "0.500000000s"),
            ("90m", "5400s"),
            ("87600h", "315360000s"),
            ("1h0.5s", "3600.500000000s"),
        ] {
            let object: Object = serde_json::from_value(json!({ "checkLifetime": spec })).unwrap();
            let fields = wire.sent(serde_json::to_value(object).unwrap());
            assert_eq!(fields["checkLifetime"], sent, "{spec}");
            let shown: Object = serde_json::from_value(wire.shown(&fields)).unwrap();
            assert_eq!(wire.sent(serde_json::to_value(shown).unwrap())["checkLifetime"], sent, "{spec}");
        }
    }

    /// A newer server may know more, a hostile one answer anything; a status holds it all the same.
    #[test]
    fn what_no_spec_can_say_is_shown_as_it_came_and_in_bounds() {
        let wire = Wire::of::<Object>();
        let newer = json!({
            "passwordlessType": "PASSWORDLESS_TYPE_NEW", "checkLifetime": "soon", "redirectUri": "x".repeat(5000),
            "secondFactors": ["SECOND_FACTOR_TYPE_NEW", "SECOND_FACTOR_TYPE_U2F", 7, "SECOND_FACTOR_TYPE_U2F"],
        });
        let shown = wire.shown(&fields(&newer));
        assert_eq!(shown["passwordlessType"], "PASSWORDLESS_TYPE_NEW");
        assert_eq!(shown["checkLifetime"], "soon");
        assert_eq!(shown["redirectUri"], "x".repeat(2048));
        assert_eq!(shown["secondFactors"], json!(["SECOND_FACTOR_TYPE_NEW", "U2F"]));
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let shown = wire.shown(&fields(&json!({ "secondFactors": many })));
        assert_eq!(shown["secondFactors"].as_array().unwrap().len(), 64);
        let wrong = json!({ "allowRegister": "yes", "maxAttempts": {}, "redirectUri": 1, "checkLifetime": [], "secondFactors": "x" });
        assert_eq!(wire.shown(&fields(&wrong)), wire.shown(&Fields::new()));
    }

    #[test]
    fn only_what_the_spec_sets_is_compared_and_the_rest_is_kept() {
        let wire = Wire::of::<Object>();
        let there = fields(
            &json!({ "maxAttempts": "5", "redirectUri": "https://x", "secondFactors": ["A", "B"], "checkLifetime": "3600s", "idps": [] }),
        );
        for (wanted, differing) in [
            (json!({}), &[][..]),
            (json!({ "maxAttempts": 5, "allowRegister": false }), &[]),
            (json!({ "maxAttempts": 6, "allowRegister": true }), &["allowRegister", "maxAttempts"]),
            (
                json!({ "passwordlessType": "PASSWORDLESS_TYPE_NOT_ALLOWED", "redirectUri": "" }),
                &["redirectUri"],
            ),
            (json!({ "checkLifetime": "3600.0s", "secondFactors": ["B", "A"] }), &[]),
            (
                json!({ "checkLifetime": "3601s", "secondFactors": ["A"] }),
                &["checkLifetime", "secondFactors"],
            ),
        ] {
            assert_eq!(wire.differing(&fields(&wanted), &there), differing, "{wanted}");
        }
        assert_eq!(
            wire.over(&fields(&json!({ "maxAttempts": 0 })), &there),
            fields(
                &json!({ "maxAttempts": 0, "redirectUri": "https://x", "secondFactors": ["A", "B"], "checkLifetime": "3600s" })
            )
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
