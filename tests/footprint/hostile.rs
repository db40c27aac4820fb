//! A server of a tenant that answers as much as it may.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

/// Where it is.
pub const HOST: &str = "hostile.example";

/// Organizations that it lists for any name.
const CANDIDATES: usize = 1000;
const PAGE: usize = 100;
/// The bytes of an organization's name.
const NAME: usize = 255 * 1024;

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// How many requests it had.
pub fn asked() -> usize {
    ASKED.load(Ordering::Relaxed)
}

pub fn answer(request: &Request<Bytes>) -> Response<Bytes> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    let organization =
        request.headers().get("x-zitadel-orgid").and_then(|id| id.to_str().ok()).unwrap_or("1");
    let value = match request.uri().path() {
        "/auth/v1/users/me" => {
            json!({ "user": { "id": "1", "preferredLoginName": "x", "details": { "resourceOwner": "1" } } })
        }
        "/management/v1/iam" => json!({ "iamProjectId": "666", "defaultOrgId": "1" }),
        "/admin/v1/instances/me" => json!({ "instance": { "version": "v4" } }),
        "/v2/organizations/_search" => candidates(&serde_json::from_slice(request.body()).unwrap()),
        "/management/v1/orgs/me" => {
            json!({ "org": { "id": organization, "name": "n".repeat(NAME), "state": "ORG_STATE_ACTIVE" } })
        }
        _ => json!({ "details": { "totalResult": "0" } }),
    };
    Response::new(value.to_string().into())
}

/// A page of them, for each name others.
fn candidates(asked: &Value) -> Value {
    let offset: usize = asked["query"]["offset"].as_str().unwrap_or("0").parse().unwrap();
    let sought = asked["queries"][0]["nameQuery"]["name"].as_str().unwrap_or_default();
    let candidate = |n| json!({ "id": format!("{sought}-{n}"), "name": sought });
    let listed: Vec<Value> = (offset..CANDIDATES.min(offset + PAGE)).map(candidate).collect();
    json!({ "details": { "totalResult": CANDIDATES.to_string() }, "result": listed })
}
