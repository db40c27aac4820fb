//! One look at one connection: does the credential work, who is it, what does it lack?

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::address::ConnectionKey;
use crate::api::connection::{
    ConnectionCredential, ConnectionMembership, ConnectionStatus, ConnectionUser, CredentialType,
};
use crate::api::{ConditionType, Reason, annotation};
use crate::connection::any_connection::AnyConnection;
use crate::connection::controller::missing_permissions::{Permissions, remedies};
use crate::connection::limits;
use crate::connection::session::Session;
use crate::engine::admission::limiter::Admission;
use crate::engine::admission::queue::Urgency;
use crate::engine::decision::conditions::{ConditionInput, conditions, ours};
use crate::engine::decision::error::{ConditionUpdate, ReconcileError, RequeuePolicy, Severity};
use crate::engine::decision::outcome::{Outcome, OutcomeKind};
use crate::engine::index::selector::Selector;
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::{Handle, MetadataChange, known_as};
use crate::engine::shared::Engine;
use crate::runtime::ambient;
use crate::zitadel::{Credential, CredentialError, Error};

/// The last of its users to go wakes a connection that is being deleted; this is the net under that.
const STILL_USED: Duration = Duration::from_secs(30);
/// Places whose roles a status shows,
const MOST_MEMBERSHIPS: usize = 50;
/// roles of each,
const MOST_ROLES: usize = 20;
/// and characters of a role.
const LONGEST_ROLE: usize = 100;

/// One reconcile of one connection.
struct Probe<'a, K> {
    engine: &'a Engine,
    connection: &'a K,
    handle: Handle,
    key: ConnectionKey,
    learned: ConnectionStatus,
    /// Why resources that name no organization have none.
    no_default: Option<String>,
}

/// Looks at it, and tells what was found.
pub(crate) async fn probe<K: AnyConnection>(engine: &Engine, key: ConnectionKey, connection: &K) -> Outcome {
    let handle = Handle::new::<K>(engine.clients.calls.clone(), K::NAME, connection.meta());
    let learned = connection.status().cloned().unwrap_or_default();
    let mut probe = Probe { engine, connection, handle, key, learned, no_default: None };
    let result = probe.run().await;
    probe.finish(result).await
}

impl<K: AnyConnection> Probe<'_, K> {
    async fn run(&mut self) -> Result<(), ReconcileError> {
        let deleting = self.connection.meta().deletion_timestamp.is_some();
        if deleting {
            self.engine.complete(&self.key, &self.handle.address).await?;
        }
        match self.engine.users(&self.key) {
            // Not all kinds are known yet; one user is enough.
            None if self.engine.is_used(&self.key) => self.protect(true, deleting).await?,
            None => {}
            Some(users) if deleting && users > 0 => {
                if let Err(error) = self.serve_on().await {
                    tracing::debug!(resource = %self.handle.address, %error, "its users tell");
                }
                return Err(ReconcileError::Soon {
                    reason: Reason::Deleting,
                    message: still_used(users),
                    after: STILL_USED,
                });
            }
            Some(users) => self.protect(users > 0, deleting).await?,
        }
        if deleting {
            self.engine.connections.close(&self.key);
            return Ok(());
        }
        let session = self.session().await?;
        let _admission = self.admit(&session)?;
        self.check_credential(&session).await?;
        // What several answers say is kept until the end.
        let mut session = Session::clone(&session);
        session.client = session.client.holding();
        let memberships = self.learn(&session).await?;
        session.confirm_header(self.is_requested()).await?;
        self.learn_default(&session).await?;
        self.learn_missing(&session, &memberships).await
    }

    /// Those who still use it do so while it is being deleted: a credential or a header that came back is told to them.
    async fn serve_on(&mut self) -> Result<(), ReconcileError> {
        let session = self.session().await?;
        let missed = session.check_credential().and(session.check_header()).is_err();
        let _admission = self.admit(&session)?;
        self.check_credential(&session).await?;
        session.confirm_header(self.is_requested()).await?;
        if missed {
            self.engine.requeues.wake(self.engine.resources(Selector::Connection(&self.key)));
        }
        Ok(())
    }

    /// Does a person ask for another look?
    fn is_requested(&self) -> bool {
        let asked = self.connection.annotations().get(annotation::RECONCILE_REQUESTED_AT);
        asked.is_some() && asked != self.learned.last_handled_reconcile_at.as_ref()
    }

    async fn protect(&mut self, in_use: bool, deleting: bool) -> Result<(), ReconcileError> {
        if !self.engine.leadership.is_leader() {
            return Err(ReconcileError::Stale);
        }
        if !in_use && !deleting && !self.engine.config.sees_all_users(K::KIND) {
            return Ok(());
        }
        self.handle.change(&MetadataChange { finalizer: Some(in_use), ..Default::default() }).await?;
        self.remember_write();
        Ok(())
    }

    fn remember_write(&self) {
        self.engine
            .object_states
            .expect_version(self.handle.uid(), self.handle.meta.resource_version.as_deref());
    }

    /// The session, built anew where the certificates it trusts changed.
    async fn session(&self) -> Result<Arc<Session>, ReconcileError> {
        let connections = &self.engine.connections;
        let session = self.engine.session(&self.key, false).await?;
        let Some(bundle) = &self.connection.endpoint().ca_bundle else {
            return Ok(session);
        };
        let certificates =
            connections.secret_reader(&self.key).certificates(bundle).await.map_err(Error::Credential)?;
        if session.certificates.as_ref() == Some(&certificates) {
            return Ok(session);
        }
        connections.reopen(&self.key).await
    }

    fn admit(&self, session: &Session) -> Result<Admission, ReconcileError> {
        let grant = self.engine.connections.grant(&self.key, &self.handle.address);
        // Everything that uses the connection waits for it.
        grant.map_or_else(|| session.admit(&self.handle.address, Urgency::Edit), Ok)
    }

    /// A credential that is gone or unusable serves deletions only.
    async fn check_credential(&mut self, session: &Session) -> Result<(), ReconcileError> {
        let read = session.client.reread_credential().await;
        match &read {
            Ok(credential) => {
                session.withdraw(None);
                self.learned.credential = Some(summary(credential));
            }
            Err(Error::Credential(error @ (CredentialError::Missing(_) | CredentialError::Invalid(_)))) => {
                session.withdraw(Some(error.clone()));
            }
            Err(_) => {}
        }
        Ok(read.map(drop)?)
    }

    /// Answers all memberships; the status shows some.
    async fn learn(&mut self, session: &Session) -> Result<Vec<ConnectionMembership>, ReconcileError> {
        let user = session.confirm_user().await?;
        let instance = session.confirm_instance().await?;
        let memberships = session.client.memberships().await?;
        let version = match session.client.version().await {
            Ok(version) => Some(version).filter(|v| !v.is_empty()),
            Err(Error::PermissionDenied { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let membership = |m: crate::zitadel::Membership| ConnectionMembership {
            organization_id: m.org_id.filter(|id| !id.is_empty()),
            roles: m.roles,
        };
        self.learned.user = Some(ConnectionUser {
            id: user.id,
            login_name: user.login_name,
            organization_id: user.resource_owner,
        });
        self.learned.instance = Some(instance);
        self.learned.version = version;
        let mut memberships: Vec<_> = memberships.into_iter().map(membership).collect();
        memberships.sort_by(|a, b| a.organization_id.cmp(&b.organization_id));
        (self.learned.memberships, self.learned.more_memberships) = shown(&memberships);
        Ok(memberships)
    }

    /// Is the organization there that resources get which name none?
    async fn learn_default(&mut self, session: &Session) -> Result<(), ReconcileError> {
        if session.endpoint.default_organization.is_none() {
            return Ok(());
        }
        let found = async { session.organization_name(&session.default_organization().await?).await };
        self.no_default = match found.await {
            // A header that is lost stops more than those who name no organization.
            Err(error @ ReconcileError::Zitadel(Error::HeaderLost { .. })) => return Err(error),
            // What is said of one organization, however odd, keeps the others from nothing.
            Err(error)
                if error.is_transient()
                    && !matches!(error, ReconcileError::Zitadel(Error::Malformed { .. })) =>
            {
                return Err(error);
            }
            found => found.err().map(|error| format!("spec.defaultOrganization: {error}")),
        };
        Ok(())
    }

    /// What was found before stays while it cannot be said what uses the connection.
    async fn learn_missing(
        &mut self,
        session: &Session,
        memberships: &[ConnectionMembership],
    ) -> Result<(), ReconcileError> {
        let needs = self.engine.needs(&self.key).filter(|_| self.engine.config.sees_all_users(K::KIND));
        if let (Some(needs), Some(user)) = (needs, &self.learned.user) {
            let permissions = Permissions::new(session, &user.organization_id, memberships);
            self.learned.missing_permissions = permissions.missing(needs).await?;
        }
        Ok(())
    }

    /// What a person should do about a connection that works.
    fn remedies(&self, status: &ConnectionStatus) -> Vec<String> {
        self.no_default.iter().cloned().chain(remedies(status, ambient::now())).collect()
    }

    /// A gap or an end that is near keeps nothing from working.
    fn available(&self) -> ConditionUpdate {
        let remedies = self.remedies(&self.learned);
        let clamped = limits::clamped(self.connection.endpoint(), &self.engine.config);
        let works = format!("the credential works{clamped}");
        ConditionUpdate::available([vec![works], remedies].concat().join("; "))
    }

    async fn finish(mut self, result: Result<(), ReconcileError>) -> Outcome {
        let uid = self.handle.uid().to_owned();
        let deleting = self.connection.meta().deletion_timestamp.is_some();
        if deleting && result.is_ok() {
            self.engine.forget(&uid);
            return Outcome::silent(OutcomeKind::Success, None);
        }
        let update = match &result {
            Ok(()) => Some(self.available()),
            Err(error) => ConditionUpdate::of(error),
        };
        let mut kind = result.as_ref().err().map_or(OutcomeKind::Success, OutcomeKind::of);
        let requeue = match (&update, &result) {
            (Some(update), _) => match self.tell(update).await {
                Ok(()) => update.requeue,
                Err(error) => {
                    kind = OutcomeKind::of(&error);
                    self.engine.pace_of(&self.handle, &error).await
                }
            },
            (None, Err(error)) => self.engine.pace_of(&self.handle, error).await,
            (None, Ok(())) => RequeuePolicy::Transient,
        };
        let resync = limits::resync(self.connection.endpoint(), &self.engine.config);
        let next = self.engine.object_states.next_attempt(&uid, requeue, resync);
        let reason = update.map(|update| update.reason);
        Outcome { reason, ..Outcome::silent(kind, Some(next)) }
    }

    /// Writes the status; a change of usability wakes everything that uses the connection.
    async fn tell(&mut self, update: &ConditionUpdate) -> Result<(), ReconcileError> {
        if !self.engine.leadership.is_leader() {
            return Err(ReconcileError::Stale);
        }
        let mut before = self.connection.status().cloned().unwrap_or_default();
        // A condition of somebody else is not ours to compare.
        before.conditions = ours(&before.conditions);
        let outcome = ConditionInput::of(update, self.connection.meta(), self.engine.config.outage_grace);
        let (conditions, observed_generation) =
            conditions(&before.conditions, before.observed_generation, &outcome);
        // As it was when this began: what was asked for since is not answered yet.
        let handled = self.connection.annotations().get(annotation::RECONCILE_REQUESTED_AT).cloned();
        let learned = self.learned.clone();
        let next = ConnectionStatus {
            conditions,
            observed_generation,
            last_handled_reconcile_at: handled,
            ..learned
        };
        if before == next {
            return Ok(());
        }
        if update.severity != Severity::Fine && message(&before) != message(&next) {
            tracing::info!(resource = %self.handle.address, reason = %update.message, "connection not usable");
        }
        let written = self.handle.apply_status(known_as::<ConnectionStatus>, &before, &next).await;
        self.remember_write();
        let same = usability(&before) == usability(&next);
        if !same && !written.as_ref().is_err_and(ReconcileError::is_refused) {
            // Also where no answer came: of a status that turns out to be right nobody is told again.
            self.engine.requeues.wake(self.engine.resources(Selector::Connection(&self.key)));
        }
        written?;
        let warning = update.severity != Severity::Fine || !self.remedies(&next).is_empty();
        if !same || warning && message(&before) != message(&next) {
            let note = EventSpec::normal(update.reason.as_str(), &update.message);
            self.engine.events.publish(&self.connection.object_ref(&()), EventSpec { warning, ..note }).await;
        }
        Ok(())
    }
}

fn still_used(users: usize) -> String {
    match users {
        1 => "1 resource still uses this connection".into(),
        users => format!("{users} resources still use this connection"),
    }
}

/// What a status has room for of what a server says, and how many more there are.
fn shown(memberships: &[ConnectionMembership]) -> (Vec<ConnectionMembership>, Option<i64>) {
    let cut = |role: &String| role.chars().take(LONGEST_ROLE).collect();
    let membership = |m: &ConnectionMembership| ConnectionMembership {
        organization_id: m.organization_id.clone(),
        roles: m.roles.iter().take(MOST_ROLES).map(cut).collect(),
    };
    let more = i64::try_from(memberships.len().saturating_sub(MOST_MEMBERSHIPS)).unwrap_or(i64::MAX);
    let shown = memberships.iter().take(MOST_MEMBERSHIPS).map(membership).collect();
    (shown, Some(more).filter(|more| *more > 0))
}

fn summary(credential: &Credential) -> ConnectionCredential {
    let r#type = match credential {
        Credential::PersonalAccessToken(_) => CredentialType::PersonalAccessToken,
        Credential::JwtProfile(_) => CredentialType::JwtProfile,
        Credential::ClientCredentials { .. } => CredentialType::ClientCredentials,
    };
    ConnectionCredential { r#type, expires_at: credential.expires().map(|end| end.to_string()) }
}

fn message(status: &ConnectionStatus) -> Option<&str> {
    ConditionType::Synced.find(&status.conditions).map(|condition| condition.message.as_str())
}

/// What users of a connection depend on; of another spec they hear when its session is.
fn usability(status: &ConnectionStatus) -> (Option<String>, Option<(String, String)>) {
    let synced = ConditionType::Synced.find(&status.conditions);
    let synced = synced.map(|condition| (condition.status.clone(), condition.reason.clone()));
    (status.instance.clone(), synced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_is_told_as_one() {
        let summary = [1, 2].map(still_used);
        assert_eq!(
            summary,
            ["1 resource still uses this connection", "2 resources still use this connection"]
        );
    }

    #[test]
    fn a_status_shows_some_memberships_and_counts_the_rest() {
        let membership = |n: usize| ConnectionMembership {
            organization_id: Some(format!("{n}")),
            roles: vec!["R".repeat(1000); 100],
        };
        let of = |count: usize| shown(&(0..count).map(membership).collect::<Vec<_>>());
        assert_eq!(of(MOST_MEMBERSHIPS).1, None);
        let (memberships, more) = of(10_000);
        assert_eq!((memberships.len(), more), (MOST_MEMBERSHIPS, Some(9950)));
        let status = ConnectionStatus { memberships, more_memberships: more, ..Default::default() };
        let size = serde_json::to_vec(&status).unwrap().len();
        assert!(size < 128 * 1024, "{size} bytes");
    }
}
