//! The one gate: whether the namespace of a resource may do something in ZITADEL through its connection.
//!
//! Objects are bound in [`Run::take_ownership`] and [`Run::own_keys`], written and removed in [`Run::send`],
//! [`Run::send_removal`] and [`Run::send_mark`], and nowhere else; each asks here first, with what ZITADEL says of the object.

use std::collections::BTreeMap;

use crate::api::address::ORGANIZATION;
use crate::api::connection::AccessGrant;
use crate::api::{CommonStatus, OrganizationSelector, Origin, Reason};
use crate::connection::session::Session;
use crate::engine::decision::access::{self, Action, Request, Right};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::ExternalRef;
use crate::engine::drivers::remote::Remote;
use crate::engine::reconcile::state::Run;
use crate::zitadel::Error;

impl Run<'_> {
    /// May this be done to the object that ZITADEL says is there; with `None` to one that is not, or was not read yet?
    ///
    /// # Errors
    /// `AccessDenied` where the connection does not grant it; `Conflict` where the object is of another organization
    /// than the one that this resource was let into.
    pub(crate) async fn authorize(
        &self,
        action: Action,
        object: Option<&Remote>,
    ) -> Result<(), ReconcileError> {
        let target = self.target.as_ref().ok_or(ReconcileError::Stale)?;
        let (session, instance) = (&target.session, &target.instance);
        if self.kind.is_organization() {
            let id = object.map(|object| object.id.as_str()).or(self.external_id.as_deref());
            return self.authorize_in(session, instance, id.unwrap_or_default(), action).await;
        }
        if let Some(owner) = object.map(|object| &object.owner)
            && !owner.is_empty()
            && *owner != target.parents.organization
        {
            return Err(self.is_foreign());
        }
        self.authorize_in(session, instance, &target.parents.organization, action).await
    }

    /// The same for anything of this kind that is in this organization, or is it.
    pub(crate) async fn authorize_in(
        &self,
        session: &Session,
        instance: &str,
        organization: &str,
        action: Action,
    ) -> Result<(), ReconcileError> {
        let Some(grants) = &session.access else { return Ok(()) };
        let labels = self.namespace_labels()?;
        let request = self.request(action, organization, None);
        let created = !access::granted(grants, &labels, request)
            && self.is_its_own(grants, &labels, instance, organization).await?;
        let request = Request { created, ..request };
        if access::granted(grants, &labels, request) {
            return Ok(());
        }
        if organization.is_empty() || !access::needs_name(grants, &labels) {
            return Err(self.not_granted(action));
        }
        let name = match session.organization_name(organization).await {
            Ok(name) => name,
            Err(ReconcileError::Zitadel(Error::OrganizationNotFound { .. }))
                if self.is_deleting() && action == Action::Read =>
            {
                // Nothing is left there to be let into.
                return Ok(());
            }
            Err(error) => return Err(self.hidden(session, (organization, None), error)),
        };
        match access::granted(grants, &labels, Request { name: Some(&name), ..request }) {
            true => Ok(()),
            false => Err(self.not_granted(action)),
        }
    }

    fn request<'a>(&self, action: Action, id: &'a str, name: Option<&'a str>) -> Request<'a> {
        Request { action, kind: self.kind.name, right: self.kind.right(), id, name, created: false }
    }

    /// A namespace that no grant selects costs no call.
    pub(crate) fn check_namespace(&self, session: &Session) -> Result<(), ReconcileError> {
        match &session.access {
            Some(grants) if !access::selects(grants, &self.namespace_labels()?) => {
                Err(self.not_granted(Action::Read))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is an organization, or several of a name, is told only to whom it is granted or was.
    pub(crate) fn hidden(
        &self,
        session: &Session,
        (id, name): (&str, Option<&str>),
        error: ReconcileError,
    ) -> ReconcileError {
        let tells = matches!(
            error,
            ReconcileError::Stalled { .. } | ReconcileError::Zitadel(Error::OrganizationNotFound { .. })
        );
        let request = self.request(Action::Read, id, name);
        match (&session.access, self.namespace_labels()) {
            (Some(grants), Ok(labels))
                if tells
                    && self.external != ExternalRef::Owned
                    && !access::granted(grants, &labels, request) =>
            {
                self.not_granted(Action::Read)
            }
            _ => error,
        }
    }

    /// Did the namespace create the organization through this connection?
    async fn is_its_own(
        &self,
        grants: &[AccessGrant],
        labels: &BTreeMap<String, String>,
        instance: &str,
        organization: &str,
    ) -> Result<bool, ReconcileError> {
        match self.kind.right() {
            Right::OrganizationItself => {
                let is_bound_to_it = self.ownership.id.as_deref() == Some(organization);
                let is_marked = self.recognized && self.external_id.as_deref() == Some(organization);
                Ok(is_marked || is_bound_to_it && self.ownership.origin == Some(Origin::Created))
            }
            _ if organization.is_empty() || !access::creates(grants, labels) => Ok(false),
            _ => self.is_in_own_organization(instance, organization).await,
        }
    }

    /// An organization that an `Organization` of this namespace created through this connection counts as granted.
    ///
    /// Where both are deleted at once it may be gone first: then what the status says of it counts, until somebody else
    /// takes the organization.
    async fn is_in_own_organization(
        &self,
        instance: &str,
        organization: &str,
    ) -> Result<bool, ReconcileError> {
        let here = Some(self.handle.address.namespace.as_str());
        self.engine.resource_indexes.known(&[ORGANIZATION], here, &self.handle.address).await?;
        // Through a connection of its own a tenant can have a server that claims anything.
        let owners = self.engine.owners(instance, organization).into_iter();
        let owners: Vec<Claimant> = owners.filter(Claimant::is_shared).collect();
        if owners.is_empty() && self.is_deleting() && self.external == ExternalRef::Owned {
            let created = self.ownership.organization_origin == Some(Origin::Created);
            return Ok(created && !self.is_owned_elsewhere(instance, organization).await?);
        }
        let Some(owner) = owners.into_iter().find(|owner| owner.is_same_namespace(&self.claimant())) else {
            return Ok(false);
        };
        let through_this = self.engine.index.uses(&self.key, &owner);
        let created = |status: CommonStatus| status.origin == Some(Origin::Created);
        Ok(through_this && self.status_of(&owner.address).await?.is_some_and(created))
    }

    /// Remembers that the namespace created the organization that the resource lives in.
    pub(crate) async fn record_organization_origin(
        &mut self,
        session: &Session,
        instance: &str,
        organization: &str,
    ) {
        let is_news = self.ownership.organization_origin.is_none();
        if is_news
            && self.is_managed()
            && session.access.is_some()
            && matches!(self.is_in_own_organization(instance, organization).await, Ok(true))
        {
            self.ownership.organization_origin = Some(Origin::Created);
        }
    }

    /// May the namespace create organizations through the connection, and so have back what it created? Connections of
    /// its own have no grants: it needs no mark there, and their servers could say anything of it.
    pub(crate) fn may_be_marked(&self, session: &Session) -> Result<bool, ReconcileError> {
        let Some(grants) = &session.access else { return Ok(false) };
        Ok(self.kind.right() == Right::OrganizationItself
            && self.is_managed()
            && access::creates(grants, &self.namespace_labels()?))
    }

    fn namespace_labels(&self) -> Result<BTreeMap<String, String>, ReconcileError> {
        let namespace = &self.handle.address.namespace;
        self.engine.namespace_labels(namespace).ok_or_else(|| ReconcileError::Waiting {
            reason: Reason::AccessDenied,
            message: format!("the labels of namespace {namespace} are not known yet"),
        })
    }

    fn is_foreign(&self) -> ReconcileError {
        ReconcileError::Stalled {
            reason: Reason::Conflict,
            message: format!(
                "ZITADEL says that this {} belongs to another organization than the one that was asked for: nothing of it is touched",
                self.kind.name
            ),
        }
    }

    fn not_granted(&self, action: Action) -> ReconcileError {
        ReconcileError::Stalled {
            reason: Reason::AccessDenied,
            message: format!(
                "{} does not grant namespace {} {}: a cluster admin adds it to spec.access",
                self.key,
                self.handle.address.namespace,
                self.denied_right(action)
            ),
        }
    }

    /// Names the organization as the spec does: what it resolved to is not for everybody.
    fn denied_right(&self, action: Action) -> String {
        let organization = match (self.object.organization(), self.kind.right(), &self.external_id) {
            (Some(OrganizationSelector { id: Some(id), .. }), ..) => format!("the organization {id}"),
            (Some(OrganizationSelector { name: Some(name), .. }), ..) => format!("the organization {name:?}"),
            (Some(OrganizationSelector { r#ref: Some(reference), .. }), ..) => {
                format!("the organization of {}", self.in_same_namespace(ORGANIZATION, &reference.name))
            }
            (None, Right::OrganizationItself, Some(id)) => format!("the organization {id}"),
            _ => "its default organization".into(),
        };
        match (self.kind.right(), action) {
            (Right::OrganizationItself, Action::Create) => {
                "to create organizations (createOrganizations)".into()
            }
            (Right::OrganizationItself, Action::Adopt | Action::Remove) => format!(
                "to take over or remove {organization}, which it did not create (organizations and deleteOrganizations)"
            ),
            (Right::Kind, _) => format!(
                "{} in {organization} (organizations, and kinds: ZITADEL asks for more than ORG_OWNER)",
                self.kind.name
            ),
            (Right::Instance, _) => format!("{} (instance and kinds)", self.kind.name),
            (Right::Organization | Right::OrganizationItself, _) => organization,
        }
    }
}
