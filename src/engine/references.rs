//! Which organization a resource lives in, whether its namespace may go there, and who lives in an `Organization`.

use std::collections::BTreeMap;

use super::access::{self, Asked, granted, needs_name, selects};
use super::address::Address;
use super::claims::{Claim, Claimant};
use super::fault::Fault;
use super::kind::{Kind, Scope};
use super::plan::Target;
use super::run::Run;
use super::session::Session;
use super::{Engine, Having, Place};
use crate::api::connection::AccessGrant;
use crate::api::{CommonStatus, ConditionType, OrganizationSelector, Origin, Reason};
use crate::zitadel::Error;

/// The kind whose resources own organizations.
pub const ORGANIZATION: &str = "Organization";

/// So many of those who live in an organization are named.
const NAMED: usize = 3;

impl Engine {
    /// Wakes what lives in an organization, or waits to.
    pub(super) fn wake_inhabitants(&self, owner: &Claimant, id: Option<&str>, instance: Option<&str>) {
        let instances: Vec<String> = instance.into_iter().map(Into::into).collect();
        let place = id.map(|id| Place { id, instances: &instances });
        self.wakes.wake(self.resources(Having::Organization { owner, place }));
    }

    /// Wakes the `Organization` that owns this organization: one that lived there is gone.
    pub(super) fn wake_owner(&self, inhabitant: &Claimant, status: &CommonStatus) {
        let Some((instance, id)) = status.instance.as_deref().zip(status.organization_id.as_deref()) else {
            return;
        };
        let owners = self.owners(instance, id).into_iter().filter(|owner| owner.houses(inhabitant));
        self.wakes.wake(owners.map(|owner| owner.address));
    }

    /// The `Organization`s that own this organization, each through a connection of its own.
    fn owners(&self, instance: &str, id: &str) -> Vec<Claimant> {
        let claim = Claim { instance: instance.into(), target: format!("{ORGANIZATION}/{id}") };
        self.claims.holders(&claim)
    }
}

impl<K: Kind> Run<'_, K> {
    /// The organization of the resource, granted to its namespace.
    pub(super) async fn organization_of(&self, session: &Session, instance: &str) -> Result<String, Fault> {
        let intended = self.intent.as_ref().map(|intent| intent.organization.clone());
        let id = match self.bond.organization.clone().or(intended) {
            Some(id) => {
                self.check_reference(&id).await?;
                id
            }
            None if K::SCOPE == Scope::Instance => String::new(),
            None => self.resolve_organization(session).await?,
        };
        if K::SCOPE == Scope::Organization {
            self.authorize(session, instance, &id).await?;
        }
        Ok(id)
    }

    async fn resolve_organization(&self, session: &Session) -> Result<String, Fault> {
        match self.object.organization() {
            None => session.default_organization().await,
            Some(OrganizationSelector { id: Some(id), .. }) => Ok(id.clone()),
            Some(OrganizationSelector { name: Some(name), .. }) => {
                let asked = Asked { id: "", name: Some(name) };
                session.organization_named(name).await.map_err(|fault| self.veiled(session, asked, fault))
            }
            Some(OrganizationSelector { r#ref: Some(reference), .. }) => {
                self.referenced(&reference.name).await
            }
            Some(_) => Err(Fault::Blocked {
                reason: Reason::InvalidSpec,
                message: "spec.organization names nothing: set id, name or ref".into(),
            }),
        }
    }

    /// The id of an `Organization` of this namespace once it is ready; that wakes this resource.
    async fn referenced(&self, name: &str) -> Result<String, Fault> {
        let address = self.neighbour(name);
        let waiting = |reason, message| Err(Fault::Waiting { reason, message });
        let Some(status) = self.status_of(&address).await? else {
            let message = format!("{address} does not exist: create it, or correct spec.organization.ref");
            return waiting(Reason::ReferenceNotFound, message);
        };
        let ready = ConditionType::Ready.find(&status.conditions).is_some_and(|c| c.status == "True");
        match status.id.filter(|_| ready) {
            Some(id) => Ok(id),
            None => waiting(Reason::ReferenceNotReady, format!("{address} is not ready: see its conditions")),
        }
    }

    /// What is bound stays where it is: a reference that leads elsewhere now is a person's mistake.
    async fn check_reference(&self, bound: &str) -> Result<(), Fault> {
        let Some(address) = self.home().filter(|_| !self.is_deleting()) else { return Ok(()) };
        match self.status_of(&address).await?.and_then(|status| status.id) {
            Some(id) if id != bound => Err(Fault::Blocked {
                reason: Reason::Conflict,
                message: format!(
                    "{address} is the organization {id} now, and this resource lives in {bound}: create it anew to move it"
                ),
            }),
            _ => Ok(()),
        }
    }

    async fn status_of(&self, address: &Address) -> Result<Option<CommonStatus>, Fault> {
        self.engine.status_of(address, &self.handle.address).await
    }

    /// The `Organization` that the spec refers to.
    pub(super) fn home(&self) -> Option<Address> {
        let reference = self.object.organization()?.r#ref.as_ref()?;
        Some(self.neighbour(&reference.name))
    }

    fn neighbour(&self, name: &str) -> Address {
        let namespace = self.handle.address.namespace.clone();
        Address { kind: ORGANIZATION, namespace, name: name.into() }
    }

    /// A namespace that no grant selects costs no call.
    pub(super) fn check_namespace(&self, session: &Session) -> Result<(), Fault> {
        match &session.access {
            Some(grants) if !selects(grants, &self.namespace_labels()?) => Err(self.not_granted()),
            _ => Ok(()),
        }
    }

    /// A shared connection serves a namespace only what it was granted; nothing granted, nothing sent.
    pub(super) async fn authorize(
        &self,
        session: &Session,
        instance: &str,
        organization: &str,
    ) -> Result<(), Fault> {
        let Some(grants) = &session.access else { return Ok(()) };
        let labels = self.namespace_labels()?;
        if self.lives_with_its_own(grants, &labels, instance, organization).await? {
            return Ok(());
        }
        let name = match needs_name(grants, &labels) {
            true => match session.organization_name(organization).await {
                Ok(name) => Some(name),
                Err(Fault::Zitadel(Error::OrganizationNotFound { .. })) if self.is_deleting() => {
                    return Ok(());
                }
                Err(fault) => {
                    let asked = Asked { id: organization, name: None };
                    return Err(self.veiled(session, asked, fault));
                }
            },
            false => None,
        };
        match granted(grants, &labels, Asked { id: organization, name: name.as_deref() }) {
            true => Ok(()),
            false => Err(self.not_granted()),
        }
    }

    /// Whether there is an organization, or several of a name, is told only to whom it is granted or was.
    fn veiled(&self, session: &Session, asked: Asked<'_>, fault: Fault) -> Fault {
        let tells =
            matches!(fault, Fault::Blocked { .. } | Fault::Zitadel(Error::OrganizationNotFound { .. }));
        match (&session.access, self.namespace_labels()) {
            (Some(grants), Ok(labels))
                if tells && self.target != Target::Bound && !granted(grants, &labels, asked) =>
            {
                self.not_granted()
            }
            _ => fault,
        }
    }

    /// An organization that an `Organization` of this namespace created through this connection counts as granted.
    ///
    /// Where both are deleted at once it may be gone first; that the status was bound by the reference proves it.
    async fn lives_with_its_own(
        &self,
        grants: &[AccessGrant],
        labels: &BTreeMap<String, String>,
        instance: &str,
        organization: &str,
    ) -> Result<bool, Fault> {
        if !access::creates(grants, labels) {
            return Ok(false);
        }
        let by_reference = self.object.organization().is_some_and(|selector| selector.r#ref.is_some());
        if self.is_deleting() && by_reference && self.target == Target::Bound {
            return Ok(true);
        }
        // Through a connection of its own a tenant can have a server that claims anything.
        let mut owners = self.engine.owners(instance, organization).into_iter();
        let Some(owner) = owners.find(|owner| owner.is_shared() && owner.is_neighbour(&self.claimant()))
        else {
            return Ok(false);
        };
        let through_this = self.engine.resources(Having::Connection(&self.key)).contains(&owner.address);
        let created = |status: CommonStatus| status.origin == Some(Origin::Created);
        Ok(through_this && self.status_of(&owner.address).await?.is_some_and(created))
    }

    /// The same for an organization itself: one of its own, one that is granted, or the right to create any.
    pub(super) async fn authorize_target(&self) -> Result<(), Fault> {
        let session = self.session()?;
        let (Scope::Instance, Some(grants)) = (K::SCOPE, &session.access) else { return Ok(()) };
        let creates = access::creates(grants, &self.namespace_labels()?);
        match &self.target_id {
            None if creates => Ok(()),
            None => Err(self.not_granted()),
            Some(_) if creates && self.bond.origin == Some(Origin::Created) => Ok(()),
            Some(id) => self.authorize(session, "", id).await,
        }
    }

    fn namespace_labels(&self) -> Result<BTreeMap<String, String>, Fault> {
        let namespace = &self.handle.address.namespace;
        self.engine.namespace_labels(namespace).ok_or_else(|| Fault::Waiting {
            reason: Reason::AccessDenied,
            message: format!("the labels of namespace {namespace} are not known yet"),
        })
    }

    /// Names the organization as the spec does: what it resolved to is not for everybody.
    fn not_granted(&self) -> Fault {
        let asked = match (self.object.organization(), K::SCOPE, &self.target_id) {
            (Some(OrganizationSelector { id: Some(id), .. }), ..) => format!("the organization {id}"),
            (Some(OrganizationSelector { name: Some(name), .. }), ..) => format!("the organization {name:?}"),
            (Some(OrganizationSelector { r#ref: Some(reference), .. }), ..) => {
                format!("the organization of {}", self.neighbour(&reference.name))
            }
            (None, Scope::Instance, None) => "to create organizations (createOrganizations)".into(),
            (None, Scope::Instance, Some(id)) => format!("the organization {id}"),
            _ => "its default organization".into(),
        };
        Fault::Blocked {
            reason: Reason::AccessDenied,
            message: format!(
                "{} does not grant namespace {} {asked}: a cluster admin adds it to spec.access",
                self.key, self.handle.address.namespace
            ),
        }
    }

    /// The resources that live in the organization this resource owns.
    pub(super) fn dependents(&self) -> Vec<Address> {
        let mut instances = self.engine.connections.previous_instances(&self.key);
        instances.extend(self.bond.instance.clone());
        let place = self.bond.id.as_deref().map(|id| Place { id, instances: &instances });
        self.engine.resources(Having::Organization { owner: &self.claimant(), place })
    }

    /// Names some of this namespace, so that the message has room for its remedy; other namespaces are none of a tenant's business.
    pub(super) fn describe_dependents(&self) -> String {
        let (mut near, far): (Vec<_>, Vec<_>) = self
            .dependents()
            .into_iter()
            .partition(|dependent| dependent.namespace == self.handle.address.namespace);
        near.sort();
        let mut named: Vec<String> = near.iter().take(NAMED).map(ToString::to_string).collect();
        if near.len() > NAMED {
            named.push(format!("{} more of this namespace", near.len() - NAMED));
        }
        if !far.is_empty() {
            named.push(format!("{} of other namespaces", far.len()));
        }
        named.join(", ")
    }
}
