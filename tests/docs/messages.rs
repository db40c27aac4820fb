//! Troubleshooting has every message of the code, and quotes no other.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use regex::Regex;
use syn::LitStr;

use crate::{read, repository};

/// Files whose texts are the help of metrics, of fields and of the command line.
const DESCRIPTIONS: [&str; 5] = ["counters.rs", "metrics.rs", "scrape.rs", "cli.rs", "src/api/"];

/// Texts of several words that nobody is told, and commands that a message ends with.
const UNTOLD: [&str; 12] = [
    "a list of at most",
    "a text is too long",
    "JwtProfile(user",
    "kubectl create rolebinding",
    "kubectl patch {plural}",
    "application/openmetrics-text; version=1.0.0",
    "localhost, 127.0.0.0/8, ::1",
    "no budget for another",
    "not a string",
    "or IAM_",
    "rpc error: code =",
    "second signal: aborting",
];

/// A fragment that is shorter could stand anywhere.
const TELLING: usize = 12;

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_stem().is_none_or(|stem| stem != "tests");
    entries.filter(named).flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Every text in this code, but for documentation, tests and what is logged for developers.
fn texts(stream: TokenStream, found: &mut Vec<String>) {
    let mut tokens = stream.into_iter().peekable();
    let mut in_test = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Bracket && is_documentation(&group.stream()) => {}
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Bracket && is_test(&group.stream()) =>
            {
                in_test = true;
            }
            TokenTree::Group(group) if in_test => in_test = group.delimiter() != Delimiter::Brace,
            TokenTree::Group(group) => texts(group.stream(), found),
            TokenTree::Ident(name) if name == "debug" || name == "trace" => {
                if matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == '!') {
                    tokens.nth(1);
                }
            }
            TokenTree::Punct(end) if end.as_char() == ';' => in_test = false,
            TokenTree::Literal(literal) if !in_test => {
                found.extend(syn::parse_str::<LitStr>(&literal.to_string()).map(|text| text.value()));
            }
            _ => {}
        }
    }
}

fn is_documentation(attribute: &TokenStream) -> bool {
    attribute.to_string().starts_with("doc =")
}

fn is_test(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// What a person can read, and the parts it is made of.
fn said() -> Vec<String> {
    let mut found = Vec::new();
    for path in sources(&repository().join("src")) {
        let name = path.to_str().unwrap();
        if !DESCRIPTIONS.iter().any(|description| name.contains(description)) {
            texts(std::fs::read_to_string(&path).unwrap().parse().unwrap(), &mut found);
        }
    }
    found
}

/// Sentences: texts of four words at least.
fn messages() -> Vec<String> {
    let mut messages = said();
    messages.retain(|text| text.trim().matches(' ').count() >= 3);
    messages.retain(|text| !UNTOLD.iter().any(|untold| text.contains(untold)));
    messages
}

/// What stays the same of a message, whoever it is about.
fn fixed(message: &str) -> Vec<String> {
    static PLACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\{|\}\}|\{[^{}]*\}").unwrap());
    PLACES.split(message).map(bare).collect()
}

/// Without what joins it to the rest of a sentence.
fn bare(part: &str) -> String {
    part.trim_matches([' ', ',', ';', ':']).to_owned()
}

/// What troubleshooting quotes in the first cells of its tables and in its quoted lines.
fn quoted() -> Vec<String> {
    let text = read("docs/troubleshooting.md");
    let tables = text
        .split("\n| The message says |")
        .skip(1)
        .flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with('|')));
    let cells = tables.filter_map(|row| row.split(" | ").next());
    let in_tables = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    in_tables.flat_map(|quote| quote.split('…')).map(bare).collect()
}

#[test]
fn troubleshooting_has_every_message() {
    let quoted = quoted();
    let is_told = |message: &String| {
        let fixed = fixed(message);
        let longest = fixed.iter().max_by_key(|part| part.len()).cloned().unwrap_or_default();
        quoted.iter().any(|quote| {
            let is_telling = quote.len() >= TELLING || *quote == longest;
            is_telling && fixed.iter().any(|part| part.contains(quote.as_str()))
        })
    };
    let messages = messages();
    assert!(messages.len() > 100, "{}", messages.len());
    let missing: Vec<&String> = messages.iter().filter(|message| !is_told(message)).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not say what to do about {missing:#?}");
}

#[test]
fn the_messages_that_troubleshooting_quotes_are_those_of_the_code() {
    let messages: Vec<String> = said().iter().flat_map(|message| fixed(message)).collect();
    let is_said =
        |quote: &String| quote.len() < 4 || messages.iter().any(|part| part.contains(quote.as_str()));
    let quoted = quoted();
    assert!(quoted.len() > 100, "{quoted:?}");
    let unknown: Vec<&String> = quoted.iter().filter(|quote| !is_said(quote)).collect();
    assert!(unknown.is_empty(), "the code says none of {unknown:#?}");
}
