//! What machine users log in with: `/management/v1/users/{id}/pats` and `/keys`. Not recorded: paths and fields are
//! those of the public API definition.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::zitadel::access::Access::Needs;
use crate::zitadel::failure::{Failure, Outcome};
use crate::zitadel::json::{changed, created};
use crate::zitadel::model::Stamp;
use crate::zitadel::route::{Call, Reply, Route, route};
use crate::zitadel::store::Aggregate;

const TOKENS: &str = "/management/v1/users/{}/pats";
const TOKEN: &str = "/management/v1/users/{}/pats/{}";
const KEYS: &str = "/management/v1/users/{}/keys";
const KEY: &str = "/management/v1/users/{}/keys/{}";

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, TOKENS, Needs("user.write"), add_token),
    route(Method::DELETE, TOKEN, Needs("user.write"), remove_token),
    route(Method::POST, KEYS, Needs("user.write"), add_key),
    route(Method::GET, KEY, Needs("user.read"), get_key),
    route(Method::DELETE, KEY, Needs("user.write"), remove_key),
];

/// Commits an event of the path's user, who must be at home in the context organization.
fn push(call: &mut Call<'_>, event: &'static str, payload: Value) -> Outcome<Stamp> {
    let (id, organization) = (call.parameters[0].clone(), call.organization.clone());
    let home_organization = call.store.current().users.get(&id).map(|user| &user.organization);
    if home_organization != Some(&organization) {
        return Err(Failure::bare(5, "User could not be found"));
    }
    let moment = call.push(&Aggregate::of("user", &id, &organization), event, payload)?;
    Ok(Stamp::new(moment, &organization))
}

fn add_token(call: &mut Call<'_>) -> Outcome<Reply> {
    let (id, expires) = (call.store.ids.id(), call.body.string("expirationDate")?.parse().ok());
    let mut answer = created(&push(call, "user.pat.added", json!({"tokenId": id}))?);
    let token = call.store.issue(&call.parameters[0], expires);
    (answer["tokenId"], answer["token"]) = (json!(id), json!(token));
    call.store.credentials.personal.insert(id, token);
    Reply::ok(answer)
}

fn remove_token(call: &mut Call<'_>) -> Outcome<Reply> {
    let id = call.parameters[1].clone();
    if !call.store.credentials.personal.contains_key(&id) {
        return Err(Failure::bare(5, "Token could not be found"));
    }
    let stamp = push(call, "user.pat.removed", json!({"tokenId": id}))?;
    let credentials = &mut call.store.credentials;
    if let Some(token) = credentials.personal.remove(&id) {
        credentials.tokens.remove(&token);
    }
    Reply::ok(changed(&stamp))
}

fn add_key(call: &mut Call<'_>) -> Outcome<Reply> {
    let stamp = push(call, "user.machine.key.added", Value::Null)?;
    let expires = call.body.string("expirationDate")?.parse().ok();
    let (id, file) = call.store.issue_key(&call.parameters[0], expires);
    let mut answer = created(&stamp);
    (answer["keyId"], answer["keyDetails"]) = (json!(id), json!(STANDARD.encode(file)));
    Reply::ok(answer)
}

/// # Errors
/// 404 where the path's user has no such key.
fn require_key(call: &Call<'_>) -> Outcome<()> {
    let key = call.store.credentials.keys.get(&call.parameters[1]);
    let own = key.is_some_and(|key| key.user == call.parameters[0]);
    own.then_some(()).ok_or_else(|| Failure::bare(5, "Key could not be found"))
}

fn get_key(call: &mut Call<'_>) -> Outcome<Reply> {
    require_key(call)?;
    Reply::ok(json!({"key": {"id": call.parameters[1], "type": "KEY_TYPE_JSON"}}))
}

fn remove_key(call: &mut Call<'_>) -> Outcome<Reply> {
    require_key(call)?;
    let stamp = push(call, "user.machine.key.removed", json!({"keyId": call.parameters[1]}))?;
    call.store.credentials.keys.remove(&call.parameters[1]);
    Reply::ok(changed(&stamp))
}
