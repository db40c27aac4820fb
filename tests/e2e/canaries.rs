//! What is secret shows nowhere, and where it did, a test would fail: each output leaks here on purpose.
//!
//! Every other test is watched in the same way, by the worlds of these tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use support::canary::Watch;
use zitadel_operator::api::Connection;
use zitadel_operator::engine::metrics::counters::Metrics;

use crate::watched;
use crate::world::{CONNECTION, World, client};

/// What leaked, once and in this place.
#[track_caller]
fn assert_leaked(world: &World, place: &str) {
    let found = world.canaries.take();
    assert!(found.len() == 1 && found[0].contains(place), "{place}: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_log_a_panic_or_a_metric_is_found() {
    let world = World::without_operator().await;
    let token = world.token.clone();
    tracing::trace!(target: "hyper::proto", "authorization: Bearer {token}");
    assert_leaked(&world, "the log (TRACE hyper::proto)");
    tracing::trace!(target: "h2", bytes = ?token.as_bytes());
    assert_leaked(&world, "the log (TRACE h2)");
    drop(tracing::trace_span!("call", token));
    assert_leaked(&world, "the log (span call)");
    // The name of the thread that panics is not the test's: nobody else is to be blamed.
    let panicked = tokio::task::spawn_blocking({
        let token = token.clone();
        move || catch_unwind(|| panic!("lost {token}")).is_err()
    });
    assert!(panicked.await.unwrap());
    assert_leaked(&world, "the log (ERROR panic)");
    let metrics = Metrics::default();
    metrics.watch_failed(Box::leak(token.into_boxed_str()));
    watched::metrics(&world.canaries, &metrics);
    assert_leaked(&world, "the metrics");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_written_to_kubernetes_is_found() {
    let world = World::without_operator().await;
    let token = world.token.clone();
    let client = world.canaries.watching(client(world.control_plane).await);
    let event = json!({
        "metadata": { "generateName": "leak-", "namespace": world.namespace }, "reason": "Leaked",
        "note": format!("no such user: {}", STANDARD.encode(format!("{CONNECTION}:{token}"))),
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Warning", "action": "Reconcile",
        "reportingController": "test", "reportingInstance": "test",
        "regarding": { "kind": "ConfigMap", "namespace": world.namespace, "name": "none" },
    });
    let events: Api<Event> = Api::namespaced(client.clone(), &world.namespace);
    events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();
    assert_leaked(&world, "/events");
    let connection = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Connection",
        "status": { "user": { "id": "1", "name": token } },
    });
    let of = Api::<Connection>::namespaced(client.clone(), &world.namespace);
    // Refused or not: it was sent.
    let _ = of.patch_status(CONNECTION, &PatchParams::apply("leak").force(), &Patch::Apply(connection)).await;
    assert_leaked(&world, "/status");
    let maps: Api<ConfigMap> = Api::namespaced(client, &world.namespace);
    let annotations = json!({ "metadata": { "annotations": { "leak": &token[10..40] } } });
    let _ = maps.patch("none", &PatchParams::default(), &Patch::Merge(annotations)).await;
    assert_leaked(&world, "/configmaps/none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_where_none_belongs_in_a_request_to_zitadel_is_found() {
    let world = World::without_operator().await;
    let token = world.token.clone();
    let request = |uri: String| Request::post(uri).header("x-zitadel-orgid", "1");
    let in_path = request(format!("http://localhost/users/{token}")).body(Bytes::new()).unwrap();
    world.canaries.sent(&in_path);
    assert_leaked(&world, "a URI of ZITADEL");
    let in_header = request("http://localhost/".into()).header("x-trace", &token).body(Bytes::new()).unwrap();
    world.canaries.sent(&in_header);
    assert_leaked(&world, "the header x-trace");
    let in_body =
        request("http://localhost/projects".into()).body(format!("{{\"name\":\"{token}\"}}").into());
    world.canaries.sent(&in_body.unwrap());
    assert_leaked(&world, "POST /projects");
}

#[test]
fn a_test_whose_secret_was_found_fails() {
    let canaries = Watch::default().begin();
    canaries.mark("the token", b"canary-of-the-end");
    canaries.watch().inspect(format_args!("a place"), b"it is canary-of-the-end");
    let ended = catch_unwind(AssertUnwindSafe(|| canaries.end())).unwrap_err();
    let said = ended.downcast_ref::<String>().unwrap();
    assert!(said.contains("the token in a place") && !said.contains("canary-of"), "{said}");
}
