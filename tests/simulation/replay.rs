//! A seed replays: the same requests to both servers, at the same moments, with the same answers.

use std::collections::BTreeSet;

use crate::deed::Deed;
use crate::random::{line, trace};
use crate::schedule::{Schedule, schedule};

/// kube's scheduler takes resources of one kind that are due at the same moment in the order of a hash set, which no seed
/// decides. Where no kind has two resources nothing is left to chance.
fn is_decided(schedule: &Schedule) -> bool {
    let deeds = schedule.epochs.iter().flat_map(|epoch| epoch.deeds.iter().flatten());
    let named: BTreeSet<_> = deeds
        .filter_map(|(_, deed)| match deed {
            Deed::Apply(kind, name, _) => Some((*kind, name.clone())),
            _ => None,
        })
        .collect();
    let kinds: BTreeSet<_> = named.iter().map(|(kind, _)| kind).collect();
    kinds.len() == named.len()
}

#[test]
fn the_same_seed_is_the_same_run() {
    let decided = (0..).map(|seed| (seed, schedule(seed))).filter(|(_, schedule)| is_decided(schedule));
    for (seed, schedule) in decided.take(40) {
        let run = || trace(seed, &schedule, &line(seed));
        let (one, other) = (run(), run());
        let differing = one.iter().zip(&other).position(|(one, other)| one != other);
        let at = differing.map(|index| (index, &one[index], &other[index]));
        assert!(one == other, "seed {seed}: of {} and {} requests, first {at:?}", one.len(), other.len());
    }
}
