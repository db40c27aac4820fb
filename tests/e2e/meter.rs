//! Reads the metrics of an operator as a scrape shows them.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;
use zitadel_operator::engine::metrics::counters::Metrics;

use crate::waits::until_answered;

/// The page of one operator.
#[derive(Default)]
pub struct Meter {
    registry: Registry,
    pub metrics: Metrics,
}

/// One line of the page: its labels and its value.
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Meter {
    pub fn new() -> Self {
        let mut meter = Self::default();
        meter.metrics.register(&mut meter.registry);
        meter
    }

    pub fn page(&self) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry).expect("text");
        page
    }

    pub fn samples(&self) -> Vec<Sample> {
        samples(&self.page())
    }

    /// The sum of the samples of this name, without the common prefix, that have these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        sum(&self.samples(), name, labels)
    }

    /// Waits until this value holds.
    pub async fn until(&self, name: &str, labels: &[(&str, &str)], holds: impl Fn(f64) -> bool) {
        let what = format!("had such a value of {name}");
        until_answered(&what, async || {
            let value = self.value(name, labels);
            (holds(value), value)
        })
        .await;
    }

    /// The names of the page as a table of metrics has them: without what a histogram adds to its name.
    pub fn names(&self) -> BTreeSet<String> {
        let page = self.page();
        let histograms: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" histogram").map(str::to_owned))
            .collect();
        let name = |sample: Sample| {
            let of = |histogram: &&String| sample.name.starts_with(&format!("{histogram}_"));
            histograms.iter().find(of).cloned().unwrap_or(sample.name.clone())
        };
        samples(&page).into_iter().map(name).collect()
    }
}

/// The sum of those of one look that have this name, without the common prefix, and these labels.
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &Sample, (label, value): &(&str, &str)| {
        sample.labels.get(*label).is_some_and(|known| known == value)
    };
    let named = samples.iter().filter(|sample| sample.name == format!("zitadel_operator_{name}"));
    named.filter(|sample| labels.iter().all(|label| has(sample, label))).map(|sample| sample.value).sum()
}

/// The samples of a page.
pub fn samples(page: &str) -> Vec<Sample> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (label, value) = pair.split_once("=\"").expect("a label");
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        };
        Sample {
            name: name.to_owned(),
            labels: pairs.map(pair).collect(),
            value: value.parse().expect("a number"),
        }
    };
    lines.map(sample).collect()
}
