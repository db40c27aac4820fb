//! What the operator counts, in the Prometheus text format.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::api::Reason;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

/// The operator's metrics.
#[derive(Clone)]
pub struct Metrics {
    reconciles: Family<Outcome, Counter<u64, AtomicU64>>,
    seconds: Family<ByKind, Histogram>,
    panics: Family<ByKind, Counter<u64, AtomicU64>>,
    watch_failures: Family<ByKind, Counter<u64, AtomicU64>>,
    kubernetes_failures: Family<ByKind, Counter<u64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        Self {
            reconciles: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            panics: Family::default(),
            watch_failures: Family::default(),
            kubernetes_failures: Family::default(),
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
        registry.register("reconciles", "Reconciles by kind and resulting reason", self.reconciles.clone());
        registry.register("reconcile_duration_seconds", "Duration of reconciles", self.seconds.clone());
        registry.register("panics", "Reconciles that panicked", self.panics.clone());
        let help = "Failed lists and watches; what is new there is not seen meanwhile";
        registry.register("watch_failures", help, self.watch_failures.clone());
        let help = "Reconciles that the Kubernetes API refused or did not answer";
        registry.register("kubernetes_failures", help, self.kubernetes_failures.clone());
    }

    /// Counts one reconcile; without a reason nothing was told.
    pub fn reconciled(&self, kind: &'static str, reason: Option<Reason>, took: Duration) {
        let reason = reason.map_or("None", Reason::as_str);
        self.reconciles.get_or_create(&Outcome { kind, reason }).inc();
        self.seconds.get_or_create(&ByKind { kind }).observe(took.as_secs_f64());
    }

    /// Counts one panic.
    pub fn panicked(&self, kind: &'static str) {
        self.panics.get_or_create(&ByKind { kind }).inc();
    }

    /// Counts one reconcile that the Kubernetes API stopped.
    pub fn kubernetes_failed(&self, kind: &'static str) {
        self.kubernetes_failures.get_or_create(&ByKind { kind }).inc();
    }

    /// Counts one failure of a list or a watch.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&ByKind { kind }).inc();
    }
}
