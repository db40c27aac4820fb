//! How fast the operator tells what it learned without asking ZITADEL: an outage, or a lost connection, changes
//! thousands of statuses at once. What comes of calls to ZITADEL is as slow as their budget.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Statuses, each with its event, a second: of one namespace, and of all.
const OF_NAMESPACE: u32 = 20;
const OF_ALL: u32 = 50;
/// Of these, for the first one of each namespace alone.
const FIRST: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// Gives out the times at which statuses are written, so many a second.
///
/// Guarantees: whoever must wait has a time of its own, however often it asks; a namespace with many waits for itself,
/// and some namespaces with many keep nobody who has one from telling it.
pub struct Telling {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By second from now on, how many were given out.
    given: BTreeMap<u64, Second>,
}

#[derive(Default)]
struct Second {
    all: u32,
    of: HashMap<String, u32>,
}

impl Second {
    fn has_room(&self, namespace: &str) -> bool {
        match self.of.get(namespace) {
            None => self.all < OF_ALL,
            Some(count) => self.all < OF_ALL - FIRST && *count < OF_NAMESPACE,
        }
    }
}

impl Default for Telling {
    fn default() -> Self {
        Self { began: Instant::now(), state: Mutex::default() }
    }
}

impl Telling {
    /// How long a resource waits before its status is written, in the second that is kept for it; `None`: it is written
    /// now, and nothing is kept.
    pub fn wait(&self, namespace: &str, kept: &mut Option<u64>) -> Option<Duration> {
        let elapsed = self.began.elapsed();
        let now = elapsed.as_secs();
        let mut state = self.state.lock();
        state.forget_before(now);
        let due = kept.unwrap_or_else(|| state.give(now, namespace));
        *kept = Some(due).filter(|due| *due > now);
        kept.map(|due| (SECOND * u32::try_from(due).unwrap_or(u32::MAX)).saturating_sub(elapsed))
    }
}

impl State {
    fn give(&mut self, now: u64, namespace: &str) -> u64 {
        let is_free = |at: &u64| self.given.get(at).is_none_or(|second| second.has_room(namespace));
        let at = (now..).find(is_free).unwrap_or(now);
        let second = self.given.entry(at).or_default();
        second.all += 1;
        *second.of.entry(namespace.into()).or_default() += 1;
        at
    }

    fn forget_before(&mut self, now: u64) {
        self.given = self.given.split_off(&now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In which second each of so many writes.
    fn seconds(telling: &Telling, namespace: &str, count: u32) -> Vec<u64> {
        (0..count).map(|_| telling.wait(namespace, &mut None).map_or(0, |wait| wait.as_secs())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_a_second_of_a_namespace_and_of_all() {
        let telling = Telling::default();
        let many = seconds(&telling, "many", 1000);
        for second in 0..50 {
            assert_eq!(many.iter().filter(|at| **at == second).count(), 20);
        }
        assert_eq!(seconds(&telling, "one", 1), [0], "who has one waits for nobody who has many");
        for namespace in ["b", "c", "d", "e"] {
            seconds(&telling, namespace, 20);
        }
        assert_eq!(
            seconds(&telling, "late", 2),
            [0, 1],
            "some with many leave room for the first one of another"
        );
        (0..FIRST).for_each(|number| drop(seconds(&telling, &format!("first{number}"), 1)));
        assert!(telling.wait("last", &mut None).is_some(), "no more than so many of all");
    }

    #[tokio::test(start_paused = true)]
    async fn each_keeps_its_time_and_has_it_once() {
        let telling = Telling::default();
        seconds(&telling, "a", 59);
        let mut kept = None;
        let first = telling.wait("a", &mut kept).expect("not now");
        tokio::time::advance(SECOND / 2).await;
        let wait = telling.wait("a", &mut kept).expect("not yet");
        assert_eq!(wait + SECOND / 2, first);
        tokio::time::advance(wait).await;
        assert_eq!((telling.wait("a", &mut kept), kept), (None, None));
        telling.wait("a", &mut None);
        let state = telling.state.lock();
        assert!(state.given.keys().all(|second| *second >= 2), "what is over is forgotten");
    }
}
