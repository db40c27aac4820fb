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

use crate::zitadel::aggregate::AggregateLocks;
use crate::zitadel::answer::{Answer, NO_SECRETS, parse, quote};
use crate::zitadel::auth::{Credential, CredentialSource};
use crate::zitadel::budget::{Budget, Failure};
use crate::zitadel::call::Call;
use crate::zitadel::circuit::Health;
use crate::zitadel::error::Error;
use crate::zitadel::header::{self, OrganizationHeader, owner};
use crate::zitadel::memory::{MemoryShare, Reservation};
use crate::zitadel::mint::Minter;
use crate::zitadel::page_limits::PageLimits;
use crate::zitadel::refusal::{Asked, accept, classify};
use crate::zitadel::token::TokenSource;
use crate::zitadel::token_cache::Tokens;
use crate::zitadel::transport::{Transport, TransportError};
use crate::zitadel::url::audiences;

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
    /// Where answers are held.
    pub memory: MemoryShare,
    /// Whether it is known that an instance has answered there: one that cannot be found then is in an outage.
    pub answered: bool,
}

/// Calls the API of one instance as one user. Cheap to clone; clones share token, budget and connections.
///
/// Guarantees: a call ends within the deadline; a 401 reads the credential again and repeats the call at
/// most once; only reads are repeated after a failure, at most twice; writes to one aggregate are serial;
/// after an answer about another organization than the one asked nothing is sent for organizations.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    /// What its answers are held in; without one each call has its own.
    memory: Option<Arc<Reservation>>,
}

struct Inner {
    base: String,
    instance_host: Option<HeaderValue>,
    deadline: Duration,
    transport: Arc<dyn Transport>,
    tokens: TokenSource,
    budget: Arc<Budget>,
    locks: Arc<AggregateLocks>,
    pages: PageLimits,
    memory: MemoryShare,
    header: OrganizationHeader,
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
        let ClientConfig { base_url, external_domain, deadline, memory, answered } = config;
        let answered = Arc::new(AtomicBool::new(answered));
        let base = base_url.as_str().trim_end_matches('/').to_owned();
        let instance_host = external_domain.as_deref().map(host_header).transpose()?;
        let minter = Minter {
            transport: transport.clone(),
            budget: budget.clone(),
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
                budget,
                locks,
                pages: PageLimits::default(),
                memory,
                header: OrganizationHeader::default(),
                answered,
            }),
            memory: None,
        })
    }

    /// The same client, whose answers from now on share one reservation: of who holds them together.
    #[must_use]
    pub fn holding(&self) -> Self {
        Self { inner: self.inner.clone(), memory: Some(self.memory()) }
    }

    /// The reservation of its answers.
    #[must_use]
    pub fn memory(&self) -> Arc<Reservation> {
        self.memory.clone().unwrap_or_else(|| self.inner.memory.reserve())
    }

    /// The budget it spends from.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        self.inner.budget.clone()
    }

    /// Reads the Secret again, and mints a token if it changed: for a resync, or when the Secret changed. Answers what
    /// the Secret holds.
    ///
    /// # Errors
    /// As [`TokenSource::reread`].
    pub async fn reread_credential(&self) -> Result<Credential, Error> {
        // Another user has another organization of its own.
        self.inner.header.forget_proofs();
        self.inner.tokens.reread().await
    }

    /// Whether anything may be sent for an organization.
    ///
    /// # Errors
    /// [`Error::HeaderLost`] since an answer was about another organization than the one asked.
    pub fn check_header(&self) -> Result<(), Error> {
        self.inner.header.check()
    }

    /// Whether the header is lost and nobody asked this before.
    #[must_use]
    pub fn is_header_news(&self) -> bool {
        self.inner.header.is_news()
    }

    /// Where the header was lost, looks whether it arrives again. A loss that a write showed ends only `by_request` of a
    /// person: reads may pass where writes do not.
    ///
    /// # Errors
    /// [`Error::HeaderLost`] where it does not, or as any read.
    pub async fn confirm_header(&self, by_request: bool) -> Result<(), Error> {
        let Some(loss) = self.inner.header.loss() else { return Ok(()) };
        if loss.on_write && !by_request {
            return Err(loss.error());
        }
        self.doubt(&loss.asked).await?;
        self.inner.header.found();
        Ok(())
    }

    /// Compares the owner that an answer says with the organization asked.
    ///
    /// # Errors
    /// [`Error::HeaderLost`].
    pub(crate) fn compare_owner(&self, asked: &str, owner: &str) -> Result<(), Error> {
        self.inner.header.compare(asked, owner, false)
    }

    /// The error of a write that went to another organization, and the end of all that is sent for one.
    pub(crate) fn lose_header(&self, asked: &str) -> Error {
        self.inner.header.lose(asked, true)
    }

    /// Looks whether the header arrives before an answer is believed that names no owner.
    ///
    /// # Errors
    /// [`Error::HeaderLost`] where it does not, or as any read.
    pub(crate) async fn prove_header(&self, organization: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        timeout(deadline, self.inner.prove(organization, &self.memory()))
            .await
            .unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    /// The same, twice: of two reads in a row one meets a header that is lost every other time.
    pub(crate) async fn doubt(&self, organization: &str) -> Result<(), Error> {
        self.prove_header(organization).await?;
        self.prove_header(organization).await
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
        self.inner.bounded(call, self.memory()).await
    }
}

impl Inner {
    async fn bounded(&self, call: &Call, memory: Arc<Reservation>) -> Result<Response<Bytes>, Error> {
        let started = Instant::now();
        let outcome = timeout(self.deadline, self.aimed(call, &memory))
            .await
            .unwrap_or(Err(Error::Timeout { after: self.deadline }));
        let status = outcome.as_ref().map(Response::status).ok();
        let elapsed = started.elapsed();
        tracing::debug!(method = %call.route().method, path = call.path(), ?status, ?elapsed, "ZITADEL call");
        outcome
    }

    /// Sends for an organization only while the header arrives there.
    async fn aimed(&self, call: &Call, memory: &Arc<Reservation>) -> Result<Response<Bytes>, Error> {
        let Some(organization) = call.organization() else { return self.in_turn(call, memory).await };
        self.header.check()?;
        if call.is_repeatable() {
            return self.in_turn(call, memory).await;
        }
        let _first = match call.relies_on_header() {
            true => self.header.first_write(organization).await,
            false => None,
        };
        self.header.check()?;
        if call.relies_on_header() && !self.header.is_proved(organization) {
            self.prove(organization, memory).await?;
        }
        let answer = self.in_turn(call, memory).await;
        match &answer {
            Ok(response) if call.names_owner() => {
                self.header.compare(organization, &owner(response), true)?;
            }
            // What is refused is refused of the organization that was reached.
            Err(Error::NotFound { .. } | Error::AlreadyExists { .. } | Error::Unchanged { .. })
                if call.relies_on_header() =>
            {
                self.prove(organization, memory).await?;
            }
            _ => {}
        }
        answer
    }

    /// One read that the organization of the user would answer otherwise.
    async fn prove(&self, organization: &str, memory: &Arc<Reservation>) -> Result<(), Error> {
        let answering = header::answering(&self.in_turn(&header::probe(organization)?, memory).await?)?;
        self.header.compare(organization, &answering, false)
    }

    async fn in_turn(&self, call: &Call, memory: &Arc<Reservation>) -> Result<Response<Bytes>, Error> {
        let _serial = match call.aggregate() {
            Some(aggregate) => Some(self.locks.lock(&format!("{} {aggregate}", self.base)).await),
            None => None,
        };
        let repeats = if call.is_repeatable() { 2 } else { 0 };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(repeats)
            .with_jitter();
        (|| self.authorized(call, memory)).retry(pauses).when(Error::is_blip).await
    }

    async fn authorized(&self, call: &Call, memory: &Arc<Reservation>) -> Result<Response<Bytes>, Error> {
        let token = self.tokens.token().await?;
        let refused = match self.attempt(call, &token, memory).await {
            Err(refused @ Error::Unauthorized { .. }) => refused,
            outcome => return outcome,
        };
        match self.tokens.refused(&token).await? {
            Some(fresh) => self.attempt(call, &fresh, memory).await,
            None => Err(refused),
        }
    }

    async fn attempt(
        &self,
        call: &Call,
        token: &SecretString,
        memory: &Arc<Reservation>,
    ) -> Result<Response<Bytes>, Error> {
        let response = self.send(call, token, memory).await?;
        accept(response, self.asked(call, token)).inspect_err(|error| self.budget.apply_retry_after(error))
    }

    async fn send(
        &self,
        call: &Call,
        token: &SecretString,
        memory: &Arc<Reservation>,
    ) -> Result<Response<Bytes>, Error> {
        let mut request = call.request(&self.base, self.instance_host.as_ref(), token)?;
        request.extensions_mut().insert(memory.clone());
        let health = |answer: &Response<Bytes>| health(answer, self.asked(call, token));
        let route = call.route().clone();
        let answer = self.budget.spend(self.deadline, route, self.transport.send(request), health).await;
        // It is held as long as the answer is.
        let held = |mut answer: Response<Bytes>| {
            answer.extensions_mut().insert(memory.clone());
            answer
        };
        answer.map(held).map_err(|failure| match failure {
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
