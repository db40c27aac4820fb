//! What a reconcile knows of its object: who owns it, the way to it, and what keeps its name.

use std::sync::Arc;

use crate::api::Origin;
use crate::connection::session::Session;
use crate::engine::admission::limiter::Admission;
use crate::engine::decision::claimant::Claimant;
use crate::zitadel::Client;

/// What ties a resource to its object; proved by the status alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ownership {
    pub(crate) id: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) organization_origin: Option<Origin>,
}

/// Where the object is: session, instance and parent, once they are known.
pub(crate) struct Target {
    pub(crate) session: Arc<Session>,
    /// Its client, whose answers this reconcile holds.
    pub(crate) client: Client,
    pub(crate) instance: String,
    pub(crate) organization: String,
    pub(crate) _admission: Admission,
}

/// What keeps a name from being used.
pub(crate) struct Rival {
    pub(crate) id: String,
    /// Whether the namespace may know it.
    pub(crate) known: bool,
    pub(crate) holder: Option<Claimant>,
    /// What it has besides the name.
    pub(crate) what: Option<String>,
}
