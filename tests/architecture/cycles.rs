//! Imports go one way, between files and between folders.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::{Module, imports, modules};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// What cannot be put in an order: taken away is, again and again, what names none of the rest.
fn unordered(mut graph: Graph) -> Graph {
    loop {
        let names: BTreeSet<String> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, named| named.iter().any(|one| names.contains(one)));
        if graph.len() == before {
            return graph;
        }
    }
}

fn graph(name: impl Fn(&Module) -> String) -> Graph {
    let mut graph = Graph::new();
    for (module, named) in imports() {
        let from = name(&module);
        let to = named.iter().map(&name).filter(|to| *to != from);
        graph.entry(from.clone()).or_default().extend(to);
    }
    graph
}

#[test]
fn files_have_an_order() {
    assert_eq!(unordered(graph(|module| module.join("::"))), Graph::new());
}

#[test]
fn folders_have_an_order() {
    let modules = modules();
    let has_folder =
        |module: &Module| modules.keys().any(|other| other.len() > module.len() && other.starts_with(module));
    // `x.rs` and what is in `x/` are of one folder.
    let folder = |module: &Module| match has_folder(module) {
        true => module.join("/"),
        false => module[..module.len().saturating_sub(1)].join("/"),
    };
    assert_eq!(unordered(graph(folder)), Graph::new());
}

#[test]
fn data_flows_from_the_api_through_the_kinds_to_zitadel() {
    let layers = [
        ("api", &["connection", "engine", "kinds", "runtime", "zitadel"][..]),
        ("zitadel", &["api", "connection", "engine", "kinds"]),
        ("engine", &["kinds"]),
    ];
    for (module, named) in imports() {
        for (layer, above) in layers {
            let is_above =
                |named: &&Module| named.first().is_some_and(|first| above.contains(&first.as_str()));
            let upward: Vec<&Module> = named.iter().filter(is_above).collect();
            assert!(
                module.first().is_none_or(|first| first != layer) || upward.is_empty(),
                "{module:?}: {upward:?}"
            );
        }
    }
}

#[test]
fn a_cycle_is_found_and_what_hangs_on_it() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).into()).or_default().insert((*to).into());
            graph.entry((*to).into()).or_default();
        }
        graph
    };
    assert_eq!(unordered(graph(&[("a", "b"), ("b", "c"), ("a", "c")])).len(), 0);
    assert_eq!(unordered(graph(&[("a", "b"), ("b", "c"), ("c", "b")])).len(), 3);
}
