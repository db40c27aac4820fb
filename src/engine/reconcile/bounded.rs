//! One reconcile of one resource, whatever its kind: on a view that is not older than our own last write, within bounds,
//! and counted.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::engine::decision::error::{ReconcileError, RequeuePolicy};
use crate::engine::decision::outcome::{Outcome, OutcomeKind};
use crate::engine::kubernetes::resource::Handle;
use crate::engine::kubernetes::stripped::Stripped;
use crate::engine::shared::Engine;

/// No reconcile takes longer.
const LONGEST: Duration = Duration::from_secs(300);

type Guarded<K> = DeserializeGuard<K>;

/// One reconcile, once a worker is free, of what is there `now` then: it may have changed, or be gone, after a wait.
/// Answers after which time the next one comes; `None`: when the resource changes.
pub async fn reconcile_guarded<K>(
    engine: &Engine,
    kind: &'static str,
    now: impl Fn() -> Option<Arc<Guarded<K>>>,
    reconcile: impl AsyncFnOnce(Guarded<K>) -> Outcome,
) -> Option<Duration>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned,
    Guarded<K>: Stripped,
{
    let worker = engine.workers.take(kind).await;
    let object = now().filter(|_| worker.is_some())?;
    let work = async {
        match latest(engine, kind, &object).await {
            Ok(Some(latest)) => reconcile(latest).await,
            Ok(None) => Outcome::silent(OutcomeKind::Success, None),
            // Nothing may be decided on a view that is known to be old.
            Err(error) => {
                let handle = Handle::new::<K>(engine.clients.calls.clone(), kind, object.meta());
                let requeue = engine.pace_of(&handle, &error).await;
                let next = engine.object_states.next_attempt(handle.uid(), requeue, Duration::ZERO);
                Outcome::silent(OutcomeKind::Refused, Some(next))
            }
        }
    };
    let next = bounded_reconcile(engine, kind, object.meta(), work).await;
    if now().and_then(|now| now.uid()) != object.uid() {
        // It went meanwhile, and may have claimed something after all was given up.
        engine.forget(object.meta().uid.as_deref().unwrap_or_default());
    }
    next
}

/// Asks for it where the watch has not shown our own last write yet; `None` if it is gone.
async fn latest<K>(
    engine: &Engine,
    kind: &'static str,
    object: &Guarded<K>,
) -> Result<Option<Guarded<K>>, ReconcileError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned,
    Guarded<K>: Stripped,
{
    let meta = object.meta();
    let uid = meta.uid.as_deref().unwrap_or_default();
    if !engine.object_states.is_outdated(uid, meta.resource_version.as_deref()) {
        let mut object = object.clone();
        object.unpack();
        return Ok(Some(object));
    }
    // A typed API would have to know whether the kind has namespaces.
    let present = Handle::new::<K>(engine.clients.calls.clone(), kind, meta).read().await?;
    let parsed = present.map(|present| serde_json::from_value(serde_json::to_value(present)?)).transpose();
    let mut parsed: Option<Guarded<K>> = parsed.map_err(kube::Error::SerdeError)?;
    // As the store keeps it, so that nothing depends on who showed it.
    if let Some(object) = &mut parsed {
        object.strip();
        object.unpack();
    }
    Ok(parsed)
}

/// One reconcile, counted here and nowhere else; whatever it logs names the resource. A panic in it is one failure of one
/// resource, logged by the panic hook. One that takes longer than any should is ended, so that a server that is slow on
/// purpose keeps no place for ever.
async fn bounded_reconcile(
    engine: &Engine,
    kind: &'static str,
    meta: &ObjectMeta,
    work: impl Future<Output = Outcome>,
) -> Option<Duration> {
    let started = engine.metrics.started(kind);
    let uid = meta.uid.as_deref().unwrap_or_default();
    let failed = |kind| {
        let next = engine.object_states.next_attempt(uid, RequeuePolicy::Slow, engine.config.resync);
        Outcome::silent(kind, Some(next))
    };
    let conclude = async {
        match timeout(LONGEST, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => failed(OutcomeKind::Panicked),
            Err(_) => {
                tracing::warn!("took too long, ended");
                failed(OutcomeKind::Error)
            }
        }
    };
    // An error's span: no filter that logs anything leaves it out.
    let span = tracing::error_span!(
        "reconcile",
        kind,
        namespace = meta.namespace,
        name = meta.name,
        generation = meta.generation
    );
    let outcome = conclude.instrument(span).await;
    started.ended(&outcome);
    outcome.next
}
