//! What writes answer.

use jiff::Timestamp;
use serde::Deserialize;

use crate::zitadel::answer::short;

/// What ZITADEL says about any object's last write; writes answer with one of the two dates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// Counts the events of the aggregate: a uint64 in decimal, comparable within one aggregate only.
    #[serde(deserialize_with = "short")]
    pub sequence: String,
    /// When the object was created.
    pub creation_date: Option<Timestamp>,
    /// When the object was last changed.
    pub change_date: Option<Timestamp>,
    /// The id of the organization (or instance) that owns the object.
    #[serde(deserialize_with = "short")]
    pub resource_owner: String,
}

/// The answer to a create.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// The id that the server gave.
    #[serde(alias = "organizationId", deserialize_with = "short")]
    pub id: String,
    /// The write.
    #[serde(default)]
    pub details: Details,
}

/// The answer to any other write.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) details: Details,
}
