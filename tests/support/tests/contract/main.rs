//! Holds the double to recordings of real servers: every step of every file in `tests/contract` is replayed.
//!
//! Volatile values are masked as the recordings mask them. Lists that the server leaves unsorted are compared as
//! sets, pages of such lists by the shape of their rows.

mod compare;
mod recording;
mod replay;

use std::collections::BTreeSet;

use zitadel_operator_support::zitadel::ServerLine;

use crate::recording::{folder, recording};

/// Every recording, and the line that it is of.
const LINES: [(&str, ServerLine); 5] = [
    ("v3", ServerLine::V3),
    ("v4", ServerLine::V4),
    ("v4-2026-03", ServerLine::V4Newer),
    ("next-v3", ServerLine::V3),
    ("next-v4-2026-03", ServerLine::V4Newer),
];

/// Steps that the double answers differently, with the reason: (line, scenario, step, reason).
const NOT_REPRODUCED: &[(&str, &str, &str, &str)] = &[
    ("v4", "authentication", "my memberships", "its administrator owned what another run had left"),
    ("v4-2026-03", "authentication", "who am I", "its administrator's login name had no domain"),
    (
        "next-v4-2026-03",
        "project roles",
        "search a page",
        "it sorts what was not asked to be sorted otherwise",
    ),
];

/// Values that depend on what else the recorded server held: (scenario, step, JSON pointer).
const ELSEWHERE: &[(&str, &str, &str)] = &[("organization", "nobody searches", "/details/totalResult")];

/// Constant lists of which the double knows a part: the event types that it writes itself.
const SUBSETS: &[&str] = &["eventTypes"];

/// The tests of recordings that hold the same scenarios: one each, and one on paused time for all of them.
macro_rules! scenarios {
    ($family:ident: $($module:ident = $file:literal),*; $tests:tt) => {
        mod $family {
            pub(super) const FILES: &[&str] = &[$($file),*];
            scenarios!(@titles $tests);
            $(scenarios!(@file $module $file $tests);)*
            scenarios!(@lagging $tests);
        }
    };
    (@titles {$($test:ident: $title:literal,)*}) => {
        pub(super) const TITLES: &[&str] = &[$($title),*];
    };
    (@file $module:ident $file:literal {$($test:ident: $title:literal,)*}) => {
        mod $module {
            use crate::replay::{Way, replay};

            $(#[tokio::test]
            async fn $test() {
                replay($file, $title, Way::Tcp).await;
            })*
        }
    };
    (@lagging {$($test:ident: $title:literal,)*}) => {
        mod lagging {
            use crate::replay::{Way, replay};

            $(#[tokio::test(start_paused = true)]
            async fn $test() {
                for file in super::FILES {
                    replay(file, $title, Way::InProcess).await;
                }
            })*
        }
    };
}

scenarios! {
    first: v3 = "v3", v4 = "v4", v4_newer = "v4-2026-03";
    {
        authentication: "authentication",
        project: "project",
        project_roles: "project roles",
        organization: "organization",
        organization_metadata: "organization metadata",
        organization_domain_policy: "organization domain policy",
        organization_features: "organization features",
        usernames_under_a_domain_policy: "usernames under a domain policy",
        events: "events",
    }
}

scenarios! {
    next: v3 = "next-v3", v4_newer = "next-v4-2026-03";
    {
        project_roles: "project roles",
        login_policy: "login policy",
        login_policy_factors: "login policy factors",
        lockout_policy: "lockout policy",
        instance_defaults: "instance defaults of login and lockout",
    }
}

#[test]
fn every_recorded_scenario_is_replayed() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the recordings")
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(files, LINES.iter().map(|(line, _)| format!("{line}.json")).collect());
    assert_eq!(LINES.map(|(line, _)| line).as_slice(), [first::FILES, next::FILES].concat());
    for (files, titles) in [(first::FILES, first::TITLES), (next::FILES, next::TITLES)] {
        for file in files {
            let recorded: BTreeSet<String> = recording(file).scenarios.into_keys().collect();
            assert_eq!(recorded, titles.iter().map(|title| (*title).to_owned()).collect());
        }
    }
}

#[test]
fn exclusions_name_recorded_steps_and_stay_few() {
    for (line, scenario, name, _) in NOT_REPRODUCED {
        assert!(recording(line).scenarios[*scenario].iter().any(|step| step.name == *name), "{name}");
    }
    let steps: usize =
        LINES.iter().flat_map(|(line, _)| recording(line).scenarios.into_values()).map(|s| s.len()).sum();
    assert!(NOT_REPRODUCED.len() * 20 <= steps);
}
