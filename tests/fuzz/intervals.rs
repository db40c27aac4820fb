//! Durations as people write them.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use zitadel_operator::api::interval::Interval;

use crate::foreign::text;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

pub fn texts() -> impl Strategy<Value = String> {
    let number =
        prop_oneof!["[0-9]{1,12}", "[0-9]{1,9}\\.[0-9]{0,9}", "[-+]?[0-9]{0,3}[.,]?[0-9]{0,12}", text()];
    let units =
        ["ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "y", " hours", "", " ", "ago", "PT", "T", "S"];
    let part = (number, select(units.to_vec())).prop_map(|(number, unit)| number + unit);
    prop_oneof![8 => vec(part, 0..5).prop_map(|parts| parts.concat()), 1 => text()]
}

/// What is accepted is more than nothing, at most a week, and written as it is read.
pub fn come_back(text: String) {
    let parsed = serde_json::from_value::<Interval>(text.clone().into());
    let interval = match parsed.map_err(|error| error.to_string()) {
        Ok(interval) => interval,
        Err(error) => return assert!(error.contains("is not a duration") && error.len() < 500, "{error}"),
    };
    let duration = Duration::from(interval);
    assert!(!duration.is_zero() && duration <= WEEK, "{duration:?}");
    let written = serde_json::to_value(interval).unwrap();
    assert_eq!(serde_json::from_value::<Interval>(written.clone()).unwrap(), interval, "{written}");
}
