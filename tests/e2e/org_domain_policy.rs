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
use crate::waits::assert_kstatus;
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
