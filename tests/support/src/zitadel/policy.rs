//! Policies of organizations and of the instance: what is in a policy, one row each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::{Failure, Outcome};
use super::json::{Body, message, number};
use super::model::Stamp;
use super::policy_rows::{Factors, Field, Kind, Row};
use super::route::pascal;

const NANOS: u64 = 1_000_000_000;

/// Field name on the wire and its value as events hold it.
pub(super) type Settings = BTreeMap<&'static str, Value>;

/// A policy that an organization, or the instance, has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) settings: Settings,
    /// What reads show of each kind of factors, in the order in which they were added.
    pub(super) factors: BTreeMap<&'static str, Vec<usize>>,
    pub(super) stamp: Stamp,
}

/// The settings that a request asks for; what it leaves out is zero.
pub(super) fn read(row: &Row, body: &Body, request: &str) -> Outcome<Settings> {
    row.fields.iter().map(|field| Ok((field.wire, value(field, body, request)?))).collect()
}

fn value(field: &Field, body: &Body, request: &str) -> Outcome<Value> {
    Ok(match field.kind {
        Kind::Flag => json!(body.flag(field.wire)?),
        Kind::Text => json!(body.string(field.wire)?),
        Kind::Count => json!(count(body, field.wire)?),
        Kind::Duration => json!(duration(&body.string(field.wire)?)?),
        Kind::Choice(names) => match body.choice(field.wire, names)? {
            Some(name) => json!(names.iter().position(|known| *known == name)),
            None => return Err(undefined(request, field.wire)),
        },
    })
}

fn undefined(request: &str, field: &str) -> Failure {
    let text = "value must be one of the defined enum values";
    Failure::bare(3, format!("invalid {request}.{}: {text}", pascal(field)))
}

fn count(body: &Body, name: &str) -> Outcome<u64> {
    let count = body.number(name)?;
    if u32::try_from(count).is_ok() {
        return Ok(count);
    }
    Err(Failure::bare(3, format!("proto: invalid value for uint32 field {name}: {count}")))
}

/// Nanoseconds of a duration as protojson writes it, zero of none.
fn duration(text: &str) -> Outcome<u64> {
    let parsed = text.strip_suffix('s').and_then(|number| {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(NANOS)?.checked_add(fraction)
    });
    match (text, parsed) {
        ("", _) => Ok(0),
        (_, Some(nanos)) => Ok(nanos),
        _ => Err(Failure::bare(3, format!("proto: invalid google.protobuf.Duration value {text:?}"))),
    }
}

fn seconds(nanos: u64) -> String {
    let (whole, rest) = (nanos / NANOS, nanos % NANOS);
    match rest {
        0 => format!("{whole}s"),
        rest if rest.is_multiple_of(1_000_000) => format!("{whole}.{:03}s", rest / 1_000_000),
        rest => format!("{whole}.{rest:09}s"),
    }
}

/// The settings and factors as answers show them.
pub(super) fn shown(row: &Row, policy: &Policy) -> Value {
    let mut fields = json!({});
    for field in row.fields {
        let value = &policy.settings[field.wire];
        let index = value.as_u64().unwrap_or_default();
        fields[field.wire] = match field.kind {
            Kind::Duration => json!(seconds(index)),
            Kind::Count => number(index),
            Kind::Choice(_) if index == 0 => Value::Null,
            Kind::Choice(names) => json!(names.get(index as usize)),
            Kind::Flag | Kind::Text => value.clone(),
        };
    }
    for factors in row.factors {
        fields[factors.field] = json!(names(factors, policy));
    }
    message(fields)
}

pub(super) fn names(factors: &Factors, policy: &Policy) -> Vec<&'static str> {
    let shown = policy.factors.get(factors.field).into_iter().flatten();
    shown.filter_map(|index| factors.names.get(*index)).copied().collect()
}

/// What an event says of settings that replace others: the fields that differ, of new settings those not zero.
pub(super) fn payload(row: &Row, before: Option<&Settings>, after: &Settings) -> Value {
    let changed = row.fields.iter().filter(|field| match before {
        Some(before) => before[field.wire] != after[field.wire],
        None => true,
    });
    let fields: Value = changed.map(|field| (field.event.to_owned(), after[field.wire].clone())).collect();
    if before.is_some() { fields } else { message(fields) }
}
