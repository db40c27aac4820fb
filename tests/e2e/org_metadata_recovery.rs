//! `OrgMetadata` after crashes, lost answers and writers in between: nothing is lost, nothing is left behind.

use http::Method;
use serde_json::json;
use support::zitadel::InjectedFault;

use crate::needs_double;
use crate::org_metadata::{METADATA, assert_stored, org_metadata, texts, watchful_world};
use crate::waits::condition;
use crate::world::World;

const BEFORE: &[(&str, &str)] = &[("changed", "1"), ("dropped", "1"), ("same", "1")];
const AFTER: &[(&str, &str)] = &[("changed", "2"), ("new", "1"), ("same", "1")];

const FOREIGN: (&str, &str) = ("foreign", "untouched");

async fn applied(world: &World, entries: &[(&str, &str)]) {
    org_metadata(world, "acme").apply(texts(entries)).await;
}

/// A ready resource beside a key of somebody else.
async fn prepared(world: &World) {
    world.zitadel.set_metadata(&world.organization, FOREIGN.0, FOREIGN.1.as_bytes());
    applied(world, BEFORE).await;
    org_metadata(world, "acme").until_ready().await;
}

/// Ready, with these keys known and nothing else of ours in ZITADEL.
async fn converged(world: &World, entries: &[(&str, &str)]) {
    let ready = org_metadata(world, "acme").until_ready().await;
    assert_stored(world, entries).await;
    let known: Vec<_> = ready["status"]["entries"].as_array().unwrap().iter().map(|e| &e["key"]).collect();
    assert_eq!(known, entries.iter().map(|(key, _)| key).collect::<Vec<_>>());
    let newest = world.zitadel.metadata(&world.organization).into_iter().filter(|(key, _)| key != FOREIGN.0);
    let newest = newest.map(|(_, metadata)| metadata.stamp.sequence).max().unwrap();
    assert_eq!(ready["status"]["sequence"], newest.to_string());
}

/// Crashes at the bulk write, before or after ZITADEL took it, and deletes the resource before anybody looks again.
async fn deletes_what_a_crash_left_unknown(fault: InjectedFault) {
    let mut world = World::new().await;
    prepared(&world).await;
    let held = world.zitadel.inject(fault.on(Method::POST).path(format!("{METADATA}/_bulk")).times(1));
    applied(&world, AFTER).await;
    held.reached(1).await;
    world.crash_operator().await;
    org_metadata(&world, "acme").delete().await;
    world.start_operator().await;
    org_metadata(&world, "acme").until_gone().await;
    assert_stored(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_after_a_crash_between_recording_and_writing_removes_all() {
    needs_double!("its own way into the data or the ledger");
    deletes_what_a_crash_left_unknown(InjectedFault::hold()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_after_a_crash_between_writing_and_the_status_removes_all() {
    needs_double!("its own way into the data or the ledger");
    deletes_what_a_crash_left_unknown(InjectedFault::hold_after_commit()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_not_sent_twice_and_is_no_drift() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    prepared(&world).await;
    for path in ["_bulk", "changed"] {
        let fault =
            InjectedFault::drop_after_commit().on(Method::POST).path(format!("{METADATA}/{path}")).times(1);
        let lost = world.zitadel.inject(fault);
        let mark = world.zitadel.ledger().mark();
        let entries = if path == "_bulk" { AFTER } else { &[("changed", "3"), ("new", "1"), ("same", "1")] };
        applied(&world, entries).await;
        converged(&world, entries).await;
        assert_eq!(lost.hits(), 1);
        let sets = world.writes_since(mark).into_iter().filter(|r| r.method == Method::POST).count();
        assert_eq!(sets, 1, "{path}");
    }
    assert_eq!(org_metadata(&world, "acme").now().await["status"]["drift"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_removed_by_somebody_between_look_and_removal_holds_up_neither_the_update_nor_the_deletion() {
    needs_double!("its own way into the data or the ledger");
    let world = watchful_world().await;
    prepared(&world).await;
    let bulk = || InjectedFault::hold().on(Method::DELETE).path(METADATA).times(1);
    let held = world.zitadel.inject(bulk());
    applied(&world, &[("changed", "1")]).await;
    held.reached(1).await;
    world.zitadel.remove_metadata(&world.organization, "dropped");
    held.release();
    converged(&world, &[("changed", "1")]).await;
    applied(&world, BEFORE).await;
    converged(&world, BEFORE).await;
    let held = world.zitadel.inject(bulk());
    org_metadata(&world, "acme").delete().await;
    held.reached(1).await;
    world.zitadel.remove_metadata(&world.organization, "dropped");
    held.release();
    org_metadata(&world, "acme").until_gone().await;
    assert_stored(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_writes_between_our_write_and_its_read_back_is_overwritten() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    prepared(&world).await;
    let search = InjectedFault::hold().path(format!("{METADATA}/_search")).after(1).times(1);
    let held = world.zitadel.inject(search);
    applied(&world, AFTER).await;
    held.reached(1).await;
    world.zitadel.set_metadata(&world.organization, "new", b"theirs");
    held.release();
    converged(&world, AFTER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parallel_write_to_the_organization_is_tried_again_soon() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    prepared(&world).await;
    let collision = InjectedFault::answer(500)
        .header("content-type", "application/json")
        .body(r#"{"code":13,"message":"An internal error occurred","details":[]}"#)
        .on(Method::POST)
        .path(format!("{METADATA}/_bulk"))
        .times(2);
    let collided = world.zitadel.inject(collision);
    applied(&world, AFTER).await;
    converged(&world, AFTER).await;
    assert_eq!(collided.hits(), 2);
    assert_eq!(condition(&org_metadata(&world, "acme").now().await, "Synced")["status"], "True");
}
