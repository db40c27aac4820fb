//! The client of one connection: every API call takes the same path through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::{HeaderValue, Response};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use url::Url;

use super::aggregate::AggregateLocks;
use super::answer::{Answer, NO_SECRETS, parse, quote};
use super::auth::{Credential, CredentialSource};
use super::budget::{Budget, Failure, Purse};
use super::call::Call;
use super::circuit::Health;
use super::error::Error;
use super::issued::Tokens;
use super::metadata::PageLimits;
use super::mint::Minter;
use super::refusal::{Asked, accept, classify};
use super::token::TokenSource;
use super::transport::{Transport, TransportError};
use super::url::audiences;

/// No answer but a list is larger, in bytes: a few of them become thirty in memory.
const LARGEST_OBJECT: usize = 256 * 1024;

/// Where ZITADEL is, and how long a call may take.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// As [`super::parse_base_url`] gives it.
    pub base_url: Url,
    /// The instance's domain (`host` or `host:port`), where it is not the base URL's host.
    pub external_domain: Option<String>,
    /// Bound of a whole call: waiting for its turn, a token, the request and its repetitions.
    pub deadline: Duration,
    /// Whether it is known that an instance has answered there: one that cannot be found then is in an outage.
    pub answered: bool,
}

/// Calls the API of one instance as one user. Cheap to clone; clones share token, budget and connections.
///
/// Guarantees: a call ends within the deadline; a 401 reads the credential again and repeats the call at
/// most once; only reads are repeated after a failure, at most twice; writes to one aggregate are serial.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    base: String,
    instance_host: Option<HeaderValue>,
    deadline: Duration,
    transport: Arc<dyn Transport>,
    tokens: TokenSource,
    purse: Arc<Purse>,
    locks: Arc<AggregateLocks>,
    pages: PageLimits,
    answered: Arc<AtomicBool>,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// A sentence for a condition: the external domain is not a host name with an optional port.
    pub fn new(
        config: ClientConfig,
        transport: Arc<dyn Transport>,
        credentials: Arc<dyn CredentialSource>,
        budget: Arc<Budget>,
        locks: Arc<AggregateLocks>,
        tokens: Arc<Tokens>,
    ) -> Result<Self, String> {
        let ClientConfig { base_url, external_domain, deadline, answered } = config;
        let answered = Arc::new(AtomicBool::new(answered));
        let base = base_url.as_str().trim_end_matches('/').to_owned();
        let instance_host = external_domain.as_deref().map(host_header).transpose()?;
        let purse = Arc::new(Purse::new(budget));
        let minter = Minter {
            transport: transport.clone(),
            purse: purse.clone(),
            base: base.clone(),
            instance_host: instance_host.clone(),
            audiences: audiences(&base_url, external_domain.as_deref()),
            answered: answered.clone(),
        };
        let tokens = TokenSource::new(credentials, minter, tokens);
        Ok(Self {
            inner: Arc::new(Inner {
                base,
                instance_host,
                deadline,
                transport,
                tokens,
                purse,
                locks,
                pages: PageLimits::default(),
                answered,
            }),
        })
    }

    /// The budget it spends from.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        self.inner.purse.budget()
    }

    /// From now on spends from this budget.
    pub fn spend_from(&self, budget: Arc<Budget>) {
        self.inner.purse.replace(budget);
    }

    /// Reads the Secret again, and mints a token if it changed: for a resync, or when the Secret changed. Answers what
    /// the Secret holds.
    ///
    /// # Errors
    /// As [`TokenSource::reread`].
    pub async fn reread_credential(&self) -> Result<Credential, Error> {
        self.inner.tokens.reread().await
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// From now on a 404 that does not say why is an outage.
    pub(crate) fn remember_answer(&self) {
        self.inner.answered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn page_limits(&self) -> &PageLimits {
        &self.inner.pages
    }

    /// Makes one call and reads its JSON answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<Answer<T>, Error> {
        let response = self.send(call).await?;
        if !call.is_search() && response.body().len() > LARGEST_OBJECT {
            let what = format!("it is larger than {LARGEST_OBJECT} bytes");
            return Err(Error::malformed(response.status().as_u16(), what));
        }
        parse(&response)
    }

    /// Makes one call, and gives its answer where that is 2xx.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Bytes>, Error> {
        self.inner.bounded(call).await
    }
}

impl Inner {
    async fn bounded(&self, call: &Call) -> Result<Response<Bytes>, Error> {
        let started = Instant::now();
        let outcome = timeout(self.deadline, self.in_turn(call))
            .await
            .unwrap_or(Err(Error::Timeout { after: self.deadline }));
        let status = outcome.as_ref().map(Response::status).ok();
        let elapsed = started.elapsed();
        tracing::debug!(method = %call.route().method, path = call.path(), ?status, ?elapsed, "ZITADEL call");
        outcome
    }

    async fn in_turn(&self, call: &Call) -> Result<Response<Bytes>, Error> {
        let _serial = match call.aggregate() {
            Some(aggregate) => Some(self.locks.lock(&format!("{} {aggregate}", self.base)).await),
            None => None,
        };
        let repeats = if call.is_repeatable() { 2 } else { 0 };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(repeats)
            .with_jitter();
        (|| self.authorized(call)).retry(pauses).when(Error::is_blip).await
    }

    async fn authorized(&self, call: &Call) -> Result<Response<Bytes>, Error> {
        let token = self.tokens.token().await?;
        let refused = match self.attempt(call, &token).await {
            Err(refused @ Error::Unauthorized { .. }) => refused,
            outcome => return outcome,
        };
        match self.tokens.refused(&token).await? {
            Some(fresh) => self.attempt(call, &fresh).await,
            None => Err(refused),
        }
    }

    async fn attempt(&self, call: &Call, token: &SecretString) -> Result<Response<Bytes>, Error> {
        let response = self.send(call, token).await?;
        accept(response, self.asked(call, token)).inspect_err(|error| self.purse.budget().heed(error))
    }

    async fn send(&self, call: &Call, token: &SecretString) -> Result<Response<Bytes>, Error> {
        let request = call.request(&self.base, self.instance_host.as_ref(), token)?;
        let health = |answer: &Response<Bytes>| health(answer, self.asked(call, token));
        let (budget, route) = (self.purse.budget(), call.route().clone());
        let answer = budget.spend(self.deadline, route, self.transport.send(request), health).await;
        answer.map_err(|failure| match failure {
            Failure::Sent(TransportError::TooLarge { status: 200..300, .. }) if call.is_search() => {
                Error::TooLarge
            }
            failure => failure.into(),
        })
    }

    fn asked<'a>(&self, call: &'a Call, token: &'a SecretString) -> Asked<'a> {
        call.asked(token, self.answered.load(Ordering::Relaxed))
    }
}

fn health(answer: &Response<Bytes>, asked: Asked<'_>) -> Health {
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        return Health::Up;
    }
    match classify(answer, asked) {
        error if error.is_outage() => Health::Down(error),
        // What a proxy says of one request is not told to all who wait.
        _ if (502..=504).contains(&status) => {
            Health::Down(Error::Unavailable { status, code: None, id: None })
        }
        _ => Health::Up,
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("base", &self.base)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// `host` or `host:port`, nothing else: it becomes a header and an audience.
fn host_header(domain: &str) -> Result<HeaderValue, String> {
    let refused = || format!("the external domain `{}` is not a host name", quote(domain, NO_SECRETS, 100));
    let url = Url::parse(&format!("http://{domain}/")).map_err(|_| refused())?;
    let plain = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    match HeaderValue::from_str(domain) {
        Ok(value) if plain && url.path() == "/" && url.has_host() => Ok(value),
        _ => Err(refused()),
    }
}
