//! Watches: what happened since a resourceVersion, and bookmarks.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};

use tokio::time::{Instant, sleep_until};

use super::cluster::Inner;
use super::failure::Failure;
use super::read::{shown, version};
use super::route::Query;
use super::selector::Selector;
use super::store::{Change, Store, stamped};

/// The API server bookmarks about once a minute, and this long before a watch ends.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(1800);

/// One watch under way.
pub(super) struct Watching {
    cluster: Arc<Inner>,
    kind: usize,
    namespace: String,
    selector: Selector,
    partial: bool,
    /// What was told up to this resourceVersion.
    seen: u64,
    queue: VecDeque<Value>,
    deadline: Instant,
    bookmark: Option<Instant>,
    /// How often all watches had been ended when it began.
    ended: u64,
}

impl Watching {
    /// Begins to watch at the resourceVersion of the query; without one, with all that is there.
    pub(super) fn begin(
        cluster: &Arc<Inner>,
        store: &Store,
        (kind, namespace): (usize, &str),
        query: &Query,
        partial: bool,
    ) -> Result<Self, Failure> {
        let selector =
            Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), &store.kinds[kind])?;
        let from = version(query.get("resourceVersion")).map_err(|why| Failure::new(500, "", why))?;
        let seconds = query.number("timeoutSeconds").map_or(LONGEST, Duration::from_secs);
        let deadline = Instant::now() + seconds;
        let mut watching = Self {
            cluster: cluster.clone(),
            kind,
            namespace: namespace.into(),
            selector,
            partial,
            seen: from,
            queue: VecDeque::new(),
            deadline,
            bookmark: query.is("allowWatchBookmarks").then(|| next_bookmark(deadline)),
            ended: cluster.ended.load(Ordering::SeqCst),
        };
        watching.fill(store, query)?;
        Ok(watching)
    }

    fn fill(&mut self, store: &Store, query: &Query) -> Result<(), Failure> {
        let streaming = query.is("sendInitialEvents");
        if streaming && query.get("resourceVersionMatch") != "NotOlderThan" {
            let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let cause = super::failure::Cause::new("FieldValueForbidden", "resourceVersionMatch", why);
            return Err(Failure::options("ListOptions", cause));
        }
        if !streaming && self.seen > 0 {
            if self.seen < store.oldest {
                let gone = Failure::too_old(self.seen, store.oldest).status();
                self.queue.push_back(json!({ "type": "ERROR", "object": gone }));
                (self.seen, self.bookmark, self.deadline) = (store.version, None, Instant::now());
            }
            return Ok(());
        }
        self.seen = store.version;
        let present = store.snapshot(self.kind, &self.namespace, self.seen).into_values();
        let present = present.filter(|object| self.selector.matches(object));
        let events: VecDeque<Value> = present.map(|object| self.event("ADDED", &object)).collect();
        self.queue.extend(events);
        if streaming && self.bookmark.is_some() {
            let mut end = self.bookmark_now(store);
            end["object"]["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
            self.queue.push_back(end);
        }
        Ok(())
    }

    fn event(&self, reported: &str, object: &Value) -> Value {
        json!({ "type": reported, "object": shown(object, self.partial) })
    }

    fn bookmark_now(&self, store: &Store) -> Value {
        let kind = &store.kinds[self.kind];
        let metadata = json!({ "metadata": { "resourceVersion": self.seen.to_string() } });
        let mut object = shown(&metadata, self.partial);
        if !self.partial {
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.kind.clone().into();
        }
        json!({ "type": "BOOKMARK", "object": object })
    }

    /// How this watch tells a change, if it does.
    fn tell(&self, change: &Change) -> Option<Value> {
        let elsewhere = !self.namespace.is_empty() && change.key.namespace != self.namespace;
        if change.key.kind != self.kind || elsewhere {
            return None;
        }
        let fits =
            |object: &Option<Arc<Value>>| object.clone().filter(|object| self.selector.matches(object));
        match (fits(&change.before), fits(&change.after)) {
            (None, Some(after)) => Some(self.event("ADDED", &after)),
            (Some(_), Some(after)) => Some(self.event("MODIFIED", &after)),
            (Some(before), None) => Some(self.event("DELETED", &stamped((*before).clone(), change.version))),
            (None, None) => None,
        }
    }

    /// Takes the changes that are due into the queue, and says when the next one is.
    fn advance(&mut self) -> Option<Instant> {
        let cluster = self.cluster.clone();
        let state = cluster.state();
        for change in state.store.since(self.seen) {
            let due = change.at + state.watch_lag;
            if due > Instant::now() {
                return Some(due);
            }
            self.queue.extend(self.tell(change));
            self.seen = change.version;
        }
        None
    }

    fn due_bookmark(&mut self) -> Option<Value> {
        if self.bookmark.is_none_or(|due| due > Instant::now()) {
            return None;
        }
        self.bookmark = Some(next_bookmark(self.deadline));
        let cluster = self.cluster.clone();
        Some(self.bookmark_now(&cluster.state().store))
    }

    /// The next event; none when the watch is over.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let cluster = self.cluster.clone();
            let mut changed = pin!(cluster.changed.notified());
            changed.as_mut().enable();
            if cluster.ended.load(Ordering::SeqCst) != self.ended {
                return None;
            }
            let pending = self.advance();
            if let Some(event) = self.queue.pop_front().or_else(|| self.due_bookmark()) {
                return Some(event);
            }
            let due = [Some(self.deadline), self.bookmark, pending];
            let wake = due.into_iter().flatten().min().unwrap_or(self.deadline);
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(wake) => if Instant::now() >= self.deadline { return None },
            }
        }
    }

    /// The body of the answer: one event a line.
    pub(super) fn into_lines(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        stream::unfold(self, |mut watching| async move {
            let event = watching.next().await?;
            Some((Ok(Bytes::from(format!("{event}\n"))), watching))
        })
    }
}

fn next_bookmark(deadline: Instant) -> Instant {
    let (now, last) = (Instant::now(), deadline - BOOKMARK_BEFORE_END);
    let regular = now + BOOKMARK_EVERY;
    if last > now && regular > last { last } else { regular }
}
