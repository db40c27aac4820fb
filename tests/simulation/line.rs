//! The way of one operator's requests to both servers, where each is a point at which it can be stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use support::kubernetes::{Broken, Cluster};
use support::zitadel::Double;
use tokio::sync::watch;
use zitadel_operator::zitadel::{Transport, TransportError};

use crate::oracle::Oracle;

/// As the transport of production.
const TIMEOUT: Duration = Duration::from_secs(15);
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// On which side of a request a process is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request has not left.
    Before,
    /// The server has written what it was asked to, and nobody knows yet.
    After,
}

#[derive(Debug, Default)]
struct Traffic {
    /// Requests since the trap was set, those under way too.
    sent: usize,
    written: usize,
    trap: Option<(Side, usize)>,
}

/// One operator's connections. Requests that were sent reach the servers even where their sender ends.
#[derive(Clone)]
pub struct Line {
    traffic: Arc<Mutex<Traffic>>,
    trapped: Arc<watch::Sender<bool>>,
    held: Arc<watch::Sender<bool>>,
    oracle: Arc<Oracle>,
}

impl Line {
    /// A way without traps, watched by the oracle.
    pub fn new(oracle: Arc<Oracle>) -> Self {
        let signal = || Arc::new(watch::Sender::new(false));
        Self { traffic: Arc::default(), trapped: signal(), held: signal(), oracle }
    }

    /// From now on the request of this number, counted from 0, never passes this side.
    pub fn trap(&self, side: Side, number: usize) {
        *self.traffic() = Traffic { trap: Some((side, number)), ..Traffic::default() };
    }

    /// Resolves when a request is in the trap.
    pub async fn trapped(&self) {
        // Fails only once the sender is gone, which this line owns.
        let _ = self.trapped.subscribe().wait_for(|trapped| *trapped).await;
    }

    /// Holds every request and every answer, as a stopped process does, or lets them go.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    async fn pass(&self, side: Side) {
        if self.is_trap(side) {
            self.trapped.send_replace(true);
            futures::future::pending::<()>().await;
        }
        let _ = self.held.subscribe().wait_for(|held| !held).await;
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
            oracle.look();
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
    line: Line,
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
        async move { line.exchange(is_write, served).await.unwrap_or(Err(Broken)) }.boxed()
    }
}

struct ToZitadel {
    zitadel: Double,
    line: Line,
}

impl Transport for ToZitadel {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let zitadel = self.zitadel.clone();
        let is_search = request.uri().path().ends_with("_search");
        let is_write = request.method() != Method::GET && !is_search;
        let served = self.line.exchange(is_write, async move { zitadel.call(request).await });
        async move {
            let broken = || TransportError::Unreachable("connection closed".to_owned());
            let answer = tokio::time::timeout(TIMEOUT, served).await;
            let answer = answer.map_err(|_| TransportError::Timeout(TIMEOUT))?;
            let response = answer.ok_or_else(broken)?.map_err(|_| broken())?;
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
