//! A way to the cluster on which lists and watches of one kind can be late, old, or refused.

use std::sync::{Arc, Mutex};

use axum::body::Body as AnyBody;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::BoxError;

use crate::way;
use crate::world::World;

/// What happens to the watches.
#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    /// They bring nothing.
    held: bool,
    /// Neither they nor lists begin.
    refused: bool,
    /// Those begun under an earlier one end with 410.
    epoch: u64,
}

/// One request for a list or a watch.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub watch: bool,
}

/// The tap on one plural.
#[derive(Clone)]
pub struct Tap {
    plural: &'static str,
    mode: Arc<watch::Sender<Mode>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    listed: Arc<Mutex<Option<Bytes>>>,
    replayed: Arc<Mutex<Option<Bytes>>>,
}

impl Tap {
    pub fn on(plural: &'static str) -> Self {
        let mode = Arc::new(watch::Sender::new(Mode::default()));
        Self { plural, mode, asked: Arc::default(), listed: Arc::default(), replayed: Arc::default() }
    }

    /// A client of the world's operator; its requests come through here.
    pub async fn client(&self, world: &World) -> kube::Client {
        let tap = self.clone();
        way::with(world.operator_client().await, move |client, request| {
            let (tap, kind) = (tap.clone(), tap.kind_of(&request));
            tap.asked.lock().unwrap().extend(kind.clone());
            let refused = kind.is_some() && tap.mode.borrow().refused;
            async move {
                if refused {
                    return Ok(Response::builder().status(500).body(AnyBody::empty()).unwrap());
                }
                let (parts, body) = client.send(request).await?.into_parts();
                let body = match kind {
                    Some(asked) if asked.watch => tap.watched(body),
                    Some(_) => tap.listed(body).await?,
                    None => AnyBody::new(body),
                };
                kube::Result::Ok(Response::from_parts(parts, body))
            }
        })
    }

    /// From now on the watches bring nothing.
    pub fn hold(&self) {
        self.mode.send_modify(|mode| mode.held = true);
    }

    /// The watches of now end as after a compaction; what they held back is lost. Later ones work.
    pub fn expire(&self) -> Instant {
        *self.replayed.lock().unwrap() = None;
        self.mode.send_modify(|mode| *mode = Mode { epoch: mode.epoch + 1, ..Mode::default() });
        Instant::now()
    }

    /// The watches of now end, and from now on none begins.
    pub fn refuse(&self) {
        self.mode.send_modify(|mode| *mode = Mode { refused: true, held: false, epoch: mode.epoch + 1 });
    }

    /// Until the watches expire, a list is the last one that was served, and nothing is news.
    pub fn freeze(&self) {
        self.hold();
        *self.replayed.lock().unwrap() = self.listed.lock().unwrap().clone();
    }

    /// The requests for lists and watches so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether this asks for a list or a watch of the plural.
    fn kind_of(&self, request: &Request<Body>) -> Option<Asked> {
        let followed = request.method() == Method::GET && request.uri().path().ends_with(self.plural);
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        followed.then(|| Asked { at: Instant::now(), watch })
    }

    fn watched(&self, body: Body) -> AnyBody {
        let body = AnyBody::new(body).into_data_stream();
        AnyBody::from_stream(tapped(body, self.mode.subscribe()))
    }

    async fn listed(&self, body: Body) -> kube::Result<AnyBody> {
        let replayed = self.replayed.lock().unwrap().clone();
        let served = match replayed {
            Some(old) => old,
            None => body.collect_bytes().await?,
        };
        *self.listed.lock().unwrap() = Some(served.clone());
        Ok(AnyBody::from(served))
    }
}

/// The stream as the mode lets it be.
fn tapped<S>(from: S, mode: watch::Receiver<Mode>) -> impl Stream<Item = Result<Bytes, BoxError>>
where
    S: Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin,
{
    let born = mode.borrow().epoch;
    stream::unfold(Some((from, mode)), move |state| async move {
        let (mut from, mut mode) = state?;
        loop {
            let now = *mode.borrow_and_update();
            if now.epoch > born {
                return Some((Ok(gone()), None));
            }
            tokio::select! {
                item = from.next(), if !now.held => {
                    return item.map(|item| (item.map_err(BoxError::from), Some((from, mode))));
                }
                _ = mode.changed() => {}
            }
        }
    })
}

/// As the API server says it in a watch.
fn gone() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
        "message": "too old resource version: 1 (2)", "reason": "Expired",
    });
    Bytes::from(format!("{}\n", json!({ "type": "ERROR", "object": status })))
}
