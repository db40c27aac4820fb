//! Credentials that are wrong, missing, revoked, expired, and replaced.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{Fingerprint, Mark, Request};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::staff::{Key, User};
use crate::waits::{assert_kstatus, assert_message, condition, until_answered};
use crate::world::{CONNECTION, World};

/// The operator does not ask for another token sooner than this after the last.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);

const WHO_AM_I: &str = "/auth/v1/users/me";

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

/// How many calls since the mark were refused with 401.
fn refused_since(world: &World, mark: Mark) -> usize {
    world.calls_since(mark).iter().filter(|call| call.status == Some(401)).count()
}

async fn patch_secret(world: &World, patch: Value) {
    secrets(world).patch(CONNECTION, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Logs in with a key of a new owner of the organization.
async fn use_key_file(world: &World) -> (User, Key) {
    let owner = world.hire("owner", Some("ORG_OWNER")).await;
    let key = owner.add_key().await;
    patch_secret(world, json!({ "stringData": { "key.json": key.file } })).await;
    let spec = json!({ "personalAccessToken": null, "jwtProfile": { "name": CONNECTION } });
    world.patch_connection(spec).await;
    (owner, key)
}

fn mints(world: &World) -> Vec<Request> {
    world.zitadel.ledger().select(|call| call.path == "/oauth/v2/token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_zitadel_refuses_is_unauthorized_until_the_secret_has_a_good_one() {
    let mut world = World::without_operator().await;
    world.store_token("not-a-token").await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("Unauthorized").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &["AUTH-7fs1e", "Secret"]);
    let connection = world.until("Connection", CONNECTION, "was unauthorized", |c| {
        condition(c, "Ready")["reason"] == "Unauthorized"
    });
    assert_kstatus(&connection.await, Kstatus::Failed);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    world.store_token(&world.token).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_replaced_from_the_secret_without_a_restart() {
    let mut world = World::without_operator().await;
    let owner = world.log_in_as("owner", Some("ORG_OWNER")).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    owner.revoke(&owner.token).await;
    world.project("web").request().await;
    let web = world.project("web").until_reason("Unauthorized").await;
    assert_kstatus(&web, Kstatus::Failed);
    world.assert_calm().await;
    world.store_token(&owner.add_token().await.secret).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    assert_eq!(world.history().await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_rotated_before_the_old_token_ends_costs_at_most_one_refused_call() {
    let mut world = World::without_operator().await;
    let owner = world.log_in_as("owner", Some("ORG_OWNER")).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.until_quiet().await;
    let new = owner.add_token().await;
    let mark = world.until_quiet().await;
    world.store_token(&new.secret).await;
    owner.revoke(&owner.token).await;
    let asked = world.project("web").request().await;
    let web = world
        .project("web")
        .until("was reconciled", |p| p["status"]["lastHandledReconcileAt"] == asked.as_str())
        .await;
    assert_eq!(condition(&web, "Ready")["status"], "True");
    if world.ledger().is_some() {
        // The wait for the old token to end asks who it is.
        let mut calls = world.calls_since(mark);
        calls.retain(|call| call.path != WHO_AM_I);
        let with_new = |call: &&Request| call.credential == Some(Fingerprint::of_token(&new.secret));
        assert!(calls.iter().any(|call| with_new(&call)));
        assert!(calls.iter().skip_while(|call| !with_new(call)).all(|call| with_new(&call)));
        // None where the watch of the Secret was faster than the next call.
        assert!(calls.iter().filter(|call| call.status == Some(401)).count() <= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_nothing_is_called_and_it_is_picked_up_when_it_comes() {
    let mut world = World::without_operator().await;
    secrets(&world).delete(CONNECTION, &Default::default()).await.unwrap();
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("CredentialsUnavailable").await;
    assert_kstatus(&web, Kstatus::Failed);
    assert_message(&web, &[&format!("Secret {}/{CONNECTION} does not exist", world.namespace)]);
    world.assert_calm().await;
    if let Some(ledger) = world.ledger() {
        assert!(ledger.requests().is_empty());
    }
    world.store_token(&world.token).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_does_not_allow_it_is_not_read_until_the_printed_command_was_run() {
    let mut world = World::without_operator().await;
    patch_secret(&world, json!({ "metadata": { "labels": null } })).await;
    world.start_operator_from("default").await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("CredentialsUnavailable").await;
    assert_kstatus(&web, Kstatus::Failed);
    let label = "zitadel-operator.dev/allow=true";
    let command = format!("kubectl label secret -n {} {CONNECTION} {label}", world.namespace);
    assert_message(&web, &[&command]);
    if let Some(ledger) = world.ledger() {
        assert!(ledger.requests().is_empty());
    }
    world.run_command_of(condition(&web, "Ready")["message"].as_str().unwrap()).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_logs_in_and_its_token_serves_many_calls() {
    let mut world = World::without_operator().await;
    let (owner, _) = use_key_file(&world).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    let connection =
        world.until("Connection", CONNECTION, "was ready", |c| condition(c, "Ready")["status"] == "True");
    assert_eq!(connection.await["status"]["user"]["id"], owner.id);
    if world.ledger().is_some() {
        // The connection reads the Secret anew while the project may be logging in already.
        assert!((1..=2).contains(&mints(&world).len()), "{:?}", mints(&world));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_token_that_expired_early_costs_one_extra_call_and_no_condition() {
    needs_double!("tokens that end when a test says so");
    let mut world = World::without_operator().await;
    use_key_file(&world).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.until_quiet().await;
    let before = mints(&world);
    let minted = before.last().unwrap().at;
    // A younger token than this is not renewed: the refusal of a fresh one is no matter of its age.
    until_answered("old enough", async || {
        let age = world.zitadel.now().duration_since(minted).unsigned_abs();
        (age > SHORTEST_INTERVAL, age)
    })
    .await;
    let mark = world.until_quiet().await;
    world.zitadel.expire_minted_tokens();
    let asked = world.project("web").request().await;
    let web = world
        .project("web")
        .until("was reconciled", |p| p["status"]["lastHandledReconcileAt"] == asked.as_str())
        .await;
    assert_eq!(condition(&web, "Synced")["status"], "True");
    assert_eq!(refused_since(&world, mark), 1);
    assert_eq!(mints(&world).len(), before.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_removed_says_so_and_a_new_key_file_is_picked_up() {
    let mut world = World::without_operator().await;
    let (owner, key) = use_key_file(&world).await;
    owner.remove_key(&key).await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("Unavailable").await;
    assert_kstatus(&web, Kstatus::InProgress);
    assert_message(&web, &["token endpoint", "the key is wrong, expired or deleted"]);
    world.assert_calm().await;
    world.assert_nothing_written().await;
    let key = owner.add_key().await;
    patch_secret(&world, json!({ "stringData": { "key.json": key.file } })).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}
