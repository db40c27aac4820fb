//! What every kind does: behaviours × registry, one test for each pair. What is special of a kind is in `rows`.
//!
//! All of it works against a real ZITADEL too: a person edits through the API.

mod adopt;
pub mod case;
mod deletion;
mod life;
mod outside;
mod parents;
mod pausing;
mod people;
pub mod rows;

use std::collections::BTreeSet;

use zitadel_operator::kinds::{definitions, registry};

use rows::{Identity, Row, rows};

/// One test of a behaviour for each of these kinds.
macro_rules! behaviour {
    ($module:ident $behaviour:ident [$($kind:ident)+]) => {
        mod $behaviour {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $kind() {
                    let row = super::rows::$kind::row();
                    if !row.is_released {
                        $crate::needs_double!("what no released server has");
                    }
                    if row.identity == super::Identity::Always {
                        $crate::needs_own_server!();
                    }
                    super::$module::$behaviour(&row).await;
                }
            )+
        }
    };
}

/// The tests of these behaviours, for kinds of one sort.
macro_rules! behaviours {
    ($sort:ident $kinds:tt: $($module:ident::$behaviour:ident)+) => {
        const $sort: &str = stringify!($kinds);
        $(behaviour! { $module $behaviour $kinds })+
    };
}

behaviours! {
    EVERY [organization project project_role org_metadata org_domain_policy org_features org_login_policy instance_login_policy org_lockout_policy]:
    life::create life::update life::no_op
    outside::drift
    deletion::delete deletion::retain
    adopt::observe adopt::rival
    people::viewer people::nobody people::owner people::lost_right people::lost_membership
    pausing::pause
}

behaviours! {
    REMOVABLE [organization project project_role org_metadata org_domain_policy org_features org_login_policy org_lockout_policy]:
    outside::removed_outside
    deletion::delete_what_is_gone
}

behaviours! {
    IN_A_PARENT [project project_role org_metadata org_domain_policy org_features org_login_policy org_lockout_policy]:
    parents::missing_parent parents::removed_parent parents::parent_that_goes
}

behaviours! {
    WITH_AN_ASSIGNED_ID [organization project]:
    adopt::import adopt::adopt_by_name
}

behaviours! {
    OTHERS [project_role org_metadata org_domain_policy org_features org_login_policy instance_login_policy org_lockout_policy]:
    adopt::take_over
}

/// The modules of the rows of a sort.
fn modules(belongs: impl Fn(&Row) -> bool) -> String {
    let module = |row: Row| {
        let words = row.kind.chars().flat_map(|c| if c.is_uppercase() { vec!['_', c] } else { vec![c] });
        words.collect::<String>().trim_start_matches('_').to_lowercase()
    };
    format!("[{}]", rows().into_iter().filter(belongs).map(module).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_kind_has_a_row_and_every_row_its_tests() {
    let kinds: Vec<&str> = registry().iter().map(|entry| entry.kind).collect();
    assert_eq!(rows().iter().map(|row| row.kind).collect::<Vec<_>>(), kinds);
    // A list of many is broken into lines.
    let in_a_line = |kinds: &str| kinds.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(in_a_line(EVERY), modules(|_| true));
    assert_eq!(in_a_line(REMOVABLE), modules(|row| row.identity != Identity::Always));
    assert_eq!(in_a_line(IN_A_PARENT), modules(|row| row.parent.is_some()));
    assert_eq!(in_a_line(WITH_AN_ASSIGNED_ID), modules(|row| row.identity == Identity::Assigned));
    assert_eq!(in_a_line(OTHERS), modules(|row| row.identity != Identity::Assigned));
}

/// What every kind has besides.
const SHARED: [&str; 6] =
    ["adoptionPolicy", "connectionRef", "deletionPolicy", "managementPolicy", "organization", "project"];

#[test]
fn every_field_of_a_spec_is_edited() {
    for row in rows() {
        let definition = definitions().into_iter().find(|crd| crd.spec.names.kind == row.kind).unwrap();
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let fields = |schema: &serde_json::Value| -> BTreeSet<String> {
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let schema = &schema["openAPIV3Schema"]["properties"]["spec"];
        let (first, second) = (row.spec(&[]), row.spec(&row.names()));
        for name in fields(schema) {
            if SHARED.contains(&name.as_str()) || row.beside.contains(&name.as_str()) {
                continue;
            }
            assert_ne!(first[&name], second[&name], "{} {name}", row.kind);
            for inner in fields(&schema["properties"][&name]) {
                assert_ne!(first[&name][&inner], second[&name][&inner], "{} {name}.{inner}", row.kind);
            }
        }
    }
}
