//! What the object of a resource is under, and who is a member of an `Organization`.

use kube::core::DeserializeGuard;

use crate::api::address::{Address, ORGANIZATION, PROJECT};
use crate::api::{CommonStatus, ConditionType, Organization, OrganizationSelector, ProjectSelector, Reason};
use crate::connection::session::Session;
use crate::engine::decision::access::{Action, same_name};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::Parent;
use crate::engine::drivers::subject::{KindInfo, Subject};
use crate::engine::index::claims::Claim;
use crate::engine::index::selector::{OrganizationIdentity, Selector};
use crate::engine::reconcile::creation::{naming, owns_in};
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::{Ownership, Parents};
use crate::engine::shared::Engine;
use crate::zitadel::{self, Error};

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
        self.claims.holders(&Claim::on_id(instance, ORGANIZATION, id))
    }
}

impl Run<'_> {
    /// What the object is under, granted to the namespace of the resource.
    pub(crate) async fn parents_of(
        &mut self,
        session: &Session,
        instance: &str,
    ) -> Result<Parents, ReconcileError> {
        let parents = match self.recorded_parents() {
            Some(parents) => self.check_references(session, instance, parents).await?,
            None => self.resolve_parents(session, instance).await?,
        };
        if !self.kind.is_organization() {
            self.authorize_in(session, instance, &parents.organization, Action::Read).await?;
            self.record_organization_origin(session, instance, &parents.organization).await;
        }
        Ok(parents)
    }

    /// Those that the status records.
    fn recorded_parents(&self) -> Option<Parents> {
        let Ownership { organization, project, .. } = &self.ownership;
        let intended = || self.intent.as_ref().and_then(|intent| intent.parent.clone());
        let organization = organization.clone();
        match self.kind.parent {
            Parent::Instance => {
                Some(Parents { organization: organization.unwrap_or_default(), parent: String::new() })
            }
            Parent::Organization => organization.or_else(intended).map(Parents::of_organization),
            Parent::Project => {
                let (organization, parent) = organization.zip(project.clone())?;
                Some(Parents { organization, parent })
            }
        }
    }

    async fn resolve_parents(&self, session: &Session, instance: &str) -> Result<Parents, ReconcileError> {
        match self.object.project() {
            None => Ok(Parents::of_organization(self.resolve_organization(session).await?)),
            Some(ProjectSelector { r#ref: Some(reference), .. }) => {
                self.referenced_project(session, &self.in_same_namespace(PROJECT, &reference.name)).await
            }
            Some(ProjectSelector { id: Some(id), .. }) => {
                let organization = self.resolve_organization(session).await?;
                Ok(Parents { organization, parent: id.clone() })
            }
            Some(ProjectSelector { name, .. }) => {
                let organization = self.resolve_organization(session).await?;
                self.authorize_in(session, instance, &organization, Action::Read).await?;
                let parent =
                    project_named(session, &organization, name.as_deref().unwrap_or_default()).await?;
                Ok(Parents { organization, parent })
            }
        }
    }

    /// Does an `Organization` that another operator follows own it through a `ClusterConnection`? One that does not parse may.
    pub(crate) async fn is_owned_elsewhere(&self, instance: &str, id: &str) -> Result<bool, ReconcileError> {
        let engine = self.engine;
        if !engine.config.is_partial() {
            return Ok(false);
        }
        let owns =
            |owner: &Organization| owns_in(owner, Some(instance)) && Subject::claimant(owner).is_shared();
        let mut owned = false;
        let each = |guard: DeserializeGuard<Organization>| owned |= guard.0.as_ref().map_or(true, owns);
        let list = naming(KindInfo::of_kind::<Organization>(), id);
        engine.bulk.each(engine.clients.calls.clone(), list, each).await?;
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
        let address = self.in_same_namespace(ORGANIZATION, name);
        let (id, _) = self.ready(&address, "spec.organization.ref").await?;
        Ok(id)
    }

    /// The same of a `Project`, and its organization.
    async fn referenced_project(
        &self,
        session: &Session,
        address: &Address,
    ) -> Result<Parents, ReconcileError> {
        let (parent, status) = self.ready(address, "spec.project.ref").await?;
        let current = session.instance().await?;
        match status.organization_id.zip(status.instance) {
            Some((organization, instance)) if session.is_instance(&instance, &current) => {
                Ok(Parents { organization, parent })
            }
            _ => Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: format!(
                    "{address} is in another ZITADEL instance than the one that {} reaches: give both the same connection",
                    self.key
                ),
            }),
        }
    }

    async fn ready(&self, address: &Address, field: &str) -> Result<(String, CommonStatus), ReconcileError> {
        let waiting = |reason, message| Err(ReconcileError::Waiting { reason, message });
        let Some(status) = self.status_of(address).await? else {
            let message = format!("{address} does not exist: create it, or correct {field}");
            return waiting(Reason::ReferenceNotFound, message);
        };
        let ready = ConditionType::Ready.find(&status.conditions).is_some_and(|c| c.status == "True");
        match status.id.clone().filter(|_| ready) {
            Some(id) => Ok((id, status)),
            None => waiting(Reason::ReferenceNotReady, format!("{address} is not ready: see its conditions")),
        }
    }

    /// What is bound stays where it is: a reference that leads elsewhere now is a person's mistake. Only what went with
    /// its project follows the `Project` that was made again.
    async fn check_references(
        &mut self,
        session: &Session,
        instance: &str,
        recorded: Parents,
    ) -> Result<Parents, ReconcileError> {
        if self.is_deleting() {
            return Ok(recorded);
        }
        let (address, owned) = match (self.project_ref(), self.organization_ref()) {
            (Some(address), _) => (address, &recorded.parent),
            (None, Some(address)) => (address, &recorded.organization),
            (None, None) => return Ok(recorded),
        };
        let Some(id) = self.status_of(&address).await?.and_then(|status| status.id) else {
            return Ok(recorded);
        };
        if id == *owned {
            return Ok(recorded);
        }
        let is_of_project = address.kind == PROJECT;
        if is_of_project && self.is_managed() && project_is_gone(session, &recorded).await? {
            // It went with its parent.
            self.disown();
            return self.resolve_parents(session, instance).await;
        }
        let noun = if is_of_project { "project" } else { "organization" };
        Err(ReconcileError::Stalled {
            reason: Reason::Conflict,
            message: format!(
                "{address} is the {noun} {id} now, and this resource lives in {owned}: create it anew to move it"
            ),
        })
    }

    pub(crate) async fn status_of(&self, address: &Address) -> Result<Option<CommonStatus>, ReconcileError> {
        self.engine.status_of(address, &self.handle.address).await
    }

    /// The `Organization` that the spec refers to.
    pub(crate) fn organization_ref(&self) -> Option<Address> {
        let reference = self.object.organization()?.r#ref.as_ref()?;
        Some(self.in_same_namespace(ORGANIZATION, &reference.name))
    }

    fn project_ref(&self) -> Option<Address> {
        let reference = self.object.project()?.r#ref.as_ref()?;
        Some(self.in_same_namespace(PROJECT, &reference.name))
    }

    pub(crate) fn in_same_namespace(&self, kind: &'static str, name: &str) -> Address {
        let namespace = self.handle.address.namespace.clone();
        Address { kind, namespace, name: name.into() }
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

/// The id of the project of this name in an organization.
async fn project_named(session: &Session, organization: &str, name: &str) -> Result<String, ReconcileError> {
    for listed in session.client.objects_named(&zitadel::PROJECT, organization, name).await? {
        let project = session.client.project_in(organization, &listed.id).await?;
        if same_name(&project.name, name) {
            return Ok(project.id);
        }
    }
    Err(ReconcileError::Waiting {
        reason: Reason::ReferenceNotFound,
        message: format!(
            "no project named {name:?} is in organization {organization}: create it, or correct spec.project"
        ),
    })
}

async fn project_is_gone(session: &Session, parents: &Parents) -> Result<bool, ReconcileError> {
    match session.client.project_in(&parents.organization, &parents.parent).await {
        Ok(_) => Ok(false),
        Err(Error::ProjectNotFound { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
