//! An API server in memory that knows one Lease, and what connects processes to it.

use super::*;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::stream;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::broadcast;

const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";

/// What one process's connection to the API server does.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Link {
    Up,
    Forbidden,
    /// Nothing arrives, nothing comes back.
    Dead,
    /// Requests are carried out, answers are lost.
    Deaf,
    /// Each answer takes half a second.
    Slow,
}

#[derive(Clone)]
pub(super) struct ApiServer {
    pub(super) stored: Arc<Mutex<Option<Lease>>>,
    pub(super) writes: Arc<AtomicUsize>,
    /// Nobody hears of it where watches are refused.
    pub(super) changes: Option<broadcast::Sender<Lease>>,
}

impl Default for ApiServer {
    fn default() -> Self {
        let changes = Some(broadcast::Sender::new(16));
        Self { stored: Arc::default(), writes: Arc::default(), changes }
    }
}

#[derive(Clone)]
pub(super) struct Process {
    server: ApiServer,
    link: Arc<Mutex<Link>>,
    name: &'static str,
}

impl ApiServer {
    pub(super) fn process(&self, name: &'static str) -> Process {
        Process { server: self.clone(), link: Arc::new(Mutex::new(Link::Up)), name }
    }

    pub(super) fn spec(&self) -> LeaseSpec {
        self.stored.lock().clone().and_then(|lease| lease.spec).unwrap_or_default()
    }

    pub(super) fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    /// A write by somebody who is not one of the processes.
    pub(super) fn put(&self, spec: Value) {
        let spec = serde_json::from_value(spec).unwrap();
        let lease = Lease { metadata: ObjectMeta::default(), spec: Some(spec) };
        *self.stored.lock() = Some(self.versioned(lease));
    }

    fn versioned(&self, mut lease: Lease) -> Lease {
        let version = self.writes.fetch_add(1, Ordering::SeqCst);
        lease.metadata.resource_version = Some(version.to_string());
        lease
    }

    /// Stores `lease` if its version is still the stored one (none: if nothing is stored).
    fn store(&self, lease: Lease) -> Response {
        let mut stored = self.stored.lock();
        let current = stored.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if current != lease.metadata.resource_version {
            return refusal(409, "Conflict", "somebody else was faster");
        }
        let lease = self.versioned(lease);
        *stored = Some(lease.clone());
        // Nobody may be watching.
        self.changes.iter().for_each(|changes| drop(changes.send(lease.clone())));
        Json(lease).into_response()
    }

    fn read(&self) -> Response {
        match self.stored.lock().clone() {
            Some(lease) => Json(lease).into_response(),
            None => refusal(404, "NotFound", "not found"),
        }
    }
}

/// What changes from now on.
fn events(process: &Process) -> Response {
    let Some(changes) = &process.server.changes else {
        return refusal(403, "Forbidden", "leases is forbidden");
    };
    let heard = stream::unfold((changes.subscribe(), process.clone()), |(mut changes, process)| async move {
        let lease = changes.recv().await.ok()?;
        let event = json!({ "type": "MODIFIED", "object": process.answer(|| lease).await });
        Some((Ok::<_, Infallible>(format!("{event}\n")), (changes, process)))
    });
    Body::from_stream(heard).into_response()
}

fn refusal(code: u16, reason: &str, message: &str) -> Response {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

impl Process {
    pub(super) fn set(&self, link: Link) {
        *self.link.lock() = link;
    }

    async fn respond(&self, carry_out: impl FnOnce() -> Response) -> Response {
        let link = *self.link.lock();
        match link {
            Link::Forbidden => refusal(403, "Forbidden", "leases is forbidden"),
            _ => self.answer(carry_out).await,
        }
    }

    async fn answer<T>(&self, carry_out: impl FnOnce() -> T) -> T {
        let link = *self.link.lock();
        match link {
            Link::Up | Link::Forbidden => carry_out(),
            Link::Slow => {
                sleep(SECOND / 2).await;
                carry_out()
            }
            Link::Dead => std::future::pending().await,
            Link::Deaf => {
                carry_out();
                std::future::pending().await
            }
        }
    }

    pub(super) fn elector(&self) -> Elector {
        let one = get(|State(process): State<Process>| async move {
            process.respond(|| process.server.read()).await
        })
        .put(write);
        let watch = async |State(process): State<Process>| process.respond(|| events(&process)).await;
        let routes = axum::Router::new()
            .route(COLLECTION, post(write).get(watch))
            .route(&format!("{COLLECTION}/leader"), one)
            .with_state(self.clone());
        Elector::new(kube::Client::new(routes, "ops"), "ops", "leader", self.name)
    }

    pub(super) async fn lead(&self) -> LeaseGuard {
        let never = CancellationToken::new();
        timeout(60 * SECOND, self.elector().acquire(&never)).await.expect("leads within a minute").unwrap()
    }
}

async fn write(State(process): State<Process>, Json(lease): Json<Lease>) -> Response {
    process.respond(|| process.server.store(lease)).await
}
