//! Others write to our resources and to their status at the same time.

use http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::Request;

use crate::needs_double;
use crate::waits::condition;
use crate::world::World;

/// Merges a patch into the status, as whoever may do that.
async fn patch_status(world: &World, patch: Value) {
    let patch = Patch::Merge(json!({ "status": patch }));
    world.api("Project").patch_status("web", &PatchParams::default(), &patch).await.unwrap();
}

/// Somebody who writes a label of the project all the time, as long as this is polled.
async fn hammer(world: &World) {
    for n in 0.. {
        let patch = Patch::Merge(json!({ "metadata": { "labels": { "example.com/n": n.to_string() } } }));
        // It is not there yet, or no longer.
        let _ = world.api("Project").patch("web", &PatchParams::default(), &patch).await;
    }
}

async fn under_fire<T>(world: &World, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        () = hammer(world) => unreachable!("it hammers for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_on_finalizer_annotations_and_status_make_no_second_project_and_hold_nothing_up() {
    needs_double!("the ledger");
    let world = World::new().await;
    under_fire(&world, async {
        world.project("web").apply(json!({})).await;
        world.project("web").until_ready().await;
        world.project("web").apply(json!({ "name": "renamed" })).await;
        world.project("web").until_ready().await;
    })
    .await;
    assert_eq!(world.project_names().await, ["renamed"]);
    // Where the status could not be written the create is asked for again, and refused.
    let made =
        |request: &Request| request.method == Method::POST && request.path == "/management/v1/projects";
    let made = world.zitadel.ledger().select(|request| made(request) && request.committed > 0);
    assert_eq!(made.len(), 1);
    under_fire(&world, async {
        world.project("web").delete().await;
        world.project("web").until_gone().await;
    })
    .await;
    assert_eq!(world.project_names().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_manager_in_our_status_is_corrected_and_keeps_its_own_condition() {
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    let before = world.project("web").until_ready().await;
    let entry = |kind: &str| {
        json!({
            "type": kind, "status": "False", "reason": "Meddled", "message": "by hand",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let meddled = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project", "metadata": { "name": "web" },
        "status": { "sequence": "0", "conditions": [entry("Ready"), entry("Theirs")] },
    });
    let other = PatchParams::apply("another-controller").force();
    world.api("Project").patch_status("web", &other, &Patch::Apply(meddled)).await.unwrap();

    let project = world.subject("Project", "web");
    let after = project.reconciled().await;
    assert_eq!(condition(&after, "Ready")["reason"], "Available");
    assert_eq!(condition(&after, "Theirs")["reason"], "Meddled");
    for field in ["id", "organizationId", "instance", "sequence"] {
        assert_eq!(after["status"][field], before["status"][field], "{field}");
    }
    project.assert_no_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_somebody_emptied_makes_no_second_project() {
    needs_double!("the ledger");
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    let before = world.project("web").until_ready().await;
    // It comes after the status, and tells what to have back.
    let has_id = |project: &Value| project["metadata"]["annotations"]["zitadel-operator.dev/id"].is_string();
    world.project("web").until("had its id beside the status", has_id).await;
    let fields = ["id", "organizationId", "instance", "origin", "sequence", "observedGeneration"];
    patch_status(&world, fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect()).await;
    let after = world.subject("Project", "web").reconciled().await;
    assert_eq!(after["status"]["id"], before["status"]["id"], "{after:#}");
    assert_eq!(world.project_names().await, ["web"]);
    assert_eq!(world.zitadel.ledger().writes().len(), 1);
}
