//! One name, one thing, and that of the field.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use crate::{files, shown, tokens};

/// Words of the first version that the field has other names for.
const RETIRED: [&str; 50] = [
    "Bond",
    "Conclusion",
    "Directory",
    "Fault",
    "Feed",
    "Gate",
    "Having",
    "Hold",
    "How",
    "Knows",
    "Line",
    "Memo",
    "News",
    "Note",
    "PARTED",
    "Pace",
    "Purse",
    "Reach",
    "Seats",
    "Site",
    "Tenure",
    "Turn",
    "Vault",
    "Verdict",
    "Wakes",
    "Watched",
    "announce",
    "attend",
    "caps",
    "departures",
    "desire",
    "gaps",
    "give_up",
    "guarded",
    "heed",
    "home",
    "homeless",
    "houses",
    "is_bound",
    "issued",
    "look",
    "neighbour",
    "permit",
    "resident",
    "saw",
    "tidy",
    "told",
    "veiled",
    "withheld",
    "wrote",
];

/// Names that were given to several types each.
const SHARED: [&str; 5] = ["Found", "Place", "Readiness", "Scope", "Stores"];

fn identifiers(stream: TokenStream, found: &mut Vec<(String, usize)>) {
    for tree in stream {
        match tree {
            TokenTree::Ident(ident) => found.push((ident.to_string(), ident.span().start().line)),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            _ => {}
        }
    }
}

#[test]
fn no_identifier_is_a_word_of_our_own() {
    let mut found = Vec::new();
    for file in ["src", "tests", "examples"].into_iter().flat_map(files) {
        let mut identifiers_here = Vec::new();
        identifiers(tokens(&file), &mut identifiers_here);
        let retired = identifiers_here.into_iter().filter(|(name, _)| RETIRED.contains(&name.as_str()));
        found.extend(retired.map(|(name, line)| format!("{}:{line}: {name}", shown(&file))));
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn no_two_types_share_one_of_these_names() {
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files("src") {
        let mut names = Vec::new();
        identifiers(tokens(&file), &mut names);
        let declared =
            names.windows(2).filter(|pair| ["struct", "enum", "type"].contains(&pair[0].0.as_str()));
        for pair in declared.filter(|pair| SHARED.contains(&pair[1].0.as_str())) {
            types.entry(pair[1].0.clone()).or_default().insert(shown(&file));
        }
    }
    types.retain(|_, files| files.len() > 1);
    assert_eq!(types, BTreeMap::new());
}
