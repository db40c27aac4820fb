//! Stops asking a server that does not answer.

use std::mem::discriminant;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::runtime::ambient::between;
use crate::runtime::growth::Growth;
use crate::zitadel::error::Error;

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;
/// From the end of a probe to the next: at most one a second.
const PAUSES: Growth = Growth::from_millis(1000, 8000);

/// Opened by failures of the way and by outages that the server tells ([`Error::is_outage`]), in a row; while it is open one request at a time probes.
#[derive(Debug, Default)]
pub struct Circuit {
    state: Mutex<State>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    error: Error,
    probe_at: Instant,
    failed_probes: u32,
    probing: bool,
}

impl Open {
    fn rest(&mut self) {
        self.probing = false;
        self.probe_at = Instant::now() + PAUSES.delay(self.failed_probes).mul_f64(between(1.0..1.25));
    }
}

/// What a request may expect.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// It may go.
    Closed,
    /// It may go, alone, to see whether the server is back.
    Probe,
    /// It may not go before then; `None` while a probe is under way.
    Open(Option<Instant>),
}

impl Circuit {
    /// A closed one that tells when it opens and closes, and when a probe has ended.
    #[must_use]
    pub fn telling(changed: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), changed }
    }

    /// The way as it is now.
    #[must_use]
    pub fn way(&self) -> Way {
        self.state.lock().way()
    }

    /// What it was opened by; `None` while it is closed.
    #[must_use]
    pub fn fault(&self) -> Option<Error> {
        self.state.lock().open.as_ref().map(|open| open.error.clone())
    }

    /// Takes the way for one request. Whoever takes it says how it ended, or drops it.
    ///
    /// # Errors
    /// What the last request met, while the circuit is open and no probe is due.
    pub(crate) fn pass(&self) -> Result<Pass<'_>, Error> {
        let mut state = self.state.lock();
        let way = state.way();
        match (way, &mut state.open) {
            (Way::Open(_), Some(open)) => Err(open.error.clone()),
            (Way::Probe, Some(open)) => {
                open.probing = true;
                Ok(Pass { circuit: self, probes: true, ended: false })
            }
            _ => Ok(Pass { circuit: self, probes: false, ended: false }),
        }
    }
}

impl State {
    fn failed(&mut self, error: Error, probed: bool) {
        self.failures = self.failures.saturating_add(1);
        match &mut self.open {
            Some(open) if probed => {
                // The same trouble in other words is no news to those who wait.
                if discriminant(&open.error) != discriminant(&error) {
                    open.error = error;
                }
                open.failed_probes = open.failed_probes.saturating_add(1);
                open.rest();
            }
            // It was sent before the circuit opened.
            Some(_) => {}
            None if self.failures < FAILURES => {}
            None => {
                let probe_at = Instant::now();
                let open = Open { error, probe_at, failed_probes: 0, probing: false };
                self.open.insert(open).rest();
            }
        }
    }

    fn way(&self) -> Way {
        match &self.open {
            None => Way::Closed,
            Some(open) if !open.probing && open.probe_at <= Instant::now() => Way::Probe,
            Some(open) => Way::Open(Some(open.probe_at).filter(|_| !open.probing)),
        }
    }
}

/// What an answer, or its absence, says of the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Health {
    /// It is there.
    Up,
    /// It is not there.
    Down(Error),
    /// Nothing.
    Unknown,
}

/// One request on its way. Dropped without a word it counts as one that was not answered.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    circuit: &'a Circuit,
    probes: bool,
    ended: bool,
}

impl Pass<'_> {
    /// Says what came of it; answers whether the circuit is open now.
    pub(crate) fn end(mut self, health: Health) -> bool {
        self.ended = true;
        self.settle(health)
    }

    fn settle(&self, health: Health) -> bool {
        let mut state = self.circuit.state.lock();
        let was_open = state.open.is_some();
        match health {
            Health::Up => *state = State::default(),
            Health::Down(error) => state.failed(error, self.probes),
            Health::Unknown => {
                if let Some(open) = state.open.as_mut().filter(|_| self.probes) {
                    open.rest();
                }
            }
        }
        let is_open = state.open.is_some();
        if was_open || is_open {
            self.circuit.changed.notify_one();
        }
        is_open
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.settle(Health::Down(Error::Unreachable { message: "no answer in time".into() }));
        }
    }
}
