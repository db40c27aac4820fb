//! The token of a connection: minted once for all who wait, renewed in time, read anew when refused.

use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::runtime::ambient::between;
use crate::runtime::growth::Growth;
use crate::zitadel::auth::{Credential, CredentialError, CredentialSource};
use crate::zitadel::error::Error;
use crate::zitadel::mint::{Grant, Minter};
use crate::zitadel::token_cache::{CachedToken, SHORTEST_INTERVAL, Tokens, Why};

/// Bounds reading the Secret and minting together, below a call's own deadline.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(10);
const PAUSES: Growth = Growth::from_millis(1000, 60_000);

/// Gives out the token of one connection.
///
/// Guarantees: one renewal at a time, shared by all who wait; a failed one is remembered for 1–60 s; while
/// the old token is good a failed renewal goes unnoticed. `Debug` shows no secret.
pub struct TokenSource {
    renewer: Arc<Renewer>,
    state: Mutex<State>,
}

type Outcome = Result<Arc<CachedToken>, Error>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

#[derive(Default)]
struct State {
    current: Option<Arc<CachedToken>>,
    flight: Option<Flight>,
    failure: Option<Failure>,
    /// When a refused token was last found to be the one that the Secret still gives.
    confirmed: Option<Instant>,
}

struct Failure {
    error: Error,
    until: Instant,
    /// Failures in a row before it that count.
    before: u32,
}

struct Renewer {
    source: Arc<dyn CredentialSource>,
    minter: Minter,
    tokens: Arc<Tokens>,
}

impl TokenSource {
    pub(crate) fn new(source: Arc<dyn CredentialSource>, minter: Minter, tokens: Arc<Tokens>) -> Self {
        Self { renewer: Arc::new(Renewer { source, minter, tokens }), state: Mutex::default() }
    }

    /// A token that is good now, as far as is known.
    ///
    /// # Errors
    /// [`Error::Credential`], [`Error::TokenRefused`], [`Error::TokenUnavailable`] and whatever a call of
    /// `/oauth/v2/token` meets on its way.
    pub async fn token(&self) -> Result<SecretString, Error> {
        let flight = {
            let mut state = self.state.lock();
            match (state.fresh(), state.remembered()) {
                (Some(token), _) => return Ok(token),
                (None, Some(error)) => return state.unexpired().ok_or(error),
                (None, None) => self.join(&mut state, Why::Due),
            }
        };
        match self.land(flight).await {
            Ok(cached) => Ok(cached.token.clone()),
            Err(error) => self.state.lock().unexpired().ok_or(error),
        }
    }

    /// To be told that the server answered 401 to `token`. Reads the Secret again: `Some` is another token
    /// to try once, `None` means that there is no other, so the refusal stands.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn refused(&self, token: &SecretString) -> Result<Option<SecretString>, Error> {
        let flight = {
            let mut state = self.state.lock();
            if let Some(other) = state.current.as_ref().filter(|current| !same(&current.token, token)) {
                return Ok(Some(other.token.clone()));
            }
            if state.confirmed.is_some_and(|at| at.elapsed() < SHORTEST_INTERVAL) {
                return Ok(None);
            }
            if let Some(error) = state.remembered() {
                return Err(error);
            }
            self.join(&mut state, Why::Refused)
        };
        let cached = self.land(flight).await?;
        if same(&cached.token, token) {
            self.state.lock().confirmed = Some(Instant::now());
            return Ok(None);
        }
        Ok(Some(cached.token.clone()))
    }

    /// Reads the Secret again and mints a token if it changed; forgets an earlier failure. Answers what the Secret holds.
    ///
    /// # Errors
    /// As [`TokenSource::token`], also while the old token is still good.
    pub async fn reread(&self) -> Result<Credential, Error> {
        let flight = {
            let mut state = self.state.lock();
            // A renewal under way may have read the Secret before it changed.
            (state.flight, state.failure, state.confirmed) = (None, None, None);
            self.join(&mut state, Why::Reread)
        };
        self.land(flight).await.map(|cached| cached.credential.clone())
    }

    fn join(&self, state: &mut State, why: Why) -> Flight {
        let previous = state.current.clone();
        let renewer = self.renewer.clone();
        // Goes on where whoever waits for it gives up: it may hold a turn that all others wait for.
        let start = || {
            let renewal = AbortOnDropHandle::new(tokio::spawn(
                async move { renewer.renew(previous, why).await }.in_current_span(),
            ));
            let ended = || Error::Unreachable { message: "the renewal was ended".into() };
            async move { renewal.await.unwrap_or_else(|_| Err(ended())) }.boxed().shared()
        };
        state.flight.get_or_insert_with(start).clone()
    }

    async fn land(&self, flight: Flight) -> Outcome {
        let outcome = flight.clone().await;
        let mut state = self.state.lock();
        if state.flight.take_if(|current| current.ptr_eq(&flight)).is_some() {
            state.settle(&outcome);
        }
        outcome
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let credential = self.state.lock().current.as_ref().map(|cached| cached.credential.clone());
        f.debug_struct("TokenSource").field("credential", &credential).finish_non_exhaustive()
    }
}

impl State {
    fn fresh(&self) -> Option<SecretString> {
        self.current.as_ref().filter(|cached| cached.is_fresh()).map(|cached| cached.token.clone())
    }

    fn unexpired(&self) -> Option<SecretString> {
        self.current.as_ref().filter(|cached| cached.is_good()).map(|cached| cached.token.clone())
    }

    fn remembered(&self) -> Option<Error> {
        let failure = self.failure.as_ref().filter(|failure| Instant::now() < failure.until)?;
        Some(failure.error.clone())
    }

    fn settle(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(cached) => (self.current, self.failure) = (Some(cached.clone()), None),
            Err(error) => {
                let longer = self.failure.take().map_or(0, |last| last.before.saturating_add(1));
                let before = match error {
                    // The Secret costs ZITADEL nothing, and may be there in a moment.
                    Error::Credential(_) => 0,
                    // Others see to it that nobody asks in vain.
                    Error::Unreachable { .. } | Error::Timeout { .. } => 0,
                    _ => longer,
                };
                let until = Instant::now() + PAUSES.delay(before).mul_f64(between(1.0..1.2));
                self.failure = Some(Failure { error: error.clone(), until, before });
            }
        }
    }
}

impl Renewer {
    async fn renew(&self, previous: Option<Arc<CachedToken>>, why: Why) -> Outcome {
        timeout(RENEWAL_TIMEOUT, self.renew_unbounded(previous, why))
            .await
            .unwrap_or(Err(Error::Timeout { after: RENEWAL_TIMEOUT }))
    }

    async fn renew_unbounded(&self, previous: Option<Arc<CachedToken>>, why: Why) -> Outcome {
        let credential = match (self.source.load().await, &previous) {
            (Ok(credential), _) => credential,
            // A namespace that is being deleted as a whole loses its Secret first.
            (Err(CredentialError::Missing(_) | CredentialError::Unavailable(_)), Some(last))
                if why == Why::Due =>
            {
                last.credential.clone()
            }
            (Err(error), _) => return Err(error.into()),
        };
        match previous {
            Some(last) if last.credential == credential && last.outlives(why) => Ok(last),
            last => self.obtain(credential, last.as_deref()).await,
        }
    }

    /// One that another connection, or this one in a former life, got with the same credential; else a new one.
    async fn obtain(&self, credential: Credential, last: Option<&CachedToken>) -> Outcome {
        let place = self.minter.place();
        match self.tokens.find(&place, &credential, last) {
            Some(cached) => Ok(cached),
            None => self.issue(credential).await.inspect(|cached| self.tokens.keep(place, cached)),
        }
    }

    /// A client secret works only some seconds after it was made (a stale projection): 400 until then.
    async fn mint(&self, credential: &Credential) -> Result<Grant, Error> {
        let repeats = if matches!(credential, Credential::ClientCredentials { .. }) { 2 } else { 0 };
        let pauses = ConstantBuilder::default().with_delay(PAUSES.base).with_max_times(repeats);
        let refused = |error: &Error| matches!(error, Error::TokenRefused { .. });
        (|| self.minter.mint(credential)).retry(pauses).when(refused).await
    }

    async fn issue(&self, credential: Credential) -> Outcome {
        let minted = self.mint(&credential).await;
        self.minter.budget.metrics().renewed(&minted);
        let Grant { token, lifetime } = minted?;
        Ok(CachedToken::new(token, credential, lifetime))
    }
}

fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}
