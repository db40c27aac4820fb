//! Every request that arrived, in order, and what it wrote.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::api::TOKEN_PATH;
use super::route::Seen;

/// Tells credentials apart without revealing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// That of a request made with this access token.
    pub fn of_token(token: &str) -> Self {
        Self::of_header(&format!("Bearer {token}"))
    }

    fn of_header(header: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        header.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Position among all requests since the double started.
    pub index: usize,
    /// When it arrived, by the double's clock.
    pub at: Timestamp,
    /// HTTP method.
    pub method: Method,
    /// Path as sent, still percent-encoded.
    pub path: String,
    /// Query string, empty without one.
    pub query: String,
    /// `x-zitadel-orgid`.
    pub organization: Option<String>,
    /// Whether a fault took that header off on the way.
    pub strayed: bool,
    /// `x-zitadel-instance-host`, or else the host.
    pub host: String,
    /// Name of the user that the token belongs to.
    pub actor: Option<String>,
    /// Which credential was sent.
    pub credential: Option<Fingerprint>,
    /// JSON body; null without one. Of a token request only the grant type.
    pub body: Value,
    /// Status answered; none while it is under way, or where the connection was dropped.
    pub status: Option<u16>,
    /// How many events it committed.
    pub committed: usize,
    /// The aggregates that these events belong to, as `kind/id`.
    pub touched: Vec<String>,
}

impl Request {
    pub(super) fn arriving(seen: &Seen, at: Timestamp, actor: Option<String>) -> Self {
        let body = match seen.path == TOKEN_PATH {
            true => grant_type(&seen.body),
            false => serde_json::from_slice(&seen.body).unwrap_or_default(),
        };
        Self {
            index: 0,
            at,
            method: seen.method.clone(),
            path: seen.path.clone(),
            query: seen.query.clone(),
            organization: seen.header("x-zitadel-orgid").map(str::to_owned),
            strayed: false,
            host: seen.host.clone(),
            actor,
            credential: seen.header("authorization").map(Fingerprint::of_header),
            body,
            status: None,
            committed: 0,
            touched: Vec::new(),
        }
    }
}

fn grant_type(form: &[u8]) -> Value {
    let form = String::from_utf8_lossy(form);
    let named = form.split('&').find_map(|pair| pair.strip_prefix("grant_type="));
    named.map(Value::from).unwrap_or_default()
}

/// A position in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

#[derive(Debug, Default)]
struct Book {
    requests: Vec<Request>,
    next: usize,
}

/// The requests a double got. Cheap to clone; clones share the same book.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    /// All requests since the start or the last [`Self::clear`].
    pub fn requests(&self) -> Vec<Request> {
        self.book().requests.clone()
    }

    /// Those that committed an event.
    pub fn writes(&self) -> Vec<Request> {
        self.select(|request| request.committed > 0)
    }

    /// Those that arrived after the mark.
    pub fn since(&self, mark: Mark) -> Vec<Request> {
        self.select(|request| request.index >= mark.0)
    }

    /// The present end of the ledger.
    pub fn mark(&self) -> Mark {
        Mark(self.book().next)
    }

    /// How many requests had that method and a path that starts so.
    pub fn count(&self, method: &Method, path: &str) -> usize {
        self.select(|request| request.method == *method && request.path.starts_with(path)).len()
    }

    /// The requests that satisfy a condition.
    pub fn select(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.book().requests.iter().filter(|request| wanted(request)).cloned().collect()
    }

    /// Forgets all requests; indices go on.
    pub fn clear(&self) {
        self.book().requests.clear();
    }

    pub(super) fn record(&self, mut request: Request) -> Request {
        let mut book = self.book();
        request.index = book.next;
        book.next += 1;
        book.requests.push(request.clone());
        request
    }

    pub(super) fn amend(&self, index: usize, change: impl FnOnce(&mut Request)) {
        let mut book = self.book();
        if let Some(request) = book.requests.iter_mut().rev().find(|request| request.index == index) {
            change(request);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
