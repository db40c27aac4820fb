//! `OrgMetadata` from creation to removal.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition, date};
use crate::world::World;

pub const METADATA: &str = "/management/v1/metadata";

/// A key that no resource lists.
const FOREIGN: (&str, &str) = ("foreign", "untouched");

/// A world that looks at ZITADEL again every 300 ms, with one key of somebody else.
pub async fn watchful_world() -> World {
    let mut world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.person.set_metadata(&world.organization, FOREIGN.0, FOREIGN.1.as_bytes()).await;
    world.start_operator().await;
    world
}

pub fn org_metadata<'a>(world: &'a World, name: &'a str) -> Subject<'a> {
    world.subject("OrgMetadata", name)
}

/// A spec of texts.
pub fn texts(entries: &[(&str, &str)]) -> Value {
    let entry = |(key, value): &(&str, &str)| json!({ "key": key, "value": value });
    json!({ "entries": entries.iter().map(entry).collect::<Vec<_>>() })
}

/// A resource named `acme` with these entries, once it is ready.
pub async fn settled<'a>(world: &'a World, entries: &[(&str, &str)]) -> Subject<'a> {
    let acme = org_metadata(world, "acme");
    acme.apply(texts(entries)).await;
    acme.until_ready().await;
    acme
}

/// What ZITADEL has of the organization, as text.
pub async fn stored(world: &World) -> BTreeMap<String, String> {
    let text = |entry: &Value| {
        let value = STANDARD.decode(entry["value"].as_str().unwrap_or_default()).unwrap();
        String::from_utf8_lossy(&value).into_owned()
    };
    let entries = world.person.metadata(&world.organization).await;
    entries.into_iter().map(|(key, entry)| (key, text(&entry))).collect()
}

/// Asserts that ZITADEL has these entries besides that of somebody else.
pub async fn assert_stored(world: &World, entries: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> = entries.iter().chain([&FOREIGN]).copied().collect();
    let found = stored(world).await;
    let found: BTreeMap<_, _> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_resource_sets_its_entries_and_shows_their_sequences_and_dates() {
    let world = watchful_world().await;
    let acme = org_metadata(&world, "acme");
    let born = acme.apply(texts(&[("tier", "gold"), ("region", "eu")])).await;
    assert_kstatus(&born, Kstatus::InProgress);
    let ready = acme.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    assert_stored(&world, &[("tier", "gold"), ("region", "eu")]).await;
    let (status, remote) = (&ready["status"], world.person.metadata(&world.organization).await);
    let of = |key: &str| {
        let details = &remote[key]["details"];
        json!({ "key": key, "sequence": details["sequence"], "changeDate": date(&details["changeDate"]) })
    };
    assert_eq!(status["entries"], json!([of("region"), of("tier")]));
    let number = |key: &str| remote[key]["details"]["sequence"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(status["sequence"], number("region").max(number("tier")).to_string());
    assert_eq!(status["organizationId"], world.organization);
    assert_eq!((&status["origin"], &status["deletionPolicy"]), (&json!("Created"), &json!("Delete")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_give_a_value_can_be_changed_into_any_other() {
    let world = watchful_world().await;
    world.store_value("Secret", "values", "k", b"from a Secret").await;
    world.store_value("ConfigMap", "values", "k", b"from a ConfigMap").await;
    let place = json!({ "name": "values", "key": "k" });
    let ways = [
        (json!({ "value": "text" }), "text"),
        (json!({ "base64": "YmluYXJ5" }), "binary"),
        (json!({ "valueFrom": { "secretKeyRef": place } }), "from a Secret"),
        (json!({ "valueFrom": { "configMapKeyRef": place } }), "from a ConfigMap"),
        (json!({ "value": "text again" }), "text again"),
    ];
    let acme = org_metadata(&world, "acme");
    for (way, expected) in ways {
        let mut entry = way;
        entry["key"] = json!("k");
        acme.apply(json!({ "entries": [entry] })).await;
        let ready = acme.until_ready().await;
        assert_stored(&world, &[("k", expected)]).await;
        let sequence = &world.person.metadata(&world.organization).await["k"]["details"]["sequence"];
        assert_eq!(
            (&ready["status"]["entries"][0]["sequence"], &ready["status"]["sequence"]),
            (sequence, sequence)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_removed_behind_the_operators_back_is_set_again_and_told_as_drift_whether_newest_or_not() {
    for removed in ["older", "newer"] {
        let world = watchful_world().await;
        settled(&world, &[("older", "1")]).await;
        let acme = settled(&world, &[("older", "1"), ("newer", "2")]).await;
        world.person.remove_metadata(&world.organization, &[removed]).await;
        let fields = json!([format!("entries[{removed}]")]);
        acme.until("told of the drift", |o| o["status"]["drift"]["fields"] == fields).await;
        assert_stored(&world, &[("older", "1"), ("newer", "2")]).await;
        world.until_event("acme", "DriftReverted").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_entries_removed_behind_the_operators_back_are_set_again_and_told_as_drift() {
    let world = watchful_world().await;
    let acme = settled(&world, &[("a", "1"), ("b", "2")]).await;
    world.person.remove_metadata(&world.organization, &["a", "b"]).await;
    let note = world.until_event("acme", "DriftReverted").await;
    assert!(note.contains("removed") && note.contains(&world.organization), "{note}");
    assert_stored(&world, &[("a", "1"), ("b", "2")]).await;
    assert_kstatus(&acme.until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_repaired_five_times_is_left_to_its_other_writer() {
    needs_double!("its own way into the data or the ledger");
    let world = watchful_world().await;
    let acme = settled(&world, &[("tier", "gold"), ("region", "eu")]).await;
    for round in 0..6 {
        let before = acme.until_ready().await["status"]["sequence"].clone();
        world.zitadel.set_metadata(&world.organization, "tier", format!("silver {round}").as_bytes());
        if round < 5 {
            acme.until("repaired it", |o| o["status"]["sequence"] != before).await;
        }
    }
    let lost = acme.until_reason("Conflict").await;
    assert_message(&lost, &["entries[tier]", "5 times"]);
    assert_kstatus(&lost, Kstatus::Failed);
    assert_stored(&world, &[("tier", "silver 5"), ("region", "eu")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_removes_the_entries_and_nothing_else() {
    let world = watchful_world().await;
    let acme = settled(&world, &[("a", "1"), ("b", "2")]).await;
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_bears_that_some_entries_or_all_are_gone_already() {
    for gone in [&["a"][..], &["a", "b"]] {
        let mut world = watchful_world().await;
        let acme = settled(&world, &[("a", "1"), ("b", "2")]).await;
        acme.annotate("zitadel-operator.dev/paused", "true").await;
        acme.until("was paused", |o| condition(o, "Synced")["reason"] == "Paused").await;
        world.stop_operator().await;
        world.person.remove_metadata(&world.organization, gone).await;
        let acme = org_metadata(&world, "acme");
        acme.delete().await;
        acme.annotate("zitadel-operator.dev/paused", Value::Null).await;
        world.start_operator().await;
        org_metadata(&world, "acme").until_gone().await;
        assert_stored(&world, &[]).await;
    }
}

fn observed(entries: &[(&str, &str)]) -> Value {
    let mut spec = texts(entries);
    spec["managementPolicy"] = json!("Observe");
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_the_entries_that_differ_are_named_and_nothing_is_written() {
    let world = watchful_world().await;
    let acme = org_metadata(&world, "acme");
    acme.apply(observed(&[("a", "1"), ("b", "2"), ("c", "3")])).await;
    let missing = acme.until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    world.person.set_metadata(&world.organization, "a", b"1").await;
    world.person.set_metadata(&world.organization, "b", b"other").await;
    let differs = acme.until_reason("DriftDetected").await;
    assert_eq!(differs["status"]["drift"]["fields"], json!(["entries[b]", "entries[c]"]));
    assert_message(&differs, &["entries[b], entries[c]", "Observe"]);
    assert!(world.until_event("acme", "DriftDetected").await.contains("entries[b], entries[c]"));
    assert_stored(&world, &[("a", "1"), ("b", "other")]).await;
    acme.apply(observed(&[("a", "1")])).await;
    let agrees = acme.until_ready().await;
    assert_kstatus(&agrees, Kstatus::Current);
    assert_eq!((&agrees["status"]["drift"], &agrees["metadata"]["finalizers"]), (&Value::Null, &Value::Null));
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[("a", "1"), ("b", "other")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_observed_is_not_removed_when_the_resource_is_managed_without_it() {
    let world = watchful_world().await;
    world.person.set_metadata(&world.organization, "b", b"2").await;
    let acme = settled(&world, &[("a", "1")]).await;
    for _ in 0..2 {
        acme.apply(observed(&[("a", "1"), ("b", "2")])).await;
        acme.until("gave it up", |o| o["metadata"]["finalizers"].is_null()).await;
        acme.until("saw both", |o| o["status"]["entries"].as_array().is_some_and(|e| e.len() == 2)).await;
        let mut spec = texts(&[("a", "1")]);
        spec["managementPolicy"] = json!("Manage");
        acme.apply(spec).await;
        acme.until_ready().await;
        assert_stored(&world, &[("a", "1"), ("b", "2")]).await;
    }
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[("b", "2")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_there_are_taken_over_by_naming_them_and_removed_with_the_resource() {
    let world = watchful_world().await;
    for (key, value) in [("same", "1"), ("other", "1")] {
        world.person.set_metadata(&world.organization, key, value.as_bytes()).await;
    }
    let before = world.person.metadata(&world.organization).await;
    let acme = settled(&world, &[("same", "1"), ("other", "2"), ("new", "3")]).await;
    let note = world.until_event("acme", "Adopted").await;
    assert!(note.ends_with(": other, same"), "{note}");
    let after = world.person.metadata(&world.organization).await;
    assert_eq!(before["same"], after["same"], "what is equal is not written");
    assert_eq!(acme.now().await["status"]["origin"], "Adopted");
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[]).await;
}
