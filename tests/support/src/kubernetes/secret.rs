//! What only Secrets do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::failure::{Cause, Failure};
use super::kind::Kind;

/// Takes `stringData` into `data` and gives the type its default.
///
/// # Errors
/// 400 for values that are not base64.
pub(super) fn complete(secret: &mut Value) -> Result<(), Failure> {
    let Some(fields) = secret.as_object_mut() else { return Ok(()) };
    if let Some(Value::Object(texts)) = fields.remove("stringData") {
        let encoded = texts
            .into_iter()
            .map(|(key, text)| (key, Value::from(STANDARD.encode(text.as_str().unwrap_or_default()))));
        let data = fields.entry("data").or_insert_with(|| Map::new().into());
        if let Some(data) = data.as_object_mut() {
            data.extend(encoded);
        }
    }
    fields.entry("type").or_insert_with(|| "Opaque".into());
    let data = fields.get("data").and_then(Value::as_object).into_iter().flatten();
    let mut values = data.map(|(_, value)| value.as_str().unwrap_or_default());
    match values.all(|value| STANDARD.decode(value).is_ok()) {
        true => Ok(()),
        false => Err(Failure::bad_request(
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data",
        )),
    }
}

/// The type stays.
pub(super) fn check(old: &Value, new: &Value, kind: &Kind, name: &str) -> Result<(), Failure> {
    match old["type"] == new["type"] {
        true => Ok(()),
        false => Err(Failure::invalid(kind, name, &[Cause::bad("type", &new["type"], "field is immutable")])),
    }
}
