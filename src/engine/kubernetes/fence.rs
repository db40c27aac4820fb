//! The last gate before a request leaves: it opens when this process leads, and closes when the Lease is lost, whatever
//! was decided before.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use tower::BoxError;
use tower::retry::Retry;

use crate::runtime::lease::Leadership;
use crate::zitadel::TransportFactory;
use crate::zitadel::{Transport, TransportError};

/// This process does not lead: not yet, or not any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this process does not lead")]
pub struct NotLeading;

/// The same client, but without the leadership every write fails with [`NotLeading`] and is not sent. What the server
/// has no room for now (429, 503, 504) is asked again, and passes the gate again.
pub fn kubernetes(client: kube::Client, leadership: Leadership) -> kube::Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let open = request.method() == Method::GET || leadership.is_leader();
        let client = client.clone();
        async move {
            match open {
                true => client.send(request).await.map_err(BoxError::from),
                false => Err(NotLeading.into()),
            }
        }
    });
    kube::Client::new(Retry::new(RetryPolicy::server_retry(), service), namespace)
}

/// The same transports, but without the leadership every request fails and is not sent.
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
        // Asked when the request leaves: it may have waited for its turn since it was made.
        let send = async move {
            match self.leadership.is_leader() {
                true => self.inner.send(request).await,
                false => Err(TransportError::Unreachable(NotLeading.to_string())),
            }
        };
        send.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, Patch, PatchParams};
    use parking_lot::Mutex;

    use super::*;

    /// Keeps what arrives, and answers `{}`.
    #[derive(Clone, Default)]
    struct Arrived(Arc<Mutex<Vec<Method>>>);

    impl Arrived {
        fn note(&self, method: &Method) {
            self.0.lock().push(method.clone());
        }

        fn methods(&self) -> Vec<Method> {
            self.0.lock().clone()
        }
    }

    impl Transport for Arrived {
        fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
            self.note(request.method());
            async { Ok(Response::new(Bytes::from_static(b"{}"))) }.boxed()
        }
    }

    fn fenced(arrived: &Arrived, leadership: &Leadership) -> Arc<dyn Transport> {
        let arrived = arrived.clone();
        let factory: Arc<TransportFactory> = Arc::new(move |_| Ok(Arc::new(arrived.clone())));
        zitadel(factory, leadership.clone())(&Default::default()).unwrap()
    }

    #[tokio::test]
    async fn once_the_lease_is_over_kubernetes_is_read_and_not_written() {
        let (arrived, leadership) = (Arrived::default(), Leadership::always());
        let server = arrived.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            server.note(request.method());
            async { Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec()))) }
        });
        let client = kubernetes(kube::Client::new(service, "default"), leadership.clone());
        let api = Api::<ConfigMap>::default_namespaced(client);
        let write = || async {
            let patch = Patch::Merge(serde_json::json!({}));
            api.patch("a", &PatchParams::default(), &patch).await
        };
        write().await.unwrap();
        leadership.end();
        let refused = write().await.unwrap_err();
        assert!(
            matches!(refused, kube::Error::Service(cause) if cause.to_string().contains("does not lead"))
        );
        api.get("a").await.unwrap();
        assert_eq!(arrived.methods(), [Method::PATCH, Method::GET]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_has_no_room_for_is_asked_again_only_while_the_lease_is_held() {
        let (arrived, leadership) = (Arrived::default(), Leadership::always());
        let (server, lost) = (arrived.clone(), leadership.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            server.note(request.method());
            if server.methods().len() == 2 {
                lost.end();
            }
            let busy = Response::builder().status(429).body(Body::empty()).unwrap();
            async { Ok::<_, Infallible>(busy) }
        });
        let client = kubernetes(kube::Client::new(service, "default"), leadership);
        let patch = Patch::Merge(serde_json::json!({}));
        let api = Api::<ConfigMap>::default_namespaced(client);
        api.patch("a", &PatchParams::default(), &patch).await.unwrap_err();
        assert_eq!(arrived.methods(), [Method::PATCH, Method::PATCH]);
    }

    #[tokio::test]
    async fn before_the_lease_is_held_the_gate_is_closed_on_both_sides() {
        let (arrived, leadership) = (Arrived::default(), Leadership::pending());
        let service = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec())))
        });
        let client = kubernetes(kube::Client::new(service, "default"), leadership.clone());
        let patch = Patch::Merge(serde_json::json!({}));
        let api = Api::<ConfigMap>::default_namespaced(client);
        api.patch("a", &PatchParams::default(), &patch).await.unwrap_err();
        let transport = fenced(&arrived, &leadership);
        transport.send(Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(arrived.methods(), [] as [Method; 0]);
    }

    #[tokio::test]
    async fn what_waits_to_be_sent_when_the_lease_is_lost_is_not_sent() {
        let (arrived, leadership) = (Arrived::default(), Leadership::always());
        let transport = fenced(&arrived, &leadership);
        let waiting = transport.send(Request::new(Bytes::new()));
        leadership.end();
        waiting.await.unwrap_err();
        assert_eq!(arrived.methods(), [] as [Method; 0]);
    }

    #[tokio::test]
    async fn once_the_lease_is_over_nothing_is_sent_to_zitadel() {
        let (arrived, leadership) = (Arrived::default(), Leadership::always());
        let transport = fenced(&arrived, &leadership);
        transport.send(Request::new(Bytes::new())).await.unwrap();
        leadership.end();
        transport.send(Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(arrived.methods().len(), 1);
    }
}
