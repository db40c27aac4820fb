//! The seam where tests come between a request and its answer.

use std::fmt;
use std::time::Duration;

use super::failure::Failure;
use super::route::Verb;

/// One request, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Position among all requests since the start.
    pub index: usize,
    /// What it asks for.
    pub verb: Verb,
    /// The API group; empty for core resources.
    pub group: String,
    /// The plural, such as `projects`.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Empty for cluster-wide kinds and for lists across namespaces.
    pub namespace: String,
    /// Empty in lists, watches and creations.
    pub name: String,
    /// The field manager, or else what the user agent begins with.
    pub manager: String,
    /// The status answered; none while it is under way, or where no answer left the server.
    pub status: Option<u16>,
}

/// What happens to a request before the server sees it.
#[derive(Clone, Debug, Default)]
pub enum FaultDecision {
    /// It is handled.
    #[default]
    Go,
    /// It is answered with this, and not handled.
    Fail(Failure),
    /// The connection breaks before it arrives.
    Drop,
    /// It is handled after that time.
    Delay(Duration),
    /// It is never handled and never answered.
    Hang,
}

/// What happens to an answer, after everything was committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    #[default]
    Deliver,
    /// The connection breaks before it does.
    Lose,
    /// It never arrives, and the connection stays.
    Withhold,
}

/// Decides over every request; both methods see the same [`Call`], except that the second knows the status.
pub trait Faults: Send + Sync + 'static {
    /// Before the request is handled.
    fn before(&self, _call: &Call) -> FaultDecision {
        FaultDecision::Go
    }

    /// After it was handled.
    fn after(&self, _call: &Call) -> Delivery {
        Delivery::Deliver
    }
}

/// No faults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fine;

impl Faults for Fine {}

impl fmt::Debug for dyn Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

/// The connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the API server broke")]
pub struct Broken;
