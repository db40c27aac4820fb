//! The double itself: options, the way of a request through it, controls.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HOST, LOCATION};
use http::{HeaderValue, Method, Request as HttpRequest, StatusCode};
use jiff::Timestamp;
use tokio::time::sleep;

use super::access::authenticate;
use super::api::{TOKEN_PATH, token};
use super::behaviour::Behaviour;
use super::clock::{Clock, Ids, imf_fixdate};
use super::credentials::Credentials;
use super::failure::{Failure, Outcome};
use super::fault::{Dropped, Faults, Injected, InjectedFault, dropped};
use super::ledger::{Ledger, Request};
use super::route::{Reply, Seen, dispatch};
use super::server::Server;
use super::store::{Editor, Instance, Store, Writer};
use super::world::Actor;

/// Options of a double. Start from [`Double::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    behaviour: Behaviour,
    epoch: Option<Timestamp>,
    seed: Option<u64>,
    domains: Vec<String>,
    scheme: &'static str,
    port: u16,
}

impl Builder {
    /// Server line and knobs; the v4 line unless said.
    pub fn behaviour(self, behaviour: impl Into<Behaviour>) -> Self {
        Self { behaviour: behaviour.into(), ..self }
    }

    /// What time it is at the start; now unless said.
    pub fn epoch(self, epoch: Timestamp) -> Self {
        Self { epoch: Some(epoch), ..self }
    }

    /// Makes ids and tokens the same in every run.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// A further host under which the instance is found, besides `localhost` and the loopback addresses.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domains.push(domain.to_owned());
        self
    }

    /// The issuer's scheme becomes https, as behind a proxy that ends TLS.
    pub fn external_secure(self) -> Self {
        Self { scheme: "https", ..self }
    }

    /// The port to listen on; a free one unless said.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// A double for in-process use only, without a socket.
    pub fn build(self) -> Double {
        let (clock, mut ids) = (Clock::new(self.epoch), Ids::new(self.seed));
        let instance = Instance::new(&mut ids, clock.now());
        let editor = Editor { id: ids.id(), name: "setup".to_owned() };
        let mut store = Store {
            behaviour: self.behaviour,
            clock,
            person: Editor { id: ids.id(), name: "person".to_owned() },
            ids,
            credentials: Credentials::default(),
            instance,
            former: Vec::new(),
            frozen: None,
            writer: Writer { editor, first: 0, meanwhile: 0..0 },
            domains: self.domains,
            scheme: self.scheme,
        };
        let user = store.open_instance(None).expect("an empty instance can be set up");
        store.settle();
        let token = store.issue(&user, None);
        let (faults, ledger, server) = (Faults::default(), Ledger::default(), Server::default());
        let admin = Actor { user, token };
        Double {
            inner: Arc::new(Inner {
                store: Mutex::new(store),
                faults,
                ledger,
                server,
                admin,
                port: self.port,
            }),
        }
    }

    /// A double that listens on the loopback address.
    ///
    /// # Errors
    /// Where the port cannot be bound.
    pub async fn start(self) -> io::Result<Double> {
        let double = self.build();
        double.resume().await?;
        Ok(double)
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    store: Mutex<Store>,
    faults: Faults,
    ledger: Ledger,
    pub(super) server: Server,
    pub(super) admin: Actor,
    pub(super) port: u16,
}

/// A stateful ZITADEL in memory. Cheap to clone; the listening socket closes with the last clone.
#[derive(Debug, Clone)]
pub struct Double {
    pub(super) inner: Arc<Inner>,
}

impl Double {
    /// Options, starting from the v4 line, the present time and random ids.
    pub fn builder() -> Builder {
        let domains = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        Builder { behaviour: Behaviour::v4(), epoch: None, seed: None, domains, scheme: "http", port: 0 }
    }

    /// The v4 line on a free loopback port.
    ///
    /// # Panics
    /// Where no port can be bound.
    pub async fn start() -> Self {
        Self::builder().start().await.expect("a free loopback port")
    }

    /// Every request so far.
    pub fn ledger(&self) -> Ledger {
        self.inner.ledger.clone()
    }

    /// Puts a fault in force until it is used up or removed.
    pub fn inject(&self, fault: InjectedFault) -> Injected {
        self.inner.faults.inject(fault)
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.inner.faults.clear();
    }

    /// The double as a service to be called without sockets. An answer with [`Dropped`] among its extensions
    /// stands for a connection that ended; [`Self::call`] makes an error of it.
    pub fn router(&self) -> Router {
        let answer = |State(double): State<Self>, request: HttpRequest<Body>| async move {
            double.answer(request).await
        };
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// One call without sockets.
    ///
    /// # Errors
    /// Where a fault, or [`Self::stop`], ends the connection before the answer is complete.
    pub async fn call(&self, request: HttpRequest<Bytes>) -> Result<http::Response<Bytes>, Dropped> {
        let response = self.answer(request.map(Body::from)).await;
        if response.extensions().get::<Dropped>().is_some() {
            return Err(Dropped);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(|_| Dropped)?;
        Ok(http::Response::from_parts(parts, body))
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn answer(&self, request: HttpRequest<Body>) -> Response {
        let Some(mut seen) = read(request).await.filter(|_| !self.inner.server.is_stopped()) else {
            return dropped();
        };
        let request = self.record(&seen);
        let rules = self.inner.faults.matching(&request);
        for rule in &rules {
            if rule.strip(&mut seen.headers) {
                self.inner.ledger.amend(request.index, |request| request.strayed = true);
            }
        }
        let mut answer = None;
        for rule in &rules {
            answer = rule.before(&request).await;
            if answer.is_some() {
                break;
            }
        }
        let mut response = match answer {
            Some(answer) => answer,
            None => self.handle(&seen, request.index).await,
        };
        for rule in &rules {
            response = rule.after(response).await;
        }
        let status = response.extensions().get::<Dropped>().is_none().then_some(response.status().as_u16());
        self.inner.ledger.amend(request.index, |request| request.status = status);
        response
    }

    fn record(&self, seen: &Seen) -> Request {
        let store = self.store();
        let user = authenticate(&store, &seen.headers).ok();
        let actor = user.and_then(|user| Some(store.current().users.get(&user)?.name.clone()));
        self.inner.ledger.record(Request::arriving(seen, store.clock.now(), actor))
    }

    async fn handle(&self, seen: &Seen, index: usize) -> Response {
        let began = self.store().events_written();
        if seen.may_write() {
            let duration = self.store().behaviour.write_duration;
            match duration.is_zero() {
                true => tokio::task::yield_now().await,
                false => sleep(duration).await,
            }
        }
        let mut store = self.store();
        let first = store.events_written();
        (store.writer.first, store.writer.meanwhile) = (first, began.min(first)..first);
        let mut response = respond(&mut store, seen);
        let written: Vec<String> = store.events_since(first);
        if !written.is_empty() {
            store.settle();
            self.inner.ledger.amend(index, |request| {
                (request.committed, request.touched) = (written.len(), written);
            });
        }
        let sent = store.clock.now() + store.behaviour.date_skew;
        let date = HeaderValue::from_str(&imf_fixdate(sent)).expect("a date is a header value");
        response.headers_mut().insert(DATE, date);
        response
    }
}

async fn read(request: HttpRequest<Body>) -> Option<Seen> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.ok()?;
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = header("x-zitadel-instance-host").or(header(HOST.as_str())).or(authority).unwrap_or_default();
    Some(Seen {
        host: host.to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
    })
}

fn respond(store: &mut Store, seen: &Seen) -> Response {
    match (&seen.method, seen.path.as_str()) {
        (&Method::GET, "/debug/ready") => json(200, &"ok".into()),
        (&Method::GET, "/debug/healthz") => text(200, "ok"),
        (&Method::POST, TOKEN_PATH) => match token::exchange(store, seen) {
            Some((status, body)) => json(status, &body),
            None => text(404, "unable to set instance using origin\n"),
        },
        _ => match cleaned(&seen.decoded_path()) {
            Some(clean) => moved(&clean),
            None => reply(dispatch(store, seen), seen),
        },
    }
}

fn reply(outcome: Outcome<Reply>, seen: &Seen) -> Response {
    let failed = |failure: Failure| {
        json(failure.status(), &failure.body(seen.header("accept-language").unwrap_or("en")))
    };
    outcome.map_or_else(failed, |reply| json(reply.status, &reply.body))
}

/// The path without empty, `.` and `..` segments, where it has any.
fn cleaned(path: &str) -> Option<String> {
    let dirty = |segment: &str| matches!(segment, "" | "." | "..");
    if !path.split('/').skip(1).any(dirty) {
        return None;
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    Some(format!("/{}", kept.join("/")))
}

fn moved(path: &str) -> Response {
    let encoded = percent_encoding::utf8_percent_encode(path, percent_encoding::CONTROLS).to_string();
    let mut response = text(301, "");
    if let Ok(location) = HeaderValue::from_str(&encoded) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn json(status: u16, body: &serde_json::Value) -> Response {
    with_type(status, "application/json", body.to_string())
}

fn text(status: u16, body: &str) -> Response {
    with_type(status, "text/plain; charset=utf-8", body.to_owned())
}

fn with_type(status: u16, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
