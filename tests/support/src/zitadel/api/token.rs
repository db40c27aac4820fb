//! `POST /oauth/v2/token`: JWT profile and client credentials.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::user::login_name;
use crate::zitadel::access::resolve_instance;
use crate::zitadel::credentials::Token;
use crate::zitadel::route::Seen;
use crate::zitadel::store::Store;

const JWT_PROFILE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const API_SCOPE: &str = "urn:zitadel:iam:org:project:id:zitadel:aud";

type Form = HashMap<String, String>;

/// An OAuth answer: status and body; none where the host belongs to no instance.
pub(in crate::zitadel) fn exchange(store: &mut Store, seen: &Seen) -> Option<(u16, Value)> {
    resolve_instance(store, &seen.host).ok()?;
    let form = form(&String::from_utf8_lossy(&seen.body));
    let granted = match form.get("grant_type").map(String::as_str) {
        Some(JWT_PROFILE) => match assertion_user(store, seen, &form) {
            Some(user) => Ok(user),
            // Seen for every fault of an assertion, whatever it is.
            None => Err((500, "server_error", "Errors.Internal")),
        },
        Some("client_credentials") => client_user(store, seen, &form),
        _ => Err((400, "unsupported_grant_type", "grant type is not supported")),
    };
    Some(match granted {
        Ok(user) => (200, mint(store, user, &form)),
        Err((status, error, text)) => (status, json!({"error": error, "error_description": text})),
    })
}

fn mint(store: &mut Store, user: String, form: &Form) -> Value {
    let for_api = form.get("scope").is_some_and(|scopes| scopes.split(' ').any(|scope| scope == API_SCOPE));
    let lifetime = store.behaviour.token_lifetime;
    let expires = store.clock.now() + lifetime;
    let token = store.ids.token(104);
    store.credentials.tokens.insert(token.clone(), Token { user, expires: Some(expires), for_api });
    json!({"access_token": token, "token_type": "Bearer", "expires_in": lifetime.as_secs()})
}

/// The user that a valid assertion speaks for. Its dates are held against the real time, which its maker used.
fn assertion_user(store: &Store, seen: &Seen, form: &Form) -> Option<String> {
    let assertion = form.get("assertion")?;
    let key = store.credentials.keys.get(&jsonwebtoken::decode_header(assertion).ok()?.kid?)?;
    let mut validation = Validation::new(Algorithm::RS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let decoding = DecodingKey::from_rsa_der(&key.public);
    let claims = jsonwebtoken::decode::<Value>(assertion, &decoding, &validation).ok()?.claims;
    let now = Timestamp::now().as_second();
    let (minted, expires) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    let in_time = minted <= now + 1 && minted >= now - 3_600 && expires > now;
    let issuer = format!("{}://{}", store.scheme, seen.host);
    let audience = match &claims["aud"] {
        Value::Array(several) => several.iter().any(|one| *one == json!(issuer)),
        one => *one == json!(issuer),
    };
    let own = claims["iss"] == json!(key.user) && claims["sub"] == json!(key.user);
    let known = store.current().users.contains_key(&key.user);
    let alive = key.expires.is_none_or(|end| end > Timestamp::now());
    (in_time && audience && own && known && alive).then(|| key.user.clone())
}

fn client_user(
    store: &Store,
    request: &Seen,
    form: &Form,
) -> Result<String, (u16, &'static str, &'static str)> {
    let (id, secret) = basic(request)
        .or_else(|| Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone())))
        .ok_or((400, "invalid_client", "client not found"))?;
    let tables = store.current();
    let user =
        tables.users.values().find(|user| login_name(tables, &user.organization, &user.user_name) == id);
    let user = user.ok_or((400, "invalid_client", "client not found"))?;
    let seen = |(_, made): &&(String, Instant)| *made + store.behaviour.lag_least <= Instant::now();
    match store.credentials.secrets.get(&user.id).filter(seen) {
        None => Err((400, "invalid_request", "Errors.User.Machine.Secret.NotExisting")),
        Some((known, _)) if *known != secret => Err((400, "invalid_client", "invalid secret (OIDC-VoXo6)")),
        Some(_) => Ok(user.id.clone()),
    }
}

fn basic(seen: &Seen) -> Option<(String, String)> {
    let encoded = seen.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decode(id), decode(secret)))
}

fn form(body: &str) -> Form {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
