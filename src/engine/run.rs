//! One reconcile of one resource: what is known so far, and how to learn more.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Engine;
use super::access::{self, granted, needs_name, selects};
use super::address::ConnectionKey;
use super::claims::{Claim, Claimant};
use super::events::Note;
use super::fault::Fault;
use super::kind::{Context, Kind};
use super::pending::PendingCreate;
use super::plan::{Facts, Name, Observed, Pending, Target};
use super::resource::Handle;
use super::session::{Admission, Session};
use crate::api::common::AdoptionPolicy;
use crate::api::{
    CommonStatus, ConditionType, DeletionPolicy, ManagementPolicy, OrganizationSelector, Origin, Reason,
    annotation,
};
use crate::zitadel::Error;

/// What ties a resource to its object; proved by the status alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bond {
    pub(super) id: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) instance: Option<String>,
    pub(super) origin: Option<Origin>,
}

/// The way to ZITADEL, once it was taken.
pub(super) struct Reach {
    pub(super) session: Arc<Session>,
    pub(super) instance: String,
    pub(super) organization: String,
    _admission: Admission,
}

/// The state of one reconcile.
pub(super) struct Run<'a, K: Kind> {
    pub(super) engine: &'a Engine,
    pub(super) object: Arc<K>,
    pub(super) handle: Handle,
    pub(super) key: ConnectionKey,
    pub(super) bond: Bond,
    pub(super) recorded: bool,
    pub(super) target: Target,
    pub(super) target_id: Option<String>,
    pub(super) intent: Option<PendingCreate>,
    pub(super) pending: Pending,
    pub(super) reach: Option<Reach>,
    pub(super) desired: Option<K::Desired>,
    pub(super) remote: Option<K::Remote>,
    pub(super) observed: Observed,
    pub(super) differing: Vec<&'static str>,
    pub(super) reverted: Vec<&'static str>,
    pub(super) holder: Option<Claimant>,
    pub(super) name: Name,
    pub(super) searched: bool,
    pub(super) removed: bool,
    pub(super) notes: Vec<Note>,
}

impl<'a, K: Kind> Run<'a, K> {
    pub(super) fn new(engine: &'a Engine, object: Arc<K>) -> Self {
        let handle = Handle::new::<K>(engine.client.clone(), K::KIND, object.meta());
        let status = object.status().cloned().unwrap_or_default();
        let conflict = ConditionType::Synced
            .find(&status.conditions)
            .is_some_and(|c| c.reason == Reason::Conflict.as_str());
        let reference = &object.common().management.connection_ref;
        let key = ConnectionKey::of(reference, &handle.address.namespace);
        let intent = PendingCreate::of(handle.annotation(annotation::CREATE_PENDING), handle.uid());
        let bond = Bond {
            id: status.id.clone(),
            organization: status.organization_id.clone(),
            instance: status.instance,
            origin: status.origin,
        };
        let requested = handle.annotation(annotation::ID).filter(|id| !id.is_empty()).map(str::to_owned);
        let (target, target_id) = match (status.id, requested) {
            (Some(id), _) => (Target::Bound, Some(id)),
            (None, Some(id)) => (Target::Requested, Some(id)),
            (None, None) => (Target::None, None),
        };
        let mut run = Self {
            engine,
            object,
            handle,
            key,
            bond,
            recorded: target == Target::Bound,
            target,
            target_id,
            pending: if intent.is_some() { Pending::Unresolved } else { Pending::No },
            intent,
            reach: None,
            desired: None,
            remote: None,
            observed: Observed::Unknown,
            differing: Vec::new(),
            reverted: Vec::new(),
            holder: None,
            name: if conflict { Name::Suspect } else { Name::Free },
            searched: false,
            removed: false,
            notes: Vec::new(),
        };
        run.claim_bond();
        run
    }

    pub(super) fn facts(&self) -> Facts {
        let management = &self.object.common().management;
        Facts {
            identity: K::IDENTITY,
            management: management.management_policy,
            deletion: self.deletion_policy(),
            paused: self.handle.is_paused(),
            deleting: self.is_deleting(),
            finalizer: self.handle.has_finalizer(),
            pending: self.pending,
            target: self.target,
            recorded: self.recorded,
            taken: self.holder.is_some(),
            observed: self.observed,
            name: self.name,
            searched: self.searched,
            adopt_by_name: self.object.adoption() == AdoptionPolicy::ByName,
        }
    }

    /// What the spec says, else what the origin of the object suggests.
    pub(super) fn deletion_policy(&self) -> DeletionPolicy {
        let by_origin = match self.bond.origin {
            Some(Origin::Adopted) => DeletionPolicy::Retain,
            Some(Origin::Created) | None => DeletionPolicy::Delete,
        };
        self.object.common().management.deletion_policy.unwrap_or(by_origin)
    }

    pub(super) fn is_deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    pub(super) fn is_managed(&self) -> bool {
        self.object.common().management.management_policy == ManagementPolicy::Manage
    }

    pub(super) fn status(&self) -> CommonStatus {
        self.object.status().cloned().unwrap_or_default()
    }

    pub(super) fn conditions(&self) -> Vec<Condition> {
        self.status().conditions
    }

    /// Was the resource as specified at this very generation?
    pub(super) fn was_in_sync(&self) -> bool {
        ConditionType::Ready
            .find(&self.conditions())
            .is_some_and(|c| c.status == "True" && c.observed_generation == self.object.meta().generation)
    }

    pub(super) fn claim_on(instance: &str, id: &str) -> Claim {
        Claim { instance: instance.into(), target: format!("{}/{id}", K::KIND) }
    }

    /// The claim that stands for a name; nobody holds it, those who want the name wait on it.
    pub(super) fn name_claim(&self, name: &str) -> Option<Claim> {
        let Reach { instance, organization, .. } = self.reach.as_ref()?;
        let target = format!("{} name/{organization}/{}", K::KIND, name.to_lowercase());
        Some(Claim { instance: instance.clone(), target })
    }

    /// Takes the claim of the bond, or learns who holds it. An observer claims nothing.
    pub(super) fn claim_bond(&mut self) {
        let (Some(id), Some(instance)) = (&self.bond.id, &self.bond.instance) else {
            return;
        };
        if self.is_managed() {
            let claim = Self::claim_on(instance, id);
            self.holder = self.engine.claims.acquire(&claim, &Claimant::of::<K>(&*self.object)).err();
        }
    }

    pub(super) fn context(&self) -> Result<Context<'_>, Fault> {
        let Reach { session, organization, .. } = self.reach.as_ref().ok_or(Fault::Stale)?;
        Ok(Context { client: &session.client, organization })
    }

    pub(super) fn session(&self) -> Result<&Arc<Session>, Fault> {
        Ok(&self.reach.as_ref().ok_or(Fault::Stale)?.session)
    }

    pub(super) fn desired(&self) -> Result<&K::Desired, Fault> {
        self.desired.as_ref().ok_or(Fault::Stale)
    }

    /// Takes the way to ZITADEL: session, admission, instance, organization, grant. `false`: it leads to another instance.
    pub(super) async fn reach(&mut self) -> Result<bool, Fault> {
        if self.reach.is_some() {
            return Ok(self.observed != Observed::OtherInstance);
        }
        let session = self.engine.connections.session(&self.key, self.is_deleting()).await?;
        if !self.is_deleting() {
            session.check_credential()?;
        }
        if self.is_managed() && !self.engine.connections.is_protected(&self.key) {
            self.engine.wakes.wake([self.key.address()]);
        }
        self.check_namespace(&session)?;
        let admission = session.admit()?;
        let mut instance = session.instance().await?;
        if !self.is_ours(&session, &instance) {
            // What was learned before may be over by now.
            instance = session.confirm_instance().await?;
        }
        let ours = self.is_ours(&session, &instance);
        let organization = if ours { self.organization(&session).await? } else { String::new() };
        self.reach = Some(Reach { session, instance, organization, _admission: admission });
        if ours {
            self.follow_instance();
        } else {
            self.observed = Observed::OtherInstance;
        }
        Ok(ours)
    }

    /// Is this the instance that the resource, or its unfinished create, was written to?
    fn is_ours(&self, session: &Session, instance: &str) -> bool {
        let recorded = self.bond.instance.as_deref().into_iter();
        let intended = self.intent.as_ref().map(|intent| intent.instance.as_str());
        recorded.chain(intended).all(|known| session.is_instance(known, instance))
    }

    /// An instance under a new identity keeps its bonds.
    fn follow_instance(&mut self) {
        let Some(Reach { instance, .. }) = &self.reach else {
            return;
        };
        if self.bond.instance.as_ref().is_some_and(|recorded| recorded != instance) {
            self.bond.instance = Some(instance.clone());
            self.claim_bond();
        }
    }

    /// The instance and the organization as they are now, before anything is created. `false`: another instance.
    pub(super) async fn confirm_instance(&mut self) -> Result<bool, Fault> {
        let session = self.session()?.clone();
        let current = session.confirm_instance().await?;
        if !self.is_ours(&session, &current) {
            self.observed = Observed::OtherInstance;
            return Ok(false);
        }
        if let Some(reach) = &mut self.reach {
            reach.instance = current;
        }
        Ok(true)
    }

    async fn organization(&self, session: &Session) -> Result<String, Fault> {
        let intended = self.intent.as_ref().map(|intent| intent.organization.clone());
        let id = match self.bond.organization.clone().or(intended) {
            Some(id) => id,
            None => self.resolve_organization(session).await?,
        };
        self.authorize(session, &id).await?;
        Ok(id)
    }

    async fn resolve_organization(&self, session: &Session) -> Result<String, Fault> {
        match &self.object.common().organization {
            None => session.default_organization().await,
            Some(OrganizationSelector { id: Some(id), .. }) => Ok(id.clone()),
            Some(OrganizationSelector { name: Some(name), .. }) => session.organization_named(name).await,
            Some(OrganizationSelector { r#ref: Some(reference), .. }) => Err(Fault::Waiting {
                reason: Reason::ReferenceNotFound,
                message: format!(
                    "Organization {}/{} does not exist: this version has no Organization kind yet, name the organization by id or name",
                    self.handle.address.namespace, reference.name
                ),
            }),
            Some(_) => Err(Fault::Blocked {
                reason: Reason::InvalidSpec,
                message: "spec.organization names nothing: set id or name".into(),
            }),
        }
    }

    /// A namespace that no grant selects costs no call.
    fn check_namespace(&self, session: &Session) -> Result<(), Fault> {
        match &session.access {
            Some(grants) if !selects(grants, &self.namespace_labels()?) => Err(self.not_granted()),
            _ => Ok(()),
        }
    }

    /// A shared connection serves a namespace only what it was granted; nothing granted, nothing sent.
    async fn authorize(&self, session: &Session, organization: &str) -> Result<(), Fault> {
        let Some(grants) = &session.access else { return Ok(()) };
        let labels = self.namespace_labels()?;
        let name = match needs_name(grants, &labels) {
            true => match session.organization_name(organization).await {
                Ok(name) => Some(name),
                Err(Fault::Zitadel(Error::OrganizationNotFound { .. })) if self.is_deleting() => {
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            },
            false => None,
        };
        match granted(grants, &labels, access::Asked { id: organization, name: name.as_deref() }) {
            true => Ok(()),
            false => Err(self.not_granted()),
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
        let asked = match &self.object.common().organization {
            Some(OrganizationSelector { id: Some(id), .. }) => format!("the organization {id}"),
            Some(OrganizationSelector { name: Some(name), .. }) => format!("the organization {name:?}"),
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
}
