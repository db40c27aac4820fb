//! Schedules that once failed, cut down to what was needed, each with the defect it found.

use serde_json::json;

use crate::deed::Deed::*;
use crate::random::check;
use crate::schedule::{Epoch, Schedule};
use crate::trouble::Trouble;

fn holds(seed: u64, epochs: Vec<Epoch>) {
    if let Some(failure) = check(seed, &Schedule { epochs }) {
        panic!("{failure}");
    }
}

/// A stopped process that went on after its Lease had ended applied its status again over that of its successor, so that
/// a project that was created passed for adopted: checked only before each step, the Lease was not asked for the retry.
#[test]
fn a_deposed_leader_writes_nothing_over_its_successor() {
    for (seed, at, stalled) in [(122, 5, 33), (95, 9816, 25), (7, 4100, 20)] {
        let apply = Apply("Project", "b".into(), json!({ "name": "b", "projectRoleCheck": true }).into());
        let troubles = vec![(at, Trouble::Stall(stalled))];
        holds(seed, vec![Epoch { deeds: vec![vec![(4014, apply)]], troubles, ..Epoch::default() }]);
    }
}

/// A key that was claimed in an outage and left the spec before the outage ended stayed claimed: given up was only what
/// the status had proved.
#[test]
fn a_key_that_left_the_spec_unrecorded_is_free() {
    let entries = |keys: &[&str]| {
        let entries: Vec<_> = keys.iter().map(|key| json!({ "key": key, "value": "gold" })).collect();
        json!({ "entries": entries }).into()
    };
    let labels = |at, keys: &[&str]| (at, Apply("OrgMetadata", "labels".into(), entries(keys)));
    let first = Epoch {
        deeds: vec![vec![labels(7249, &["tier", "a/b"]), labels(5882, &["a/b"])]],
        troubles: vec![(2609, Trouble::Outage(38))],
        ..Epoch::default()
    };
    let more = vec![vec![(3036, Apply("OrgMetadata", "more".into(), entries(&["tier"])))]];
    holds(1042, vec![first, Epoch { deeds: more, ..Epoch::default() }]);
}

/// A project that was removed, and whose name another took meanwhile, was begun anew at every resync: two writes here and a
/// refused call there, for nothing. It searches for the name first.
#[test]
fn a_removed_project_whose_name_is_taken_is_not_begun_again_and_again() {
    let project = |at, name: &str| (at, Apply("Project", name.into(), json!({ "name": "d" }).into()));
    let first = Epoch { deeds: vec![vec![project(1503, "d")]], ..Epoch::default() };
    let second = Epoch {
        edits: vec![RemoveProject("d".into())],
        deeds: vec![vec![project(6267, "e")]],
        ..Epoch::default()
    };
    for seed in 0..4 {
        holds(seed, vec![first.clone(), second.clone()]);
    }
}
