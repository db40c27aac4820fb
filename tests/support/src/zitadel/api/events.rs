//! The change feed: `/admin/v1/events/_search` and the types it knows.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::zitadel::access::Access::Needs;
use crate::zitadel::behaviour::ServerLine;
use crate::zitadel::clock::rfc3339;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::message;
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::store::Event;

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, "/admin/v1/events/_search", Needs("events.read"), search),
    route(Method::POST, "/admin/v1/events/types/_search", Needs("events.read"), types),
];

/// Types of the organization and project events that the double writes, with the server's text.
const TYPES: &[(&str, &str)] = &[
    ("org.added", "Organization added"),
    ("org.changed", "Organization changed"),
    ("org.deactivated", "Organization deactivated"),
    ("org.domain.added", "Domain added"),
    ("org.domain.primary.set", "Primary domain set"),
    ("org.domain.verified", "Domain verified"),
    ("org.member.added", "Organization member added"),
    ("org.member.changed", "Organization member changed"),
    ("org.member.removed", "Organization member removed"),
    ("org.metadata.removed", "Metadata removed"),
    ("org.metadata.set", "Metadata set"),
    ("org.policy.domain.added", "Domain policy added"),
    ("org.policy.domain.changed", "Domain policy changed"),
    ("org.policy.domain.removed", "Domain policy removed"),
    ("org.policy.lockout.added", "Lockout policy added"),
    ("org.policy.lockout.changed", "Lockout policy changed"),
    ("org.policy.lockout.removed", "Lockout policy removed"),
    ("org.policy.login.added", "Login Policy added"),
    ("org.policy.login.changed", "Login Policy changed"),
    ("org.policy.login.multifactor.added", "Multi-factor added to Login Policy"),
    ("org.policy.login.multifactor.removed", "Multi-factor removed from Login Policy"),
    ("org.policy.login.removed", "Login Policy removed"),
    ("org.policy.login.secondfactor.added", "Second factor added to Login Policy"),
    ("org.policy.login.secondfactor.removed", "Second factor removed from Login Policy"),
    ("org.reactivated", "Organization reactivated"),
    ("org.removed", "Organization removed"),
    ("project.added", "Project added"),
    ("project.changed", "Project changed"),
    ("project.deactivated", "Project deactivated"),
    ("project.reactivated", "Project reactivated"),
    ("project.removed", "Project removed"),
    ("project.role.added", "Project role added"),
    ("project.role.changed", "Project role changed"),
    ("project.role.removed", "Project role removed"),
];

fn type_message(kind: &str, line: ServerLine) -> Value {
    let key = format!("EventTypes.{kind}");
    let text = match (kind, line) {
        ("org.domain.primary.set", ServerLine::V4Newer) => "Organization Domain set",
        _ => TYPES.iter().find(|(known, _)| *known == kind).map_or(key.as_str(), |(_, text)| *text),
    };
    json!({"type": kind, "localized": {"key": key, "localizedMessage": text}})
}

fn aggregate_message(event: &Event) -> Value {
    let kind = event.aggregate.kind;
    let text = match kind {
        "org" => "Organization",
        "project" => "Project",
        "user" => "User",
        "instance" => "Instance",
        other => other,
    };
    let kind = json!({"type": kind, "localized": {"key": format!("AggregateTypes.{kind}"), "localizedMessage": text}});
    json!({"id": event.aggregate.id, "type": kind, "resourceOwner": event.aggregate.owner})
}

fn event_message(event: &Event, line: ServerLine) -> Value {
    message(json!({
        "editor": {"userId": event.editor.id, "displayName": event.editor.name, "service": "zitadel"},
        "aggregate": aggregate_message(event),
        "sequence": event.moment.sequence.to_string(),
        "creationDate": rfc3339(event.moment.at),
        "payload": if event.payload.is_null() { json!({}) } else { event.payload.clone() },
        "type": type_message(event.kind, line),
    }))
}

fn asked_for(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|asked| asked == name)
}

fn named(asked: &str, name: &str) -> bool {
    asked.is_empty() || asked == name
}

fn search(call: &mut Call<'_>) -> Outcome<Reply> {
    let body = &call.body;
    let (kinds, aggregates) = (body.strings("eventTypes"), body.strings("aggregateTypes"));
    let (aggregate, owner) = (body.string("aggregateId")?, body.string("resourceOwner")?);
    let (editor, from) = (body.string("editorUserId")?, body.string("from")?);
    let from = match from.parse::<Timestamp>() {
        Ok(from) => Some(from),
        Err(_) if from.is_empty() => None,
        Err(_) => return Err(Failure::bare(3, "proto: invalid google.protobuf.Timestamp value")),
    };
    let limit = match body.number("limit")? {
        0 => usize::MAX,
        limit => limit as usize,
    };
    let passes = |event: &&Event| {
        asked_for(&kinds, event.kind)
            && asked_for(&aggregates, event.aggregate.kind)
            && named(&aggregate, &event.aggregate.id)
            && named(&owner, &event.aggregate.owner)
            && named(&editor, &event.editor.id)
            && from.is_none_or(|from| event.moment.at >= from)
    };
    let passing = call.store.instance.events.iter().filter(passes);
    let shown = |event| event_message(event, call.store.behaviour.line);
    let events: Vec<Value> = match body.flag("asc")? {
        true => passing.take(limit).map(shown).collect(),
        false => passing.rev().take(limit).map(shown).collect(),
    };
    Reply::ok(message(json!({"events": events})))
}

fn types(call: &mut Call<'_>) -> Outcome<Reply> {
    let line = call.store.behaviour.line;
    let known: Vec<Value> = TYPES.iter().map(|(kind, _)| type_message(kind, line)).collect();
    Reply::ok(json!({"eventTypes": known}))
}
