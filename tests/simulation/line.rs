//! The way of one operator's requests to both servers, where each is a point at which it can be stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use support::kubernetes::{Broken, Cluster, Failure};
use support::zitadel::Double;
use tokio::sync::{Notify, watch};
use zitadel_operator::zitadel::{Transport, TransportError};

use crate::oracle::Oracle;

/// As the transport of production.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than any deadline of the operator.
const LATE: Duration = Duration::from_secs(90);
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// On which side of a request a process is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request has not left.
    Before,
    /// The server has written what it was asked to, and nobody knows yet.
    After,
}

/// What happens to a request to Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    /// The connection breaks before it arrives.
    Broken,
    /// It is carried out, and the answer is lost.
    Lost,
    /// A write is refused with 409, as if somebody else had been faster.
    Conflict,
    /// 500.
    Internal,
    /// 503, as while the API server starts.
    Unavailable,
    /// 429 with a time.
    TooMany,
    /// It arrives so late that nobody waits any more.
    Late,
}

impl Ill {
    pub const ALL: [Self; 7] = [
        Self::Broken,
        Self::Lost,
        Self::Conflict,
        Self::Internal,
        Self::Unavailable,
        Self::TooMany,
        Self::Late,
    ];

    fn refusal(self) -> Option<Failure> {
        match self {
            Self::Conflict => Some(Failure::new(409, "Conflict", "the object has been modified")),
            Self::Internal => Some(Failure::new(500, "InternalError", "something broke")),
            Self::Unavailable => Some(Failure::new(503, "ServiceUnavailable", "apiserver not ready")),
            Self::TooMany => Some(Failure::too_many_requests(1)),
            Self::Broken | Self::Lost | Self::Late => None,
        }
    }
}

/// An illness, how many requests are well before, and how many are not then.
type Spell = (Ill, usize, usize);

#[derive(Debug, Default)]
struct Traffic {
    /// Requests since the trap was set, those under way too.
    sent: usize,
    written: usize,
    trap: Option<(Side, usize)>,
    spells: Vec<Spell>,
}

/// One operator's connections. Requests that were sent reach the servers even where their sender ends.
#[derive(Clone)]
pub struct ServerLine {
    traffic: Arc<Mutex<Traffic>>,
    trapped: Arc<watch::Sender<bool>>,
    /// Wakes in order; a `tokio::sync::watch` does not.
    held: Arc<(AtomicBool, Notify)>,
    oracle: Arc<Oracle>,
}

impl ServerLine {
    /// A way without traps, watched by the oracle.
    pub fn new(oracle: Arc<Oracle>) -> Self {
        let trapped = Arc::new(watch::Sender::new(false));
        Self { traffic: Arc::default(), trapped, held: Arc::default(), oracle }
    }

    /// From now on the request of this number, counted from 0, never passes this side.
    pub fn trap(&self, side: Side, number: usize) {
        let mut traffic = self.traffic();
        (traffic.sent, traffic.written, traffic.trap) = (0, 0, Some((side, number)));
    }

    /// Resolves when a request is in the trap.
    pub async fn trapped(&self) {
        // Fails only once the sender is gone, which this line owns.
        let _ = self.trapped.subscribe().wait_for(|trapped| *trapped).await;
    }

    /// Holds every request and every answer, as a stopped process does, or lets them go.
    pub fn hold(&self, held: bool) {
        self.held.0.store(held, Ordering::SeqCst);
        self.held.1.notify_waiters();
    }

    /// After so many good ones, so many requests to Kubernetes suffer this.
    pub fn ail(&self, ill: Ill, skipped: usize, times: usize) {
        self.traffic().spells.push((ill, skipped, times));
    }

    /// Takes the trap away.
    pub fn disarm(&self) {
        self.traffic().trap = None;
    }

    /// Requests are well again, and nothing is trapped.
    pub fn heal(&self) {
        self.disarm();
        self.traffic().spells.clear();
    }

    /// What this request suffers; every spell counts it.
    fn ill(&self, is_write: bool) -> Option<Ill> {
        let mut traffic = self.traffic();
        let mut suffered = None;
        for (ill, skipped, times) in &mut traffic.spells {
            match (&skipped, &times) {
                _ if *ill == Ill::Conflict && !is_write => {}
                (1.., _) => *skipped -= 1,
                (0, 1..) => (suffered, *times) = (Some(*ill), *times - 1),
                (0, 0) => {}
            }
        }
        suffered
    }

    async fn pass(&self, side: Side) {
        if self.is_trap(side) {
            self.trapped.send_replace(true);
            futures::future::pending::<()>().await;
        }
        let (held, released) = &*self.held;
        while held.load(Ordering::SeqCst) {
            released.notified().await;
        }
    }

    fn is_trap(&self, side: Side) -> bool {
        let mut traffic = self.traffic();
        let count = match side {
            Side::Before => &mut traffic.sent,
            Side::After => &mut traffic.written,
        };
        let number = *count;
        *count += 1;
        traffic.trap == Some((side, number))
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server goes on with a request whose sender is gone.
    async fn exchange<T: Send + 'static>(
        &self,
        is_write: bool,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.pass(Side::Before).await;
        let oracle = self.oracle.clone();
        let served = tokio::spawn(async move {
            let answer = request.await;
            oracle.inspect();
            answer
        });
        let answer = served.await.ok();
        if is_write {
            self.pass(Side::After).await;
        }
        answer
    }

    /// A client of the cluster whose requests go this way.
    pub fn client(&self, cluster: &Cluster) -> kube::Client {
        kube::Client::new(ToKubernetes { cluster: cluster.clone(), line: self.clone() }, "default")
    }

    /// The way to ZITADEL.
    pub fn transport(&self, zitadel: &Double) -> Arc<dyn Transport> {
        Arc::new(ToZitadel { zitadel: zitadel.clone(), line: self.clone() })
    }
}

#[derive(Clone)]
struct ToKubernetes {
    cluster: Cluster,
    line: ServerLine,
}

impl tower::Service<Request<kube::client::Body>> for ToKubernetes {
    type Response = Response<Body>;
    type Error = Broken;
    type Future = BoxFuture<'static, Result<Response<Body>, Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let is_write = request.method() != Method::GET;
        let (line, served) = (self.line.clone(), self.cluster.call(request));
        let ill = line.ill(is_write);
        if let Some(refusal) = ill.and_then(Ill::refusal) {
            return async move {
                line.exchange(is_write, async move { Ok(refused(&refusal)) }).await.unwrap_or(Err(Broken))
            }
            .boxed();
        }
        let served = async move {
            if ill == Some(Ill::Late) {
                tokio::time::sleep(LATE).await;
            }
            served.await
        };
        async move {
            if ill == Some(Ill::Broken) {
                return Err(Broken);
            }
            let answer = line.exchange(is_write, served).await;
            answer.filter(|_| ill != Some(Ill::Lost)).unwrap_or(Err(Broken))
        }
        .boxed()
    }
}

fn refused(failure: &Failure) -> Response<Body> {
    let mut response = Response::new(Body::from(failure.status().to_string()));
    *response.status_mut() = StatusCode::from_u16(failure.code()).expect("an HTTP status");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

struct ToZitadel {
    zitadel: Double,
    line: ServerLine,
}

impl Transport for ToZitadel {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let (zitadel, canaries) = (self.zitadel.clone(), self.line.oracle.canaries().clone());
        canaries.sent(&request);
        let path = request.uri().path().to_owned();
        let is_search = request.uri().path().ends_with("_search");
        let is_write = request.method() != Method::GET && !is_search;
        let served = self.line.exchange(is_write, async move { zitadel.call(request).await });
        async move {
            let broken = || TransportError::Unreachable("connection closed".to_owned());
            let answer = tokio::time::timeout(TIMEOUT, served).await;
            let answer = answer.map_err(|_| TransportError::Timeout(TIMEOUT))?;
            let response = answer.ok_or_else(broken)?.map_err(|_| broken())?;
            canaries.answered(&path, response.body());
            match response.body().len() > BODY_LIMIT {
                true => {
                    let status = response.status().as_u16();
                    Err(TransportError::TooLarge { status, limit: BODY_LIMIT })
                }
                false => Ok(response),
            }
        }
        .boxed()
    }
}
