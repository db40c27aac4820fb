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
