//! Where the operator of a test writes: each place is looked at for secrets.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use prometheus_client::registry::Registry;
use support::canary::Canaries;
use zitadel_operator::engine::metrics::counters::Metrics;
use zitadel_operator::zitadel::TransportFactory;
use zitadel_operator::zitadel::{Transport, TransportError};

/// The same transports; requests and answers are seen on the way.
pub fn transport(factory: Arc<TransportFactory>, canaries: &Canaries) -> Arc<TransportFactory> {
    let canaries = canaries.clone();
    Arc::new(move |config| {
        let (inner, canaries) = (factory(config)?, canaries.clone());
        Ok(Arc::new(ObservedLog { inner, canaries }) as Arc<dyn Transport>)
    })
}

struct ObservedLog {
    inner: Arc<dyn Transport>,
    canaries: Canaries,
}

impl Transport for ObservedLog {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        self.canaries.sent(&request);
        let path = request.uri().path().to_owned();
        async move {
            let response = self.inner.send(request).await?;
            self.canaries.answered(&path, response.body());
            Ok(response)
        }
        .boxed()
    }
}

/// Looks at these metrics as a scrape shows them.
pub fn metrics(canaries: &Canaries, metrics: &Metrics) {
    let (mut registry, mut text) = (Registry::default(), String::new());
    metrics.register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    canaries.watch().inspect(format_args!("the metrics"), text.as_bytes());
}
