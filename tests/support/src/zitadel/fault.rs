//! Faults and holds that tests put between a request and its answer.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::watch;

use super::failure::Failure;
use super::ledger::Request;

/// Marks an answer that must not reach the client: the connection ends instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before the answer was complete")]
pub struct Dropped;

pub(super) fn dropped() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Dropped);
    response
}

/// Names the organization of a request.
const ORGANIZATION: &str = "x-zitadel-orgid";

type Condition = Box<dyn Fn(&Request) -> bool + Send + Sync>;
type Responder = Box<dyn Fn(&Request) -> (StatusCode, String) + Send + Sync>;

enum Effect {
    Answer(StatusCode, Vec<(HeaderName, HeaderValue)>, Bytes),
    Respond(Responder),
    Oversized(usize),
    Delay(Duration),
    Pause,
    Forget(&'static str),
    DropBefore,
    HoldAfterCommit,
    DropAfterCommit,
    Truncate,
    Trickle(Duration),
}

/// What happens to matching requests; without a condition, to all.
pub struct InjectedFault {
    effect: Effect,
    conditions: Vec<Condition>,
    times: usize,
    skipped: usize,
    every: usize,
}

impl fmt::Debug for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("times", &self.times).finish_non_exhaustive()
    }
}

impl InjectedFault {
    fn new(effect: Effect) -> Self {
        Self { effect, conditions: Vec::new(), times: usize::MAX, skipped: 0, every: 1 }
    }

    /// This status and an empty body instead of handling; see [`Self::header`] and [`Self::body`].
    ///
    /// # Panics
    /// For a number that is no HTTP status.
    pub fn answer(status: u16) -> Self {
        Self::new(Effect::Answer(
            StatusCode::from_u16(status).expect("an HTTP status"),
            Vec::new(),
            Bytes::new(),
        ))
    }

    /// This status and body instead of handling, by the request.
    pub(super) fn respond(
        respond: impl Fn(&Request) -> (StatusCode, String) + Send + Sync + 'static,
    ) -> Self {
        Self::new(Effect::Respond(Box::new(respond)))
    }

    /// A ZITADEL error instead of handling.
    pub fn failure(failure: &Failure) -> Self {
        let fault = Self::answer(failure.status()).header("content-type", "application/json");
        fault.body(failure.body("en").to_string())
    }

    /// 503 with code 14, as while the API is starting.
    pub fn unavailable() -> Self {
        Self::failure(&Failure::bare(
            14,
            "connection error: desc = \"transport: connect: connection refused\"",
        ))
    }

    /// 429 with code 8 and id `LIMITS-molsj`, as of a blocked instance.
    pub fn limited() -> Self {
        Self::failure(&Failure::of("LIMITS-molsj"))
    }

    /// A proxy's HTML page with status 200 instead of handling.
    pub fn html() -> Self {
        Self::answer(200).header("content-type", "text/html").body("<html><body>Welcome</body></html>")
    }

    /// 302 to another place instead of handling.
    pub fn redirect(location: &str) -> Self {
        Self::answer(302).header(LOCATION.as_str(), location)
    }

    /// 200 with a JSON string of that many bytes, without a length in its header.
    pub fn oversized(bytes: usize) -> Self {
        Self::new(Effect::Oversized(bytes))
    }

    /// Handled only after that time.
    pub fn delay(time: Duration) -> Self {
        Self::new(Effect::Delay(time))
    }

    /// Waits before handling until [`Injected::release`].
    pub fn hold() -> Self {
        Self::new(Effect::Pause)
    }

    /// Waits between commit and answer until [`Injected::release`].
    pub fn hold_after_commit() -> Self {
        Self::new(Effect::HoldAfterCommit)
    }

    /// Handled as if the request did not name its organization, as behind a proxy that drops the header. Only of requests
    /// that do.
    pub fn lose_organization() -> Self {
        Self::new(Effect::Forget(ORGANIZATION)).when(|request| request.organization.is_some())
    }

    /// Ends the connection without handling.
    pub fn drop_before() -> Self {
        Self::new(Effect::DropBefore)
    }

    /// Handles the request, then ends the connection without an answer.
    pub fn drop_after_commit() -> Self {
        Self::new(Effect::DropAfterCommit)
    }

    /// Ends the connection in the middle of the answer's body.
    pub fn truncated() -> Self {
        Self::new(Effect::Truncate)
    }

    /// Sends the body one byte at a time, this far apart.
    pub fn trickle(interval: Duration) -> Self {
        Self::new(Effect::Trickle(interval))
    }

    /// A header of an answer given instead of handling.
    ///
    /// # Panics
    /// For an invalid header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Effect::Answer(_, headers, _) = &mut self.effect {
            headers.push((name.parse().expect("a header name"), value.parse().expect("a header value")));
        }
        self
    }

    /// The body of an answer given instead of handling.
    pub fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Effect::Answer(_, _, body) = &mut self.effect {
            *body = text.into();
        }
        self
    }

    /// Only requests with that method.
    pub fn on(self, method: Method) -> Self {
        self.when(move |request| request.method == method)
    }

    /// Only requests whose path starts so.
    pub fn path(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.when(move |request| request.path.starts_with(&prefix))
    }

    /// Only requests that satisfy this; status and commits are not known yet.
    pub fn when(mut self, condition: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    /// Only so many matching requests.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Only one in so many matching requests, the first included.
    pub fn every(self, every: usize) -> Self {
        Self { every, ..self }
    }

    /// Only after so many matching requests went through.
    pub fn after(self, skipped: usize) -> Self {
        Self { skipped, ..self }
    }
}

#[derive(Debug)]
pub(super) struct Rule {
    fault: InjectedFault,
    matched: AtomicUsize,
    removed: AtomicBool,
    reached: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl Rule {
    fn claims(&self, request: &Request) -> bool {
        if self.removed.load(Ordering::SeqCst) || !self.fault.conditions.iter().all(|holds| holds(request)) {
            return false;
        }
        let earlier = self.matched.fetch_add(1, Ordering::SeqCst);
        let Some(counted) = earlier.checked_sub(self.fault.skipped) else { return false };
        counted.is_multiple_of(self.fault.every) && counted / self.fault.every < self.fault.times
    }

    /// What the request lacks on its way; the ledger keeps what was sent.
    pub(super) fn strip(&self, headers: &mut HeaderMap) -> bool {
        let Effect::Forget(name) = &self.fault.effect else { return false };
        self.reached.send_modify(|reached| *reached += 1);
        headers.remove(*name).is_some()
    }

    async fn wait(&self) {
        // Fails only once the sender is gone, which this rule owns.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }

    /// What happens before handling; an answer replaces it.
    pub(super) async fn before(&self, request: &Request) -> Option<Response> {
        let answer = match &self.fault.effect {
            Effect::Respond(respond) => {
                let (status, body) = respond(request);
                Some(canned(status, &[], body.into()))
            }
            Effect::Answer(status, headers, body) => Some(canned(*status, headers, body.clone())),
            Effect::Oversized(bytes) => Some(oversized(*bytes)),
            Effect::DropBefore => Some(dropped()),
            Effect::Delay(_) | Effect::Pause => None,
            _ => return None,
        };
        self.reached.send_modify(|reached| *reached += 1);
        match &self.fault.effect {
            Effect::Delay(time) => tokio::time::sleep(*time).await,
            Effect::Pause => self.wait().await,
            _ => {}
        }
        answer
    }

    /// What becomes of the answer after handling.
    pub(super) async fn after(&self, response: Response) -> Response {
        let reached = || self.reached.send_modify(|reached| *reached += 1);
        match &self.fault.effect {
            Effect::HoldAfterCommit => {
                reached();
                self.wait().await;
                response
            }
            Effect::DropAfterCommit => {
                reached();
                dropped()
            }
            Effect::Truncate => {
                reached();
                truncated(response).await
            }
            Effect::Trickle(interval) => {
                reached();
                trickled(response, *interval).await
            }
            _ => response,
        }
    }
}

fn canned(status: StatusCode, headers: &[(HeaderName, HeaderValue)], body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().extend(headers.iter().cloned());
    response
}

fn oversized(bytes: usize) -> Response {
    const CHUNK: usize = 65_536;
    let sizes = (0..bytes.div_ceil(CHUNK)).map(move |index| CHUNK.min(bytes - index * CHUNK));
    let chunks = sizes.map(|size| Ok::<_, Infallible>(Bytes::from(vec![b'a'; size])));
    let quote = || stream::iter([Ok(Bytes::from_static(b"\""))]);
    let mut response = Response::new(Body::from_stream(quote().chain(stream::iter(chunks)).chain(quote())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn taken(response: Response) -> (http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    (parts, to_bytes(body, usize::MAX).await.unwrap_or_default())
}

async fn truncated(response: Response) -> Response {
    let (mut parts, body) = taken(response).await;
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    // A pause, so that the half is on its way before the connection breaks.
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::ConnectionReset, Dropped))
    });
    Response::from_parts(parts, Body::from_stream(stream::iter([Ok(half)]).chain(broken)))
}

async fn trickled(response: Response, interval: Duration) -> Response {
    let (parts, body) = taken(response).await;
    let bytes = stream::iter(body).then(move |byte| async move {
        tokio::time::sleep(interval).await;
        Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte]))
    });
    Response::from_parts(parts, Body::from_stream(bytes))
}

/// A fault in force. Dropping the handle leaves it there.
#[derive(Debug, Clone)]
pub struct Injected(Arc<Rule>);

impl Injected {
    /// Takes the fault away and lets held requests go on.
    pub fn remove(&self) {
        self.0.removed.store(true, Ordering::SeqCst);
        self.release();
    }

    /// How many requests it took effect on.
    pub fn hits(&self) -> usize {
        *self.0.reached.borrow()
    }

    /// Waits until it took effect, or a request arrived at its hold, at least so many times.
    pub async fn reached(&self, times: usize) {
        // Fails only once the sender is gone, which the rule owns.
        let _ = self.0.reached.subscribe().wait_for(|reached| *reached >= times).await;
    }

    /// Lets held requests go on, and later ones through.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Arc<Rule>>>);

impl Faults {
    pub(super) fn inject(&self, fault: InjectedFault) -> Injected {
        let rule = Arc::new(Rule {
            fault,
            matched: AtomicUsize::new(0),
            removed: AtomicBool::new(false),
            reached: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        self.rules().push(rule.clone());
        Injected(rule)
    }

    /// The rules that take effect on a request, the eldest first.
    pub(super) fn matching(&self, request: &Request) -> Vec<Arc<Rule>> {
        let mut rules = self.rules();
        rules.retain(|rule| !rule.removed.load(Ordering::SeqCst));
        rules.iter().filter(|rule| rule.claims(request)).cloned().collect()
    }

    pub(super) fn clear(&self) {
        for rule in self.rules().drain(..) {
            Injected(rule).remove();
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
