//! What an `OrgFeatures` does on a server that implements the feature flags of organizations.
//!
//! No released ZITADEL does; the double can. What happens on the others is in `unsupported`.

mod unsupported;

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Failure, InjectedFault, OrganizationFeatures, Request};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{World, config};

const KIND: &str = "OrgFeatures";
const V2: &str = "/v2/features/organization/";
const V2_BETA: &str = "/v2beta/features/organization/";

fn flags(world: &World) -> Subject<'_> {
    world.subject(KIND, "flags")
}

fn spec(features: Value) -> Value {
    [("features", features)].into_iter().collect()
}

fn implement(world: &World, how: OrganizationFeatures) {
    world.zitadel.configure(|behaviour| behaviour.organization_features = how);
}

/// A world whose server implements the flags.
async fn world_of_tomorrow() -> World {
    let world = World::new().await;
    implement(&world, OrganizationFeatures::Implemented);
    world
}

/// The same, looking at ZITADEL again every 500 ms.
async fn watchful_world() -> World {
    let world = world_of_tomorrow().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world
}

/// The flags of acme, as a write takes them.
fn set(world: &World) -> Value {
    world.zitadel.features(&world.organization).map(|features| json!(features.flags)).unwrap_or(json!({}))
}

/// Somebody else sets exactly these flags.
fn set_by_others(world: &World, features: Value) {
    let features: BTreeMap<String, Value> = serde_json::from_value(features).unwrap();
    world.zitadel.set_features(&world.organization, features);
}

/// Calls to the flags with this method, whatever came of them.
fn calls(world: &World, method: Method) -> Vec<Request> {
    let features =
        move |call: &Request| call.path.contains("/features/organization/") && call.method == method;
    world.zitadel.ledger().select(features)
}

/// Asserts that the status says of the flags what the next read of ZITADEL says.
fn assert_reported(world: &World, resource: &Value) {
    let stamp = world.zitadel.features(&world.organization).unwrap().stamp;
    assert_eq!(resource["status"]["sequence"], stamp.sequence.to_string());
    assert_eq!(resource["status"]["changeDate"], stamp.changed.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_flags_in_the_spec_are_sent_and_in_one_request() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    let features = json!({
        "loginDefaultOrg": false, "oidcTokenExchange": true, "webKey": true,
        "loginV2": { "required": true, "baseUri": "https://login.example.com" },
        "improvedPerformance": ["IMPROVED_PERFORMANCE_PROJECT", "IMPROVED_PERFORMANCE_ORG"],
    });
    flags(&world).apply(spec(features.clone())).await;
    assert_reported(&world, &flags(&world).until_ready().await);
    let sent: Vec<Value> = calls(&world, Method::PUT).into_iter().map(|call| call.body).collect();
    assert_eq!((sent, set(&world)), (vec![features.clone()], features));
    assert!(calls(&world, Method::DELETE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_removed_from_the_spec_is_unset_by_a_reset_and_the_rest_set_again() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    flags(&world).apply(spec(json!({ "loginDefaultOrg": true, "userSchema": true }))).await;
    flags(&world).until_ready().await;
    let mark = world.zitadel.ledger().mark();
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    assert_reported(&world, &flags(&world).until_ready().await);
    assert_eq!(set(&world), json!({ "userSchema": true }));
    let writes: Vec<_> = world.writes_since(mark).into_iter().map(|call| (call.method, call.body)).collect();
    assert_eq!(writes, [(Method::DELETE, Value::Null), (Method::PUT, json!({ "userSchema": true }))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_after_which_setting_the_rest_fails_is_completed() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    flags(&world).apply(spec(json!({ "loginDefaultOrg": true, "userSchema": true }))).await;
    flags(&world).until_ready().await;
    world.zitadel.inject(InjectedFault::unavailable().on(Method::PUT).path(V2).times(3));
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    assert_reported(&world, &flags(&world).until_ready().await);
    assert_eq!(set(&world), json!({ "userSchema": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_any_flag_is_reverted_and_named_in_an_event_and_in_status() {
    needs_double!("its own way into the data or the ledger");
    let world = watchful_world().await;
    let wanted = json!({ "userSchema": true, "loginV2": { "required": true }, "improvedPerformance": ["A"] });
    flags(&world).apply(spec(wanted.clone())).await;
    flags(&world).until_ready().await;
    let edits = [
        ("userSchema", json!(false)),
        ("loginV2", json!({ "required": true, "baseUri": "https://theirs.example" })),
        ("improvedPerformance", json!(["B", "A"])),
        ("foreign", json!(true)),
    ];
    for (flag, value) in edits {
        let mut theirs = wanted.clone();
        theirs[flag] = value;
        set_by_others(&world, theirs);
        let reported = |p: &Value| p["status"]["drift"]["fields"] == json!([format!("features.{flag}")]);
        let healed = flags(&world).until("told of the drift", reported).await;
        assert_eq!(set(&world), wanted, "{flag}");
        assert_eq!(condition(&healed, "Ready")["reason"], "Available");
        assert_reported(&world, &healed);
    }
    assert!(world.until_event("flags", "DriftReverted").await.contains("features."));
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_were_there_are_taken_over_with_an_event_and_those_of_others_reset() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    set_by_others(&world, json!({ "loginDefaultOrg": true, "userSchema": false }));
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    let ready = flags(&world).until_ready().await;
    assert_eq!(ready["status"]["origin"], "Adopted");
    assert!(world.until_event("flags", "Adopted").await.contains(&world.organization));
    assert_eq!(set(&world), json!({ "userSchema": true }));
    let note = world.until_event("flags", "Updated").await;
    assert!(note.contains("features.userSchema") && note.contains("features.loginDefaultOrg"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_the_server_silently_drops_is_named_and_not_sent_again_and_again() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    implement(&world, OrganizationFeatures::Implemented);
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    // However slow the machine: what is rare does not happen meanwhile.
    let delays = Delays { rare: Duration::from_secs(3600), ..config().delays };
    world.start_operator_with(Config { delays, ..config() }).await;
    flags(&world).apply(spec(json!({ "userSchema": true, "ofTomorrow": true }))).await;
    let dropped = flags(&world).until_reason("InvalidSpec").await;
    assert_kstatus(&dropped, Kstatus::Failed);
    assert_message(&dropped, &["features.ofTomorrow", "may not know it", "remove it"]);
    assert_eq!(set(&world), json!({ "userSchema": true }), "the others are set");
    assert_reported(&world, &dropped);
    let note = world.until_event("flags", "InvalidSpec").await;
    assert!(note.contains("features.ofTomorrow"), "{note}");
    let sent = calls(&world, Method::PUT).len();
    assert!(sent <= 2, "{sent} requests to set it");
    flags(&world).reconciled().await;
    assert_eq!(calls(&world, Method::PUT).len(), sent, "a request to look again sends nothing");

    set_by_others(&world, json!({ "userSchema": false }));
    flags(&world).reconciled().await;
    assert_eq!(set(&world), json!({ "userSchema": true }), "the others are still repaired");

    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_of_which_the_server_knows_none_are_an_invalid_spec() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    flags(&world).apply(spec(json!({ "ofTomorrow": true }))).await;
    let refused = flags(&world).until_reason("InvalidSpec").await;
    assert_kstatus(&refused, Kstatus::Failed);
    assert_message(&refused, &["COMMAND-Vigh1", "ofTomorrow"]);
    world.assert_no_writes();
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_is_no_flag() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    flags(&world).apply(spec(json!({ "x": null }))).await;
    let empty = flags(&world).until_reason("InvalidSpec").await;
    assert_kstatus(&empty, Kstatus::Failed);
    assert_message(&empty, &["spec.features sets no flag"]);
    assert!(calls(&world, Method::PUT).is_empty());
    flags(&world).apply(spec(json!({ "x": null, "userSchema": true }))).await;
    flags(&world).until_ready().await;
    assert_eq!(calls(&world, Method::PUT)[0].body, json!({ "userSchema": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_implements_them_only_under_v2beta_is_served_there() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of_tomorrow().await;
    world.zitadel.inject(InjectedFault::failure(&Failure::bare(12, "method X not implemented")).path(V2));
    flags(&world).apply(spec(json!({ "loginDefaultOrg": true, "userSchema": true }))).await;
    flags(&world).until_ready().await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    assert_reported(&world, &flags(&world).until_ready().await);
    assert_eq!(set(&world), json!({ "userSchema": true }));
    flags(&world).delete().await;
    flags(&world).until_gone().await;
    assert_eq!(set(&world), json!({}));
    assert!(world.zitadel.ledger().writes().iter().all(|write| write.path.starts_with(V2_BETA)));
}
