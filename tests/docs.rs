//! The documents say what the code does.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use zitadel_operator::api::Reason;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_readme_has_a_row_for_every_reason_and_for_no_other() {
    let readme = read("README.md");
    let table = readme.split("## Conditions").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rows: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    rows.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(rows, reasons);
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in ["README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = read(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
            let path = link.split('#').next().unwrap();
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{document} links to {path}");
        }
    }
}
