//! Names that pass from one resource to another: the end is that of resources that were called so from the beginning.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::differences;
use crate::ending::{ending, kinds};
use crate::person::{play, settle};
use crate::specs::spec_schema;
use crate::steady::unsteady;
use crate::world::World;

/// What each of these is called, one after the other.
struct Renaming {
    before: &'static [(&'static str, &'static str)],
    steps: &'static [&'static [(&'static str, &'static str)]],
    /// Who then waits for a name in vain.
    stuck: bool,
}

const fn renaming(
    before: &'static [(&'static str, &'static str)],
    steps: &'static [&'static [(&'static str, &'static str)]],
) -> Renaming {
    Renaming { before, steps, stuck: false }
}

const RENAMINGS: &[Renaming] = &[
    renaming(&[("x", "a")], &[&[("x", "b")], &[("x", "c")], &[("x", "a")]]),
    renaming(&[("x", "a")], &[&[("x", "A")], &[("x", "a")], &[("x", "A")]]),
    renaming(&[("x", "a"), ("y", "b")], &[&[("x", "t")], &[("y", "a")], &[("x", "b")]]),
    renaming(&[("x", "a"), ("y", "b")], &[&[("x", "c"), ("y", "a")]]),
    renaming(&[("x", "a"), ("y", "b")], &[&[("y", "a"), ("x", "c")]]),
    renaming(
        &[("x", "a"), ("y", "b"), ("z", "c")],
        &[&[("x", "t")], &[("z", "a"), ("y", "c")], &[("x", "b")]],
    ),
    Renaming { stuck: true, ..renaming(&[("x", "a"), ("y", "b")], &[&[("x", "b"), ("y", "a")]]) },
    renaming(&[("x", "a"), ("y", "b")], &[&[("x", "b"), ("y", "a")], &[("x", "t")], &[("x", "b")]]),
    renaming(&[("x", "a"), ("y", "b")], &[&[("x", "b"), ("y", "a")], &[("y", "b"), ("x", "a")]]),
];

async fn name(world: &World, kind: &str, names: &[(&str, &str)]) {
    for (resource, name) in names {
        world.apply(kind, resource, json!({ "name": name, "deletionPolicy": "Delete" })).await;
    }
}

/// How it ends where each is called so from the beginning.
fn named_at_last(kind: &'static str, renaming: &Renaming) -> Value {
    let mut last = BTreeMap::new();
    for (resource, name) in renaming.before.iter().chain(renaming.steps.concat().iter()) {
        last.insert(*resource, *name);
    }
    let last: Vec<(&str, &str)> = last.into_iter().collect();
    play(async |world| {
        name(world, kind, &last).await;
        settle(world).await;
        ending(world).await
    })
}

/// What is wrong with the end of it; with `fast` nothing is waited for in between.
fn rename(kind: &'static str, renaming: &Renaming, fast: bool, expected: &Value) -> Option<String> {
    let (found, broken) = play(async |world| {
        name(world, kind, renaming.before).await;
        settle(world).await;
        for step in renaming.steps {
            name(world, kind, step).await;
            tokio::time::sleep(Duration::from_millis(if fast { 150 } else { 60_000 })).await;
        }
        settle(world).await;
        let end = ending(world).await;
        let mut broken = world.oracle.broken();
        broken.extend(unsteady(world, |_| true).await);
        (end, broken)
    });
    let conflicts = found.to_string().matches("\"Conflict\"").count() > 0;
    match (renaming.stuck, conflicts) {
        // A name is never given up for another's sake: two that swap theirs wait for a person, and ask now and then.
        (true, true) => broken.into_iter().find(|broken| !broken.contains("sent PUT")),
        (true, false) => Some("nobody waits".into()),
        (false, _) => {
            broken.into_iter().next().or((found != *expected).then(|| differences(expected, &found)))
        }
    }
}

#[test]
fn names_pass_from_one_to_another() {
    let mut faults = Vec::new();
    let kinds = kinds()
        .into_iter()
        .filter(|kind| spec_schema(kind).properties.is_some_and(|p| p.contains_key("name")));
    for kind in kinds {
        for renaming in RENAMINGS {
            let expected = named_at_last(kind, renaming);
            for fast in [true, false] {
                let fault = rename(kind, renaming, fast, &expected);
                faults
                    .extend(fault.map(|fault| format!("{kind}, {:?}, fast {fast}: {fault}", renaming.steps)));
            }
        }
        println!("{kind}: {} renamings", 2 * RENAMINGS.len());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
