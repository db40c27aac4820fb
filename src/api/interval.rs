//! Durations as people write them in Kubernetes.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A week, as in the schema; far more would overflow clocks.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many characters of a text are quoted; the schema allows no more.
const LONGEST_TEXT: usize = 32;

/// A Go-style duration (`10s`, `5m`, `1h30m`), more than zero and at most a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(Duration);

impl From<Duration> for Interval {
    fn from(duration: Duration) -> Self {
        Self(duration.min(LONGEST))
    }
}

impl From<Interval> for Duration {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

/// Reads a duration within these bounds.
pub(super) fn parse<'de, D: Deserializer<'de>>(
    deserializer: D,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.filter(|duration| bounds.contains(duration)).ok_or_else(|| {
        let start: String = text.chars().take(LONGEST_TEXT).collect();
        de::Error::custom(format!("{start:?} is not a duration like 10s, 5m or 1h30m"))
    })
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, &(Duration::from_nanos(1)..=LONGEST)).map(Self)
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        kube::core::Duration::from(self.0).serialize(serializer)
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
                "pattern": r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$",
            "x-kubernetes-validations": [{
                "rule": "duration(self) > duration('0s') && duration(self) <= duration('168h')",
                "message": "must be longer than 0s and at most 168h",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Duration> {
        serde_json::from_value::<Interval>(text.into()).ok().map(Duration::from)
    }

    #[test]
    fn durations_parse_as_people_write_them_and_nothing_overflows() {
        assert_eq!(parse("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("0.5s"), Some(Duration::from_millis(500)));
        for refused in ["", "10", "-5s", "0s", "1d2", "9999999999999999h", "5000000000000000h", "nonsense"] {
            assert_eq!(parse(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_refusal_quotes_the_beginning() {
        let error = serde_json::from_value::<Interval>("x".repeat(5000).into()).unwrap_err().to_string();
        assert!(error.contains("xxx") && error.len() < 100, "{error}");
    }

    #[test]
    fn the_default_is_written_as_it_is_read() {
        let ten_minutes = Interval::from(Duration::from_secs(600));
        let written = serde_json::to_value(ten_minutes).unwrap();
        assert_eq!(parse(written.as_str().unwrap()), Some(Duration::from_secs(600)));
    }
}
