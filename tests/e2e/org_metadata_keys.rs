//! Keys of `OrgMetadata`: which there are, and which resource owns which.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Mark, Request};
use tokio::time::Instant;
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::runtime::growth::Growth;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::org_metadata::{METADATA, assert_stored, org_metadata, stored, texts, watchful_world};
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{CONNECTION, World, config};

/// Keys that are hard to put into a path, and easy ones.
fn keys() -> Vec<String> {
    let hard = ["a/b", "é", "..", ".", "_search", "_bulk", "a b", "50%", "a?b=c#d", "100%25", "A", "a"];
    hard.map(String::from).into_iter().chain(["x".repeat(200), "é".repeat(200)]).collect()
}

fn with_keys(keys: &[String], value: &str) -> Value {
    texts(&keys.iter().map(|key| (key.as_str(), value)).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_survives_create_read_update_and_delete_together() {
    let world = watchful_world().await;
    let (keys, acme) = (keys(), org_metadata(&world, "acme"));
    for value in ["one", "two"] {
        acme.apply(with_keys(&keys, value)).await;
        acme.until_ready().await;
        let found = stored(&world).await;
        assert_eq!(found.len(), keys.len() + 1);
        assert!(keys.iter().all(|key| found[key] == value), "{found:?}");
    }
    assert_kstatus(&acme.reconciled().await, Kstatus::Current);
    let (kept, dropped) = keys.split_at(keys.len() / 2);
    acme.apply(with_keys(kept, "two")).await;
    acme.until_ready().await;
    let found = stored(&world).await;
    assert!(!dropped.iter().any(|key| found.contains_key(key)) && found.len() == kept.len() + 1);
    acme.delete().await;
    acme.until_gone().await;
    assert_stored(&world, &[]).await;
}

/// The calls on metadata since a mark, as method and path.
fn calls(world: &World, since: Mark) -> Vec<(Method, String)> {
    let calls = world.zitadel.ledger().since(since).into_iter();
    calls
        .filter(|r| r.path.starts_with(METADATA))
        .map(|r| (r.method, r.path[METADATA.len()..].into()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_survives_create_read_update_and_delete_alone_by_path_where_it_fits_one() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let hard = ["a/b", "é", "..", ".", "_search", "_bulk"];
    for (n, key) in keys().into_iter().enumerate() {
        let name = format!("n{n}");
        let (resource, by_path) =
            (org_metadata(&world, &name), !hard.contains(&key.as_str()) && key.is_ascii());
        for value in ["one", "two"] {
            let mark = world.zitadel.ledger().mark();
            resource.apply(texts(&[(&key, value)])).await;
            resource.until_ready().await;
            assert_eq!(world.zitadel.metadata(&world.organization)[&key].value, value.as_bytes());
            let calls = calls(&world, mark);
            let writes: Vec<_> = calls.iter().filter(|(_, path)| path != "/_search").collect();
            assert!(matches!(writes.as_slice(), [(method, _)] if method == Method::POST), "{key}: {calls:?}");
            assert_eq!(writes[0].1 == "/_bulk", !by_path, "{key}: {calls:?}");
        }
        resource.assert_no_write().await;
        resource.delete().await;
        resource.until_gone().await;
        assert!(world.zitadel.metadata(&world.organization).is_empty(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_is_one_write_and_several_are_one_write_and_one_read_back() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let acme = org_metadata(&world, "acme");
    let (search, bulk) = ((Method::POST, "/_search".to_owned()), (Method::POST, "/_bulk".to_owned()));
    let single = (Method::POST, "/a".to_owned());
    let removal = (Method::DELETE, "/_bulk".to_owned());
    let steps = [
        (vec![("a", "1")], vec![&search, &single]),
        (vec![("a", "2")], vec![&search, &single]),
        (vec![("a", "2"), ("b", "1"), ("c", "1")], vec![&search, &bulk, &search]),
        (vec![("a", "3"), ("b", "1"), ("c", "1")], vec![&search, &single]),
        (vec![("a", "4"), ("b", "1")], vec![&search, &single, &removal]),
        (vec![("b", "1")], vec![&search, &removal]),
        (vec![("c", "1"), ("d", "1")], vec![&search, &bulk, &removal, &search]),
    ];
    // After it says this it wakes everybody once more.
    world.until_event(CONNECTION, "Available").await;
    for (entries, expected) in steps {
        let mark = world.until_quiet().await;
        acme.apply(texts(&entries)).await;
        acme.until_ready().await;
        world.until_quiet().await;
        assert_eq!(calls(&world, mark).iter().collect::<Vec<_>>(), expected, "{entries:?}");
        acme.assert_no_write().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_key_is_removed_and_a_renamed_one_moves() {
    let world = watchful_world().await;
    let acme = org_metadata(&world, "acme");
    acme.apply(texts(&[("a", "1"), ("b", "2"), ("c", "3")])).await;
    acme.until_ready().await;
    acme.apply(texts(&[("a", "1"), ("renamed", "2")])).await;
    let ready = acme.until_ready().await;
    assert_stored(&world, &[("a", "1"), ("renamed", "2")]).await;
    let known: Vec<_> = ready["status"]["entries"].as_array().unwrap().iter().map(|e| &e["key"]).collect();
    assert_eq!(known, ["a", "renamed"]);
    acme.patch(json!({ "spec": { "entries": [] } })).await;
    assert_kstatus(&acme.until_ready().await, Kstatus::Current);
    assert_stored(&world, &[]).await;
    acme.delete().await;
    acme.until_gone().await;
}

/// A world in which nothing but a wake-up makes a resource go on after a conflict.
async fn wakeful_world() -> World {
    let mut world = World::without_operator().await;
    let never = Growth { base: Duration::from_secs(3600), cap: Duration::from_secs(3600) };
    let settings = config();
    let delays = Delays { dependency: never, slow: never, ..settings.delays };
    world.start_operator_with(Config { delays, ..settings }).await;
    world
}

/// `owner` has the key `shared`, `loser` wants it too and has one of its own.
async fn rivals(world: &World) -> Value {
    org_metadata(world, "owner").apply(texts(&[("shared", "owner's"), ("other", "1")])).await;
    org_metadata(world, "owner").until_ready().await;
    let loser = org_metadata(world, "loser");
    loser.apply(texts(&[("shared", "loser's"), ("own", "1")])).await;
    loser.until_reason("Conflict").await
}

pub fn value(world: &World, key: &str) -> Option<String> {
    let found = world.zitadel.metadata(&world.organization).remove(key)?;
    Some(String::from_utf8(found.value).unwrap())
}

async fn within_seconds<T>(what: impl Future<Output = T>) -> T {
    let since = Instant::now();
    let done = what.await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_resource_owns_is_a_conflict_by_key_and_the_rest_is_set() {
    needs_double!("its own way into the data or the ledger");
    let world = wakeful_world().await;
    let lost = rivals(&world).await;
    let loser = org_metadata(&world, "loser");
    assert_kstatus(&lost, Kstatus::Failed);
    assert_message(&lost, &["\"shared\"", &format!("OrgMetadata {}/owner", world.namespace)]);
    assert_eq!((value(&world, "shared"), value(&world, "own")), (Some("owner's".into()), Some("1".into())));
    assert_eq!(lost["status"]["entries"].as_array().unwrap().len(), 1);
    assert_kstatus(&org_metadata(&world, "owner").now().await, Kstatus::Current);
    loser.apply(texts(&[("shared", "loser's"), ("own", "2"), ("more", "1")])).await;
    loser.until_reason("Conflict").await;
    assert_eq!((value(&world, "own"), value(&world, "more")), (Some("2".into()), Some("1".into())));
    world.zitadel.set_metadata(&world.organization, "own", b"edited");
    loser.reconciled().await;
    assert_eq!(value(&world, "own").as_deref(), Some("2"));
    assert!(world.until_event("loser", "DriftReverted").await.contains("entries[own]"));
    loser.delete().await;
    loser.until_gone().await;
    assert_eq!((value(&world, "shared"), value(&world, "own")), (Some("owner's".into()), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_gives_up_a_contested_key_is_ready() {
    needs_double!("its own way into the data or the ledger");
    let world = wakeful_world().await;
    rivals(&world).await;
    let loser = org_metadata(&world, "loser");
    loser.apply(texts(&[("own", "1")])).await;
    assert_kstatus(&loser.until_ready().await, Kstatus::Current);
    assert_eq!(value(&world, "shared").as_deref(), Some("owner's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_owns_no_key_is_deleted_without_a_way_to_zitadel() {
    needs_double!("its own way into the data or the ledger");
    let mut world = wakeful_world().await;
    org_metadata(&world, "owner").apply(texts(&[("shared", "owner's")])).await;
    org_metadata(&world, "owner").until_ready().await;
    org_metadata(&world, "loser").apply(texts(&[("shared", "loser's")])).await;
    org_metadata(&world, "loser").until_reason("Conflict").await;
    world.stop_operator().await;
    world.store_token("refused").await;
    world.start_operator().await;
    org_metadata(&world, "loser").delete().await;
    org_metadata(&world, "loser").until_gone().await;
    assert_eq!(value(&world, "shared").as_deref(), Some("owner's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_resource_owns_can_be_observed() {
    needs_double!("its own way into the data or the ledger");
    let world = wakeful_world().await;
    org_metadata(&world, "owner").apply(texts(&[("shared", "owner's")])).await;
    org_metadata(&world, "owner").until_ready().await;
    let observer = org_metadata(&world, "observer");
    let mut spec = texts(&[("shared", "owner's")]);
    spec["managementPolicy"] = json!("Observe");
    observer.apply(spec).await;
    assert_kstatus(&observer.until_ready().await, Kstatus::Current);
    org_metadata(&world, "owner").delete().await;
    org_metadata(&world, "owner").until_gone().await;
    assert_eq!(value(&world, "shared"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_had_within_seconds_once_its_owner_drops_it_is_deleted_or_only_observes() {
    needs_double!("its own way into the data or the ledger");
    for way in ["drops", "deleted", "retains", "observes"] {
        let world = wakeful_world().await;
        rivals(&world).await;
        let owner = org_metadata(&world, "owner");
        match way {
            "drops" => drop(owner.apply(texts(&[("other", "1")])).await),
            "observes" => drop(owner.patch(json!({ "spec": { "managementPolicy": "Observe" } })).await),
            way => {
                let policy = if way == "retains" { "Retain" } else { "Delete" };
                owner.patch(json!({ "spec": { "deletionPolicy": policy } })).await;
                owner.delete().await;
            }
        }
        let loser = org_metadata(&world, "loser");
        let taken = within_seconds(loser.until_ready()).await;
        assert_kstatus(&taken, Kstatus::Current);
        assert_eq!(value(&world, "shared").as_deref(), Some("loser's"), "{way}");
        assert_eq!(taken["status"]["drift"], Value::Null, "{way}");
        loser.delete().await;
        loser.until_gone().await;
        assert_eq!(value(&world, "shared"), None, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_moves_from_one_resource_to_another_in_one_go() {
    needs_double!("its own way into the data or the ledger");
    let world = wakeful_world().await;
    let (from, to) = (org_metadata(&world, "from"), org_metadata(&world, "to"));
    from.apply(texts(&[("moving", "1"), ("a", "1")])).await;
    to.apply(texts(&[("b", "1")])).await;
    from.until_ready().await;
    to.until_ready().await;
    to.apply(texts(&[("moving", "1"), ("b", "1")])).await;
    from.apply(texts(&[("a", "1")])).await;
    within_seconds(to.until_ready()).await;
    from.until_ready().await;
    assert_eq!(value(&world, "moving").as_deref(), Some("1"));
    from.delete().await;
    from.until_gone().await;
    assert_eq!(value(&world, "moving").as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_incumbent_keeps_the_key_though_it_is_younger() {
    needs_double!("its own way into the data or the ledger");
    let mut world = wakeful_world().await;
    let older = org_metadata(&world, "older");
    older.apply(texts(&[("own", "1")])).await;
    older.until_ready().await;
    // Ages are counted in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    org_metadata(&world, "younger").apply(texts(&[("shared", "younger's")])).await;
    org_metadata(&world, "younger").until_ready().await;
    older.apply(texts(&[("own", "1"), ("shared", "older's")])).await;
    older.until_reason("Conflict").await;
    for _ in 0..3 {
        world.crash_operator().await;
        world.start_operator().await;
        org_metadata(&world, "older").reconciled().await;
        org_metadata(&world, "younger").reconciled().await;
        assert_eq!(value(&world, "shared").as_deref(), Some("younger's"));
        assert_eq!(condition(&org_metadata(&world, "older").now().await, "Ready")["reason"], "Conflict");
        assert_kstatus(&org_metadata(&world, "younger").now().await, Kstatus::Current);
    }
}

/// The greatest number of entries an organization is meant to have, over so many resources.
const RESOURCES: usize = 50;
const EACH: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_entries_over_fifty_resources_cost_a_read_a_write_and_a_read_back_each_and_never_collide()
{
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| behaviour.write_duration = Duration::from_millis(20));
    // A connection that works for the first time wakes everybody once more.
    world.start_operator().await;
    world.until("Connection", CONNECTION, "worked", |c| condition(c, "Ready")["status"] == "True").await;
    world.stop_operator().await;
    let names: Vec<String> = (0..RESOURCES).map(|n| format!("n{n}")).collect();
    let entry = |n: usize, m: usize| json!({ "key": format!("k{n}-{m}"), "value": format!("v{n}-{m}") });
    for (n, name) in names.iter().enumerate() {
        let entries: Vec<Value> = (0..EACH).map(|m| entry(n, m)).collect();
        org_metadata(&world, name).apply(json!({ "entries": entries })).await;
    }
    let began = Instant::now();
    world.start_operator().await;
    for name in &names {
        org_metadata(&world, name).until_ready().await;
    }
    println!("{} entries are there after {:?}", RESOURCES * EACH, began.elapsed());
    world.until_quiet().await;
    let calls = world.zitadel.ledger().select(|request| request.path.starts_with(METADATA));
    let refused: Vec<&Request> = calls.iter().filter(|request| request.status != Some(200)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let searches = calls.iter().filter(|request| request.path.ends_with("/_search")).count();
    assert_eq!((searches, calls.len() - searches), (2 * RESOURCES, RESOURCES));
    let found = world.zitadel.metadata(&world.organization);
    assert_eq!(found.len(), RESOURCES * EACH);
    assert!(found.iter().all(|(key, metadata)| metadata.value == key.replacen('k', "v", 1).as_bytes()));
}
