//! Conditions and troubleshooting speak of every reason there is, and of no other.

use zitadel_operator::api::{ConditionType, Reason, annotation};

use crate::{read, sorted, table};

fn reasons() -> Vec<String> {
    sorted(Reason::ALL.iter().map(|reason| reason.as_str().to_owned()))
}

#[test]
fn the_conditions_have_a_row_for_every_reason_which_leads_to_its_troubleshooting() {
    let rows = table(&read("docs/conditions.md"), "## Reasons").into_iter().map(|row| {
        let (name, link) = row[0].trim_matches(['[', ')']).split_once("](").unwrap();
        assert_eq!(link, format!("troubleshooting.md#{}", name.to_lowercase()));
        name.to_owned()
    });
    assert_eq!(sorted(rows), reasons());
}

#[test]
fn the_conditions_have_a_row_for_every_type() {
    use ConditionType::{Ready, Reconciling, Stalled, Synced};
    let rows = table(&read("docs/conditions.md"), "## Types").into_iter().map(|row| row[0].clone());
    let types = [Ready, Synced, Stalled, Reconciling].map(|kind| kind.as_str().to_owned());
    assert_eq!(rows.collect::<Vec<_>>(), types);
}

#[test]
fn troubleshooting_has_a_section_for_every_reason_and_each_says_what_to_run() {
    let text = read("docs/troubleshooting.md");
    let sections: Vec<(&str, &str)> =
        text.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let of_reasons = sections.iter().filter(|(heading, _)| !heading.contains(' '));
    let silent: Vec<&str> =
        of_reasons.clone().filter(|(_, body)| !body.contains("```")).map(|(heading, _)| *heading).collect();
    assert_eq!(silent, [""; 0], "without a command");
    assert_eq!(sorted(of_reasons.map(|(heading, _)| (*heading).to_owned())), reasons());
}

#[test]
fn the_annotations_are_those_of_the_code() {
    let code = read("src/api/mod.rs");
    let module = code.split("pub mod annotation {").nth(1).unwrap().split("\n}").next().unwrap();
    let names = module.split("= \"zitadel-operator.dev/").skip(1);
    let names: Vec<_> = names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let known = annotation::ALL.map(|name| name.trim_start_matches("zitadel-operator.dev/").to_owned());
    assert_eq!(sorted(known), sorted(names.clone()), "a store drops every other annotation");
    let rows = table(&read("docs/concepts.md"), "## Annotations").into_iter().map(|row| row[0].clone());
    assert_eq!(sorted(rows), sorted(names));
}
