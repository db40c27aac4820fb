//! What the operator counts, in the Prometheus text format. No label names an object.

use std::sync::Weak;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::api::Reason;
use crate::engine::decision::outcome::{Drifted, Outcome, OutcomeKind};
use crate::engine::metrics::scrape::{ByController, Scrape, Snapshot};
use crate::zitadel;

/// The source that this binary was built from, as the build names it.
const REVISION: &str = match option_env!("ZITADEL_OPERATOR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

type Count<L> = Family<L, Counter<u64, AtomicU64>>;

/// How many entries of an index were looked at.
pub type Visits = Counter<u64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByResult {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    controller: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
}

/// The operator's metrics; clones share them.
#[derive(Clone)]
pub struct Metrics {
    /// What the client of ZITADEL counts.
    pub zitadel: zitadel::Metrics,
    /// What it cost to find resources and claims; not shown.
    pub visits: Visits,
    reconciles: Count<ByResult>,
    reasons: Count<ByReason>,
    errors: Count<ByController>,
    panics: Count<ByController>,
    seconds: Family<ByController, Histogram, fn() -> Histogram>,
    active: Family<ByController, Gauge>,
    most: Family<ByController, Gauge>,
    drift_found: Count<ByController>,
    drift_repaired: Count<ByController>,
    kubernetes_failures: Count<ByController>,
    watch_failures: Count<ByKind>,
    unlisted: Family<ByKind, Gauge>,
    scrape: Scrape,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            zitadel: zitadel::Metrics::default(),
            visits: Visits::default(),
            reconciles: Family::default(),
            reasons: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
            active: Family::default(),
            most: Family::default(),
            drift_found: Family::default(),
            drift_repaired: Family::default(),
            kubernetes_failures: Family::default(),
            watch_failures: Family::default(),
            unlisted: Family::default(),
            scrape: Scrape::default(),
        }
    }
}

impl Metrics {
    /// Metrics that a registry shows.
    pub fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register(registry);
        metrics
    }

    /// Has a registry show them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("zitadel_operator");
        self.register_reconciles(registry);
        let help = "Reconciles that found ZITADEL changed by somebody else";
        registry.register("drift_found", help, self.drift_found.clone());
        let help = "Reconciles that took such a change back";
        registry.register("drift_repaired", help, self.drift_repaired.clone());
        let help = "Failed lists and watches; what is new there is not seen meanwhile";
        registry.register("watch_failures", help, self.watch_failures.clone());
        let help = "Namespaces of watchNamespaces in which this cannot be listed, and which are left out";
        registry.register("unlisted_namespaces", help, self.unlisted.clone());
        let help = "Reconciles that the Kubernetes API refused or did not answer";
        registry.register("kubernetes_failures", help, self.kubernetes_failures.clone());
        let build = Build { version: env!("CARGO_PKG_VERSION"), revision: REVISION };
        registry.register("build", "The build of this binary", Info::new(build));
        self.zitadel.register(registry);
        registry.register_collector(Box::new(self.scrape.clone()));
    }

    fn register_reconciles(&self, registry: &mut Registry) {
        registry.register("reconcile", "Reconciles by result", self.reconciles.clone());
        registry.register("reconcile_reasons", "Reconciles by resulting reason", self.reasons.clone());
        registry.register("reconcile_errors", "Reconciles that ended with an error", self.errors.clone());
        registry.register("reconcile_panics", "Reconciles that panicked", self.panics.clone());
        registry.register("reconcile_time_seconds", "Duration of reconciles", self.seconds.clone());
        registry.register("active_workers", "Reconciles under way", self.active.clone());
        let help = "Reconciles that may be under way at a time";
        registry.register("max_concurrent_reconciles", help, self.most.clone());
    }

    /// Shows the counts of this controller from the start: a first failure is an increase too.
    pub fn follows(&self, controller: &'static str, concurrency: u16) {
        let by = ByController { controller };
        self.watches(controller);
        self.scrape.follows(controller);
        for result in OutcomeKind::RESULTS {
            self.reconciles.get_or_create_owned(&ByResult { controller, result });
        }
        let counts =
            [&self.errors, &self.panics, &self.drift_found, &self.drift_repaired, &self.kubernetes_failures];
        counts.into_iter().for_each(|count| drop(count.get_or_create_owned(&by)));
        self.active.get_or_create_owned(&by);
        self.most.get_or_create(&by).set(concurrency.into());
    }

    /// Shows the failures of this watch from the start.
    pub fn watches(&self, kind: &'static str) {
        self.watch_failures.get_or_create_owned(&ByKind { kind });
        self.unlisted.get_or_create_owned(&ByKind { kind });
    }

    /// Counts a namespace that is left out until what is given is dropped.
    pub(crate) fn unlisted(&self, kind: &'static str) -> Unlisted {
        let gauge = self.unlisted.get_or_create_owned(&ByKind { kind });
        gauge.inc();
        Unlisted(gauge)
    }

    /// From now on a scrape shows what this engine knows.
    pub fn shows(&self, engine: Weak<dyn Snapshot>) {
        self.scrape.shows(engine);
    }

    /// One reconcile is under way until what is given is dropped.
    pub(crate) fn started(&self, controller: &'static str) -> Started<'_> {
        let by = ByController { controller };
        self.active.get_or_create(&by).inc();
        Started { metrics: self, by, at: Instant::now() }
    }

    /// Counts one failure of a list or a watch.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&ByKind { kind }).inc();
    }
}

/// A namespace that is left out.
pub(crate) struct Unlisted(Gauge);

impl Drop for Unlisted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A reconcile under way.
pub(crate) struct Started<'a> {
    metrics: &'a Metrics,
    by: ByController,
    at: Instant,
}

impl Started<'_> {
    /// Counts it. One that is dropped without was aborted with its process.
    pub(crate) fn ended(self, outcome: &Outcome) {
        let (metrics, by) = (self.metrics, self.by);
        let (controller, result) = (by.controller, outcome.kind.result());
        let reason = outcome.reason.map_or("None", Reason::as_str);
        metrics.reconciles.get_or_create(&ByResult { controller, result }).inc();
        metrics.reasons.get_or_create(&ByReason { controller, reason }).inc();
        metrics.seconds.get_or_create(&by).observe(self.at.elapsed().as_secs_f64());
        let counts = [
            (&metrics.errors, result == OutcomeKind::Error.result()),
            (&metrics.panics, outcome.kind == OutcomeKind::Panicked),
            (&metrics.kubernetes_failures, outcome.kind == OutcomeKind::Refused),
            (&metrics.drift_found, outcome.drift != Drifted::No),
            (&metrics.drift_repaired, outcome.drift == Drifted::Repaired),
        ];
        for (count, _) in counts.into_iter().filter(|(_, counts)| *counts) {
            count.get_or_create(&by).inc();
        }
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        self.metrics.active.get_or_create(&self.by).dec();
    }
}
