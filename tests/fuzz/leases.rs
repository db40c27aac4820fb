//! The Lease, which anybody may write who leads or wants to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::get;
use k8s_openapi::api::coordination::v1::Lease;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use zitadel_operator::runtime::lease::Elector;

use crate::foreign::{Bent, sent};
use crate::server::on_paused_time;

const ME: &str = "me";
const PATIENCE: Duration = Duration::from_secs(60);
/// A candidate looks again after 2 to 4.4 seconds.
const PAUSE: Duration = Duration::from_secs(5);

pub fn records() -> impl Strategy<Value = Bent> {
    let holder = select(vec!["", ME, "other"]);
    (holder, any::<i32>(), prop_oneof![0..30_i32, any::<i32>()]).prop_flat_map(
        |(holder, transitions, seconds)| {
            sent(vec![json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "leader", "namespace": "ops", "resourceVersion": "7"},
                "spec": {
                    "holderIdentity": holder,
                    "leaseDurationSeconds": seconds,
                    "acquireTime": "2026-11-21T10:00:00.000000Z",
                    "renewTime": "2026-11-21T10:00:00.000000Z",
                    "leaseTransitions": transitions,
                },
            })])
        },
    )
}

fn client(record: Vec<u8>) -> kube::Client {
    let stored = Arc::new(Mutex::new(record));
    let (reads, writes) = (stored.clone(), stored);
    let read = move || {
        let record = reads.lock().unwrap().clone();
        async move { record }
    };
    let write = move |body: Bytes| {
        *writes.lock().unwrap() = body.to_vec();
        async move { (StatusCode::OK, body) }
    };
    let collection = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";
    let routes = Router::new()
        .route(&format!("{collection}/leader"), get(read).put(write.clone()))
        .route(collection, axum::routing::post(write));
    kube::Client::new(routes, "ops")
}

/// Nobody's Lease is taken before it is free, and a free one is; what is no Lease is left alone.
pub fn are_respected(Bent(bytes): Bent) {
    let lease = std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str::<Lease>(text).ok());
    let spec = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let held = spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty() && holder != ME);
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(15);
    let due = if held { Duration::from_secs(seconds) } else { Duration::ZERO };
    on_paused_time(async {
        let (began, shutdown) = (Instant::now(), CancellationToken::new());
        let elector = Elector::new(client(bytes), "ops", "leader", ME);
        let Ok(Some(tenure)) = timeout(PATIENCE, elector.acquire(&shutdown)).await else {
            return assert!(lease.is_none() || due + PAUSE > PATIENCE, "not taken: {lease:?}");
        };
        assert!(lease.is_some() && began.elapsed() >= due, "taken after {:?}: {lease:?}", began.elapsed());
        assert!(began.elapsed() <= due + PAUSE, "taken after {:?}", began.elapsed());
        sleep(PAUSE * 4).await;
        assert!(tenure.leadership().is_leader());
        tenure.release().await.unwrap();
    });
}
