//! Holds the double to recordings of real servers: every step of every file in `tests/contract` is replayed.
//!
//! Volatile values are masked as the recordings mask them. Lists that the server leaves unsorted are compared as
//! sets, pages of such lists by the shape of their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use zitadel_operator_support::zitadel::{Behaviour, Double, Line};

/// Every line, by the name of its recording.
const LINES: [(&str, Line); 3] = [("v3", Line::V3), ("v4", Line::V4), ("v4-2026-03", Line::V4Newer)];

/// Steps that the double answers differently, with the reason: (line, scenario, step, reason).
const NOT_REPRODUCED: &[(&str, &str, &str, &str)] = &[
    ("v4", "authentication", "my memberships", "its administrator owned what another run had left"),
    ("v4-2026-03", "authentication", "who am I", "its administrator's login name had no domain"),
];

/// Values that depend on what else the recorded server held: (scenario, step, JSON pointer).
const ELSEWHERE: &[(&str, &str, &str)] = &[("organization", "nobody searches", "/details/totalResult")];

/// Constant lists of which the double knows a part: the event types that it writes itself.
const SUBSETS: &[&str] = &["eventTypes"];

#[derive(Debug, Deserialize)]
struct Recording {
    scenarios: BTreeMap<String, Vec<Step>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    name: String,
    #[serde(rename = "as")]
    actor: Option<String>,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    raw_body: Option<String>,
    #[serde(default)]
    after_seconds: f64,
    status: u16,
    #[serde(default)]
    capture: BTreeMap<String, String>,
    response: Option<Value>,
    text: Option<String>,
    content_type: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contract")
}

fn recording(line: &str) -> Recording {
    let text = std::fs::read_to_string(folder().join(format!("{line}.json"))).expect("a recording");
    serde_json::from_str(&text).expect("a recording in the known format")
}

/// How requests reach the double.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Over a loopback connection, without any lag.
    Tcp,
    /// In-process on paused time, with lists that lag by less than the recording waited.
    InProcess,
}

struct Replay {
    double: Double,
    way: Way,
    client: reqwest::Client,
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
        let mut replay = Self { double, way, client, known: BTreeMap::new(), tokens: BTreeMap::new() };
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

    fn fill(&self, text: &str) -> String {
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
            tokio::time::sleep(Duration::from_secs_f64(step.after_seconds)).await;
        }
        let response = self.send(self.request(step)).await;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        for (name, field) in &step.capture {
            let value = body[field].as_str().unwrap_or("absent from the answer");
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
        self.compare(&expected, &body, step, "")
    }

    fn compare(&self, expected: &Value, actual: &Value, step: &Step, at: &str) -> Result<(), String> {
        let same = match (expected, actual) {
            (Value::String(wanted), Value::String(got)) => self.same_text(wanted, got, step),
            (Value::Array(wanted), Value::Array(got)) => return self.compare_lists(wanted, got, step, at),
            (Value::Object(wanted), Value::Object(got)) if same_fields(wanted, got) => {
                let mut fields = wanted.iter();
                return fields.try_for_each(|(name, wanted)| {
                    self.compare(wanted, &got[name], step, &format!("{at}/{name}"))
                });
            }
            _ => expected == actual,
        };
        if same { Ok(()) } else { Err(format!("{at}: {actual} instead of {expected}")) }
    }

    fn same_text(&self, wanted: &str, got: &str, step: &Step) -> bool {
        match wanted {
            "<id>" => !got.is_empty() && got.bytes().all(|byte| byte.is_ascii_digit()),
            "<sequence>" => got.parse::<u64>().is_ok_and(|sequence| sequence > 0),
            "<time>" => got.ends_with('Z') && got.parse::<jiff::Timestamp>().is_ok(),
            wanted => normal(&self.fill(wanted), step) == normal(got, step),
        }
    }

    fn compare_lists(&self, wanted: &[Value], got: &[Value], step: &Step, at: &str) -> Result<(), String> {
        let mut pairs = wanted.iter().zip(got);
        let same = if SUBSETS.iter().any(|name| at.ends_with(name)) {
            !got.is_empty() && got.iter().all(|one| wanted.contains(one))
        } else if wanted.len() != got.len() {
            false
        } else if is_page(step) {
            pairs.all(|(wanted, got)| same_shape(wanted, got))
        } else if at.ends_with("/result") && wanted.iter().all(Value::is_object) {
            self.same_set(wanted, got, step)
        } else {
            let mut indexed = pairs.enumerate();
            return indexed
                .try_for_each(|(n, (wanted, got))| self.compare(wanted, got, step, &format!("{at}/{n}")));
        };
        if same {
            Ok(())
        } else {
            Err(format!("{at}: {} instead of {}", Value::from(got), Value::from(wanted)))
        }
    }

    fn same_set(&self, wanted: &[Value], got: &[Value], step: &Step) -> bool {
        let mut left: Vec<&Value> = got.iter().collect();
        wanted.iter().all(|wanted| {
            let found = left.iter().position(|got| self.compare(wanted, got, step, "").is_ok());
            found.map(|index| left.remove(index)).is_some()
        })
    }
}

fn expand(text: &str) -> String {
    let described = text.strip_prefix("<base64 of ").and_then(|rest| rest.strip_suffix(" times the byte a>"));
    match described.and_then(|count| count.parse().ok()) {
        Some(count) => STANDARD.encode(vec![b'a'; count]),
        None => text.to_owned(),
    }
}

fn is_page(step: &Step) -> bool {
    let limit = step.body.as_ref().and_then(|body| body["query"]["limit"].as_u64());
    limit.is_some_and(|limit| limit < 1_000)
}

fn same_fields(wanted: &Map<String, Value>, got: &Map<String, Value>) -> bool {
    wanted.len() == got.len() && wanted.keys().all(|name| got.contains_key(name))
}

fn same_shape(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            same_fields(wanted, got) && wanted.iter().all(|(name, field)| same_shape(field, &got[name]))
        }
        (Value::Array(wanted), Value::Array(got)) => wanted.len() == got.len(),
        _ => std::mem::discriminant(wanted) == std::mem::discriminant(got),
    }
}

/// Text without what differs from server to server: the message size, and the place of a value in a body that was
/// not recorded byte for byte, no-break spaces (the server varies them on purpose), and random names.
fn normal(text: &str, step: &Step) -> String {
    let mut text = text.replace('\u{a0}', " ");
    if step.raw_body.is_none() {
        text = masked(&text, "proto: (line 1:");
    }
    text = masked(&text, "grpc: received message larger than max (");
    let hexadecimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let random = text.strip_prefix("zitadel-").and_then(|rest| rest.strip_suffix(".localhost"));
    let random = random.or_else(|| text.strip_prefix("nobody")).filter(|part| hexadecimal(part));
    random.map(|part| text.replace(part, "<random>")).unwrap_or(text)
}

fn masked(text: &str, before: &str) -> String {
    match text.split_once(before) {
        Some((head, tail)) => {
            format!("{head}{before}#{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => text.to_owned(),
    }
}

async fn replay(line: &str, scenario: &str, way: Way) {
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

macro_rules! scenarios {
    ($($test:ident: $title:literal,)*) => {
        const TITLES: &[&str] = &[$($title),*];

        scenarios!(v3 = "v3": $($test: $title,)*);
        scenarios!(v4 = "v4": $($test: $title,)*);
        scenarios!(v4_newer = "v4-2026-03": $($test: $title,)*);

        mod lagging {
            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                for (line, _) in super::LINES {
                    super::replay(line, $title, super::Way::InProcess).await;
                }
            })*
        }
    };
    ($module:ident = $line:literal: $($test:ident: $title:literal,)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                super::replay($line, $title, super::Way::Tcp).await;
            })*
        }
    };
}

scenarios! {
    authentication: "authentication",
    project: "project",
    project_roles: "project roles",
    organization: "organization",
    organization_metadata: "organization metadata",
    organization_domain_policy: "organization domain policy",
    organization_features: "organization features",
    usernames_under_a_domain_policy: "usernames under a domain policy",
    events: "events",
}

#[test]
fn every_recorded_scenario_is_replayed() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the recordings")
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(files, LINES.iter().map(|(line, _)| format!("{line}.json")).collect());
    for (line, _) in LINES {
        let titles: BTreeSet<String> = recording(line).scenarios.into_keys().collect();
        assert_eq!(titles, TITLES.iter().map(|title| (*title).to_owned()).collect());
    }
}

#[test]
fn exclusions_name_recorded_steps_and_stay_few() {
    for (line, scenario, name, _) in NOT_REPRODUCED {
        assert!(recording(line).scenarios[*scenario].iter().any(|step| step.name == *name), "{name}");
    }
    let steps: usize =
        LINES.iter().flat_map(|(line, _)| recording(line).scenarios.into_values()).map(|s| s.len()).sum();
    assert!(NOT_REPRODUCED.len() * 20 <= steps);
}
