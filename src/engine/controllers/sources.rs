//! Follows the Secrets and ConfigMaps that something was read from, and wakes who uses them.

use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt, channel::mpsc};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::Api;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::ALLOW_LABEL;
use crate::engine::index::selector::Selector;
use crate::engine::shared::Engine;
use crate::engine::watch::sources::{Source, SourceKind, SourceNamespace};
use crate::runtime::kubernetes::{Pauses, Watching};

/// Follows every place that something is read from, until `stop`.
pub async fn follow(
    engine: Arc<Engine>,
    mut wanted: mpsc::UnboundedReceiver<SourceNamespace>,
    stop: CancellationToken,
) {
    let mut watches = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(namespace) = wanted.next() => drop(watches.spawn(follow_place(engine.clone(), namespace))),
            Some(_) = watches.join_next() => {}
        }
    }
}

async fn follow_place(engine: Arc<Engine>, namespace: SourceNamespace) {
    match namespace.kind {
        SourceKind::Secret => watch::<Secret>(&engine, &namespace).await,
        SourceKind::ConfigMap => watch::<ConfigMap>(&engine, &namespace).await,
    }
}

async fn watch<K>(engine: &Engine, namespace: &SourceNamespace)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
{
    let config = Watching::Sources.config();
    let config = match (namespace.kind, namespace.trusted) {
        (SourceKind::Secret, false) => config.labels(&format!("{ALLOW_LABEL}=true")),
        _ => config,
    };
    let api = Api::<PartialObjectMeta<K>>::namespaced(engine.clients.sources.clone(), &namespace.namespace);
    let events = watcher(api, config).backoff(Pauses::default());
    let is_used = || engine.reads_in(namespace);
    let wake = |name: &str| {
        engine.wake_users(Source { kind: namespace.kind, namespace: &namespace.namespace, name });
    };
    engine.connections.sources().follow(namespace, events, is_used, wake).await;
}

impl Engine {
    fn wake_users(&self, source: Source<'_>) {
        tracing::debug!(?source, "changed");
        self.requeues.wake(self.index.list(Selector::Source(source)));
    }

    fn reads_in(&self, namespace: &SourceNamespace) -> bool {
        namespace.trusted || self.index.has_any(Selector::Namespace(&namespace.namespace))
    }
}
