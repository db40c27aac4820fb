//! From a request to the answer of its handler, through the gateway's checks in their order.

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::access::{self, Access};
use super::api;
use super::failure::{Failure, Outcome};
use super::json::{Body, proto_size};
use super::model::Moment;
use super::store::{Aggregate, Store};

/// gRPC's default limit of a received message, in bytes.
const MESSAGE_LIMIT: usize = 4_194_304;

/// A request as it arrived, its body read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) body: bytes::Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn decoded_path(&self) -> String {
        percent_decode_str(&self.path).decode_utf8_lossy().into_owned()
    }

    /// Whether handling it may write: everything but reads, searches and log-ins.
    pub(super) fn may_write(&self) -> bool {
        self.method != Method::GET && !self.path.ends_with("_search") && self.path != api::TOKEN_PATH
    }
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Outcome<Self> {
        Ok(Self { status: 200, body })
    }
}

/// One permitted call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) store: &'a mut Store,
    /// Id of the calling user.
    pub(super) user: String,
    /// Id of the context organization.
    pub(super) organization: String,
    /// The path's variable segments, decoded.
    pub(super) parameters: Vec<String>,
    pub(super) query: &'a str,
    pub(super) body: Body,
}

impl Call<'_> {
    pub(super) fn push(
        &mut self,
        aggregate: &Aggregate,
        kind: &'static str,
        payload: Value,
    ) -> Outcome<Moment> {
        self.store.push(aggregate, kind, payload)
    }

    /// The text field of that name, 1 to 200 characters long.
    pub(super) fn name(&self, message: &str, field: &str) -> Outcome<String> {
        let value = self.body.string(field)?;
        length(message, &pascal(field), &value)?;
        Ok(value)
    }
}

/// An endpoint: `{}` in the pattern stands for one segment, `{*}` at its end for all that follow, or one where the
/// server takes no more.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) pattern: &'static str,
    pub(super) access: Access,
    pub(super) handler: fn(&mut Call<'_>) -> Outcome<Reply>,
}

pub(super) const fn route(
    method: Method,
    pattern: &'static str,
    access: Access,
    handler: fn(&mut Call<'_>) -> Outcome<Reply>,
) -> Route {
    Route { method, pattern, access, handler }
}

/// Handles a request to one of the JSON APIs.
pub(super) fn dispatch(store: &mut Store, seen: &Seen) -> Outcome<Reply> {
    let wraps = store.behaviour.wraps_statuses;
    handled(store, seen).map_err(|failure| if wraps { failure.wrapped(&seen.path) } else { failure })
}

fn handled(store: &mut Store, seen: &Seen) -> Outcome<Reply> {
    let path = seen.decoded_path();
    let (route, parameters) = find(&seen.method, &path, store.behaviour.role_keys_with_slashes)?;
    let body = Body::parse(&seen.body)?;
    if !path.chars().all(|c| matches!(c, ' '..='~')) {
        let text = "header key \"zitadel-activity-path\" contains value with non-printable ASCII characters";
        return Err(Failure::bare(13, text));
    }
    require_size(body.size())?;
    access::resolve_instance(store, &seen.host)?;
    let user = access::authenticate(store, &seen.headers)?;
    let organization = access::context(store, &user, seen.header("x-zitadel-orgid"))?;
    if let Access::Needs(permission) = route.access {
        access::allow(store, &user, &organization, permission)?;
    }
    store.writer.editor = store.editor(&user);
    let mut call = Call { store, user, organization, parameters, query: &seen.query, body };
    let reply = (route.handler)(&mut call)?;
    require_size(proto_size("", &reply.body))?;
    Ok(reply)
}

fn require_size(size: usize) -> Outcome<()> {
    if size > MESSAGE_LIMIT { Err(Failure::too_large(size)) } else { Ok(()) }
}

fn find(method: &Method, path: &str, slashes: bool) -> Outcome<(&'static Route, Vec<String>)> {
    let matching =
        || api::routes().filter_map(|route| Some((route, captures(route.pattern, path, slashes)?)));
    if let Some(found) = matching().find(|(route, _)| route.method == method) {
        return Ok(found);
    }
    match matching().next() {
        Some(_) => Err(Failure::bare(12, "Method Not Allowed")),
        None => Err(Failure::bare(5, "Not Found")),
    }
}

fn captures(pattern: &str, path: &str, slashes: bool) -> Option<Vec<String>> {
    let (mut wanted, mut segments) = (pattern.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return Some(found),
            (Some("{*}"), Some(segment)) if slashes => {
                let rest: Vec<&str> = std::iter::once(segment).chain(segments).collect();
                found.push(rest.join("/"));
                return Some(found).filter(|found| found.last().is_some_and(|rest| !rest.is_empty()));
            }
            (Some("{}" | "{*}"), Some(segment)) if !segment.is_empty() => found.push(segment.to_owned()),
            (Some(literal), Some(segment)) if literal == segment => {}
            _ => return None,
        }
    }
}

/// # Errors
/// Code 3 unless the value has 1 to 200 characters.
pub(super) fn length(message: &str, field: &str, value: &str) -> Outcome<()> {
    if (1..=200).contains(&value.chars().count()) {
        return Ok(());
    }
    Err(Failure::bare(
        3,
        format!("invalid {message}.{field}: value length must be between 1 and 200 runes, inclusive"),
    ))
}

/// The name of a field in Go.
pub(super) fn pascal(field: &str) -> String {
    let mut characters = field.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
