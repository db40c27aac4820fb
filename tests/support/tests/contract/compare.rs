//! Answers, compared with what was recorded.

use serde_json::{Map, Value};

use crate::SUBSETS;
use crate::recording::Step;
use crate::replay::Replay;

impl Replay {
    pub(crate) fn compare(
        &self,
        expected: &Value,
        actual: &Value,
        step: &Step,
        at: &str,
    ) -> Result<(), String> {
        let same = match (expected, actual) {
            (Value::String(wanted), Value::String(got)) => self.same_text(wanted, got, step),
            (Value::Array(wanted), Value::Array(got)) => return self.compare_lists(wanted, got, step, at),
            (Value::Object(wanted), Value::Object(got)) if same_fields(wanted, got) => {
                let mut fields = wanted.iter();
                return fields.try_for_each(|(name, wanted)| {
                    self.compare(wanted, &got[name], step, &format!("{at}/{name}"))
                });
            }
            _ => expected == actual,
        };
        if same { Ok(()) } else { Err(format!("{at}: {actual} instead of {expected}")) }
    }

    fn same_text(&self, wanted: &str, got: &str, step: &Step) -> bool {
        match wanted {
            "<id>" => !got.is_empty() && got.bytes().all(|byte| byte.is_ascii_digit()),
            "<sequence>" => got.parse::<u64>().is_ok_and(|sequence| sequence > 0),
            "<time>" => got.ends_with('Z') && got.parse::<jiff::Timestamp>().is_ok(),
            wanted => normal(&self.fill(wanted), step) == normal(got, step),
        }
    }

    fn compare_lists(&self, wanted: &[Value], got: &[Value], step: &Step, at: &str) -> Result<(), String> {
        let mut pairs = wanted.iter().zip(got);
        let same = if SUBSETS.iter().any(|name| at.ends_with(name)) {
            !got.is_empty() && got.iter().all(|one| wanted.contains(one))
        } else if wanted.len() != got.len() {
            false
        } else if is_page(step) {
            pairs.all(|(wanted, got)| same_shape(wanted, got))
        } else if at.ends_with("/result") && wanted.iter().all(Value::is_object) {
            self.same_set(wanted, got, step)
        } else {
            let mut indexed = pairs.enumerate();
            return indexed
                .try_for_each(|(n, (wanted, got))| self.compare(wanted, got, step, &format!("{at}/{n}")));
        };
        if same {
            Ok(())
        } else {
            Err(format!("{at}: {} instead of {}", Value::from(got), Value::from(wanted)))
        }
    }

    fn same_set(&self, wanted: &[Value], got: &[Value], step: &Step) -> bool {
        let mut left: Vec<&Value> = got.iter().collect();
        wanted.iter().all(|wanted| {
            let found = left.iter().position(|got| self.compare(wanted, got, step, "").is_ok());
            found.map(|index| left.remove(index)).is_some()
        })
    }
}

fn is_page(step: &Step) -> bool {
    let limit = step.body.as_ref().and_then(|body| body["query"]["limit"].as_u64());
    limit.is_some_and(|limit| limit < 1_000)
}

fn same_fields(wanted: &Map<String, Value>, got: &Map<String, Value>) -> bool {
    wanted.len() == got.len() && wanted.keys().all(|name| got.contains_key(name))
}

fn same_shape(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            same_fields(wanted, got) && wanted.iter().all(|(name, field)| same_shape(field, &got[name]))
        }
        (Value::Array(wanted), Value::Array(got)) => wanted.len() == got.len(),
        _ => std::mem::discriminant(wanted) == std::mem::discriminant(got),
    }
}

/// Text without what differs from server to server: the message size, and the place of a value in a body that was
/// not recorded byte for byte, no-break spaces (the server varies them on purpose), and random names.
fn normal(text: &str, step: &Step) -> String {
    let mut text = text.replace('\u{a0}', " ");
    if step.raw_body.is_none() {
        text = masked(&text, "proto: (line 1:");
    }
    text = masked(&text, "grpc: received message larger than max (");
    let hexadecimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let random = text.strip_prefix("zitadel-").and_then(|rest| rest.strip_suffix(".localhost"));
    let random = random.or_else(|| text.strip_prefix("nobody")).filter(|part| hexadecimal(part));
    random.map(|part| text.replace(part, "<random>")).unwrap_or(text)
}

fn masked(text: &str, before: &str) -> String {
    match text.split_once(before) {
        Some((head, tail)) => {
            format!("{head}{before}#{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => text.to_owned(),
    }
}
