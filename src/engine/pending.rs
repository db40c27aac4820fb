//! The intent to create, kept in an annotation between the patch that begins a create and the status that records it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::annotation::CREATE_PENDING;

/// What was about to be created. Tenant input like every annotation: it never proves ownership by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCreate {
    /// UID of the resource that wrote it; a copy of the annotation on another resource means nothing.
    pub uid: String,
    /// The name sent to ZITADEL.
    pub name: String,
    /// ZITADEL's own time before the create was sent.
    pub after: Timestamp,
    /// The organization it was sent to.
    pub organization: String,
    /// The instance it was sent to.
    pub instance: String,
    /// What the resource owned before, and what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl PendingCreate {
    /// The intent in the annotations of the resource with this UID; one that is not its own or does not parse is none.
    pub fn of(annotation: Option<&str>, uid: &str) -> Option<Self> {
        serde_json::from_str::<Self>(annotation?).ok().filter(|pending| pending.uid == uid)
    }

    /// Whether its outcome is recorded: the resource owns something else than it did before.
    pub fn is_settled(&self, owned: Option<&str>) -> bool {
        owned.is_some() && owned != self.replaces.as_deref()
    }

    /// The annotation that holds it.
    pub fn annotation(&self) -> (&'static str, Option<String>) {
        (CREATE_PENDING, serde_json::to_string(self).ok())
    }

    /// Whether an object with this creation date can be the one.
    pub fn can_be(&self, creation_date: Option<Timestamp>) -> bool {
        creation_date.is_some_and(|date| date >= self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_settled_once_the_resource_owns_something_else_than_before() {
        let intent = |replaces: Option<&str>| PendingCreate {
            uid: "u".into(),
            name: "web".into(),
            after: Timestamp::UNIX_EPOCH,
            organization: "o".into(),
            instance: "i".into(),
            replaces: replaces.map(str::to_owned),
        };
        assert!(!intent(None).is_settled(None), "the status is lost, or was not written yet");
        assert!(intent(None).is_settled(Some("1")));
        assert!(!intent(Some("1")).is_settled(Some("1")), "what is gone was to be made again");
        assert!(intent(Some("1")).is_settled(Some("2")));
    }
}
