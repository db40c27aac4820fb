//! Policies of organizations and of the instance.

use http::Method;
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::Behaviour;

use crate::{Bench, error_id, parsed, request};

const LOGIN: &str = "/management/v1/policies/login";
const OTP: &str = "SECOND_FACTOR_TYPE_OTP";
const U2F: &str = "SECOND_FACTOR_TYPE_U2F";
const PASSKEY: &str = "MULTI_FACTOR_TYPE_U2F_WITH_VERIFICATION";

async fn as_admin(bench: &Bench, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = request(&method, path, &bench.double.admin().token, "", &body);
    let answer = bench.double.call(request).await.expect("an answer");
    (answer.status().as_u16(), parsed(&answer))
}

#[tokio::test]
async fn organizations_inherit_the_instance_until_they_have_their_own() {
    let bench = Bench::new(Behaviour::v4());
    let default = json!({"passwordCheckLifetime": "1.5s", "forceMfa": true});
    assert_eq!(as_admin(&bench, Method::PUT, "/admin/v1/policies/login", default.clone()).await.0, 200);
    let (_, again) = as_admin(&bench, Method::PUT, "/admin/v1/policies/login", default).await;
    assert_eq!(error_id(&again), "INSTANCE-5M9vdd");
    let (_, inherited) = bench.call(Method::GET, LOGIN, Value::Null).await;
    assert_eq!(inherited["policy"]["passwordCheckLifetime"], "1.500s");
    assert_eq!((&inherited["policy"]["forceMfa"], &inherited["isDefault"]), (&json!(true), &json!(true)));
    assert_eq!(inherited["policy"]["secondFactors"], json!([OTP, U2F]));
    bench.double.set_policy("login", Some(&bench.acme.id), Some(&json!({"secondFactors": [OTP]})));
    let (_, own) = bench.call(Method::GET, LOGIN, Value::Null).await;
    assert_eq!((&own["policy"]["forceMfa"], &own["isDefault"]), (&Value::Null, &Value::Null));
    assert_eq!(own["policy"]["secondFactors"], json!([OTP]));
}

#[tokio::test]
async fn reset_takes_the_factors_away() {
    let bench = Bench::new(Behaviour::v3());
    let (id, factors) = (Some(bench.acme.id.as_str()), format!("{LOGIN}/second_factors"));
    bench.double.set_policy("login", id, Some(&json!({"secondFactors": [OTP], "multiFactors": [PASSKEY]})));
    bench.double.set_policy("login", id, None);
    bench.double.set_policy("login", id, Some(&json!({})));
    assert_eq!(bench.double.policy("login", id).expect("a policy")["secondFactors"], Value::Null);
    let (_, removed) = bench.call(Method::DELETE, &format!("{factors}/{OTP}"), Value::Null).await;
    assert_eq!(error_id(&removed), "Org-3M9od");
    bench.double.set_factor(id, U2F, true);
    assert_eq!(bench.double.policy("login", id).expect("a policy")["secondFactors"], json!([U2F]));
}

#[tokio::test]
async fn instance_has_multi_factors_of_its_own() {
    let bench = Bench::new(Behaviour::v4_newer());
    let path = "/admin/v1/policies/login/multi_factors";
    let factor = json!({"type": PASSKEY});
    assert_eq!(error_id(&as_admin(&bench, Method::POST, path, factor.clone()).await.1), "INSTANCE-3M9od");
    let one = format!("{path}/{PASSKEY}");
    assert_eq!(as_admin(&bench, Method::DELETE, &one, Value::Null).await.0, 200);
    assert_eq!(error_id(&as_admin(&bench, Method::DELETE, &one, Value::Null).await.1), "INSTANCE-3M9df");
    let (_, listed) = as_admin(&bench, Method::POST, &format!("{path}/_search"), json!({})).await;
    assert_eq!(listed["result"], Value::Null);
    assert_eq!(as_admin(&bench, Method::POST, path, factor).await.0, 200);
    let unknown = as_admin(&bench, Method::DELETE, &format!("{path}/NOPE"), Value::Null).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (400, &json!(3)));
}

#[tokio::test]
async fn writes_to_policies_are_in_the_ledger() {
    let bench = Bench::new(Behaviour::v4());
    let mark = bench.double.ledger().mark();
    let body = json!({"secondFactors": [OTP], "multiFactors": [PASSKEY]});
    assert_eq!(bench.call(Method::POST, LOGIN, body).await.0, 200);
    assert_eq!(bench.call(Method::PUT, LOGIN, json!({})).await.0, 400);
    let list = bench.call(Method::POST, &format!("{LOGIN}/second_factors/_search"), json!({})).await;
    assert_eq!(list.1["result"], json!([OTP]));
    let wrong = json!({"maxPasswordAttempts": 4_294_967_296_u64});
    assert_eq!(bench.call(Method::POST, "/management/v1/policies/lockout", wrong).await.0, 400);
    let seen: Vec<usize> = bench.double.ledger().since(mark).iter().map(|seen| seen.committed).collect();
    assert_eq!(seen, [3, 0, 0, 0]);
    assert_eq!(bench.double.ledger().writes()[0].touched, vec![format!("org/{}", bench.acme.id); 3]);
}

#[tokio::test]
async fn removed_organization_leaves_no_policy() {
    let bench = Bench::new(Behaviour::v4());
    let id = Some(bench.acme.id.as_str());
    bench.double.set_policy("lockout", id, Some(&json!({"maxPasswordAttempts": 3})));
    assert_eq!(bench.double.policy("lockout", id), Some(json!({"maxPasswordAttempts": "3"})));
    assert!(bench.double.policy_stamp("lockout", id).is_some());
    bench.double.remove_organization(&bench.acme.id);
    assert_eq!(bench.double.policy("lockout", id), None);
}
