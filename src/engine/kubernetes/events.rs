//! Events about resources. Publishing never fails a reconcile.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use parking_lot::Mutex;

/// The API server refuses notes of more bytes.
const NOTE_LIMIT: usize = 1024;
const ACTION_LIMIT: usize = 128;
const DEADLINE: Duration = Duration::from_secs(5);
/// kube's recorder (5.0.0) keeps each event whole for six minutes, to count its repetitions, and looks at all of them for
/// each: after so many another recorder takes its place.
const REMEMBERED: usize = 500;

/// Publishes events as the operator. A repetition is counted, unless hundreds of others came between.
#[derive(Clone)]
pub struct Events {
    client: kube::Client,
    reporter: Reporter,
    current: Arc<Mutex<Current>>,
}

struct Current {
    recorder: Recorder,
    published: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word, as in the conditions.
    pub reason: &'static str,
    /// What a person reads.
    pub note: String,
    /// What was done; events that differ in it are never merged into one.
    pub action: String,
}

impl EventSpec {
    /// A `Normal` event.
    pub fn normal(reason: &'static str, note: impl Into<String>) -> Self {
        Self { warning: false, reason, note: note.into(), action: "Reconcile".into() }
    }

    /// A `Warning` event.
    pub fn warning(reason: &'static str, note: impl Into<String>) -> Self {
        Self { warning: true, ..Self::normal(reason, note) }
    }
}

impl Events {
    /// Events reported by this process.
    pub fn new(client: kube::Client, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: "zitadel-operator".into(), instance };
        let recorder = Recorder::new(client.clone(), reporter.clone());
        Self { client, reporter, current: Arc::new(Mutex::new(Current { recorder, published: 0 })) }
    }

    fn recorder(&self) -> Recorder {
        let mut current = self.current.lock();
        if current.published == REMEMBERED {
            let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            *current = Current { recorder, published: 0 };
        }
        current.published += 1;
        current.recorder.clone()
    }

    /// Publishes; a refusal, as in a namespace that is going, is only logged.
    pub async fn publish(&self, about: &ObjectReference, note: EventSpec) {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.into(),
            note: Some(cut(&note.note, NOTE_LIMIT)),
            action: cut(&note.action, ACTION_LIMIT),
            secondary: None,
        };
        match tokio::time::timeout(DEADLINE, self.recorder().publish(&event, about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an event was refused"),
            Err(_) => tracing::debug!("an event was not taken in time"),
        }
    }
}

fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].into()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Method, Request, Response};
    use kube::client::Body;

    use super::*;

    /// Events of a Kubernetes API that takes everything, and the methods that it was called with.
    fn events() -> (Events, Arc<Mutex<Vec<Method>>>) {
        let called = Arc::<Mutex<Vec<Method>>>::default();
        let calls = called.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            calls.lock().push(request.method().clone());
            async { Ok::<_, Infallible>(Response::new(Body::from(br#"{"metadata":{}}"#.to_vec()))) }
        });
        (Events::new(kube::Client::new(service, "default"), None), called)
    }

    #[tokio::test]
    async fn a_repetition_is_counted_and_not_for_ever_remembered() {
        let (events, called) = events();
        let about = |name: String| ObjectReference { name: Some(name), ..Default::default() };
        let publish =
            async |name: String| events.publish(&about(name), EventSpec::normal("Created", "made")).await;
        for _ in 0..2 {
            publish("first".into()).await;
        }
        for n in 0..REMEMBERED {
            publish(format!("other{n}")).await;
        }
        publish("first".into()).await;
        let called = called.lock();
        let counted: Vec<_> = (0..called.len()).filter(|n| called[*n] == Method::PATCH).collect();
        assert_eq!((counted, called.len()), (vec![1], REMEMBERED + 3));
    }
}
