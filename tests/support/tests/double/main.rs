//! What the double does beyond the recordings: lag, faults, holds, replaced instances, log-ins, the ledger, edits of a
//! person.

mod faults;
mod lag;
mod ledger;
mod login;
mod policies;
mod roles;
mod rules;
mod staff;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::{Behaviour, Double, Dropped, OrgWorld};

const PROJECTS: &str = "/management/v1/projects";

fn request(method: &Method, path: &str, token: &str, organization: &str, body: &Value) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(format!("http://localhost:8080{path}"));
    let request =
        request.header("authorization", format!("Bearer {token}")).header("x-zitadel-orgid", organization);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request.body(Bytes::from(body)).expect("a request")
}

fn parsed(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_default()
}

/// A double and one organization, called in-process as its owner.
struct Bench {
    double: Double,
    acme: OrgWorld,
}

impl Bench {
    fn new(behaviour: Behaviour) -> Self {
        let double = Double::builder().behaviour(behaviour).seed(7).build();
        let acme = double.create_organization("acme");
        Self { double, acme }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Response<Bytes>, Dropped> {
        self.double.call(request(&method, path, &self.acme.owner.token, &self.acme.id, &body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let response = self.send(method, path, body).await.expect("an answer");
        (response.status().as_u16(), parsed(&response))
    }

    async fn create(&self, name: &str) -> String {
        let (status, body) = self.call(Method::POST, PROJECTS, json!({"name": name})).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    async fn listed(&self) -> Vec<String> {
        let (_, body) = self.call(Method::POST, "/management/v1/projects/_search", json!({})).await;
        let rows = body["result"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers()[name].to_str().expect("text")
}

fn error_id(body: &Value) -> &str {
    body["details"][0]["id"].as_str().unwrap_or_default()
}
