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

/// Is there a namespace of this name?
type IsThere = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The directories of the kinds that are known.
pub(super) type Known = BTreeMap<&'static str, Box<dyn Directory>>;

/// The kinds that there are, and what is known of them.
pub(super) struct Directories {
    kinds: Vec<&'static str>,
    is_there: IsThere,
    state: Mutex<State>,
    changed: Notify,
    patience: OnceLock<Instant>,
}

#[derive(Default)]
struct State {
    known: Known,
    /// The namespaces in which a kind could not be listed so far.
    left_out: BTreeMap<&'static str, BTreeSet<String>>,
    /// Who was told to wait.
    waiting: BTreeSet<Address>,
}

impl Directories {
    /// Of these kinds, none of which is known.
    pub(super) fn of(kinds: Vec<&'static str>, is_there: IsThere) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { kinds, is_there, state, changed, patience: OnceLock::new() }
    }

    /// This kind is known from now on, but for what is in these namespaces; returns who waited for one.
    pub(super) fn add(
        &self,
        kind: &'static str,
        directory: Box<dyn Directory>,
        left_out: BTreeSet<String>,
    ) -> BTreeSet<Address> {
        let mut state = self.state();
        state.known.insert(kind, directory);
        state.left_out.insert(kind, left_out);
        self.changed.notify_waiters();
        std::mem::take(&mut state.waiting)
    }

    /// This kind is known in this namespace too from now on; returns who waited.
    pub(super) fn take_up(&self, kind: &'static str, namespace: &str) -> BTreeSet<Address> {
        let mut state = self.state();
        state.left_out.entry(kind).or_default().remove(namespace);
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

    /// Are all kinds known in this namespace, or without one in all of them?
    pub(super) fn is_complete(&self, within: Option<&str>) -> bool {
        self.missing(&self.kinds, within, &self.state()).is_empty()
    }

    /// Resolves once all kinds are known in this namespace, or without one in all of them.
    ///
    /// # Errors
    /// As [`Self::known`].
    pub(super) async fn complete(&self, within: Option<&str>, who: &Address) -> Result<(), Fault> {
        self.known(&self.kinds, within, who).await
    }

    /// Resolves once these kinds are known in this namespace, or without one in all of them; waits for that only in the
    /// first moment.
    ///
    /// # Errors
    /// `ReferenceNotReady` later; `who` is among those that wait then.
    pub(super) async fn known(
        &self,
        kinds: &[&'static str],
        within: Option<&str>,
        who: &Address,
    ) -> Result<(), Fault> {
        let until = *self.patience.get_or_init(|| Instant::now() + MOMENT);
        let all = async {
            loop {
                let changed = self.changed.notified();
                if self.missing(kinds, within, &self.state()).is_empty() {
                    return;
                }
                changed.await;
            }
        };
        // Whether they are is looked at below, and nothing may come in between.
        let _ = timeout_at(until, all).await;
        let mut state = self.state();
        let missing = self.missing(kinds, within, &state);
        if missing.is_empty() {
            return Ok(());
        }
        state.waiting.insert(who.clone());
        Err(Fault::Waiting {
            reason: Reason::ReferenceNotReady,
            message: format!("the operator could not list {} so far: its log says why", missing.join(", ")),
        })
    }

    /// The kinds that are not known there. A namespace that is not there holds nothing.
    fn missing(&self, kinds: &[&'static str], within: Option<&str>, state: &State) -> Vec<&'static str> {
        let is_out =
            |namespace: &str| within.is_none_or(|only| only == namespace) && (self.is_there)(namespace);
        let lacks =
            |kind: &&str| state.left_out.get(*kind).into_iter().flatten().any(|namespace| is_out(namespace));
        kinds.iter().copied().filter(|kind| !state.known.contains_key(kind) || lacks(kind)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Every namespace is there but `gone`.
    fn directories(kinds: Vec<&'static str>) -> Directories {
        Directories::of(kinds, Box::new(|namespace| namespace != "gone"))
    }

    fn web() -> Address {
        Address { kind: "Project", namespace: "team".into(), name: "web".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_known_whatever_else_is_not() {
        let directories = directories(vec!["Organization", "OrgMetadata"]);
        directories.add("Organization", Box::new(Empty), BTreeSet::new());
        let asked = Instant::now();
        directories.known(&["Organization"], None, &web()).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        let told = directories.complete(None, &web()).await.unwrap_err().to_string();
        assert!(told.contains("could not list OrgMetadata so far"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_comes_in_the_first_moment_is_waited_for() {
        let directories = directories(vec!["Organization"]);
        let (asking, organizations) = (web(), ["Organization"]);
        let known = directories.known(&organizations, None, &asking);
        let coming = async {
            tokio::time::sleep(MOMENT / 2).await;
            directories.add("Organization", Box::new(Empty), BTreeSet::new())
        };
        let (known, waited) = tokio::join!(known, coming);
        known.unwrap();
        assert_eq!(waited, BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn later_nobody_waits_here_and_all_are_woken_once_there_is_another() {
        let directories = directories(vec!["Organization", "OrgMetadata"]);
        directories.complete(None, &web()).await.unwrap_err();
        let asked = Instant::now();
        directories.complete(None, &web()).await.unwrap_err();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(
            directories.add("Organization", Box::new(Empty), BTreeSet::new()),
            BTreeSet::from([web()])
        );
        assert_eq!(directories.add("OrgMetadata", Box::new(Empty), BTreeSet::new()), BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_known_but_for_the_namespaces_left_out_of_which_one_that_is_gone_holds_nothing() {
        let directories = directories(vec!["Project"]);
        let left_out = ["gone", "shut"].map(str::to_owned).into();
        directories.add("Project", Box::new(Empty), left_out);
        let known = async |within| directories.complete(within, &web()).await.is_ok();
        let complete = [Some("team"), Some("shut"), Some("gone"), None].map(|ns| directories.is_complete(ns));
        assert_eq!(complete, [true, false, true, false]);
        assert!(known(Some("team")).await && !known(Some("shut")).await && !known(None).await);
        assert_eq!(directories.take_up("Project", "shut"), BTreeSet::from([web()]));
        assert!(known(None).await && directories.is_complete(None));
    }
}
