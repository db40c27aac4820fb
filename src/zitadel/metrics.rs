//! What the client counts. Labels are bounded: a route is a template in the source, never a path.

use std::sync::atomic::AtomicU64;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// The code of a request that got no whole answer.
const NO_ANSWER: &str = "error";
/// The code of an answer whose status no standard knows: a server may answer anything, and each would be a series.
const OTHER: &str = "other";

/// What is requested, whatever the ids in the path are.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with a name in braces for each part that varies.
    pub template: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: String,
    route: &'static str,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Renewed {
    result: &'static str,
}

/// The client's metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Answered, Counter<u64, AtomicU64>>,
    seconds: Family<Answered, Histogram, fn() -> Histogram>,
    waits: Histogram,
    pauses: Counter<u64, AtomicU64>,
    renewals: Family<Renewed, Counter<u64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let renewals = Family::default();
        for result in ["success", "error"] {
            let _: &Counter<u64, AtomicU64> = &renewals.get_or_create(&Renewed { result });
        }
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            waits: buckets(),
            pauses: Counter::default(),
            renewals,
        }
    }
}

/// From 5 ms to 20 s, the longest that a call may take.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 13))
}

impl Metrics {
    /// Has a registry show them.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("zitadel");
        registry.register("requests", "Requests to ZITADEL by route and HTTP status", self.requests.clone());
        let help = "Duration of requests to ZITADEL, without the wait for the rate limit";
        registry.register("request_seconds", help, self.seconds.clone());
        let help = "Waits of requests for the rate limit of their connection";
        registry.register("rate_limit_wait_seconds", help, self.waits.clone());
        registry.register("pauses", "Pauses that ZITADEL asked for with a 429", self.pauses.clone());
        let help = "Attempts to get a token or to read it from its Secret again";
        registry.register("token_renewals", help, self.renewals.clone());
    }

    /// Counts a request from now until it is said to be answered; dropped before, it counts as one without an answer.
    pub(crate) fn sent(&self, route: Route) -> Sent<'_> {
        Sent { metrics: self, route, at: Instant::now(), code: None }
    }

    /// Counts the time until it is dropped as one wait for the rate limit.
    pub(crate) fn waiting(&self) -> Wait<'_> {
        Wait { metrics: self, since: Instant::now() }
    }

    pub(crate) fn paused(&self) {
        self.pauses.inc();
    }

    pub(crate) fn renewed<T, E>(&self, outcome: &Result<T, E>) {
        let result = if outcome.is_ok() { "success" } else { "error" };
        self.renewals.get_or_create(&Renewed { result }).inc();
    }
}

/// A request under way.
pub(crate) struct Sent<'a> {
    metrics: &'a Metrics,
    route: Route,
    at: Instant,
    code: Option<StatusCode>,
}

impl Sent<'_> {
    pub(crate) fn answered(mut self, code: Option<StatusCode>) {
        self.code = code;
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let code = self.code.map_or(NO_ANSWER.to_owned(), name);
        let Route { method, template } = &self.route;
        let labels = Answered { method: method.to_string(), route: template, code };
        self.metrics.requests.get_or_create(&labels).inc();
        self.metrics.seconds.get_or_create(&labels).observe(self.at.elapsed().as_secs_f64());
    }
}

fn name(code: StatusCode) -> String {
    code.canonical_reason().map_or(OTHER, |_| code.as_str()).to_owned()
}

/// A wait under way.
pub(crate) struct Wait<'a> {
    metrics: &'a Metrics,
    since: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.metrics.waits.observe(self.since.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn a_server_that_answers_any_status_makes_one_series() {
        let (metrics, mut registry, mut shown) = (Metrics::default(), Registry::default(), String::new());
        metrics.register(&mut registry);
        for code in [200, 299, 599, 799, 999] {
            let route = Route { method: Method::GET, template: "/auth/v1/users/me" };
            metrics.sent(route).answered(StatusCode::from_u16(code).ok());
        }
        encode(&mut shown, &registry).unwrap();
        let mut series: Vec<&str> =
            shown.lines().filter(|line| line.starts_with("zitadel_requests_total")).collect();
        series.sort_unstable();
        assert_eq!(series.len(), 2, "{series:?}");
        assert!(series[0].contains("code=\"200\"") && series[0].ends_with(" 1"), "{series:?}");
        assert!(series[1].contains("code=\"other\"") && series[1].ends_with(" 4"), "{series:?}");
    }
}
