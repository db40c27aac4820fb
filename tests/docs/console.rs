//! What the documents show of kubectl is what it prints: each `$ ` line of a console block is run, and compared.

use std::collections::BTreeSet;

use regex::{Captures, Regex};

use crate::scene::Scene;
use crate::{hold, procedures, read};
use zitadel_operator::kinds::definitions;

const COMMANDS: &str = "docs/commands.md";

const PAGES: &[&str] = &[COMMANDS, "docs/uninstall.md"];

/// One operator for all: what a document does is undone by no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_documents_show_and_advise_is_what_happens() {
    let scene = Scene::open().await;
    procedures::many_are_adopted_at_once(&scene);
    let before = procedures::owned(&scene);
    let stale: Vec<String> =
        PAGES.iter().filter_map(|path| hold(path, &replay(&scene, &read(path))).err()).collect();
    procedures::what_is_retained_stays(&scene, &before);
    procedures::without_an_operator_finalizers_can_be_taken_off(&scene.close().await);
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn every_kind_is_waited_for() {
    let commands = read(COMMANDS);
    for names in definitions().into_iter().map(|crd| crd.spec.names) {
        let kind = names.short_names.unwrap().remove(0);
        let waits =
            Regex::new(&format!(r"\n\$ kubectl wait [^\n]*--for=condition=Ready [^\n]* {kind}/")).unwrap();
        assert!(waits.is_match(&commands), "nobody waits for {kind}");
    }
}

/// The document with what its commands print now.
fn replay(scene: &Scene, document: &str) -> String {
    let block = Regex::new(r"(?ms)^( *)```console\n(.*?)^ *```").unwrap();
    let replayed = block.replace_all(document, |found: &Captures<'_>| {
        let commands = found[2].lines().filter_map(|line| line.trim_start().strip_prefix("$ "));
        let printed: String =
            commands.map(|command| format!("$ {command}\n{}", shown(scene, command))).collect();
        let indented =
            printed.lines().map(|line| format!("{}{line}", &found[1]).trim_end().to_owned() + "\n");
        format!("{0}```console\n{1}{0}```", &found[1], indented.collect::<String>())
    });
    replayed.into_owned()
}

fn shown(scene: &Scene, command: &str) -> String {
    // The one kind that no released ZITADEL serves.
    if command.contains("condition=Ready") && command.contains("zorgfeat/") {
        scene.implement_features();
    }
    let output = scene.cluster.run(command);
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let printed = aligned(&same_ids(&printed), &|cell| scene.neutral(cell));
    let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
    match lines.join("\n").trim_end() {
        "" => String::new(),
        printed => format!("{printed}\n"),
    }
}

/// Ids by the order in which they come.
fn same_ids(printed: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let id = Regex::new(r"\b\d{18}\b").unwrap();
    let same = id.replace_all(printed, |found: &Captures<'_>| {
        let at = seen.iter().position(|id| *id == found[0]).unwrap_or_else(|| {
            seen.push(found[0].to_owned());
            seen.len() - 1
        });
        format!("{}", 335_581_780_979_593_816_u64 + at as u64)
    });
    let uid = Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    uid.replace_all(&same, "1f0c7a52-6b1e-4d53-9c3a-2f6e8d0b4a17").into_owned()
}

/// Tables with the same ages and sequences, and columns as wide as that needs; `neutral` is for every cell and line.
fn aligned(printed: &str, neutral: &impl Fn(&str) -> String) -> String {
    let part = |part: &str| match part.starts_with("NAME") {
        true => table(part, neutral),
        false => neutral(part),
    };
    printed.split("\n\n").map(part).collect::<Vec<_>>().join("\n\n")
}

fn table(text: &str, neutral: &impl Fn(&str) -> String) -> String {
    let names: Vec<_> = Regex::new(r"\S+( \S+)*").unwrap().find_iter(text.lines().next().unwrap()).collect();
    let ends = names.iter().skip(1).map(regex::Match::start).chain([usize::MAX]);
    let columns: Vec<_> = names.iter().zip(ends).collect();
    let cells = |line: &str| -> Vec<String> {
        let letters: Vec<char> = line.chars().collect();
        let cell = |&(name, end): &(&regex::Match<'_>, usize)| {
            let cell: String = letters.iter().take(end).skip(name.start()).collect();
            timeless(name.as_str(), neutral(cell.trim()))
        };
        columns.iter().map(cell).collect()
    };
    let rows: Vec<Vec<String>> = text.lines().map(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap() + 3;
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| -> String {
        row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n") + if text.ends_with('\n') { "\n" } else { "" }
}

/// A cell without what depends on the moment.
fn timeless(column: &str, cell: String) -> String {
    let moment = Regex::new(r"^\d+[smhd]").unwrap();
    match column {
        "AGE" | "CHANGED" if moment.is_match(&cell) => "10s".to_owned(),
        "SEQUENCE" if cell.parse::<u64>().is_ok() => "12".to_owned(),
        _ => cell,
    }
}

#[test]
fn a_table_is_the_same_whatever_the_moment_and_the_address() {
    let neutral = |cell: &str| cell.replace("http://[::1]:40963", "https://zitadel.example.com");
    let early = "NAME   URL                  SEQUENCE   AGE\nweb    http://[::1]:40963   1          3s\n";
    let late = "NAME   URL                  SEQUENCE   AGE\nweb    http://[::1]:40963   13         4m10s\n";
    assert_eq!(aligned(early, &neutral), aligned(late, &neutral));
    let lines = aligned(early, &neutral);
    let row: Vec<&str> = lines.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["web", "https://zitadel.example.com", "12", "10s"]);
}

#[test]
fn ids_are_told_apart_and_no_more() {
    let printed = "335581780979599999 312909075211944344 335581780979599999";
    let ids: Vec<String> = same_ids(printed).split(' ').map(str::to_owned).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 2);
    assert_eq!(ids[0], ids[2]);
}
