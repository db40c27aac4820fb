//! Which module of the product names which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::{files, repository, tokens};

/// A module, as its path from the crate: `["engine", "index", "claims"]`.
pub type Module = Vec<String>;

/// The modules, each with its file.
pub fn modules() -> BTreeMap<Module, PathBuf> {
    let product = files("src").into_iter().filter(|file| !file.iter().any(|part| part == "tests"));
    let module = |file: PathBuf| {
        let path = file.strip_prefix(repository().join("src")).unwrap().with_extension("");
        let parts: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        (parts.into_iter().filter(|part| part != "mod").collect(), file)
    };
    product.filter(|file| file.file_stem().is_some_and(|stem| stem != "tests")).map(module).collect()
}

/// Each module with those that it names, its own tests left out.
pub fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules();
    let named = |(module, file): (&Module, &PathBuf)| (module.clone(), named_in(file, module, &modules));
    modules.iter().map(named).collect()
}

fn named_in(file: &Path, module: &Module, modules: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    let mut paths = Vec::new();
    collect(without_tests(tokens(file)), &mut paths);
    let known = |path: &Vec<String>| {
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|path| modules.contains_key(path))
    };
    let absolute = paths.iter().filter_map(|path| absolute(path, module, modules));
    absolute.filter_map(|path| known(&path)).filter(|named| named != module).collect()
}

/// From the crate; `None` where it begins with a name that is no module beside or below this one.
fn absolute(path: &[String], module: &Module, modules: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut base = module.clone();
    match first.as_str() {
        "crate" => return Some(rest.to_vec()),
        "self" => {}
        // `pub(super)` names nothing.
        "super" if rest.is_empty() => return None,
        "super" => {
            base.pop();
            let above = rest.iter().take_while(|part| *part == "super").count();
            base.truncate(base.len() - above);
            return Some([base, rest[above..].to_vec()].concat());
        }
        // A name alone is a variable, or the declaration of a module.
        _ if rest.is_empty() => return None,
        name => {
            base.push(name.to_owned());
            modules.contains_key(&base).then_some(())?;
        }
    }
    Some([base, rest.to_vec()].concat())
}

/// The tokens but for `#[cfg(test)] mod … { … }`.
fn without_tests(stream: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let is_test = |tree: &TokenTree| tree.to_string().replace(' ', "") == "[cfg(test)]";
    let begins = trees.iter().position(is_test).unwrap_or(trees.len());
    trees.into_iter().take(begins).collect()
}

/// The paths that these tokens hold, those of a `use` with braces one by one.
fn collect(stream: TokenStream, paths: &mut Vec<Vec<String>>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            TokenTree::Group(group) => {
                collect(group.stream(), paths);
                at += 1;
            }
            TokenTree::Ident(_) => at = path(&trees, at, &[], paths),
            _ => at += 1,
        }
    }
}

/// Reads one path that begins here; answers where the next token is.
fn path(trees: &[TokenTree], mut at: usize, before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut parts = before.to_vec();
    while let Some(TokenTree::Ident(ident)) = trees.get(at) {
        parts.push(ident.to_string());
        at += 1;
        let is_colon =
            |tree: Option<&TokenTree>| matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == ':');
        if !(is_colon(trees.get(at)) && is_colon(trees.get(at + 1))) {
            break;
        }
        at += 2;
        if let Some(TokenTree::Group(group)) = trees.get(at)
            && group.delimiter() == Delimiter::Brace
        {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let mut next = 0;
            while next < inner.len() {
                next = match &inner[next] {
                    TokenTree::Ident(_) => path(&inner, next, &parts, paths),
                    _ => next + 1,
                };
            }
            return at + 1;
        }
    }
    paths.push(parts);
    at
}

#[test]
fn paths_are_read_through_braces_and_from_where_they_stand() {
    let read = |text: &str| {
        let mut paths = Vec::new();
        collect(text.parse().unwrap(), &mut paths);
        paths.into_iter().map(|path| path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(read("use a::{b, c::{d, e}};"), ["use", "a::b", "a::c::d", "a::c::e"]);
    assert_eq!(read("crate::x::y(super::z())"), ["crate::x::y", "super::z"]);
    let modules = modules();
    let here: Module = ["engine", "index", "claims"].map(str::to_owned).into();
    let of = |text: &str| absolute(&text.split("::").map(str::to_owned).collect::<Vec<_>>(), &here, &modules);
    assert_eq!(of("super::super::watch").unwrap(), ["engine", "watch"]);
    assert_eq!(of("std::sync"), None);
}
