//! Reads of Kubernetes whose answers may be large: few at once, and fewer of one namespace, so that the rest of the memory
//! and of the API server's patience is for others.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};

use kube::api::{Api, ListParams};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::decision::error::ReconcileError;
use crate::engine::kubernetes::resource::bounded;
use crate::engine::kubernetes::stripped::{Slim, Stripped};
use crate::runtime::kubernetes::PAGE;

/// Objects that are read by name at a time: one may have 1.5 MiB, and takes four times that while it is parsed.
const READS: usize = 6;
/// Of one namespace.
pub const READS_OF_NAMESPACE: usize = 3;
/// Lists whose pages are read at a time.
const LISTS: usize = 2;

/// Who may read now; whoever asked first is first.
pub struct Bulk {
    reads: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Weak<Semaphore>>>,
    lists: Arc<Semaphore>,
}

/// The right to read, for as long as it is held.
pub struct Reading {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Default for Bulk {
    fn default() -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self { reads: of(READS), namespaces: Mutex::default(), lists: of(LISTS) }
    }
}

impl Bulk {
    /// One read of an object of this namespace.
    pub async fn reading(&self, namespace: &str) -> Reading {
        // Nobody closes them.
        let _own = self.of(namespace).acquire_owned().await.ok();
        Reading { _own, _all: self.reads.clone().acquire_owned().await.ok() }
    }

    /// One list, from its first page to its last.
    pub async fn listing(&self) -> Option<OwnedSemaphorePermit> {
        self.lists.clone().acquire_owned().await.ok()
    }

    /// Shows each object of all namespaces that the list has, stripped, and holds no more than a page of them.
    pub async fn each<K>(
        &self,
        client: kube::Client,
        list: ListParams,
        mut show: impl FnMut(K),
    ) -> Result<(), ReconcileError>
    where
        K: Stripped + Clone + Debug + DeserializeOwned,
    {
        let api = Api::<Slim<K>>::all(client);
        let mut list = list.limit(PAGE);
        loop {
            let listing = self.listing().await;
            let page = bounded(api.list(&list)).await?;
            drop(listing);
            page.items.into_iter().for_each(|Slim(object)| show(object));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => list = list.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    fn of(&self, namespace: &str) -> Arc<Semaphore> {
        let mut namespaces = self.namespaces.lock();
        if let Some(present) = namespaces.get(namespace).and_then(Weak::upgrade) {
            return present;
        }
        namespaces.retain(|_, reads| reads.strong_count() > 0);
        let reads = Arc::new(Semaphore::new(READS_OF_NAMESPACE));
        namespaces.insert(namespace.to_owned(), Arc::downgrade(&reads));
        reads
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_namespace_leaves_reads_to_others() {
        let bulk = Bulk::default();
        let mut held = Vec::new();
        for _ in 0..READS_OF_NAMESPACE {
            held.push(bulk.reading("greedy").await);
        }
        assert!(bulk.reading("greedy").now_or_never().is_none());
        held.push(bulk.reading("other").now_or_never().expect("there is room for others"));
        drop(held);
        assert!(bulk.reading("greedy").now_or_never().is_some());
    }

    #[tokio::test]
    async fn no_namespace_is_remembered_that_reads_nothing() {
        let bulk = Bulk::default();
        for n in 0..100 {
            drop(bulk.reading(&format!("n{n}")).await);
        }
        assert_eq!(bulk.namespaces.lock().len(), 1);
    }

    #[tokio::test]
    async fn all_namespaces_together_read_so_many_and_no_more() {
        let bulk = Bulk::default();
        let mut held = Vec::new();
        for n in 0..READS {
            held.push(bulk.reading(&format!("n{n}")).await);
        }
        assert!(bulk.reading("late").now_or_never().is_none());
    }
}
