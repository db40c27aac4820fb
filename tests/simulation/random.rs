//! Random schedules: with all that goes wrong the end is the same as without, and what must hold holds throughout.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value;
use support::kubernetes::Call;
use support::zitadel::Behaviour;

use crate::crash::{behaviour, differences};
use crate::ending::ending;
use crate::header::astray;
use crate::schedule::{Epoch, Schedule, schedule};
use crate::steady::unsteady;
use crate::trouble::{Trouble, calm};
use crate::world::{World, say, simulate};

/// After the last trouble everything is as it should be within that time: some of the slowest retries, and a resync.
const BOUND: Duration = Duration::from_secs(4 * 60);

/// So long, and so many schedules at least.
const SPAN: Duration = Duration::from_secs(120);
const LEAST: u64 = 1000;

/// After so many the rest would say the same.
const MOST_FAILURES: usize = 3;

/// How each epoch ended, and what was found broken on the way.
type Course = (Vec<Value>, Vec<String>);

fn play(seed: u64, schedule: &Schedule, usual: &Behaviour, troubled: bool) -> Course {
    simulate(seed, usual.clone(), async |world: World| {
        let endings = live(&world, schedule, usual, troubled).await;
        let mut broken = world.oracle.broken();
        if astray(&world) > 0 {
            broken.push("F22: a write went to the organization of the user".to_owned());
        }
        // A name that is taken is asked for again.
        broken.extend(unsteady(&world, |call| call.status != Some(409)).await);
        (endings, broken)
    })
}

async fn live(world: &World, schedule: &Schedule, usual: &Behaviour, troubled: bool) -> Vec<Value> {
    let mut endings = Vec::new();
    world.start();
    tokio::time::sleep(Duration::from_secs(30)).await;
    for epoch in &schedule.epochs {
        happen(world, epoch, usual, troubled).await;
        calm(world, usual);
        tokio::time::sleep(BOUND).await;
        endings.push(ending(world).await);
    }
    endings
}

/// Every request to either server in a run with troubles, with its answer.
pub fn trace(seed: u64, schedule: &Schedule, usual: &Behaviour) -> Vec<String> {
    simulate(seed, usual.clone(), async |world: World| {
        live(&world, schedule, usual, true).await;
        let to_zitadel = world.zitadel.ledger().requests().into_iter().map(|request| format!("{request:?}"));
        // kube names an Event by the machine's clock.
        let nameless = |call: &mut Call| {
            if call.resource == "events" {
                call.name.clear();
            }
        };
        let mut to_kubernetes = world.cluster.calls();
        to_kubernetes.iter_mut().for_each(nameless);
        to_zitadel.chain(to_kubernetes.iter().map(|call| format!("{call:?}"))).collect()
    })
}

async fn happen(world: &World, epoch: &Epoch, usual: &Behaviour, troubled: bool) {
    for edit in &epoch.edits {
        edit.run(world).await;
    }
    let people = epoch.deeds.iter().map(async |deeds| {
        for (pause, deed) in deeds {
            tokio::time::sleep(Duration::from_millis(*pause)).await;
            deed.run(world).await;
        }
    });
    let troubles = async {
        let mut at = 0;
        for (when, trouble) in epoch.troubles.iter().filter(|_| troubled) {
            tokio::time::sleep(Duration::from_millis(when.saturating_sub(at))).await;
            at = at.max(*when);
            if world.is_running() || !matches!(trouble, Trouble::Crash(..)) {
                trouble.run(world).await;
            }
        }
        calm(world, usual);
    };
    futures::join!(join_all(people), troubles);
}

/// Servers of each line in turn.
pub fn line(seed: u64) -> Behaviour {
    match seed % 3 {
        0 => Behaviour::v3(),
        1 => behaviour(),
        _ => Behaviour { organization_features: behaviour().organization_features, ..Behaviour::v4_newer() },
    }
}

/// What is wrong with a schedule; nothing if all is well.
pub fn check(seed: u64, schedule: &Schedule) -> Option<String> {
    let compared = catch_unwind(|| compare(seed, schedule));
    compared.unwrap_or_else(|_| Some("a panic, told above".to_owned()))
}

fn compare(seed: u64, schedule: &Schedule) -> Option<String> {
    let usual = line(seed);
    let (expected, before) = play(seed, schedule, &usual, false);
    if let Some(broken) = before.first() {
        return Some(format!("without any trouble: {broken}"));
    }
    let (found, broken) = play(seed, schedule, &usual, true);
    if let Some(broken) = broken.first() {
        return Some(broken.clone());
    }
    let differing = expected.iter().zip(&found).position(|(one, other)| one != other)?;
    let reported = differences(&expected[differing], &found[differing]);
    Some(format!("I7: epoch {differing} ends differently: {reported}"))
}

/// Takes away whatever the failure does not need.
fn shrink(seed: u64, mut schedule: Schedule, patience: Duration) -> Schedule {
    let began = Instant::now();
    let mut candidates = smaller(&schedule);
    while let Some(candidate) = candidates.pop() {
        if began.elapsed() > patience {
            break;
        }
        if check(seed, &candidate).is_some() {
            schedule = candidate;
            candidates = smaller(&schedule);
        }
    }
    schedule
}

/// Every schedule with one thing less, the smallest last.
fn smaller(schedule: &Schedule) -> Vec<Schedule> {
    let mut candidates = Vec::new();
    for (index, epoch) in schedule.epochs.iter().enumerate() {
        let mut with = |changed: Epoch| {
            let mut candidate = schedule.clone();
            candidate.epochs[index] = changed;
            candidates.push(candidate);
        };
        for (row, deeds) in epoch.deeds.iter().enumerate() {
            for at in 0..deeds.len() {
                let mut less = epoch.clone();
                less.deeds[row].remove(at);
                less.deeds.retain(|deeds| !deeds.is_empty());
                with(less);
            }
        }
        for at in 0..epoch.edits.len() {
            let mut less = epoch.clone();
            less.edits.remove(at);
            with(less);
        }
        for at in 0..epoch.troubles.len() {
            let mut less = epoch.clone();
            less.troubles.remove(at);
            with(less);
        }
    }
    for index in 0..schedule.epochs.len() {
        let mut less = schedule.clone();
        less.epochs.remove(index);
        candidates.push(less);
    }
    candidates
}

/// Checks one seed; panics with the shortest script that fails.
fn check_seed(seed: u64) -> Result<(), String> {
    let whole = schedule(seed);
    let Some(_) = check(seed, &whole) else { return Ok(()) };
    let short = shrink(seed, whole, Duration::from_secs(120));
    let failure = check(seed, &short).unwrap_or_else(|| "only as a whole".into());
    Err(format!("SEED={seed}: {failure}\n{short:?}"))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// `SEED=7` replays one schedule; `SCHEDULES=10000` runs so many, from `FIRST=` on. Otherwise as many as fit, and no fewer
/// than are claimed.
#[test]
fn random_schedules_end_as_without_faults() {
    if let Some(seed) = variable("SEED") {
        return check_seed(seed).unwrap_or_else(|failure| panic!("{failure}"));
    }
    let (began, first) = (Instant::now(), variable("FIRST").unwrap_or_default());
    let enough = |done: u64| match variable("SCHEDULES") {
        Some(wanted) => done >= wanted,
        None => done >= LEAST && began.elapsed() >= SPAN,
    };
    let (next, given_up) = (AtomicU64::new(0), AtomicBool::new(false));
    let failures = Mutex::new(Vec::new());
    let work = || {
        while !given_up.load(Ordering::Relaxed) && !enough(next.load(Ordering::Relaxed)) {
            let Err(failure) = check_seed(first + next.fetch_add(1, Ordering::Relaxed)) else { continue };
            let mut failures = failures.lock().expect("no panic while it is held");
            failures.push(failure);
            given_up.store(failures.len() >= MOST_FAILURES, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("no panic while it was held");
    say(&format!("{} random schedules in {:?}", next.into_inner(), began.elapsed()));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
