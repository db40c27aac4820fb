//! What the operator sees of the cluster is late, old, or has gaps.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::tap::Tap;
use crate::needs_double;
use crate::waits::condition;
use crate::world::World;

/// A world whose operator sees `Project`s through a tap.
async fn tapped() -> (World, Tap) {
    let (mut world, tap) = (World::without_operator().await, Tap::on("/projects"));
    world.start_operator_through(tap.client(&world).await);
    (world, tap)
}

/// Starts another operator behind the tap, as after a crash.
async fn restart(world: &mut World, tap: &Tap) {
    world.crash_operator().await;
    world.start_operator_through(tap.client(world).await);
}

/// Takes a resource away as if nothing protected it.
async fn force_delete(world: &World, name: &str) {
    // Whoever is still looking at it would protect it again.
    world.until_quiet().await;
    let unprotected = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    world.api("Project").patch(name, &PatchParams::default(), &unprotected).await.unwrap();
    world.project(name).delete().await;
}

/// The writes to Kubernetes about this resource since the mark.
fn written(world: &World, mark: support::control_plane::AuditMark, name: &str) -> usize {
    let entries = world.control_plane.audit_since(mark).unwrap();
    let about = |object: &support::control_plane::AuditObject| {
        object.namespace == world.namespace && object.resource == "projects" && object.name == name
    };
    entries.iter().filter(|entry| about(&entry.object_ref)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_410_a_list_within_two_seconds_shows_what_was_missed_and_only_that_is_written() {
    needs_double!("the ledger");
    let (world, tap) = tapped().await;
    for name in ["changed", "same", "vanished"] {
        world.project(name).apply(json!({})).await;
        world.project(name).until_ready().await;
    }
    tap.hold();
    let mark = world.until_quiet().await;
    world.project("changed").apply(json!({ "projectRoleCheck": true })).await;
    world.project("new").apply(json!({})).await;
    force_delete(&world, "vanished").await;
    world.project("heir").apply(json!({ "name": "vanished" })).await;
    let audit = world.control_plane.audit_mark().unwrap();

    let expired = tap.expire();
    for name in ["changed", "new"] {
        world.project(name).until_ready().await;
    }
    world.project("heir").until_reason("Conflict").await;
    let relisted = tap.asked().into_iter().find(|asked| !asked.watch && asked.at >= expired);
    let late = relisted.expect("another list").at - expired;
    assert!(late < Duration::from_secs(2), "{late:?}");
    world.until_quiet().await;
    let mut writes: Vec<_> = world.writes_since(mark).iter().map(|call| call.method.to_string()).collect();
    writes.sort();
    assert_eq!(writes, ["POST", "PUT"]);
    assert_eq!(written(&world, audit, "same"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_in_the_middle_of_many_creates_cost_no_second_project_and_no_write() {
    needs_double!("the ledger");
    let (world, tap) = tapped().await;
    let names: Vec<String> = (0..12).map(|n| format!("p{n:02}")).collect();
    for (n, name) in names.iter().enumerate() {
        world.project(name).apply(json!({})).await;
        if n % 4 == 1 {
            tap.expire();
        }
    }
    for name in &names {
        world.project(name).until_ready().await;
    }
    world.until_quiet().await;
    let expected: Vec<_> = names.iter().map(String::as_str).collect();
    world.until_listed(&expected).await;
    let mark = world.control_plane.audit_mark().unwrap();
    let before = tap.asked().len();
    tap.expire();
    while tap.asked().iter().skip(before).filter(|asked| asked.watch).count() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.until_quiet().await;
    assert_eq!(names.iter().map(|name| written(&world, mark, name)).sum::<usize>(), 0);
    assert_eq!(world.zitadel.ledger().writes().len(), names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_made_again_while_nothing_was_seen_gets_nothing_of_its_predecessor() {
    needs_double!("the ledger");
    let (world, tap) = tapped().await;
    world.project("web").apply(json!({})).await;
    let first = world.project("web").until_ready().await;
    tap.hold();
    force_delete(&world, "web").await;
    let second = world.project("web").apply(json!({ "name": "another" })).await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    tap.expire();
    let second = world.project("web").until_ready().await;
    assert_ne!(first["status"]["id"], second["status"]["id"]);
    assert_eq!(world.project_names().await, ["web", "another"]);
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(world.project_names().await, ["web"]);
}

/// The list that a restarted operator gets is from before it created the project.
async fn begins_with_an_old_view(reachable: bool) {
    let (mut world, tap) = tapped().await;
    tap.hold();
    world.project("web").apply(json!({})).await;
    restart(&mut world, &tap).await;
    tap.expire();
    world.project("web").until_ready().await;
    world.until_quiet().await;
    let ready = world.project("web").now().await;
    let mark = world.zitadel.ledger().mark();

    tap.freeze();
    if !reachable {
        world.zitadel.stop().await;
    }
    let asked = tap.asked().len();
    restart(&mut world, &tap).await;
    let is_listed = || tap.asked().iter().skip(asked).any(|asked| !asked.watch);
    while !is_listed() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nothing of what follows is to be seen: it has this long to go wrong.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let seen = world.project("web").now().await;
    for field in ["id", "organizationId", "instance", "origin"] {
        assert_eq!(seen["status"][field], ready["status"][field], "{field}");
    }
    if !reachable {
        world.zitadel.resume().await.unwrap();
    }
    tap.expire();
    let request = world.project("web").request().await;
    let handled = |web: &Value| web["status"]["lastHandledReconcileAt"] == request;
    let web = world.project("web").until("was looked at again", handled).await;
    assert_eq!(condition(&web, "Ready")["reason"], "Available");
    assert_eq!(world.writes_since(mark).len(), 0);
    assert_eq!(world.project_names().await, ["web"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_view_after_a_restart_makes_no_second_project() {
    needs_double!("the ledger");
    begins_with_an_old_view(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_view_after_a_restart_in_an_outage_takes_nothing_from_the_status() {
    needs_double!("outages");
    begins_with_an_old_view(false).await;
}
