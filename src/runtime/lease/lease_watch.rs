use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, WatchEvent, WatchParams};

/// How long the server lets the watch live, in seconds.
const LIFETIME: u32 = 240;

/// A watch of one Lease. It spares waiting only: whoever listens also looks now and then.
pub(super) struct LeaseWatch {
    api: Api<Lease>,
    name: String,
    events: Option<BoxStream<'static, kube::Result<WatchEvent<Lease>>>>,
    warned: bool,
}

impl LeaseWatch {
    pub(super) fn new(api: Api<Lease>, name: &str) -> Self {
        Self { api, name: name.to_owned(), events: None, warned: false }
    }

    /// What comes after this version of the Lease; what is gone has no spec. Never resolves where it cannot be watched.
    pub(super) async fn next(&mut self, version: Option<String>) -> Lease {
        if let Some(version) = version {
            // One that has ended is begun anew, but not again and again.
            for _ in 0..2 {
                if let Some(lease) = self.hear(&version).await {
                    return lease;
                }
            }
        }
        std::future::pending().await
    }

    async fn hear(&mut self, version: &str) -> Option<Lease> {
        if self.events.is_none() {
            let params =
                WatchParams::default().fields(&format!("metadata.name={}", self.name)).timeout(LIFETIME);
            let begun = self.api.watch(&params, version).await;
            self.events = begun.inspect_err(|error| self.tell(error)).ok().map(StreamExt::boxed);
        }
        while let Some(event) = self.events.as_mut()?.next().await {
            match event {
                Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)) => return Some(lease),
                Ok(WatchEvent::Deleted(lease)) => return Some(Lease { spec: None, ..lease }),
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(_)) | Err(_) => break,
            }
        }
        self.events = None;
        None
    }

    /// Once: what is not watched is still looked at, only later.
    fn tell(&mut self, error: &kube::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            let error = super::reason(error);
            tracing::warn!(
                lease = self.name,
                error,
                "cannot be watched: a release is noticed some seconds later"
            );
        }
    }
}
