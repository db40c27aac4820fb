//! What is stored: every object, and every change since the start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use serde_json::Value;
use tokio::time::Instant;

use super::kind::Kind;
use super::schema;

/// The first resourceVersion; earlier ones are too old for any watch.
const BEGINNING: u64 = 100;

/// Where an object is: the index of its kind, its namespace (empty in a cluster-wide kind) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub kind: usize,
    pub namespace: String,
    pub name: String,
}

/// One committed change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub version: u64,
    pub at: Instant,
    pub key: Key,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
    /// The call that made it, and how it is told.
    pub call: usize,
    pub manager: String,
    pub subresource: String,
}

#[derive(Debug)]
pub(super) struct Store {
    pub kinds: Vec<Arc<Kind>>,
    pub objects: BTreeMap<Key, Arc<Value>>,
    pub log: Vec<Change>,
    pub version: u64,
    /// Watches and snapshots of an earlier resourceVersion are refused.
    pub oldest: u64,
    /// Shown with defaults, or without fields, that are stored so only at the next write, whatever that changes.
    pub unsettled: BTreeSet<Key>,
    /// What changes are attributed to.
    pub call: usize,
    uids: u64,
    epoch: Timestamp,
    started: Instant,
}

impl Store {
    pub(super) fn new(epoch: Timestamp) -> Self {
        Self {
            kinds: Vec::new(),
            objects: BTreeMap::new(),
            log: Vec::new(),
            version: BEGINNING,
            oldest: BEGINNING,
            unsettled: BTreeSet::new(),
            call: 0,
            uids: 0,
            epoch,
            started: Instant::now(),
        }
    }

    /// Changes a kind, and what its objects look like; they are stored so at their next write.
    pub(super) fn redefine(&mut self, index: usize, kind: Kind) {
        for (key, object) in self.objects.iter_mut().filter(|(key, _)| key.kind == index) {
            let mut shown = (**object).clone();
            if let Some(schema) = &kind.schema {
                schema::complete(&mut shown, schema, false);
            }
            if shown != **object {
                *object = Arc::new(shown);
                self.unsettled.insert(key.clone());
            }
        }
        self.kinds[index] = Arc::new(kind);
    }

    /// Whole seconds, as the API server stamps.
    pub(super) fn now(&self) -> String {
        let now = self.epoch + self.started.elapsed();
        now.round(Unit::Second).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// A new UID: in the form of a UUID, and the same in every run.
    pub(super) fn uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    /// Commits one change and gives the object as it is stored now, or as it was told to be gone.
    pub(super) fn commit(
        &mut self,
        key: Key,
        object: Option<Value>,
        manager: &str,
        subresource: &str,
    ) -> Arc<Value> {
        self.version += 1;
        let version = self.version;
        self.unsettled.remove(&key);
        let after = object.map(|object| Arc::new(stamped(object, version)));
        let before = match &after {
            Some(after) => self.objects.insert(key.clone(), after.clone()),
            None => self.objects.remove(&key),
        };
        let now = after.clone().or_else(|| before.clone()).unwrap_or_default();
        self.log.push(Change {
            version,
            at: Instant::now(),
            key,
            before,
            after,
            call: self.call,
            manager: manager.into(),
            subresource: subresource.into(),
        });
        now
    }

    /// The objects of a kind, of one namespace or of all, as they were at a resourceVersion; in the order of names.
    pub(super) fn snapshot(&self, kind: usize, namespace: &str, version: u64) -> BTreeMap<Key, Arc<Value>> {
        let here = |key: &Key| key.kind == kind && (namespace.is_empty() || key.namespace == namespace);
        let current = self.objects.iter().filter(|(key, _)| here(key));
        let mut objects: BTreeMap<Key, Arc<Value>> =
            current.map(|(key, object)| (key.clone(), object.clone())).collect();
        let later = self.log.iter().rev().take_while(|change| change.version > version);
        for change in later.filter(|change| here(&change.key)) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), before.clone()),
                None => objects.remove(&change.key),
            };
        }
        objects
    }

    /// The changes after a resourceVersion.
    pub(super) fn since(&self, version: u64) -> &[Change] {
        &self.log[self.log.partition_point(|change| change.version <= version)..]
    }
}

pub(super) fn stamped(mut object: Value, version: u64) -> Value {
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object
}
