//! Every link between the documents leads somewhere.

use std::path::Path;

use regex::Regex;

use crate::{documents, read, repository};

#[test]
fn every_relative_link_leads_somewhere() {
    let broken: Vec<String> = documents().iter().flat_map(|document| broken(document)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The links of a document that lead nowhere.
fn broken(document: &Path) -> Vec<String> {
    let text = prose(&read(document.to_str().unwrap()));
    let text = Regex::new("`[^`\n]*`").unwrap().replace_all(&text, "");
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = links.filter(|link| !link.starts_with("http"));
    let lost = local.filter(|link| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => document.to_path_buf(),
            path => document.parent().unwrap().join(path),
        };
        !repository().join(&target).exists() || !(anchor.is_empty() || has(&target, anchor))
    });
    lost.map(|link| format!("{} links to {link}", document.display())).collect()
}

fn has(document: &Path, anchor: &str) -> bool {
    prose(&read(document.to_str().unwrap())).lines().filter_map(slug).any(|slug| slug == anchor)
}

/// Without what is in fences, where `#` begins a comment.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The blocks of a document in fences of a language.
pub fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let block = Regex::new(&format!(r"(?ms)^( *)```{language}\n(.*?)^ *```")).unwrap();
    let outdented = block.captures_iter(&text).map(|found| {
        let lines = found[2].lines().map(|line| line.strip_prefix(&found[1]).unwrap_or(line));
        lines.map(|line| format!("{line}\n")).collect()
    });
    outdented.collect()
}

/// The anchor that a forge gives to a heading.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    Some(heading.chars().filter(kept).collect::<String>().replace(' ', "-"))
}
