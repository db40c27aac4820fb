//! The admin server over plain HTTP: `GET /livez`, `GET /readyz` and `GET /metrics` for everybody, `/log` for whoever is
//! on the same machine.

mod log;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::runtime::telemetry::Filter;

/// How long requests under way may take once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(1);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the admin server does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} for probes and metrics: {source}; free the port or choose another with --admin-address"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Accepting connections failed for good.
    #[error("the admin server stopped: {0}")]
    Serve(#[source] io::Error),
}

/// The admin server, bound and not yet answering.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Listens on `address`; port 0 takes a free one. `[::]` is every address of IPv4 too, and of IPv4 only where the
    /// machine has no IPv6.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = listen(address, TcpListener::bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address listened on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is cancelled, then at most one second longer for requests under way.
    ///
    /// `/livez` is 200 as long as the process can answer at all. `/readyz` is 200 with what is left out, or 503 with the
    /// names of what is not ready, one a line. `/metrics` is the OpenMetrics text of `registry`. `/log` is `filter`: `GET` tells
    /// it, `PUT` changes it; both are 403 for a peer that is not on a loopback address, as `kubectl port-forward` is.
    pub async fn serve(
        self,
        readiness: Readiness,
        registry: Arc<Registry>,
        filter: Filter,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let drained = {
            let shutdown = shutdown.clone();
            async move {
                shutdown.cancelled().await;
                tokio::time::sleep(DRAIN).await;
            }
        };
        let service = routes(readiness, registry, filter);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(self.listener, service).with_graceful_shutdown(shutdown.cancelled_owned());
        tokio::select! {
            served = server => served.map_err(Error::Serve),
            () = drained => Ok(()),
        }
    }
}

/// The kubelet probes the address that the Pod has, be it of IPv6 only or of IPv4 only.
async fn listen<T>(address: SocketAddr, bind: impl AsyncFn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address).await {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            bind(every).await.map_err(|_| error)
        }
        result => result,
    }
}

fn routes(readiness: Readiness, registry: Arc<Registry>, filter: Filter) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
        .route("/log", log::route(filter))
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let waiting = readiness.waiting_for();
    if waiting.is_empty() {
        let without = readiness.left_out().into_iter().map(|what| format!("without {what}\n"));
        return format!("ok\n{}", without.collect::<String>()).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, waiting.join("\n") + "\n").into_response()
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// What `/readyz` answers: ready when every registered component is.
///
/// Clones share one state. With nothing registered it is ready, so register before serving.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    components: Arc<Mutex<BTreeMap<String, Part>>>,
}

#[derive(Clone, Default)]
struct Part {
    ready: bool,
    lacks: Option<Arc<Lacks>>,
}

/// In how many namespaces something is left out now.
type Lacks = dyn Fn() -> usize + Send + Sync;

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("ready", &self.ready).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Registers a component, not ready yet. The same name twice is one component, again not ready.
    pub fn register(&self, name: impl Into<String>) -> Component {
        let component = Component { readiness: self.clone(), name: name.into() };
        component.unready();
        component
    }

    /// The names of the components that are not ready, sorted.
    pub fn waiting_for(&self) -> Vec<String> {
        self.lock().iter().filter(|(_, part)| !part.ready).map(|(name, _)| name.clone()).collect()
    }

    /// What each component does without, sorted.
    pub fn left_out(&self) -> Vec<String> {
        let components = self.lock().clone();
        let lacks = |(name, part): (String, Part)| {
            let count = part.lacks.map_or(0, |lacks| lacks());
            (count > 0)
                .then(|| format!("{name} in {count} of the namespaces to follow: it cannot be listed there"))
        };
        components.into_iter().filter_map(lacks).collect()
    }

    /// How many components are registered.
    pub fn known(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.components.lock()
    }
}

/// One part of the process that readiness waits for. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Component {
    readiness: Readiness,
    name: String,
}

impl Component {
    /// From now on ready.
    pub fn ready(&self) {
        self.set(true);
    }

    /// From now on not ready.
    pub fn unready(&self) {
        self.set(false);
    }

    /// Says in how many namespaces it is left out, each time it is asked.
    pub fn lacks(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        self.readiness.lock().entry(self.name.clone()).or_default().lacks = Some(Arc::new(count));
    }

    fn set(&self, ready: bool) {
        self.readiness.lock().entry(self.name.clone()).or_default().ready = ready;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::telemetry::{LogFormat, subscriber};
    use prometheus_client::metrics::counter::Counter;
    use std::net::IpAddr;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    const EVERY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

    struct Running {
        address: SocketAddr,
        readiness: Readiness,
        restarts: Counter,
        shutdown: CancellationToken,
        server: JoinHandle<Result<(), Error>>,
    }

    async fn start() -> Running {
        start_on(LOOPBACK).await
    }

    async fn start_on(address: SocketAddr) -> Running {
        let (readiness, shutdown, restarts) =
            (Readiness::default(), CancellationToken::new(), Counter::default());
        let mut registry = Registry::default();
        registry.register("restarts", "How often", restarts.clone());
        let admin = Admin::bind(address).await.unwrap();
        let address = admin.local_addr();
        let (_, filter) = subscriber(LogFormat::Text, "info", false, io::sink).unwrap();
        let server =
            tokio::spawn(admin.serve(readiness.clone(), Arc::new(registry), filter, shutdown.clone()));
        Running { address, readiness, restarts, shutdown, server }
    }

    async fn get(running: &Running, path: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{}{path}", running.address)).send().await.unwrap()
    }

    #[tokio::test]
    async fn livez_does_not_wait_for_readiness() {
        let running = start().await;
        running.readiness.register("lease");
        let answer = get(&running, "/livez").await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "ok\n"));
    }

    #[tokio::test]
    async fn readyz_names_what_is_missing_until_all_is_ready() {
        let running = start().await;
        let watches = running.readiness.register("watch Project");
        let claims = running.readiness.register("claims");
        let answer = get(&running, "/readyz").await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.text().await.unwrap(), "claims\nwatch Project\n");

        claims.ready();
        assert_eq!(get(&running, "/readyz").await.text().await.unwrap(), "watch Project\n");
        watches.ready();
        assert_eq!(get(&running, "/readyz").await.status(), 200);
        claims.unready();
        assert_eq!(get(&running, "/readyz").await.status(), 503);
    }

    #[tokio::test]
    async fn readyz_says_what_is_left_out() {
        let running = start().await;
        let projects = running.readiness.register("Project");
        projects.ready();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(2));
        let counted = count.clone();
        projects.lacks(move || counted.load(std::sync::atomic::Ordering::Relaxed));
        let answer = get(&running, "/readyz").await;
        assert_eq!(answer.status(), 200);
        let body = answer.text().await.unwrap();
        assert!(body.starts_with("ok\nwithout Project in 2 of the namespaces"), "{body}");
        count.store(0, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(get(&running, "/readyz").await.text().await.unwrap(), "ok\n");
    }

    #[tokio::test]
    async fn metrics_are_the_registry_as_it_is_now() {
        let running = start().await;
        running.restarts.inc_by(7);
        let answer = get(&running, "/metrics").await;
        assert_eq!(answer.headers()["content-type"], OPENMETRICS);
        let text = answer.text().await.unwrap();
        assert!(text.contains("restarts_total 7\n") && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_the_flag_to_change() {
        let taken = Admin::bind(LOOPBACK).await.unwrap();
        let error = Admin::bind(taken.local_addr()).await.unwrap_err().to_string();
        assert!(
            error.contains(&taken.local_addr().to_string()) && error.contains("--admin-address"),
            "{error}"
        );
    }

    /// What is listened on instead of an address on a machine that binds no IPv6.
    async fn without_ipv6(address: &str, refusal: io::ErrorKind) -> io::Result<String> {
        let bind = async |address: SocketAddr| match address {
            SocketAddr::V4(_) => Ok(address.to_string()),
            SocketAddr::V6(_) => Err(io::Error::from(refusal)),
        };
        listen(address.parse().unwrap(), bind).await
    }

    #[tokio::test]
    async fn every_address_is_that_of_ipv4_where_there_is_no_ipv6() {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, Unsupported};
        for refusal in [AddrNotAvailable, Unsupported] {
            assert_eq!(without_ipv6("[::]:8080", refusal).await.unwrap(), "0.0.0.0:8080");
        }
        for (asked, refusal) in [("[::]:8080", AddrInUse), ("[::1]:8080", AddrNotAvailable)] {
            assert_eq!(without_ipv6(asked, refusal).await.unwrap_err().kind(), refusal, "{asked}");
        }
    }

    #[tokio::test]
    async fn on_every_address_ipv4_is_answered_and_ipv4_loopback_is_loopback() {
        let running = start_on(EVERY).await;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.address.port()));
        let running = Running { address, ..running };
        assert_eq!(get(&running, "/livez").await.status(), 200);
        assert_eq!(get(&running, "/log").await.status(), 200);
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_up_the_shutdown() {
        let running = start().await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(get(&running, "/livez").await.status(), 200);
        running.shutdown.cancel();
        let stopped = tokio::time::timeout(5 * DRAIN, running.server).await;
        assert!(stopped.expect("stops in time").unwrap().is_ok());
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "closed by the server");
    }
}
