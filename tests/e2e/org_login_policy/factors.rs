//! Second and multi factors: sets that the policy owns where its spec names them.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault};

use super::{PATH, edit, in_force, policy, watchful_world};
use crate::needs_double;
use crate::waits::assert_message;
use crate::world::World;

/// The factors in force, sorted, by the last part of their names.
async fn factors(world: &World) -> [Vec<String>; 2] {
    let policy = in_force(world).await;
    ["secondFactors", "multiFactors"].map(|field| {
        let names = policy[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut names: Vec<String> =
            names.map(|name| name.split_once("_TYPE_").unwrap().1.to_owned()).collect();
        names.sort_unstable();
        names
    })
}

/// What was written since, each as its method and what is below the policy, with the factor that was added.
fn writes(world: &World) -> Vec<String> {
    let writes = world.zitadel.ledger().writes();
    let shown = writes.iter().map(|write| {
        let below = write.path.strip_prefix(PATH).unwrap();
        let factor = write.body["type"].as_str().map(|factor| format!(" {factor}")).unwrap_or_default();
        format!("{} {below}{factor}", write.method)
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn factors_become_exactly_those_of_the_spec_and_there_is_never_a_moment_without_any() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(json!({ "secondFactors": ["OtpEmail", "Otp"], "multiFactors": [] })).await;
    policy(&world).until_ready().await;
    assert_eq!(factors(&world).await, [vec!["OTP", "OTP_EMAIL"], vec![]]);
    policy(&world)
        .apply(json!({ "secondFactors": ["U2F", "OtpEmail"], "multiFactors": ["U2FWithVerification"] }))
        .await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(factors(&world).await, [vec!["OTP_EMAIL", "U2F"], vec!["U2F_WITH_VERIFICATION"]]);
    assert_eq!(ready["status"]["effective"]["secondFactors"], json!(["OtpEmail", "U2F"]));
    assert_eq!(
        writes(&world),
        [
            "POST ",
            "POST /second_factors SECOND_FACTOR_TYPE_U2F",
            "DELETE /second_factors/SECOND_FACTOR_TYPE_OTP",
            "POST /multi_factors MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
        ]
    );
    let stamp = world.zitadel.policy_stamp("login", Some(&world.organization)).unwrap();
    assert_eq!(ready["status"]["sequence"], stamp.sequence.to_string());
    policy(&world)
        .apply(json!({ "secondFactors": ["OtpEmail", "U2F"], "multiFactors": ["U2FWithVerification"] }))
        .await;
    policy(&world).until_ready().await;
    policy(&world).assert_no_write().await;
    assert_eq!(writes(&world).len(), 4, "the order says nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factor_that_somebody_adds_or_removes_is_drift_of_its_set() {
    let world = watchful_world().await;
    policy(&world)
        .apply(json!({ "secondFactors": ["Otp", "U2F"], "multiFactors": ["U2FWithVerification"] }))
        .await;
    policy(&world).until_ready().await;
    let ours = factors(&world).await;
    let add = json!({ "type": "SECOND_FACTOR_TYPE_OTP_SMS" });
    let edits = [
        (Method::POST, "/second_factors", add, "secondFactors"),
        (
            Method::DELETE,
            "/multi_factors/MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION",
            Value::Null,
            "multiFactors",
        ),
        (Method::DELETE, "/second_factors/SECOND_FACTOR_TYPE_U2F", Value::Null, "secondFactors"),
    ];
    for (method, below, body, field) in edits {
        edit(&world, method, below, body).await;
        let reported = |p: &Value| p["status"]["drift"]["fields"] == json!([field]);
        policy(&world).until("told of the drift", reported).await;
        assert_eq!(factors(&world).await, ours, "{below}");
    }
    let note = world.until_event("policy", "DriftReverted").await;
    assert!(note.contains("Factors"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn factors_that_the_spec_leaves_out_are_not_managed() {
    let world = watchful_world().await;
    policy(&world).apply(json!({ "forceMfa": true, "multiFactors": [] })).await;
    policy(&world).until_ready().await;
    assert_eq!(factors(&world).await, [vec!["OTP", "U2F"], vec![]], "those of the default");
    edit(&world, Method::POST, "/second_factors", json!({ "type": "SECOND_FACTOR_TYPE_OTP_SMS" })).await;
    edit(&world, Method::DELETE, "/second_factors/SECOND_FACTOR_TYPE_OTP", Value::Null).await;
    let shown = |p: &Value| p["status"]["effective"]["secondFactors"] == json!(["OtpSms", "U2F"]);
    policy(&world).until("shows what is there", shown).await;
    policy(&world).apply(json!({ "forceMfa": false, "multiFactors": [] })).await;
    policy(&world).until_ready().await;
    assert_eq!(factors(&world).await, [vec!["OTP_SMS", "U2F"], vec![]]);
}

/// The server has a factor that was added while the default was in force, and shows it nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_factor_that_no_read_shows_can_be_added() {
    let world = World::new().await;
    edit(&world, Method::POST, "/second_factors", json!({ "type": "SECOND_FACTOR_TYPE_OTP_EMAIL" })).await;
    policy(&world).apply(json!({ "secondFactors": ["Otp"] })).await;
    policy(&world).until_ready().await;
    assert_eq!(factors(&world).await[0], ["OTP"]);
    policy(&world).apply(json!({ "secondFactors": ["Otp", "OtpEmail"] })).await;
    policy(&world).until_ready().await;
    assert_eq!(factors(&world).await[0], ["OTP", "OTP_EMAIL"]);
    policy(&world).assert_no_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_other_factors_are_told_and_left() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(json!({ "secondFactors": ["Otp"], "managementPolicy": "Observe" })).await;
    let drifted = policy(&world).until_reason("DriftDetected").await;
    assert_eq!(drifted["status"]["drift"]["fields"], json!(["secondFactors"]));
    assert_eq!(drifted["status"]["effective"]["secondFactors"], json!(["Otp", "U2F"]));
    policy(&world).apply(json!({ "secondFactors": ["U2F", "Otp"], "managementPolicy": "Observe" })).await;
    policy(&world).until_ready().await;
    world.assert_no_writes();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factor_that_the_server_does_not_know_is_named_until_it_does() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4()] {
        for exists in [false, true] {
            let mut world = World::without_operator().await;
            world.zitadel.configure(|behaviour| *behaviour = line.clone());
            world.start_operator().await;
            if exists {
                policy(&world).apply(json!({ "secondFactors": ["Otp"] })).await;
                policy(&world).until_ready().await;
            }
            policy(&world).apply(json!({ "secondFactors": ["Otp", "RecoveryCodes"] })).await;
            let refused = policy(&world).until_reason("InvalidSpec").await;
            assert_message(
                &refused,
                &["does not know", "secondFactors", "remove it from the spec", "upgrade"],
            );
            world.assert_calm().await;
            world.zitadel.configure(|behaviour| behaviour.recovery_codes = true);
            policy(&world).reconciled().await;
            policy(&world).until_ready().await;
            assert_eq!(factors(&world).await[0], ["OTP", "RECOVERY_CODES"]);
        }
    }
}

/// What a newer server may have; the API server would refuse a status that a spec's schema does not allow.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_spec_can_say_is_shown_by_its_own_name() {
    needs_double!("an answer of its own making");
    let world = World::new().await;
    policy(&world).apply(json!({ "forceMfa": true })).await;
    policy(&world).until_ready().await;
    let newer = json!({ "policy": {
        "details": { "sequence": "9", "resourceOwner": world.organization }, "forceMfa": true,
        "passwordlessType": "PASSWORDLESS_TYPE_NEW", "secondFactors": ["SECOND_FACTOR_TYPE_NEW", "SECOND_FACTOR_TYPE_OTP"],
        "passwordCheckLifetime": "999999999999s", "defaultRedirectUri": "x".repeat(5000),
    }});
    let answer = InjectedFault::answer(200).body(newer.to_string()).on(Method::GET).path(PATH);
    world.zitadel.inject(answer.header("content-type", "application/json"));
    let shown = policy(&world).reconciled().await;
    let effective = &shown["status"]["effective"];
    assert_eq!(effective["passwordlessType"], "PASSWORDLESS_TYPE_NEW");
    assert_eq!(effective["secondFactors"], json!(["Otp", "SECOND_FACTOR_TYPE_NEW"]));
    assert_eq!(effective["defaultRedirectUri"].as_str().unwrap().len(), 2048);
    policy(&world).until_ready().await;
}
