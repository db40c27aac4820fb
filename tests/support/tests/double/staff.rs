//! Members, tokens and keys of machine users, made over the API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::Behaviour;

use crate::{Bench, error_id, parsed, request};

const MEMBERS: &str = "/management/v1/orgs/me/members";

async fn done(bench: &Bench, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = bench.call(method, path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A machine user and a token of it.
async fn hire(bench: &Bench) -> (String, Value) {
    let user = json!({"userName": "robot", "name": "robot"});
    let made = done(bench, Method::POST, "/management/v1/users/machine", user).await;
    let id = made["userId"].as_str().expect("an id").to_owned();
    let token = done(bench, Method::POST, &format!("/management/v1/users/{id}/pats"), json!({})).await;
    (id, token)
}

async fn reads_projects(bench: &Bench, token: &Value) -> (u16, Value) {
    let (path, token) = ("/management/v1/projects/_search", token["token"].as_str().expect("a token"));
    let call = request(&Method::POST, path, token, &bench.acme.id, &json!({}));
    let answer = bench.double.call(call).await.expect("an answer");
    (answer.status().as_u16(), parsed(&answer))
}

#[tokio::test]
async fn a_membership_can_be_given_changed_and_taken_away() {
    let bench = Bench::new(Behaviour::v4());
    let (user, token) = hire(&bench).await;
    let member = format!("{MEMBERS}/{user}");
    let roles = json!({"userId": user, "roles": ["ORG_PROJECT_CREATOR"]});
    assert_eq!(error_id(&reads_projects(&bench, &token).await.1), "AUTHZ-cdgFk");
    let (status, answer) = bench.call(Method::PUT, &member, json!({"roles": ["ORG_OWNER"]})).await;
    assert_eq!((status, error_id(&answer)), (404, "Org-D8JxR"));
    done(&bench, Method::POST, MEMBERS, roles.clone()).await;
    assert_eq!(error_id(&reads_projects(&bench, &token).await.1), "AUTH-5mWD2");
    let (status, answer) = bench.call(Method::POST, MEMBERS, roles).await;
    assert_eq!((status, error_id(&answer)), (409, "ORG-poWwe"));
    done(&bench, Method::PUT, &member, json!({"roles": ["ORG_OWNER"]})).await;
    assert_eq!(reads_projects(&bench, &token).await.0, 200);
    done(&bench, Method::DELETE, &member, Value::Null).await;
    assert_eq!(error_id(&reads_projects(&bench, &token).await.1), "AUTHZ-cdgFk");
}

#[tokio::test]
async fn a_removed_token_ends_at_once() {
    let bench = Bench::new(Behaviour::v4());
    let (user, token) = hire(&bench).await;
    let path = format!("/management/v1/users/{user}/pats/{}", token["tokenId"].as_str().expect("an id"));
    done(&bench, Method::DELETE, &path, Value::Null).await;
    assert_eq!(error_id(&reads_projects(&bench, &token).await.1), "AUTH-7fs1e");
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_key_file_is_given_out_once_and_the_key_can_be_removed() {
    let bench = Bench::new(Behaviour::v4());
    let (user, _) = hire(&bench).await;
    let keys = format!("/management/v1/users/{user}/keys");
    let added = done(&bench, Method::POST, &keys, json!({"type": "KEY_TYPE_JSON"})).await;
    let file = STANDARD.decode(added["keyDetails"].as_str().expect("details")).expect("base64");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    assert_eq!((&file["keyId"], &file["userId"]), (&added["keyId"], &json!(user)));
    let key = format!("{keys}/{}", added["keyId"].as_str().expect("an id"));
    assert_eq!(done(&bench, Method::GET, &key, Value::Null).await["key"]["id"], added["keyId"]);
    done(&bench, Method::DELETE, &key, Value::Null).await;
    assert_eq!(bench.call(Method::GET, &key, Value::Null).await.0, 404);
}
