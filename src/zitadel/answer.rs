//! Reads answers: JSON into values, headers into times, texts into what may be quoted.

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use jiff::{Timestamp, fmt::rfc2822};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::zitadel::error::Error;

/// The most characters that are quoted of a text of the server.
pub(crate) const MESSAGE_LIMIT: usize = 300;

/// The longest text of the server that is kept, in bytes: names have at most 200 characters.
const LONGEST_TEXT: usize = 1024;

/// For texts of our own side, which hold none.
pub(crate) const NO_SECRETS: &[&str] = &[];

/// A value and the server's own time when it gave it (its `Date` header, whole seconds).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the server answered.
    pub value: T,
    /// The server's clock; `None` when a proxy dropped the header.
    pub server_time: Option<Timestamp>,
}

impl<T> Answer<T> {
    pub(crate) fn try_map<U>(self, convert: impl FnOnce(T) -> Result<U, Error>) -> Result<Answer<U>, Error> {
        Ok(Answer { value: convert(self.value)?, server_time: self.server_time })
    }
}

/// The value of a 2xx answer.
///
/// # Errors
/// [`Error::Malformed`]; the body is never quoted.
pub(crate) fn parse<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<Answer<T>, Error> {
    let value = serde_json::from_slice(response.body()).map_err(|error| {
        Error::malformed(response.status().as_u16(), describe(&error, response.headers()))
    })?;
    Ok(Answer { value, server_time: server_time(response.headers()) })
}

pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

/// One printable line of at most `limit` characters, without the secrets.
pub(crate) fn quote(text: &str, secrets: &[impl AsRef<str>], limit: usize) -> String {
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    let secrets = secrets.iter().map(AsRef::as_ref).filter(|secret| !secret.is_empty());
    let line = secrets.fold(printable, |line, secret| line.replace(secret, "***"));
    match line.char_indices().nth(limit) {
        Some(_) => line.chars().take(limit - 1).chain(['…']).collect(),
        None => line,
    }
}

/// A text of the server that may be kept: no id and no name of ZITADEL is longer than [`LONGEST_TEXT`] bytes.
pub(crate) fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.len() {
        ..=LONGEST_TEXT => Ok(text),
        _ => Err(serde::de::Error::custom("a text is too long")),
    }
}

/// The same of one that may be missing.
pub(crate) fn short_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    match text.as_ref().map_or(0, String::len) {
        ..=LONGEST_TEXT => Ok(text),
        _ => Err(serde::de::Error::custom("a text is too long")),
    }
}

/// Whether it tells of the inside of a server: what its database or its network said.
pub(crate) fn is_of_inside(text: &str) -> bool {
    ["SQLSTATE", "user=", "database=", "host=", "dial tcp", "dial error"]
        .iter()
        .any(|mark| text.contains(mark))
}

fn describe(error: &serde_json::Error, headers: &HeaderMap) -> &'static str {
    let html =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    match error.classify() {
        _ if html => "it is an HTML page",
        serde_json::error::Category::Eof => "its JSON is cut short",
        serde_json::error::Category::Data => "its JSON has another shape",
        _ => "it is not JSON",
    }
}
