//! The settings of the operator.

use std::time::Duration;

use crate::api::ConnectionKind;
use crate::engine::decision::backoff::Delays;

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Reconciles of one kind at a time, in all namespaces together.
    pub concurrency: u16,
    /// The resync interval where no connection says one.
    pub resync: Duration,
    /// No connection makes it shorter.
    pub min_resync: Duration,
    /// No connection calls ZITADEL more often.
    pub max_requests_per_second: u32,
    /// How long an outage must last before it shows in a `Ready` that was true.
    pub outage_grace: Duration,
    /// How long a list may lag behind a create before its silence counts.
    pub projection_lag: Duration,
    /// The delays after failures.
    pub delays: Delays,
    /// Follow only these namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// Follow only resources with these labels.
    pub label_selector: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 16,
            resync: Duration::from_secs(600),
            min_resync: Duration::from_secs(30),
            max_requests_per_second: 100,
            outage_grace: Duration::from_secs(300),
            projection_lag: Duration::from_secs(30),
            delays: Delays::default(),
            namespaces: Vec::new(),
            label_selector: None,
        }
    }
}

impl Config {
    /// Does it see every resource that uses a connection of this kind?
    pub fn sees_all_users(&self, kind: ConnectionKind) -> bool {
        self.label_selector.is_none() && (kind == ConnectionKind::Connection || self.namespaces.is_empty())
    }

    /// Does it follow only a part of the cluster?
    pub fn is_partial(&self) -> bool {
        !self.namespaces.is_empty() || self.label_selector.is_some()
    }
}
