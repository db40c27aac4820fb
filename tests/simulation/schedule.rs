//! Random schedules of what people do and what goes wrong.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use zitadel_operator::api::annotation::PAUSED;

use crate::deed::Deed::{self, *};
use crate::deed::Spec;
use crate::header::Loss;
use crate::line::{Ill, Side};
use crate::trouble::{Answer, Trouble};

/// Everything that happens until all is quiet again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoch {
    /// In ZITADEL, before anything goes wrong.
    pub edits: Vec<Deed>,
    /// Of each resource in order, with the milliseconds to wait before each; those of different resources mix.
    pub deeds: Vec<Vec<(u64, Deed)>>,
    /// With the milliseconds from the beginning.
    pub troubles: Vec<(u64, Trouble)>,
}

/// Several epochs, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    pub epochs: Vec<Epoch>,
}

/// Every resource there can be; those of rivals come after what they want.
const RESOURCES: [(&str, &str); 11] = [
    ("Project", "a"),
    ("Project", "b"),
    ("Project", "c"),
    ("Project", "d"),
    ("Project", "e"),
    ("Organization", "shop"),
    ("OrgMetadata", "labels"),
    ("OrgMetadata", "more"),
    ("OrgDomainPolicy", "acme"),
    ("OrgDomainPolicy", "second"),
    ("OrgFeatures", "flags"),
];

/// The second wants what the first has: another name would have two ends, so each acts in an epoch of its own.
const RIVALS: [(&str, &str); 3] = [("d", "e"), ("labels", "more"), ("acme", "second")];

/// The schedule of a seed. What happens within an epoch has one end only, in whatever order it comes about:
/// without faults and with them. That is why a policy that decides about an end is alone in its epoch.
pub fn schedule(seed: u64) -> Schedule {
    let mut rng = Rng::with_seed(seed);
    let mut present = Present::default();
    let epochs = (0..rng.usize(1..=3)).map(|_| epoch(&mut rng, &mut present)).collect();
    Schedule { epochs }
}

/// What people have made so far, by kind and name.
#[derive(Default)]
struct Present {
    resources: Vec<(&'static str, String)>,
    /// Those that only look: whoever waits for one that differs has two ends.
    observers: Vec<(&'static str, String)>,
    /// Those that were deleted once: what `Retain` left has one of their names.
    departed: Vec<(&'static str, String)>,
}

impl Present {
    fn has(&self, kind: &str, name: &str) -> bool {
        self.resources.iter().any(|(k, n)| *k == kind && n == name)
    }

    fn made(&mut self, kind: &'static str, name: &str) {
        if !self.has(kind, name) {
            self.resources.push((kind, name.to_owned()));
        }
    }

    fn gone(&mut self, kind: &'static str, name: &str) {
        self.resources.retain(|(k, n)| *k != kind || n != name);
        self.departed.push((kind, name.to_owned()));
    }
}

fn epoch(rng: &mut Rng, present: &mut Present) -> Epoch {
    let is_managed = |one: &&(&'static str, String)| !present.observers.contains(one);
    let there: Vec<_> = present.resources.iter().filter(is_managed).cloned().collect();
    let mut deeds: Vec<Vec<(u64, Deed)>> = Vec::new();
    for (kind, name) in RESOURCES {
        let busy = |other: &str| deeds.iter().flatten().any(|(_, deed)| concerns(deed, other));
        let possible = match (kind, name) {
            ("Project", "c") => present.has("Organization", "shop"),
            ("Organization", _) => !busy("c"),
            _ => rival(name).is_none_or(|first| present.has(kind, first) && !busy(first)),
        };
        if rng.usize(0..3) == 0 && possible {
            deeds.push(of_resource(rng, present, kind, name));
        }
    }
    if rng.usize(0..3) == 0 {
        deeds
            .push(vec![(rng.u64(0..20_000), Store(rng.choice(["eu", "us", "ap"]).expect("a value").into()))]);
    }
    if rng.usize(0..4) == 0 {
        let lost = Duration::from_secs(rng.u64(1..90));
        deeds.push(vec![(rng.u64(0..20_000), if rng.bool() { RotateToken } else { LoseToken(lost) })]);
    }
    let edits = edits(rng, &there, &deeds);
    let troubles = (0..rng.usize(1..=4)).map(|_| (rng.u64(0..20_000), trouble(rng))).collect();
    Epoch { edits, deeds, troubles }
}

/// Whose name it is after a removal is open.
fn is_contested(name: &str) -> bool {
    RIVALS.iter().any(|(first, rival)| *first == name || *rival == name)
}

fn is_observed(spec: &Spec) -> bool {
    spec.0["managementPolicy"] == "Observe"
}

/// Whose name, keys or setting this one wants too.
fn rival(name: &str) -> Option<&'static str> {
    RIVALS.iter().find(|(_, rival)| *rival == name).map(|(first, _)| *first)
}

fn concerns(deed: &Deed, name: &str) -> bool {
    matches!(deed, Apply(_, n, _) | Replace(_, n, _) | Delete(_, n) if n == name)
}

/// Whatever a person does to ZITADEL, to things that are there for sure. Where a resource lets go in the same epoch, it
/// is open whether the edit is undone before.
fn edits(rng: &mut Rng, there: &[(&'static str, String)], deeds: &[Vec<(u64, Deed)>]) -> Vec<Deed> {
    let mut edits = Vec::new();
    for (kind, name) in there {
        let of_it = || deeds.iter().flatten().map(|(_, deed)| deed).filter(|deed| concerns(deed, name));
        let leaving = of_it().any(|deed| !matches!(deed, Apply(..)));
        let only_looked_at = of_it().any(|deed| matches!(deed, Apply(_, _, spec) if is_observed(spec)));
        if rng.usize(0..4) > 0 || only_looked_at || leaving {
            continue;
        }
        edits.push(match *kind {
            "Project" => match rng.usize(0..3) {
                0 if !is_contested(name) => RemoveProject(name.clone()),
                1 => DeactivateProject(name.clone()),
                _ => EditProject(name.clone()),
            },
            "Organization" => RenameOrganization(name.clone()),
            "OrgMetadata" => match rng.bool() {
                true => SetKey("tier", Some("theirs")),
                false => SetKey("tier", None),
            },
            "OrgDomainPolicy" => EditPolicy(rng.bool()),
            _ => continue,
        });
    }
    edits
}

/// What is done to one resource within an epoch.
fn of_resource(rng: &mut Rng, present: &mut Present, kind: &'static str, name: &str) -> Vec<(u64, Deed)> {
    let there = present.has(kind, name);
    let mut deeds = Vec::new();
    let contested =
        RIVALS.iter().any(|(first, rival)| *rival == name || *first == name && present.has(kind, rival));
    let chosen = if there { rng.usize(0..8) } else { 0 };
    // Of several names, one taken and one free, it depends on who is quicker whether anything is made.
    let once = contested || present.departed.iter().any(|(k, n)| *k == kind && n == name);
    present.made(kind, name);
    present.observers.retain(|(k, n)| *k != kind || n != name);
    if chosen == 5 {
        present.observers.push((kind, name.to_owned()));
    }
    match chosen {
        0..=2 => {
            for _ in 0..if once { 1 } else { rng.usize(1..=3) } {
                deeds.push(Apply(kind, name.into(), spec(rng, kind, name).into()));
            }
        }
        3 => {
            let annotate =
                |value: Option<&str>| Annotate(kind, name.into(), PAUSED, value.map(str::to_owned));
            deeds = vec![
                annotate(Some("true")),
                Apply(kind, name.into(), spec(rng, kind, name).into()),
                annotate(None),
            ];
        }
        4 => deeds.push(Apply(
            kind,
            name.into(),
            with(spec(rng, kind, name), "deletionPolicy", "Retain").into(),
        )),
        5 => deeds.push(Apply(
            kind,
            name.into(),
            with(spec(rng, kind, name), "managementPolicy", "Observe").into(),
        )),
        6 if kind != "Organization" && !contested => {
            deeds.push(Replace(kind, name.into(), spec(rng, kind, name).into()));
            present.departed.push((kind, name.to_owned()));
        }
        _ => {
            deeds.push(Delete(kind, name.into()));
            present.gone(kind, name);
        }
    }
    deeds.into_iter().map(|deed| (rng.u64(0..8_000), deed)).collect()
}

fn with(mut spec: Value, field: &str, value: &str) -> Value {
    spec[field] = json!(value);
    spec
}

fn spec(rng: &mut Rng, kind: &str, name: &str) -> Value {
    match kind {
        "Project" => {
            let suffix = rng.choice(["", "~2", "~3"]).expect("a suffix");
            let mut spec = json!({
                "name": if name == "e" { "d".into() } else { format!("{name}{suffix}") },
                "projectRoleAssertion": rng.bool(),
                "projectRoleCheck": rng.bool(),
                "state": if rng.usize(0..4) == 0 { "Inactive" } else { "Active" },
            });
            if name == "c" {
                spec["organization"] = json!({ "ref": { "name": "shop" } });
            }
            spec
        }
        "Organization" => json!({ "name": format!("{name}{}", rng.choice(["", "~2"]).expect("a suffix")) }),
        "OrgMetadata" if name == "more" => json!({ "entries": [{ "key": "tier", "value": "lead" }] }),
        "OrgMetadata" => json!({ "entries": entries(rng) }),
        "OrgDomainPolicy" => json!({
            "userLoginMustBeDomain": false,
            "validateOrgDomains": rng.bool(),
            "smtpSenderAddressMatchesInstanceDomain": true,
        }),
        _ => json!({ "features": { "userSchema": rng.bool() } }),
    }
}

fn entries(rng: &mut Rng) -> Vec<Value> {
    let all = [
        json!({ "key": "tier", "value": rng.choice(["gold", "silver"]) }),
        json!({ "key": "a/b", "value": "1" }),
        json!({ "key": "é", "value": "2" }),
        json!({ "key": "region", "valueFrom": { "configMapKeyRef": { "name": "site", "key": "region" } } }),
    ];
    let count = rng.usize(1..=all.len());
    rng.choose_multiple(all, count)
}

fn trouble(rng: &mut Rng) -> Trouble {
    let side = if rng.bool() { Side::Before } else { Side::After };
    match rng.usize(0..18) {
        0..=3 => {
            Trouble::Crash(side, rng.usize(0..if side == Side::Before { 40 } else { 8 }), rng.u64(0..30))
        }
        4 => Trouble::Restart,
        5 => Trouble::Stall(rng.u64(1..40)),
        6 => Trouble::Clock(rng.i64(-60..=60)),
        7 => Trouble::Outage(rng.u64(1..120)),
        8 => Trouble::Lag(rng.u64(1..=15)),
        9 => match rng.bool() {
            true => Trouble::Pages(rng.usize(1..4)),
            false => Trouble::Slow(rng.u64(1..2_000)),
        },
        10 => Trouble::Watches(rng.bool()),
        11 => Trouble::WatchLag(rng.u64(1..20)),
        12 => Trouble::Meddle,
        13 => {
            let ill = rng.choice(Ill::ALL).expect("an illness");
            Trouble::Kubernetes(ill, rng.usize(0..20), rng.usize(1..6))
        }
        14 => {
            // The rest lets one write go astray, and so has another end.
            let loss = if rng.bool() { Loss::Always } else { Loss::Reads };
            Trouble::Header(loss, rng.u64(1..60))
        }
        15 => Trouble::Forge,
        _ => {
            let answer = rng.choice(Answer::ALL).expect("an answer");
            Trouble::Zitadel(answer, rng.usize(0..10), rng.usize(1..6))
        }
    }
}
