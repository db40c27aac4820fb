//! Every spec that the schema of a kind allows may follow any other: the end is that of a fresh apply of the last one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use fastrand::Rng;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::crash::differences;
use crate::ending::{KINDS, in_zitadel};
use crate::mistakes::{comes_later, invalid, misled, usual};
use crate::person::{NAME, Person, Seen, known, observes, play, settle};
use crate::specs::{at, by_hand, fixed, leaves, parts, put_together, refused, rows, singles, spec_schema};
use crate::steady::unsteady;
use crate::world::say;

/// How often somebody is in haste.
const HASTE: usize = 8;

/// More values are not paired each with each.
const SMALL: usize = 4;

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
        if !seen.valid {
            return misled(kind, seen);
        }
        // Whoever observes leaves ZITADEL as it is, whatever it was before.
        let observed = observes(&seen.spec).then(|| (seen.ending["zitadel"].clone(), seen.before.clone()));
        let (mut found, mut expected) =
            observed.unwrap_or_else(|| (seen.ending.clone(), self.ending(kind, &seen.spec)));
        if seen.past.len() > 1 {
            // The first spec decided whether it was there before, and what was given up is taken over like that.
            let is_default = seen.spec["deletionPolicy"].is_null() && seen.past.iter().any(observes);
            let fields = ["origin", "deletionPolicy"].into_iter().take(1 + usize::from(is_default));
            for path in fields.map(|field| format!("/kubernetes/{kind}~1{NAME}/{field}")) {
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
            broken.extend(unsteady(world, |_| true).await);
            (person.seen, broken)
        });
        *self.counts.entry(what).or_default() += seen.len();
        self.faults.extend(broken.into_iter().map(|broken| format!("{what}: {broken}")));
        let judged = seen.iter().filter_map(|seen| self.fresh.judge(self.kind, seen));
        self.faults.extend(judged.map(|fault| format!("{what}: {fault}")));
    }

    fn close(self) {
        let (kind, total) = (self.kind, self.counts.values().sum::<usize>());
        let fresh = self.fresh.endings.borrow().len();
        say(&format!(
            "{kind}: {total} transitions {:?}, {fresh} ends, in {:?}",
            self.counts,
            self.began.elapsed()
        ));
        assert!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

fn holds_through_every_transition(kind: &'static str) {
    let mut account = Account::of(kind);
    let parts = parts(kind);
    let mut rng = Rng::with_seed(1);
    let (usual, fixed) = (usual(kind), fixed(kind));
    let singles = singles(&parts);
    account.course("one field", async |person| {
        for choices in &singles {
            // To change what is fixed is to make it anew: there is nothing to go back to.
            let is_fixed = fixed.iter().any(|field| choices.iter().any(|spec| spec[field] != usual[field]));
            for spec in if is_fixed { choices.clone() } else { tour(choices) } {
                person.turn(&spec).await;
            }
        }
    });
    let rows = rows(&parts, &mut rng);
    account.course("all fields", async |person| {
        for spec in &rows {
            person.turn(spec).await;
        }
    });
    account.course("made anew", async |person| {
        for spec in rows.iter().step_by(4) {
            person.remove().await;
            person.turn(spec).await;
        }
    });
    account.course("mistakes", async |person| {
        for fault in invalid(kind) {
            let wrong = put_together([&usual, &fault]);
            person.err(&wrong).await;
            person.turn(&usual).await;
            if !fault.as_object().is_some_and(|fields| fields.keys().any(|field| fixed.contains(field))) {
                person.err(&wrong).await;
                person.turn(&usual).await;
            }
            person.remove().await;
        }
    });
    let of_one: Value = fixed.iter().map(|field| (field.clone(), usual[field].clone())).collect();
    let managed = singles.concat().into_iter().chain(rows).filter(|spec| !observes(spec));
    // What a deletion would leave is in the way of whatever comes next.
    let goes = json!({ "deletionPolicy": "Delete" });
    let managed: Vec<Value> =
        managed.map(|spec| without_nulls(put_together([&spec, &of_one, &goes]))).collect();
    account.course("in haste", async |person| {
        for _ in 0..HASTE {
            let count = rng.usize(2..8);
            let specs: Vec<Value> = (0..count).filter_map(|_| rng.choice(&managed).cloned()).collect();
            person.hurry(&specs, &mut rng).await;
        }
    });
    let later = invalid(kind).iter().filter_map(|fault| comes_later(kind, fault)).collect::<Vec<_>>();
    *account.counts.entry("what was missing comes").or_default() += invalid(kind).len();
    account.faults.extend(later);
    account.close();
}

fn without_nulls(mut spec: Value) -> Value {
    spec.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    spec
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

/// A field that nobody wrote values for is seen here.
#[test]
fn every_leaf_of_every_schema_is_visited() {
    let mut missing = Vec::new();
    let mut known = BTreeSet::new();
    for kind in KINDS.into_iter().chain(["Connection"]) {
        let parts = parts(kind);
        let usual = usual(kind);
        let mut specs = singles(&parts).concat();
        specs.extend(invalid(kind).iter().map(|fault| put_together([&usual, fault])));
        for (path, members) in leaves(&spec_schema(kind), "") {
            let seen: BTreeSet<String> =
                specs.iter().flat_map(|spec| at(spec, &path)).map(|value| value.to_string()).collect();
            let all = members.iter().all(|member| seen.contains(&member.to_string()));
            if seen.len() < 2 || !all {
                missing.push(format!("{kind}: {path}: {seen:?}"));
            }
            known.extend(
                by_hand().filter(|hand| path == **hand || path.starts_with(&format!("{hand}."))).cloned(),
            );
        }
    }
    missing.extend(by_hand().filter(|hand| !known.contains(*hand)).map(|hand| format!("no field: {hand}")));
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The API server keeps out what the schema forbids, and so nothing comes of it.
#[test]
fn what_a_schema_refuses_changes_nothing() {
    for kind in KINDS {
        let refused = refused(kind);
        let accepted = play(async |world| {
            let mut person = Person::new(world, kind);
            person.turn(&usual(kind)).await;
            let (mark, version) = (world.zitadel.ledger().mark(), world.cluster.resource_version());
            let api = world.api(kind);
            let mut accepted = Vec::new();
            for spec in &refused {
                let mut object = api.get(NAME).await.expect("the resource");
                object.data["spec"] = known(world, spec);
                let outcome = api.replace(NAME, &PostParams::default(), &object).await;
                // A field that the schema does not know is dropped.
                if outcome.is_ok() && !spec.to_string().contains("undeclared") {
                    accepted.push(spec.to_string());
                }
            }
            settle(world).await;
            let written = world.cluster.writes_since(version);
            accepted.extend(written.iter().map(|write| format!("wrote {:?}", write.after)));
            let sent = world.zitadel.ledger().since(mark).into_iter().filter(|call| call.committed > 0);
            accepted.extend(sent.map(|call| format!("sent {}", call.path)));
            accepted
        });
        println!("{kind}: {} refused", refused.len());
        assert!(accepted.is_empty(), "{kind}: accepted {}", accepted.join("\n"));
    }
}

/// What is retained stays as it is, and can be taken up again.
#[test]
fn what_was_retained_is_taken_up_again() {
    for kind in KINDS {
        let fresh = Fresh::default();
        let spec = put_together([&usual(kind), &json!({ "deletionPolicy": "Retain" })]);
        let adoption = spec_schema(kind).properties.is_some_and(|p| p.contains_key("adoptionPolicy"));
        let adopting = if adoption { json!({ "adoptionPolicy": "ByName" }) } else { json!({}) };
        let spec = put_together([&spec, &adopting]);
        let expected = fresh.ending(kind, &spec);
        let (left, again) = play(async |world| {
            let mut person = Person::new(world, kind);
            person.turn(&spec).await;
            world.delete(kind, NAME).await;
            settle(world).await;
            assert!(world.get(kind, NAME).await.is_null());
            let left = in_zitadel(&world.zitadel);
            (person.now, person.past) = (Value::Null, Vec::new());
            person.turn(&spec).await;
            assert_eq!(world.oracle.broken(), Vec::<String>::new());
            (left, person.seen.remove(1).ending)
        });
        assert_eq!(left, expected["zitadel"], "{kind}");
        // It was there before: that is what its origin says.
        let path = format!("/kubernetes/{kind}~1{NAME}/origin");
        let origin = |mut ending: Value| {
            let origin = ending.pointer_mut(&path).map(Value::take);
            (ending, origin)
        };
        let ((again, adopted), (expected, created)) = (origin(again), origin(expected));
        assert_eq!(again, expected, "{kind}: {}", differences(&expected, &again));
        assert_eq!((created, adopted), (Some(json!("Created")), Some(json!("Adopted"))), "{kind}");
    }
}
