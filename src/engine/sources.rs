//! Secrets and ConfigMaps that values and credentials come from: a change wakes whoever uses them.
//!
//! Only their metadata is followed, and only in namespaces that something was read from and that grant `watch`.
//! Where they do not, a change is seen at the next resync.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, channel::mpsc};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Engine, Having};
use crate::api::ALLOW_LABEL;
use crate::api::connection::{CaBundle, Endpoint};
use crate::runtime::kubernetes::{Pauses, Watching};

/// A namespace that refused or that nobody uses any more is asked again no sooner.
const PAUSE: Duration = Duration::from_secs(600);

/// A namespace refuses once it did so often in a row: an API server that is starting does it for a moment.
const REFUSALS: u32 = 5;

/// What a value can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
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
pub struct Place {
    kind: SourceKind,
    namespace: String,
    /// Its Secrets are read without the label.
    trusted: bool,
}

/// Where something was read, and since when that is followed.
pub struct Sources {
    wanted: mpsc::UnboundedSender<Place>,
    followed: Mutex<HashMap<Place, Followed>>,
}

#[derive(Default)]
struct Followed {
    /// Without a time it is followed now, else it may be asked for again from then on.
    again: Option<Instant>,
    /// The versions that were read, by name.
    read: BTreeMap<String, String>,
}

impl Sources {
    /// Nothing was read yet; the receiver is for [`follow`].
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Place>) {
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
        let place = Place { kind, namespace: namespace.into(), trusted };
        let mut places = self.followed();
        let is_new = !places.contains_key(&place);
        let followed = places.entry(place.clone()).or_default();
        match version {
            Some(version) => drop(followed.read.insert(name.into(), version.into())),
            None => drop(followed.read.remove(name)),
        }
        if is_new || followed.again.is_some_and(|again| again <= Instant::now()) {
            followed.again = None;
            // Nobody listens: the process is ending.
            let _ = self.wanted.unbounded_send(place);
        }
    }

    fn versions(&self, place: &Place) -> BTreeMap<String, String> {
        self.followed().get(place).map(|followed| followed.read.clone()).unwrap_or_default()
    }

    fn ended(&self, place: &Place) {
        let again = Some(Instant::now() + PAUSE);
        self.followed().insert(place.clone(), Followed { again, ..Followed::default() });
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<Place, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows every place that something is read from, until `stop`.
pub async fn follow(
    engine: Arc<Engine>,
    mut wanted: mpsc::UnboundedReceiver<Place>,
    stop: CancellationToken,
) {
    let mut watches = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(place) = wanted.next() => drop(watches.spawn(follow_place(engine.clone(), place))),
            Some(_) = watches.join_next() => {}
        }
    }
}

async fn follow_place(engine: Arc<Engine>, place: Place) {
    match place.kind {
        SourceKind::Secret => watch::<Secret>(&engine, &place).await,
        SourceKind::ConfigMap => watch::<ConfigMap>(&engine, &place).await,
    }
    engine.connections.sources().ended(&place);
}

/// Wakes the users of what changes, until the right to watch or the last user is gone.
async fn watch<K>(engine: &Engine, place: &Place)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    let config = Watching::Sources.config();
    let config = match (place.kind, place.trusted) {
        (SourceKind::Secret, false) => config.labels(&format!("{ALLOW_LABEL}=true")),
        _ => config,
    };
    let api = Api::<PartialObjectMeta<K>>::namespaced(engine.clients.sources.clone(), &place.namespace);
    let mut events = std::pin::pin!(watcher(api, config).backoff(Pauses::default()));
    let mut seen = Seen { versions: engine.connections.sources().versions(place), ..Seen::default() };
    loop {
        let changed = match timeout(PAUSE, events.next()).await {
            Ok(Some(Ok(event))) => seen.changes(&event),
            Ok(Some(Err(error))) if seen.is_closed(&error) => return,
            Ok(Some(Err(_))) => Vec::new(),
            Ok(None) => return,
            Err(_) if engine.reads_in(place) => Vec::new(),
            Err(_) => return,
        };
        for name in changed {
            engine.wake_users(Source { kind: place.kind, namespace: &place.namespace, name: &name });
        }
    }
}

/// What was there when it was looked, or read, last.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, String>,
    listed: HashSet<String>,
    complete: bool,
    refusals: u32,
}

impl Seen {
    /// The names that changed, came or went; of what the first list shows only what was read otherwise.
    fn changes<K: ResourceExt>(&mut self, event: &watcher::Event<K>) -> Vec<String> {
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
                (self.complete, self.refusals) = (true, 0);
                gone
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
        self.refusals += u32::from(is_refused(error));
        self.refusals >= REFUSALS
    }

    fn note(&mut self, object: &impl ResourceExt) -> Vec<String> {
        let version = object.resource_version().unwrap_or_default();
        let before = self.versions.insert(object.name_any(), version.clone());
        let is_told = before.as_ref() != Some(&version) && (self.complete || before.is_some());
        is_told.then(|| object.name_any()).into_iter().collect()
    }
}

fn is_refused(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    let (InitialListFailed(cause) | WatchStartFailed(cause)) = error else { return false };
    matches!(cause, kube::Error::Api(status) if status.code == 403)
}

impl Engine {
    fn wake_users(&self, source: Source<'_>) {
        tracing::debug!(?source, "changed");
        self.wakes.wake(self.resources(Having::Source(source)));
        self.wakes.wake(self.connections.using(source).iter().map(super::address::ConnectionKey::address));
    }

    fn reads_in(&self, place: &Place) -> bool {
        place.trusted || !self.resources(Having::Namespace(&place.namespace)).is_empty()
    }
}

/// Does the connection read this, where its Secrets are in the same namespace?
pub(super) fn reads(endpoint: &Endpoint, kind: SourceKind, name: &str) -> bool {
    let Endpoint { personal_access_token, jwt_profile, client_credentials, ca_bundle, .. } = endpoint;
    let CaBundle { secret_key_ref, config_map_key_ref, .. } = ca_bundle.clone().unwrap_or_default();
    let names = match kind {
        SourceKind::ConfigMap => vec![config_map_key_ref.map(|reference| reference.name)],
        SourceKind::Secret => vec![
            personal_access_token.as_ref().map(|secret| secret.name.clone()),
            jwt_profile.as_ref().map(|secret| secret.name.clone()),
            client_credentials.as_ref().map(|secret| secret.name.clone()),
            secret_key_ref.map(|reference| reference.name),
        ],
    };
    names.into_iter().flatten().any(|used| used == name)
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

    fn secret(name: &str, version: &str) -> Secret {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            resource_version: Some(version.into()),
            ..Default::default()
        };
        Secret { metadata, ..Default::default() }
    }

    #[test]
    fn what_changed_or_went_since_it_was_read_is_told_by_the_first_list() {
        use watcher::Event::{Init, InitApply, InitDone};
        let read = ["a", "b", "gone"].map(|name| (name.to_owned(), "1".to_owned()));
        let mut seen = Seen { versions: read.into(), ..Seen::default() };
        let listed = [secret("a", "1"), secret("b", "2"), secret("other", "1")].map(InitApply);
        let events = [Init].into_iter().chain(listed).chain([InitDone]);
        let told: Vec<String> = events.flat_map(|event| seen.changes(&event)).collect();
        assert_eq!(told, ["b", "gone"]);
    }

    #[test]
    fn what_changes_after_the_first_list_is_told_also_where_only_a_relist_shows_it() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let mut seen = Seen::default();
        let mut told = Vec::new();
        let events = [
            Init,
            InitApply(secret("a", "1")),
            InitApply(secret("b", "1")),
            InitDone,
            Apply(secret("a", "2")),
            Apply(secret("a", "2")),
            Init,
            InitApply(secret("a", "3")),
            InitApply(secret("c", "1")),
            InitDone,
            Delete(secret("c", "1")),
        ];
        for event in &events {
            told.extend(seen.changes(event));
        }
        assert_eq!(told, ["a", "a", "c", "b", "c"]);
    }

    #[test]
    fn a_moment_of_refusals_closes_no_namespace() {
        use kube::core::Status;
        use watcher::Event::{Init, InitDone};
        let refused = |code| kube::Error::Api(Status::failure("no", "no").with_code(code).boxed());
        let mut seen = Seen::default();
        let mut is_closed = |code, recovered: bool| {
            seen.changes::<Secret>(&Init);
            let closed = seen.is_closed(&watcher::Error::InitialListFailed(refused(code)));
            if recovered {
                seen.changes::<Secret>(&InitDone);
            }
            closed
        };
        assert!(!(1..REFUSALS).any(|nth| is_closed(403, nth == REFUSALS - 1)));
        assert!(!(1..REFUSALS).any(|_| is_closed(403, false)));
        assert!(!is_closed(503, false));
        assert!(is_closed(403, false));
    }
}
