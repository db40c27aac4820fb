//! Lists: text filters and pages.

use serde_json::{Value, json};

use super::clock::rfc3339;
use super::failure::{Failure, Outcome};
use super::json::{Body, message, number};
use super::route::{Call, Reply};

const METHODS: &[&str] = &[
    "TEXT_QUERY_METHOD_EQUALS",
    "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE",
    "TEXT_QUERY_METHOD_STARTS_WITH",
    "TEXT_QUERY_METHOD_STARTS_WITH_IGNORE_CASE",
    "TEXT_QUERY_METHOD_CONTAINS",
    "TEXT_QUERY_METHOD_CONTAINS_IGNORE_CASE",
    "TEXT_QUERY_METHOD_ENDS_WITH",
    "TEXT_QUERY_METHOD_ENDS_WITH_IGNORE_CASE",
];

/// Whether a value passes the text filter `{<field>, method}`; no filter passes everything.
pub(super) fn passes(filter: Option<&Body>, field: &str, value: &str) -> Outcome<bool> {
    let Some(filter) = filter else { return Ok(true) };
    let method = filter.choice("method", METHODS)?.unwrap_or(METHODS[0]);
    let wanted = filter.string(field)?;
    let (value, wanted) = match method.strip_suffix("_IGNORE_CASE") {
        Some(_) => (value.to_lowercase(), wanted.to_lowercase()),
        None => (value.to_owned(), wanted),
    };
    Ok(match method.trim_start_matches("TEXT_QUERY_METHOD_").trim_end_matches("_IGNORE_CASE") {
        "STARTS_WITH" => value.starts_with(&wanted),
        "CONTAINS" => value.contains(&wanted),
        "ENDS_WITH" => value.ends_with(&wanted),
        _ => value == wanted,
    })
}

/// The filters of that kind in `queries`.
pub(super) fn filters(body: &Body, kind: &str) -> Vec<Body> {
    body.children("queries").iter().filter(|query| query.has(kind)).map(|query| query.child(kind)).collect()
}

/// Whether a value passes every text filter of that kind.
pub(super) fn passes_all(filters: &[Body], field: &str, value: &str) -> Outcome<bool> {
    filters.iter().try_fold(true, |passed, filter| Ok(passed && passes(Some(filter), field, value)?))
}

/// What names the answer's time, and how many rows are a page if the request does not say.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    /// `viewTimestamp`.
    V1,
    /// `timestamp`.
    V2,
}

/// Answers with the asked page of `rows`, of which `invisible` more exist.
pub(super) fn page(call: &Call<'_>, style: Style, rows: Vec<Value>, invisible: usize) -> Outcome<Reply> {
    let behaviour = &call.store.behaviour;
    let query = call.body.child("query");
    let (offset, mut limit) = (query.number("offset")? as usize, query.number("limit")? as usize);
    if behaviour.list_limits && limit > 1_000 {
        return Err(Failure::of("QUERY-4M0fs"));
    }
    if limit == 0 {
        limit = match (behaviour.list_limits, style) {
            (false, _) => usize::MAX,
            (true, Style::V1) => 1_000,
            (true, Style::V2) => 100,
        };
    }
    let limit = limit.min(behaviour.page_cap.unwrap_or(usize::MAX));
    let total = (rows.len() + invisible) as u64 + behaviour.overcount;
    let time = if matches!(style, Style::V1) { "viewTimestamp" } else { "timestamp" };
    let details = message(json!({"totalResult": number(total), time: rfc3339(call.store.clock.now())}));
    let rows: Vec<Value> = rows.into_iter().skip(offset).take(limit).collect();
    Reply::ok(message(json!({"details": details, "result": rows})))
}
