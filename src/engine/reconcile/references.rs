//! Which organization a resource lives in, and who lives in an `Organization`.

use crate::api::address::Address;
use crate::api::{CommonStatus, ConditionType, Organization, OrganizationSelector, Reason};
use crate::connection::session::Session;
use crate::engine::decision::access::Action;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Kind, Parent};
use crate::engine::index::claims::Claim;
use crate::engine::index::selector::{OrganizationIdentity, Selector};
use crate::engine::reconcile::creation::{each_elsewhere, owns_in};
use crate::engine::reconcile::state::Run;
use crate::engine::shared::Engine;

/// The kind whose resources own organizations.
pub const ORGANIZATION: &str = "Organization";

/// So many of those who live in an organization are named.
const NAMED: usize = 3;

impl Engine {
    /// Wakes what lives in an organization, or waits to.
    pub(crate) fn wake_members(&self, owner: &Claimant, id: Option<&str>, instance: Option<&str>) {
        let instances: Vec<String> = instance.into_iter().map(Into::into).collect();
        let organization = id.map(|id| OrganizationIdentity { id, instances: &instances });
        self.requeues.wake(self.resources(Selector::Organization { owner, organization }));
    }

    /// Wakes the `Organization` that owns this organization: one that lived there is gone.
    pub(crate) fn wake_owner(&self, member: &Claimant, status: &CommonStatus) {
        let Some((instance, id)) = status.instance.as_deref().zip(status.organization_id.as_deref()) else {
            return;
        };
        let owners = self.owners(instance, id).into_iter().filter(|owner| owner.has_member(member));
        self.requeues.wake(owners.map(|owner| owner.address));
    }

    /// The `Organization`s that own this organization, each through a connection of its own.
    pub(crate) fn owners(&self, instance: &str, id: &str) -> Vec<Claimant> {
        let claim = Claim { instance: instance.into(), target: format!("{ORGANIZATION}/{id}") };
        self.claims.holders(&claim)
    }
}

impl<K: Kind> Run<'_, K> {
    /// The organization of the resource, granted to its namespace.
    pub(crate) async fn organization_of(
        &mut self,
        session: &Session,
        instance: &str,
    ) -> Result<String, ReconcileError> {
        let intended = self.intent.as_ref().and_then(|intent| intent.parent.clone());
        let id = match self.ownership.organization.clone().or(intended) {
            Some(id) => {
                self.check_reference(&id).await?;
                id
            }
            None if K::PARENT == Parent::Instance => String::new(),
            None => self.resolve_organization(session).await?,
        };
        if K::PARENT == Parent::Organization {
            self.authorize_in(session, instance, &id, Action::Read).await?;
            self.record_organization_origin(session, instance, &id).await;
        }
        Ok(id)
    }

    /// Does an `Organization` that another operator follows own it through a `ClusterConnection`? One that does not parse may.
    pub(crate) async fn is_owned_elsewhere(&self, instance: &str, id: &str) -> Result<bool, ReconcileError> {
        let owns = |owner: &Organization| owns_in(owner, Some(instance)) && owner.claimant().is_shared();
        let mut owned = false;
        each_elsewhere(self.engine, id, |guard| owned |= guard.0.as_ref().map_or(true, owns)).await?;
        Ok(owned)
    }

    async fn resolve_organization(&self, session: &Session) -> Result<String, ReconcileError> {
        match self.object.organization() {
            None => session.default_organization().await,
            Some(OrganizationSelector { id: Some(id), .. }) => Ok(id.clone()),
            Some(OrganizationSelector { name: Some(name), .. }) => {
                let likely = self.engine.organizations_called(&self.handle.address.namespace, name);
                let named = session.organization_named_or(name, &likely).await;
                named.map_err(|error| self.hidden(session, ("", Some(name)), error))
            }
            Some(OrganizationSelector { r#ref: Some(reference), .. }) => {
                self.referenced(&reference.name).await
            }
            Some(_) => Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: "spec.organization names nothing: set id, name or ref".into(),
            }),
        }
    }

    /// The id of an `Organization` of this namespace once it is ready; that wakes this resource.
    async fn referenced(&self, name: &str) -> Result<String, ReconcileError> {
        let address = self.in_same_namespace(name);
        let waiting = |reason, message| Err(ReconcileError::Waiting { reason, message });
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
    async fn check_reference(&self, owned: &str) -> Result<(), ReconcileError> {
        let Some(address) = self.organization_ref().filter(|_| !self.is_deleting()) else { return Ok(()) };
        match self.status_of(&address).await?.and_then(|status| status.id) {
            Some(id) if id != owned => Err(ReconcileError::Stalled {
                reason: Reason::Conflict,
                message: format!(
                    "{address} is the organization {id} now, and this resource lives in {owned}: create it anew to move it"
                ),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) async fn status_of(&self, address: &Address) -> Result<Option<CommonStatus>, ReconcileError> {
        self.engine.status_of(address, &self.handle.address).await
    }

    /// The `Organization` that the spec refers to.
    pub(crate) fn organization_ref(&self) -> Option<Address> {
        let reference = self.object.organization()?.r#ref.as_ref()?;
        Some(self.in_same_namespace(&reference.name))
    }

    pub(crate) fn in_same_namespace(&self, name: &str) -> Address {
        let namespace = self.handle.address.namespace.clone();
        Address { kind: ORGANIZATION, namespace, name: name.into() }
    }

    /// Does any resource live in the organization this resource owns?
    pub(crate) fn has_dependents(&self) -> bool {
        self.of_dependents(|selector| self.engine.index.has_any(selector))
    }

    fn of_dependents<T>(&self, ask: impl FnOnce(Selector<'_>) -> T) -> T {
        let mut instances = self.engine.connections.previous_instances(&self.key);
        instances.extend(self.ownership.instance.clone());
        let organization =
            self.ownership.id.as_deref().map(|id| OrganizationIdentity { id, instances: &instances });
        ask(Selector::Organization { owner: &self.claimant(), organization })
    }

    /// Names some of this namespace, so that the message has room for its remedy; other namespaces are none of a tenant's business.
    pub(crate) fn describe_dependents(&self) -> String {
        let (mut near, far): (Vec<_>, Vec<_>) = self
            .of_dependents(|selector| self.engine.resources(selector))
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
