//! Rights and credentials that come late, go, and come back.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::control_plane::AuditMark;

use crate::meter::Meter;
use crate::needs_double;
use crate::waits::{assert_message, condition, until_answered};
use crate::world::{CONNECTION, World, config};

/// What was refused in the world's namespace since the mark, of what changes something.
fn refused(world: &World, since: AuditMark) -> usize {
    let entries = world.control_plane.audit_since(since).unwrap().into_iter();
    let here = entries.filter(|entry| entry.object_ref.namespace == world.namespace);
    here.filter(|entry| entry.response_status.code == 403).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_come_late_go_and_come_back_need_no_restart_and_their_lack_is_told() {
    needs_double!("the ledger");
    let world = World::without_operator().await;
    world.forbidden.expect("* * *");
    let account = world.account(&world.namespace, config()).await;
    account.take().await;
    let meter = Meter::new();
    let _operator = world.operator(account.client().await, meter.metrics.clone());
    meter.until("watch_failures_total", &[("kind", "Project")], |failures| failures > 0.0).await;
    account.give().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_ready().await;

    account.take().await;
    let (audit, mark) = (world.control_plane.audit_mark().unwrap(), world.zitadel.ledger().mark());
    world.project("web").apply(json!({ "name": "renamed" })).await;
    world.project("new").apply(json!({})).await;
    // The server notes a refusal before the operator counts it.
    let counted = async || {
        let reported = meter.value("kubernetes_failures_total", &[("controller", "Project")]);
        (reported > 0.0 && refused(&world, audit) >= 2, reported)
    };
    until_answered("was refused, and told so", counted).await;
    let before = refused(&world, audit);
    world.assert_calm().await;
    let refused = refused(&world, audit) - before;
    // Two projects and the connection, each after 0.1 to 1 s, with up to three calls; a hot loop makes thousands.
    assert!(refused <= 90, "{refused} refused writes in 3 s");
    let made = |method: &str| world.writes_since(mark).iter().filter(|call| call.method == method).count();
    assert_eq!(made("POST"), 0, "nothing is created without the finalizer");

    account.give().await;
    let renamed = world.project("web").until_ready().await;
    world.project("new").until_ready().await;
    assert_eq!(renamed["status"]["id"], web["status"]["id"]);
    assert_eq!((made("PUT"), made("POST")), (1, 1));
    assert_eq!(world.project_names().await, ["renamed", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_removed_is_told_and_its_return_is_noticed_without_a_restart() {
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
    let lacks = |object: &Value| condition(object, "Synced")["reason"] == "CredentialsUnavailable";
    let connection = world.until("Connection", CONNECTION, "lacked its Secret", lacks).await;
    assert_message(&connection, &["Secret", CONNECTION]);
    world.assert_calm().await;

    world.store_token(&world.token).await;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "example.com/by": "hand" } } }));
    secrets.patch(CONNECTION, &PatchParams::default(), &label).await.unwrap();
    let usable = |object: &Value| condition(object, "Ready")["reason"] == "Available";
    world.until("Connection", CONNECTION, "was usable again", usable).await;
    world.project("web").apply(json!({ "name": "renamed" })).await;
    let web =
        tokio::time::timeout(Duration::from_secs(20), world.project("web").until_ready()).await.unwrap();
    assert_eq!(world.remote(&web).await["name"], "renamed");
}
