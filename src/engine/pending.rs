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
}

impl PendingCreate {
    /// The intent in the annotations of the resource with this UID; one that is not its own or does not parse is none.
    pub fn of(annotation: Option<&str>, uid: &str) -> Option<Self> {
        serde_json::from_str::<Self>(annotation?).ok().filter(|pending| pending.uid == uid)
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
