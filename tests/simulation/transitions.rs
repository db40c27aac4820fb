//! Every spec that the schema of a kind allows may follow any other: the end is that of a fresh apply of the last one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fastrand::Rng;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::crash::{behaviour, differences};
use crate::ending::{ending, in_zitadel};
use crate::specs::{fixed, parts, put_together, refused, rows, singles, spec_schema};
use crate::world::{CANARY, NAMESPACE, World, simulate};

/// Nothing comes later, but what is only looked at again.
const QUIET: Duration = Duration::from_secs(20);

/// Whatever is still tried then is tried for ever.
const PATIENCE: Duration = Duration::from_secs(240);

/// Two resyncs and a bit.
const STEADY: Duration = Duration::from_secs(23 * 60);

/// The resource that changes.
const NAME: &str = "web";

/// More values are not paired each with each.
const SMALL: usize = 6;

/// Somebody who applies one spec after the other.
struct Person<'a> {
    world: &'a World,
    kind: &'static str,
    fixed: BTreeSet<String>,
    now: Value,
    /// What the resource went through since it was made.
    past: Vec<Value>,
    seen: Vec<Seen>,
}

/// What came of a spec.
struct Seen {
    spec: Value,
    before: Value,
    ending: Value,
    /// What the resource went through since it was made.
    past: Vec<Value>,
}

impl<'a> Person<'a> {
    fn new(world: &'a World, kind: &'static str) -> Self {
        Self { world, kind, fixed: fixed(kind), now: Value::Null, past: Vec::new(), seen: Vec::new() }
    }

    /// Goes over to this spec, and waits for what comes of it.
    async fn turn(&mut self, spec: &Value) {
        let mut spec = spec.clone();
        if self.kind == "OrgMetadata" && observes(&spec) && !self.now.is_null() {
            spec["entries"] = self.now["entries"].clone();
        }
        let spec = &spec;
        if self.kind == "OrgMetadata" && observes(&self.now) {
            // What was let go is nobody's: its keys are only removed by whoever took them up again.
            let managed = put_together([&self.now, &json!({ "managementPolicy": "Manage" })]);
            self.apply(&managed).await;
            settle(self.world).await;
        }
        let other = self.fixed.iter().any(|field| self.now[field] != spec[field]);
        if other && self.is_bound().await {
            self.remove().await;
        }
        let before = in_zitadel(&self.world.zitadel);
        self.apply(spec).await;
        settle(self.world).await;
        self.past.push(spec.clone());
        self.now = spec.clone();
        self.seen.push(Seen { spec: spec.clone(), before, ending: ending(self.world).await, past: self.past.clone() });
    }

    /// Makes it, or puts the whole spec in the place of the one before.
    async fn apply(&self, spec: &Value) {
        let spec = known(self.world, spec);
        if self.now.is_null() {
            return self.world.apply(self.kind, NAME, spec).await;
        }
        let api = self.world.api(self.kind);
        loop {
            let mut object = api.get(NAME).await.expect("the resource");
            object.data["spec"] = spec.clone();
            match api.replace(NAME, &PostParams::default(), &object).await {
                // The operator was faster: it sets finalizers and annotations.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                outcome => return drop(outcome.expect("replaced")),
            }
        }
    }

    /// As the rules of the schema have it: the bound resource keeps its fixed fields.
    async fn is_bound(&self) -> bool {
        let status = self.world.get(self.kind, NAME).await["status"].clone();
        !status["organizationId"].is_null() || !status["id"].is_null()
    }

    /// Deletes it with all that it made, and waits for that.
    async fn remove(&mut self) {
        if self.now.is_null() {
            return;
        }
        let owning = json!({ "managementPolicy": "Manage", "deletionPolicy": "Delete" });
        self.apply(&put_together([&self.now, &owning])).await;
        settle(self.world).await;
        self.world.delete(self.kind, NAME).await;
        settle(self.world).await;
        self.past.clear();
        assert!(
            self.world.get(self.kind, NAME).await.is_null(),
            "{} is still there: {}",
            self.kind,
            self.now
        );
        self.now = Value::Null;
    }
}

fn observes(spec: &Value) -> bool {
    spec["managementPolicy"] == "Observe"
}

/// With the ids that stand in this world for the names of them.
fn known(world: &World, spec: &Value) -> Value {
    let id = |name: &str| {
        let found = world.zitadel.organizations().into_iter().find(|o| o.name == name);
        found.map(|organization| organization.id).unwrap_or_default()
    };
    let url = world.zitadel.url();
    let host = url.split("//").nth(1).unwrap_or_default();
    let text = spec.to_string().replace("$acme", &id("acme")).replace("$beta", &id("beta"));
    serde_json::from_str(&text.replace("$url", &url).replace("$host", host)).expect("JSON")
}

async fn settle(world: &World) {
    world.rest(QUIET, PATIENCE).await;
}

/// Everything that specs made from a schema may name, and an operator.
async fn prepare(world: &World) {
    world.zitadel.add_organization("beta");
    world.store("ConfigMap", "site", json!({ "data": { "region": "eu", "tier": "gold" } })).await;
    world.store("Secret", "vault", json!({ "stringData": { "one": CANARY, "two": "2" } })).await;
    world.apply("Organization", "shop", json!({})).await;
    world.start();
    settle(world).await;
}

fn play<T>(run: impl AsyncFnOnce(&World) -> T) -> T {
    simulate(1, behaviour(), async |world: World| {
        prepare(&world).await;
        run(&world).await
    })
}

/// I3: what is as it should be is only looked at.
async fn unsteady(world: &World) -> Vec<String> {
    let (mark, version) = (world.zitadel.ledger().mark(), world.cluster.resource_version());
    tokio::time::sleep(STEADY).await;
    let is_read = |path: &str| path.ends_with("_search") || path.contains("/oauth/");
    let calls = world.zitadel.ledger().since(mark);
    let sent = calls.iter().filter(|call| call.method != http::Method::GET && !is_read(&call.path));
    let written = world.cluster.writes_since(version);
    let written = written.iter().filter(|write| write.resource != "events");
    sent.map(|call| format!("I3: nothing to do, and sent {} {}", call.method, call.path))
        .chain(written.map(|write| {
            let body = |value: &Option<std::sync::Arc<Value>>| value.as_deref().cloned().unwrap_or_default();
            let told = differences(&body(&write.before), &body(&write.after));
            format!("I3: nothing to do, and wrote {} {}: {told}", write.resource, write.name)
        }))
        .collect()
}

/// How specs end that are applied to nothing.
#[derive(Default)]
struct Fresh {
    endings: RefCell<BTreeMap<String, Value>>,
}

impl Fresh {
    fn ending(&self, kind: &'static str, spec: &Value) -> Value {
        let key = format!("{kind} {spec}");
        if let Some(known) = self.endings.borrow().get(&key) {
            return known.clone();
        }
        let ending = play(async |world| {
            let mut person = Person::new(world, kind);
            person.turn(spec).await;
            person.seen.remove(0).ending
        });
        self.endings.borrow_mut().insert(key, ending.clone());
        ending
    }

    /// What is wrong with what was seen; nothing if all is well.
    fn judge(&self, kind: &'static str, seen: &Seen) -> Option<String> {
        let (mut found, mut expected) = (seen.ending.clone(), Value::Null);
        if observes(&seen.spec) {
            // Whoever observes leaves ZITADEL as it is, whatever it was before.
            (found, expected) = (found["zitadel"].clone(), seen.before.clone());
        } else {
            expected = self.ending(kind, &seen.spec);
            if seen.past.len() > 1 {
                // The first spec decided whether it was there before.
                let path = format!("/kubernetes/{kind}~1{NAME}/origin");
                for ending in [&mut found, &mut expected] {
                    ending.pointer_mut(&path).map(Value::take);
                }
            }
        }
        (found != expected).then(|| {
            let past: Vec<String> = seen.past.iter().rev().take(3).rev().map(ToString::to_string).collect();
            format!("{}: {}", past.join(" → "), differences(&expected, &found))
        })
    }
}

/// An order in which each follows each: small sets as pairs there and back, large ones around the first and in a row.
fn tour(specs: &[Value]) -> Vec<Value> {
    let pivots = if specs.len() <= SMALL { specs.len() } else { 1 };
    let mut order = Vec::new();
    for (index, pivot) in specs.iter().enumerate().take(pivots) {
        order.push(pivot.clone());
        order.extend(specs[index + 1..].iter().flat_map(|spec| [spec.clone(), pivot.clone()]));
    }
    if pivots < specs.len() {
        order.extend(specs.iter().skip(1).cloned());
    }
    order.dedup();
    order
}

/// What was tried of a kind, and what was wrong.
struct Account {
    kind: &'static str,
    fresh: Fresh,
    counts: BTreeMap<&'static str, usize>,
    faults: Vec<String>,
    began: Instant,
}

impl Account {
    fn of(kind: &'static str) -> Self {
        Self {
            kind,
            fresh: Fresh::default(),
            counts: BTreeMap::new(),
            faults: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Has a person do this in one world.
    fn course(&mut self, what: &'static str, act: impl AsyncFnOnce(&mut Person<'_>)) {
        let (seen, broken) = play(async |world| {
            let mut person = Person::new(world, self.kind);
            act(&mut person).await;
            let mut broken = world.oracle.broken();
            broken.extend(unsteady(world).await);
            (person.seen, broken)
        });
        *self.counts.entry(what).or_default() += seen.len();
        self.faults.extend(broken.into_iter().map(|broken| format!("{what}: {broken}")));
        let played = self.began.elapsed();
        let judged = seen.iter().filter_map(|seen| self.fresh.judge(self.kind, seen));
        self.faults.extend(judged.map(|fault| format!("{what}: {fault}")));
        eprintln!("TIME {} {what} {} {played:?} {:?} {}", self.kind, seen.len(), self.began.elapsed(), self.fresh.endings.borrow().len());
    }

    fn close(self) {
        let (kind, total) = (self.kind, self.counts.values().sum::<usize>());
        let fresh = self.fresh.endings.borrow().len();
        println!(
            "{kind}: {total} transitions {:?}, {fresh} ends, in {:?}",
            self.counts,
            self.began.elapsed()
        );
        assert!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

fn holds_through_every_transition(kind: &'static str) {
    let mut account = Account::of(kind);
    let parts = parts(kind);
    let mut rng = Rng::with_seed(1);
    for choices in singles(&parts) {
        account.course("one field", async |person| {
            for spec in tour(&choices) {
                person.turn(&spec).await;
            }
        });
    }
    let rows = rows(&parts, &mut rng);
    account.course("all fields", async |person| {
        for spec in tour(&rows) {
            person.turn(&spec).await;
        }
    });
    account.close();
}

#[test]
fn a_project_ends_as_its_last_spec_says() {
    holds_through_every_transition("Project");
}

#[test]
fn an_organization_ends_as_its_last_spec_says() {
    holds_through_every_transition("Organization");
}

#[test]
fn org_metadata_end_as_their_last_spec_says() {
    holds_through_every_transition("OrgMetadata");
}

#[test]
fn an_org_domain_policy_ends_as_its_last_spec_says() {
    holds_through_every_transition("OrgDomainPolicy");
}

#[test]
fn org_features_end_as_their_last_spec_says() {
    holds_through_every_transition("OrgFeatures");
}

#[test]
fn zz_timing() {
    let t = Instant::now();
    for _ in 0..10 { simulate(1, behaviour(), async |_world: World| ()); }
    println!("world {:?}", t.elapsed() / 10);
    let t = Instant::now();
    for _ in 0..10 { play(async |_| ()); }
    println!("prepare {:?}", t.elapsed() / 10);
    let t = Instant::now();
    play(async |world| { let t = Instant::now();
    for _ in 0..10 { settle(world).await; } println!("settle {:?}", t.elapsed() / 10);
      let t = Instant::now();
    for _ in 0..10 { ending(world).await; } println!("ending {:?}", t.elapsed() / 10);
      let t = Instant::now();
    for _ in 0..10 { world.apply("Project", "x", json!({})).await; } println!("apply {:?}", t.elapsed() / 10);
    });
    println!("{:?}", t.elapsed());
}
