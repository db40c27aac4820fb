//! Secrets and ConfigMaps that values and credentials come from: a change wakes whoever uses them.
//!
//! Only their metadata is followed, and only in namespaces that something was read from and that grant `watch`.
//! Where they do not, a change is seen at the next resync.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, channel::mpsc};
use kube::ResourceExt;
use kube::runtime::watcher;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use crate::api::connection::Endpoint;
use crate::engine::watch::refusal::refusal;

/// A namespace that refused is asked again no sooner; one that nobody uses is followed for so long.
const PAUSE: Duration = Duration::from_secs(600);

/// A namespace refuses once it did so often in a row: an API server that is starting does it for a moment.
const REFUSALS: u32 = 5;

/// What a value can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl SourceKind {
    /// Its name in Kubernetes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// One Secret or ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Which of the two.
    pub kind: SourceKind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The Secrets, or the ConfigMaps, of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceNamespace {
    pub(crate) kind: SourceKind,
    pub(crate) namespace: String,
    /// Its Secrets are read without the label.
    pub(crate) trusted: bool,
}

/// Where something was read, and since when that is followed.
pub struct Sources {
    wanted: mpsc::UnboundedSender<SourceNamespace>,
    followed: Mutex<HashMap<SourceNamespace, FollowedNamespace>>,
}

#[derive(Default)]
struct FollowedNamespace {
    /// Without a time it is followed now, else it may be asked for again from then on.
    again: Option<Instant>,
    /// From now on every change is told.
    listed: bool,
    /// What was read before.
    read: Read,
}

/// By name all that was read: its versions, or that it was missing.
type Read = BTreeMap<String, BTreeSet<Option<String>>>;

impl Sources {
    /// Nothing was read yet; the receiver is for [`follow`].
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<SourceNamespace>) {
        let (wanted, receiver) = mpsc::unbounded();
        (Arc::new(Self { wanted, followed: Mutex::default() }), receiver)
    }

    /// Something was looked for there, and the namespace allowed it: the next change is to be noticed, one since
    /// this `version` was read too.
    pub fn read(
        &self,
        kind: SourceKind,
        namespace: &str,
        trusted: bool,
        (name, version): (&str, Option<&str>),
    ) {
        let namespace = SourceNamespace { kind, namespace: namespace.into(), trusted };
        let mut places = self.followed();
        // A refusal that is over is forgotten, whoever it was for: the namespace may be gone.
        places.retain(|_, followed| followed.again.is_none_or(|again| again > Instant::now()));
        let is_new = !places.contains_key(&namespace);
        let followed = places.entry(namespace.clone()).or_default();
        if !followed.listed {
            followed.read.entry(name.into()).or_default().insert(version.map(Into::into));
        }
        if is_new {
            // Nobody listens: the process is ending.
            let _ = self.wanted.unbounded_send(namespace);
        }
    }

    /// Wakes for what changes, until the right to watch or the last user is gone.
    pub(crate) async fn follow<K: ResourceExt>(
        &self,
        namespace: &SourceNamespace,
        events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
        is_used: impl Fn() -> bool,
        wake: impl Fn(&str),
    ) {
        let mut events = std::pin::pin!(events);
        let mut seen = Seen::default();
        loop {
            let changed = match timeout(PAUSE, events.next()).await {
                Ok(Some(Ok(event))) => seen.changes(&event, || self.listed(namespace)),
                Ok(Some(Err(error))) if seen.is_closed(&error) => return self.refused(namespace),
                Ok(Some(Err(_))) => Vec::new(),
                Ok(None) => return self.refused(namespace),
                Err(_) if is_used() => Vec::new(),
                Err(_) => return drop(self.followed().remove(namespace)),
            };
            changed.iter().for_each(|name| wake(name));
        }
    }

    /// What was read until now, as it is listed: what is read from now on is known to the watch.
    fn listed(&self, namespace: &SourceNamespace) -> Read {
        let mut places = self.followed();
        let followed = places.entry(namespace.clone()).or_default();
        followed.listed = true;
        std::mem::take(&mut followed.read)
    }

    fn refused(&self, namespace: &SourceNamespace) {
        let again = Some(Instant::now() + PAUSE);
        self.followed()
            .insert(namespace.clone(), FollowedNamespace { again, ..FollowedNamespace::default() });
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<SourceNamespace, FollowedNamespace>> {
        self.followed.lock()
    }
}

/// What was there when it was looked last.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, String>,
    listed: HashSet<String>,
    complete: bool,
    refusals: u32,
}

impl Seen {
    /// The names that changed, came or went; by the first list those that were `read` otherwise.
    fn changes<K: ResourceExt>(
        &mut self,
        event: &watcher::Event<K>,
        read: impl FnOnce() -> Read,
    ) -> Vec<String> {
        match event {
            watcher::Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                self.listed.insert(object.name_any());
                self.note(object)
            }
            watcher::Event::InitDone => {
                let gone: Vec<String> =
                    self.versions.keys().filter(|name| !self.listed.contains(*name)).cloned().collect();
                self.versions.retain(|name, _| self.listed.contains(name));
                self.refusals = 0;
                if std::mem::replace(&mut self.complete, true) { gone } else { self.otherwise(read()) }
            }
            watcher::Event::Apply(object) => self.note(object),
            watcher::Event::Delete(object) => {
                self.versions.remove(&object.name_any());
                vec![object.name_any()]
            }
        }
    }

    /// Was it refused too often, since it was listed last?
    fn is_closed(&mut self, error: &watcher::Error) -> bool {
        self.refusals += u32::from(refusal(error) == Some(403));
        self.refusals >= REFUSALS
    }

    fn otherwise(&self, mut read: Read) -> Vec<String> {
        read.retain(|name, versions| versions.iter().any(|v| v.as_ref() != self.versions.get(name)));
        read.into_keys().collect()
    }

    fn note(&mut self, object: &impl ResourceExt) -> Vec<String> {
        let version = object.resource_version().unwrap_or_default();
        let before = self.versions.insert(object.name_any(), version.clone());
        let is_told = self.complete && before.as_ref() != Some(&version);
        is_told.then(|| object.name_any()).into_iter().collect()
    }
}

/// The Secrets and ConfigMaps that a connection reads, all of one namespace.
pub(crate) fn of(endpoint: &Endpoint) -> Vec<(SourceKind, &str)> {
    let Endpoint { personal_access_token, jwt_profile, client_credentials, ca_bundle, .. } = endpoint;
    let bundle = ca_bundle.as_ref();
    let secrets = [
        personal_access_token.as_ref().map(|secret| &secret.name),
        jwt_profile.as_ref().map(|secret| &secret.name),
        client_credentials.as_ref().map(|secret| &secret.name),
        bundle.and_then(|bundle| bundle.secret_key_ref.as_ref()).map(|reference| &reference.name),
    ];
    let map = bundle.and_then(|bundle| bundle.config_map_key_ref.as_ref()).map(|reference| &reference.name);
    let secrets = secrets.into_iter().flatten().map(|name| (SourceKind::Secret, name.as_str()));
    secrets.chain(map.map(|name| (SourceKind::ConfigMap, name.as_str()))).collect()
}

#[cfg(test)]
mod tests;
