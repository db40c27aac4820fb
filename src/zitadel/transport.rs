//! The only seam to the network: an `http::Request` in, an `http::Response` out, bodies in memory.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::zitadel::memory::Reservation;
use crate::zitadel::proxy::Proxy;
use crate::zitadel::resolve::{DENIED, PublicResolver, names_local_address};

/// The largest answer body that is read, in bytes.
pub(crate) const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A smaller bound of one answer, among the extensions of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit(pub(crate) usize);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_CONNECTIONS: usize = 8;

/// Carries one request to ZITADEL and its answer back.
///
/// Guarantees asked of an implementation: it answers in bounded time, follows no redirect and returns any
/// HTTP status as `Ok`. It grows the [`Reservation`] among the request's extensions by what it reads, before it holds it.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and returns the whole answer.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// Why no complete answer arrived. Messages never hold headers, bodies or the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, or it broke before the whole answer arrived; the last cause of the failure.
    #[error("{0}")]
    Unreachable(String),
    /// No complete answer within this time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer's body is larger than `limit` bytes.
    #[error("the answer (HTTP {status}) is larger than {limit} bytes")]
    TooLarge {
        /// The HTTP status of the answer.
        status: u16,
        /// The bound in bytes.
        limit: usize,
    },
}

/// How [`HttpTransport`] connects.
#[derive(Clone, Debug)]
pub struct HttpTransportConfig {
    /// Bound of one request from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Certificates (PEM) trusted besides the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Refuse local addresses, checked after name resolution. Excludes `proxy`, which resolves names itself.
    pub deny_local: bool,
    /// What https goes through; not used with `deny_local`.
    pub proxy: Option<Proxy>,
}

impl Default for HttpTransportConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), ca_bundle: None, deny_local: false, proxy: None }
    }
}

/// HTTP/1.1 and HTTP/2 over rustls: no redirects, no proxy but that of the configuration, bodies of at most 4 MiB.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: reqwest::Client,
    timeout: Duration,
    deny_local: bool,
}

impl HttpTransport {
    /// Builds the connection pool; connects to nothing.
    ///
    /// # Errors
    /// The CA bundle holds no certificate or an unreadable one.
    pub fn new(config: &HttpTransportConfig) -> Result<Self, String> {
        let extra = certificates(config.ca_bundle.as_deref())?;
        let client = builder(config)
            .tls_certs_merge(extra.clone())
            .build()
            // An image without system roots still serves plain http and a private CA.
            .or_else(|_| builder(config).tls_certs_only(extra).build())
            .map_err(|error| last_cause(&error))?;
        Ok(Self { client, timeout: config.timeout, deny_local: config.deny_local })
    }

    async fn exchange(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let memory = request.extensions().get::<Arc<Reservation>>().cloned();
        let limit = request.extensions().get().map_or(BODY_LIMIT, |BodyLimit(limit)| *limit);
        let request = reqwest::Request::try_from(request).map_err(|error| self.failure(&error))?;
        // Addresses are never resolved; only this URL has them in one way of writing.
        if self.deny_local && names_local_address(request.url()) {
            return Err(TransportError::Unreachable(DENIED.to_owned()));
        }
        let response = self.client.execute(request).await.map_err(|error| self.failure(&error))?;
        let mut head = http::Response::new(());
        *head.status_mut() = response.status();
        head.headers_mut().clone_from(response.headers());
        let body = self.bounded_body(response, limit, memory.as_deref()).await?;
        Ok(head.map(|()| body))
    }

    async fn bounded_body(
        &self,
        mut response: reqwest::Response,
        limit: usize,
        memory: Option<&Reservation>,
    ) -> Result<Bytes, TransportError> {
        let too_large = TransportError::TooLarge { status: response.status().as_u16(), limit };
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large);
            }
            if let Some(memory) = memory {
                memory.grow(chunk.len()).await;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn failure(&self, error: &reqwest::Error) -> TransportError {
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => TransportError::Timeout(CONNECT_TIMEOUT.min(self.timeout)),
            (true, false) => TransportError::Timeout(self.timeout),
            (false, _) => TransportError::Unreachable(last_cause(error)),
        }
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        self.exchange(request).boxed()
    }
}

fn builder(config: &HttpTransportConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("zitadel-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(config.timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(CONNECT_TIMEOUT);
    match &config.proxy {
        _ if config.deny_local => builder.dns_resolver(Arc::new(PublicResolver)),
        Some(proxy) => builder.proxy(proxy.for_client()),
        None => builder,
    }
}

fn certificates(bundle: Option<&[u8]>) -> Result<Vec<reqwest::Certificate>, String> {
    let Some(bundle) = bundle else {
        return Ok(Vec::new());
    };
    match reqwest::Certificate::from_pem_bundle(bundle) {
        Ok(certificates) if certificates.is_empty() => Err("the CA bundle holds no certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err("the CA bundle is not PEM".to_owned()),
    }
}

fn last_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.to_string() {
        // What TLS makes of the first bytes of an answer in plain http.
        text if text.contains("InvalidContentType") => "this port speaks plain http, not https".to_owned(),
        text => text,
    }
}

/// Builds the transport of a session: reqwest in production, a double in simulations.
pub type TransportFactory = dyn Fn(&HttpTransportConfig) -> Result<Arc<dyn Transport>, String> + Send + Sync;

/// The transport of production.
pub fn http_transport(config: &HttpTransportConfig) -> Result<Arc<dyn Transport>, String> {
    Ok(Arc::new(HttpTransport::new(config)?))
}
