//! One live connection to ZITADEL: its client and what has been learned through it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::access::same_name;
use super::address::{Address, ConnectionKey};
use super::admission::{Admission, Admissions, Gate};
use super::fault::Fault;
use super::queue::Urgency;
use crate::api::Reason;
use crate::api::connection::{AccessGrant, DefaultOrganization, Endpoint};
use crate::zitadel::{Answer, Client, CredentialError, Error, Organization, Rate, User};

/// Organizations of one name that are looked at: servers keep names unique.
const MOST_CANDIDATES: usize = 10;
/// Organizations of which a session remembers the name: those of a cluster connection,
const KNOWN_SHARED: usize = 10_000;
/// and those of a tenant's own server, which may have as many as it likes.
const KNOWN_OF_TENANT: usize = 100;

/// A connection in use.
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
    gate: Arc<Gate>,
    known: Mutex<Known>,
}

/// What was learned, each with the time it was.
#[derive(Default)]
struct Known {
    instance: Option<(String, Instant)>,
    home: Option<(String, Instant)>,
    names: Remembered,
    ids: Remembered,
    withdrawn: Option<CredentialError>,
}

/// Texts with the time at which each was learned; as few as are kept.
#[derive(Default)]
struct Remembered(HashMap<String, (String, Instant)>);

impl Remembered {
    fn fresh(&self, key: &str, freshness: Duration) -> Option<String> {
        let (text, at) = self.0.get(key)?;
        (at.elapsed() < freshness).then(|| text.clone())
    }

    /// Where there is no room what was learned before goes: it is asked for again.
    fn learn(&mut self, key: String, text: String, (freshness, most): (Duration, usize)) {
        if self.0.len() >= most {
            self.0.retain(|_, (_, at)| at.elapsed() < freshness);
        }
        if self.0.len() >= most {
            self.0.clear();
        }
        self.0.insert(key, (text, Instant::now()));
    }
}

/// The parts of a session that come from the connection.
pub struct Parts {
    /// The connection.
    pub key: ConnectionKey,
    /// The connection's UID.
    pub uid: Option<String>,
    /// Its spec.
    pub endpoint: Endpoint,
    /// Its grants.
    pub access: Option<Vec<AccessGrant>>,
    /// Its extra certificates.
    pub certificates: Option<Vec<u8>>,
    /// How long what is learned may be believed.
    pub freshness: Duration,
    /// The rate it allows.
    pub rate: Rate,
    /// The gates of all budgets.
    pub admissions: Arc<Admissions>,
    /// Its gate.
    pub gate: Arc<Gate>,
}

impl Session {
    /// A session that has learned nothing yet.
    pub fn new(parts: Parts, client: Client) -> Self {
        let Parts { key, uid, endpoint, access, certificates, freshness, rate, admissions, gate } = parts;
        gate.set_rate(&key, Some(rate));
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
            gate,
            known: Mutex::default(),
        }
    }

    /// Does it serve this connection as it is now? The generation would not tell: a deletion moves it too.
    pub fn is_of(&self, uid: Option<&str>, endpoint: &Endpoint, access: Option<&[AccessGrant]>) -> bool {
        (self.uid.as_deref(), &self.endpoint, self.access.as_deref()) == (uid, endpoint, access)
    }

    /// Admits one reconcile; never waits.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub fn admit(&self, who: &Address, urgency: Urgency) -> Result<Admission, Fault> {
        self.gate.admit(who, urgency)
    }

    /// Where reconciles wait for the budget of the connection.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.clone()
    }

    /// Gives up its share of the budget.
    pub fn close(&self) {
        self.gate.set_rate(&self.key, None);
    }

    /// Shares the rate of the instance. A tenant's server may state any instance: it shares with nobody.
    fn share_rate(&self, instance: &str) {
        if self.access.is_none() {
            return;
        }
        self.admissions.share_rate(instance, &self.key, self.rate, &self.gate);
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
    pub fn check_credential(&self) -> Result<(), Fault> {
        match self.known().withdrawn.clone() {
            Some(error) => Err(Error::Credential(error).into()),
            None => Ok(()),
        }
    }

    /// Refuses since an answer was about another organization than the one asked.
    pub fn check_header(&self) -> Result<(), Fault> {
        Ok(self.client.check_header()?)
    }

    /// As [`Client::confirm_header`].
    pub async fn confirm_header(&self, by_request: bool) -> Result<(), Fault> {
        Ok(self.client.confirm_header(by_request).await?)
    }

    /// The instance the connection reaches (`iamProjectId`), at most [`Session::freshness`] old.
    pub async fn instance(&self) -> Result<String, Fault> {
        let known = self.known().instance.clone();
        match known {
            Some((instance, at)) if at.elapsed() < self.freshness() => Ok(instance),
            _ => self.confirm_instance().await,
        }
    }

    /// The instance the connection reaches now.
    pub async fn confirm_instance(&self) -> Result<String, Fault> {
        let instance = self.client.instance().await?.value.iam_project_id;
        self.known().instance = Some((instance.clone(), Instant::now()));
        self.share_rate(&instance);
        Ok(instance)
    }

    /// Is `recorded` the instance `current`, under this or an older identity?
    pub fn is_instance(&self, recorded: &str, current: &str) -> bool {
        recorded == current || self.endpoint.previous_instances.iter().any(|previous| previous == recorded)
    }

    /// The organization with this id as it is now.
    ///
    /// # Errors
    /// [`Error::OrganizationNotFound`] also for one that was removed.
    pub async fn confirm_organization(&self, id: &str) -> Result<Answer<Organization>, Fault> {
        let answer = self.client.living_organization(id).await?;
        self.known().names.learn(id.into(), answer.value.name.clone(), self.bounds());
        Ok(answer)
    }

    /// The name of an organization, at most [`Session::freshness`] old.
    pub async fn organization_name(&self, id: &str) -> Result<String, Fault> {
        let known = self.known().names.fresh(id, self.freshness());
        match known {
            Some(name) => Ok(name),
            None => Ok(self.confirm_organization(id).await?.value.name),
        }
    }

    /// The id of the organization with this name, compared without case, confirmed by a read of that organization.
    ///
    /// # Errors
    /// `NotFound` for none, `InvalidSpec` for several: never a guess.
    pub async fn organization_named(&self, name: &str) -> Result<String, Fault> {
        let known = self.known().ids.fresh(&name.to_lowercase(), self.freshness());
        if let Some(id) = known
            && same_name(&self.organization_name(&id).await?, name)
        {
            return Ok(id);
        }
        let id = self.find_organization(name).await?;
        self.known().ids.learn(name.to_lowercase(), id.clone(), self.bounds());
        Ok(id)
    }

    async fn find_organization(&self, name: &str) -> Result<String, Fault> {
        let (mut confirmed, candidates) = (Vec::new(), self.client.organizations_named(name).await?);
        if candidates.len() > MOST_CANDIDATES {
            let message = format!("{} organizations are named {name:?}: name one by id", candidates.len());
            return Err(Fault::Blocked { reason: Reason::InvalidSpec, message });
        }
        for candidate in candidates {
            match self.confirm_organization(&candidate.id).await {
                Ok(answer) if same_name(&answer.value.name, name) => confirmed.push(candidate.id),
                Ok(_) | Err(Fault::Zitadel(Error::OrganizationNotFound { .. })) => {}
                Err(fault) => return Err(fault),
            }
        }
        let blocked = |reason, message| Err(Fault::Blocked { reason, message });
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
    pub async fn default_organization(&self) -> Result<String, Fault> {
        match &self.endpoint.default_organization {
            Some(DefaultOrganization { id: Some(id), .. }) => Ok(id.clone()),
            Some(DefaultOrganization { name: Some(name), .. }) => self.organization_named(name).await,
            _ if self.access.is_none() => self.home().await,
            _ => Err(Fault::Blocked {
                reason: Reason::InvalidSpec,
                message: format!(
                    "no organization: set spec.organization, or defaultOrganization of {}",
                    self.key
                ),
            }),
        }
    }

    /// The organization of the user, at most [`Session::freshness`] old.
    async fn home(&self) -> Result<String, Fault> {
        let known = self.known().home.clone();
        match known {
            Some((home, at)) if at.elapsed() < self.freshness() => Ok(home),
            _ => Ok(self.confirm_user().await?.resource_owner),
        }
    }

    /// The user of the credential as it is now: another credential may be of somebody else.
    pub async fn confirm_user(&self) -> Result<User, Fault> {
        let user = self.client.me().await?;
        self.known().home = Some((user.resource_owner.clone(), Instant::now()));
        Ok(user)
    }

    /// How long what was learned is fresh, and how much of it is kept.
    fn bounds(&self) -> (Duration, usize) {
        (self.freshness(), if self.access.is_some() { KNOWN_SHARED } else { KNOWN_OF_TENANT })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_remembers_a_bounded_number_of_names() {
        let (mut names, freshness) = (Remembered::default(), Duration::from_secs(60));
        for n in 0..1000 {
            names.learn(format!("{n}"), "acme".into(), (freshness, KNOWN_OF_TENANT));
            assert!(names.0.len() <= KNOWN_OF_TENANT);
        }
        assert_eq!(names.fresh("999", freshness).as_deref(), Some("acme"));
        tokio::time::advance(freshness).await;
        assert_eq!(names.fresh("999", freshness), None);
    }
}
