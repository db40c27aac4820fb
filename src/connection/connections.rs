//! The connections of the cluster and the sessions built from them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::address::{Address, ConnectionKey};
use crate::api::connection::{AccessGrant, ConnectionStatus, Endpoint, RateLimit};
use crate::api::{ConnectionKind, FINALIZER, Reason};
use crate::connection::credentials::{SecretCredential, SecretReader};
use crate::connection::installation::Installation;
use crate::connection::limits;
use crate::connection::session::{Session, SessionParts, Terms};
use crate::connection::stores::ConnectionStores;
use crate::engine::admission::limiter::{Admission, Admissions, InstanceLimiter};
use crate::engine::decision::conditions::has_answered;
use crate::engine::decision::config::Config;
use crate::engine::decision::error::ReconcileError;
use crate::engine::watch::sources::Sources;
use crate::zitadel::{
    AggregateLocks, Budget, Client, ClientConfig, Error, HttpTransportConfig, MemoryBudget, Rate, Tokens,
    TransportFactory, check_public, check_url, parse_base_url,
};

/// Bound of one call to ZITADEL, its retries included.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// A connection as the cluster has it.
struct KnownConnection {
    uid: Option<String>,
    endpoint: Endpoint,
    access: Option<Vec<AccessGrant>>,
    protected: bool,
    /// Whether its status says that an instance has answered, and not that none does.
    answered: bool,
    /// The kinds that its status says lack permissions.
    lacking: Vec<String>,
}

/// Every connection, and one session for each that is used.
pub struct Connections {
    client: kube::Client,
    pub(crate) installation: Installation,
    config: Config,
    stores: ConnectionStores,
    transport: Arc<TransportFactory>,
    locks: Arc<AggregateLocks>,
    admissions: Arc<Admissions>,
    tokens: Arc<Tokens>,
    memory: MemoryBudget,
    sessions: parking_lot::Mutex<HashMap<ConnectionKey, Arc<Session>>>,
    sources: Arc<Sources>,
}

impl Connections {
    /// No session yet; they are built when they are first used.
    pub fn new(
        client: kube::Client,
        installation: Installation,
        config: Config,
        stores: ConnectionStores,
        transport: Arc<TransportFactory>,
        sources: Arc<Sources>,
        admissions: Arc<Admissions>,
    ) -> Self {
        Self {
            client,
            installation,
            config,
            stores,
            transport,
            locks: Arc::default(),
            admissions,
            tokens: Arc::default(),
            memory: MemoryBudget::default(),
            sessions: parking_lot::Mutex::default(),
            sources,
        }
    }

    /// Resolves once this process leads and knows all connections. `false`: it is ending.
    pub async fn known(&self) -> bool {
        self.stores.filled().await
    }

    /// Resolves once all connections were listed, whoever leads. `false`: the process is ending.
    pub async fn warm(&self) -> bool {
        self.stores.warm().await
    }

    /// In how many of the namespaces that are followed the connections were not listed yet.
    pub fn unlisted(&self) -> usize {
        self.stores.unlisted()
    }

    /// The session of a connection, and the one that it took the place of just now where the connection changed. What was
    /// learned stays as long as place and credential do.
    ///
    /// For a deletion the session in memory serves on after the connection or its Secret is gone.
    ///
    /// # Errors
    /// `ReferenceNotFound`, `InvalidSpec`, or what keeps its certificates from being read.
    pub async fn session(&self, key: &ConnectionKey, deleting: bool) -> Result<Opened, ReconcileError> {
        let present = self.sessions().get(key).cloned();
        let found = match self.find(key) {
            Err(_) if deleting && present.is_some() => None,
            found => found?,
        };
        match (found, present) {
            (Some(found), Some(session))
                if session.is_of(found.uid.as_deref(), &found.endpoint, found.access.as_deref()) =>
            {
                Ok((session, None))
            }
            (Some(found), Some(session)) if session.goes_as(found.uid.as_deref(), &found.endpoint) => {
                Ok(self.install(session.under(self.terms(found.endpoint, found.access))))
            }
            (Some(found), _) => Ok(self.install(self.open(key, found).await?)),
            (None, Some(session)) if deleting => Ok((session, None)),
            (None, _) => Err(ReconcileError::Waiting {
                reason: Reason::ReferenceNotFound,
                message: format!("{key} does not exist: create it, or correct spec.connectionRef"),
            }),
        }
    }

    /// The grant that was given to this resource of the connection, if any.
    pub fn grant(&self, key: &ConnectionKey, who: &Address) -> Option<Admission> {
        let session = self.sessions().get(key).cloned();
        self.admissions.grant(who, session.map(|session| session.instance_limiter()).as_ref())
    }

    /// The limiters of all budgets.
    pub fn admissions(&self) -> &Arc<Admissions> {
        &self.admissions
    }

    /// The session anew, although the connection is the same; the one before stays until this one is built.
    ///
    /// # Errors
    /// As [`Connections::session`].
    pub async fn reopen(&self, key: &ConnectionKey) -> Result<Arc<Session>, ReconcileError> {
        let found = self.find(key)?.ok_or(ReconcileError::Stale)?;
        let session = Arc::new(self.open(key, found).await?);
        replace(&mut self.sessions(), session.clone());
        Ok(session)
    }

    /// Is the connection there?
    pub fn exists(&self, key: &ConnectionKey) -> bool {
        !matches!(self.find(key), Ok(None))
    }

    /// The instances that the connection says are this one under an older identity.
    pub fn previous_instances(&self, key: &ConnectionKey) -> Vec<String> {
        let present = || self.sessions().get(key).map(|session| session.endpoint.clone());
        let endpoint = self.find(key).ok().flatten().map(|found| found.endpoint).or_else(present);
        endpoint.map(|endpoint| endpoint.previous_instances).unwrap_or_default()
    }

    /// Closes the session, so that the next use builds another.
    pub fn close(&self, key: &ConnectionKey) {
        if let Some(session) = self.sessions().remove(key) {
            session.close();
        }
    }

    /// Whether the connection carries our finalizer; `true` also where there is none to protect.
    pub fn is_protected(&self, key: &ConnectionKey) -> bool {
        self.find(key).ok().flatten().is_none_or(|found| found.protected)
    }

    /// Whether its status says that this kind lacks permissions; `true` also where there is none to say it.
    pub fn tells_missing(&self, key: &ConnectionKey, kind: &str) -> bool {
        self.find(key).ok().flatten().is_none_or(|found| found.lacking.iter().any(|lacking| lacking == kind))
    }

    /// Whether its session lost the organization header and nobody asked before.
    pub fn is_header_news(&self, key: &ConnectionKey) -> bool {
        self.sessions().get(key).is_some_and(|session| session.client.is_header_news())
    }

    /// The connections that there is a session of.
    pub fn open_sessions(&self) -> Vec<ConnectionKey> {
        self.sessions().keys().cloned().collect()
    }

    /// What each session that is in use spends from.
    pub fn budgets(&self) -> Vec<(ConnectionKey, Arc<Budget>)> {
        self.sessions()
            .iter()
            .map(|(key, session)| (key.clone(), session.instance_limiter().budget()))
            .collect()
    }

    fn find(&self, key: &ConnectionKey) -> Result<Option<KnownConnection>, ReconcileError> {
        match key.kind {
            ConnectionKind::Connection => {
                let reference = ObjectRef::new(&key.name).within(&key.namespace);
                let object = self
                    .stores
                    .namespaced
                    .iter()
                    .find_map(|reflected_store| reflected_store.store.get(&reference));
                if object.is_none() && !self.stores.lists(&key.namespace, &self.config.namespaces) {
                    let message = "the operator could not list Connection so far: its log says why".into();
                    return Err(ReconcileError::Waiting { reason: Reason::ReferenceNotReady, message });
                }
                found(key, object.as_deref(), |c| (c.spec.endpoint.clone(), None, c.status.as_ref()))
            }
            ConnectionKind::ClusterConnection => {
                let object = self.stores.cluster.store.get(&ObjectRef::new(&key.name));
                found(key, object.as_deref(), |c| {
                    (c.spec.endpoint.clone(), Some(c.spec.access.clone()), c.status.as_ref())
                })
            }
        }
    }

    async fn open(&self, key: &ConnectionKey, found: KnownConnection) -> Result<Session, ReconcileError> {
        let KnownConnection { uid, endpoint, access, answered, .. } = found;
        let invalid = |message: String| ReconcileError::Stalled {
            reason: Reason::InvalidSpec,
            message: format!("{key}: {message}"),
        };
        let url = parse_base_url(&endpoint.url).map_err(invalid)?;
        check_url(&url, endpoint.insecure).map_err(invalid)?;
        let tenant = key.kind == ConnectionKind::Connection;
        let deny_local = tenant && self.installation.in_cluster;
        if deny_local {
            check_public(&url).map_err(invalid)?;
        }
        let secret_reader = self.secret_reader(key);
        let certificates = match &endpoint.ca_bundle {
            Some(bundle) => Some(secret_reader.certificates(bundle).await.map_err(Error::Credential)?),
            None => None,
        };
        let transport = HttpTransportConfig {
            ca_bundle: certificates.clone(),
            deny_local,
            proxy: self.installation.proxy.clone().filter(|_| !tenant),
            ..Default::default()
        };
        let transport = (self.transport)(&transport).map_err(invalid)?;
        let config = ClientConfig {
            base_url: url,
            external_domain: endpoint.external_domain.clone(),
            deadline: CALL_DEADLINE,
            memory: self.memory.share(tenant.then_some(key.namespace.as_str())),
            answered,
        };
        let terms = self.terms(endpoint, access);
        let instance_limiter = self.instance_limiter(key, &terms.endpoint, terms.rate);
        // A tenant's calls may wait for its own budget; nobody else may wait for them.
        let locks = if tenant { Arc::default() } else { self.locks.clone() };
        let source = Arc::new(SecretCredential { secret_reader, endpoint: terms.endpoint.clone() });
        let tokens = self.tokens.clone();
        let client = Client::new(config, transport, source, instance_limiter.budget(), locks, tokens)
            .map_err(invalid)?;
        let (key, admissions) = (key.clone(), self.admissions.clone());
        Ok(Session::new(SessionParts { key, uid, terms, certificates, admissions, instance_limiter }, client))
    }

    fn terms(&self, endpoint: Endpoint, access: Option<Vec<AccessGrant>>) -> Terms {
        let count = |n: i32| u32::try_from(n).unwrap_or(1);
        let RateLimit { requests_per_second, burst } = limits::clamp_rate(&endpoint.rate_limit, &self.config);
        let rate = Rate { requests_per_second: count(requests_per_second), burst: count(burst) };
        Terms { freshness: limits::resync(&endpoint, &self.config), endpoint, access, rate }
    }

    /// A connection that still goes to the same place goes on with what it spent there.
    fn instance_limiter(&self, key: &ConnectionKey, endpoint: &Endpoint, rate: Rate) -> Arc<InstanceLimiter> {
        let route = |e: &Endpoint| (e.url.clone(), e.external_domain.clone(), e.ca_bundle.clone());
        match self.sessions().get(key).filter(|session| route(&session.endpoint) == route(endpoint)) {
            Some(session) => session.instance_limiter(),
            None => self.admissions.instance_limiter(key, rate),
        }
    }

    /// Of two sessions built at once for the same spec the first stays, with what it learns.
    fn install(&self, session: Session) -> Opened {
        let mut sessions = self.sessions();
        match sessions.get(&session.key) {
            Some(present)
                if present.is_of(session.uid.as_deref(), &session.endpoint, session.access.as_deref()) =>
            {
                (present.clone(), None)
            }
            _ => {
                let session = Arc::new(session);
                let before = replace(&mut sessions, session.clone());
                (session, before)
            }
        }
    }

    /// Where the connection's Secrets and ConfigMaps are.
    pub fn secret_reader(&self, key: &ConnectionKey) -> SecretReader {
        let namespace = self.secrets_namespace(key);
        // Who may write a connection there is trusted with its Secrets.
        let trusted = namespace == self.installation.namespace;
        SecretReader { trusted, ..self.secret_reader_of(namespace) }
    }

    /// The namespace of the connection's Secrets and ConfigMaps.
    pub fn secrets_namespace<'a>(&'a self, key: &'a ConnectionKey) -> &'a str {
        match key.kind {
            ConnectionKind::Connection => &key.namespace,
            ConnectionKind::ClusterConnection => &self.installation.namespace,
        }
    }

    /// The Secrets with the label and the ConfigMaps of a namespace.
    pub fn secret_reader_of(&self, namespace: &str) -> SecretReader {
        let (client, sources) = (self.client.clone(), self.sources.clone());
        let remedy = self.installation.reading(namespace);
        SecretReader { client, namespace: namespace.into(), remedy, trusted: false, sources }
    }

    /// Where it is told what is read.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    fn sessions(&self) -> parking_lot::MutexGuard<'_, HashMap<ConnectionKey, Arc<Session>>> {
        self.sessions.lock()
    }
}

/// A session, and the one before it that said otherwise.
pub type Opened = (Arc<Session>, Option<Arc<Session>>);

/// What both kinds of connection say.
type Said<'a> = (Endpoint, Option<Vec<AccessGrant>>, Option<&'a ConnectionStatus>);

/// What the one before allowed counts no more where it spent from another budget.
fn replace(
    sessions: &mut HashMap<ConnectionKey, Arc<Session>>,
    session: Arc<Session>,
) -> Option<Arc<Session>> {
    let instance_limiter = session.instance_limiter();
    let before = sessions.insert(session.key.clone(), session);
    if let Some(before) =
        before.iter().find(|before| !Arc::ptr_eq(&before.instance_limiter(), &instance_limiter))
    {
        before.close();
    }
    before
}

fn found<K: Resource>(
    key: &ConnectionKey,
    object: Option<&DeserializeGuard<K>>,
    said: impl FnOnce(&K) -> Said<'_>,
) -> Result<Option<KnownConnection>, ReconcileError> {
    match object.map(|guard| &guard.0) {
        None => Ok(None),
        Some(Err(error)) => Err(ReconcileError::Waiting {
            reason: Reason::ReferenceNotReady,
            message: format!("{key} does not parse: {error}"),
        }),
        Some(Ok(connection)) => {
            let (endpoint, access, status) = said(connection);
            let protected = connection.finalizers().iter().any(|f| f == FINALIZER);
            let missing = status.iter().flat_map(|status| &status.missing_permissions);
            let lacking = missing.map(|missing| missing.kind.clone()).collect();
            let answered = status.is_some_and(|status| has_answered(status, connection.meta().generation));
            Ok(Some(KnownConnection {
                uid: connection.uid(),
                endpoint,
                access,
                protected,
                answered,
                lacking,
            }))
        }
    }
}
