//! What an `OrgLoginPolicy` does, on a real API server.

mod factors;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::Behaviour;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::World;

const KIND: &str = "OrgLoginPolicy";
const PATH: &str = "/management/v1/policies/login";

fn policy(world: &World) -> Subject<'_> {
    world.subject(KIND, "policy")
}

/// A world that looks at ZITADEL again every 500 ms.
async fn watchful_world() -> World {
    let world = World::new().await;
    world.patch_connection(json!({ "resyncInterval": "500ms" })).await;
    world
}

/// What is in force in ZITADEL, without details.
async fn in_force(world: &World) -> Value {
    let mut answer = world.person.done(Method::GET, PATH, &world.organization, Value::Null).await;
    let mut policy = answer["policy"].take();
    policy.as_object_mut().unwrap().remove("details");
    policy
}

/// What somebody else does to the policy, or below it.
async fn edit(world: &World, method: Method, below: &str, body: Value) {
    world.person.done(method, &format!("{PATH}{below}"), &world.organization, body).await;
}

/// Every field but the factors, as a spec says them and as ZITADEL does.
fn every_field() -> (Value, Value) {
    let spec = json!({
        "allowUsernamePassword": true, "allowRegister": false, "allowExternalIdp": true, "forceMfa": true,
        "forceMfaLocalOnly": true, "passwordlessType": "Allowed", "hidePasswordReset": true,
        "ignoreUnknownUsernames": true, "defaultRedirectUri": "https://home.example.com",
        "passwordCheckLifetime": "1h30m", "externalLoginCheckLifetime": "24h", "mfaInitSkipLifetime": "0s",
        "secondFactorCheckLifetime": "1m0.5s", "multiFactorCheckLifetime": "87600h", "allowDomainDiscovery": false,
        "disableLoginWithEmail": true, "disableLoginWithPhone": true,
    });
    let there = json!({
        "allowUsernamePassword": true, "allowExternalIdp": true, "forceMfa": true, "forceMfaLocalOnly": true,
        "passwordlessType": "PASSWORDLESS_TYPE_ALLOWED", "hidePasswordReset": true, "ignoreUnknownUsernames": true,
        "defaultRedirectUri": "https://home.example.com", "passwordCheckLifetime": "5400s",
        "externalLoginCheckLifetime": "86400s", "mfaInitSkipLifetime": "0s", "secondFactorCheckLifetime": "60.500s",
        "multiFactorCheckLifetime": "315360000s", "disableLoginWithEmail": true, "disableLoginWithPhone": true,
    });
    (spec, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_the_one_in_force_but_for_what_the_spec_sets() {
    let world = World::new().await;
    let mut expected = in_force(&world).await;
    policy(&world).apply(json!({ "allowRegister": false, "passwordCheckLifetime": "12h" })).await;
    let ready = policy(&world).until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    let fields = expected.as_object_mut().unwrap();
    fields.remove("isDefault");
    fields.remove("allowRegister");
    fields.insert("passwordCheckLifetime".into(), json!("43200s"));
    assert_eq!(in_force(&world).await, expected);
    let status = &ready["status"];
    assert_eq!((&status["isDefault"], &status["origin"]), (&json!(false), &json!("Created")));
    for (field, value) in [
        ("allowRegister", json!(false)),
        ("passwordCheckLifetime", json!("12h")),
        ("externalLoginCheckLifetime", json!("240h")),
        ("passwordlessType", json!("Allowed")),
        ("secondFactors", json!(["Otp", "U2F"])),
        ("multiFactors", json!(["U2FWithVerification"])),
        ("forceMfa", json!(false)),
        ("defaultRedirectUri", json!("")),
    ] {
        assert_eq!(status["effective"][field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_written_as_specified_and_the_status_says_it_as_the_spec_does() {
    let world = World::new().await;
    let (spec, there) = every_field();
    policy(&world).apply(json!({ "secondFactors": [], "multiFactors": [] })).await;
    policy(&world).until_ready().await;
    let mut more = spec.clone();
    (more["secondFactors"], more["multiFactors"]) = (json!([]), json!([]));
    policy(&world).apply(more).await;
    let mut effective = policy(&world).until_ready().await["status"]["effective"].take();
    assert_eq!(in_force(&world).await, there);
    for field in ["secondFactors", "multiFactors"] {
        assert_eq!(effective.as_object_mut().unwrap().remove(field), Some(json!([])));
    }
    assert_eq!(effective["secondFactorCheckLifetime"], "1m500ms");
    effective["secondFactorCheckLifetime"] = spec["secondFactorCheckLifetime"].clone();
    assert_eq!(effective, spec);
    policy(&world).assert_no_write().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spec_does_not_set_may_be_anything_and_survives_a_write() {
    let world = watchful_world().await;
    policy(&world).apply(json!({ "forceMfa": true })).await;
    policy(&world).until_ready().await;
    let mut theirs = in_force(&world).await;
    theirs["hidePasswordReset"] = json!(true);
    theirs["mfaInitSkipLifetime"] = json!("7s");
    edit(&world, Method::PUT, "", theirs.clone()).await;
    policy(&world)
        .until("shows what is there", |p| p["status"]["effective"]["mfaInitSkipLifetime"] == "7s")
        .await;
    policy(&world).apply(json!({ "forceMfa": true, "forceMfaLocalOnly": true })).await;
    policy(&world).until_ready().await;
    theirs["forceMfaLocalOnly"] = json!(true);
    assert_eq!(in_force(&world).await, theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_any_field_of_the_spec_is_reverted_and_named() {
    let world = watchful_world().await;
    let (spec, _) = every_field();
    policy(&world).apply(spec.clone()).await;
    policy(&world).until_ready().await;
    let ours = in_force(&world).await;
    for (field, theirs) in [
        ("passwordCheckLifetime", json!("5401s")),
        ("mfaInitSkipLifetime", json!("1s")),
        ("passwordlessType", json!("PASSWORDLESS_TYPE_NOT_ALLOWED")),
        ("defaultRedirectUri", json!("")),
        ("allowRegister", json!(true)),
    ] {
        let mut edited = ours.clone();
        edited[field] = theirs;
        edit(&world, Method::PUT, "", edited).await;
        let reported = |p: &Value| p["status"]["drift"]["fields"] == json!([field]);
        policy(&world).until("told of the drift", reported).await;
        assert_eq!(in_force(&world).await, ours, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_reset_by_somebody_else_is_made_again() {
    let world = watchful_world().await;
    policy(&world).apply(json!({ "forceMfa": true, "secondFactors": ["OtpSms"] })).await;
    let before = policy(&world).until_ready().await["status"]["sequence"].clone();
    let ours = in_force(&world).await;
    edit(&world, Method::DELETE, "", Value::Null).await;
    let again = policy(&world).until("was made again", |p| p["status"]["sequence"] != before).await;
    assert_kstatus(&again, Kstatus::Current);
    assert_eq!(in_force(&world).await, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_resets_the_organization_to_the_default_and_retain_leaves_the_policy() {
    let world = World::new().await;
    let default = in_force(&world).await;
    for (deletion, stays) in [("Delete", false), ("Retain", true)] {
        policy(&world).apply(json!({ "secondFactors": ["OtpEmail"], "deletionPolicy": deletion })).await;
        policy(&world).until_ready().await;
        let ours = in_force(&world).await;
        policy(&world).delete().await;
        policy(&world).until_gone().await;
        assert_eq!(&in_force(&world).await, if stays { &ours } else { &default });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_there_is_taken_over_as_it_is() {
    let world = World::new().await;
    let theirs = json!({ "allowUsernamePassword": true, "secondFactors": ["SECOND_FACTOR_TYPE_OTP_SMS"] });
    edit(&world, Method::POST, "", theirs).await;
    policy(&world).apply(json!({ "allowRegister": true })).await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(ready["status"]["origin"], "Adopted");
    let effective = &ready["status"]["effective"];
    assert_eq!(
        [&effective["allowUsernamePassword"], &effective["secondFactors"], &effective["multiFactors"]],
        [&json!(true), &json!(["OtpSms"]), &json!([])]
    );
    assert_eq!(in_force(&world).await["allowRegister"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_of_the_organization_may_write_a_policy_and_a_viewer_learns_it() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    let staff = world.zitadel.add_staff(&world.organization);
    world.store_token(&staff.viewer.token).await;
    world.start_operator().await;
    policy(&world).apply(json!({ "forceMfa": true, "secondFactors": ["Otp"] })).await;
    let denied = policy(&world).until_reason("PermissionDenied").await;
    assert_message(&denied, &["policy.write", "ORG_OWNER", "AUTH-5mWD2"]);
    world.store_token(&staff.owner.token).await;
    policy(&world).until_ready().await;
    policy(&world).apply(json!({ "secondFactors": ["U2F"] })).await;
    policy(&world).until_ready().await;
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert_eq!(world.zitadel.policy("login", Some(&world.organization)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_is_made_in_a_removed_organization() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4_newer()] {
        let mut world = World::without_operator().await;
        world.zitadel.configure(|behaviour| *behaviour = line);
        world.zitadel.remove_organization(&world.organization);
        world.start_operator().await;
        policy(&world).apply(json!({ "forceMfa": true })).await;
        let missing = policy(&world).until_reason("NotFound").await;
        assert_message(&missing, &[&world.organization, "does not exist", "correct spec.organization"]);
        world.assert_calm().await;
        assert_eq!(
            world.zitadel.ledger().count(&Method::POST, PATH),
            0,
            "a v4 server would have accepted it"
        );
    }
}
