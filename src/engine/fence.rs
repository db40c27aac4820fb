//! The last gate before a request leaves: it closes when the Lease is lost, whatever was decided before.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::Body;

use super::connections::TransportFactory;
use crate::runtime::lease::Leadership;
use crate::zitadel::{Transport, TransportError};

/// This process does not lead any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this process does not lead any more")]
pub struct NotLeading;

/// The same client, but once the leadership is over every write fails with [`NotLeading`] and is not sent.
pub fn kubernetes(client: kube::Client, leadership: Leadership) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    let gate = tower::service_fn(move |request: Request<Body>| {
        let open = request.method() == Method::GET || leadership.is_leader();
        let client = client.clone();
        async move {
            match open {
                true => client.send(request).await,
                false => Err(kube::Error::Service(Box::new(NotLeading))),
            }
        }
    });
    kube::Client::new(gate, namespace)
}

/// The same transports, but once the leadership is over every request fails and is not sent.
pub fn zitadel(factory: Arc<TransportFactory>, leadership: Leadership) -> Arc<TransportFactory> {
    Arc::new(move |config| {
        let (inner, leadership) = (factory(config)?, leadership.clone());
        Ok(Arc::new(Fenced { inner, leadership }) as Arc<dyn Transport>)
    })
}

struct Fenced {
    inner: Arc<dyn Transport>,
    leadership: Leadership,
}

impl Transport for Fenced {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        match self.leadership.is_leader() {
            true => self.inner.send(request),
            false => async { Err(TransportError::Unreachable(NotLeading.to_string())) }.boxed(),
        }
    }
}
