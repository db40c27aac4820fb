//! Turns every answer that is not 2xx into an [`Error`], by gRPC code and error id.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Response, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use super::answer::{MESSAGE_LIMIT, http_date, quote, server_time};
use super::error::Error;
use crate::runtime::ambient;

const ID_LIMIT: usize = 100;
/// In bytes.
const SHORTEST_SECRET: usize = 4;
/// A refusal of ZITADEL is shorter, in bytes; a few of a `Value` become thirty in memory.
const BODY_LIMIT: usize = 64 * 1024;

/// What a refusal is read against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) permission: &'static str,
    pub(crate) organization: Option<&'a str>,
    pub(crate) path: &'a str,
    /// Taken out of quoted messages, should a server echo it.
    pub(crate) secret: &'a str,
    /// A JSON body each `value` of which is taken out too, in base64 or not.
    pub(crate) confidential: Option<&'a [u8]>,
}

/// What an error id means where the gRPC code alone does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Unchanged,
    OrganizationNotFound,
    PermissionDenied,
    WrongHost,
}

/// Every error id with a meaning of its own.
const MEANINGS: [(&str, Meaning); 13] = [
    ("COMMAND-2M0fs", Meaning::Unchanged), // project, until v3
    ("COMMAND-5M0cs", Meaning::Unchanged), // project role, until v3
    ("COMMAND-mki55", Meaning::Unchanged), // project is inactive
    ("COMMAND-5M9bs", Meaning::Unchanged), // project is active
    ("EVENT-Dbs2g", Meaning::Unchanged),   // organization is inactive
    ("EVENT-bfnrh", Meaning::Unchanged),   // organization is active
    ("ORG-3M9ds", Meaning::Unchanged),     // domain policy, under the label policy's text
    ("ORG-4VSdf", Meaning::Unchanged),     // organization's name
    ("AUTH-Bs7Ds", Meaning::OrganizationNotFound),
    ("COMMAND-QXPGs", Meaning::OrganizationNotFound),
    ("AUTHZ-cdgFk", Meaning::PermissionDenied), // a 404: no membership at all
    ("QUERY-1kIjX", Meaning::WrongHost),
    ("QUERY-IuGh1", Meaning::WrongHost),
];

/// ZITADEL's error body; every part may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    code: Value,
    message: Value,
    details: Value,
}

/// One refusal, taken apart.
struct Refusal {
    status: u16,
    code: Option<i64>,
    id: Option<String>,
    message: String,
    retry_after: Option<Duration>,
}

/// Passes a 2xx answer on and classifies any other.
pub(crate) fn accept(response: Response<Bytes>, asked: Asked<'_>) -> Result<Response<Bytes>, Error> {
    if response.status().is_success() { Ok(response) } else { Err(classify(&response, asked)) }
}

/// The classification of an answer that is not 2xx.
pub(crate) fn classify(response: &Response<Bytes>, asked: Asked<'_>) -> Error {
    let status = response.status().as_u16();
    if response.status().is_redirection() {
        return Error::malformed(status, "it is a redirect, which is not followed");
    }
    let refusal = Refusal::read(response, &asked.secrets());
    match meaning(&refusal) {
        Some(Meaning::Unchanged) => Error::Unchanged { id: refusal.id.unwrap_or_default() },
        Some(Meaning::OrganizationNotFound) => Error::OrganizationNotFound {
            organization: asked.organization.map(str::to_owned),
            id: refusal.id.unwrap_or_default(),
            message: refusal.message,
        },
        Some(Meaning::PermissionDenied) => refusal.denied(asked),
        Some(Meaning::WrongHost) => Error::UnknownEndpoint { message: refusal.message },
        None => refusal.by_code(asked),
    }
}

fn meaning(refusal: &Refusal) -> Option<Meaning> {
    // A server that fails proves nothing by the id it quotes.
    let id = refusal.id.as_deref().filter(|_| (400..500).contains(&refusal.status))?;
    let known = MEANINGS.iter().find(|(known, _)| *known == id).map(|(_, meaning)| *meaning);
    match known {
        Some(Meaning::Unchanged) if refusal.code != Some(9) => None,
        // A 404 of the authorization layer is never about the object.
        None if refusal.status == 404 && id.starts_with("AUTH") => Some(Meaning::PermissionDenied),
        known => known,
    }
}

impl Asked<'_> {
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![self.secret.to_owned()];
        if let Some(sent) = self.confidential.and_then(|body| serde_json::from_slice(body).ok()) {
            values(&sent, &mut secrets);
        }
        // Taking a few letters out of a sentence hides nothing, and spoils it.
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        secrets
    }
}

/// Every `value` within, as it is and decoded.
fn values(sent: &Value, found: &mut Vec<String>) {
    match sent {
        Value::Array(items) => items.iter().for_each(|item| values(item, found)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| match field.as_str() {
            Some(value) if name == "value" => {
                found.push(value.to_owned());
                found.extend(STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
            }
            _ => values(field, found),
        }),
        _ => {}
    }
}

impl Refusal {
    fn read(response: &Response<Bytes>, secrets: &[String]) -> Self {
        let status = response.status().as_u16();
        let small = Some(response.body()).filter(|body| body.len() <= BODY_LIMIT);
        let body: Body = small.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let quote = |text: &str, limit| quote(text, secrets, limit);
        let message = match body.message.as_str() {
            Some(text) if !text.is_empty() => quote(text, MESSAGE_LIMIT),
            _ => format!("HTTP {status} without a ZITADEL error"),
        };
        let id = error_id(&body.details).map(|id| quote(id, ID_LIMIT)).filter(|id| !id.is_empty());
        let repeated = id.as_ref().and_then(|id| message.strip_suffix(&format!(" ({id})")));
        Self {
            status,
            code: grpc_code(&body.code),
            message: repeated.unwrap_or(&message).to_owned(),
            id,
            retry_after: retry_after(response.headers()),
        }
    }

    fn by_code(self, asked: Asked<'_>) -> Error {
        let Self { status, code, .. } = self;
        match (status, code) {
            (401, _) | (_, Some(16)) => Error::Unauthorized { id: self.id, message: self.message },
            (_, Some(7)) => self.denied(asked),
            (404, Some(5)) if self.id.is_some() => {
                Error::NotFound { id: self.id.unwrap_or_default(), message: self.message }
            }
            (404 | 405, _) => Error::UnknownEndpoint { message: self.message },
            (_, Some(6)) => Error::AlreadyExists { id: self.id, message: self.message },
            (413, _) => Error::TooLarge,
            (_, Some(8)) if self.id.is_none() && self.retry_after.is_none() => Error::TooLarge,
            (429, _) | (_, Some(8)) => Error::RateLimited { retry_after: self.retry_after, id: self.id },
            (_, Some(12)) => Error::Unsupported { message: self.message },
            (_, Some(2)) if unimplemented_feature(asked.path, &self.message) => {
                Error::Unsupported { message: self.message }
            }
            (500.. | 408 | 425 | 499, _) | (_, Some(1 | 2 | 4 | 10 | 13 | 14 | 15)) => {
                Error::Unavailable { status, code, id: self.id, message: self.message }
            }
            (400..500, Some(_)) => Error::Invalid { id: self.id, message: self.message },
            _ => Error::malformed(status, "it holds no ZITADEL error"),
        }
    }

    fn denied(self, asked: Asked<'_>) -> Error {
        Error::PermissionDenied {
            permission: asked.permission,
            organization: asked.organization.map(str::to_owned),
            id: self.id,
            message: self.message,
        }
    }
}

/// The sole reading of a text: v4 reports organization features under code 2, in untranslated English.
fn unimplemented_feature(path: &str, message: &str) -> bool {
    (path.starts_with("/v2/features/") || path.starts_with("/v2beta/features/"))
        && message.contains("not implemented")
}

/// The gRPC code: a number from the gateway, a name from Connect.
fn grpc_code(code: &Value) -> Option<i64> {
    const NAMES: [&str; 16] = [
        "canceled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ];
    match code {
        Value::Number(number) => number.as_i64().filter(|code| (1..=16).contains(code)),
        Value::String(name) => (1..).zip(NAMES).find(|(_, known)| known == name).map(|(code, _)| code),
        _ => None,
    }
}

/// `id` of `zitadel.v1.ErrorDetail`, or `slug` of later versions, in the first detail that has one.
fn error_id(details: &Value) -> Option<&str> {
    let names = details.as_array()?.iter().flat_map(|detail| [detail.get("id"), detail.get("slug")]);
    names.flatten().filter_map(Value::as_str).find(|name| !name.is_empty())
}

/// Seconds, or an HTTP date counted from the server's own clock where it says it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = server_time(headers).unwrap_or_else(ambient::now);
    Some(http_date(text)?.duration_since(now).max(SignedDuration::ZERO).unsigned_abs())
}
