//! What the operator remembers of a resource between reconciles. Losing it costs a call or two, never correctness.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::engine::admission::status_rate::Telling;
use crate::engine::decision::backoff::{Delays, Failures};
use crate::engine::decision::error::RequeuePolicy;

/// So many repairs of one field …
const FIGHT_REPAIRS: usize = 5;
/// … within this time are a fight with somebody else.
const FIGHT_WINDOW: Duration = Duration::from_secs(600);

/// What a write left as it was: these fields, of the object with this sequence, for the spec of this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The spec's generation.
    pub generation: Option<i64>,
    /// The object's sequence after the write.
    pub sequence: Option<String>,
    /// The fields that were sent and still differ.
    pub fields: Vec<String>,
}

#[derive(Default)]
struct ObjectState {
    written: Option<u64>,
    rare: Option<Box<Rare>>,
}

/// What few resources have.
#[derive(Default, PartialEq)]
struct Rare {
    /// The code of the refusal that was told since the last write.
    refused: Option<u16>,
    left: Option<(Left, Instant)>,
    repairs: HashMap<String, Vec<Instant>>,
    recovering_since: Option<Instant>,
    sent: Option<Instant>,
    mark_refused: Option<Instant>,
    failures: Option<Failures>,
    /// The second in which it may tell what was learned without asking ZITADEL.
    telling_at: Option<u64>,
}

/// The memories of all resources, by UID. One that says nothing any more goes.
#[derive(Default)]
pub struct ObjectStates {
    memories: Mutex<HashMap<String, ObjectState>>,
    delays: Delays,
    telling: Telling,
}

impl ObjectStates {
    /// Of no resource, with these delays.
    pub fn new(delays: Delays) -> Self {
        Self { delays, ..Self::default() }
    }

    /// The jittered delay before the next attempt, as [`Delays::next`].
    pub fn next_attempt(&self, uid: &str, requeue: RequeuePolicy, resync: Duration) -> Duration {
        let mut memories = self.memories();
        let mut failures = rare(&mut memories, uid).and_then(|rare| rare.failures.take());
        let delay = self.delays.next(&mut failures, requeue, resync);
        if failures.is_some() {
            memories.entry(uid.into()).or_default().rare.get_or_insert_default().failures = failures;
        }
        delay
    }

    /// How long the resource waits before it tells what was learned without asking ZITADEL, as [`Telling::wait`].
    pub fn wait_to_tell(&self, namespace: &str, uid: &str) -> Option<Duration> {
        self.with(uid, |rare| self.telling.wait(namespace, &mut rare.telling_at))
    }

    /// Remembers the resourceVersion that a write of ours gave the resource.
    pub fn expect_version(&self, uid: &str, resource_version: Option<&str>) {
        let Some(version) = resource_version.and_then(|v| v.parse().ok()) else { return };
        let mut memories = self.memories();
        let memory = memories.entry(uid.into()).or_default();
        memory.written = Some(version);
        if let Some(rare) = &mut memory.rare {
            rare.refused = None;
        }
    }

    /// Remembers that the Kubernetes API refuses a write with this code; answers whether that is new since the last write.
    pub fn refused(&self, uid: &str, code: u16) -> bool {
        self.with(uid, |rare| rare.refused.replace(code) != Some(code))
    }

    /// Is this view older than our own last write? Resource versions of one object are ordered numbers.
    pub fn is_outdated(&self, uid: &str, resource_version: Option<&str>) -> bool {
        let seen: Option<u64> = resource_version.and_then(|v| v.parse().ok());
        let mut memories = self.memories();
        let Some(memory) = memories.get_mut(uid) else { return false };
        memory.rare.take_if(|rare| **rare == Rare::default());
        let is_shown = seen.zip(memory.written).is_none_or(|(seen, written)| seen >= written);
        if is_shown && seen.is_some() && memory.rare.is_none() {
            // The watch shows no older one after it.
            memories.remove(uid);
        }
        !is_shown
    }

    /// Counts a repair of these fields.
    pub fn repaired(&self, uid: &str, fields: &[String]) {
        let now = Instant::now();
        self.with(uid, |rare| {
            for field in fields {
                rare.repairs.entry(field.clone()).or_default().push(now);
            }
        });
    }

    /// The fields that were repaired too often of late: somebody else wants them otherwise.
    pub fn contested(&self, uid: &str, fields: &[String]) -> Vec<String> {
        let mut memories = self.memories();
        let Some(rare) = rare(&mut memories, uid) else { return Vec::new() };
        rare.repairs.retain(|_, repairs| {
            repairs.retain(|at| at.elapsed() < FIGHT_WINDOW);
            !repairs.is_empty()
        });
        let often = |field: &&String| rare.repairs.get(*field).is_some_and(|r| r.len() >= FIGHT_REPAIRS);
        fields.iter().filter(often).cloned().collect()
    }

    /// Remembers what a write left as it was.
    pub fn left(&self, uid: &str, left: Left) {
        self.with(uid, |rare| rare.left = Some((left, Instant::now())));
    }

    /// Did the very same write change nothing less than `within` ago?
    pub fn was_left(&self, uid: &str, left: &Left, within: Duration) -> bool {
        let known = rare(&mut self.memories(), uid).and_then(|rare| rare.left.clone());
        known.is_some_and(|(known, at)| known == *left && at.elapsed() < within)
    }

    /// How long the recovery of a create has been under way, from the first time this was asked.
    pub fn recovering_for(&self, uid: &str) -> Duration {
        self.with(uid, |rare| rare.recovering_since.get_or_insert_with(Instant::now).elapsed())
    }

    /// A create is about to be sent.
    pub fn sending(&self, uid: &str) {
        self.with(uid, |rare| rare.sent = Some(Instant::now()));
    }

    /// How long ago the last create was sent; before this process did, counts from the first time this was asked.
    pub fn quiet_for(&self, uid: &str) -> Duration {
        self.with(uid, |rare| rare.sent.get_or_insert_with(Instant::now).elapsed())
    }

    /// Remembers that ZITADEL refuses the mark; answers whether that is new.
    pub fn mark_refused(&self, uid: &str) -> bool {
        self.with(uid, |rare| rare.mark_refused.replace(Instant::now()).is_none())
    }

    /// Was the mark refused less than `within` ago?
    pub fn is_mark_refused(&self, uid: &str, within: Duration) -> bool {
        let refused = rare(&mut self.memories(), uid).and_then(|rare| rare.mark_refused);
        refused.is_some_and(|at| at.elapsed() < within)
    }

    /// What became of the create is known: its recovery is over.
    pub fn recovered(&self, uid: &str) {
        if let Some(rare) = rare(&mut self.memories(), uid) {
            (rare.recovering_since, rare.sent) = (None, None);
        }
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.memories().remove(uid);
    }

    fn with<T>(&self, uid: &str, act: impl FnOnce(&mut Rare) -> T) -> T {
        act(self.memories().entry(uid.into()).or_default().rare.get_or_insert_default())
    }

    fn memories(&self) -> MutexGuard<'_, HashMap<String, ObjectState>> {
        self.memories.lock()
    }
}

fn rare<'a>(memories: &'a mut HashMap<String, ObjectState>, uid: &str) -> Option<&'a mut Rare> {
    memories.get_mut(uid)?.rare.as_deref_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_older_than_our_own_write_is_stale() {
        let object_states = ObjectStates::default();
        assert!(!object_states.is_outdated("a", Some("5")));
        object_states.expect_version("a", Some("10"));
        assert!(object_states.is_outdated("a", Some("9")));
        assert!(!object_states.is_outdated("a", Some("10")));
        assert!(!object_states.is_outdated("a", None));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_resource_whose_last_write_was_shown() {
        let object_states = ObjectStates::default();
        object_states.sending("a");
        object_states.expect_version("a", Some("10"));
        assert!(object_states.refused("b", 403) && object_states.is_outdated("a", Some("9")));
        object_states.recovered("a");
        assert!(!object_states.is_outdated("a", Some("10")));
        assert_eq!(object_states.memories().keys().collect::<Vec<_>>(), ["b"]);
        object_states.expect_version("b", Some("11"));
        assert!(!object_states.is_outdated("b", Some("12")) && object_states.memories().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_changed_nothing_is_remembered_until_spec_or_object_change_or_hours_pass() {
        let (object_states, hours) = (ObjectStates::default(), Duration::from_secs(3600));
        let left = Left { generation: Some(1), sequence: Some("7".into()), fields: vec!["name".into()] };
        assert!(!object_states.was_left("a", &left, hours));
        object_states.left("a", left.clone());
        assert!(object_states.was_left("a", &left, hours));
        for other in [
            Left { generation: Some(2), ..left.clone() },
            Left { sequence: Some("8".into()), ..left.clone() },
            Left { fields: vec!["name".into(), "state".into()], ..left.clone() },
        ] {
            assert!(!object_states.was_left("a", &other, hours), "{other:?}");
        }
        tokio::time::advance(hours).await;
        assert!(!object_states.was_left("a", &left, hours));
    }

    #[tokio::test(start_paused = true)]
    async fn five_repairs_in_ten_minutes_are_a_fight() {
        let (object_states, name) = (ObjectStates::default(), ["name".to_owned()]);
        for _ in 0..5 {
            assert!(object_states.contested("a", &name).is_empty());
            object_states.repaired("a", &name);
        }
        assert_eq!(object_states.contested("a", &["name".into(), "state".into()]), name);
        tokio::time::advance(FIGHT_WINDOW).await;
        assert!(object_states.contested("a", &name).is_empty());
    }
}
