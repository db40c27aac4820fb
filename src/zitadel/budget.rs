//! What bounds the requests of one connection: the rate, which all ways to one instance keep together, and what is
//! each way's own, whether it is open and how much at once it bears.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::zitadel::circuit::{Circuit, Health, Way};
use crate::zitadel::error::Error;
use crate::zitadel::limit::{Limiter, Rate};
use crate::zitadel::load::Load;
use crate::zitadel::metrics::{Metrics, Route};
use crate::zitadel::transport::TransportError;

/// A shorter pause is over before anybody has read of it.
const TOLD: Duration = Duration::from_secs(2);
/// The requests that a reconcile usually makes.
const USUAL: u32 = 3;

/// The budget of one connection: the rate of its instance, its own circuit, and how much at once its way bears.
#[derive(Debug)]
pub struct Budget {
    limiter: Mutex<Arc<Limiter>>,
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
        let (limiter, load) = (Mutex::new(Arc::new(Limiter::new(rate))), Load::new(most));
        Self { limiter, circuit: Circuit::default(), load, metrics }
    }

    /// The same, which tells each change of its circuit: a request may outlive whoever asked for it.
    #[must_use]
    pub fn telling(self, changed: Arc<Notify>) -> Self {
        Self { circuit: Circuit::telling(changed), ..self }
    }

    /// The rate that it keeps.
    #[must_use]
    pub fn limiter(&self) -> Arc<Limiter> {
        self.limiter.lock().clone()
    }

    /// From now on keeps this rate, together with all who have it.
    pub fn keep(&self, limiter: Arc<Limiter>) {
        *self.limiter.lock() = limiter;
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
        match self.limiter().opens_at(if under_way == 0 { 1 } else { needed.saturating_add(USUAL) }) {
            at if at <= Instant::now() => Opening::Now,
            at => Opening::At(at),
        }
    }

    /// What keeps everybody from making requests, where that is worth telling: the server does not answer, or
    /// asked for a pause.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        let pause = self.limiter().paused_until().map(|until| until.duration_since(Instant::now()));
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

    /// Makes a request that is answered or not.
    #[cfg(test)]
    pub(crate) async fn ask(&self, is_answered: impl Future<Output = bool>) -> bool {
        let route = Route { method: http::Method::GET, template: "/" };
        let request = async {
            let refused = || TransportError::Unreachable("connection refused".into());
            is_answered.await.then(|| Response::new(Bytes::new())).ok_or_else(refused)
        };
        self.spend(Duration::from_secs(60), route, request, |_| Health::Up).await.is_ok()
    }

    async fn admit(&self, patience: Duration) -> Result<(), Error> {
        let limiter = self.limiter();
        let delay = limiter.delay();
        let _counted = (!delay.is_zero() && delay < patience).then(|| self.metrics.waiting());
        limiter.admit(patience).await
    }

    /// How long a request made now would wait for its turn; zero when it would not.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.limiter().delay()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Pauses when ZITADEL limited the rate; other errors mean nothing here.
    pub(crate) fn apply_retry_after(&self, error: &Error) {
        if self.limiter().apply_retry_after(error) {
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
