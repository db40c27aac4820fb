//! Who owns what when a process begins to lead: learned from all statuses before anything is reconciled.
//!
//! A namespace that cannot be listed is left out, so that it stops no other. What it holds is learned through the list
//! of all namespaces where that is allowed. Where it is not, nobody takes anything over either: whoever follows a part
//! of the cluster asks that list first (`creation.rs`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use tokio::time::sleep;

use crate::api::Status;
use crate::engine::controllers::controller::{Guarded, KindController};
use crate::engine::decision::error::ReconcileError;
use crate::engine::drivers::kind::{Driver, Kind};
use crate::engine::drivers::subject::KindInfo;
use crate::engine::index::kind_stores::KindStores;
use crate::engine::reconcile::claiming::recorded_claims;
use crate::engine::reconcile::malformed;
use crate::engine::watch::reflected_store::{ReflectedStore, all_filled};

/// So long what could not be read is not asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// How old what is known of the namespaces left out may be.
const REFRESH: Duration = Duration::from_secs(600);

impl<K: Kind> KindController<K> {
    /// Learns the claims once this process leads, and has resources reconciled from then on; then those of the namespaces
    /// left out, as each can be listed. `None`: the process is ending.
    pub(crate) async fn learn(&self) -> Option<()> {
        let engine = &*self.engine;
        let others = async { engine.connections.known().await && engine.namespaces.filled().await };
        let (others, left_out) = future::join(others, all_filled(&self.readers)).await;
        let left_out = left_out.filter(|_| others)?;
        let is_out = |scope: &usize| left_out.contains(scope);
        let listed: Vec<usize> = (0..self.readers.len()).filter(|scope| !is_out(scope)).collect();
        let mut all = self.seen_elsewhere(&left_out).await;
        all.extend(listed.iter().filter_map(|scope| self.readers.get(*scope)).flat_map(|r| r.store.state()));
        self.learn_claims(all).await?;
        let names = left_out.iter().filter_map(|scope| self.namespace(*scope)).map(Into::into);
        let stores = KindStores { readers: self.readers.clone() };
        engine.add_resource_index(K::KIND, Box::new(stores), names.collect());
        listed.into_iter().for_each(|scope| self.begin(scope));
        tokio::select! {
            _ = future::join_all(left_out.iter().map(|scope| self.take_up(*scope))) => {}
            () = self.keep_elsewhere(&left_out) => {}
        }
        Some(())
    }

    /// From now on what is in this scope is reconciled.
    fn begin(&self, scope: usize) {
        let known = self.claims_known.get(scope);
        // It is set once: here.
        known.into_iter().for_each(|known| drop(known.set(())));
    }

    /// The namespace of a scope; `None` where that is all of them.
    fn namespace(&self, scope: usize) -> Option<&str> {
        self.engine.config.namespaces.get(scope).map(String::as_str)
    }

    async fn take_up(&self, scope: usize) -> Option<()> {
        let (namespace, reader) = self.namespace(scope).zip(self.readers.get(scope))?;
        let is_fed = self.engine.leave_out(K::KIND, namespace, reader).await;
        let there = is_fed.then(|| reader.store.state())?;
        self.now_in(namespace, &there);
        self.learn_claims(there).await?;
        self.engine.take_up(K::KIND, namespace);
        self.begin(scope);
        Some(())
    }

    /// Learns from time to time what became of what was seen in the namespaces left out.
    async fn keep_elsewhere(&self, left_out: &[usize]) {
        loop {
            sleep(REFRESH).await;
            let still: Vec<usize> =
                left_out.iter().copied().filter(|scope| !self.is_listed(*scope)).collect();
            let seen = self.seen_elsewhere(&still).await;
            if self.learn_claims(seen).await.is_none() {
                return;
            }
        }
    }

    fn is_listed(&self, scope: usize) -> bool {
        self.readers.get(scope).is_some_and(ReflectedStore::is_filled)
    }

    /// What the list of all namespaces shows in these, where it is allowed.
    async fn seen_elsewhere(&self, scopes: &[usize]) -> Vec<Arc<Guarded<K>>> {
        let mut seen = Vec::new();
        for namespace in scopes.iter().filter_map(|scope| self.namespace(*scope)) {
            match self.list_in(namespace).await {
                Ok(there) => {
                    self.now_in(namespace, &there);
                    seen.extend(there);
                }
                Err(error) => tracing::warn!(
                    kind = K::KIND, namespace, %error,
                    "what it owns cannot be learned: nothing that it may own is taken over"
                ),
            }
        }
        seen
    }

    async fn list_in(&self, namespace: &str) -> Result<Vec<Arc<Guarded<K>>>, ReconcileError> {
        if self.engine.namespaces.store.get(&ObjectRef::new(namespace)).is_none() {
            return Ok(Vec::new());
        }
        // Not by a field selector: of a selection by namespace the API server (1.37) loses all pages but the first.
        let list =
            ListParams { label_selector: self.engine.config.label_selector.clone(), ..ListParams::default() };
        let mut there = Vec::new();
        let keep = |object: Guarded<K>| {
            if object.namespace().as_deref() == Some(namespace) {
                there.push(Arc::new(object));
            }
        };
        self.engine.bulk.each(self.engine.clients.calls.clone(), list, keep).await?;
        Ok(there)
    }

    /// These are all that is in a namespace: what was seen there before and is not among them holds nothing.
    fn now_in(&self, namespace: &str, there: &[Arc<Guarded<K>>]) {
        let there: HashSet<String> = there.iter().filter_map(|object| object.uid()).collect();
        let mut elsewhere = self.elsewhere.lock();
        let before = elsewhere.insert(namespace.into(), there.clone()).unwrap_or_default();
        drop(elsewhere);
        before.difference(&there).for_each(|gone| self.engine.forget(gone));
    }

    /// The oldest comes first and keeps what it has; a later one learns at its reconcile who holds it. `None`: the process
    /// is ending.
    async fn learn_claims(&self, mut all: Vec<Arc<Guarded<K>>>) -> Option<()> {
        all.sort_by_cached_key(|object| (object.creation_timestamp(), object.uid()));
        for object in all {
            while let Err(error) = self.learn_claim(&object).await {
                tracing::warn!(kind = K::KIND, name = object.name_any(), %error, "what it holds cannot be read");
                if !self.is_listed(self.scope_of(&*object)) {
                    break;
                }
                self.stop.run_until_cancelled(sleep(AGAIN)).await?;
            }
        }
        Some(())
    }

    async fn learn_claim(&self, object: &Guarded<K>) -> Result<(), ReconcileError> {
        let (claimant, status) = match &object.0 {
            Ok(object) if object.is_let_go() => return Ok(()),
            Ok(object) => (object.claimant(), object.status().cloned()),
            Err(invalid) => malformed::recorded::<K>(&self.engine, invalid).await?,
        };
        if self.is_listed(self.scope_of(object)) && self.now(object).is_none() {
            // It went while another could not be read.
            return Ok(());
        }
        let claimant = self.engine.index.kept(claimant);
        let claims = |status: &Status<K::Own>| {
            let keys = K::Driver::recorded(&status.own);
            recorded_claims(KindInfo::of_kind::<K>(), &status.common, &keys)
        };
        for claim in status.iter().flat_map(claims) {
            let _ = self.engine.claims.acquire(&claim, &claimant);
        }
        Ok(())
    }
}
