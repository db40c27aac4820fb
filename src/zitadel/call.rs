//! The declaration of one API call, and the request it becomes.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;

use crate::zitadel::answer::{NO_SECRETS, quote};
use crate::zitadel::error::Error;
use crate::zitadel::metrics::Route;
use crate::zitadel::refusal::Asked;

/// The header that names the organization of a call.
pub(crate) const ORGANIZATION_HEADER: &str = "x-zitadel-orgid";

const SEGMENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What says which organization a call is for, and whether its answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Header,
    Path,
    Unanswered,
}

/// One call: method, path, the permission it needs, and what it sends. Without `Debug`: bodies hold secrets.
#[derive(Clone)]
pub(crate) struct Call {
    route: Route,
    path: String,
    permission: &'static str,
    organization: Option<HeaderValue>,
    target: Target,
    body: Option<Bytes>,
    aggregate: Option<String>,
    repeatable: bool,
    confidential: bool,
}

impl Call {
    /// A call of the path that a template (`/projects/{id}`) and these parts make, each percent-encoded.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a part that no path can carry: empty, `.` or `..`, or that is missing.
    pub(crate) fn new(
        method: Method,
        template: &'static str,
        parts: &[&str],
        permission: &'static str,
    ) -> Result<Self, Error> {
        let repeatable = method == Method::GET;
        let path = path(template, parts)?;
        Ok(Self {
            route: Route { method, template },
            path,
            permission,
            organization: None,
            target: Target::Header,
            body: None,
            aggregate: None,
            repeatable,
            confidential: false,
        })
    }

    /// `GET path`, a path without parts that vary.
    pub(crate) fn get(path: &'static str, permission: &'static str) -> Result<Self, Error> {
        Self::new(Method::GET, path, &[], permission)
    }

    /// `POST` with a JSON body that only reads (`_search`), so it may be repeated.
    pub(crate) fn search(
        template: &'static str,
        parts: &[&str],
        permission: &'static str,
        body: &impl Serialize,
    ) -> Result<Self, Error> {
        let call = Self::new(Method::POST, template, parts, permission)?.body(body)?;
        Ok(Self { repeatable: true, ..call })
    }

    /// Names the organization of the call (`x-zitadel-orgid`).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is empty, longer than 200 bytes or not visible ASCII.
    pub(crate) fn in_organization(self, id: &str) -> Result<Self, Error> {
        let safe = (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        match HeaderValue::from_str(id) {
            Ok(value) if safe => Ok(Self { organization: Some(value), ..self }),
            _ => {
                Err(Error::invalid(format!("`{}` cannot be an organization id", quote(id, NO_SECRETS, 100))))
            }
        }
    }

    /// The path names the organization too, so that its target does not depend on the header.
    pub(crate) fn by_path(self) -> Self {
        Self { target: Target::Path, ..self }
    }

    /// Its answer names the instance as owner, whatever organization it was about.
    pub(crate) fn of_instance(self) -> Self {
        Self { target: Target::Unanswered, ..self }
    }

    /// Sends `body` as JSON.
    pub(crate) fn body(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|_| Error::invalid("a value that cannot be sent"))?;
        Ok(Self { body: Some(body.into()), ..self })
    }

    /// What it sends may come from a Secret: no message quotes a `value` of its body.
    pub(crate) fn confidential(self) -> Self {
        Self { confidential: true, ..self }
    }

    /// Sends `{}`, as an action without arguments.
    pub(crate) fn empty_body(self) -> Result<Self, Error> {
        self.body(&json!({}))
    }

    /// Waits for other writes to the same aggregate.
    pub(crate) fn serial(self, aggregate: &str) -> Self {
        Self { aggregate: Some(aggregate.to_owned()), ..self }
    }

    pub(crate) fn aggregate(&self) -> Option<&str> {
        self.aggregate.as_deref()
    }

    /// The organization that the header names.
    pub(crate) fn organization(&self) -> Option<&str> {
        self.organization.as_ref().and_then(|id| id.to_str().ok())
    }

    /// Whether the header alone says which organization is meant.
    pub(crate) fn relies_on_header(&self) -> bool {
        self.target != Target::Path
    }

    /// Whether the owner in its answer is the organization.
    pub(crate) fn names_owner(&self) -> bool {
        self.target != Target::Unanswered
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// Whether it is a search, whose page may be made smaller.
    pub(crate) fn is_search(&self) -> bool {
        self.repeatable && self.route.method == Method::POST
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn asked<'a>(&'a self, token: &'a SecretString, answered: bool) -> Asked<'a> {
        Asked {
            permission: self.permission,
            organization: self.organization(),
            answered,
            secret: token.expose_secret(),
            confidential: self.body.as_deref().filter(|_| self.confidential),
        }
    }

    /// The request under `base` (no trailing slash), addressed to the instance of `instance_host`.
    pub(crate) fn request(
        &self,
        base: &str,
        instance_host: Option<&HeaderValue>,
        token: &SecretString,
    ) -> Result<Request<Bytes>, Error> {
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(|_| {
                Error::TokenRefused { message: "the token cannot be sent in a header".to_owned() }
            })?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(&self.route.method)
            .uri(format!("{base}{}", self.path))
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json")
            .header(ACCEPT_LANGUAGE, "en");
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in
            [("x-zitadel-instance-host", instance_host), (ORGANIZATION_HEADER, self.organization.as_ref())]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request
            .body(self.body.clone().unwrap_or_default())
            .map_err(|_| Error::invalid("the path is too long to be sent"))
    }
}

fn path(template: &str, parts: &[&str]) -> Result<String, Error> {
    let (mut path, mut parts) = (String::new(), parts.iter());
    for segment in template.split('/').skip(1) {
        path.push('/');
        if !segment.starts_with('{') {
            path.push_str(segment);
            continue;
        }
        let part = parts.next().copied().unwrap_or_default();
        if matches!(part, "" | "." | "..") {
            return Err(Error::invalid(format!("`{part}` cannot be part of a path")));
        }
        path.extend(utf8_percent_encode(part, &SEGMENT));
    }
    Ok(path)
}
