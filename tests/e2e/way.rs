//! A way to the cluster with something in between.

use axum::body::HttpBody;
use bytes::Bytes;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tower::BoxError;

/// The same client; each request is handed to `between`, with the client to send it by.
pub fn with<F, A, B>(client: Client, between: F) -> Client
where
    F: Fn(Client, Request<Body>) -> A + Send + 'static,
    A: Future<Output = kube::Result<Response<B>>> + Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let namespace = client.default_namespace().to_owned();
    Client::new(tower::service_fn(move |request| between(client.clone(), request)), namespace)
}
