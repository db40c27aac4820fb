//! A person who works on ZITADEL behind the operator's back, over its API: on the double and on a real server alike.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

/// Someone with an IAM_OWNER's token.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Person {
    pub fn new(url: &str, token: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.trim_end_matches('/').into(), token: token.into() }
    }

    /// One call; status and body.
    pub async fn call(&self, method: Method, path: &str, organization: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .header("x-zitadel-orgid", organization)
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() });
        let response = request.send().await.expect("ZITADEL answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("ZITADEL answers in full");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn done(&self, method: Method, path: &str, organization: &str, body: Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, organization, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A new organization; its id.
    pub async fn create_organization(&self, name: &str) -> String {
        let (status, created) =
            self.call(Method::POST, "/v2/organizations", "", json!({ "name": name })).await;
        assert_eq!(status, 201, "{created}");
        created["organizationId"].as_str().expect("an id").into()
    }

    pub async fn remove_organization(&self, id: &str) {
        self.done(Method::DELETE, "/management/v1/orgs/me", id, json!({})).await;
    }

    /// The project as ZITADEL has it; null if it has none.
    pub async fn project(&self, organization: &str, id: &str) -> Value {
        let path = format!("/management/v1/projects/{id}");
        let (status, answer) = self.call(Method::GET, &path, organization, json!({})).await;
        assert!(status == 200 || status == 404, "{status} {answer}");
        answer["project"].clone()
    }

    /// Replaces all settings of a project.
    pub async fn update_project(&self, organization: &str, id: &str, settings: Value) {
        self.done(Method::PUT, &format!("/management/v1/projects/{id}"), organization, settings).await;
    }

    pub async fn delete_project(&self, organization: &str, id: &str) {
        self.done(Method::DELETE, &format!("/management/v1/projects/{id}"), organization, json!({})).await;
    }

    /// Names of the organization's projects, as the list shows them: a moment late on a real server.
    pub async fn listed_projects(&self, organization: &str) -> Vec<String> {
        let found = self.done(Method::POST, "/management/v1/projects/_search", organization, json!({})).await;
        let names = found["result"].as_array().cloned().unwrap_or_default();
        names.iter().map(|project| project["name"].as_str().unwrap_or_default().into()).collect()
    }

    /// The identity of the instance.
    pub async fn instance(&self) -> String {
        let answer = self.done(Method::GET, "/management/v1/iam", "", Value::Null).await;
        answer["iamProjectId"].as_str().expect("an identity").into()
    }

    /// The organization's metadata by key, each entry as ZITADEL shows it. All of it must fit one answer.
    pub async fn metadata(&self, organization: &str) -> BTreeMap<String, Value> {
        let found = self.done(Method::POST, "/management/v1/metadata/_search", organization, json!({})).await;
        let entries = found["result"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| (entry["key"].as_str().unwrap_or_default().into(), entry)).collect()
    }

    pub async fn set_metadata(&self, organization: &str, key: &str, value: &[u8]) {
        let entry = json!({ "key": key, "value": STANDARD.encode(value) });
        let body = json!({ "metadata": [entry] });
        self.done(Method::POST, "/management/v1/metadata/_bulk", organization, body).await;
    }

    pub async fn remove_metadata(&self, organization: &str, keys: &[&str]) {
        let body = json!({ "keys": keys });
        self.done(Method::DELETE, "/management/v1/metadata/_bulk", organization, body).await;
    }
}
