//! How many reconciles of a kind are under way at a time, in however many namespaces it is followed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The workers of all kinds, as many of each.
pub struct Workers {
    most: usize,
    kinds: Mutex<HashMap<&'static str, Arc<Semaphore>>>,
    ended: CancellationToken,
}

impl Workers {
    /// So many of each kind.
    pub fn new(most: u16) -> Self {
        Self { most: most.into(), kinds: Mutex::default(), ended: CancellationToken::new() }
    }

    /// A worker of this kind, for as long as it is held; whoever asked first is first. `None`: the process is ending.
    pub async fn take(&self, kind: &'static str) -> Option<OwnedSemaphorePermit> {
        let workers = self.kinds().entry(kind).or_insert_with(|| Arc::new(Semaphore::new(self.most))).clone();
        self.ended.run_until_cancelled(workers.acquire_owned()).await?.ok()
    }

    /// Nobody begins any more, whoever waits neither.
    pub fn end(&self) {
        self.ended.cancel();
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<&'static str, Arc<Semaphore>>> {
        self.kinds.lock()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_kind_has_so_many_and_no_more() {
        let workers = Workers::new(2);
        let first = workers.take("Project").await;
        let _second = workers.take("Project").await;
        assert!(workers.take("Project").now_or_never().is_none());
        assert!(workers.take("OrgMetadata").now_or_never().flatten().is_some());
        drop(first);
        assert!(workers.take("Project").now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn at_the_end_nobody_gets_one() {
        let workers = Workers::new(1);
        let held = workers.take("Project").await;
        let waiting = workers.take("Project");
        let (waited, ()) = tokio::join!(waiting, async { workers.end() });
        assert!(waited.is_none());
        drop(held);
        assert!(workers.take("Project").await.is_none());
    }
}
