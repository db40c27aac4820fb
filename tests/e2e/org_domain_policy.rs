//! What an `OrgDomainPolicy` does, on a real API server.

mod guard;
mod races;
mod refusals;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::zitadel::DomainSettings;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, condition};
use crate::world::World;

const KIND: &str = "OrgDomainPolicy";
const POLICIES: &str = "/admin/v1/orgs/";
const FIELDS: [&str; 3] =
    ["userLoginMustBeDomain", "validateOrgDomains", "smtpSenderAddressMatchesInstanceDomain"];

fn settings(values: [bool; 3]) -> Value {
    FIELDS.iter().zip(values).map(|(field, value)| ((*field).to_owned(), json!(value))).collect()
}

/// The spec of a policy, in the order of [`FIELDS`], with more of it.
fn spec(values: [bool; 3], more: Value) -> Value {
    let mut spec = more;
    for (field, value) in FIELDS.iter().zip(values) {
        spec[*field] = json!(value);
    }
    spec
}

fn policy(world: &World) -> Subject<'_> {
    world.subject(KIND, "policy")
}

/// A world that looks at ZITADEL again every 500 ms.
async fn watchful_world() -> World {
    let world = World::new().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world
}

/// What is in force in ZITADEL, in the order of [`FIELDS`]; zero values are not sent.
async fn in_force(world: &World) -> [bool; 3] {
    let policy = world.person.domain_policy(&world.organization).await;
    FIELDS.map(|field| policy[field] == true)
}

async fn is_default(world: &World) -> bool {
    world.person.domain_policy(&world.organization).await["isDefault"] == true
}

/// Asserts that the status says of the policy what the next read of ZITADEL says.
async fn assert_reported(world: &World, resource: &Value) {
    let (status, remote) = (&resource["status"], world.person.domain_policy(&world.organization).await);
    assert_eq!(status["sequence"], remote["details"]["sequence"]);
    for field in ["creationDate", "changeDate"] {
        assert_eq!(date(&status[field]), date(&remote["details"][field]), "{field}");
    }
    assert_eq!(status["isDefault"], json!(remote["isDefault"] == true));
    assert_eq!(status["effective"], settings(FIELDS.map(|field| remote[field] == true)));
}

/// The same time may be written with and without zeros at its end.
fn date(value: &Value) -> Timestamp {
    value.as_str().expect("a date").parse().expect("RFC 3339")
}

fn of_double(values: [bool; 3]) -> DomainSettings {
    DomainSettings {
        user_login_must_be_domain: values[0],
        validate_org_domains: values[1],
        smtp_sender_address_matches_instance_domain: values[2],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_gets_a_policy_of_its_own_and_the_status_says_which() {
    let world = World::new().await;
    let born = policy(&world).apply(spec([false, true, false], json!({}))).await;
    assert_kstatus(&born, Kstatus::InProgress);
    let ready = policy(&world).until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    assert_eq!(in_force(&world).await, [false, true, false]);
    assert_reported(&world, &ready).await;
    let status = &ready["status"];
    assert_eq!(
        (&status["isDefault"], &status["organizationId"]),
        (&json!(false), &json!(world.organization))
    );
    assert_eq!(status["instance"], world.person.instance().await);
    assert_eq!((&status["origin"], &status["deletionPolicy"]), (&json!("Created"), &json!("Delete")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_equal_to_the_default_is_still_made() {
    let world = World::new().await;
    let default = in_force(&world).await;
    policy(&world).apply(spec(default, json!({}))).await;
    assert_reported(&world, &policy(&world).until_ready().await).await;
    assert!(!is_default(&world).await);
    assert_eq!(in_force(&world).await, default);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_follows_the_spec() {
    let world = World::new().await;
    for values in [[false; 3], [true, false, false], [true, true, false], [true; 3], [false, false, true]] {
        policy(&world).apply(spec(values, json!({}))).await;
        let ready = policy(&world).until_ready().await;
        assert_eq!(in_force(&world).await, values);
        assert_reported(&world, &ready).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_is_replaced_with_post_and_a_policy_of_its_own_with_put_each_with_all_three_settings() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    policy(&world).apply(spec([false, false, true], json!({}))).await;
    policy(&world).until_ready().await;
    let writes = world.zitadel.ledger().writes();
    let sent: Vec<_> = writes.iter().map(|write| (&write.method, &write.body)).collect();
    let (made, changed) = (settings([false, true, false]), settings([false, false, true]));
    assert_eq!(sent, [(&Method::POST, &made), (&Method::PUT, &changed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_as_specified_is_not_written_again() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([true, true, true], json!({}))).await;
    policy(&world).until_ready().await;
    policy(&world).assert_no_write().await;
    assert_eq!(world.zitadel.ledger().writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_any_setting_is_reverted_and_named_in_an_event_and_in_status() {
    let world = watchful_world().await;
    policy(&world).apply(spec([false; 3], json!({}))).await;
    policy(&world).until_ready().await;
    for (place, field) in FIELDS.iter().enumerate() {
        let mut theirs = [false; 3];
        theirs[place] = true;
        world.person.write_domain_policy(Method::PUT, &world.organization, settings(theirs)).await;
        let reported = |p: &Value| p["status"]["drift"]["fields"] == json!([field]);
        let healed = policy(&world).until("told of the drift", reported).await;
        assert_eq!(in_force(&world).await, [false; 3], "{field}");
        assert_eq!(condition(&healed, "Ready")["reason"], "Available");
        assert_reported(&world, &healed).await;
    }
    let note = world.until_event("policy", "DriftReverted").await;
    assert!(FIELDS.iter().any(|field| note.ends_with(field)), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_reset_by_somebody_else_is_made_again() {
    let world = watchful_world().await;
    policy(&world).apply(spec([false, true, true], json!({}))).await;
    let before = policy(&world).until_ready().await["status"]["sequence"].clone();
    world.person.write_domain_policy(Method::DELETE, &world.organization, Value::Null).await;
    let again = policy(&world).until("was made again", |p| p["status"]["sequence"] != before).await;
    assert_eq!(in_force(&world).await, [false, true, true]);
    assert_kstatus(&again, Kstatus::Current);
    assert_reported(&world, &again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_resets_the_organization_to_the_default() {
    let world = World::new().await;
    let default = in_force(&world).await;
    policy(&world).apply(spec(default.map(|set| !set), json!({}))).await;
    policy(&world).until_ready().await;
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert!(is_default(&world).await);
    assert_eq!(in_force(&world).await, default);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_policy_stays() {
    let world = World::new().await;
    policy(&world).apply(spec([false, true, true], json!({ "deletionPolicy": "Retain" }))).await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(ready["status"]["deletionPolicy"], "Retain");
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert!(!is_default(&world).await);
    assert_eq!(in_force(&world).await, [false, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_there_is_taken_over_with_an_event_and_reset_on_deletion() {
    let world = World::new().await;
    world.person.write_domain_policy(Method::POST, &world.organization, settings([false, false, true])).await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(
        (&ready["status"]["origin"], &ready["status"]["deletionPolicy"]),
        (&json!("Adopted"), &json!("Delete"))
    );
    assert!(world.until_event("policy", "Adopted").await.contains(&world.organization));
    assert_eq!(in_force(&world).await, [false, true, false]);
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert!(is_default(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_the_difference_and_what_is_in_force_are_told_and_nothing_is_written() {
    needs_double!("its own way into the data or the ledger");
    let world = watchful_world().await;
    policy(&world).apply(spec([false, true, false], json!({ "managementPolicy": "Observe" }))).await;
    let drifted = policy(&world).until_reason("DriftDetected").await;
    assert_kstatus(&drifted, Kstatus::Failed);
    assert_eq!(drifted["status"]["drift"]["fields"], json!(["validateOrgDomains"]));
    assert_eq!(drifted["status"]["isDefault"], true);
    assert_reported(&world, &drifted).await;

    world.zitadel.set_domain_policy(&world.organization, Some(of_double([true, false, true])));
    let other = |p: &Value| p["status"]["isDefault"] == false;
    let other = policy(&world).until("told of the organization's own", other).await;
    let mut fields = FIELDS;
    fields.sort_unstable();
    assert_eq!(other["status"]["drift"]["fields"], json!(fields));
    assert_reported(&world, &other).await;

    world.zitadel.set_domain_policy(&world.organization, Some(of_double([false, true, false])));
    let agreed = policy(&world).until_ready().await;
    assert_kstatus(&agreed, Kstatus::Current);
    assert_eq!((&agreed["status"]["drift"], &agreed["metadata"]["finalizers"]), (&Value::Null, &Value::Null));
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    world.assert_no_writes();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_as_specified_is_fine_under_observe() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false; 3], json!({ "managementPolicy": "Observe" }))).await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(ready["status"]["isDefault"], true);
    assert_reported(&world, &ready).await;
    world.assert_no_writes();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_policies_for_one_organization_the_second_touches_nothing_and_takes_over_when_the_first_goes()
{
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    let [second, third] = ["second", "third"].map(|name| world.subject(KIND, name));
    for later in [second, third] {
        later.apply(spec([false, false, true], json!({}))).await;
        let lost = later.until_reason("Conflict").await;
        assert_kstatus(&lost, Kstatus::Failed);
        crate::waits::assert_message(
            &lost,
            &["OrgDomainPolicy", "policy", &world.organization, "nothing is touched"],
        );
    }
    third.delete().await;
    third.until_gone().await;
    assert_eq!(in_force(&world).await, [false, true, false]);
    assert_eq!(world.zitadel.ledger().writes().len(), 1, "only the first create");
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert_reported(&world, &second.until_ready().await).await;
    assert_eq!(in_force(&world).await, [false, false, true]);
}
