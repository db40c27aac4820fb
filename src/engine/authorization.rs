//! The one gate: whether the namespace of a resource may do something in ZITADEL through its connection.
//!
//! Objects are bound in [`Run::bind`] and [`Run::bind_setting`], written and removed in [`Run::send`],
//! [`Run::send_removal`] and [`Run::send_mark`], and nowhere else; each asks here first, with what ZITADEL says of the object.

use std::collections::BTreeMap;

use super::access::{self, Action, Request, Right};
use super::claims::Claimant;
use super::fault::Fault;
use super::kind::{Kind, Report};
use super::plan::Target;
use super::references::ORGANIZATION;
use super::run::Run;
use super::session::Session;
use crate::api::connection::AccessGrant;
use crate::api::{CommonStatus, OrganizationSelector, Origin, Reason};
use crate::zitadel::Error;

impl<K: Kind> Run<'_, K> {
    /// May this be done to the object that ZITADEL says is there; with `None` to one that is not, or was not read yet?
    ///
    /// # Errors
    /// `AccessDenied` where the connection does not grant it; `Conflict` where the object is of another organization
    /// than the one that this resource was let into.
    pub(super) async fn authorize(&self, action: Action, object: Option<&Report>) -> Result<(), Fault> {
        let reach = self.reach.as_ref().ok_or(Fault::Stale)?;
        let (session, instance) = (&reach.session, &reach.instance);
        if K::right() == Right::OrganizationItself {
            let id = object.map(|object| object.id.as_str()).or(self.target_id.as_deref());
            return self.authorize_in(session, instance, id.unwrap_or_default(), action).await;
        }
        if let Some(owner) = object.map(|object| &object.owner)
            && !owner.is_empty()
            && *owner != reach.organization
        {
            return Err(self.is_foreign());
        }
        self.authorize_in(session, instance, &reach.organization, action).await
    }

    /// The same for anything of this kind that is in this organization, or is it.
    pub(super) async fn authorize_in(
        &self,
        session: &Session,
        instance: &str,
        organization: &str,
        action: Action,
    ) -> Result<(), Fault> {
        let Some(grants) = &session.access else { return Ok(()) };
        let labels = self.namespace_labels()?;
        let request = Self::request(action, organization, None);
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
            Err(Fault::Zitadel(Error::OrganizationNotFound { .. }))
                if self.is_deleting() && action == Action::Read =>
            {
                // Nothing is left there to be let into.
                return Ok(());
            }
            Err(fault) => return Err(self.veiled(session, (organization, None), fault)),
        };
        match access::granted(grants, &labels, Request { name: Some(&name), ..request }) {
            true => Ok(()),
            false => Err(self.not_granted(action)),
        }
    }

    fn request<'a>(action: Action, id: &'a str, name: Option<&'a str>) -> Request<'a> {
        Request { action, kind: K::KIND, right: K::right(), id, name, created: false }
    }

    /// A namespace that no grant selects costs no call.
    pub(super) fn check_namespace(&self, session: &Session) -> Result<(), Fault> {
        match &session.access {
            Some(grants) if !access::selects(grants, &self.namespace_labels()?) => {
                Err(self.not_granted(Action::Read))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is an organization, or several of a name, is told only to whom it is granted or was.
    pub(super) fn veiled(&self, session: &Session, (id, name): (&str, Option<&str>), fault: Fault) -> Fault {
        let tells =
            matches!(fault, Fault::Blocked { .. } | Fault::Zitadel(Error::OrganizationNotFound { .. }));
        let request = Self::request(Action::Read, id, name);
        match (&session.access, self.namespace_labels()) {
            (Some(grants), Ok(labels))
                if tells && self.target != Target::Bound && !access::granted(grants, &labels, request) =>
            {
                self.not_granted(Action::Read)
            }
            _ => fault,
        }
    }

    /// Did the namespace create the organization through this connection?
    async fn is_its_own(
        &self,
        grants: &[AccessGrant],
        labels: &BTreeMap<String, String>,
        instance: &str,
        organization: &str,
    ) -> Result<bool, Fault> {
        match K::right() {
            Right::OrganizationItself => {
                let is_bound_to_it = self.bond.id.as_deref() == Some(organization);
                let is_marked = self.recognized && self.target_id.as_deref() == Some(organization);
                Ok(is_marked || is_bound_to_it && self.bond.origin == Some(Origin::Created))
            }
            _ if !access::creates(grants, labels) => Ok(false),
            _ => self.lives_with_its_own(instance, organization).await,
        }
    }

    /// An organization that an `Organization` of this namespace created through this connection counts as granted.
    ///
    /// Where both are deleted at once it may be gone first: then what the status says of it counts, until somebody else
    /// takes the organization.
    async fn lives_with_its_own(&self, instance: &str, organization: &str) -> Result<bool, Fault> {
        let here = Some(self.handle.address.namespace.as_str());
        self.engine.directories.known(&[ORGANIZATION], here, &self.handle.address).await?;
        // Through a connection of its own a tenant can have a server that claims anything.
        let owners = self.engine.owners(instance, organization).into_iter();
        let owners: Vec<Claimant> = owners.filter(Claimant::is_shared).collect();
        if owners.is_empty() && self.is_deleting() && self.target == Target::Bound {
            let created = self.bond.organization_origin == Some(Origin::Created);
            return Ok(created && !self.is_owned_elsewhere(instance, organization).await?);
        }
        let Some(owner) = owners.into_iter().find(|owner| owner.is_neighbour(&self.claimant())) else {
            return Ok(false);
        };
        let through_this = self.engine.index.uses(&self.key, &owner);
        let created = |status: CommonStatus| status.origin == Some(Origin::Created);
        Ok(through_this && self.status_of(&owner.address).await?.is_some_and(created))
    }

    /// Remembers that the namespace created the organization that the resource lives in.
    pub(super) async fn learn_home(&mut self, session: &Session, instance: &str, organization: &str) {
        let is_news = self.bond.organization_origin.is_none();
        if is_news
            && self.is_managed()
            && session.access.is_some()
            && matches!(self.lives_with_its_own(instance, organization).await, Ok(true))
        {
            self.bond.organization_origin = Some(Origin::Created);
        }
    }

    /// May the namespace create organizations through the connection, and so have back what it created? Connections of
    /// its own have no grants: it needs no mark there, and their servers could say anything of it.
    pub(super) fn may_be_marked(&self, session: &Session) -> Result<bool, Fault> {
        let Some(grants) = &session.access else { return Ok(false) };
        Ok(K::right() == Right::OrganizationItself
            && self.is_managed()
            && access::creates(grants, &self.namespace_labels()?))
    }

    fn namespace_labels(&self) -> Result<BTreeMap<String, String>, Fault> {
        let namespace = &self.handle.address.namespace;
        self.engine.namespace_labels(namespace).ok_or_else(|| Fault::Waiting {
            reason: Reason::AccessDenied,
            message: format!("the labels of namespace {namespace} are not known yet"),
        })
    }

    fn is_foreign(&self) -> Fault {
        Fault::Blocked {
            reason: Reason::Conflict,
            message: format!(
                "ZITADEL says that this {} belongs to another organization than the one that was asked for: nothing of it is touched",
                K::KIND
            ),
        }
    }

    fn not_granted(&self, action: Action) -> Fault {
        Fault::Blocked {
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
        let organization = match (self.object.organization(), K::right(), &self.target_id) {
            (Some(OrganizationSelector { id: Some(id), .. }), ..) => format!("the organization {id}"),
            (Some(OrganizationSelector { name: Some(name), .. }), ..) => format!("the organization {name:?}"),
            (Some(OrganizationSelector { r#ref: Some(reference), .. }), ..) => {
                format!("the organization of {}", self.neighbour(&reference.name))
            }
            (None, Right::OrganizationItself, Some(id)) => format!("the organization {id}"),
            _ => "its default organization".into(),
        };
        match (K::right(), action) {
            (Right::OrganizationItself, Action::Create) => {
                "to create organizations (createOrganizations)".into()
            }
            (Right::OrganizationItself, Action::Adopt | Action::Remove) => format!(
                "to take over or remove {organization}, which it did not create (organizations and deleteOrganizations)"
            ),
            (Right::Kind, _) => format!(
                "{} in {organization} (organizations, and kinds: ZITADEL asks for more than ORG_OWNER)",
                K::KIND
            ),
            (Right::Instance, _) => format!("{} (instance and kinds)", K::KIND),
            (Right::Organization | Right::OrganizationItself, _) => organization,
        }
    }
}
