//! A crash at every request, before it left and after the server had done it: the end is that of an undisturbed run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use serde_json::Value;
use support::zitadel::{Behaviour, OrganizationFeatures};

use crate::ending::ending;
use crate::line::Side;
use crate::scenario::{Scenario, scenarios};
use crate::world::{World, say, simulate};

/// Everything is as it will stay within that time after a restart.
const SETTLED: Duration = Duration::from_secs(180);

/// Nothing of a scenario comes later, but what is only looked at again.
const QUIET: Duration = Duration::from_secs(20);

/// Where a process ends.
#[derive(Clone, Copy, Debug)]
struct Point {
    side: Side,
    number: usize,
    /// The people act while no operator runs, so that the points are those of its start too.
    down: bool,
}

/// How a run ended, and whether it got as far as the point.
struct Outcome {
    crashed: bool,
    ending: Value,
    broken: Vec<String>,
}

/// The double as it usually is: all kinds work.
pub fn behaviour() -> Behaviour {
    Behaviour { organization_features: OrganizationFeatures::Implemented, ..Behaviour::v4() }
}

fn run(behaviour: &Behaviour, scenario: &Scenario, point: Option<Point>) -> Outcome {
    simulate(1, behaviour.clone(), async |world: World| {
        world.start();
        for deed in &scenario.before {
            deed.run(&world).await;
        }
        world.rest(QUIET, SETTLED).await;
        let crashed = disturbed(scenario, &world, point).await;
        tokio::time::sleep(SETTLED).await;
        Outcome { crashed, ending: ending(&world).await, broken: world.oracle.broken() }
    })
}

/// What people do goes on, whatever becomes of the operator.
async fn disturbed(scenario: &Scenario, world: &World, point: Option<Point>) -> bool {
    let mut acting = std::pin::pin!(act(scenario, world).fuse());
    if point.is_some_and(|point| point.down) {
        world.stop().await;
        // Some wait for what only the operator can bring about.
        let _ = tokio::time::timeout(Duration::from_secs(5), &mut acting).await;
        world.start();
    }
    let line = world.line();
    if let Some(Point { side, number, .. }) = point {
        line.trap(side, number);
    }
    let undisturbed = async {
        if !acting.is_terminated() {
            (&mut acting).await;
        }
        world.rest(QUIET, SETTLED).await;
    };
    let crashed = tokio::select! {
        biased;
        () = line.trapped() => true,
        () = undisturbed => false,
    };
    if crashed {
        world.crash().await;
        world.start();
    }
    if !acting.is_terminated() {
        acting.await;
    }
    crashed
}

async fn act(scenario: &Scenario, world: &World) {
    for deed in &scenario.act {
        deed.run(world).await;
    }
}

/// Crashes at each point until a run comes to its end without; answers how many there were, and what went wrong.
fn crash_everywhere(behaviour: &Behaviour, scenario: &Scenario) -> (usize, BTreeMap<String, Vec<Point>>) {
    let whole = run(behaviour, scenario, None);
    let mut faults: BTreeMap<String, Vec<Point>> =
        whole.broken.into_iter().map(|fault| (fault, vec![])).collect();
    let mut points = 0;
    for (side, down) in
        [(Side::Before, false), (Side::After, false), (Side::Before, true), (Side::After, true)]
    {
        for number in 0.. {
            let point = Point { side, number, down };
            let outcome = run(behaviour, scenario, Some(point));
            if !outcome.crashed {
                break;
            }
            points += 1;
            let differs =
                (outcome.ending != whole.ending).then(|| differences(&whole.ending, &outcome.ending));
            for fault in outcome.broken.into_iter().chain(differs) {
                faults.entry(fault).or_default().push(point);
            }
        }
    }
    (points, faults)
}

/// The paths at which two values differ, and how.
pub fn differences(expected: &Value, found: &Value) -> String {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let differing = keys.into_iter().filter(|key| expected[key.as_str()] != found[key.as_str()]);
            let reported =
                differing.map(|key| format!("{key}: {}", differences(&expected[key], &found[key])));
            reported.collect::<Vec<_>>().join("; ")
        }
        _ => format!("expected {expected}, found {found}"),
    }
}

fn survives_every_crash(kind: &str) {
    survives_everywhere(kind, &behaviour(), 300, |_| true);
}

/// Those scenarios in which something is created: after a lost answer only a name or a list tells what became of it.
fn creates_survive_every_crash(behaviour: &Behaviour) {
    let creates = |scenario: &Scenario| scenario.name == "create" || scenario.name.starts_with("made again");
    survives_everywhere("Project", behaviour, 150, creates);
    survives_everywhere("Organization", behaviour, 150, creates);
}

fn survives_everywhere(kind: &str, behaviour: &Behaviour, least: usize, which: impl Fn(&Scenario) -> bool) {
    let began = std::time::Instant::now();
    let mut faults = Vec::new();
    let mut total = 0;
    let of_kind = scenarios().into_iter().filter(|scenario| scenario.kind == kind && which(scenario));
    for scenario in of_kind {
        let (points, found) = crash_everywhere(behaviour, &scenario);
        println!("{kind}, {}: {points} points", scenario.name);
        total += points;
        faults.extend(
            found.into_iter().map(|(fault, points)| format!("{}: {fault}: {points:?}", scenario.name)),
        );
    }
    say(&format!("{kind}: {total} crash points in {:?}", began.elapsed()));
    assert!(total >= least, "only {total} points: is anything trapped?");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_project_survives_a_crash_at_every_request() {
    survives_every_crash("Project");
}

#[test]
fn a_project_role_survives_a_crash_at_every_request() {
    survives_every_crash("ProjectRole");
}

#[test]
fn an_organization_survives_a_crash_at_every_request() {
    survives_every_crash("Organization");
}

#[test]
fn org_metadata_survive_a_crash_at_every_request() {
    survives_every_crash("OrgMetadata");
}

#[test]
fn an_org_domain_policy_survives_a_crash_at_every_request() {
    survives_every_crash("OrgDomainPolicy");
}

#[test]
fn an_org_login_policy_survives_a_crash_at_every_request() {
    survives_every_crash("OrgLoginPolicy");
}

#[test]
fn an_org_lockout_policy_survives_a_crash_at_every_request() {
    survives_every_crash("OrgLockoutPolicy");
}

#[test]
fn an_instance_login_policy_survives_a_crash_at_every_request() {
    survives_every_crash("InstanceLoginPolicy");
}

#[test]
fn org_features_survive_a_crash_at_every_request() {
    survives_every_crash("OrgFeatures");
}

#[test]
fn a_create_survives_a_crash_at_every_request_to_v3() {
    creates_survive_every_crash(&Behaviour::v3());
}

/// As late as lists may be, and later than an operator is down.
#[test]
fn a_create_survives_crashes_while_lists_lag_behind() {
    creates_survive_every_crash(&behaviour().lagging(Duration::from_secs(12)));
}
