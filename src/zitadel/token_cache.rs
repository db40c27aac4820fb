//! Tokens that were issued, and where they are remembered for all connections.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::runtime::ambient::between;
use crate::zitadel::auth::Credential;

/// Neither a token nor the Secret behind it is renewed more often than this.
pub(super) const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// A server may claim any number of seconds; a token is renewed after a month at the latest.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No token yet, or it is about to expire.
    Due,
    /// The server refused the token.
    Refused,
    /// A person may have changed the Secret.
    Reread,
}

/// A token and what it was got with.
pub(super) struct CachedToken {
    pub(super) token: SecretString,
    pub(super) credential: Credential,
    at: Instant,
    /// Renewal and expiry; a personal access token has neither.
    span: Option<(Instant, Instant)>,
}

impl CachedToken {
    /// One of now, to be renewed at 80 to 90 % of its life.
    pub(super) fn new(token: SecretString, credential: Credential, lifetime: Option<Duration>) -> Arc<Self> {
        let at = Instant::now();
        let span = lifetime.map(|lifetime| {
            let lifetime = lifetime.min(LONGEST_LIFETIME);
            let renewal = lifetime.mul_f64(between(0.8..0.9)).max(SHORTEST_INTERVAL);
            (at + renewal, at + lifetime)
        });
        Arc::new(Self { token, credential, at, span })
    }

    /// Whether it need not be renewed yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.span.is_none_or(|(renew_at, _)| Instant::now() < renew_at)
    }

    /// Whether it has not expired.
    pub(super) fn is_good(&self) -> bool {
        self.span.is_none_or(|(_, expires_at)| Instant::now() < expires_at)
    }

    /// Whether the same credential would give nothing better.
    pub(super) fn outlives(&self, why: Why) -> bool {
        match why {
            Why::Due => false,
            Why::Refused => self.span.is_none() || self.at.elapsed() < SHORTEST_INTERVAL,
            Why::Reread => self.is_fresh(),
        }
    }
}

/// The minted tokens of all connections, by where they are good and by the credential.
///
/// Guarantees: a token is given only to who shows an equal credential, read from a Secret of its own; never one that is
/// due for renewal, nor the one that was refused. One that no session uses any more is kept until the next is minted: so
/// there are never more than sessions were open at once, whatever a server says of their ends.
#[derive(Default)]
pub struct Tokens {
    minted: Mutex<Vec<(String, Arc<CachedToken>)>>,
}

impl Tokens {
    pub(super) fn find(
        &self,
        place: &str,
        credential: &Credential,
        refused: Option<&CachedToken>,
    ) -> Option<Arc<CachedToken>> {
        let minted = self.minted.lock();
        let mut fitting =
            minted.iter().filter(|(at, cached)| at == place && cached.credential == *credential);
        let other = |cached: &CachedToken| refused.is_none_or(|refused| !std::ptr::eq(cached, refused));
        fitting.find(|(_, cached)| cached.is_fresh() && other(cached)).map(|(_, cached)| cached.clone())
    }

    /// In the place of one that the same credential gave before, and of those that nobody uses. A token that is its own
    /// credential costs nothing.
    pub(super) fn keep(&self, place: String, cached: &Arc<CachedToken>) {
        let mut minted = self.minted.lock();
        let replaced = |at: &str, old: &CachedToken| *at == place && old.credential == cached.credential;
        minted.retain(|(at, old)| Arc::strong_count(old) > 1 && old.is_fresh() && !replaced(at, old));
        if cached.span.is_some() {
            minted.push((place, cached.clone()));
        }
    }
}
