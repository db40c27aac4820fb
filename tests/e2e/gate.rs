//! A way to the cluster that stops at one write, so that an operator can crash there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use support::control_plane::ControlPlane;
use tokio::sync::watch;
use tower::{Layer, Service};

/// On which side of a request it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it is sent.
    Before,
    /// After the server has answered.
    After,
}

/// Lets a number of writes to Kubernetes through and holds the next one for ever.
#[derive(Clone)]
pub struct Gate {
    side: Side,
    writes: Arc<AtomicUsize>,
    free: usize,
    reached: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// Closed after `free` writes.
    pub fn after(free: usize, side: Side) -> Self {
        Self { side, writes: Arc::default(), free, reached: Arc::new(watch::Sender::new(false)) }
    }

    /// Waits until a write is held.
    pub async fn reached(&self) {
        // Fails only once the sender is gone, which the gate owns.
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// Waits until half a second passed without a further write.
    pub async fn until_quiet(&self) {
        let writes = || self.writes.load(Ordering::SeqCst);
        loop {
            let before = writes();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if writes() == before {
                return;
            }
        }
    }

    /// A client whose writes come through here.
    pub async fn client(&self, control_plane: &ControlPlane) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(control_plane.kubeconfig_path()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        ClientBuilder::try_from(config).unwrap().with_layer(self).build()
    }

    fn holds(&self, method: &Method) -> bool {
        *method != Method::GET && self.writes.fetch_add(1, Ordering::SeqCst) == self.free
    }

    async fn hold(&self) {
        self.reached.send_replace(true);
        std::future::pending::<()>().await;
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// A service behind a [`Gate`].
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let gate = self.gate.clone();
        let held = gate.holds(request.method());
        // A request is sent only once this future is polled.
        let answer = self.inner.call(request);
        Box::pin(async move {
            if held && gate.side == Side::Before {
                gate.hold().await;
            }
            let answer = answer.await;
            if held {
                gate.hold().await;
            }
            answer
        })
    }
}
