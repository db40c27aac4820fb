//! The resources of all kinds, as the kinds become known: each once it was listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::api::address::Address;
use crate::api::{CommonStatus, Reason};
use crate::engine::decision::error::ReconcileError;

/// The resources of a kind, as the cluster has them.
pub trait ResourceIndex: Send + Sync {
    /// The status of one; `None` where there is no such resource.
    fn status(&self, address: &Address) -> Option<CommonStatus>;
}

/// After a start all kinds become known within moments of each other; so long nobody is told to wait for one.
const MOMENT: Duration = Duration::from_secs(10);

/// Is there a namespace of this name?
type IsThere = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The directories of the kinds that are known.
pub(crate) type Known = BTreeMap<&'static str, Box<dyn ResourceIndex>>;

/// The kinds that there are, and what is known of them.
pub(crate) struct ResourceIndexes {
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

impl ResourceIndexes {
    /// Of these kinds, none of which is known.
    pub(crate) fn of(kinds: Vec<&'static str>, is_there: IsThere) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { kinds, is_there, state, changed, patience: OnceLock::new() }
    }

    /// This kind is known from now on, but for what is in these namespaces; returns who waited for one.
    pub(crate) fn add(
        &self,
        kind: &'static str,
        resource_index: Box<dyn ResourceIndex>,
        left_out: BTreeSet<String>,
    ) -> BTreeSet<Address> {
        let mut state = self.state();
        state.known.insert(kind, resource_index);
        state.left_out.insert(kind, left_out);
        self.changed.notify_waiters();
        std::mem::take(&mut state.waiting)
    }

    /// This kind is known in this namespace too from now on; returns who waited.
    pub(crate) fn take_up(&self, kind: &'static str, namespace: &str) -> BTreeSet<Address> {
        let mut state = self.state();
        state.left_out.entry(kind).or_default().remove(namespace);
        self.changed.notify_waiters();
        std::mem::take(&mut state.waiting)
    }

    /// What this makes of what is known.
    pub(crate) fn read<T>(&self, ask: impl FnOnce(&Known) -> T) -> T {
        ask(&self.state().known)
    }

    /// Is it one of the kinds, and not known?
    pub(crate) fn lacks(&self, kind: &'static str) -> bool {
        self.kinds.contains(&kind) && !self.state().known.contains_key(kind)
    }

    /// Are all kinds known in this namespace, or without one in all of them?
    pub(crate) fn is_complete(&self, within: Option<&str>) -> bool {
        self.missing(&self.kinds, within, &self.state()).is_empty()
    }

    /// Resolves once all kinds are known in this namespace, or without one in all of them.
    ///
    /// # Errors
    /// As [`Self::known`].
    pub(crate) async fn complete(&self, within: Option<&str>, who: &Address) -> Result<(), ReconcileError> {
        self.known(&self.kinds, within, who).await
    }

    /// Resolves once these kinds are known in this namespace, or without one in all of them; waits for that only in the
    /// first moment.
    ///
    /// # Errors
    /// `ReferenceNotReady` later; `who` is among those that wait then.
    pub(crate) async fn known(
        &self,
        kinds: &[&'static str],
        within: Option<&str>,
        who: &Address,
    ) -> Result<(), ReconcileError> {
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
        Err(ReconcileError::Waiting {
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
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty;

    impl ResourceIndex for Empty {
        fn status(&self, _: &Address) -> Option<CommonStatus> {
            None
        }
    }

    /// Every namespace is there but `gone`.
    fn resource_indexes(kinds: Vec<&'static str>) -> ResourceIndexes {
        ResourceIndexes::of(kinds, Box::new(|namespace| namespace != "gone"))
    }

    fn web() -> Address {
        Address { kind: "Project", namespace: "team".into(), name: "web".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_known_whatever_else_is_not() {
        let resource_indexes = resource_indexes(vec!["Organization", "OrgMetadata"]);
        resource_indexes.add("Organization", Box::new(Empty), BTreeSet::new());
        let asked = Instant::now();
        resource_indexes.known(&["Organization"], None, &web()).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        let message = resource_indexes.complete(None, &web()).await.unwrap_err().to_string();
        assert!(message.contains("could not list OrgMetadata so far"), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_comes_in_the_first_moment_is_waited_for() {
        let resource_indexes = resource_indexes(vec!["Organization"]);
        let (asking, organizations) = (web(), ["Organization"]);
        let known = resource_indexes.known(&organizations, None, &asking);
        let coming = async {
            tokio::time::sleep(MOMENT / 2).await;
            resource_indexes.add("Organization", Box::new(Empty), BTreeSet::new())
        };
        let (known, waited) = tokio::join!(known, coming);
        known.unwrap();
        assert_eq!(waited, BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn later_nobody_waits_here_and_all_are_woken_once_there_is_another() {
        let resource_indexes = resource_indexes(vec!["Organization", "OrgMetadata"]);
        resource_indexes.complete(None, &web()).await.unwrap_err();
        let asked = Instant::now();
        resource_indexes.complete(None, &web()).await.unwrap_err();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(
            resource_indexes.add("Organization", Box::new(Empty), BTreeSet::new()),
            BTreeSet::from([web()])
        );
        assert_eq!(resource_indexes.add("OrgMetadata", Box::new(Empty), BTreeSet::new()), BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_is_known_but_for_the_namespaces_left_out_of_which_one_that_is_gone_holds_nothing() {
        let resource_indexes = resource_indexes(vec!["Project"]);
        let left_out = ["gone", "shut"].map(str::to_owned).into();
        resource_indexes.add("Project", Box::new(Empty), left_out);
        let known = async |within| resource_indexes.complete(within, &web()).await.is_ok();
        let complete =
            [Some("team"), Some("shut"), Some("gone"), None].map(|ns| resource_indexes.is_complete(ns));
        assert_eq!(complete, [true, false, true, false]);
        assert!(known(Some("team")).await && !known(Some("shut")).await && !known(None).await);
        assert_eq!(resource_indexes.take_up("Project", "shut"), BTreeSet::from([web()]));
        assert!(known(None).await && resource_indexes.is_complete(None));
    }
}
