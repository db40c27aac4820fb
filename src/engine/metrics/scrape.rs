//! What a scrape asks the engine for: how things are at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::api::ConnectionKind;
use crate::api::address::ConnectionKey;
use crate::engine::decision::conditions::ReadyState;
use crate::zitadel::{Budget, Error};

const STATES: [&str; 3] = ["closed", "open", "paused"];

type Gauges<L> = BTreeMap<L, i64>;

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub(crate) struct ByController {
    pub(crate) controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct ByReadiness {
    kind: &'static str,
    ready: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct ByConnection {
    kind: &'static str,
    name: String,
    state: &'static str,
}

/// What a scrape asks for.
pub trait Snapshot: Send + Sync {
    /// Does this process hold the Lease?
    fn is_leader(&self) -> bool;
    /// Kind and readiness, and how many resources are so.
    fn readiness(&self) -> Vec<((&'static str, ReadyState), usize)>;
    /// The kind of each reconcile that waits for its budget.
    fn waiting(&self) -> Vec<&'static str>;
    /// What each session that is in use spends from.
    fn budgets(&self) -> Vec<(ConnectionKey, Arc<Budget>)>;
}

/// Who is asked; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Scrape(Arc<Mutex<Shown>>);

/// The controllers that there are, and the engine; none before it runs.
#[derive(Default)]
struct Shown {
    controllers: BTreeSet<&'static str>,
    engine: Option<Weak<dyn Snapshot>>,
}

impl Scrape {
    pub(crate) fn follows(&self, controller: &'static str) {
        self.shown().controllers.insert(controller);
    }

    pub(crate) fn shows(&self, engine: Weak<dyn Snapshot>) {
        self.shown().engine = Some(engine);
    }

    fn engine(&self) -> Option<Arc<dyn Snapshot>> {
        self.shown().engine.as_ref()?.upgrade()
    }

    /// Those that wait, by controller.
    fn waiting(&self, engine: &dyn Snapshot) -> Gauges<ByController> {
        let zero = |controller: &&'static str| (ByController { controller }, 0);
        let mut gauges: Gauges<_> = self.shown().controllers.iter().map(zero).collect();
        for controller in engine.waiting() {
            *gauges.entry(ByController { controller }).or_default() += 1;
        }
        gauges
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock()
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let engine = self.engine();
        let leads = engine.as_ref().is_some_and(|engine| engine.is_leader());
        let help = "Whether this process holds the Lease, and alone may write";
        let leader = ConstGauge::new(i64::from(leads));
        leader.encode(encoder.encode_descriptor("leader", help, None, MetricType::Gauge)?)?;
        let Some(engine) = engine else { return Ok(()) };
        let help = "Resources by kind, the status of their Ready condition and its reason, or Paused";
        show(&mut encoder, "resources", help, resources(&*engine))?;
        let help = "Reconciles that wait for the budget of their connection";
        show(&mut encoder, "admission_waiting", help, self.waiting(&*engine))?;
        let help =
            "Connections in use by the state of the way to ZITADEL; Connections, which tenants make, as one";
        show(&mut encoder, "circuits", help, circuits(&*engine))
    }
}

fn show<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    gauges: Gauges<L>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    gauges.into_iter().try_for_each(|(labels, value)| {
        let gauge = ConstGauge::new(value);
        gauge.encode(family.encode_family(&labels)?)
    })
}

fn resources(engine: &dyn Snapshot) -> Gauges<ByReadiness> {
    let mut gauges = Gauges::new();
    for ((kind, ReadyState { ready, reason }), many) in engine.readiness() {
        gauges.insert(ByReadiness { kind, ready, reason }, i64::try_from(many).unwrap_or(i64::MAX));
    }
    gauges
}

/// One series a state and `ClusterConnection`, which only administrators make.
fn circuits(engine: &dyn Snapshot) -> Gauges<ByConnection> {
    let mut gauges = Gauges::new();
    for (key, budget) in engine.budgets() {
        let name =
            if key.kind == ConnectionKind::ClusterConnection { key.name.clone() } else { String::new() };
        let labels = |state| ByConnection { kind: key.address().kind, name: name.clone(), state };
        let now = state(&budget);
        for state in STATES {
            *gauges.entry(labels(state)).or_default() += i64::from(state == now);
        }
    }
    gauges
}

fn state(budget: &Budget) -> &'static str {
    match budget.trouble() {
        None => STATES[0],
        Some(Error::RateLimited { .. }) => STATES[2],
        Some(_) => STATES[1],
    }
}
