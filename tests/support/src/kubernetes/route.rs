//! From an HTTP request to what it asks for.

use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::failure::Failure;
use super::kind::Kind;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// One object.
    Get,
    /// The objects of a namespace or of all.
    List,
    /// The changes to them.
    Watch,
    /// `POST`.
    Create,
    /// `PUT`.
    Update,
    /// `PATCH`, a merge or an apply.
    Patch,
    /// `DELETE` of one object.
    Delete,
}

impl Verb {
    /// Does it change anything, if it succeeds?
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A path of the API: `group` and `namespace` may be empty, `name` and `subresource` too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/').skip(1).map(decoded);
        let group = match parts.next()?.as_str() {
            "api" => String::new(),
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let mut rest: Vec<String> = parts.collect();
        let namespace = if rest.len() > 2 && rest[0] == "namespaces" && !is_subresource(&rest[2]) {
            rest.drain(..2).nth(1).unwrap_or_default()
        } else {
            String::new()
        };
        let mut rest = rest.into_iter();
        let target = Self {
            group,
            version,
            namespace,
            plural: rest.next()?,
            name: rest.next().unwrap_or_default(),
            subresource: rest.next().unwrap_or_default(),
        };
        rest.next().is_none().then_some(target)
    }

    pub(super) fn is_of(&self, kind: &Kind) -> bool {
        (&self.group, &self.version, &self.plural) == (&kind.group, &kind.version, &kind.plural)
    }
}

/// `/api/v1/namespaces/NAME/status` names no kind.
fn is_subresource(part: &str) -> bool {
    matches!(part, "status" | "finalize")
}

fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

pub(super) fn verb(method: &Method, target: &Target, query: &Query) -> Result<Verb, Failure> {
    match (method.as_str(), target.name.is_empty()) {
        ("GET", false) => Ok(Verb::Get),
        ("GET", true) if query.is("watch") => Ok(Verb::Watch),
        ("GET", true) => Ok(Verb::List),
        ("POST", true) => Ok(Verb::Create),
        ("PUT", false) => Ok(Verb::Update),
        ("PATCH", false) => Ok(Verb::Patch),
        ("DELETE", false) => Ok(Verb::Delete),
        _ => Err(Failure::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )),
    }
}

/// The query string, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let text = |part: &str| decoded(&part.replace('+', " "));
        Self(pairs.map(|(name, value)| (text(name), text(value))).collect())
    }

    /// A parameter; empty if it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }
}

/// How the answer is wanted, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    /// Only the metadata.
    pub partial: bool,
    pub content_type: String,
    pub manager: String,
}

impl Manners {
    pub(super) fn of(parts: &Parts, query: &Query) -> Self {
        let agent = header(&parts.headers, "user-agent");
        let manager = match query.get("fieldManager") {
            "" => agent.split('/').next().filter(|name| !name.is_empty()).unwrap_or("unknown"),
            manager => manager,
        };
        Self {
            partial: header(&parts.headers, "accept").contains("as=PartialObjectMetadata"),
            content_type: header(&parts.headers, "content-type").into(),
            manager: manager.into(),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
