//! What bounds the requests to one instance, whoever makes them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::time::Instant;

use super::circuit::{Circuit, Health, Way};
use super::error::Error;
use super::limit::{Limiter, Rate, lock};
use super::load::Load;
use super::metrics::{Metrics, Route};
use super::transport::TransportError;

/// A shorter pause is over before anybody has read of it.
const TOLD: Duration = Duration::from_secs(2);
/// The requests that a reconcile usually makes.
const USUAL: u32 = 3;

/// The budget of one instance: its rate, its circuit, and how much at once it bears.
#[derive(Debug)]
pub struct Budget {
    limiter: Limiter,
    circuit: Circuit,
    load: Load,
    metrics: Metrics,
}

/// Whether one more may begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// It may.
    Now,
    /// It may, alone, to see whether the server is back.
    Probe,
    /// Not before then.
    At(Instant),
    /// When another has ended.
    Later,
    /// The server does not answer: not before then, or, while a probe is under way, when it has ended.
    Broken(Option<Instant>),
}

impl Budget {
    /// A budget of this rate, for at most so many at once, counted here.
    #[must_use]
    pub fn new(rate: Rate, most: u16, metrics: Metrics) -> Self {
        let (circuit, load) = (Circuit::default(), Load::new(most));
        Self { limiter: Limiter::new(rate), circuit, load, metrics }
    }

    /// Changes the rate.
    pub fn set_rate(&self, rate: Rate) {
        self.limiter.set_rate(rate);
    }

    /// Whether one more than these may begin and would hardly wait for its requests.
    #[must_use]
    pub fn opening(&self, under_way: usize) -> Opening {
        match self.circuit.way() {
            Way::Open(probe_at) => return Opening::Broken(probe_at),
            Way::Probe => return Opening::Probe,
            Way::Closed if under_way >= self.load.limit() => return Opening::Later,
            Way::Closed => {}
        }
        // Whoever is alone may wait for what it needs besides.
        let needed = u32::try_from(under_way).unwrap_or(u32::MAX).saturating_mul(USUAL);
        match self.limiter.opens_at(if under_way == 0 { 1 } else { needed.saturating_add(USUAL) }) {
            at if at <= Instant::now() => Opening::Now,
            at => Opening::At(at),
        }
    }

    /// What keeps everybody from making requests, where that is worth telling: the server does not answer, or
    /// asked for a pause.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        let pause = self.limiter.paused_until().map(|until| until.duration_since(Instant::now()));
        let limited = |pause| Error::RateLimited { retry_after: Some(pause), id: None };
        self.circuit.fault().or_else(|| pause.filter(|pause| *pause >= TOLD).map(limited))
    }

    /// Makes one request when it is its turn; `health` says what an answer tells of the server.
    ///
    /// # Errors
    /// As the request; [`Error::RateLimited`] where the turn is `patience` away, and while the circuit is open
    /// what the last request met.
    pub(crate) async fn spend(
        &self,
        patience: Duration,
        route: Route,
        request: impl Future<Output = Result<Response<Bytes>, TransportError>>,
        health: impl Fn(&Response<Bytes>) -> Health,
    ) -> Result<Response<Bytes>, Failure> {
        if let (Way::Open(_), Some(error)) = (self.circuit.way(), self.circuit.fault()) {
            return Err(Failure::NotSent(error));
        }
        self.admit(patience).await.map_err(Failure::NotSent)?;
        let pass = self.circuit.pass().map_err(Failure::NotSent)?;
        let (sent, counted) = (Instant::now(), self.metrics.sent(route));
        let result = request.await;
        counted.answered(result.as_ref().ok().map(Response::status));
        let took = sent.elapsed();
        let health = match &result {
            Ok(response) => health(response),
            Err(TransportError::TooLarge { .. }) => Health::Up,
            Err(error) => Health::Down(error.clone().into()),
        };
        match health {
            Health::Down(_) => self.load.failed(took),
            Health::Up | Health::Unknown => self.load.answered(took),
        }
        if pass.end(health) {
            self.load.broke();
        }
        result.map_err(Failure::Sent)
    }

    async fn admit(&self, patience: Duration) -> Result<(), Error> {
        let delay = self.limiter.delay();
        let _counted = (!delay.is_zero() && delay < patience).then(|| self.metrics.waiting());
        self.limiter.admit(patience).await
    }

    /// How long a request made now would wait for its turn; zero when it would not.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.limiter.delay()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Pauses when ZITADEL limited the rate; other errors mean nothing here.
    pub(crate) fn heed(&self, error: &Error) {
        if self.limiter.heed(error) {
            self.metrics.paused();
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was sent.
    NotSent(Error),
    /// It was, in vain.
    Sent(TransportError),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(error) => error,
            Failure::Sent(error) => error.into(),
        }
    }
}

/// The budget that a client spends from; another one may take its place.
#[derive(Debug)]
pub struct Purse(Mutex<Arc<Budget>>);

impl Purse {
    /// Spends from this budget.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self(Mutex::new(budget))
    }

    /// The budget of now.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        lock(&self.0).clone()
    }

    /// From now on spends from this budget.
    pub fn replace(&self, budget: Arc<Budget>) {
        *lock(&self.0) = budget;
    }
}
