//! Foreign bytes: texts, JSON, and JSON that somebody else made and something bent.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A secret that nothing may show.
pub const CANARY: &str = "c4n4ry-s3cr3t";

/// No document grows beyond this, in bytes: parsers are bounded by length elsewhere.
const LONGEST: usize = 128 * 1024;

/// What parsers stumble over.
const PIECES: [&str; 56] = [
    "",
    "0",
    "1",
    "-1",
    "a",
    "Z",
    " ",
    ".",
    "..",
    "/",
    "\\",
    "%",
    "%2f",
    "%2e%2e",
    "%00",
    "?",
    "#",
    "&",
    "=",
    "@",
    ":",
    ";",
    ",",
    "*",
    "***",
    "+",
    "\"",
    "'",
    "<",
    "{",
    "[",
    "\0",
    "\r\n",
    "\n",
    "\t",
    "\u{7f}",
    "\u{85}",
    "\u{ad}",
    "\u{202e}",
    "\u{feff}",
    "\u{2028}",
    "é",
    "ﬀ",
    "e\u{301}",
    "𝄞",
    "\u{fffd}",
    "true",
    "null",
    "1e999",
    "18446744073709551616",
    "_bulk",
    "_search",
    "2026-11-21T10:00:00Z",
    "2999-01-01T00:00:00Z",
    "AUTH-Bs7Ds",
    CANARY,
];

/// Values with a meaning somewhere, or at the end of a range.
const TEXTS: [&str; 26] = [
    "-009999-01-02T01:59:59Z",
    "9999-12-30T22:00:00.999999999Z",
    "+275760-09-13T00:00:00Z",
    "2026-11-21T10:00:60Z",
    "2026-02-30T00:00:00+25:00",
    "18446744073709551615",
    "-1",
    "1",
    "2",
    "+1",
    "1e3",
    "COMMAND-2M0fs",
    "COMMAND-QXPGs",
    "AUTHZ-cdgFk",
    "QUERY-1kIjX",
    "LIMITS-molsj",
    "not_found",
    "resource_exhausted",
    "SOURCE_ORGANIZATION",
    "ORG_STATE_REMOVED",
    "X_STATE_ACTIVE",
    "PROJECT_STATE_NEW",
    "PRIVATE_LABELING_SETTING_NEW",
    "not implemented",
    "YQ",
    "YW==",
];

/// Any text: short ones of awkward pieces, printable ones, long ones.
pub fn text() -> impl Strategy<Value = String> {
    let pieces = || vec(select(&PIECES[..]), 0..6).prop_map(|pieces| pieces.concat());
    prop_oneof![
        5 => pieces(),
        2 => select(&TEXTS[..]).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (pieces(), 1..300_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

/// Bytes that may be text.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => text().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..200)]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => select(vec![0, 1, -1, 5, 9, i64::MAX, i64::MIN]).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => select(vec![0.5, -0.0, 1e300, 5e-324]).prop_map(Value::from),
        6 => text().prop_map(Value::from),
    ]
}

/// Any JSON.
pub fn json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((text(), inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A change to a node of a document; nodes are chosen by their place in it.
#[derive(Clone, Debug)]
enum Edit {
    Put(Index, Value),
    Drop(Index),
    Add(Index, String, Value),
    /// Puts a copy of the second node in the place of the first.
    Copy(Index, Index),
    Repeat(Index, usize),
    Nest(Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let node = any::<Index>;
    prop_oneof![
        6 => (node(), json()).prop_map(|(at, value)| Edit::Put(at, value)),
        3 => node().prop_map(Edit::Drop),
        2 => (node(), text(), json()).prop_map(|(at, name, value)| Edit::Add(at, name, value)),
        2 => (node(), node()).prop_map(|(at, from)| Edit::Copy(at, from)),
        1 => (node(), 1..300_usize).prop_map(|(at, times)| Edit::Repeat(at, times)),
        1 => (node(), 1..200_usize).prop_map(|(at, depth)| Edit::Nest(at, depth)),
    ]
}

impl Edit {
    fn apply(self, document: &mut Value) {
        let all = pointers(document);
        let choose = |index: Index| index.get(&all).clone();
        match self {
            Self::Put(at, value) => change(document, &choose(at), |node| *node = value),
            Self::Drop(at) => remove(document, &choose(at)),
            Self::Add(at, name, value) => change(document, &choose(at), |node| match node {
                Value::Object(fields) => drop(fields.insert(name, value)),
                Value::Array(items) => items.push(value),
                leaf => *leaf = value,
            }),
            Self::Copy(at, from) => {
                let copy = document.pointer(&choose(from)).cloned().unwrap_or_default();
                change(document, &choose(at), |node| *node = copy);
            }
            Self::Repeat(at, times) => change(document, &choose(at), |node| {
                *node = match node.take() {
                    Value::Array(items) => {
                        let most = items.len() * times.min(1 + 2000 / items.len().max(1));
                        items.iter().cycle().take(most).cloned().collect()
                    }
                    Value::String(text) => {
                        Value::String(text.repeat(times.min(1 + 20_000 / text.len().max(1))))
                    }
                    other => json!([other.clone(), other]),
                };
            }),
            Self::Nest(at, depth) => change(document, &choose(at), |node| {
                *node = (0..depth).fold(node.take(), |inner, _| json!([inner]));
            }),
        }
    }
}

fn change(document: &mut Value, pointer: &str, change: impl FnOnce(&mut Value)) {
    if let Some(node) = document.pointer_mut(pointer) {
        change(node);
    }
}

fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return *document = Value::Null;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&name)),
        Some(Value::Array(items)) => drop(name.parse().map(|index: usize| items.remove(index))),
        _ => {}
    }
}

/// The JSON pointers of all nodes, the root first; of the first of many.
fn pointers(document: &Value) -> Vec<String> {
    let (mut all, mut next) = (vec![String::new()], 0);
    while next < all.len() && all.len() < 2000 {
        let at = all[next].clone();
        let names: Vec<String> = match document.pointer(&at) {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        let escaped = names.iter().map(|name| name.replace('~', "~0").replace('/', "~1"));
        all.extend(escaped.map(|name| format!("{at}/{name}")));
        next += 1;
    }
    all
}

/// Bytes of a document on their way, shown as text.
#[derive(Clone, PartialEq)]
pub struct Bent(pub Vec<u8>);

impl fmt::Debug for Bent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// A change to bytes.
#[derive(Clone, Debug)]
enum Scratch {
    Cut(Index),
    Insert(Index, Vec<u8>),
    Flip(Index, u8),
}

fn scratch() -> impl Strategy<Value = Scratch> {
    let place = any::<Index>;
    prop_oneof![
        place().prop_map(Scratch::Cut),
        (place(), bytes()).prop_map(|(at, bytes)| Scratch::Insert(at, bytes)),
        (place(), 1..=255_u8).prop_map(|(at, mask)| Scratch::Flip(at, mask)),
    ]
}

impl Scratch {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Insert(at, new) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, new);
            }
            Self::Flip(at, mask) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Self::Flip(..) => {}
        }
    }
}

fn scratches() -> impl Strategy<Value = Vec<Scratch>> {
    prop_oneof![6 => Just(Vec::new()), 1 => vec(scratch(), 1..4)]
}

/// One of these documents after a few edits.
pub fn bent(documents: Vec<Value>) -> impl Strategy<Value = Value> {
    (select(documents), vec(edit(), 0..6)).prop_map(|(mut document, edits)| {
        for edit in edits {
            let before = document.clone();
            edit.apply(&mut document);
            if document.to_string().len() > LONGEST {
                document = before;
            }
        }
        document
    })
}

/// The same as bytes, of which some are damaged.
pub fn sent(documents: Vec<Value>) -> impl Strategy<Value = Bent> {
    (bent(documents), scratches())
        .prop_map(|(document, scratches)| damaged(document.to_string().into_bytes(), scratches))
}

/// One of these texts, damaged or not.
pub fn scratched(originals: Vec<Vec<u8>>) -> impl Strategy<Value = Bent> {
    (select(originals), scratches()).prop_map(|(bytes, scratches)| damaged(bytes, scratches))
}

fn damaged(mut bytes: Vec<u8>, scratches: Vec<Scratch>) -> Bent {
    for scratch in scratches {
        scratch.apply(&mut bytes);
    }
    Bent(bytes)
}
