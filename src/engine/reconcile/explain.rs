//! Turns refusals and holds into sentences a person can act on.

use crate::api::address::ConnectionKey;
use crate::api::{Reason, annotation};
use crate::engine::decision::access::Action;
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::error::ReconcileError;
use crate::engine::decision::plan::{BlockReason, ExternalRef, Identity};
use crate::engine::drivers::kind::{Clash, Parent, Permission};
use crate::engine::index::claims::Claim;
use crate::engine::index::needs::verbs;
use crate::engine::reconcile::claiming::claims_on;
use crate::engine::reconcile::state::Run;
use crate::engine::reconcile::target::Rival;
use crate::zitadel::Error;

impl Run<'_> {
    /// The error of a failed call, after what may lie behind it was looked at: another instance, a missing permission.
    pub(crate) async fn explain(&mut self, error: Error) -> ReconcileError {
        let suspicious = matches!(
            error,
            Error::OrganizationNotFound { .. }
                | Error::ProjectNotFound { .. }
                | Error::NotFound { .. }
                | Error::PermissionDenied { .. }
        );
        if suspicious && matches!(self.confirm_instance().await, Ok(false)) {
            return self.held(BlockReason::InstanceChanged);
        }
        match error {
            Error::PermissionDenied { permission, .. } => self.denied(error, permission).await,
            Error::OrganizationNotFound { .. } => self.organization_gone(&error),
            Error::ProjectNotFound { .. } => self.project_gone(&error),
            Error::Unsupported { message } => ReconcileError::Zitadel(Error::Unsupported {
                message: format!(
                    "{message}; nothing is written, and it is asked again every few hours: once ZITADEL implements it, this works by itself"
                ),
            }),
            error => error.into(),
        }
    }

    /// Until it is bound a resource can be pointed elsewhere; what was bound went with its organization.
    fn organization_gone(&self, error: &Error) -> ReconcileError {
        let remedy = match self.external {
            ExternalRef::Owned => {
                let remade = self
                    .organization_ref()
                    .map(|organization_ref| format!(", or have {organization_ref} make it again"));
                let remade = remade.unwrap_or_default();
                format!("delete this resource, its {} went with the organization{remade}", self.kind.name)
            }
            _ => format!("correct spec.organization, or defaultOrganization of {}", self.key),
        };
        ReconcileError::Stalled { reason: Reason::NotFound, message: format!("{error}: {remedy}") }
    }

    fn project_gone(&self, error: &Error) -> ReconcileError {
        let remedy = match self.external {
            ExternalRef::Owned => {
                format!("delete this resource, its {} went with the project", self.kind.name)
            }
            _ => "correct spec.project".into(),
        };
        ReconcileError::Stalled { reason: Reason::NotFound, message: format!("{error}: {remedy}") }
    }

    /// The object as events name it.
    pub(crate) fn describe_object(&self) -> String {
        let id = self.id();
        let parent = match (self.kind.identity, self.kind.parent) {
            (Identity::Assigned, _) => return format!("{} {id}", self.kind.name),
            (Identity::Keyed, Parent::Instance) => "the instance".into(),
            (Identity::Keyed, Parent::Organization) => format!("organization {id}"),
            (Identity::Keyed, Parent::Project) => format!("project {id}"),
        };
        match self.keys.first().filter(|key| !self.kind.many_keys && !key.is_empty()) {
            Some(key) => format!("{} {key} of {parent}", self.kind.name),
            None => format!("the {} of {parent}", self.kind.name),
        }
    }

    /// ZITADEL does not say which permission is missing; the list of those present does (contract §0.7).
    async fn denied(&self, error: Error, permission: &'static str) -> ReconcileError {
        let Ok(cx) = self.context() else {
            return error.into();
        };
        let organization = Some(cx.organization).filter(|_| !self.kind.is_always_there());
        let present = cx.client.permissions(organization).await.ok();
        let verbs = verbs(&*self.object);
        let is_missing = |needed: &&Permission| match &present {
            Some(present) => verbs.contains(&needed.verb) && !present.contains(needed.name),
            None => needed.name == permission,
        };
        let missing: Vec<&Permission> = self.kind.permissions.iter().filter(is_missing).collect();
        let names: Vec<&str> = missing.iter().map(|p| p.name).collect();
        let Some(role) = missing.last().map(|p| p.roles) else { return error.into() };
        let parent_noun = match cx.organization {
            _ if names.iter().all(|name| name.starts_with("iam.")) => " in the instance".into(),
            "" => String::new(),
            organization => format!(" in organization {organization}"),
        };
        ReconcileError::Stalled {
            reason: Reason::PermissionDenied,
            message: format!(
                "the user of {} lacks {}{parent_noun}: give it the role {role} ({error})",
                self.key,
                names.join(", "),
            ),
        }
    }

    /// The error of a hold; a wait on somebody else's name or object is registered, so that its end wakes this resource.
    pub(crate) fn held(&self, block: BlockReason) -> ReconcileError {
        if block == BlockReason::NameInUse && self.searched && self.rival.is_none() {
            // Freed in between, or not in the list yet: worth another try soon.
            return ReconcileError::Waiting { reason: Reason::Conflict, message: self.name_taken() };
        }
        let waits = matches!(block, BlockReason::Taken | BlockReason::KeysTaken);
        if waits && !self.is_taken_still() {
            return ReconcileError::Stale;
        }
        let message = match block {
            BlockReason::Paused => {
                format!("paused by the annotation {}: nothing is read or written", annotation::PAUSED)
            }
            BlockReason::Taken => self.taken(),
            BlockReason::KeysTaken => self.describe_taken_keys(),
            BlockReason::Gone => format!(
                "{} {id} was removed in ZITADEL by somebody else: delete this resource, or have it made again with kubectl annotate {} -n {} {} --overwrite {}={id}",
                self.kind.name,
                self.kind.crd_name(),
                self.handle.address.namespace,
                self.handle.address.name,
                annotation::RECREATE,
                id = self.id(),
            ),
            BlockReason::InUse => format!("it is still the organization of {}", self.describe_dependents()),
            BlockReason::NameInUse => self.name_taken(),
            BlockReason::NothingToImport => format!(
                "there is no {} {} in the {}: correct or remove the annotation {}",
                self.kind.name,
                self.id(),
                self.parent_noun(),
                annotation::ID
            ),
            BlockReason::Foreign => {
                format!("{} {} belongs to another organization", self.kind.name, self.id())
            }
            BlockReason::InstanceChanged => self.instance_changed(),
            BlockReason::Drift => {
                format!("ZITADEL differs in {}; nothing is changed under Observe", self.differing.join(", "))
            }
            BlockReason::NothingToObserve => format!("there is no such {} in ZITADEL", self.kind.name),
        };
        ReconcileError::Blocked { block, message }
    }

    fn id(&self) -> &str {
        self.external_id.as_deref().unwrap_or_default()
    }

    /// Waits for the claims first and looks again then: a holder may have gone in between.
    fn is_taken_still(&self) -> bool {
        let instance =
            self.ownership.instance.as_ref().or(self.target.as_ref().map(|target| &target.instance));
        let Some(instance) = instance else { return true };
        let claims = match self.keys_taken.is_empty() {
            true => claims_on(self.kind, instance, self.id(), &self.keys),
            false => claims_on(self.kind, instance, self.id(), self.keys_taken.keys()),
        };
        let claimant = self.claimant();
        self.engine.claims.wait(&claims, &claimant);
        let held = |claim: &Claim| self.engine.claims.held_by_other(claim, &claimant).is_some();
        claims.iter().all(held) || self.engine.config.is_partial()
    }

    fn describe_taken_keys(&self) -> String {
        let taken = self.keys_taken.iter();
        let taken: Vec<_> = taken.map(|(key, by)| format!("{key:?} by {}", self.describe(by))).collect();
        format!(
            "owned by others and left alone: {}; remove them here or there; the rest is as specified",
            taken.join(", ")
        )
    }

    fn taken(&self) -> String {
        let holder = self.holder.as_ref().map_or("another resource".into(), |holder| self.describe(holder));
        format!(
            "{} {} is owned by {holder}; nothing is touched, not even on deletion",
            self.kind.name,
            self.id()
        )
    }

    /// The error of a wanted name that is in use, once it was looked up by what.
    pub(crate) async fn name_in_use(&mut self) -> ReconcileError {
        match self.find_rival().await {
            Ok(()) => self.held(BlockReason::NameInUse),
            Err(error) => error,
        }
    }

    /// By name, unless that was done, then by what follows from the name.
    async fn find_rival(&mut self) -> Result<(), ReconcileError> {
        if self.holder.is_some() || (self.external == ExternalRef::Found && self.external_id.is_some()) {
            return Ok(());
        }
        let (name, own) = (self.desired()?.name.clone(), self.ownership.id.clone());
        let by_name = if self.searched { Vec::new() } else { self.named(&name).await? };
        let mut ids = by_name.into_iter().map(|remote| remote.id).filter(|id| Some(id) != own.as_ref());
        let (id, what) = match ids.next() {
            Some(id) => (id, None),
            None => match self.object.clash(self.context()?, &name).await? {
                Some(Clash { id, what }) if Some(&id) != own.as_ref() => (id, Some(what)),
                _ => return Ok(()),
            },
        };
        let claim = self.target.as_ref().map(|target| Claim::on_id(&target.instance, self.kind.name, &id));
        let holder = claim.and_then(|claim| self.engine.claims.held_by_other(&claim, &self.claimant()));
        let known = self.may_know(&id).await;
        self.rival = Some(Rival { id, known, holder, what });
        Ok(())
    }

    /// Whether the namespace was given the organization; within one it may know all.
    async fn may_know(&self, id: &str) -> bool {
        let Ok(session) = self.session() else { return false };
        match (self.kind.is_organization(), &session.access) {
            (true, Some(_)) => self.authorize_in(session, "", id, Action::Read).await.is_ok(),
            _ => true,
        }
    }

    fn name_taken(&self) -> String {
        let name = self.desired.as_ref().map(|desired| desired.name.as_str()).unwrap_or_default();
        let rival = self.rival.as_ref();
        let holder = self.holder.as_ref().or(rival.and_then(|rival| rival.holder.as_ref()));
        // Its holder may leave the object, name and all, to whoever adopts it.
        let held = self.target.as_ref().filter(|_| holder.is_some());
        let id = rival.map_or(self.id(), |rival| &rival.id);
        let held = held.map(|target| Claim::on_id(&target.instance, self.kind.name, id));
        let claims: Vec<Claim> = self.name_claim(name).into_iter().chain(held).collect();
        self.engine.claims.wait(&claims, &self.claimant());
        let swap = match self.external {
            ExternalRef::Owned => " (two resources that swap names need a third name in between)",
            _ => "",
        };
        let known = rival.filter(|rival| rival.known).map(|rival| &rival.id);
        let by = match (holder, known, &self.external_id) {
            (Some(holder), ..) => {
                format!("{}: choose another name, or rename that one{swap}", self.describe(holder))
            }
            (None, Some(id), _) => {
                format!("{} {id}: choose another name, or rename that one{swap}", self.kind.name)
            }
            (None, None, Some(id)) if !self.recorded && !self.hidden => format!(
                "{} {id}: choose another name, or take it over with adoptionPolicy ByName or the annotation {}={id}",
                self.kind.name,
                annotation::ID
            ),
            _ => format!("another {}: choose another name{swap}", self.kind.name),
        };
        let made = rival.and_then(|rival| rival.what.as_ref().map(|what| (what, rival.known)));
        let what = match made {
            Some((what, true)) => format!("{what}, which ZITADEL makes of the name {name:?},"),
            // It may be a domain of somebody whom the namespace does not know.
            Some((_, false)) => format!("what ZITADEL makes of the name {name:?}"),
            None => format!("the name {name:?}"),
        };
        format!("{what} is in use in the {} by {by}", self.parent_noun())
    }

    /// Where names are unique and ids are looked for.
    fn parent_noun(&self) -> &'static str {
        match self.kind.parent {
            Parent::Instance => "instance",
            Parent::Organization => "organization",
            Parent::Project => "project",
        }
    }

    /// Other namespaces are none of a tenant's business.
    fn describe(&self, holder: &Claimant) -> String {
        match holder.address.namespace == self.handle.address.namespace {
            true => holder.address.to_string(),
            false => "a resource of another namespace".into(),
        }
    }

    fn instance_changed(&self) -> String {
        if let Some(intent) = self.intent.as_ref().filter(|_| self.is_begun_elsewhere()) {
            let before = ConnectionKey::of(&intent.connection_ref, &self.handle.address.namespace);
            return format!(
                "{before} was asked to create this, and it is not known whether it did; now spec.connectionRef names {}: set it back, or delete this resource with deletionPolicy Retain",
                self.key
            );
        }
        let recorded = self.ownership.instance.clone().or(self.intent.as_ref().map(|i| i.instance.clone()));
        let recorded = recorded.unwrap_or_default();
        format!(
            "{} reaches another ZITADEL instance than {recorded}, which this was written to: nothing is written, recreated or released; \
             if it is the same instance under a new identity, add {recorded:?} to spec.previousInstances of the connection",
            self.key
        )
    }
}
