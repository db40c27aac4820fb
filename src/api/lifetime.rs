//! How long something counts.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{Spacing, SpanPrinter};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use crate::api::interval::parse;

/// Ten years, as in the schema.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long something counts: a Go-style duration (`12h`, `1h30m`) of at most ten years, also `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Duration);

/// In Go's notation, in whole numbers of the largest units: `240h`, `1h30m`, `0s`.
pub fn in_go(duration: SignedDuration) -> String {
    SpanPrinter::new().spacing(Spacing::None).duration_to_string(&duration)
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer, &(Duration::ZERO..=LONGEST)).map(Self)
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        in_go(SignedDuration::try_from(self.0).map_err(ser::Error::custom)?).serialize(serializer)
    }
}

impl JsonSchema for Lifetime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lifetime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What the API server calls a duration is Go's, and a rule sees it as one.
        json_schema!({
            "type": "string",
            "format": "duration",
            "maxLength": 32,
            "pattern": r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$",
            "x-kubernetes-validations": [{
                "rule": "self <= duration('87600h')",
                "message": "must be at most 87600h",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_may_be_zero_or_years_and_is_written_in_whole_units() {
        for (text, written) in [
            ("0s", Some("0s")),
            ("240h", Some("240h")),
            ("864000s", Some("240h")),
            ("90m", Some("1h30m")),
            ("1.5s", Some("1s500ms")),
            ("87600h", Some("87600h")),
            ("87601h", None),
            ("-1s", None),
            ("", None),
        ] {
            let lifetime = serde_json::from_value::<Lifetime>(text.into()).ok();
            let lifetime = lifetime.map(|lifetime| serde_json::to_value(lifetime).unwrap());
            assert_eq!(lifetime, written.map(Into::into), "{text:?}");
        }
    }
}
