use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use support::zitadel::{driver_error, lookup_failed};
use tokio::time::{Instant, advance, timeout};

use crate::zitadel::tests::{
    Client, Credential, CredentialError, Error, Fake, Reply, Secret, TestResult, client, client_at, key_file,
};

const FUTURE: &str = "2999-01-01T00:00:00Z";
const HOUR: u64 = 3600;

fn bearer(request: &Request<Bytes>) -> String {
    let value = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

fn form(request: &Request<Bytes>) -> HashMap<String, String> {
    url::form_urlencoded::parse(request.body()).into_owned().collect()
}

fn me() -> Reply {
    Reply::json(200, &json!({"user": {"id": "user-1"}}))
}

/// Mints `token-1`, `token-2`, … good for an hour, and answers API calls made with a token in `good`.
fn server(good: &'static [&'static str]) -> Arc<Fake> {
    Fake::new(move |number, request| match request.uri().path() {
        "/oauth/v2/token" => Reply::token(&format!("token-{number}"), HOUR).after(Duration::from_millis(100)),
        _ if good.contains(&bearer(request).as_str()) => me().after(Duration::from_millis(10)),
        _ => Reply::error(401, 16, "AUTH-7fs1e").after(Duration::from_millis(10)),
    })
}

fn machine() -> Arc<Secret> {
    Secret::new(Credential::ClientCredentials { client_id: "bot".to_owned(), client_secret: "s3cret".into() })
}

async fn together(client: &Client, callers: usize) -> Vec<Result<super::User, Error>> {
    join_all((0..callers).map(|_| client.me())).await
}

#[tokio::test(start_paused = true)]
async fn one_mint_serves_all_who_wait() -> TestResult {
    let (fake, secret) = (server(&["token-1"]), machine());
    let client = client(fake.clone(), secret.clone())?;
    assert!(together(&client, 50).await.iter().all(Result::is_ok));
    assert_eq!((fake.count("/token"), secret.loads(), fake.count("/me")), (1, 1, 50));
    let sent = form(&fake.seen()[0]);
    let fields = ["grant_type", "client_id", "client_secret", "scope"].map(|name| sent[name].as_str());
    let scope = "openid urn:zitadel:iam:org:project:id:zitadel:aud";
    assert_eq!(fields, ["client_credentials", "bot", "s3cret", scope]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_lose_the_mint() -> TestResult {
    let fake = server(&["token-1"]);
    let client = client(fake.clone(), machine())?;
    let patient = tokio::spawn({
        let client = client.clone();
        async move { client.me().await }
    });
    assert!(timeout(Duration::from_millis(50), client.me()).await.is_err());
    patient.await??;
    assert_eq!(fake.count("/token"), 1);

    let abandoned = super::client(server(&["token-1"]), machine())?;
    assert!(timeout(Duration::from_millis(50), abandoned.me()).await.is_err());
    abandoned.me().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_assertion_is_signed_and_addressed_as_zitadel_asks() -> TestResult {
    let (file, public) = key_file(FUTURE)?;
    let (fake, secret) = (server(&["token-1"]), Secret::new(Credential::jwt_profile(&file)?));
    let client = client_at("http://zitadel.ns.svc:8080", Some("login.example.com"), fake.clone(), secret)?;
    client.me().await?;
    let request = &fake.seen()[0];
    assert_eq!(
        request.headers().get("x-zitadel-instance-host").map(http::HeaderValue::as_bytes),
        Some(&b"login.example.com"[..])
    );
    let sent = form(request);
    assert_eq!(sent["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&["https://login.example.com"]);
    rules.set_issuer(&["user-1"]);
    let token =
        jsonwebtoken::decode::<Value>(&sent["assertion"], &DecodingKey::from_rsa_der(&public), &rules)?;
    assert_eq!(token.header.kid.as_deref(), Some("key-1"));
    let claims = token.claims;
    assert_eq!((claims["sub"].as_str(), claims["iss"].as_str()), (Some("user-1"), Some("user-1")));
    let audience =
        json!(["http://zitadel.ns.svc:8080", "https://login.example.com", "http://login.example.com"]);
    assert_eq!(claims["aud"], audience);
    let now = jiff::Timestamp::now().as_second();
    let (iat, exp) = (claims["iat"].as_i64().ok_or("no iat")?, claims["exp"].as_i64().ok_or("no exp")?);
    assert!(iat < now && now - iat < 300 && exp > now && exp - iat <= 3600, "{claims}");
    Ok(())
}

#[test]
fn key_files_are_checked_and_never_quoted() -> TestResult {
    let (file, _) = key_file(FUTURE)?;
    let file: Value = serde_json::from_slice(&file)?;
    Credential::jwt_profile(file.to_string().as_bytes())?;
    let with = |name: &str, value: Value| {
        let mut file = file.clone();
        file[name] = value;
        Credential::jwt_profile(file.to_string().as_bytes())
    };
    for (name, value) in [
        ("type", json!("application")),
        ("keyId", json!("")),
        ("userId", json!(null)),
        ("key", json!("canary")),
        ("key", json!(7)),
        ("key", json!("-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----\n")),
    ] {
        let refused = with(name, value);
        assert!(
            matches!(&refused, Err(CredentialError::Invalid(text)) if !text.contains("canary")),
            "{name} {refused:?}"
        );
    }
    assert!(Credential::jwt_profile(b"canary").is_err_and(|error| !error.to_string().contains("canary")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_expired_key_says_so_before_zitadel_does() -> TestResult {
    let (file, _) = key_file("2020-01-01T00:00:00Z")?;
    let fake = server(&[]);
    let refused = client(fake.clone(), Secret::new(Credential::jwt_profile(&file)?))?.me().await;
    let text = "the key expired at 2020-01-01T00:00:00Z".to_owned();
    assert_eq!(refused, Err(Error::Credential(CredentialError::Invalid(text))));
    assert!(fake.seen().is_empty());
    Ok(())
}

#[test]
fn personal_access_tokens_are_trimmed_and_visible_ascii() {
    let parse = Credential::personal_access_token;
    assert_eq!(parse(b" token-1\r\n").as_ref(), Ok(&Credential::PersonalAccessToken("token-1".into())));
    for bad in [&b""[..], b" \n", b"a\r\nx-admin: 1", b"a b", b"a\0", b"\xff", "é".as_bytes()] {
        let refused = parse(bad);
        assert!(matches!(refused, Err(CredentialError::Invalid(_))), "{bad:?} {refused:?}");
    }
    assert!(Credential::client_credentials(b"b\xc3\xb6t\n", b"s").is_ok());
    assert!(Credential::client_credentials(b"a\nb", b"s").is_err());
    assert!(Credential::client_credentials(b"a", b"").is_err());
}

#[test]
fn a_secret_holds_no_credential_that_is_longer_than_any() -> TestResult {
    let (mut file, _) = key_file(FUTURE)?;
    for (length, fits) in [(16_384, true), (16_385, false)] {
        file.resize(length, b' ');
        let text = vec![b't'; length];
        let parsed = [
            Credential::personal_access_token(&text),
            Credential::client_credentials(b"bot", &text),
            Credential::jwt_profile(&file),
        ];
        assert!(parsed.iter().all(|parsed| parsed.is_ok() == fits), "{length} {parsed:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_at_80_to_90_percent_of_its_life() -> TestResult {
    let fake = server(&["token-1", "token-2"]);
    let client = client(fake.clone(), machine())?;
    client.me().await?;
    advance(Duration::from_secs(HOUR * 79 / 100)).await;
    client.me().await?;
    assert_eq!(fake.count("/token"), 1);
    advance(Duration::from_secs(HOUR * 12 / 100)).await;
    assert!(together(&client, 10).await.iter().all(Result::is_ok));
    assert_eq!(fake.count("/token"), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_goes_unnoticed_while_the_old_token_is_good() -> TestResult {
    let fake = Fake::new(|number, request| match (request.uri().path(), number) {
        ("/oauth/v2/token", 1) => Reply::token("token-1", HOUR),
        ("/oauth/v2/token", _) => Reply::raw(503, &[], ""),
        _ => me(),
    });
    let (client, start) = (client(fake.clone(), machine())?, Instant::now());
    client.me().await?;
    advance(Duration::from_secs(HOUR * 92 / 100)).await;
    while start.elapsed() < Duration::from_secs(HOUR - 10) {
        client.me().await?;
        advance(Duration::from_millis(500)).await;
    }
    let attempts = fake.count("/token") - 1;
    assert!((4..15).contains(&attempts), "{attempts} attempts in 4½ minutes");
    advance(Duration::from_secs(20)).await;
    assert!(matches!(client.me().await, Err(Error::TokenUnavailable { status: 503, .. })));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failing_mint_is_remembered_and_both_causes_are_said() -> TestResult {
    let body = json!({"error": "server_error", "error_description": "Errors.Internal"});
    let fake = Fake::always(Reply::json(500, &body));
    let client = client(fake.clone(), machine())?;
    for error in together(&client, 20).await {
        let message = "server_error".to_owned();
        assert_eq!(error, Err(Error::TokenUnavailable { status: 500, message }));
    }
    assert_eq!(fake.seen().len(), 1);
    advance(Duration::from_millis(1300)).await;
    let Err(error) = client.me().await else {
        return Err("no error".into());
    };
    assert_eq!(fake.seen().len(), 2);
    let text = error.to_string();
    assert!(text.contains("when it fails itself") && text.contains("the key is wrong"), "{text}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_token_endpoints_answers_have_classes_of_their_own() -> TestResult {
    let oauth = json!({"error": "invalid_client", "error_description": "no s3cret"});
    let refused = Error::TokenRefused { message: "invalid_client: no ***".to_owned() };
    let unavailable =
        |status| Error::TokenUnavailable { status, message: "no OAuth error in the answer".to_owned() };
    let redirect = Error::malformed(307, "it is a redirect, which is not followed");
    let wrong_host =
        Error::UnknownEndpoint { message: "HTTP 404 without a ZITADEL error".to_owned(), id: None };
    let retry_after = Some(Duration::from_secs(3));
    for (reply, expected) in [
        (Reply::json(400, &oauth), refused.clone()),
        (Reply::json(401, &oauth), refused),
        (Reply::raw(502, &[], "<html>"), unavailable(502)),
        (Reply::raw(307, &[("location", "https://elsewhere.example/")], ""), redirect),
        (Reply::raw(404, &[], "404 page not found"), wrong_host),
        (
            Reply::raw(404, &[], &format!("{}\n", lookup_failed("zitadel.example"))),
            Error::Unavailable { status: 404, code: None, id: Some("QUERY-d3fas".to_owned()) },
        ),
        (
            Reply::json(400, &json!({"error": "invalid_request", "error_description": driver_error()})),
            Error::TokenRefused { message: "invalid_request".to_owned() },
        ),
        (Reply::raw(429, &[("retry-after", "3")], ""), Error::RateLimited { retry_after, id: None }),
        (Reply::raw(200, &[], "<html>"), Error::malformed(200, "it is not JSON")),
        (Reply::token("a\r\nb", HOUR), Error::malformed(200, "its token cannot be sent in a header")),
        (Reply::refused(), Error::Unreachable { message: "connection refused".to_owned() }),
    ] {
        assert_eq!(client(Fake::always(reply), machine())?.me().await, Err(expected));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_reads_the_secret_again_and_repeats_once() -> TestResult {
    let (fake, secret) = (server(&["new"]), Secret::pat("old"));
    let client = client(fake.clone(), secret.clone())?;
    assert!(matches!(client.me().await, Err(Error::Unauthorized { .. })));
    assert_eq!((fake.count("/me"), secret.loads()), (1, 2));
    assert!(together(&client, 5).await.iter().all(Result::is_err));
    assert_eq!(secret.loads(), 2, "the Secret was just read");

    secret.set(Ok(Credential::PersonalAccessToken("new".into())));
    advance(Duration::from_secs(6)).await;
    assert!(together(&client, 5).await.iter().all(Result::is_ok));
    assert_eq!((fake.count("/me"), secret.loads()), (1 + 5 + 10, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_revoked_minted_token_is_replaced_but_a_fresh_one_is_not() -> TestResult {
    let fake = server(&["token-2"]);
    let client = client(fake.clone(), machine())?;
    assert!(matches!(client.me().await, Err(Error::Unauthorized { .. })));
    assert_eq!((fake.count("/token"), fake.count("/me")), (1, 1));
    advance(Duration::from_secs(6)).await;
    client.me().await?;
    assert_eq!((fake.count("/token"), fake.count("/me")), (2, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_an_error_without_a_request() -> TestResult {
    let (fake, secret) = (server(&["token"]), Secret::pat("token"));
    let missing = CredentialError::Missing("Secret zitadel/admin not found".to_owned());
    secret.set(Err(missing.clone()));
    let client = client(fake.clone(), secret.clone())?;
    assert_eq!(client.me().await, Err(Error::Credential(missing)));
    assert!(fake.seen().is_empty());
    secret.set(Ok(Credential::PersonalAccessToken("token".into())));
    client.reread_credential().await?;
    client.me().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_last_good_credential_outlives_its_secret() -> TestResult {
    let (fake, secret) = (server(&["token-1", "token-2"]), machine());
    let client = client(fake.clone(), secret.clone())?;
    client.me().await?;
    let missing = CredentialError::Missing("gone".to_owned());
    secret.set(Err(missing.clone()));
    advance(Duration::from_secs(HOUR * 2)).await;
    client.me().await?;
    assert_eq!(fake.count("/token"), 2);
    assert_eq!(client.reread_credential().await, Err(Error::Credential(missing)));
    client.me().await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_that_was_just_made_is_tried_again() -> TestResult {
    let stale =
        json!({"error": "invalid_request", "error_description": "Errors.User.Machine.Secret.NotExisting"});
    let fake = Fake::new(move |number, request| match (request.uri().path(), number) {
        ("/oauth/v2/token", 1 | 2) => Reply::json(400, &stale),
        ("/oauth/v2/token", _) => Reply::token("token-3", HOUR),
        _ => me(),
    });
    client(fake.clone(), machine())?.me().await?;
    assert_eq!(fake.count("/token"), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn rereading_does_not_wait_for_what_may_have_read_the_old_secret() -> TestResult {
    let (fake, secret) = (server(&["token-2"]), machine());
    let client = client(fake.clone(), secret.clone())?;
    let early = tokio::spawn({
        let client = client.clone();
        async move { client.me().await }
    });
    assert!(timeout(Duration::from_millis(50), std::future::pending::<()>()).await.is_err());
    secret.set(Credential::client_credentials(b"bot", b"rotated"));
    client.reread_credential().await?;
    assert_eq!(fake.count("/token"), 2);
    client.me().await?;
    early.await??;
    assert_eq!(fake.count("/token"), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn rereading_mints_only_when_the_secret_changed() -> TestResult {
    let (fake, secret) = (server(&["token-1", "token-2"]), machine());
    let client = client(fake.clone(), secret.clone())?;
    client.me().await?;
    client.reread_credential().await?;
    assert_eq!((fake.count("/token"), secret.loads()), (1, 2));
    secret.set(Credential::client_credentials(b"bot", b"rotated"));
    client.reread_credential().await?;
    assert_eq!(fake.count("/token"), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_longer_than_any_is_neither_kept_nor_quoted() -> TestResult {
    for (length, expected) in [(16_384, None), (16_385, Some("its token is longer than 16384 bytes"))] {
        let fake = Fake::new(move |_, request| match request.uri().path() {
            "/oauth/v2/token" => Reply::token(&"t".repeat(length), HOUR),
            _ => me(),
        });
        let answered = client(fake, machine())?.me().await;
        let expected = expected.map(|what| Error::Malformed { status: 200, what: what.to_owned() });
        assert_eq!(answered.err(), expected, "{length}");
    }
    Ok(())
}

#[test]
fn a_credential_that_is_refused_is_told_with_what_helps_where_its_user_was_deactivated() {
    let message = String::new;
    for (error, help) in [
        (Error::TokenRefused { message: message() }, "or reactivate its user if it was deactivated"),
        (
            Error::TokenUnavailable { status: 500, message: message() },
            "reactivate its user, or correct its url",
        ),
        (
            Error::Unauthorized { id: None, message: message() },
            "of a user that was deactivated stays invalid",
        ),
    ] {
        assert!(error.to_string().contains(help), "{error}");
    }
}
