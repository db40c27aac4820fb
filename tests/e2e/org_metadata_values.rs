//! Values of `OrgMetadata`: sizes, where they come from, and where they never show.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch};
use serde_json::{Value, json};
use support::zitadel::Metadata;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::org_metadata::{METADATA, assert_stored, org_metadata, stored, watchful_world};
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition, until_answered};
use crate::world::World;

/// The most that ZITADEL takes, in bytes.
const LIMIT: usize = 500_000;

/// An entry whose value a Secret or ConfigMap named `values` keeps under `k`.
fn kept(kind: &str, key: &str) -> Value {
    let source = if kind == "Secret" { "secretKeyRef" } else { "configMapKeyRef" };
    json!({ "key": key, "valueFrom": { source: { "name": "values", "key": "k" } } })
}

/// Applies a resource with this entry.
async fn apply_entry(world: &World, entry: Value) -> Subject<'_> {
    let acme = org_metadata(world, "acme");
    acme.apply(json!({ "entries": [entry] })).await;
    acme
}

/// Every byte there is, NUL among them.
fn binary(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 256 + salt) as u8).collect()
}

/// Twenty values of the largest size: more than fits one answer.
fn crowd(world: &World) -> BTreeMap<String, Metadata> {
    for n in 0..20 {
        world.zitadel.set_metadata(&world.organization, &format!("foreign{n}"), &binary(LIMIT, n));
    }
    world.zitadel.metadata(&world.organization)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_500_000_bytes_lives_among_twenty_foreign_ones_which_stay_untouched() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let foreign = crowd(&world);
    let acme = org_metadata(&world, "acme");
    let others = |world: &World| {
        let mut all = world.zitadel.metadata(&world.organization);
        let own = all.remove("large").map(|metadata| metadata.value);
        (own, all)
    };
    for (salt, kind) in [(1, "Secret"), (2, "ConfigMap"), (3, "text")] {
        let value = if kind == "text" { vec![b'v'; LIMIT] } else { binary(LIMIT, salt) };
        let entry = match kind {
            "text" => json!({ "key": "large", "value": "v".repeat(LIMIT) }),
            kind => {
                world.store_value(kind, "values", "k", &value).await;
                kept(kind, "large")
            }
        };
        acme.apply(json!({ "entries": [entry, { "key": "small", "value": kind }] })).await;
        assert_kstatus(&acme.until_ready().await, Kstatus::Current);
        let (own, mut rest) = others(&world);
        assert!(own == Some(value), "{kind}");
        assert_eq!(rest.remove("small").unwrap().value, kind.as_bytes());
        assert!(rest == foreign, "{kind}");
        let mark = world.zitadel.ledger().mark();
        acme.assert_no_write().await;
        let looks = world.zitadel.ledger().since(mark).into_iter().filter(|r| r.path.starts_with(METADATA));
        let refused = looks.filter(|request| request.status != Some(200)).count();
        assert_eq!(refused, 0, "it is known what fits one answer");
    }
    acme.delete().await;
    acme.until_gone().await;
    assert!(world.zitadel.metadata(&world.organization) == foreign);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_zitadel_takes_is_refused_by_the_api_server_or_before_any_call() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let refused = [
        json!({ "key": "k", "value": "v".repeat(LIMIT + 1) }),
        json!({ "key": "k", "base64": STANDARD.encode(binary(LIMIT + 1, 0)) }),
    ];
    for entry in refused {
        let error = world.try_apply("OrgMetadata", "acme", json!({ "entries": [entry] })).await.unwrap_err();
        assert!(error.to_string().contains("spec.entries[0]"), "{error}");
    }
    world.store_value("Secret", "values", "k", &binary(LIMIT + 1, 0)).await;
    world.store_value("ConfigMap", "values", "k", b"").await;
    let two_bytes_each = "é".repeat(LIMIT / 2);
    let late = [
        (json!({ "key": "k", "value": format!("{two_bytes_each}e") }), "500001 bytes"),
        (json!({ "key": "k", "value": format!("{two_bytes_each}é") }), "500002 bytes"),
        (kept("Secret", "k"), "500001 bytes"),
        (kept("ConfigMap", "k"), "has 0 bytes"),
    ];
    for (entry, reported) in late {
        let acme = apply_entry(&world, entry).await;
        let invalid = acme.until_reason("InvalidSpec").await;
        assert_kstatus(&invalid, Kstatus::Failed);
        assert_message(&invalid, &["entry \"k\"", reported, "1 to 500000"]);
        acme.delete().await;
        acme.until_gone().await;
    }
    let calls = world.zitadel.ledger().select(|request| request.path.starts_with(METADATA));
    assert!(calls.is_empty(), "{} calls", calls.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_the_label_is_not_read_and_the_command_of_the_message_allows_it() {
    let mut world = World::without_operator().await;
    // Secrets of its own namespace need no label.
    world.start_operator_from("default").await;
    world.store_value("Secret", "values", "k", b"hush").await;
    let unlabelled = Patch::Merge(json!({ "metadata": { "labels": null } }));
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.patch("values", &Default::default(), &unlabelled).await.unwrap();
    let acme = apply_entry(&world, kept("Secret", "billing")).await;
    let waiting = acme.until_reason("ReferenceNotFound").await;
    assert_kstatus(&waiting, Kstatus::InProgress);
    let command =
        format!("kubectl label secret -n {} values zitadel-operator.dev/allow=true", world.namespace);
    assert_message(&waiting, &["\"billing\"", &command]);
    let message = condition(&waiting, "Ready")["message"].clone();
    world.run_command_of(message.as_str().unwrap()).await;
    assert_kstatus(&acme.until_ready().await, Kstatus::Current);
    assert_eq!(stored(&world).await["billing"], "hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_value_is_waited_for_by_name_and_key() {
    for kind in ["Secret", "ConfigMap"] {
        let world = watchful_world().await;
        let acme = apply_entry(&world, kept(kind, "region")).await;
        let waiting = acme.until_reason("ReferenceNotFound").await;
        assert_kstatus(&waiting, Kstatus::InProgress);
        let named = format!("{kind} {}/values", world.namespace);
        assert_message(&waiting, &["\"region\"", &named, "does not exist"]);
        world.store_value(kind, "values", "other", b"eu").await;
        let reported = |o: &Value| o["status"].to_string().contains("has no key");
        let waiting = acme.until("missed the key", reported).await;
        assert_message(&waiting, &["\"region\"", &named, "has no key \"k\""]);
        world.store_value(kind, "values", "k", b"eu").await;
        assert_kstatus(&acme.until_ready().await, Kstatus::Current);
        assert_stored(&world, &[("region", "eu")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_whose_secret_is_gone_stays_in_zitadel_and_does_not_hold_up_the_deletion() {
    let world = watchful_world().await;
    world.store_value("Secret", "values", "k", b"kept").await;
    let acme = apply_entry(&world, kept("Secret", "k")).await;
    acme.until_ready().await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.delete("values", &DeleteParams::default()).await.unwrap();
    acme.until_reason("ReferenceNotFound").await;
    assert_stored(&world, &[("k", "kept")]).await;
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[]).await;
}

/// The reasons of all events about a resource.
async fn reasons(world: &World, name: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let about = |event: &Event| event.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(name));
    events.into_iter().filter(about).filter_map(|event| event.reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_or_config_map_reaches_zitadel_and_is_an_update_not_drift_nor_a_fight() {
    for kind in ["Secret", "ConfigMap"] {
        let world = watchful_world().await;
        world.store_value(kind, "values", "k", b"0").await;
        let acme = apply_entry(&world, kept(kind, "k")).await;
        let mut sequence = acme.until_ready().await["status"]["sequence"].clone();
        // One more than a fight takes.
        for n in 1..=6 {
            world.store_value(kind, "values", "k", n.to_string().as_bytes()).await;
            let updated = acme.until("took the value", |o| o["status"]["sequence"] != sequence).await;
            assert_kstatus(&updated, Kstatus::Current);
            sequence = updated["status"]["sequence"].clone();
            assert_stored(&world, &[("k", &n.to_string())]).await;
        }
        assert!(world.until_event("acme", "Updated").await.contains("entries[k]"));
        assert_eq!(acme.now().await["status"]["drift"], Value::Null);
        let reasons = reasons(&world, "acme").await;
        assert!(!reasons.iter().any(|r| r == "DriftReverted" || r == "Conflict"), "{reasons:?}");
    }
}

/// What must show nowhere, each in another way to a value. Those of Secrets are watched in every test.
const CANARIES: [&str; 5] =
    ["canary-of-a-text", "canary-of-bytes", "canary-of-a-secret", "canary-of-a-map", "canary-of-another"];

/// Values in every way, of which one is refused by ZITADEL's limit, and one differs under Observe.
async fn exercise_canaries(world: &World) {
    world.store_value("Secret", "values", "k", b"canary-of-a-secret").await;
    world.store_value("ConfigMap", "values", "k", b"canary-of-a-map").await;
    let entries = json!([
        { "key": "a", "value": "canary-of-a-text" },
        { "key": "b", "base64": STANDARD.encode("canary-of-bytes") },
        kept("Secret", "c"),
        kept("ConfigMap", "d"),
    ]);
    let aviary = org_metadata(world, "aviary");
    aviary.apply(json!({ "entries": entries })).await;
    aviary.until_ready().await;
    world.zitadel.set_metadata(&world.organization, "a", b"canary-of-another");
    aviary.until("told of the drift", |o| !o["status"]["drift"].is_null()).await;
    aviary.apply(json!({ "entries": entries, "managementPolicy": "Observe" })).await;
    world.zitadel.set_metadata(&world.organization, "b", b"canary-of-another");
    aviary.until_reason("DriftDetected").await;
    let long = format!("{}{}", "canary-of-a-text".repeat(13_000), "é".repeat(250_000));
    aviary.apply(json!({ "entries": [{ "key": "a", "value": long }], "managementPolicy": "Manage" })).await;
    aviary.until_reason("InvalidSpec").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_show_in_no_status_event_metric_or_line_of_the_log() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    for canary in CANARIES {
        world.canaries.mark("a value", canary.as_bytes());
    }
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.start_operator().await;
    exercise_canaries(&world).await;
    world.until_event("aviary", "InvalidSpec").await;
    assert!(reasons(&world, "aviary").await.contains(&"DriftReverted".to_owned()));
    let there = stored(&world).await;
    assert!(there.values().any(|value| value.contains("canary-of")), "it was there all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loses_its_readiness_is_warned_of_and_what_never_had_any_is_not() {
    let world = watchful_world().await;
    let acme = apply_entry(&world, kept("ConfigMap", "region")).await;
    acme.until_reason("ReferenceNotFound").await;
    let event = world.until_published("acme", "ReferenceNotFound").await;
    assert_eq!(event.type_.as_deref(), Some("Normal"), "{event:?}");
    world.store_value("ConfigMap", "values", "k", b"eu").await;
    acme.until_ready().await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    maps.delete("values", &Default::default()).await.unwrap();
    acme.until_reason("ReferenceNotFound").await;
    until_answered("warned of", async || {
        let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
        let events = events.list(&Default::default()).await.unwrap().items;
        let reported = events.iter().filter(|event| event.reason.as_deref() == Some("ReferenceNotFound"));
        let types: Vec<_> = reported.filter_map(|event| event.type_.clone()).collect();
        (types.iter().any(|kind| kind == "Warning"), types)
    })
    .await;
}
