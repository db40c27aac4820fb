//! What would change the client id of the connection, or end its user: refused until a person says so.
//!
//! The connection's user is at home in the organization that is changed.

mod shared;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{DomainSettings, Request, State};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{CONNECTION, World, through_connection};

const USERS: &str = "zitadel-operator.dev/confirm-username-rewrite";
const OWN: &str = "zitadel-operator.dev/confirm-own-rename";
const DEACTIVATION: &str = "zitadel-operator.dev/confirm-deactivation";
const DELETION: &str = "zitadel-operator.dev/confirm-deletion";

/// How the connection logs in.
#[derive(Clone, Copy)]
enum Login {
    Token,
    ClientCredentials,
}

/// A world whose connection is a user of its organization, which has the suffix or not; the id of the user.
async fn at_home(login: Login, suffix: bool) -> (World, String) {
    let mut world = World::without_operator().await;
    if suffix {
        let scoped = DomainSettings { user_login_must_be_domain: true, ..DomainSettings::default() };
        world.zitadel.set_domain_policy(&world.organization, Some(scoped));
    }
    let own = world.zitadel.create_user(&world.organization, "operator", &["IAM_OWNER", "ORG_OWNER"]);
    match login {
        Login::Token => world.store_token(&own.token).await,
        Login::ClientCredentials => {
            let (id, secret) = world.zitadel.create_client_secret(&own.user);
            world.store_secret(json!({ "client-id": id, "client-secret": secret })).await;
            let login = json!({ "personalAccessToken": null, "clientCredentials": { "name": CONNECTION } });
            world.patch_connection(login).await;
        }
    }
    world.zitadel.ledger().clear();
    world.start_operator().await;
    (world, own.user)
}

fn policy(suffix: bool, above: u32) -> Value {
    json!({
        "userLoginMustBeDomain": suffix, "validateOrgDomains": false,
        "smtpSenderAddressMatchesInstanceDomain": false, "confirmAboveUsers": above,
    })
}

fn policies(world: &World) -> Subject<'_> {
    world.subject("OrgDomainPolicy", "policy")
}

/// The organization of the connection's own user, taken over.
async fn home_organization<'a>(world: &'a World, spec: Value) -> Subject<'a> {
    let annotations = json!({ "zitadel-operator.dev/id": world.organization });
    world.try_apply_annotated(ORGANIZATION, "home", annotations, through_connection(spec)).await.unwrap();
    world.subject(ORGANIZATION, "home")
}

/// Asserts that it is refused with these words, that the annotation with another value changes nothing of it, and that
/// nothing was sent.
async fn assert_refused(refused: &Subject<'_>, (annotation, wrong): (&str, &str), words: &[&str]) -> Value {
    let blocked = refused.until_reason("InvalidSpec").await;
    assert_kstatus(&blocked, Kstatus::Failed);
    assert_message(&blocked, words);
    refused.annotate(annotation, wrong).await;
    assert_eq!(condition(&refused.reconciled().await, "Ready"), condition(&blocked, "Ready"));
    refused.world.assert_no_writes();
    blocked
}

async fn run_command_of(world: &World, blocked: &Value) {
    world.run_command_of(condition(blocked, "Ready")["message"].as_str().unwrap()).await;
}

fn sent(world: &World, method: &Method, path: &str) -> Vec<Request> {
    world.zitadel.ledger().select(|call| call.method == *method && call.path.ends_with(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_the_client_id_of_the_connection_waits_for_a_word_of_its_own() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = at_home(Login::ClientCredentials, false).await;
    policies(&world).apply(policy(true, 100)).await;
    let becomes = "userLoginMustBeDomain would become true";
    let user = format!("The connection's own user {own} is among them");
    let command = format!("policy --overwrite {OWN}=true");
    let words = [becomes, "all 1 users, machine users included", &user, "its Secret", &command];
    let blocked = assert_refused(&policies(&world), (OWN, "false"), &words).await;
    policies(&world).annotate(USERS, "true").await;
    policies(&world).reconciled().await;
    world.assert_no_writes();
    run_command_of(&world, &blocked).await;
    policies(&world).until_ready().await;
    assert_eq!(sent(&world, &Method::POST, "/policies/domain").len(), 1);
    let reported = world.until_event("policy", "LoginNamesChanged").await;
    assert!(reported.contains("becomes true") && reported.contains(&own), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_confirms_many_users_and_the_client_id() {
    needs_double!("its own way into the data or the ledger");
    let (world, _) = at_home(Login::ClientCredentials, false).await;
    policies(&world).apply(policy(true, 0)).await;
    let command = format!("{USERS}=true {OWN}=true");
    let words = ["(confirmAboveUsers is 0)", "its client id", &command];
    let blocked = assert_refused(&policies(&world), (USERS, "false"), &words).await;
    run_command_of(&world, &blocked).await;
    policies(&world).until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_changes_the_client_id_of_the_connection_blocks_the_deletion() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = at_home(Login::ClientCredentials, true).await;
    policies(&world).apply(policy(true, 100)).await;
    policies(&world).until_ready().await;
    policies(&world).delete().await;
    let blocked = policies(&world).until_reason("DeletionBlocked").await;
    assert_message(&blocked, &["would become false", &own, &format!("{OWN}=false"), "Retain"]);
    policies(&world).annotate(OWN, "true").await;
    policies(&world).reconciled().await;
    world.assert_no_writes();
    policies(&world).annotate(OWN, "false").await;
    policies(&world).until_gone().await;
    assert_eq!(sent(&world, &Method::DELETE, "/policies/domain").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_under_any_login_name_so_that_its_user_is_only_told() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = at_home(Login::Token, false).await;
    policies(&world).apply(policy(true, 1)).await;
    policies(&world).until_ready().await;
    let reported = world.until_event("policy", "LoginNamesChanged").await;
    let user = format!("own user {own} is among them");
    assert!(
        reported.contains("all 1 users, machine users included") && reported.contains(&user),
        "{reported}"
    );
    assert!(!reported.contains("client id"), "{reported}");
    policies(&world).apply(policy(false, 0)).await;
    let blocked = policies(&world).until_reason("InvalidSpec").await;
    assert_message(&blocked, &[&user, &format!("{USERS}=false")]);
    assert!(!blocked.to_string().contains(OWN), "{blocked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_changes_the_client_id_of_the_connection_waits_for_the_new_name() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = at_home(Login::ClientCredentials, true).await;
    let home_organization = home_organization(&world, json!({ "name": "Acme O'Hara" })).await;
    let words = [&own, "\"acme\" would become \"Acme O'Hara\"", r"confirm-own-rename='Acme O'\''Hara'"];
    let blocked = assert_refused(&home_organization, (OWN, "Acme"), &words).await;
    run_command_of(&world, &blocked).await;
    home_organization.until_ready().await;
    assert_eq!(sent(&world, &Method::PUT, "/orgs/me").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_of_the_connections_own_user_is_deactivated_only_with_its_id_as_confirmation() {
    needs_double!("its own way into the data or the ledger");
    for login in [Login::Token, Login::ClientCredentials] {
        let (world, own) = at_home(login, false).await;
        let home_organization =
            home_organization(&world, json!({ "name": "acme", "state": "Inactive" })).await;
        let command = format!("{DEACTIVATION}={}", world.organization);
        let words = ["would be deactivated", &own, "locked out", &command];
        let blocked = assert_refused(&home_organization, (DEACTIVATION, "true"), &words).await;
        run_command_of(&world, &blocked).await;
        home_organization.until_ready().await;
        assert_eq!(sent(&world, &Method::POST, "/orgs/me/_deactivate").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_of_the_connections_own_user_is_deleted_only_with_its_id_as_confirmation() {
    needs_double!("its own way into the data or the ledger");
    let (world, own) = at_home(Login::Token, false).await;
    let home_organization =
        home_organization(&world, json!({ "name": "acme", "deletionPolicy": "Delete" })).await;
    home_organization.until_ready().await;
    home_organization.annotate(DEACTIVATION, world.organization.as_str()).await;
    home_organization.delete().await;
    let blocked = home_organization.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    let command = format!("{DELETION}={}", world.organization);
    assert_message(&blocked, &["would be deleted", &own, "locked out", &command, "Retain"]);
    home_organization.annotate(DELETION, "acme").await;
    home_organization.reconciled().await;
    world.assert_no_writes();
    home_organization.annotate(DELETION, world.organization.as_str()).await;
    let blocked = home_organization.until("was locked out", |home_organization| {
        condition(home_organization, "Ready")["message"].to_string().contains("AUTH-")
    });
    run_command_of(&world, &blocked.await).await;
    home_organization.until_gone().await;
    let removed = world.zitadel.organization(&world.organization).unwrap();
    assert_eq!(removed.state, State::Removed);
}
