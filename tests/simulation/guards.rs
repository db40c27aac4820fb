//! What a person may regret waits for a word that names it; the messages and commands are in tests/e2e.

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{DomainSettings, State};
use zitadel_operator::api::annotation::{
    CONFIRM_DEACTIVATION, CONFIRM_DELETION, CONFIRM_OWN_RENAME, CONFIRM_USERNAME_REWRITE, ID,
};
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::{LATER, SOON, in_a_world, reason};
use crate::world::{CONNECTION, HOME, SHARED, World, core, ours};

/// Who fails for so long tries again every ten minutes.
const LONG: Duration = Duration::from_secs(2 * 3600);

/// A world whose connection logs in with client credentials, as a user of this organization.
fn at_home(run: impl AsyncFnOnce(&World, &str)) {
    in_a_world(behaviour(), async |world| {
        let home_organization = world.zitadel.add_organization("home");
        let own = world.zitadel.create_user(&home_organization, "own", &["IAM_OWNER", "ORG_OWNER"]).user;
        let (id, secret) = world.zitadel.create_client_secret(&own);
        world
            .store("Secret", "own", json!({ "stringData": { "client-id": id, "client-secret": secret } }))
            .await;
        let mut connection = world.connection();
        connection.as_object_mut().unwrap().remove("personalAccessToken");
        connection["clientCredentials"] = json!({ "name": "own" });
        world.apply("Connection", CONNECTION, connection).await;
        world.start();
        run(world, &home_organization).await;
    });
}

/// This organization as a resource.
async fn take_over(world: &World, id: &str, spec: Value) {
    world.apply_annotated("Organization", "home", json!({ ID: id }), spec).await;
}

/// Asserts that it waits, also with another word, and goes on with this one.
async fn waits(world: &World, kind: &str, name: &str, (annotation, word): (&str, &str), blocked: &str) {
    for wrong in [Value::Null, json!("anything"), json!("true")] {
        world.annotate(kind, name, annotation, wrong.clone()).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, kind, name).await, blocked, "with {wrong}");
    }
    world.annotate(kind, name, annotation, json!(word)).await;
    tokio::time::sleep(LATER).await;
}

fn has_suffix(world: &World, organization: &str) -> bool {
    world.zitadel.domain_policy(organization).is_some_and(|policy| policy.settings.user_login_must_be_domain)
}

#[test]
fn the_client_id_of_the_connection_changes_only_with_a_word_that_names_it() {
    at_home(async |world, home_organization| {
        let policy = |suffix: bool| {
            json!({
                "organization": { "id": home_organization }, "userLoginMustBeDomain": suffix, "validateOrgDomains": false,
                "smtpSenderAddressMatchesInstanceDomain": false,
            })
        };
        world.apply("OrgDomainPolicy", "home", policy(false)).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "OrgDomainPolicy", "home").await, "Available");
        world.apply("OrgDomainPolicy", "home", policy(true)).await;
        tokio::time::sleep(LATER).await;
        for wrong in [Value::Null, json!("false")] {
            world.annotate("OrgDomainPolicy", "home", CONFIRM_OWN_RENAME, wrong).await;
            tokio::time::sleep(LATER).await;
            assert_eq!(reason(world, "OrgDomainPolicy", "home").await, "InvalidSpec");
            assert!(!has_suffix(world, home_organization));
        }
        world.annotate("OrgDomainPolicy", "home", CONFIRM_OWN_RENAME, json!("true")).await;
        tokio::time::sleep(LATER).await;
        assert!(has_suffix(world, home_organization));
    });
}

#[test]
fn the_login_names_of_many_users_move_with_their_organization_only_with_a_word_that_names_it() {
    in_a_world(behaviour(), async |world| {
        world.zitadel.add_staff(&world.acme);
        let scoped = DomainSettings { user_login_must_be_domain: true, ..DomainSettings::default() };
        world.zitadel.set_domain_policy(&world.acme, Some(scoped));
        world.start();
        let name = || world.zitadel.organization(&world.acme).unwrap().name;
        take_over(world, &world.acme, json!({ "name": "globex", "confirmAboveUsers": 4 })).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(name(), "globex", "as few as may be renamed");
        take_over(world, &world.acme, json!({ "name": "Acme Inc", "confirmAboveUsers": 3 })).await;
        tokio::time::sleep(LATER).await;
        let word = (CONFIRM_USERNAME_REWRITE, "Acme Inc");
        assert_eq!(name(), "globex");
        waits(world, "Organization", "home", word, "InvalidSpec").await;
        assert_eq!(name(), "Acme Inc");
    });
}

#[test]
fn the_organization_of_the_connections_own_user_is_neither_deactivated_nor_deleted_unasked() {
    at_home(async |world, home_organization| {
        let state = || world.zitadel.organization(home_organization).unwrap().state;
        take_over(world, home_organization, json!({ "state": "Inactive", "deletionPolicy": "Delete" })).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Active);
        waits(world, "Organization", "home", (CONFIRM_DEACTIVATION, home_organization), "InvalidSpec").await;
        assert_eq!(state(), State::Inactive);
        world.delete("Organization", "home").await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Inactive);
        waits(world, "Organization", "home", (CONFIRM_DELETION, home_organization), "DeletionBlocked").await;
        assert_eq!(state(), State::Removed);
    });
}

/// A world with the delays of production, whose `ClusterConnection` is a user of this organization, and grants everything.
fn at_shared_home(run: impl AsyncFnOnce(&World, &str)) {
    in_a_world(behaviour(), async |world| {
        let home_organization = world.zitadel.add_organization("home");
        let own = world.zitadel.create_user(&home_organization, "own", &["IAM_OWNER", "ORG_OWNER"]);
        world.share().await;
        let secret = Patch::Merge(json!({ "stringData": { "token": own.token } }));
        let secrets = Api::<DynamicObject>::namespaced_with(world.client.clone(), HOME, &core("Secret"));
        secrets.patch(SHARED, &PatchParams::default(), &secret).await.expect("stored");
        let all = json!({
            "namespaceSelector": {}, "organizations": [{ "all": true }], "deleteOrganizations": true,
        });
        shared(world, json!({ "spec": { "access": [all], "resyncInterval": "168h" } })).await;
        world.start_with(Config::default());
        run(world, &home_organization).await;
    });
}

/// Patches the `ClusterConnection`.
async fn shared(world: &World, patch: Value) {
    let api = Api::<DynamicObject>::all_with(world.client.clone(), &ours("ClusterConnection"));
    api.patch(SHARED, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
}

/// The word of a cluster admin: who waits for it goes on at once, and nobody else is looked at.
async fn admin_confirms(world: &World, annotation: &str, word: &str) {
    let mark = world.zitadel.ledger().mark();
    shared(world, json!({ "metadata": { "annotations": { annotation: word } } })).await;
    tokio::time::sleep(SOON).await;
    let calls = world.zitadel.ledger().since(mark);
    let of_others: Vec<_> = calls.iter().filter(|call| call.path.contains("/projects")).collect();
    assert!(of_others.is_empty(), "{of_others:?}");
}

#[test]
fn what_locks_out_the_user_of_a_cluster_connection_is_confirmed_there_alone() {
    at_shared_home(async |world, home_organization| {
        let state = || world.zitadel.organization(home_organization).unwrap().state;
        let through = |mut spec: Value| {
            spec["connectionRef"] = json!({ "kind": "ClusterConnection", "name": SHARED });
            spec
        };
        take_over(
            world,
            home_organization,
            through(json!({ "state": "Inactive", "deletionPolicy": "Delete" })),
        )
        .await;
        world.apply("Project", "web", through(json!({ "organization": { "id": world.acme } }))).await;
        tokio::time::sleep(LONG).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
        waits_for_admin(world, (CONFIRM_DEACTIVATION, home_organization), "InvalidSpec").await;
        assert_eq!(state(), State::Inactive);
        world.delete("Organization", "home").await;
        waits_for_admin(world, (CONFIRM_DELETION, home_organization), "DeletionBlocked").await;
        assert_eq!(state(), State::Removed);
    });
}

/// Asserts that the word of the tenant does nothing, nor another one of the admin, whose right one does.
async fn waits_for_admin(world: &World, (annotation, word): (&str, &str), blocked: &str) {
    let before = world.zitadel.organizations();
    world.annotate("Organization", "home", annotation, json!(word)).await;
    tokio::time::sleep(LONG).await;
    admin_confirms(world, annotation, "true").await;
    assert_eq!(reason(world, "Organization", "home").await, blocked);
    assert_eq!(world.zitadel.organizations(), before);
    admin_confirms(world, annotation, word).await;
}
