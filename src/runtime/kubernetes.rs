//! The ways to the Kubernetes API, each with connections of its own.
//!
//! # Guarantees
//! A connection that died without a word (packets are dropped, nobody resets) is given up within [`SILENCE`], used or
//! not. One that was not used for [`UNUSED`] is not used again: who tries again after an attempt of that length gets a
//! connection that was made since, however many had died. Where something on the way answers in the place of the API server, as a proxy
//! that ends TCP does, a watch goes on after [`Watching::silence`], a renewal of the Lease on its second attempt.
//!
//! # Source
//! kube 5 speaks HTTP/1.1, sets no TCP keepalive and waits for the head of an answer without end; its watcher gives a
//! stream up 5 s after the server should have ended it.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{ClientBuilder, ConfigExt};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;
use kube::{Client, Config};
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder};

use crate::runtime::ambient::between;
use crate::runtime::growth::Growth;

/// A server that takes no connection for so long is not there.
const CONNECT: Duration = Duration::from_secs(4);

/// A connection on which nothing arrives is asked after this time, and then again,
const IDLE: Duration = Duration::from_secs(12);
/// so often,
const PROBES: u32 = 3;
/// at this distance.
const BETWEEN_PROBES: Duration = Duration::from_secs(4);

/// A connection whose other end is not there is given up after so long, with something on the way or without.
pub const SILENCE: Duration = Duration::from_secs(24);

/// A connection that was not used for so long may be dead: longer than the pause between two renewals of the Lease, so
/// that these share one, and shorter than they wait for an answer.
pub const UNUSED: Duration = Duration::from_secs(3);

/// A single call that is not answered for so long is not answered any more.
const CALL: Duration = Duration::from_secs(20);

/// Objects in a page of a list: each may have 1.5 MiB, and kube holds a page three times while it reads it.
pub const PAGE: u32 = 10;

/// How long a watch lives, and how soon a dead one is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// Of what is reconciled and what that needs: a handful, so that asking anew often costs little.
    Resources,
    /// Of the Secrets and ConfigMaps of single namespaces: possibly thousands, with a resync behind them.
    Sources,
}

impl Watching {
    /// How long the server lets a watch live, in seconds.
    const fn lifetime(self) -> u32 {
        match self {
            Self::Resources => 20,
            Self::Sources => 120,
        }
    }

    /// A connection that brings nothing for so long is dead: the server ends every watch before.
    pub fn silence(self) -> Duration {
        Duration::from_secs(u64::from(self.lifetime()) + 4)
    }

    /// What a watcher of this sort asks for.
    pub fn config(self) -> watcher::Config {
        watcher::Config::default().timeout(self.lifetime()).page_size(PAGE)
    }
}

/// The clients.
#[derive(Clone)]
pub struct Clients {
    /// For reads and writes of single objects.
    pub calls: Client,
    /// For [`Watching::Resources`].
    pub resources: Client,
    /// For [`Watching::Sources`].
    pub sources: Client,
    /// For the Lease.
    pub lease: Client,
}

impl Clients {
    /// Clients for this cluster.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn new(config: &Config) -> kube::Result<Self> {
        Ok(Self {
            calls: client(config, CALL)?,
            resources: client(config, Watching::Resources.silence())?,
            sources: client(config, Watching::Sources.silence())?,
            lease: client(config, CALL)?,
        })
    }
}

/// One client for everything.
impl From<Client> for Clients {
    fn from(client: Client) -> Self {
        Self { calls: client.clone(), resources: client.clone(), sources: client.clone(), lease: client }
    }
}

/// As kube makes it, but with TCP keepalive, and without its retries: watches and the Lease have a backoff of their own,
/// and a call passes the fence each time.
fn client(config: &Config, silence: Duration) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        // What kube has to say to that.
        return Client::try_from(config.clone());
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_read_timeout(Some(silence));
    // Else a call on a connection that was idle would have only the rest of the time.
    connector.set_reset_reader_on_write(true);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(pool().build(connector));
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}

fn pool() -> legacy::Builder {
    let mut pool = legacy::Client::builder(TokioExecutor::new());
    // Without a timer nothing in it ever ages.
    pool.pool_timer(TokioTimer::new()).pool_idle_timeout(UNUSED);
    pool
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // It is inside TLS.
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(IDLE));
    tcp.set_keepalive_interval(Some(BETWEEN_PROBES));
    tcp.set_keepalive_retries(Some(PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(SILENCE));
    tcp
}

/// Between failures of a watch.
const PAUSES: Growth = Growth::from_millis(800, 20_000);

/// The pauses after failures of a watch: half to all of 0.8 s, doubled each time up to 20 s.
///
/// kube's own start over with every list that begins, so that one that is refused would be asked for every second for
/// ever; and a watch that cannot be begun would be looked at up to a minute late. These start over with time.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
    last: Option<Instant>,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last > 2 * PAUSES.cap) {
            self.failures = 0;
        }
        self.last = Some(now);
        let pause = PAUSES.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        Some(pause.mul_f64(between(0.5..1.0)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound_and_start_over_with_time_only() {
        let mut pauses = Pauses::default();
        let mut spent = Vec::new();
        for _ in 0..40 {
            let pause = pauses.next().expect("it never gives up");
            spent.push(pause);
            pauses.reset();
            tokio::time::advance(pause).await;
        }
        assert!(spent[0] <= PAUSES.base && spent.iter().all(|pause| *pause <= PAUSES.cap));
        assert!(spent[6..].iter().all(|pause| *pause >= PAUSES.cap / 2), "{spent:?}");
        tokio::time::advance(3 * PAUSES.cap).await;
        assert!(pauses.next().expect("a pause") <= PAUSES.base);
    }

    #[test]
    fn a_dead_connection_is_given_up_within_its_silence() {
        assert_eq!(IDLE + BETWEEN_PROBES * PROBES, SILENCE);
    }

    #[test]
    fn a_dead_watch_of_resources_is_noticed_within_thirty_seconds() {
        let silence = Watching::Resources.silence();
        assert!(silence + CONNECT < Duration::from_secs(30));
        assert!(silence > Duration::from_secs(u64::from(Watching::Resources.lifetime())));
    }
}
