//! The resources of all kinds, as the kinds become known: each once it was listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Directory;
use super::address::Address;
use super::fault::Fault;
use crate::api::Reason;

/// After a start all kinds become known within moments of each other; so long nobody is told to wait for one.
const MOMENT: Duration = Duration::from_secs(10);

/// The directories of the kinds that are known.
pub(super) type Known = BTreeMap<&'static str, Box<dyn Directory>>;

/// The kinds that there are, and what is known of them.
pub(super) struct Directories {
    kinds: Vec<&'static str>,
    state: Mutex<State>,
    changed: Notify,
    patience: OnceLock<Instant>,
}

#[derive(Default)]
struct State {
    known: Known,
    /// Who was told to wait.
    waiting: BTreeSet<Address>,
}

impl Directories {
    /// Of these kinds, none of which is known.
    pub(super) fn of(kinds: Vec<&'static str>) -> Self {
        Self { kinds, state: Mutex::default(), changed: Notify::new(), patience: OnceLock::new() }
    }

    /// This kind is known from now on; returns who waited for one.
    pub(super) fn add(&self, kind: &'static str, directory: Box<dyn Directory>) -> BTreeSet<Address> {
        let mut state = self.state();
        state.known.insert(kind, directory);
        self.changed.notify_waiters();
        std::mem::take(&mut state.waiting)
    }

    /// What this makes of what is known.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.state().known)
    }

    /// Is it one of the kinds, and not known?
    pub(super) fn lacks(&self, kind: &'static str) -> bool {
        self.kinds.contains(&kind) && !self.state().known.contains_key(kind)
    }

    /// Are all kinds known?
    pub(super) fn is_complete(&self) -> bool {
        missing(&self.kinds, &self.state().known).is_empty()
    }

    /// Resolves once all kinds are known.
    ///
    /// # Errors
    /// As [`Self::known`].
    pub(super) async fn complete(&self, who: &Address) -> Result<(), Fault> {
        self.known(&self.kinds, who).await
    }

    /// Resolves once these kinds are known; waits for that only in the first moment.
    ///
    /// # Errors
    /// `ReferenceNotReady` later; `who` is among those that wait then.
    pub(super) async fn known(&self, kinds: &[&'static str], who: &Address) -> Result<(), Fault> {
        let until = *self.patience.get_or_init(|| Instant::now() + MOMENT);
        let all = async {
            loop {
                let changed = self.changed.notified();
                if missing(kinds, &self.state().known).is_empty() {
                    return;
                }
                changed.await;
            }
        };
        // Whether they are is looked at below, and nothing may come in between.
        let _ = timeout_at(until, all).await;
        let mut state = self.state();
        let missing = missing(kinds, &state.known);
        if missing.is_empty() {
            return Ok(());
        }
        state.waiting.insert(who.clone());
        Err(Fault::Waiting {
            reason: Reason::ReferenceNotReady,
            message: format!("the operator could not list {} so far: its log says why", missing.join(", ")),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(kinds: &[&'static str], known: &Known) -> Vec<&'static str> {
    kinds.iter().copied().filter(|kind| !known.contains_key(kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CommonStatus;

    struct Empty;

    impl Directory for Empty {
        fn status(&self, _: &Address) -> Option<CommonStatus> {
            None
        }
    }

    fn web() -> Address {
        Address { kind: "Project", namespace: "team".into(), name: "web".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_known_whatever_else_is_not() {
        let directories = Directories::of(vec!["Organization", "OrgMetadata"]);
        directories.add("Organization", Box::new(Empty));
        let asked = Instant::now();
        directories.known(&["Organization"], &web()).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        let told = directories.complete(&web()).await.unwrap_err().to_string();
        assert!(told.contains("could not list OrgMetadata so far"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_comes_in_the_first_moment_is_waited_for() {
        let directories = Directories::of(vec!["Organization"]);
        let (asking, organizations) = (web(), ["Organization"]);
        let known = directories.known(&organizations, &asking);
        let coming = async {
            tokio::time::sleep(MOMENT / 2).await;
            directories.add("Organization", Box::new(Empty))
        };
        let (known, waited) = tokio::join!(known, coming);
        known.unwrap();
        assert_eq!(waited, BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn later_nobody_waits_here_and_all_are_woken_once_there_is_another() {
        let directories = Directories::of(vec!["Organization", "OrgMetadata"]);
        directories.complete(&web()).await.unwrap_err();
        let asked = Instant::now();
        directories.complete(&web()).await.unwrap_err();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(directories.add("Organization", Box::new(Empty)), BTreeSet::from([web()]));
        assert_eq!(directories.add("OrgMetadata", Box::new(Empty)), BTreeSet::new());
    }
}
