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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::zitadel::HttpTransportConfig;

    /// The methods of the requests that left.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<Method>>>);

    impl Sent {
        fn note(&self, method: &Method) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(method.clone());
        }

        fn taken(&self) -> Vec<Method> {
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Transport for Sent {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
            self.note(request.method());
            async { Ok(Response::default()) }.boxed()
        }
    }

    #[tokio::test]
    async fn a_deposed_leader_writes_nothing_to_kubernetes() {
        let (sent, leadership) = (Sent::default(), Leadership::always());
        let noted = sent.clone();
        let server = tower::service_fn(move |request: Request<Body>| {
            noted.note(request.method());
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        });
        let client = kubernetes(kube::Client::new(server, "default"), leadership.clone());
        let send = async |method| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = method;
            client.send(request).await.is_ok()
        };
        assert!(send(Method::GET).await && send(Method::PATCH).await);
        leadership.end();
        sent.taken();
        let writes = [Method::PATCH, Method::POST, Method::PUT, Method::DELETE];
        for method in writes {
            assert!(!send(method).await);
        }
        assert!(send(Method::GET).await);
        assert_eq!(sent.taken(), [Method::GET]);
    }

    #[tokio::test]
    async fn a_deposed_leader_sends_nothing_to_zitadel() {
        let (sent, leadership) = (Sent::default(), Leadership::always());
        let inner: Arc<dyn Transport> = Arc::new(sent.clone());
        let factory = zitadel(Arc::new(move |_| Ok(inner.clone())), leadership.clone());
        let transport = factory(&HttpTransportConfig::default()).unwrap();
        assert!(transport.send(Request::default()).await.is_ok());
        leadership.end();
        sent.taken();
        assert!(transport.send(Request::default()).await.is_err());
        assert_eq!(sent.taken(), [Method::GET; 0]);
    }
}
