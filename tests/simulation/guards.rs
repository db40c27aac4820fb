//! What a person may regret waits for a word that names it; the messages and commands are in tests/e2e.

use serde_json::{Value, json};
use support::zitadel::{DomainSettings, State};
use zitadel_operator::api::annotation::{
    CONFIRM_DEACTIVATION, CONFIRM_DELETION, CONFIRM_OWN_RENAME, CONFIRM_USERNAME_REWRITE, ID,
};

use crate::crash::behaviour;
use crate::rules::{LATER, in_a_world, reason};
use crate::world::{CONNECTION, World};

/// A world whose connection logs in as a user of acme, with client credentials.
fn at_home(run: impl AsyncFnOnce(&World)) {
    in_a_world(behaviour(), async |world| {
        let own = world.zitadel.create_user(&world.acme, "own", &["IAM_OWNER", "ORG_OWNER"]).user;
        let (id, secret) = world.zitadel.create_client_secret(&own);
        world
            .store("Secret", "own", json!({ "stringData": { "client-id": id, "client-secret": secret } }))
            .await;
        let mut connection = world.connection();
        connection["personalAccessToken"] = Value::Null;
        connection["clientCredentials"] = json!({ "name": "own" });
        world.apply("Connection", CONNECTION, connection).await;
        world.start();
        run(world).await;
    });
}

/// Acme as a resource of its own.
async fn acme(world: &World, spec: Value) {
    world.apply_annotated("Organization", "acme", json!({ ID: world.acme }), spec).await;
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

fn has_suffix(world: &World) -> bool {
    world.zitadel.domain_policy(&world.acme).is_some_and(|policy| policy.settings.user_login_must_be_domain)
}

#[test]
fn the_client_id_of_the_connection_changes_only_with_a_word_that_names_it() {
    at_home(async |world| {
        let policy = |suffix: bool| {
            json!({
                "userLoginMustBeDomain": suffix, "validateOrgDomains": false,
                "smtpSenderAddressMatchesInstanceDomain": false,
            })
        };
        world.apply("OrgDomainPolicy", "acme", policy(false)).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "OrgDomainPolicy", "acme").await, "Available");
        world.apply("OrgDomainPolicy", "acme", policy(true)).await;
        tokio::time::sleep(LATER).await;
        for wrong in [Value::Null, json!("false")] {
            world.annotate("OrgDomainPolicy", "acme", CONFIRM_OWN_RENAME, wrong).await;
            tokio::time::sleep(LATER).await;
            assert_eq!(reason(world, "OrgDomainPolicy", "acme").await, "InvalidSpec");
            assert!(!has_suffix(world));
        }
        world.annotate("OrgDomainPolicy", "acme", CONFIRM_OWN_RENAME, json!("true")).await;
        tokio::time::sleep(LATER).await;
        assert!(has_suffix(world));
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
        acme(world, json!({ "name": "globex", "confirmAboveUsers": 4 })).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(name(), "globex", "as few as may be renamed");
        acme(world, json!({ "name": "Acme Inc", "confirmAboveUsers": 3 })).await;
        tokio::time::sleep(LATER).await;
        let word = (CONFIRM_USERNAME_REWRITE, "Acme Inc");
        assert_eq!(name(), "globex");
        waits(world, "Organization", "acme", word, "InvalidSpec").await;
        assert_eq!(name(), "Acme Inc");
    });
}

#[test]
fn the_organization_of_the_connections_own_user_is_neither_deactivated_nor_deleted_unasked() {
    at_home(async |world| {
        let state = || world.zitadel.organization(&world.acme).unwrap().state;
        acme(world, json!({ "state": "Inactive", "deletionPolicy": "Delete" })).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Active);
        let id = world.acme.as_str();
        waits(world, "Organization", "acme", (CONFIRM_DEACTIVATION, id), "InvalidSpec").await;
        assert_eq!(state(), State::Inactive);
        world.delete("Organization", "acme").await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Inactive);
        waits(world, "Organization", "acme", (CONFIRM_DELETION, id), "DeletionBlocked").await;
        assert_eq!(state(), State::Removed);
    });
}
