//! Tokens: minted, expired, refused.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::time::sleep;
use zitadel_operator_support::zitadel::{Behaviour, DomainSettings, Double};

use crate::{Bench, parsed, request};

struct Assertion<'a> {
    key: &'a Value,
    audience: Value,
    minted: i64,
    expires: i64,
}

impl<'a> Assertion<'a> {
    fn good(key: &'a Value) -> Self {
        let now = jiff::Timestamp::now().as_second();
        Self { key, audience: json!("http://localhost:8080"), minted: now, expires: now + 60 }
    }

    fn sign(&self) -> String {
        let header =
            Header { kid: self.key["keyId"].as_str().map(str::to_owned), ..Header::new(Algorithm::RS256) };
        let user = &self.key["userId"];
        let claims =
            json!({"iss": user, "sub": user, "aud": self.audience, "iat": self.minted, "exp": self.expires});
        let pem = self.key["key"].as_str().expect("a key");
        assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("PKCS#1");
        jsonwebtoken::encode(&header, &claims, &key).expect("an assertion")
    }
}

async fn exchange(double: &Double, form: &[(&str, &str)]) -> (u16, Value) {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = Request::post("http://localhost:8080/oauth/v2/token").body(Bytes::from(pairs.join("&")));
    let response = double.call(request.expect("a request")).await.expect("an answer");
    (response.status().as_u16(), parsed(&response))
}

const SCOPE: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";

async fn log_in(double: &Double, assertion: &str, scope: &str) -> (u16, Value) {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    exchange(double, &[("grant_type", grant), ("assertion", assertion), ("scope", scope)]).await
}

async fn status_with(bench: &Bench, token: &Value) -> u16 {
    let token = token.as_str().expect("a token");
    let call = request(&Method::GET, "/management/v1/iam", token, &bench.acme.id, &Value::Null);
    bench.double.call(call).await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_signed_assertion_buys_a_token() {
    let bench = Bench::new(Behaviour::v4());
    let key: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let good = Assertion::good(&key);
    let (status, answer) = log_in(&bench.double, &good.sign(), SCOPE).await;
    assert_eq!(
        (status, &answer["token_type"], &answer["expires_in"]),
        (200, &json!("Bearer"), &json!(43_199))
    );
    assert_eq!(answer["access_token"].as_str().map(str::len), Some(104));
    assert_eq!(status_with(&bench, &answer["access_token"]).await, 200);
    let several = Assertion {
        audience: json!(["https://other.example", "http://localhost:8080"]),
        ..Assertion::good(&key)
    };
    assert_eq!(log_in(&bench.double, &several.sign(), SCOPE).await.0, 200);
    let (status, without_audience) = log_in(&bench.double, &good.sign(), "openid").await;
    assert_eq!((status, status_with(&bench, &without_audience["access_token"]).await), (200, 401));
    bench.double.expire_minted_tokens();
    assert_eq!(status_with(&bench, &answer["access_token"]).await, 401);
    assert_eq!(status_with(&bench, &json!(bench.acme.owner.token)).await, 200);
}

#[tokio::test]
async fn every_bad_assertion_is_the_same_server_error() {
    let bench = Bench::new(Behaviour::v4());
    let key: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let other: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let good = || Assertion::good(&key);
    let now = good().minted;
    let mut mixed = key.clone();
    mixed["key"] = other["key"].clone();
    let mut stranger = key.clone();
    stranger["userId"] = json!("1");
    let bad = [
        Assertion { audience: json!("http://localhost"), ..good() }.sign(),
        Assertion { expires: now - 1, ..good() }.sign(),
        Assertion { minted: now + 60, expires: now + 120, ..good() }.sign(),
        Assertion { minted: now - 3_700, ..good() }.sign(),
        Assertion::good(&mixed).sign(),
        Assertion::good(&stranger).sign(),
        "garbage".to_owned(),
    ];
    let expected = (500, json!({"error": "server_error", "error_description": "Errors.Internal"}));
    for assertion in bad {
        assert_eq!(log_in(&bench.double, &assertion, SCOPE).await, expected);
    }
    bench.double.remove_machine_keys(&bench.acme.owner.user);
    assert_eq!(log_in(&bench.double, &good().sign(), SCOPE).await, expected);
}

#[tokio::test(start_paused = true)]
async fn client_credentials_work_once_the_secret_is_projected() {
    let bench = Bench::new(Behaviour::v4().lagging(Duration::from_secs(1)));
    let (id, secret) = bench.double.create_client_secret(&bench.acme.owner.user);
    let form = |id, secret| {
        [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret), ("scope", SCOPE)]
    };
    let (status, early) = exchange(&bench.double, &form(&id, &secret)).await;
    assert_eq!((status, &early["error"]), (400, &json!("invalid_request")));
    sleep(Duration::from_secs(1)).await;
    let (status, answer) = exchange(&bench.double, &form(&id, &secret)).await;
    assert_eq!((status, status_with(&bench, &answer["access_token"]).await), (200, 200));
    assert_eq!(exchange(&bench.double, &form(&id, "wrong")).await.1["error"], "invalid_client");
    assert_eq!(exchange(&bench.double, &form("nobody at all", &secret)).await.1["error"], "invalid_client");
}

/// Contract §6.2 of the kinds to come: under `userLoginMustBeDomain` the client id has the suffix.
#[tokio::test(start_paused = true)]
async fn the_client_id_is_the_login_name_and_moves_with_the_policy_and_the_name_of_the_organization() {
    let bench = Bench::new(Behaviour::v4());
    let (acme, double) = (&bench.acme, &bench.double);
    let (id, secret) = double.create_client_secret(&acme.owner.user);
    let logs_in = async |id: &str| {
        let client = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", &secret)];
        exchange(double, &client).await.0 == 200
    };
    assert!(logs_in(&id).await);
    let scoped = DomainSettings { user_login_must_be_domain: true, ..Default::default() };
    double.set_domain_policy(&acme.id, Some(scoped));
    assert!(!logs_in(&id).await);
    assert!(logs_in(&format!("{id}@acme.localhost")).await);
    double.rename_organization(&acme.id, "Other");
    assert!(!logs_in(&format!("{id}@acme.localhost")).await);
    assert!(logs_in(&format!("{id}@other.localhost")).await);
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_by_the_clock_of_the_double() {
    let bench = Bench::new(Behaviour::v4());
    let end = bench.double.now() + Duration::from_secs(60);
    let token = json!(bench.double.issue_token(&bench.acme.owner.user, Some(end)));
    assert_eq!(status_with(&bench, &token).await, 200);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(status_with(&bench, &token).await, 401);
}
