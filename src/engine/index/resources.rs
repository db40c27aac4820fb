//! What the cluster holds, indexed, so that nobody looks at everything to find something.
//!
//! Guarantees: it has what the watches have passed on so far, and costs a look as much as what is found there. An entry
//! is replaced as a whole when its resource changes, and goes with it; a relist tells what went as a watch does.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::api::address::{Address, ConnectionKey};
use crate::engine::decision::claimant::Claimant;
use crate::engine::decision::conditions::ReadyState;
use crate::engine::index::facts::Facts;
use crate::engine::index::needs::{self, Need, Use};
use crate::engine::index::relation::Relation;
use crate::engine::index::selector::Selector;
use crate::engine::metrics::counters::Visits;

/// The resources of all kinds, and the connections.
#[derive(Default)]
pub struct Index {
    state: Mutex<State>,
    visits: Visits,
}

#[derive(Default)]
struct State {
    entries: HashSet<Entry>,
    related: HashMap<Arc<Relation>, BTreeSet<Arc<Claimant>>>,
    /// What the users of each connection need, and how many need the very same.
    uses: HashMap<ConnectionKey, Tally<Arc<Use>>>,
    readiness: Tally<Arc<(&'static str, ReadyState)>>,
}

/// What is kept of a resource, found by its UID; what others have too is kept once.
struct Entry {
    who: Arc<Claimant>,
    relations: Box<[Arc<Relation>]>,
    uses: Option<Arc<Use>>,
    readiness: Arc<(&'static str, ReadyState)>,
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        &self.who.uid
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.who.uid.hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.who.uid == other.who.uid
    }
}

impl Eq for Entry {}

impl Entry {
    fn connection(&self) -> Option<&ConnectionKey> {
        self.relations.iter().find_map(|relation| match &**relation {
            Relation::Connection(key) => Some(key),
            _ => None,
        })
    }
}

impl Index {
    /// An empty one that counts here what it looks at.
    pub fn new(visits: Visits) -> Self {
        Self { state: Mutex::default(), visits }
    }

    /// A resource as it is now; answers the connection that it used before and uses no more.
    pub fn put(&self, facts: Facts) -> Option<ConnectionKey> {
        let mut state = self.state();
        let known = state.known(&facts.who);
        let before = state.take(&facts.who.uid);
        let now = state.enter(facts, known);
        before.filter(|before| now.as_ref() != Some(before))
    }

    /// The resource with this UID is gone; answers the connection that it used.
    pub fn remove(&self, uid: &str) -> Option<ConnectionKey> {
        self.state().take(uid)
    }

    /// The same as it is kept here, so that it is kept once.
    pub fn kept(&self, claimant: Claimant) -> Arc<Claimant> {
        self.visits.inc();
        let known = self.state().known(&claimant);
        known.unwrap_or_else(|| Arc::new(claimant))
    }

    /// Those that have this in common.
    pub fn list(&self, selector: Selector<'_>) -> Vec<Address> {
        let state = self.state();
        let found: BTreeSet<_> = self.selector(&state, selector).collect();
        found.into_iter().map(|claimant| claimant.address.clone()).collect()
    }

    /// Has any of them this in common?
    pub fn has_any(&self, selector: Selector<'_>) -> bool {
        self.selector(&self.state(), selector).next().is_some()
    }

    /// How many use this connection, or may once they parse.
    pub fn users(&self, key: &ConnectionKey) -> usize {
        let (state, relations) = (self.state(), Relation::of(Selector::Connection(key)));
        relations.iter().filter_map(|relation| state.related.get(relation)).map(BTreeSet::len).sum()
    }

    /// Does this very resource use the connection?
    pub fn uses(&self, key: &ConnectionKey, who: &Claimant) -> bool {
        let state = self.state();
        let users = state.related.get(&Relation::Connection(key.clone()));
        self.visits.inc();
        users.is_some_and(|users| users.contains(who))
    }

    /// What those that use this connection need.
    pub fn needs(&self, key: &ConnectionKey) -> Vec<Need> {
        let state = self.state();
        let uses = state.uses.get(key).into_iter().flat_map(Tally::keys);
        needs::of(uses.map(|one| &**one).inspect(|_| {
            self.visits.inc();
        }))
    }

    /// Kind and readiness, and how many of a kind are so.
    pub fn readiness(&self) -> Vec<((&'static str, ReadyState), usize)> {
        self.state().readiness.0.iter().map(|(so, many)| (**so, *many)).collect()
    }

    fn selector<'a>(
        &self,
        state: &'a State,
        selector: Selector<'a>,
    ) -> impl Iterator<Item = &'a Arc<Claimant>> {
        let related = Relation::of(selector).into_iter().filter_map(|relation| state.related.get(&relation));
        let visits = self.visits.clone();
        let users = match selector {
            Selector::Using { connection, .. } => {
                state.related.get(&Relation::Connection(connection.clone()))
            }
            _ => None,
        };
        related.flatten().filter(move |claimant| {
            visits.inc();
            match selector {
                Selector::Organization { owner, .. } => owner.has_member(claimant),
                Selector::Using { .. } => users.is_some_and(|users| users.contains(*claimant)),
                _ => true,
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn known(&self, who: &Claimant) -> Option<Arc<Claimant>> {
        let known = &self.entries.get(who.uid.as_str())?.who;
        (**known == *who).then(|| known.clone())
    }

    fn enter(&mut self, facts: Facts, known: Option<Arc<Claimant>>) -> Option<ConnectionKey> {
        let Facts { who, relations, uses, readiness } = facts;
        let who = known.unwrap_or_else(|| Arc::new(who));
        let relations: Box<[_]> =
            relations.into_iter().map(|relation| shared(&self.related, relation)).collect();
        for relation in &relations {
            self.related.entry(relation.clone()).or_default().insert(who.clone());
        }
        let readiness = self.readiness.add(Arc::new((who.address.kind, readiness)));
        let mut entry = Entry { who, relations, uses: None, readiness };
        let connection = entry.connection().cloned();
        if let (Some(key), Some(uses)) = (&connection, uses) {
            entry.uses = Some(self.uses.entry(key.clone()).or_default().add(Arc::new(uses)));
        }
        self.entries.replace(entry);
        connection
    }

    fn take(&mut self, uid: &str) -> Option<ConnectionKey> {
        let entry = self.entries.take(uid)?;
        for relation in &entry.relations {
            if let Some(related) = self.related.get_mut(relation) {
                related.remove(&entry.who);
                if related.is_empty() {
                    self.related.remove(relation);
                }
            }
        }
        self.readiness.subtract(&entry.readiness);
        let key = entry.connection()?;
        if let (Some(uses), Some(tally)) = (&entry.uses, self.uses.get_mut(key)) {
            tally.subtract(uses);
            if tally.0.is_empty() {
                self.uses.remove(key);
            }
        }
        Some(key.clone())
    }
}

/// The same relation as others have it, so that it is kept once.
fn shared<T>(related: &HashMap<Arc<Relation>, T>, relation: Relation) -> Arc<Relation> {
    related.get_key_value(&relation).map_or_else(|| Arc::new(relation), |(known, _)| known.clone())
}

/// How many there are of each.
struct Tally<T>(BTreeMap<T, usize>);

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Tally<T> {
    /// One more; answers it as it is kept.
    fn add(&mut self, one: T) -> T {
        let known = self.0.get_key_value(&one).map_or(one, |(known, _)| known.clone());
        *self.0.entry(known.clone()).or_default() += 1;
        known
    }

    fn subtract<Q: Ord + ?Sized>(&mut self, one: &Q)
    where
        T: Borrow<Q>,
    {
        if let Some(many) = self.0.get_mut(one) {
            *many -= 1;
            if *many == 0 {
                self.0.remove(one);
            }
        }
    }

    fn keys(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests;
