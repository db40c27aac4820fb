//! What a reconcile knows of its object: who owns it, the way to it, and what keeps its name.

use std::sync::Arc;

use crate::api::{CommonStatus, Origin};
use crate::connection::session::Session;
use crate::engine::admission::limiter::Admission;
use crate::engine::decision::claimant::Claimant;
use crate::zitadel::Client;

/// What ties a resource to its object; proved by the status alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ownership {
    pub(crate) id: Option<String>,
    pub(crate) organization: Option<String>,
    /// The project, where that is the parent.
    pub(crate) project: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) organization_origin: Option<Origin>,
}

impl Ownership {
    /// What a status proves.
    pub(crate) fn recorded(status: &CommonStatus) -> Self {
        Self {
            id: status.id.clone(),
            organization: status.organization_id.clone(),
            project: status.project_id.clone(),
            instance: status.instance.clone(),
            origin: status.origin,
            organization_origin: status.organization_origin.filter(|_| status.organization_id.is_some()),
        }
    }
}

/// Where the object is: session, instance and parent, once they are known.
pub(crate) struct Target {
    pub(crate) session: Arc<Session>,
    /// Its client, whose answers this reconcile holds.
    pub(crate) client: Client,
    pub(crate) instance: String,
    pub(crate) parents: Parents,
    pub(crate) _admission: Admission,
}

/// What an object is under.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parents {
    /// The id of the organization; empty for an object of the instance.
    pub(crate) organization: String,
    /// The id of the parent itself, which may be that organization; empty where it is the instance.
    pub(crate) parent: String,
}

impl Parents {
    /// The organization with this id.
    pub(crate) fn of_organization(id: String) -> Self {
        Self { parent: id.clone(), organization: id }
    }
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
