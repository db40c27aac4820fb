//! The recorded answers of real servers, as documents to start from.

use serde_json::Value;

/// A recorded answer; every id in it is the same.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub status: u16,
    pub body: Value,
}

/// Every answer of the server lines that differs from the others by more than its values.
pub fn all() -> Vec<Recorded> {
    let mut shapes = std::collections::BTreeSet::new();
    let lines = [
        include_str!("../contract/v3.json"),
        include_str!("../contract/v4.json"),
        include_str!("../contract/v4-2026-03.json"),
    ];
    let steps = lines.into_iter().flat_map(steps);
    let answers = steps.filter_map(|step| {
        let status = u16::try_from(step["status"].as_u64()?).ok()?;
        Some(Recorded { status, body: plain(step.get("response")?) })
    });
    answers.filter(|answer| shapes.insert((answer.status, shape(&answer.body)))).collect()
}

fn steps(text: &str) -> Vec<Value> {
    let text = text.replace("<time>", "2026-11-21T10:00:00.123456Z").replace("<sequence>", "42");
    let recording: Value = serde_json::from_str(&text).unwrap();
    let scenarios = recording["scenarios"].as_object().unwrap();
    scenarios.values().filter_map(Value::as_array).flatten().cloned().collect()
}

/// Without the placeholders of ids.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text == "<id>" || text.starts_with('{') && text.ends_with('}') => {
            super::server::ID.into()
        }
        Value::Array(items) => items.iter().take(20).map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

/// The names in a document, and the error id of a refusal.
fn shape(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(fields) => {
            let id =
                fields.get("@type").and_then(|_| fields.get("id")).map(Value::to_string).unwrap_or_default();
            let fields: String =
                fields.iter().map(|(name, value)| format!("{name}:{},", shape(value))).collect();
            format!("{{{id}{fields}}}")
        }
        _ => String::new(),
    }
}
