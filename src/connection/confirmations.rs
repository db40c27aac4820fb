//! What a cluster admin confirms by annotations of a `ClusterConnection`, and which resources wait for that.

use std::collections::{BTreeMap, HashMap};

use parking_lot::{Mutex, MutexGuard};

use crate::api::ConnectionKind;
use crate::api::address::{Address, ConnectionKey};
use crate::api::annotation::{CONFIRM_DEACTIVATION, CONFIRM_DELETION, CONFIRM_OWN_RENAME};

/// What the connection's own user suffers: through a `ClusterConnection` that concerns every tenant.
const OF_OWN_USER: [&str; 3] = [CONFIRM_OWN_RENAME, CONFIRM_DEACTIVATION, CONFIRM_DELETION];

/// An annotation, and the value that confirms.
pub type Needed<'a> = (&'a str, &'a str);

/// Whether this is confirmed for everybody who uses the connection.
pub fn is_of_own_user((annotation, _): &Needed<'_>) -> bool {
    OF_OWN_USER.contains(annotation)
}

/// The confirmations of all connections.
///
/// Guarantee: who was told that one is lacking is among those that the next change of the connection's confirmations wakes.
#[derive(Default)]
pub struct Confirmations {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    given: HashMap<ConnectionKey, BTreeMap<String, String>>,
    /// By UID: no more than there are resources.
    waiting: HashMap<String, (ConnectionKey, Address)>,
}

impl Confirmations {
    /// Takes the annotations that the connection has now. Answers whom to wake: all who wait, where a confirmation changed.
    /// Of a `Connection` nothing is kept.
    pub fn observe(&self, key: &ConnectionKey, annotations: &BTreeMap<String, String>) -> Vec<Address> {
        let is_kept =
            |name: &str| key.kind == ConnectionKind::ClusterConnection && OF_OWN_USER.contains(&name);
        let kept = annotations.iter().filter(|(name, _)| is_kept(name));
        let given: BTreeMap<_, _> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut state = self.state();
        if state.given.get(key).map_or(given.is_empty(), |before| *before == given) {
            return Vec::new();
        }
        match given.is_empty() {
            true => drop(state.given.remove(key)),
            false => drop(state.given.insert(key.clone(), given)),
        }
        state.waiting.extract_if(|_, (connection, _)| connection == key).map(|(_, (_, who))| who).collect()
    }

    /// Those of these that the connection does not confirm. Where there are any, the resource with this UID waits.
    pub fn lacking<'a>(
        &self,
        key: &ConnectionKey,
        (uid, who): (&str, Address),
        needed: &[Needed<'a>],
    ) -> Vec<Needed<'a>> {
        let mut state = self.state();
        let given = state.given.get(key);
        let is_given = |(name, value): &Needed<'_>| {
            given.and_then(|given| given.get(*name)).is_some_and(|given| given == value)
        };
        let lacking: Vec<_> = needed.iter().copied().filter(|needed| !is_given(needed)).collect();
        match lacking.is_empty() {
            true => drop(state.waiting.remove(uid)),
            false => drop(state.waiting.insert(uid.into(), (key.clone(), who))),
        }
        lacking
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.state().waiting.remove(uid);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::annotation::CONFIRM_USERNAME_REWRITE;

    const RENAME: Needed<'static> = (CONFIRM_OWN_RENAME, "Acme Inc");
    const DEACTIVATION: Needed<'static> = (CONFIRM_DEACTIVATION, "7");

    fn key(kind: ConnectionKind, name: &str) -> ConnectionKey {
        ConnectionKey { kind, namespace: String::new(), name: name.into() }
    }

    fn shared(name: &str) -> ConnectionKey {
        key(ConnectionKind::ClusterConnection, name)
    }

    fn who(name: &str) -> Address {
        Address { kind: "Organization", namespace: "team".into(), name: name.into() }
    }

    fn given(confirmations: &[Needed<'_>]) -> BTreeMap<String, String> {
        confirmations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_confirmation_counts_for_its_connection_and_value_alone() {
        let all = Confirmations::default();
        let lacking = |name: &str, needed| all.lacking(&shared(name), ("1", who("acme")), &[needed]);
        assert!(all.observe(&shared("a"), &given(&[DEACTIVATION])).is_empty(), "nobody waited");
        assert_eq!(lacking("a", DEACTIVATION), []);
        for (name, needed) in [("b", DEACTIVATION), ("a", RENAME), ("a", (CONFIRM_DEACTIVATION, "8"))] {
            assert_eq!(lacking(name, needed), [needed]);
        }
        all.observe(&shared("a"), &BTreeMap::new());
        assert_eq!(lacking("a", DEACTIVATION), [DEACTIVATION], "it was taken away");
    }

    #[test]
    fn a_namespaced_connection_confirms_nothing_for_others_and_nobody_the_users_of_a_tenant() {
        let (all, tenants) = (Confirmations::default(), key(ConnectionKind::Connection, "a"));
        all.observe(&tenants, &given(&[DEACTIVATION]));
        assert_eq!(all.lacking(&tenants, ("1", who("acme")), &[DEACTIVATION]), [DEACTIVATION]);
        let rewrite = (CONFIRM_USERNAME_REWRITE, "true");
        assert!(!is_of_own_user(&rewrite) && is_of_own_user(&RENAME));
        all.observe(&shared("a"), &given(&[rewrite]));
        assert_eq!(all.lacking(&shared("a"), ("1", who("acme")), &[rewrite]), [rewrite]);
    }

    #[test]
    fn a_change_of_the_confirmations_wakes_who_waits_for_one_of_that_connection() {
        let all = Confirmations::default();
        for (uid, connection) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")] {
            all.lacking(&shared(connection), (uid, who(uid)), &[DEACTIVATION]);
        }
        all.forget("4");
        let other = given(&[("zitadel-operator.dev/reconcile-requested-at", "now")]);
        assert_eq!(all.observe(&shared("a"), &other), [], "it confirms nothing");
        let mut woken = all.observe(&shared("a"), &given(&[RENAME]));
        woken.sort_unstable();
        assert_eq!(woken, [who("1"), who("2")]);
        assert_eq!(all.observe(&shared("a"), &given(&[DEACTIVATION])), [], "nobody has asked again");
        all.lacking(&shared("a"), ("1", who("1")), &[RENAME]);
        all.lacking(&shared("a"), ("1", who("1")), &[DEACTIVATION]);
        assert_eq!(all.observe(&shared("a"), &BTreeMap::new()), [], "nothing is lacking any more");
    }
}
