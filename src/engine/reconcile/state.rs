//! One reconcile of one resource: what is known so far, and how to learn more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::address::ConnectionKey;
use crate::api::common::{AdoptionPolicy, Status};
use crate::api::{
    CommonStatus, ConditionType, DeletionPolicy, ManagementPolicy, PendingCreate, Reason, annotation,
};
use crate::connection::session::Session;
use crate::engine::admission::limiter::Admission;
use crate::engine::admission::queue::Urgency;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::{ReconcileError, RequeuePolicy};
use crate::engine::decision::outcome::Drifted;
use crate::engine::decision::plan::{ExternalRef, Facts, Identity, Name, Observed, Pending};
use crate::engine::drivers::kind::{Context, Parent};
use crate::engine::drivers::remote::{Desired, Remote};
use crate::engine::drivers::subject::{KindInfo, OwnStatus, Subject};
use crate::engine::drivers::values::Values;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::{Handle, SpecTarget};
use crate::engine::reconcile::target::{Ownership, Parents, Rival, Target};
use crate::engine::shared::Engine;
use crate::zitadel::Client;

/// The state of one reconcile.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) object: Arc<dyn Subject>,
    pub(crate) kind: &'static KindInfo,
    /// The status as the resource had it when this began.
    pub(crate) before: Status<OwnStatus>,
    pub(crate) handle: Handle,
    pub(crate) key: ConnectionKey,
    pub(crate) ownership: Ownership,
    pub(crate) recorded: bool,
    pub(crate) external: ExternalRef,
    pub(crate) external_id: Option<String>,
    pub(crate) intent: Option<PendingCreate>,
    pub(crate) pending: Pending,
    pub(crate) grant: Option<Admission>,
    /// The client whose answers this reconcile holds, until the way is taken.
    pub(crate) client: Option<Client>,
    pub(crate) target: Option<Target>,
    pub(crate) desired: Option<Desired>,
    pub(crate) remote: Option<Remote>,
    pub(crate) observed: Observed,
    pub(crate) differing: Vec<String>,
    pub(crate) reverted: Vec<String>,
    pub(crate) sent: Vec<String>,
    pub(crate) drift: Drifted,
    pub(crate) holder: Option<Claimant>,
    pub(crate) keys: BTreeSet<String>,
    pub(crate) keys_taken: BTreeMap<String, Claimant>,
    pub(crate) own: OwnStatus,
    pub(crate) name: Name,
    pub(crate) searched: bool,
    /// What was found is not for this namespace to know.
    pub(crate) hidden: bool,
    /// The mark of the organization that is asked for proves that this resource made it.
    pub(crate) recognized: bool,
    /// The mark is still to be written, by this requeue policy.
    pub(crate) unmarked: Option<RequeuePolicy>,
    /// What has the wanted name, or what ZITADEL makes of it.
    pub(crate) rival: Option<Rival>,
    pub(crate) removed: bool,
    pub(crate) events: Vec<EventSpec>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(engine: &'a Engine, object: Arc<dyn Subject>) -> Self {
        let kind = object.kind();
        let connection = &object.management().connection_ref;
        let place = SpecTarget::new(connection, object.organization(), object.project());
        let client = engine.clients.calls.clone();
        let handle = Handle::of(client, kind.resource(), kind.name, object.meta()).at(place);
        let before = Status { common: object.common().cloned().unwrap_or_default(), own: object.own() };
        let status = &before.common;
        let own = proved(&*object, &before);
        let conflict = ConditionType::Synced
            .find(&status.conditions)
            .is_some_and(|c| c.reason == Reason::Conflict.as_str());
        let key = ConnectionKey::of(&object.management().connection_ref, &handle.address.namespace);
        let intent = status.pending_create.as_deref().cloned();
        let ownership = Ownership::recorded(status);
        let grant = engine.connections.grant(&key, &handle.address);
        let (external, external_id) = external(kind, &handle, status);
        let mut run = Self {
            engine,
            keys: object.recorded(&own),
            kind,
            object,
            before,
            handle,
            key,
            ownership,
            recorded: external == ExternalRef::Owned,
            external,
            external_id,
            pending: if intent.is_some() { Pending::Unresolved } else { Pending::No },
            intent,
            grant,
            client: None,
            target: None,
            desired: None,
            remote: None,
            observed: Observed::Unknown,
            differing: Vec::new(),
            reverted: Vec::new(),
            sent: Vec::new(),
            drift: Drifted::No,
            holder: None,
            keys_taken: BTreeMap::new(),
            own,
            name: if conflict { Name::Suspect } else { Name::Free },
            searched: false,
            hidden: false,
            recognized: false,
            unmarked: None,
            rival: None,
            removed: false,
            events: Vec::new(),
        };
        run.claim_owned();
        run
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts {
            identity: self.kind.identity,
            management: self.object.management().management_policy,
            deletion: self.deletion_policy(),
            paused: self.handle.is_paused(),
            deleting: self.is_deleting(),
            finalizer: self.handle.has_finalizer(),
            pending: self.pending,
            external: self.external,
            recorded: self.is_recorded(),
            taken: self.holder.is_some(),
            keys_taken: !self.keys_taken.is_empty(),
            observed: self.observed,
            name: self.name,
            searched: self.searched,
            adopt_by_name: self.object.adoption() == AdoptionPolicy::ByName,
            recreate: self.object.recreates(),
            in_use: self.kind.is_organization() && self.is_deleting() && self.has_dependents(),
        }
    }

    /// The id of the object, or of the parent of its keys.
    pub(crate) fn owned_id(&self) -> Option<String> {
        let Ownership { id, organization, project, instance, .. } = &self.ownership;
        self.kind.proof([id, instance, organization, project]).clone()
    }

    /// Does the status prove all that the resource is about to own?
    fn is_recorded(&self) -> bool {
        self.recorded && self.keys.is_subset(&self.object.recorded(&self.own))
    }

    /// What the spec says, else what the origin of the object suggests.
    pub(crate) fn deletion_policy(&self) -> DeletionPolicy {
        let default = || self.kind.default_deletion(self.ownership.origin);
        self.object.management().deletion_policy.unwrap_or_else(default)
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    pub(crate) fn is_managed(&self) -> bool {
        self.object.management().management_policy == ManagementPolicy::Manage
    }

    pub(crate) fn conditions(&self) -> &[Condition] {
        &self.before.common.conditions
    }

    /// Was the resource as specified at this very generation? Of many keys: all but those of others.
    pub(crate) fn was_in_sync(&self) -> bool {
        let shared = |reason: &str| self.kind.many_keys && reason == Reason::Conflict.as_str();
        ConditionType::Ready.find(self.conditions()).is_some_and(|c| {
            let settled = c.status == "True" || shared(&c.reason);
            settled && c.observed_generation == self.object.meta().generation
        })
    }

    pub(crate) fn claimant(&self) -> Claimant {
        self.object.claimant()
    }

    /// Resolves the spec, and the keys it names besides those that are recorded.
    pub(crate) async fn resolve_spec(&mut self) -> Result<(), ReconcileError> {
        let namespace = &self.handle.address.namespace;
        let mut values = Values::new(self.engine.connections.secret_reader_of(namespace), &self.engine.bulk);
        values.hold_in(self.client.as_ref().map(Client::memory));
        let desired = self.object.resolve_spec(&mut values).await?;
        if self.kind.bulky {
            // Once resolved its values are not held twice.
            Arc::get_mut(&mut self.object).map(Subject::strip_values);
        }
        if !self.is_managed() {
            self.keys.clear();
        }
        self.keys.extend(self.object.keys(&desired));
        self.desired = Some(desired);
        self.claim_owned();
        Ok(())
    }

    pub(crate) fn context(&self) -> Result<Context<'_>, ReconcileError> {
        let Target { session, client, parents: Parents { organization, parent }, .. } =
            self.target.as_ref().ok_or(ReconcileError::Stale)?;
        let (uid, confirmations) = (self.handle.uid(), &self.engine.confirmations);
        Ok(Context { session, client, organization, parent, uid, keys: &self.keys, confirmations })
    }

    pub(crate) fn session(&self) -> Result<&Arc<Session>, ReconcileError> {
        Ok(&self.target.as_ref().ok_or(ReconcileError::Stale)?.session)
    }

    pub(crate) fn desired(&self) -> Result<&Desired, ReconcileError> {
        self.desired.as_ref().ok_or(ReconcileError::Stale)
    }

    /// Takes the way to ZITADEL: session, admission, instance, parents, grant. `false`: it leads to another instance.
    pub(crate) async fn target(&mut self) -> Result<bool, ReconcileError> {
        if self.target.is_some() {
            return Ok(self.observed != Observed::OtherInstance);
        }
        let session = self.admit().await?;
        let admission = self.grant.take().ok_or(ReconcileError::Stale)?;
        let mut instance = session.instance().await?;
        if !self.is_ours(&session, &instance) {
            // What was learned before may be over by now.
            instance = session.instance_to_refuse().await?;
        }
        let ours = self.is_ours(&session, &instance);
        let parents = if ours { self.parents_of(&session, &instance).await? } else { Parents::default() };
        if ours && self.kind.identity == Identity::Keyed {
            let under = if self.kind.parent == Parent::Instance { &instance } else { &parents.parent };
            self.external_id = Some(under.clone());
            if self.external == ExternalRef::None {
                self.claim(&instance, under);
            }
        }
        let client = self.client.take().unwrap_or_else(|| session.client.holding());
        self.target = Some(Target { session, client, instance, parents, _admission: admission });
        if ours {
            self.follow_instance();
        } else {
            self.observed = Observed::OtherInstance;
        }
        Ok(ours)
    }

    /// Does a person wait for an answer?
    pub(crate) fn urgency(&self) -> Urgency {
        let status = &self.before.common;
        let asked = self.handle.annotation(annotation::RECONCILE_REQUESTED_AT);
        let is_answered = status.observed_generation == self.object.meta().generation
            && asked == status.last_handled_reconcile_at.as_deref();
        if is_answered && !self.is_deleting() { Urgency::Resync } else { Urgency::Edit }
    }

    /// Is this the instance that the resource, or its unfinished create, was written to?
    fn is_ours(&self, session: &Session, instance: &str) -> bool {
        let mut recorded =
            self.ownership.instance.iter().chain(self.intent.iter().map(|intent| &intent.instance));
        !self.is_begun_elsewhere() && recorded.all(|known| session.is_instance(known, instance))
    }

    /// An instance under a new identity keeps what is owned in it.
    fn follow_instance(&mut self) {
        let Some(Target { instance, .. }) = &self.target else { return };
        if self.ownership.instance.as_ref().is_some_and(|recorded| recorded != instance) {
            self.ownership.instance = Some(instance.clone());
            self.claim_owned();
        }
    }

    /// The instance and the organization as they are now, before anything is created. `false`: another instance.
    pub(crate) async fn confirm_instance(&mut self) -> Result<bool, ReconcileError> {
        let session = self.session()?.clone();
        let current = session.confirm_instance().await?;
        if !self.is_ours(&session, &current) {
            self.observed = Observed::OtherInstance;
            return Ok(false);
        }
        if let Some(target) = &mut self.target {
            target.instance = current;
        }
        Ok(true)
    }
}

/// What the status says besides who owns what. Without ownership, what was only observed is nothing that a managed resource
/// owns.
fn proved(object: &dyn Subject, status: &Status<OwnStatus>) -> OwnStatus {
    let observes = object.management().management_policy == ManagementPolicy::Observe;
    match observes || object.kind().is_owned(&status.common) {
        true => status.own.clone(),
        false => OwnStatus::new(),
    }
}

/// What the resource points at: what its status proves, else what a person asks to import.
fn external(kind: &KindInfo, handle: &Handle, status: &CommonStatus) -> (ExternalRef, Option<String>) {
    if let Some(id) = kind.owned(status) {
        return (ExternalRef::Owned, Some(id.clone()));
    }
    let requested = handle.annotation(annotation::ID).filter(|id| !id.is_empty());
    match requested.filter(|_| kind.identity == Identity::Assigned) {
        Some(id) => (ExternalRef::Requested, Some(id.into())),
        None => (ExternalRef::None, None),
    }
}
