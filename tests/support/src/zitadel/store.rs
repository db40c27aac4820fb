//! The state of the instance: tables, their recent past, events.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Span, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

use super::behaviour::Behaviour;
use super::clock::{Clock, Ids};
use super::credentials::Credentials;
use super::failure::{Failure, Outcome};
use super::model::{
    DomainPolicy, Features, Member, Metadata, Moment, Organization, Project, Role, Stamp, User,
};
use super::policy::Policy;

/// Everything a read can see. Cheap to copy, which is how a lagging projection keeps the past.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) organizations: BTreeMap<String, Arc<Organization>>,
    pub(super) projects: BTreeMap<String, Arc<Project>>,
    /// By project id and role key.
    pub(super) roles: BTreeMap<(String, String), Arc<Role>>,
    /// By organization id and key.
    pub(super) metadata: BTreeMap<(String, String), Arc<Metadata>>,
    /// By organization id, which need not exist.
    pub(super) policies: BTreeMap<String, DomainPolicy>,
    pub(super) default_policy: Option<DomainPolicy>,
    /// By name and organization id, none for the instance; all but domain policies.
    pub(super) own_policies: BTreeMap<(&'static str, Option<String>), Arc<Policy>>,
    /// Every factor that was added, though reads may not show it: field, organization id, number.
    pub(super) factors: BTreeSet<(&'static str, Option<String>, usize)>,
    pub(super) features: BTreeMap<String, Features>,
    pub(super) users: BTreeMap<String, Arc<User>>,
    /// By user id and organization id, none for the instance.
    pub(super) members: BTreeMap<(String, Option<String>), Member>,
}

impl Tables {
    /// The policy that the organization, or without one the instance, has of its own.
    pub(super) fn policy(&self, name: &'static str, organization: Option<&str>) -> Option<&Arc<Policy>> {
        self.own_policies.get(&(name, organization.map(str::to_owned)))
    }
}

/// What events are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Aggregate {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) owner: String,
}

impl Aggregate {
    pub(super) fn of(kind: &'static str, id: &str, owner: &str) -> Self {
        Self { kind, id: id.to_owned(), owner: owner.to_owned() }
    }

    pub(super) fn organization(id: &str) -> Self {
        Self::of("org", id, id)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Editor {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) aggregate: Aggregate,
    pub(super) moment: Moment,
    pub(super) kind: &'static str,
    pub(super) payload: Value,
    pub(super) editor: Editor,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    /// The project that ZITADEL itself lives in, `iamProjectId`.
    pub(super) project: String,
    pub(super) default_organization: String,
    pub(super) generated_domain: String,
    pub(super) created: Stamp,
    pub(super) events: Vec<Event>,
    tables: Arc<Tables>,
    past: VecDeque<(Instant, Arc<Tables>)>,
    /// By name of a policy when its projection last caught up, and what it was then.
    caught_up: BTreeMap<&'static str, (Instant, Arc<Tables>)>,
    /// The sequence that each aggregate has reached.
    heads: HashMap<(&'static str, String), u64>,
}

impl Instance {
    pub(super) fn new(ids: &mut Ids, at: Timestamp) -> Self {
        let id = ids.id();
        Self {
            project: ids.id(),
            default_organization: String::new(),
            generated_domain: format!("zitadel-{}.localhost", &ids.suffix()[..6]),
            created: Stamp::new(Moment { sequence: 1, at }, &id),
            events: Vec::new(),
            tables: Arc::default(),
            past: VecDeque::new(),
            caught_up: BTreeMap::new(),
            heads: HashMap::new(),
            id,
        }
    }
}

/// Who writes, how many events there were before, and which of them others wrote since the write began.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) editor: Editor,
    pub(super) first: usize,
    pub(super) meanwhile: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) behaviour: Behaviour,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) credentials: Credentials,
    pub(super) instance: Instance,
    /// Instances taken away, the last one on top.
    pub(super) former: Vec<Instance>,
    pub(super) frozen: Option<Arc<Tables>>,
    pub(super) writer: Writer,
    /// Who changes things behind the operator's back.
    pub(super) person: Editor,
    /// Hosts under which the instance is found.
    pub(super) domains: Vec<String>,
    /// Scheme of the issuer.
    pub(super) scheme: &'static str,
}

impl Store {
    /// What commands decide upon.
    pub(super) fn current(&self) -> &Tables {
        &self.instance.tables
    }

    pub(super) fn edit(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.instance.tables)
    }

    /// What a single-object read sees.
    pub(super) fn read(&mut self) -> Arc<Tables> {
        match &self.frozen {
            Some(frozen) => frozen.clone(),
            None if self.behaviour.stale_reads => self.listed(),
            None => self.instance.tables.clone(),
        }
    }

    /// The projection of the policies of this name takes up every event.
    pub(super) fn catch_up(&mut self, policy: &'static str) {
        let now = self.read();
        self.instance.caught_up.insert(policy, (Instant::now(), now));
    }

    /// What a read of the policies of this name sees that does not make their projection catch up.
    pub(super) fn caught_up(&mut self, policy: &'static str) -> Arc<Tables> {
        let lag = self.behaviour.lag_most;
        match self.instance.caught_up.get(policy) {
            // What is projected by itself is older.
            Some((at, tables)) if *at + lag > Instant::now() => tables.clone(),
            _ => self.listed(),
        }
    }

    /// What a list sees.
    pub(super) fn listed(&mut self) -> Arc<Tables> {
        if let Some(frozen) = &self.frozen {
            return frozen.clone();
        }
        let lag = self.ids.between(self.behaviour.lag_least, self.behaviour.lag_most);
        let now = Instant::now();
        let past = &self.instance.past;
        let seen = past.iter().rev().find(|(at, _)| *at + lag <= now).or(past.front());
        seen.map_or_else(|| self.instance.tables.clone(), |(_, tables)| tables.clone())
    }

    /// Keeps what was just committed as a moment of the past, as far back as a lagging read may need.
    pub(super) fn settle(&mut self) {
        let lag = self.behaviour.lag_most;
        let past = &mut self.instance.past;
        if lag == Duration::ZERO {
            past.clear();
            return;
        }
        let now = Instant::now();
        past.push_back((now, self.instance.tables.clone()));
        while past.get(1).is_some_and(|(at, _)| *at + lag <= now) {
            past.pop_front();
        }
    }

    /// The aggregate of an organization or, without one, of the instance.
    pub(super) fn aggregate(&self, organization: Option<&str>) -> Aggregate {
        let instance = &self.instance.id;
        organization.map_or_else(|| Aggregate::of("instance", instance, instance), Aggregate::organization)
    }

    pub(super) fn events_written(&self) -> usize {
        self.instance.events.len()
    }

    /// The aggregate of each event from that one on, as `kind/id`.
    pub(super) fn events_since(&self, first: usize) -> Vec<String> {
        let events = self.instance.events.iter().skip(first);
        events.map(|event| format!("{}/{}", event.aggregate.kind, event.aggregate.id)).collect()
    }

    /// Appends one event.
    ///
    /// # Errors
    /// The 500 of an overlapping write if the aggregate moved since this write began, through another one; that of
    /// the database for a NUL character.
    pub(super) fn push(
        &mut self,
        aggregate: &Aggregate,
        kind: &'static str,
        payload: Value,
    ) -> Outcome<Moment> {
        let key = (aggregate.kind, aggregate.id.clone());
        let sequence = self.instance.heads.get(&key).copied().unwrap_or_default();
        if self.instance.events[self.writer.meanwhile.clone()]
            .iter()
            .any(|event| event.aggregate == *aggregate)
        {
            return Err(Failure::overlapping_write());
        }
        if payload.to_string().contains("\\u0000") {
            return Err(Failure::bare(2, "ERROR: unsupported Unicode escape sequence (SQLSTATE 22P05)"));
        }
        let moment = Moment { sequence: sequence + 1, at: self.next_moment() };
        let editor = self.writer.editor.clone();
        self.instance.events.push(Event { aggregate: aggregate.clone(), moment, kind, payload, editor });
        self.instance.heads.insert(key, moment.sequence);
        Ok(moment)
    }

    /// All events of one write have one time, that of its database statement.
    fn next_moment(&self) -> Timestamp {
        let now = self.clock.now();
        match self.instance.events.last() {
            Some(last) if self.instance.events.len() > self.writer.first => last.moment.at,
            Some(last) if last.moment.at >= now => last.moment.at + Span::new().microseconds(1),
            _ => now,
        }
    }
}
