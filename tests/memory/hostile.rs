//! A server of a tenant that answers as much as it may.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

/// Organizations that it lists for any name.
const CANDIDATES: usize = 1000;
const PAGE: usize = 100;
/// The bytes of an organization's name.
const NAME: usize = 255 * 1024;

pub struct Hostile {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Hostile {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(answer).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// How often it was asked for organizations, by name or by id.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(
    State(asked): State<Arc<AtomicUsize>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let organization = headers.get("x-zitadel-orgid").and_then(|id| id.to_str().ok()).unwrap_or("1");
    let value = match uri.path() {
        "/auth/v1/users/me" => {
            json!({ "user": { "id": "1", "preferredLoginName": "x", "details": { "resourceOwner": "1" } } })
        }
        "/management/v1/iam" => json!({ "iamProjectId": "666", "defaultOrgId": "1" }),
        "/v2/organizations/_search" => {
            asked.fetch_add(1, Ordering::Relaxed);
            candidates(&serde_json::from_slice(&body).unwrap())
        }
        "/management/v1/orgs/me" => {
            asked.fetch_add(1, Ordering::Relaxed);
            let name = "n".repeat(NAME);
            json!({ "org": { "id": organization, "name": name, "state": "ORG_STATE_ACTIVE" } })
        }
        _ => json!({ "details": { "totalResult": "0" } }),
    };
    Json(value).into_response()
}

/// A page of them, each search with ids of its own.
fn candidates(asked: &Value) -> Value {
    let offset: usize = asked["query"]["offset"].as_str().unwrap_or("0").parse().unwrap();
    let sought = asked["queries"][0]["nameQuery"]["name"].as_str().unwrap_or_default();
    let candidate = |n| json!({ "id": format!("{sought}-{n}"), "name": sought });
    let listed: Vec<Value> = (offset..CANDIDATES.min(offset + PAGE)).map(candidate).collect();
    json!({ "details": { "totalResult": CANDIDATES.to_string() }, "result": listed })
}
