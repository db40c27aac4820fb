//! The client against a scripted transport on paused time, and its transport against loopback servers.

mod api;
mod bounds;
mod budgets;
mod calls;
mod canary;
mod classification;
mod double;
mod header;
mod https;
mod limits;
mod local;
mod metadata;
mod network;
mod objects;
mod settings;
mod shared_tokens;
mod tokens;
mod urls;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};
use support::canary::{Canaries, Watch, install};

use super::*;
use crate::runtime::telemetry::may_be_logged;

pub(crate) type TestResult = Result<(), Box<dyn StdError>>;

pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// What the fake answers to one request, and after how long.
#[derive(Clone)]
pub(crate) struct Reply {
    after: Duration,
    result: Result<Response<Bytes>, TransportError>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, &[], &body.to_string())
    }

    pub(crate) fn raw(status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Bytes::copy_from_slice(body.as_bytes()));
        Self {
            after: Duration::ZERO,
            result: response.map_err(|error| TransportError::Unreachable(error.to_string())),
        }
    }

    /// ZITADEL's error body.
    pub(crate) fn error(status: u16, code: i64, id: &str) -> Self {
        let detail =
            json!({"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": id, "message": "text"});
        Self::json(status, &json!({"code": code, "message": format!("text ({id})"), "details": [detail]}))
    }

    /// A token of the token endpoint.
    pub(crate) fn token(token: &str, expires_in: u64) -> Self {
        Self::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
    }

    pub(crate) fn refused() -> Self {
        Self {
            after: Duration::ZERO,
            result: Err(TransportError::Unreachable("connection refused".to_owned())),
        }
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

type Script = Box<dyn Fn(usize, &Request<Bytes>) -> Reply + Send + Sync>;

/// A transport that answers by a function of the request and its number, counted per path. Where that says nothing of an
/// organization, the header arrives, and what asks so is not counted.
pub(crate) struct Fake {
    script: Script,
    seen: Mutex<Vec<Request<Bytes>>>,
    per_path: Mutex<HashMap<String, usize>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl Fake {
    pub(crate) fn new(script: impl Fn(usize, &Request<Bytes>) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            seen: Mutex::default(),
            per_path: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        })
    }

    pub(crate) fn always(reply: Reply) -> Arc<Self> {
        Self::new(move |_, _| reply.clone())
    }

    pub(crate) fn seen(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().clone()
    }

    /// How many requests went to a path that ends so.
    pub(crate) fn count(&self, suffix: &str) -> usize {
        self.seen.lock().iter().filter(|request| request.uri().path().ends_with(suffix)).count()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Transport for Fake {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async move {
            if let Some(proof) = proof(&request)
                && !says_organization(&(self.script)(1, &request))
            {
                return proof.result;
            }
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_in_flight.fetch_max(now, Ordering::SeqCst);
            let number = {
                let mut counts = self.per_path.lock();
                let count = counts.entry(request.uri().path().to_owned()).or_default();
                *count += 1;
                *count
            };
            let reply = (self.script)(number, &request);
            self.seen.lock().push(request);
            tokio::time::sleep(reply.after).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            reply.result
        }
        .boxed()
    }
}

/// The credentials of these tests.
fn canaries() -> Canaries {
    install(may_be_logged);
    Watch::shared().unattended()
}

/// A transport whose requests and answers are seen on the way.
struct ReflectedStore(Arc<dyn Transport>, Canaries);

impl Transport for ReflectedStore {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.1.sent(&request);
        let path = request.uri().path().to_owned();
        async move {
            let response = self.0.send(request).await?;
            self.1.answered(&path, response.body());
            Ok(response)
        }
        .boxed()
    }
}

/// What a server answers whom the header reaches, where this asks which organization it is.
pub(crate) fn proof(request: &Request<Bytes>) -> Option<Reply> {
    let asks = request.method() == "GET" && request.uri().path().ends_with("/management/v1/orgs/me");
    let id = request.headers().get("x-zitadel-orgid").filter(|_| asks)?.to_str().ok()?;
    Some(Reply::json(200, &json!({"org": {"id": id, "state": "ORG_STATE_ACTIVE"}})))
}

fn says_organization(reply: &Reply) -> bool {
    let body =
        reply.result.as_ref().ok().and_then(|answer| serde_json::from_slice::<Value>(answer.body()).ok());
    body.is_some_and(|body| !body["org"].is_null())
}

/// A Secret that a test may change.
pub(crate) struct Secret {
    content: Mutex<Result<Credential, CredentialError>>,
    loads: AtomicUsize,
}

impl Secret {
    pub(crate) fn new(credential: Credential) -> Arc<Self> {
        Arc::new(Self { content: Mutex::new(Ok(credential)), loads: AtomicUsize::new(0) })
    }

    pub(crate) fn pat(token: &str) -> Arc<Self> {
        Self::new(Credential::PersonalAccessToken(token.into()))
    }

    pub(crate) fn set(&self, content: Result<Credential, CredentialError>) {
        *self.content.lock() = content;
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

impl CredentialSource for Secret {
    fn load(&self) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        async { self.content.lock().clone() }.boxed()
    }
}

pub(crate) fn client(
    transport: Arc<dyn Transport>,
    secret: Arc<dyn CredentialSource>,
) -> Result<Client, String> {
    client_at("https://zitadel.example", None, transport, secret)
}

pub(crate) fn client_at(
    url: &str,
    external_domain: Option<&str>,
    transport: Arc<dyn Transport>,
    secret: Arc<dyn CredentialSource>,
) -> Result<Client, String> {
    let config = ClientConfig {
        base_url: parse_base_url(url)?,
        external_domain: external_domain.map(str::to_owned),
        deadline: DEADLINE,
        memory: MemoryBudget::default().share(None),
        answered: false,
    };
    let transport = Arc::new(ReflectedStore(transport, canaries()));
    Client::new(config, transport, secret, budget(), Arc::default(), Arc::default())
}

/// A key file as ZITADEL issues it (PKCS#1 in PEM) and the public key (PKCS#1 DER).
pub(crate) fn key_file(expiration: &str) -> Result<(Vec<u8>, Vec<u8>), Box<dyn StdError>> {
    /// Length of what PKCS#8 puts around a 2048-bit PKCS#1 key.
    const PKCS8_HEADER: usize = 26;
    let pair = KeyPair::generate(KeySize::Rsa2048)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
    let text = STANDARD.encode(&pkcs8.as_ref()[PKCS8_HEADER..]);
    let lines: String =
        text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    let file = json!({
        "type": "serviceaccount",
        "keyId": "key-1",
        "key": format!("-----BEGIN RSA PRIVATE KEY-----\n{lines}-----END RSA PRIVATE KEY-----\n"),
        "expirationDate": expiration,
        "userId": "user-1",
    });
    canaries().mark("a key file", file.to_string().as_bytes());
    Ok((file.to_string().into_bytes(), pair.public_key().as_ref().to_vec()))
}

/// The recorded steps of every server line.
pub(crate) fn recordings() -> Result<Vec<Value>, Box<dyn StdError>> {
    Ok([recorded("v3")?, recorded("v4")?, recorded("v4-2026-03")?].concat())
}

/// The recorded steps of one server line (`tests/contract/{line}.json`).
pub(crate) fn recorded(line: &str) -> Result<Vec<Value>, Box<dyn StdError>> {
    let path = format!("{}/tests/contract/{line}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path)?;
    // Volatile values are recorded as placeholders.
    let text = text.replace("<time>", "2026-11-21T10:00:00.123456Z").replace("<sequence>", "42");
    let recording: Value = serde_json::from_str(&text)?;
    let scenarios = recording["scenarios"].as_object().ok_or("no scenarios")?;
    Ok(scenarios.values().filter_map(Value::as_array).flatten().cloned().collect())
}

/// Room for whatever a test does.
pub(crate) fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(Rate { requests_per_second: 1000, burst: 1000 }, 8, Metrics::default()))
}

/// The policy whose paths are not those of the others.
pub(crate) const DOMAIN: PolicyPaths =
    <crate::api::OrgDomainPolicy as crate::engine::drivers::policy::PolicyKind>::PATHS;

/// That of every organization without its own.
pub(crate) const DEFAULT: PolicyPaths = PolicyPaths::of_instance("/admin/v1/policies/domain", &[]);

/// One with sets, which the owners of an organization write.
pub(crate) const LOGIN: PolicyPaths =
    <crate::api::OrgLoginPolicy as crate::engine::drivers::policy::PolicyKind>::PATHS;

/// One of the instance, which is shown late.
pub(crate) const INSTANCE_LOGIN: PolicyPaths =
    <crate::api::InstanceLoginPolicy as crate::engine::drivers::policy::PolicyKind>::PATHS;

pub(crate) fn object(value: Value) -> serde_json::Map<String, Value> {
    serde_json::from_value(value).unwrap_or_default()
}

pub(crate) const PROJECT: ObjectPaths =
    <crate::api::Project as crate::engine::drivers::object::ObjectKind>::PATHS;

impl Client {
    pub(crate) async fn rename_organization(&self, id: &str, name: &str) -> Result<Details, Error> {
        self.update_object(&ORGANIZATION, id, id, &object(json!({"name": name}))).await
    }

    pub(crate) async fn deactivate_organization(&self, id: &str) -> Result<Details, Error> {
        self.set_object_state(&ORGANIZATION, id, id, RemoteState::Inactive).await
    }

    pub(crate) async fn reactivate_organization(&self, id: &str) -> Result<Details, Error> {
        self.set_object_state(&ORGANIZATION, id, id, RemoteState::Active).await
    }
}
