//! A ZITADEL that answers what it is told to, on paused time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use zitadel_operator::zitadel::{
    Budget, Client, ClientConfig, Credential, CredentialError, CredentialSource, MemoryBudget, Rate,
    Transport, TransportError, parse_base_url,
};

use crate::foreign::CANARY;

/// Bound of a whole call.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// The id that every question asks about and every recorded answer holds.
pub const ID: &str = "1";

/// Answers by a function of the request, and keeps what was asked. Where that says nothing of an organization, the
/// header arrives, and what asks so is not kept.
pub struct Server<F> {
    answer: F,
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl<F: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static> Server<F> {
    pub fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, seen: Mutex::default() })
    }

    pub fn seen(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<F: Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static> Transport for Server<F> {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let response = (self.answer)(&request);
        let silent = response.status().is_success() && !says_organization(&response);
        if let Some(proof) = proof(&request).filter(|_| silent) {
            return async { Ok(proof) }.boxed();
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        async { Ok(response) }.boxed()
    }
}

/// What a server answers whom the header reaches, where this asks which organization it is.
fn proof(request: &Request<Bytes>) -> Option<Response<Bytes>> {
    let asks = request.method() == "GET" && request.uri().path().ends_with("/management/v1/orgs/me");
    let id = request.headers().get("x-zitadel-orgid").filter(|_| asks)?.to_str().ok()?;
    let body = json!({ "org": { "id": id, "state": "ORG_STATE_ACTIVE" } });
    Some(response(200, &[], body.to_string().into_bytes()))
}

fn says_organization(response: &Response<Bytes>) -> bool {
    let body: Option<Value> = serde_json::from_slice(response.body()).ok();
    body.is_some_and(|body| !body["org"].is_null())
}

/// A Secret that holds this credential.
pub struct Secret(pub Credential);

impl CredentialSource for Secret {
    fn load(&self) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

/// The personal access token that is the canary.
pub fn token() -> Credential {
    Credential::PersonalAccessToken(CANARY.into())
}

/// A client at this URL, if it may be one.
pub fn client_at(
    url: &str,
    external_domain: Option<&str>,
    transport: Arc<dyn Transport>,
    credential: Credential,
) -> Result<Client, String> {
    let config = ClientConfig {
        base_url: parse_base_url(url)?,
        external_domain: external_domain.map(str::to_owned),
        deadline: DEADLINE,
        memory: MemoryBudget::default().share(None),
        answered: false,
    };
    let budget =
        Arc::new(Budget::new(Rate { requests_per_second: 1000, burst: 1000 }, 8, Default::default()));
    Client::new(config, transport, Arc::new(Secret(credential)), budget, Arc::default(), Arc::default())
}

/// A client that logs in with the canary.
pub fn client(transport: Arc<dyn Transport>) -> Client {
    client_at("https://zitadel.example", None, transport, token()).unwrap()
}

/// An answer with those headers that HTTP can carry.
pub fn response(status: u16, headers: &[(&str, String)], body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(HeaderName::try_from(*name).unwrap(), value);
        }
    }
    response
}

/// Runs to its end in a runtime of its own, whose clock goes on by itself when nothing else does.
pub fn on_paused_time<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// What every error promises: it fits a condition, is one line, and holds no secret.
pub fn assert_discreet(error: &impl std::error::Error) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert_readable(error);
}

/// A line that says something.
pub fn assert_readable(error: &impl std::error::Error) {
    let shown = error.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert!(!shown.is_empty() && shown.chars().count() <= 1000, "{shown}");
}
