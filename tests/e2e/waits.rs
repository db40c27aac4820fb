//! Waiting for what a test expects, and saying what was there instead.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::events::v1::Event;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;

use crate::kstatus::{Kstatus, kstatus};
use crate::world::{PATIENCE, World};

impl World {
    /// Waits until a resource satisfies the condition; null stands for one that is gone.
    ///
    /// Panics with the last state seen when [`PATIENCE`] ends.
    pub async fn until(&self, kind: &str, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watch = watcher(self.api(kind), config).default_backoff();
        let seen = tokio::time::timeout(PATIENCE, async {
            let mut watch = std::pin::pin!(watch);
            while let Some(event) = watch.next().await {
                match event {
                    Ok(watcher::Event::Apply(o) | watcher::Event::InitApply(o)) => {
                        last = serde_json::to_value(o).unwrap();
                    }
                    Ok(watcher::Event::Delete(_)) => last = Value::Null,
                    Ok(watcher::Event::InitDone) => {}
                    // Whether it is there is known only once the list has ended.
                    Ok(watcher::Event::Init) => {
                        last = Value::Null;
                        continue;
                    }
                    Err(_) => continue,
                }
                if holds(&last) {
                    return last.clone();
                }
            }
            unreachable!("a watch with backoff never ends")
        });
        match seen.await {
            Ok(object) => object,
            Err(_) => {
                panic!("{kind} {name} never {what}; it is {}", serde_json::to_string_pretty(&last).unwrap())
            }
        }
    }

    /// Waits until ZITADEL lists exactly these projects in the organization; a list may be a moment late.
    pub async fn until_listed(&self, expected: &[&str]) {
        until_answered(&format!("listed as {expected:?}"), async || {
            let mut listed = self.person.listed_projects(&self.organization).await;
            listed.sort();
            (listed == expected, listed)
        })
        .await;
    }

    /// Waits until an event about this resource has the reason; answers its note.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        self.until_published(name, reason).await.note.unwrap_or_default()
    }

    /// The event itself.
    pub async fn until_published(&self, name: &str, reason: &str) -> Event {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let watch = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        let about = |event: &Event| {
            event.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(name))
                && event.reason.as_deref() == Some(reason)
        };
        let mut found = std::pin::pin!(watch.try_filter(|event| std::future::ready(about(event))));
        let next = tokio::time::timeout(PATIENCE, found.next()).await;
        let event = next.unwrap_or_else(|_| panic!("no event {reason} about {name}"));
        event.unwrap().unwrap()
    }

    /// Asserts that calls to ZITADEL are few over a second: with the delays of [`config`] a state costs at most some
    /// twenty, a hot loop hundreds. Where nobody counts, time passes in which wrong writes would show.
    pub async fn assert_calm(&self) {
        if self.ledger().is_none() {
            return tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let mark = self.zitadel.ledger().mark();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let calls = self.calls_since(mark);
        let paths: Vec<String> = calls.iter().map(|call| format!("{} {}", call.method, call.path)).collect();
        assert!(calls.len() <= 40, "{} calls in a second: {paths:?}", calls.len());
    }

    /// Asserts that nobody has written anything to projects of the organization so far.
    pub async fn assert_nothing_written(&self) {
        assert_eq!(self.history().await, [""; 0]);
    }
}

/// Asserts that the message of a resource's `Ready`, or of `Synced` where that is the one that failed, has each word.
#[track_caller]
pub fn assert_message(object: &Value, words: &[&str]) {
    let message = condition(object, "Synced")["message"].as_str().unwrap_or_default().to_owned();
    for word in words {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
}

/// A date as the operator writes it: ZITADEL pads fractions of a second with zeros.
pub fn date(of_zitadel: &Value) -> Value {
    let date: jiff::Timestamp = of_zitadel.as_str().expect("a date").parse().expect("a date");
    date.to_string().into()
}

/// A condition of a resource; null if it is absent.
pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

/// Asserts what kstatus computes and that `Stalled` and `Reconciling` never stand together.
#[track_caller]
pub fn assert_kstatus(object: &Value, expected: Kstatus) {
    assert_eq!(kstatus(object), expected, "{}", serde_json::to_string_pretty(object).unwrap());
    let both = ["Stalled", "Reconciling"].iter().all(|kind| !condition(object, kind).is_null());
    assert!(!both, "Stalled and Reconciling together: {object}");
}

/// Waits until this stays as it is, for half a second at least; a stall of this process counts as one look of ten.
pub async fn until_still<T: PartialEq>(mut inspect: impl FnMut() -> T) -> T {
    let (mut last, mut same) = (inspect(), 0);
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = inspect();
        same = if seen == last { same + 1 } else { 0 };
        last = seen;
    }
    last
}

/// Waits until an answer from outside Kubernetes is as expected.
pub async fn until_answered<T: Debug>(what: &str, mut ask: impl AsyncFnMut() -> (bool, T)) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (holds, seen) = ask().await;
        if holds {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {what}: {seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
