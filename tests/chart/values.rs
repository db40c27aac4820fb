//! The table of values in the chart's README comes from the comments of values.yaml.

use std::fs;

use crate::files::hold;
use crate::helm::chart;

const BEGIN: &str = "<!-- Written by UPDATE_CHART=1 cargo test --test chart -->\n";
const END: &str = "<!-- End of what is written -->\n";

/// One value: its path, its default, and what is said of it.
struct Row {
    path: String,
    default: String,
    comment: String,
}

/// A value or a group of them, one a line, each with its comment above it.
fn rows(yaml: &str) -> Vec<Row> {
    let (mut rows, mut path, mut comment): (_, Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new(), Vec::new());
    for line in yaml.lines() {
        let text = line.trim_start();
        if let Some(said) = text.strip_prefix("# ") {
            comment.push(said);
        } else if let Some((key, default)) = text.split_once(':') {
            path.truncate((line.len() - text.len()) / 2);
            path.push(key);
            let comment = std::mem::take(&mut comment).join(" ");
            assert!(!comment.is_empty(), "{} has no comment", path.join("."));
            rows.push(Row { path: path.join("."), default: default.trim().into(), comment });
        } else {
            comment.clear();
        }
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from("| Value | Default | |\n|---|---|---|\n");
    for Row { path, default, comment } in rows {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        table += &format!("| `{path}` | {default} | {comment} |\n");
    }
    table
}

#[test]
fn the_readme_has_every_value_with_its_default_and_its_comment() {
    let values = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let readme = fs::read_to_string(chart().join("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let rows = table(&rows(&values));
    hold("charts/zitadel-operator/README.md", &format!("{before}{BEGIN}\n{rows}\n{END}{after}"));
}
