//! A recording, replayed against the double.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use zitadel_operator_support::zitadel::{Behaviour, Double};

use crate::recording::{Step, recording};
use crate::{ELSEWHERE, LINES, NOT_REPRODUCED};

/// How requests reach the double.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Over a loopback connection, without any lag.
    Tcp,
    /// In-process on paused time, with lists that lag by less than the recording waited.
    InProcess,
}

pub(crate) struct Replay {
    double: Double,
    way: Way,
    client: reqwest::Client,
    /// Whether the recording tells what each step wrote, and its searches were fresh.
    to_come: bool,
    /// What `{name}` stands for.
    known: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
}

impl Replay {
    async fn new(line: &str, way: Way) -> Self {
        let known = LINES.iter().find(|(name, _)| *name == line);
        let behaviour = Behaviour::from(known.expect("a line").1);
        let double = match way {
            Way::Tcp => Double::builder().behaviour(behaviour).start().await.expect("a free port"),
            Way::InProcess => {
                Double::builder().behaviour(behaviour.lagging(Duration::from_millis(900))).seed(1).build()
            }
        };
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let client = client.expect("a client");
        let to_come = line.starts_with("next-");
        let mut replay =
            Self { double, way, client, to_come, known: BTreeMap::new(), tokens: BTreeMap::new() };
        replay.make_world();
        if let Way::InProcess = way {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        replay
    }

    fn make_world(&mut self) {
        let double = &self.double;
        let names = [("acme", "acme-4f21c0"), ("beta", "beta-4f21c0")];
        for (key, name) in names {
            self.known.insert(key.to_owned(), double.add_organization(name));
            self.known.insert(format!("{key}_name"), name.to_owned());
        }
        self.known.insert("default_org".to_owned(), double.default_organization());
        let acme = double.add_staff(&self.known["acme"]);
        let actors = [
            ("org_owner", acme.owner),
            ("org_viewer", acme.viewer),
            ("project_creator", acme.creator),
            ("nobody", acme.nobody),
        ];
        for (name, actor) in actors {
            self.known.insert(format!("{name}_user"), actor.user);
            self.tokens.insert(name.to_owned(), actor.token);
        }
        self.tokens.insert("iam_owner".to_owned(), double.admin_token());
        self.tokens.insert("invalid".to_owned(), "never-issued".to_owned());
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        self.known
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn fill_body(&self, body: &Value) -> Value {
        match body {
            Value::String(text) => Value::String(expand(&self.fill(text))),
            Value::Array(items) => items.iter().map(|item| self.fill_body(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.fill_body(field))).collect()
            }
            other => other.clone(),
        }
    }

    fn request(&self, step: &Step) -> Request<Bytes> {
        let body = match (&step.raw_body, &step.body) {
            (Some(raw), _) => self.fill(raw),
            (None, Some(body)) => self.fill_body(body).to_string(),
            (None, None) => String::new(),
        };
        let uri = format!("{}{}", self.double.url(), self.fill(&step.path));
        let mut request = Request::builder().method(step.method.as_str()).uri(uri);
        if let Some(actor) = &step.actor {
            request = request.header("authorization", format!("Bearer {}", self.tokens[actor]));
        }
        for (name, value) in &step.headers {
            request = request.header(name, self.fill(value));
        }
        request.body(Bytes::from(body)).expect("a recorded request")
    }

    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self.way {
            Way::InProcess => self.double.call(request).await.expect("an answer"),
            Way::Tcp => {
                let request = request.map(reqwest::Body::from).try_into().expect("a request");
                let answer = self.client.execute(request).await.expect("an answer");
                let mut response = Response::builder().status(answer.status());
                response.headers_mut().expect("headers").extend(answer.headers().clone());
                response.body(answer.bytes().await.expect("a body")).expect("a response")
            }
        }
    }

    /// Runs one step; the error says in what the answer differs.
    async fn step(&mut self, scenario: &str, step: &Step) -> Result<(), String> {
        if let Way::InProcess = self.way {
            // What the recorded server had projected by then.
            let is_late = step.searches() || step.path.starts_with("/admin/v1/policies/");
            let least = if self.to_come && is_late { 1.0 } else { 0.0 };
            tokio::time::sleep(Duration::from_secs_f64(step.after_seconds.max(least))).await;
        }
        let before = if self.to_come { self.events().await.len() } else { 0 };
        let response = self.send(self.request(step)).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        for (name, field) in &step.capture {
            let value = body.pointer(&format!("/{}", field.replace('.', "/")));
            let value = value.and_then(Value::as_str).unwrap_or("absent from the answer");
            self.known.insert(name.clone(), value.to_owned());
        }
        if response.status().as_u16() != step.status {
            return Err(format!("status {} instead of {}: {text}", response.status(), step.status));
        }
        if !response.headers().contains_key("date") {
            return Err("no Date header".to_owned());
        }
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if kind != Some(step.content_type.as_deref().unwrap_or("application/json")) {
            return Err(format!("content type {kind:?}"));
        }
        if let Some(expected) = &step.text {
            return if *expected == text {
                Ok(())
            } else {
                Err(format!("text {text:?} instead of {expected:?}"))
            };
        }
        let mut expected = step.response.clone().unwrap_or_default();
        for (_, _, pointer) in ELSEWHERE.iter().filter(|(s, n, _)| (*s, *n) == (scenario, step.name.as_str()))
        {
            *expected.pointer_mut(pointer).expect("a recorded value") = "<sequence>".into();
        }
        self.compare(&expected, &body, step, "")?;
        if !self.to_come {
            return Ok(());
        }
        let written = Value::from(self.events().await.split_off(before));
        self.compare(&Value::from(step.events.clone().unwrap_or_default()), &written, step, "/events")
    }

    /// Every event so far, in the form of the recordings.
    async fn events(&self) -> Vec<Value> {
        let request = Request::post(format!("{}/admin/v1/events/_search", self.double.url()))
            .header("authorization", format!("Bearer {}", self.double.admin_token()))
            .body(Bytes::from(json!({"asc": true}).to_string()));
        let answer = self.double.call(request.expect("a request")).await.expect("an answer");
        let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
        let shown = |event: &Value| {
            let aggregate = &event["aggregate"];
            let (id, owner) = (&aggregate["id"], &aggregate["resourceOwner"]);
            let aggregate = json!({"type": aggregate["type"]["type"], "id": id, "resourceOwner": owner});
            json!({"type": event["type"]["type"], "aggregate": aggregate, "payload": event["payload"]})
        };
        body["events"].as_array().into_iter().flatten().map(shown).collect()
    }
}

fn expand(text: &str) -> String {
    let described = text.strip_prefix("<base64 of ").and_then(|rest| rest.strip_suffix(" times the byte a>"));
    match described.and_then(|count| count.parse().ok()) {
        Some(count) => STANDARD.encode(vec![b'a'; count]),
        None => text.to_owned(),
    }
}

pub(crate) async fn replay(line: &str, scenario: &str, way: Way) {
    let recording = recording(line);
    let steps = &recording.scenarios[scenario];
    let mut replay = Replay::new(line, way).await;
    let mut problems = Vec::new();
    for step in steps {
        let excluded =
            NOT_REPRODUCED.iter().any(|(l, s, n, _)| (*l, *s, *n) == (line, scenario, step.name.as_str()));
        match (replay.step(scenario, step).await, excluded) {
            (Err(difference), false) => problems.push(format!("{}: {difference}", step.name)),
            (Ok(()), true) => {
                problems.push(format!("{}: reproduced, so no longer to be excluded", step.name));
            }
            _ => {}
        }
    }
    assert!(problems.is_empty(), "{line}, {scenario}, {way:?}:\n{}", problems.join("\n"));
}
