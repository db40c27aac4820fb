//! A rename moves the generated domain of an organization: where login names carry it and there are many users, a
//! person confirms it.
//!
//! The organization of these tests has four users.

use http::Method;
use k8s_openapi::api::events::v1::Event;
use kube::api::Api;
use serde_json::{Value, json};
use support::zitadel::{DomainSettings, InjectedFault};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{World, through_connection};

const CONFIRM: &str = "zitadel-operator.dev/confirm-username-rewrite";
const MINE: &str = "/management/v1/orgs/me";
const USERS: &str = "/management/v1/users/_search";

/// A world in which four users of acme log in with its domain or without.
async fn crowded(suffix: bool) -> World {
    let world = World::new().await;
    world.zitadel.add_staff(&world.organization);
    let settings = DomainSettings { user_login_must_be_domain: suffix, ..DomainSettings::default() };
    world.zitadel.set_domain_policy(&world.organization, Some(settings));
    world
}

/// Acme, taken over.
async fn acme<'a>(world: &'a World, spec: Value) -> Subject<'a> {
    let annotations = json!({ "zitadel-operator.dev/id": world.organization });
    world.try_apply_annotated(ORGANIZATION, "acme", annotations, through_connection(spec)).await.unwrap();
    world.subject(ORGANIZATION, "acme")
}

fn name(world: &World) -> String {
    world.zitadel.organization(&world.organization).unwrap().name
}

fn counts(world: &World) -> usize {
    world.zitadel.ledger().count(&Method::POST, USERS)
}

/// Asserts that the rename was refused, and not sent.
async fn until_blocked(acme: &Subject<'_>, from: &str, to: &str) -> Value {
    let blocked = acme.until_reason("InvalidSpec").await;
    assert_kstatus(&blocked, Kstatus::Failed);
    let becomes = format!("the organization's name {from:?} would become {to:?}");
    let count = "all 4 users, machine users included (confirmAboveUsers is 3)";
    assert_message(&blocked, &[&becomes, count, "kubectl annotate", CONFIRM]);
    assert_eq!(name(acme.world), from);
    blocked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_changes_many_login_names_waits_for_the_annotation_with_the_new_name() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(true).await;
    let acme = acme(&world, json!({ "name": "O'Brien & $Sons", "confirmAboveUsers": 3 })).await;
    let blocked = until_blocked(&acme, "acme", "O'Brien & $Sons").await;
    acme.annotate(CONFIRM, "true").await;
    acme.reconciled().await;
    world.assert_calm().await;
    until_blocked(&acme, "acme", "O'Brien & $Sons").await;
    world.assert_no_writes();
    world.run_command_of(condition(&blocked, "Ready")["message"].as_str().unwrap()).await;
    acme.until_ready().await;
    assert_eq!(name(&world), "O'Brien & $Sons");
    acme.apply(json!({ "name": "Globex", "confirmAboveUsers": 3 })).await;
    until_blocked(&acme, "O'Brien & $Sons", "Globex").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_users_as_allowed_are_renamed_with_a_warning() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(true).await;
    let acme = acme(&world, json!({ "name": "Globex", "confirmAboveUsers": 4 })).await;
    acme.until_ready().await;
    assert_eq!(name(&world), "Globex");
    let reported = world.until_event("acme", "LoginNamesChanged").await;
    let becomes = "the organization's name \"acme\" becomes \"Globex\"";
    assert!(
        reported.contains(becomes) && reported.contains("all 4 users, machine users included"),
        "{reported}"
    );
    assert!(!reported.contains("own user"), "it lives elsewhere: {reported}");
    assert_eq!(counts(&world), 1);
    acme.assert_no_write().await;
    assert_eq!(counts(&world), 1, "what is settled is not counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_leaves_login_names_alone_counts_nobody() {
    needs_double!("its own way into the data or the ledger");
    for (suffix, new) in [(false, "Globex"), (true, "ACME")] {
        let world = crowded(suffix).await;
        let acme = acme(&world, json!({ "name": new, "confirmAboveUsers": 0 })).await;
        acme.until_ready().await;
        assert_eq!((name(&world).as_str(), counts(&world)), (new, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_changed_is_brought_back_only_with_the_annotation_where_many_are_renamed() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(true).await;
    let acme = acme(&world, json!({ "name": "acme", "confirmAboveUsers": 3 })).await;
    acme.until_ready().await;
    world.zitadel.rename_organization(&world.organization, "Theirs");
    acme.reconciled().await;
    until_blocked(&acme, "Theirs", "acme").await;
    acme.annotate(CONFIRM, "acme").await;
    acme.until_ready().await;
    assert_eq!(name(&world), "acme");
    let reported = world.until_event("acme", "LoginNamesChanged").await;
    assert!(reported.contains("\"Theirs\" becomes \"acme\""), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_whose_answer_was_lost_is_counted_and_told_once() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(true).await;
    world.zitadel.inject(InjectedFault::drop_after_commit().on(Method::PUT).path(MINE).times(1));
    let acme = acme(&world, json!({ "name": "Globex" })).await;
    acme.until_ready().await;
    assert_eq!((name(&world).as_str(), counts(&world)), ("Globex", 1));
    world.until_event("acme", "LoginNamesChanged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_zitadel_refuses_is_not_told_to_have_changed_login_names() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(true).await;
    world.zitadel.add_organization("Globex");
    let acme = acme(&world, json!({ "name": "Globex" })).await;
    acme.until_reason("Conflict").await;
    acme.reconciled().await;
    world.until_event("acme", "Conflict").await;
    let events = Api::<Event>::namespaced(world.client.clone(), &world.namespace);
    let reasons = events.list(&Default::default()).await.unwrap().items.into_iter().map(|event| event.reason);
    assert!(!reasons.flatten().any(|reason| reason == "LoginNamesChanged"));
}
