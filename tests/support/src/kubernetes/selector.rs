//! Label and field selectors.

use serde_json::Value;

use super::failure::Failure;
use super::kind::Kind;

/// What an object has to satisfy to be listed or watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    name: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        match &self.test {
            Test::Present => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => among(values),
            Test::NotIn(values) => !among(values),
        }
    }

    /// `name`, `!name`, `name=value`, `name==value`, `name!=value`, `name in (…)`, `name notin (…)`.
    fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let (name, test) = if let Some((name, values)) = text.split_once(" notin ") {
            (name, Test::NotIn(listed(values)))
        } else if let Some((name, values)) = text.split_once(" in ") {
            (name, Test::In(listed(values)))
        } else if let Some((name, value)) = text.split_once("!=") {
            (name, Test::NotIn(vec![value.trim().into()]))
        } else if let Some((name, value)) = text.split_once('=') {
            (name, Test::In(vec![value.trim_start_matches('=').trim().into()]))
        } else if let Some(name) = text.strip_prefix('!') {
            (name, Test::Absent)
        } else {
            (text, Test::Present)
        };
        match name.trim() {
            "" => Err(Failure::bad_request(format!(
                "found '{text}', expected: !, identifier, or 'end of string'"
            ))),
            name => Ok(Self { name: name.into(), test }),
        }
    }
}

fn listed(values: &str) -> Vec<String> {
    let inner = values.trim().trim_start_matches('(').trim_end_matches(')');
    inner.split(',').map(|value| value.trim().to_owned()).collect()
}

/// Splits at commas that are not within parentheses.
fn requirements(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut depth = 0;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.is_empty()).map(Requirement::parse).collect()
}

impl Selector {
    /// Reads both; a field that the kind cannot be selected by is refused.
    pub(super) fn parse(labels: &str, fields: &str, kind: &Kind) -> Result<Self, Failure> {
        let selector = Self { labels: requirements(labels)?, fields: requirements(fields)? };
        for Requirement { name, .. } in &selector.fields {
            let known = ["metadata.name", "metadata.namespace"].contains(&name.as_str());
            if !known && !kind.selectable.contains(name) {
                return Err(Failure::bad_request(format!("field label not supported: {name}")));
            }
        }
        Ok(selector)
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|one| one.holds(labels[one.name.as_str()].as_str()))
            && self.fields.iter().all(|one| one.holds(Some(&selected(object, &one.name))))
    }
}

/// A field as text; one that is not set reads as empty.
fn selected(object: &Value, path: &str) -> String {
    match path.split('.').fold(object, |value, name| &value[name]) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
