//! What a person may regret waits for a word that names it; the messages and commands are in tests/e2e.

use serde_json::{Value, json};
use support::zitadel::{DomainSettings, State};
use zitadel_operator::api::annotation::{
    CONFIRM_DEACTIVATION, CONFIRM_DELETION, CONFIRM_OWN_RENAME, CONFIRM_USERNAME_REWRITE, ID,
};

use crate::crash::behaviour;
use crate::rules::{LATER, in_a_world, reason};
use crate::world::{CONNECTION, World};

/// A world whose connection logs in with client credentials, as a user of this organization.
fn at_home(run: impl AsyncFnOnce(&World, &str)) {
    in_a_world(behaviour(), async |world| {
        let home = world.zitadel.add_organization("home");
        let own = world.zitadel.create_user(&home, "own", &["IAM_OWNER", "ORG_OWNER"]).user;
        let (id, secret) = world.zitadel.create_client_secret(&own);
        world
            .store("Secret", "own", json!({ "stringData": { "client-id": id, "client-secret": secret } }))
            .await;
        let mut connection = world.connection();
        connection.as_object_mut().unwrap().remove("personalAccessToken");
        connection["clientCredentials"] = json!({ "name": "own" });
        world.apply("Connection", CONNECTION, connection).await;
        world.start();
        run(world, &home).await;
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
    at_home(async |world, home| {
        let policy = |suffix: bool| {
            json!({
                "organization": { "id": home }, "userLoginMustBeDomain": suffix, "validateOrgDomains": false,
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
            assert!(!has_suffix(world, home));
        }
        world.annotate("OrgDomainPolicy", "home", CONFIRM_OWN_RENAME, json!("true")).await;
        tokio::time::sleep(LATER).await;
        assert!(has_suffix(world, home));
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
    at_home(async |world, home| {
        let state = || world.zitadel.organization(home).unwrap().state;
        take_over(world, home, json!({ "state": "Inactive", "deletionPolicy": "Delete" })).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Active);
        waits(world, "Organization", "home", (CONFIRM_DEACTIVATION, home), "InvalidSpec").await;
        assert_eq!(state(), State::Inactive);
        world.delete("Organization", "home").await;
        tokio::time::sleep(LATER).await;
        assert_eq!(state(), State::Inactive);
        waits(world, "Organization", "home", (CONFIRM_DELETION, home), "DeletionBlocked").await;
        assert_eq!(state(), State::Removed);
    });
}
