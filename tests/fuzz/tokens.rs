//! The token endpoint: tokens, refusals, and what else may answer there.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde_json::json;
use tokio::time::advance;
use zitadel_operator::zitadel::{Credential, Error};

use crate::foreign::{Bent, CANARY, sent};
use crate::keys::key_file;
use crate::server::{Server, assert_readable, client_at, on_paused_time, response};

const PATH: &str = "/oauth/v2/token";
const TOKEN: &str = "t0ken";

#[derive(Debug)]
pub struct Answer {
    machine: bool,
    status: u16,
    body: Bent,
    later: Duration,
}

pub fn answers() -> impl Strategy<Value = Answer> {
    let token = || json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 43199});
    let bodies = vec![
        token(),
        token(),
        json!({"access_token": TOKEN, "expires_in": 0}),
        json!({"access_token": TOKEN, "expires_in": u64::MAX}),
        json!({"error": "invalid_client", "error_description": format!("bad {CANARY}")}),
        json!({"code": 8, "message": "m", "details": [{"id": "LIMITS-molsj"}]}),
    ];
    let status =
        prop_oneof![4 => Just(200), 3 => select(vec![400, 401, 403, 404, 429, 500, 503]), 1 => 200..1000_u16];
    let later = prop_oneof![Just(0), 0..100_000_u64, Just(u64::from(u32::MAX))].prop_map(Duration::from_secs);
    (any::<bool>(), status, sent(bodies), later).prop_map(|(machine, status, body, later)| Answer {
        machine,
        status,
        body,
        later,
    })
}

/// What the client reads, as it reads it: a list of the two values is one too.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(rename = "expires_in")]
    _lifetime: u64,
}

static KEY: LazyLock<Credential> = LazyLock::new(|| Credential::jwt_profile(&key_file()).unwrap());

/// A token goes into the header as it is or not at all, and no answer shows what was sent.
pub fn check(Answer { machine, status, body, later }: Answer) {
    let credential = match machine {
        true => Credential::ClientCredentials { client_id: "bot".into(), client_secret: CANARY.into() },
        false => KEY.clone(),
    };
    let minted = serde_json::from_slice::<Token>(&body.0).ok().map(|token| token.access_token);
    let server = Server::new(move |request| match request.uri().path() {
        PATH => response(status, &[], echo(&body.0, &secret(request.body()))),
        _ => response(200, &[], br#"{"user": {"id": "1"}}"#.to_vec()),
    });
    on_paused_time(async {
        let client =
            client_at("https://zitadel.example", None, server.clone() as Arc<_>, credential).unwrap();
        for pause in [Duration::ZERO, later] {
            advance(pause).await;
            match client.me().await {
                Ok(_) => assert!((200..300).contains(&status)),
                Err(error) => {
                    assert_readable(&error);
                    let shown = format!("{error} {error:?}");
                    assert!(
                        !mints(&server.seen()).any(|mint| shown.contains(&secret(mint.body()))),
                        "{shown}"
                    );
                    assert!(
                        !matches!(error, Error::NotFound { .. } | Error::OrganizationNotFound { .. })
                            || status >= 400
                    );
                }
            }
        }
        assert!(!format!("{client:?}").contains(CANARY));
    });
    for request in server.seen().iter().filter(|request| request.uri().path() != PATH) {
        let sent = request.headers()["authorization"].to_str().unwrap();
        let minted = minted.as_ref().map(|token| format!("Bearer {token}"));
        assert!(minted.is_some_and(|token| token == sent || token.contains(CANARY)), "{sent}");
    }
}

fn mints(requests: &[Request<Bytes>]) -> impl Iterator<Item = &Request<Bytes>> {
    requests.iter().filter(|request| request.uri().path() == PATH)
}

/// The client secret, or the assertion, in the form of a token request.
fn secret(form: &[u8]) -> String {
    let mut fields = url::form_urlencoded::parse(form);
    let secret = fields.find(|(name, _)| matches!(name.as_ref(), "client_secret" | "assertion"));
    secret.unwrap().1.into_owned()
}

/// The answer, with what was sent in the place of the canary.
fn echo(body: &[u8], secret: &str) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => text.replace(CANARY, secret).into_bytes(),
        Err(_) => body.to_vec(),
    }
}
