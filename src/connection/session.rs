//! One live connection to ZITADEL: its client and what has been learned through it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::api::Reason;
use crate::api::address::{Address, ConnectionKey};
use crate::api::connection::{AccessGrant, DefaultOrganization, Endpoint, RateLimit};
use crate::connection::remembered::Remembered;
use crate::engine::admission::limiter::{Admission, Admissions, InstanceLimiter};
use crate::engine::admission::queue::Urgency;
use crate::engine::decision::access::same_name;
use crate::engine::decision::error::ReconcileError;
use crate::zitadel::{Answer, Client, CredentialError, Error, Organization, Rate, User};

/// On an answer that is so much older nothing is done but to refuse, and that mends itself.
const OLD_ENOUGH: Duration = Duration::from_secs(10);
/// Organizations of one name that are looked at: servers keep names unique.
const MOST_CANDIDATES: usize = 10;
/// Organizations whose names a session remembers: of a cluster connection, and of a tenant's own server.
const KNOWN_SHARED: usize = 10_000;
const KNOWN_OF_TENANT: usize = 100;

/// A connection in use, under what its spec says now.
#[derive(Clone)]
pub struct Session {
    /// The connection.
    pub key: ConnectionKey,
    /// The connection's UID.
    pub uid: Option<String>,
    /// Its spec.
    pub endpoint: Endpoint,
    /// Its grants; `None` for a namespaced connection, which serves its own namespace only.
    pub access: Option<Vec<AccessGrant>>,
    /// The API.
    pub client: Client,
    /// The certificates it trusts besides the system's, to notice a change.
    pub certificates: Option<Vec<u8>>,
    freshness: Duration,
    rate: Rate,
    admissions: Arc<Admissions>,
    instance_limiter: Arc<InstanceLimiter>,
    known: Arc<Mutex<Known>>,
    /// Held by who asks for the instance: the others wait for that answer.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What was learned, each with the time it was.
#[derive(Default)]
struct Known {
    /// With the time it was asked for.
    instance: Option<(String, Instant)>,
    failed: Option<Failed>,
    own_organization: Option<(String, Instant)>,
    names: Remembered,
    ids: Remembered,
    withdrawn: Option<CredentialError>,
}

/// Why the instance could not be told when it was asked for last; that serves those who waited for it.
#[derive(Clone)]
struct Failed {
    error: Error,
    begun: Instant,
    ended: Instant,
}

/// What a connection says beside where ZITADEL is and how to log in.
pub struct Terms {
    /// Its spec.
    pub endpoint: Endpoint,
    /// Its grants.
    pub access: Option<Vec<AccessGrant>>,
    /// How long what is learned may be believed.
    pub freshness: Duration,
    /// The rate it allows.
    pub rate: Rate,
}

/// The parts of a session that come from the connection.
pub struct SessionParts {
    /// The connection.
    pub key: ConnectionKey,
    /// The connection's UID.
    pub uid: Option<String>,
    /// What else it says.
    pub terms: Terms,
    /// Its extra certificates.
    pub certificates: Option<Vec<u8>>,
    /// The limiters of all budgets.
    pub admissions: Arc<Admissions>,
    /// Its limiter.
    pub instance_limiter: Arc<InstanceLimiter>,
}

impl Session {
    /// A session that has learned nothing yet.
    pub fn new(session_parts: SessionParts, client: Client) -> Self {
        let SessionParts { key, uid, terms, certificates, admissions, instance_limiter } = session_parts;
        let Terms { endpoint, access, freshness, rate } = terms;
        instance_limiter.set_rate(&key, Some(rate));
        Self {
            key,
            uid,
            endpoint,
            access,
            client,
            certificates,
            freshness,
            rate,
            admissions,
            instance_limiter,
            known: Arc::default(),
            asking: Arc::default(),
        }
    }

    /// The same way to ZITADEL, and all that was learned on it, under other terms.
    pub fn under(&self, terms: Terms) -> Self {
        let Terms { endpoint, access, freshness, rate } = terms;
        self.instance_limiter().set_rate(&self.key, Some(rate));
        Self { endpoint, access, freshness, rate, ..self.clone() }
    }

    /// Does it go where this connection goes, with the same credential?
    pub fn goes_as(&self, uid: Option<&str>, endpoint: &Endpoint) -> bool {
        self.uid.as_deref() == uid && way(&self.endpoint) == way(endpoint)
    }

    /// Does it serve this connection as it is now? The generation would not tell: a deletion moves it too.
    pub fn is_of(&self, uid: Option<&str>, endpoint: &Endpoint, access: Option<&[AccessGrant]>) -> bool {
        (self.uid.as_deref(), &self.endpoint, self.access.as_deref()) == (uid, endpoint, access)
    }

    /// Admits one reconcile; never waits.
    ///
    /// # Errors
    /// As [`InstanceLimiter::admit`].
    pub fn admit(&self, who: &Address, urgency: Urgency) -> Result<Admission, ReconcileError> {
        self.instance_limiter.admit(who, urgency)
    }

    /// Where reconciles wait for the budget of the connection.
    pub fn instance_limiter(&self) -> Arc<InstanceLimiter> {
        self.instance_limiter.clone()
    }

    /// Gives up its share of the budget.
    pub fn close(&self) {
        self.instance_limiter.set_rate(&self.key, None);
    }

    /// Shares the rate of the instance. A tenant's server may state any instance: it shares with nobody.
    fn share_rate(&self, instance: &str) {
        if self.access.is_none() {
            return;
        }
        self.admissions.share_rate(instance, &self.key, self.rate, &self.instance_limiter);
    }

    /// How long what was learned may be believed: the resync interval in force.
    pub fn freshness(&self) -> Duration {
        self.freshness
    }

    /// The credential's Secret went: only deletions go on with what is in memory.
    pub fn withdraw(&self, error: Option<CredentialError>) {
        self.known().withdrawn = error;
    }

    /// Refuses if the credential was withdrawn.
    pub fn check_credential(&self) -> Result<(), ReconcileError> {
        match self.known().withdrawn.clone() {
            Some(error) => Err(Error::Credential(error).into()),
            None => Ok(()),
        }
    }

    /// Refuses since an answer was about another organization than the one asked.
    pub fn check_header(&self) -> Result<(), ReconcileError> {
        Ok(self.client.check_header()?)
    }

    /// As [`Client::confirm_header`].
    pub async fn confirm_header(&self, by_request: bool) -> Result<(), ReconcileError> {
        Ok(self.client.confirm_header(by_request).await?)
    }

    /// The instance the connection reaches (`iamProjectId`), at most [`Session::freshness`] old.
    pub async fn instance(&self) -> Result<String, ReconcileError> {
        self.instance_within(self.freshness()).await
    }

    /// The instance the connection reaches now.
    pub async fn confirm_instance(&self) -> Result<String, ReconcileError> {
        self.instance_within(Duration::ZERO).await
    }

    /// The instance the connection reaches, as recent as a refusal needs it: nothing is done on it.
    pub async fn instance_to_refuse(&self) -> Result<String, ReconcileError> {
        self.instance_within(OLD_ENOUGH).await
    }

    /// By an answer that was asked for at most so long ago. Whoever needs one meanwhile waits for the same.
    async fn instance_within(&self, age: Duration) -> Result<String, ReconcileError> {
        let wanted = Instant::now();
        let serves = |begun: Instant| wanted.checked_sub(age).is_none_or(|since| begun >= since);
        let known = || self.known().instance.clone().filter(|(_, begun)| serves(*begun));
        if let Some((instance, _)) = known() {
            return Ok(instance);
        }
        let _asking = self.asking.lock().await;
        if let Some((instance, _)) = known() {
            return Ok(instance);
        }
        let failed = self.known().failed.clone();
        if let Some(failed) = failed.filter(|failed| serves(failed.begun) && wanted <= failed.ended) {
            return Err(failed.error.into());
        }
        self.ask_instance().await
    }

    async fn ask_instance(&self) -> Result<String, ReconcileError> {
        let begun = Instant::now();
        match self.client.instance().await {
            Ok(answer) => {
                let instance = answer.value.iam_project_id;
                self.known().instance = Some((instance.clone(), begun));
                self.share_rate(&instance);
                Ok(instance)
            }
            Err(error) => {
                self.known().failed = Some(Failed { error: error.clone(), begun, ended: Instant::now() });
                Err(error.into())
            }
        }
    }

    /// Is `recorded` the instance `current`, under this or an older identity?
    pub fn is_instance(&self, recorded: &str, current: &str) -> bool {
        recorded == current || self.endpoint.previous_instances.iter().any(|previous| previous == recorded)
    }

    /// The organization with this id as it is now.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] also for one that was removed.
    pub async fn confirm_organization(&self, id: &str) -> Result<Answer<Organization>, ReconcileError> {
        let answer = self.client.living_organization(id).await?;
        self.known().names.learn(id.into(), answer.value.name.clone(), self.bounds());
        Ok(answer)
    }

    /// The name of an organization, at most [`Session::freshness`] old.
    pub async fn organization_name(&self, id: &str) -> Result<String, ReconcileError> {
        let known = self.known().names.recent(id, self.freshness());
        match known {
            Some(name) => Ok(name),
            None => Ok(self.confirm_organization(id).await?.value.name),
        }
    }

    /// The id of the organization with this name, compared without case, confirmed by a read of that organization.
    ///
    /// # Errors
    /// `NotFound` for none, `InvalidSpec` for several: never a guess.
    pub async fn organization_named(&self, name: &str) -> Result<String, ReconcileError> {
        self.organization_named_or(name, &[]).await
    }

    /// The same, where these may be it although no list shows them yet.
    ///
    /// # Errors
    /// As [`Session::organization_named`].
    pub async fn organization_named_or(
        &self,
        name: &str,
        likely: &[String],
    ) -> Result<String, ReconcileError> {
        let known = self.known().ids.recent(&name.to_lowercase(), self.freshness());
        if let Some(id) = known
            && same_name(&self.organization_name(&id).await?, name)
        {
            return Ok(id);
        }
        let id = self.find_organization(name, likely).await?;
        self.known().ids.learn(name.to_lowercase(), id.clone(), self.bounds());
        Ok(id)
    }

    async fn find_organization(&self, name: &str, likely: &[String]) -> Result<String, ReconcileError> {
        let blocked = |reason, message| Err(ReconcileError::Stalled { reason, message });
        let listed = self.client.organizations_named(name).await?.into_iter().map(|candidate| candidate.id);
        let candidates: BTreeSet<String> = listed.chain(likely.iter().cloned()).collect();
        if candidates.len() > MOST_CANDIDATES {
            let message = format!("{} organizations are named {name:?}: name one by id", candidates.len());
            return blocked(Reason::InvalidSpec, message);
        }
        let mut confirmed = Vec::new();
        for id in candidates {
            match self.confirm_organization(&id).await {
                Ok(answer) if same_name(&answer.value.name, name) => confirmed.push(id),
                Ok(_) | Err(ReconcileError::Zitadel(Error::OrganizationNotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        match confirmed.as_slice() {
            [id] => Ok(id.clone()),
            [] => blocked(
                Reason::NotFound,
                format!(
                    "no organization named {name:?} is visible to the user of {}; check the name, or name it by id",
                    self.key
                ),
            ),
            several => blocked(
                Reason::InvalidSpec,
                format!(
                    "{} organizations are named {name:?}: name one by id ({})",
                    several.len(),
                    several.join(", ")
                ),
            ),
        }
    }

    /// The organization of resources that name none: the default of the connection, or for a namespaced connection its user's own.
    pub async fn default_organization(&self) -> Result<String, ReconcileError> {
        let key = &self.key;
        match &self.endpoint.default_organization {
            Some(DefaultOrganization { id: Some(id), .. }) => Ok(id.clone()),
            Some(DefaultOrganization { name: Some(name), .. }) => self.organization_named(name).await,
            _ if self.access.is_none() => self.own_organization().await,
            _ => Err(ReconcileError::Stalled {
                reason: Reason::InvalidSpec,
                message: format!("no organization: set spec.organization, or defaultOrganization of {key}"),
            }),
        }
    }

    /// The organization of the user, at most [`Session::freshness`] old.
    async fn own_organization(&self) -> Result<String, ReconcileError> {
        let known = self.known().own_organization.clone();
        match known {
            Some((own_organization, at)) if at.elapsed() < self.freshness() => Ok(own_organization),
            _ => Ok(self.confirm_user().await?.resource_owner),
        }
    }

    /// The user of the credential as it is now: another credential may be of somebody else.
    pub async fn confirm_user(&self) -> Result<User, ReconcileError> {
        let user = self.client.me().await?;
        self.known().own_organization = Some((user.resource_owner.clone(), Instant::now()));
        Ok(user)
    }

    /// How long what was learned is fresh, and how much of it is kept.
    fn bounds(&self) -> (Duration, usize) {
        (self.freshness(), if self.access.is_some() { KNOWN_SHARED } else { KNOWN_OF_TENANT })
    }

    fn known(&self) -> parking_lot::MutexGuard<'_, Known> {
        self.known.lock()
    }
}

/// What makes a connection another one: all but what only says how it is used.
fn way(endpoint: &Endpoint) -> Endpoint {
    Endpoint {
        default_organization: None,
        resync_interval: Duration::ZERO.into(),
        rate_limit: RateLimit::default(),
        previous_instances: Vec::new(),
        ..endpoint.clone()
    }
}

#[cfg(test)]
mod tests;
