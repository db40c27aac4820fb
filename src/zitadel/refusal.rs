//! Turns every answer that is not 2xx into an [`Error`], by gRPC code and error id.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Response, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

use crate::runtime::ambient;
use crate::zitadel::answer::{MESSAGE_LIMIT, http_date, is_of_inside, quote, server_time};
use crate::zitadel::error::Error;

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
    /// Whether an instance has answered here before.
    pub(crate) answered: bool,
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
    Outage,
}

/// Every error id with a meaning of its own.
const MEANINGS: &[(&str, Meaning)] = &[
    ("COMMAND-2M0fs", Meaning::Unchanged), // project, until v3
    ("COMMAND-5M0cs", Meaning::Unchanged), // project role, until v3
    ("COMMAND-mki55", Meaning::Unchanged), // project is inactive
    ("COMMAND-5M9bs", Meaning::Unchanged), // project is active
    ("EVENT-Dbs2g", Meaning::Unchanged),   // organization is inactive
    ("EVENT-bfnrh", Meaning::Unchanged),   // organization is active
    ("ORG-3M9ds", Meaning::Unchanged),     // domain policy, under the label policy's text
    ("ORG-4VSdf", Meaning::Unchanged),     // organization's name
    ("Org-5M9vdd", Meaning::Unchanged),    // login policy
    ("ORG-0JFSr", Meaning::Unchanged),     // lockout policy
    // The same of the instance.
    ("INSTANCE-5M9vdd", Meaning::Unchanged),
    ("INSTANCE-0psjF", Meaning::Unchanged),
    ("AUTH-Bs7Ds", Meaning::OrganizationNotFound),
    ("COMMAND-QXPGs", Meaning::OrganizationNotFound),
    ("AUTHZ-cdgFk", Meaning::PermissionDenied), // a 404: no membership at all
    ("QUERY-1kIjX", Meaning::WrongHost),
    ("QUERY-IuGh1", Meaning::WrongHost),
    ("QUERY-d3fas", Meaning::Outage), // a 404: the database did not say which instance this is
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
    /// Whether it was the instance that was not found, so that nothing is said of the object.
    of_instance: bool,
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
        Some(Meaning::WrongHost) => refusal.unknown_endpoint(),
        Some(Meaning::Outage) => refusal.unavailable(),
        None => refusal.by_code(asked),
    }
}

fn meaning(refusal: &Refusal) -> Option<Meaning> {
    // A server that fails proves nothing by the id it quotes.
    let id = refusal.id.as_deref().filter(|_| (400..500).contains(&refusal.status))?;
    let known = MEANINGS.iter().find(|(known, _)| *known == id).map(|(_, meaning)| *meaning);
    match known {
        Some(Meaning::Unchanged) if refusal.code != Some(9) => None,
        known if refusal.of_instance => known.or(Some(Meaning::Outage)),
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
        let small = Some(response.body()).filter(|body| body.len() <= BODY_LIMIT);
        let raw = small.and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
        let body: Option<Body> = serde_json::from_str(raw).ok();
        let (code, details, text) = match &body {
            Some(Body { code, details, message }) => {
                (grpc_code(code), details, message.as_str().unwrap_or_default())
            }
            // The token endpoint says in plain text what others say in JSON.
            None => (None, &Value::Null, raw),
        };
        let (status, code, id, text) = match unwrapped(code, text) {
            // What another error wraps proves nothing by an id.
            Some((code, text)) => (http_status(code), Some(code), None, text),
            None => (response.status().as_u16(), code, error_id(details), text),
        };
        let quote = |text: &str, limit| quote(text, secrets, limit);
        let own = id.map(|id| quote(id, ID_LIMIT)).filter(|id| !id.is_empty());
        let instance = instance_id(text).filter(|_| own.is_none() && status == 404);
        Self {
            status,
            code,
            of_instance: instance.is_some(),
            message: match quotable(status, code, own.as_deref(), text) {
                Some(text) => quote(text, MESSAGE_LIMIT),
                None => described(status, code),
            },
            id: own.or(instance.map(|id| quote(id, ID_LIMIT))),
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
            (404, _) if asked.answered => self.unavailable(),
            (404 | 405, _) => self.unknown_endpoint(),
            (_, Some(6)) => Error::AlreadyExists { id: self.id, message: self.message },
            (413, _) => Error::TooLarge,
            (_, Some(8)) if self.id.is_none() && self.retry_after.is_none() => Error::TooLarge,
            (429, _) | (_, Some(8)) => Error::RateLimited { retry_after: self.retry_after, id: self.id },
            (_, Some(12)) => Error::Unsupported { message: self.message },
            (500.. | 408 | 425 | 499, _) | (_, Some(1 | 2 | 4 | 10 | 13 | 14 | 15)) => self.unavailable(),
            (400..500, Some(_)) => Error::Invalid { id: self.id, message: self.message },
            _ => Error::malformed(status, "it holds no ZITADEL error"),
        }
    }

    fn unavailable(self) -> Error {
        Error::Unavailable { status: self.status, code: self.code, id: self.id }
    }

    fn unknown_endpoint(self) -> Error {
        let Self { status, code, id, .. } = self;
        Error::UnknownEndpoint { message: described(status, code), id }
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

/// Code and text of the error within: newer servers put one of the request under code 2, as
/// `rpc error: code = InvalidArgument desc = … ()`.
fn unwrapped(code: Option<i64>, text: &str) -> Option<(i64, &str)> {
    let error = text.strip_prefix("rpc error: code = ").filter(|_| code == Some(2))?;
    let (name, text) = error.split_once(" desc = ")?;
    let (code, text) = (named_code(name)?, text.strip_suffix(" ()").unwrap_or(text));
    Some(unwrapped(Some(code), text).unwrap_or((code, text)))
}

/// The status that the gateway gives a gRPC code, but for `NotFound`: nothing that is wrapped is an absence.
fn http_status(code: i64) -> u16 {
    match code {
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// `QUERY-d3fas` of `unable to set instance using origin … (ExternalDomain is …): ID=QUERY-d3fas Message=…`: what kept
/// the server from finding an instance to answer for. It has no details.
fn instance_id(text: &str) -> Option<&str> {
    let (_, error) = text.split_once("): ID=")?;
    error.split_once(" Message=").map(|(id, _)| id).filter(|id| !id.is_empty() && !id.contains(' '))
}

/// The text, where ZITADEL wrote it for whoever asks: under an id, or about a value in the request. Any other may be its
/// database's or its network's.
fn quotable<'a>(status: u16, code: Option<i64>, id: Option<&str>, text: &'a str) -> Option<&'a str> {
    let meant = (400..500).contains(&status) && (id.is_some() || code == Some(3));
    let text = id.and_then(|id| text.strip_suffix(&format!(" ({id})"))).unwrap_or(text);
    Some(text).filter(|text| meant && !text.is_empty() && !is_of_inside(text))
}

fn described(status: u16, code: Option<i64>) -> String {
    match code {
        Some(code) => format!("HTTP {status}, gRPC code {code}"),
        None => format!("HTTP {status} without a ZITADEL error"),
    }
}

/// The gRPC code: a number from the gateway, a name from Connect.
fn grpc_code(code: &Value) -> Option<i64> {
    match code {
        Value::Number(number) => number.as_i64().filter(|code| (1..=16).contains(code)),
        Value::String(name) => named_code(name),
        _ => None,
    }
}

/// `InvalidArgument`, or `invalid_argument` as Connect writes it.
fn named_code(name: &str) -> Option<i64> {
    const NAMES: [&str; 16] = [
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let name = name.replace('_', "");
    (1..).zip(NAMES).find(|(_, known)| known.eq_ignore_ascii_case(&name)).map(|(code, _)| code)
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
