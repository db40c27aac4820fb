//! Requests to both servers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use kube::client::Body;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Canaries;

const TOKEN_PATH: &str = "/oauth/v2/token";

/// The key of a Secret whose value ZITADEL shows as the name of a user.
const CLIENT_ID: &str = "client-id";

impl Canaries {
    /// The same client; what is put into Secrets through it is marked.
    pub fn marking(&self, client: kube::Client) -> kube::Client {
        let canaries = self.clone();
        tapped(client, move |request, body| {
            if request.uri().path().contains("/secrets") {
                canaries.mark_secret(request.uri().path(), &serde_json::from_slice(body).unwrap_or_default());
            }
        })
    }

    /// The same client; what is written through it is looked at: statuses, Events, annotations, Leases, and whatever
    /// else a body, a path or a query holds. What it puts into a Secret is marked.
    pub fn watching(&self, client: kube::Client) -> kube::Client {
        let canaries = self.clone();
        tapped(client, move |request, body| {
            let (method, path) = (request.method(), request.uri().path());
            let uri = request.uri().to_string();
            canaries.watch.inspect(format_args!("the URI of a {method}"), uri.as_bytes());
            canaries.watch.inspect(format_args!("{method} {path}"), body);
            if path.ends_with("/secrets") {
                canaries.mark_secret(path, &serde_json::from_slice(body).unwrap_or_default());
            }
        })
    }

    /// Marks all values of a Secret, given as the API takes it.
    pub fn mark_secret(&self, name: &str, secret: &Value) {
        let field = |name: &str| secret[name].as_object().cloned().unwrap_or_default();
        let texts = field("stringData").into_iter().map(|(key, value)| (key, text(&value).into_bytes()));
        let bytes = field("data")
            .into_iter()
            .map(|(key, value)| (key, STANDARD.decode(text(&value)).unwrap_or_default()));
        for (key, value) in texts.chain(bytes).filter(|(key, _)| key != CLIENT_ID) {
            self.mark(&format!("{key} of {name}"), &value);
        }
    }

    /// A request goes to ZITADEL: marks the credentials in it, and looks at where none may be.
    pub fn sent(&self, request: &Request<Bytes>) {
        let (path, watch) = (request.uri().path(), &self.watch);
        for (name, value) in request.headers() {
            match *name == AUTHORIZATION {
                true => self.mark("a token", bearer(value.as_bytes())),
                false => watch.inspect(format_args!("the header {name} to ZITADEL"), value.as_bytes()),
            }
        }
        watch.inspect(format_args!("a URI of ZITADEL"), request.uri().to_string().as_bytes());
        if path.ends_with(TOKEN_PATH) {
            self.mark_form(&String::from_utf8_lossy(request.body()));
        } else if !path.contains("/metadata") {
            watch.inspect(format_args!("{} {path} to ZITADEL", request.method()), request.body());
        }
    }

    /// ZITADEL answered a request to this path: marks the token that it minted.
    pub fn answered(&self, path: &str, body: &[u8]) {
        if path.ends_with(TOKEN_PATH) {
            let answer: Value = serde_json::from_slice(body).unwrap_or_default();
            self.mark("a minted token", text(&answer["access_token"]).as_bytes());
        }
    }

    fn mark_form(&self, form: &str) {
        for (name, value) in form.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(&value.replace('+', " ")).collect::<Vec<u8>>();
            match name {
                "client_secret" => self.mark("a client secret", &value),
                // The header is the same in every JWT.
                "assertion" => {
                    let claims = value.iter().position(|byte| *byte == b'.').unwrap_or_default();
                    self.mark("an assertion", &value[claims..]);
                }
                _ => {}
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The same client, but each request that is no read is seen first, with its body.
fn tapped(
    client: kube::Client,
    see: impl Fn(&Request<()>, &[u8]) + Clone + Send + Sync + 'static,
) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    let tap = tower::service_fn(move |request: Request<Body>| {
        let (client, see) = (client.clone(), see.clone());
        async move {
            if request.method() == Method::GET {
                return client.send(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let request = Request::from_parts(parts, ());
            see(&request, &body);
            client.send(request.map(|()| Body::from(body.to_vec()))).await
        }
    });
    kube::Client::new(tap, namespace)
}

fn bearer(header: &[u8]) -> &[u8] {
    header.strip_prefix(b"Bearer ").unwrap_or(header)
}
