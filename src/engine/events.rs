//! Events about resources. Publishing never fails a reconcile.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// The API server refuses notes of more bytes.
const NOTE_LIMIT: usize = 1024;
const ACTION_LIMIT: usize = 128;
const DEADLINE: Duration = Duration::from_secs(5);

/// Publishes events as the operator.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// One word, as in the conditions.
    pub reason: &'static str,
    /// What a person reads.
    pub note: String,
    /// What was done; events that differ in it are never merged into one.
    pub action: String,
}

impl Note {
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
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Publishes; a refusal, as in a namespace that is going, is only logged.
    pub async fn publish(&self, about: &ObjectReference, note: Note) {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.into(),
            note: Some(cut(&note.note, NOTE_LIMIT)),
            action: cut(&note.action, ACTION_LIMIT),
            secondary: None,
        };
        match tokio::time::timeout(DEADLINE, self.recorder.publish(&event, about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "an event was refused"),
            Err(_) => tracing::debug!("an event was not taken in time"),
        }
    }
}

fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].into()
}
