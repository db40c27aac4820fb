//! How fast one instance may be asked, through however many connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::api::address::ConnectionKey;
use crate::zitadel::{Limiter, Rate};

/// The rate of one instance: the strictest of what the connections to it allow.
pub(crate) struct InstanceRate {
    /// Shared by all ways to the instance.
    pub(crate) limiter: Arc<Limiter>,
    rates: Mutex<BTreeMap<ConnectionKey, Rate>>,
}

impl InstanceRate {
    /// One that nobody has said anything of yet.
    pub(crate) fn of(limiter: Arc<Limiter>) -> Arc<Self> {
        Arc::new(Self { limiter, rates: Mutex::default() })
    }

    /// What a connection allows; `None`: it has no way to this instance any more.
    pub(crate) fn set(&self, key: &ConnectionKey, rate: Option<Rate>) {
        let mut rates = self.rates.lock();
        match rate {
            Some(rate) => drop(rates.insert(key.clone(), rate)),
            None => drop(rates.remove(key)),
        }
        if let Some(strictest) = rates.values().copied().reduce(Rate::min) {
            self.limiter.set_rate(strictest);
        }
    }
}
