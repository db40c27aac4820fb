//! Files and functions can be read in one look.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{files, shown, tokens};

/// No file is longer, in lines; half of them are no longer than the second.
const LONGEST_FILE: usize = 400;
const MEDIAN_FILE: usize = 150;
/// No function is longer, in lines; half of them are no longer than the second.
const LONGEST_FUNCTION: usize = 60;
const MEDIAN_FUNCTION: usize = 10;

fn all() -> Vec<std::path::PathBuf> {
    ["src", "tests", "examples"].into_iter().flat_map(files).collect()
}

fn median(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    lengths[lengths.len() / 2]
}

#[test]
fn files_are_short() {
    let length = |file: &std::path::PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<String> =
        all().iter().filter(|file| length(file) > LONGEST_FILE).map(|f| shown(f)).collect();
    assert_eq!(long, [""; 0], "longer than {LONGEST_FILE} lines");
    let lengths: Vec<usize> = files("src").iter().map(length).collect();
    assert!(median(lengths.clone()) <= MEDIAN_FILE, "{}", median(lengths));
}

#[test]
fn functions_are_short() {
    let (mut long, mut lengths) = (Vec::new(), Vec::new());
    for file in all() {
        for (name, lines) in functions(tokens(&file)) {
            if lines > LONGEST_FUNCTION {
                long.push(format!("{}: {name} has {lines} lines", shown(&file)));
            }
            lengths.push(lines);
        }
    }
    assert_eq!(long, [""; 0]);
    assert!(lengths.len() > 1000 && median(lengths.clone()) <= MEDIAN_FUNCTION, "{}", median(lengths));
}

/// Name and lines of each function with a body, from `fn` to its closing brace.
fn functions(stream: TokenStream) -> Vec<(String, usize)> {
    let (mut found, mut open) = (Vec::new(), None);
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Ident(ident) if ident == "fn" => {
                if let Some(TokenTree::Ident(name)) = trees.peek() {
                    open = Some((name.to_string(), ident.span().start().line));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => open = None,
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Brace
                    && let Some((name, begins)) = open.take()
                {
                    found.push((name, group.span_close().end().line + 1 - begins));
                }
                found.extend(functions(group.stream()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let text = "trait T { fn none(&self); fn one() {}\n fn three(\n) {\n fn inner() {}\n} }";
    let found = functions(text.parse().unwrap());
    let expected = [("one", 1), ("three", 4), ("inner", 1)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(found, expected);
}
