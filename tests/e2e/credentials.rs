//! Credentials that are wrong, missing, revoked, expired, and replaced.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{Fingerprint, Mark, Request};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message, condition, eventually};
use crate::world::{CONNECTION, World};

/// The operator does not ask for another token sooner than this after the last.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

/// How many calls since the mark were refused with 401.
fn refused_since(world: &World, mark: Mark) -> usize {
    world.zitadel.ledger().since(mark).iter().filter(|call| call.status == Some(401)).count()
}

async fn patch_secret(world: &World, patch: Value) {
    secrets(world).patch(CONNECTION, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Logs in with a new key of acme's owner.
async fn use_key_file(world: &World) {
    let key = world.zitadel.create_machine_key(&world.acme.owner.user);
    patch_secret(world, json!({ "stringData": { "key.json": key } })).await;
    let spec = json!({ "personalAccessToken": null, "jwtProfile": { "name": CONNECTION } });
    world.patch_connection(spec).await;
}

fn mints(world: &World) -> Vec<Request> {
    world.zitadel.ledger().select(|call| call.path == "/oauth/v2/token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_zitadel_refuses_is_unauthorized_until_the_secret_has_a_good_one() {
    needs_double!();
    let mut world = World::without_operator().await;
    world.store_token("not-a-token").await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "Unauthorized").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTH-7fs1e", "Secret"]);
    let connection = world.until("Connection", CONNECTION, "was unauthorized", |c| {
        condition(c, "Ready")["reason"] == "Unauthorized"
    });
    assert_kstatus(&connection.await, Kstatus::Failed);
    world.assert_calm().await;
    world.assert_nothing_written();
    world.store_token(&world.zitadel.admin_token()).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_replaced_from_the_secret_without_a_restart() {
    needs_double!();
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    let (old, new) =
        (world.zitadel.admin_token(), world.zitadel.issue_token(&world.zitadel.admin().user, None));
    world.zitadel.revoke_token(&old);
    world.request_reconcile("web").await;
    let web = world.until_ready_reason("web", "Unauthorized").await;
    assert_kstatus(&web, Kstatus::Failed);
    world.assert_calm().await;
    world.store_token(&new).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "only the first create");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_rotated_before_the_old_token_ends_costs_one_extra_call() {
    needs_double!();
    let world = World::new().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    let mark = world.until_quiet().await;
    let (old, new) =
        (world.zitadel.admin_token(), world.zitadel.issue_token(&world.zitadel.admin().user, None));
    world.store_token(&new).await;
    world.zitadel.revoke_token(&old);
    let asked = world.request_reconcile("web").await;
    let web = world.until("Project", "web", "was reconciled", |p| {
        p["status"]["lastHandledReconcileAt"] == asked.as_str()
    });
    assert_eq!(condition(&web.await, "Ready")["status"], "True");
    let calls = world.zitadel.ledger().since(mark);
    assert_eq!(calls[0].credential, Some(Fingerprint::of_token(&old)));
    assert_eq!(calls[1].credential, Some(Fingerprint::of_token(&new)));
    assert_eq!(calls[0].path, calls[1].path);
    assert_eq!(refused_since(&world, mark), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_nothing_is_called_and_it_is_picked_up_when_it_comes() {
    needs_double!();
    let mut world = World::without_operator().await;
    secrets(&world).delete(CONNECTION, &Default::default()).await.unwrap();
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "CredentialsUnavailable").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&format!("Secret {}/{CONNECTION} does not exist", world.namespace)]);
    world.assert_calm().await;
    assert!(world.zitadel.ledger().requests().is_empty());
    world.store_token(&world.zitadel.admin_token()).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_does_not_allow_it_is_not_read_until_the_printed_command_was_run() {
    needs_double!();
    let mut world = World::without_operator().await;
    patch_secret(&world, json!({ "metadata": { "labels": null } })).await;
    world.start_operator_from("default").await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "CredentialsUnavailable").await;
    assert_kstatus(&web, Kstatus::Failed);
    let label = "zitadel-operator.dev/allow=true";
    let command = format!("kubectl label secret -n {} {CONNECTION} {label}", world.namespace);
    assert_message(&web, &[&command]);
    assert!(world.zitadel.ledger().requests().is_empty());
    world.run_command_of(condition(&web, "Ready")["message"].as_str().unwrap()).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_logs_in_and_its_token_serves_many_calls() {
    needs_double!();
    let mut world = World::without_operator().await;
    use_key_file(&world).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
    let connection =
        world.until("Connection", CONNECTION, "was ready", |c| condition(c, "Ready")["status"] == "True");
    assert_eq!(connection.await["status"]["user"]["id"], world.acme.owner.user);
    // The connection reads the Secret anew while the project may be logging in already.
    assert!((1..=2).contains(&mints(&world).len()), "{:?}", mints(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_token_that_expired_early_costs_one_extra_call_and_no_condition() {
    needs_double!();
    let mut world = World::without_operator().await;
    use_key_file(&world).await;
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    world.until_ready("web").await;
    world.until_quiet().await;
    let before = mints(&world);
    let minted = before.last().unwrap().at;
    // A younger token than this is not renewed: the refusal of a fresh one is no matter of its age.
    let age = || world.zitadel.now().duration_since(minted).unsigned_abs();
    eventually("the token was old enough", || (age() > SHORTEST_INTERVAL, age())).await;
    let mark = world.until_quiet().await;
    world.zitadel.expire_minted_tokens();
    let asked = world.request_reconcile("web").await;
    let web = world.until("Project", "web", "was reconciled", |p| {
        p["status"]["lastHandledReconcileAt"] == asked.as_str()
    });
    assert_eq!(condition(&web.await, "Synced")["status"], "True");
    assert_eq!(refused_since(&world, mark), 1);
    assert_eq!(mints(&world).len(), before.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_removed_says_so_and_a_new_key_file_is_picked_up() {
    needs_double!();
    let mut world = World::without_operator().await;
    use_key_file(&world).await;
    world.zitadel.remove_machine_keys(&world.acme.owner.user);
    world.start_operator().await;
    world.apply_project("web", json!({})).await;
    let web = world.until_ready_reason("web", "Unavailable").await;
    assert_kstatus(&web, Kstatus::InProgress);
    assert_message(&web, &["token endpoint", "the key is wrong, expired or deleted"]);
    world.assert_calm().await;
    world.assert_nothing_written();
    let key = world.zitadel.create_machine_key(&world.acme.owner.user);
    patch_secret(&world, json!({ "stringData": { "key.json": key } })).await;
    assert_kstatus(&world.until_ready("web").await, Kstatus::Current);
}
