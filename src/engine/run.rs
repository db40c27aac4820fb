//! One reconcile of one resource: what is known so far, and how to learn more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Engine;
use super::address::ConnectionKey;
use super::admission::Admission;
use super::claims::{Claim, Claimant};
use super::conclusion::Drifted;
use super::events::Note;
use super::explain::Rival;
use super::fault::{Fault, Pace};
use super::kind::{Context, Kind, Scope};
use super::plan::{Facts, Identity, Name, Observed, Pending, Target};
use super::queue::Urgency;
use super::resource::{Handle, Place};
use super::session::Session;
use super::values::Values;
use crate::api::common::{AdoptionPolicy, Status};
use crate::api::{
    CommonStatus, ConditionType, DeletionPolicy, ManagementPolicy, Origin, PendingCreate, Reason, annotation,
};
use crate::zitadel::Client;

/// What ties a resource to its object; proved by the status alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bond {
    pub(super) id: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) instance: Option<String>,
    pub(super) origin: Option<Origin>,
    pub(super) organization_origin: Option<Origin>,
}

/// The way to ZITADEL, once it was taken.
pub(super) struct Reach {
    pub(super) session: Arc<Session>,
    /// Its client, whose answers this reconcile holds.
    pub(super) client: Client,
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
    pub(super) turn: Option<Admission>,
    /// The client whose answers this reconcile holds, until the way is taken.
    pub(super) client: Option<Client>,
    pub(super) reach: Option<Reach>,
    pub(super) desired: Option<K::Desired>,
    pub(super) remote: Option<K::Remote>,
    pub(super) observed: Observed,
    pub(super) differing: Vec<String>,
    pub(super) reverted: Vec<String>,
    pub(super) sent: Vec<String>,
    pub(super) drift: Drifted,
    pub(super) holder: Option<Claimant>,
    pub(super) parts: BTreeSet<String>,
    pub(super) parts_taken: BTreeMap<String, Claimant>,
    pub(super) own: K::Own,
    pub(super) name: Name,
    pub(super) searched: bool,
    /// What was found is not for this namespace to know.
    pub(super) veiled: bool,
    /// The mark of the organization that is asked for proves that this resource made it.
    pub(super) recognized: bool,
    /// The mark is still to be written, at this pace.
    pub(super) unmarked: Option<Pace>,
    /// What has the wanted name, or what ZITADEL makes of it.
    pub(super) rival: Option<Rival>,
    pub(super) removed: bool,
    pub(super) notes: Vec<Note>,
}

impl<'a, K: Kind> Run<'a, K> {
    pub(super) fn new(engine: &'a Engine, object: Arc<K>) -> Self {
        let place = Place::new(&object.management().connection_ref, object.organization());
        let handle = Handle::new::<K>(engine.clients.calls.clone(), K::KIND, object.meta()).at(place);
        let status = object.status().cloned().unwrap_or_default().common;
        let own = Self::proved(&object);
        let conflict = ConditionType::Synced
            .find(&status.conditions)
            .is_some_and(|c| c.reason == Reason::Conflict.as_str());
        let key = ConnectionKey::of(&object.management().connection_ref, &handle.address.namespace);
        let intent = status.pending_create.as_deref().cloned();
        let bond = Bond {
            id: status.id.clone(),
            organization: status.organization_id.clone(),
            instance: status.instance.clone(),
            origin: status.origin,
            organization_origin: status.organization_origin.filter(|_| status.organization_id.is_some()),
        };
        let turn = engine.connections.turn(&key, &handle.address);
        let (target, target_id) = target::<K>(&handle, &status);
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
            turn,
            client: None,
            reach: None,
            desired: None,
            remote: None,
            observed: Observed::Unknown,
            differing: Vec::new(),
            reverted: Vec::new(),
            sent: Vec::new(),
            drift: Drifted::No,
            holder: None,
            parts: K::recorded(&own),
            parts_taken: BTreeMap::new(),
            own,
            name: if conflict { Name::Suspect } else { Name::Free },
            searched: false,
            veiled: false,
            recognized: false,
            unmarked: None,
            rival: None,
            removed: false,
            notes: Vec::new(),
        };
        run.claim_bond();
        run
    }

    pub(super) fn facts(&self) -> Facts {
        Facts {
            identity: K::IDENTITY,
            management: self.object.management().management_policy,
            deletion: self.deletion_policy(),
            paused: self.handle.is_paused(),
            deleting: self.is_deleting(),
            finalizer: self.handle.has_finalizer(),
            pending: self.pending,
            target: self.target,
            recorded: self.is_recorded(),
            taken: self.holder.is_some(),
            parts_taken: !self.parts_taken.is_empty(),
            observed: self.observed,
            name: self.name,
            searched: self.searched,
            adopt_by_name: self.object.adoption() == AdoptionPolicy::ByName,
            recreate: self.object.recreates(),
            in_use: K::SCOPE == Scope::Instance && self.is_deleting() && self.has_dependents(),
        }
    }

    /// Does the status prove all that the resource is about to own?
    fn is_recorded(&self) -> bool {
        self.recorded && self.parts.is_subset(&K::recorded(&self.own))
    }

    /// What the spec says, else what the origin of the object suggests.
    pub(super) fn deletion_policy(&self) -> DeletionPolicy {
        let default = || K::default_deletion(self.bond.origin);
        self.object.management().deletion_policy.unwrap_or_else(default)
    }

    pub(super) fn is_deleting(&self) -> bool {
        self.object.meta().deletion_timestamp.is_some()
    }

    pub(super) fn is_managed(&self) -> bool {
        self.object.management().management_policy == ManagementPolicy::Manage
    }

    /// What the status says besides the bond. Without one, what was only observed is nothing that a managed resource owns.
    pub(super) fn proved(object: &K) -> K::Own {
        let observes = object.management().management_policy == ManagementPolicy::Observe;
        let proved = object.status().filter(|status| observes || K::is_bound(&status.common));
        proved.map(|status| status.own.clone()).unwrap_or_default()
    }

    /// The status as the resource had it when this began.
    pub(super) fn status(&self) -> Status<K::Own> {
        self.object.status().cloned().unwrap_or_default()
    }

    pub(super) fn conditions(&self) -> Vec<Condition> {
        self.status().common.conditions
    }

    /// Was the resource as specified at this very generation? Where it shares a setting: all but the parts of others.
    pub(super) fn was_in_sync(&self) -> bool {
        let shared = |reason: &str| K::PARTED && reason == Reason::Conflict.as_str();
        ConditionType::Ready.find(&self.conditions()).is_some_and(|c| {
            let settled = c.status == "True" || shared(&c.reason);
            settled && c.observed_generation == self.object.meta().generation
        })
    }

    pub(super) fn claimant(&self) -> Claimant {
        Claimant::of(&*self.object)
    }

    pub(super) fn claim_on(instance: &str, id: &str) -> Claim {
        Claim { instance: instance.into(), target: format!("{}/{id}", K::KIND) }
    }

    pub(super) fn claim_on_part(instance: &str, id: &str, part: &str) -> Claim {
        Claim { instance: instance.into(), target: format!("{}/{id}/{part}", K::KIND) }
    }

    /// The claim that stands for a name; nobody holds it, those who want the name wait on it.
    pub(super) fn name_claim(&self, name: &str) -> Option<Claim> {
        let Reach { instance, organization, .. } = self.reach.as_ref()?;
        let organization = if K::SCOPE == Scope::Instance { "" } else { organization };
        let target = format!("{} name/{organization}/{}", K::KIND, name.to_lowercase());
        Some(Claim { instance: instance.clone(), target })
    }

    /// Takes the claims of the bond, or learns who holds them. An observer claims nothing, and so does who is not bound:
    /// what it names was not seen yet.
    pub(super) fn claim_bond(&mut self) {
        let Bond { id, organization, instance, .. } = self.bond.clone();
        let id = if K::IDENTITY == Identity::Setting { organization } else { id };
        if let (Some(id), Some(instance)) = (id, instance) {
            self.claim(&instance, &id);
        }
    }

    fn claim(&mut self, instance: &str, id: &str) {
        if self.object.is_let_go() {
            if !self.handle.has_finalizer() {
                // What it owned was given up, which may not have been heard.
                self.engine.release_claims(self.handle.uid());
            }
            return;
        }
        let (claims, claimant) = (&self.engine.claims, self.engine.index.kept(self.claimant()));
        let holder = |claim| match self.target {
            Target::Bound => claims.acquire(&claim, &claimant).err(),
            _ => claims.held_by_other(&claim, &claimant),
        };
        if !K::PARTED {
            self.holder = holder(Self::claim_on(instance, id));
            return;
        }
        let taken = |part: &String| Some((part.clone(), holder(Self::claim_on_part(instance, id, part))?));
        self.parts_taken.extend(self.parts.iter().filter_map(taken).collect::<Vec<_>>());
        self.leave_taken();
    }

    pub(super) fn leave_taken(&mut self) {
        self.parts.retain(|part| !self.parts_taken.contains_key(part));
        let lost: BTreeSet<&str> = self.parts_taken.keys().map(String::as_str).collect();
        self.desired = self.desired.take().map(|desired| K::without(desired, &lost));
    }

    /// What a status proves to be its resource's.
    pub(super) fn recorded_claims(status: &Status<K::Own>) -> Vec<Claim> {
        let Some((id, instance)) = K::bound(&status.common).zip(status.common.instance.as_ref()) else {
            return Vec::new();
        };
        match K::PARTED {
            true => K::recorded(&status.own).iter().map(|p| Self::claim_on_part(instance, id, p)).collect(),
            false => vec![Self::claim_on(instance, id)],
        }
    }

    /// Resolves the spec, and the parts it names besides those that are recorded.
    pub(super) async fn desire(&mut self) -> Result<(), Fault> {
        let namespace = &self.handle.address.namespace;
        let mut values = Values::new(self.engine.connections.vault_of(namespace), &self.engine.bulk);
        values.hold_in(self.client.as_ref().map(Client::memory));
        let desired = self.object.desire(&mut values).await?;
        if K::BULKY {
            // Once resolved its values are not held twice.
            Arc::make_mut(&mut self.object).strip();
        }
        if !self.is_managed() {
            self.parts.clear();
        }
        self.parts.extend(K::parts(&desired));
        self.desired = Some(desired);
        self.claim_bond();
        Ok(())
    }

    pub(super) fn context(&self) -> Result<Context<'_>, Fault> {
        let Reach { session, client, organization, .. } = self.reach.as_ref().ok_or(Fault::Stale)?;
        let (uid, confirmations) = (self.handle.uid(), &self.engine.confirmations);
        Ok(Context { session, client, organization, uid, parts: &self.parts, confirmations })
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
        let session = self.admit().await?;
        let admission = self.turn.take().ok_or(Fault::Stale)?;
        let mut instance = session.instance().await?;
        if !self.is_ours(&session, &instance) {
            // What was learned before may be over by now.
            instance = session.instance_to_refuse().await?;
        }
        let ours = self.is_ours(&session, &instance);
        let organization =
            if ours { self.organization_of(&session, &instance).await? } else { String::new() };
        if ours && K::IDENTITY == Identity::Setting {
            self.target_id = Some(organization.clone());
            if self.target == Target::None {
                self.claim(&instance, &organization);
            }
        }
        let client = self.client.take().unwrap_or_else(|| session.client.holding());
        self.reach = Some(Reach { session, client, instance, organization, _admission: admission });
        if ours {
            self.follow_instance();
        } else {
            self.observed = Observed::OtherInstance;
        }
        Ok(ours)
    }

    /// Does a person wait for an answer?
    pub(super) fn urgency(&self) -> Urgency {
        let status = self.status().common;
        let asked = self.handle.annotation(annotation::RECONCILE_REQUESTED_AT);
        let is_answered = status.observed_generation == self.object.meta().generation
            && asked == status.last_handled_reconcile_at.as_deref();
        if is_answered && !self.is_deleting() { Urgency::Resync } else { Urgency::Edit }
    }

    /// Is this the instance that the resource, or its unfinished create, was written to?
    fn is_ours(&self, session: &Session, instance: &str) -> bool {
        let mut recorded = self.bond.instance.iter().chain(self.intent.iter().map(|intent| &intent.instance));
        !self.is_begun_elsewhere() && recorded.all(|known| session.is_instance(known, instance))
    }

    /// An instance under a new identity keeps its bonds.
    fn follow_instance(&mut self) {
        let Some(Reach { instance, .. }) = &self.reach else { return };
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
}

/// What the resource points at: what its status proves, else what a person asks to import.
fn target<K: Kind>(handle: &Handle, status: &CommonStatus) -> (Target, Option<String>) {
    if let Some(id) = K::bound(status) {
        return (Target::Bound, Some(id.clone()));
    }
    let requested = handle.annotation(annotation::ID).filter(|id| !id.is_empty());
    match requested.filter(|_| K::IDENTITY == Identity::Assigned) {
        Some(id) => (Target::Requested, Some(id.into())),
        None => (Target::None, None),
    }
}
