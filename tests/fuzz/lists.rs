//! Lists in pages: every one is read to its end, and every reading ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tokio::time::Instant;
use zitadel_operator::zitadel::{Client, Error};

use crate::calls::PROJECT;
use crate::foreign::{json as any_json, text};
use crate::server::{DEADLINE, ID, Server, assert_discreet, client, on_paused_time, response};

/// The most requests of one reading: three times the pages of the longest list, and the repetitions of one that fails.
const MOST_REQUESTS: usize = 3010;

/// Which list is read.
#[derive(Clone, Copy, Debug)]
pub enum List {
    Projects,
    Organizations,
    Memberships,
    Metadata,
}

const LISTS: [List; 4] = [List::Projects, List::Organizations, List::Memberships, List::Metadata];

impl List {
    /// The keys of its items, as they came.
    async fn read(self, client: &Client) -> Result<Vec<String>, Error> {
        Ok(match self {
            Self::Projects => client
                .objects_named(&PROJECT, ID, "web")
                .await?
                .into_iter()
                .map(|project| project.id)
                .collect(),
            Self::Organizations => {
                client.organizations_named("acme").await?.into_iter().map(|org| org.id).collect()
            }
            Self::Memberships => {
                client.memberships().await?.into_iter().filter_map(|membership| membership.org_id).collect()
            }
            Self::Metadata => {
                client.metadata(ID, |_| true).await?.into_iter().map(|entry| entry.key).collect()
            }
        })
    }

    fn item(self, key: &str) -> Value {
        match self {
            Self::Projects | Self::Organizations => json!({"id": key, "name": key}),
            Self::Memberships => json!({"orgId": key}),
            Self::Metadata => json!({"key": key, "value": "dg=="}),
        }
    }
}

/// Where the page begins, and how long it is to be.
fn asked(request: &Request<Bytes>) -> (usize, usize) {
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let offset = body["query"]["offset"].as_str().unwrap().parse().unwrap();
    (offset, usize::try_from(body["query"]["limit"].as_u64().unwrap()).unwrap())
}

fn page(list: List, total: &Value, keys: impl Iterator<Item = String>) -> Response<Bytes> {
    let items: Vec<Value> = keys.map(|key| list.item(&key)).collect();
    response(200, &[], json!({"details": {"totalResult": total}, "result": items}).to_string().into_bytes())
}

fn read(
    list: List,
    answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
) -> Result<Vec<String>, Error> {
    // What asks for no list asks whether the header arrives.
    let server = Server::new(move |request: &Request<Bytes>| match request.body().is_empty() {
        true => response(200, &[], b"{}".to_vec()),
        false => answer(request),
    });
    let outcome = on_paused_time(async {
        let client = client(server.clone() as Arc<_>);
        let began = Instant::now();
        let outcome = list.read(&client).await;
        assert!(began.elapsed() <= DEADLINE, "{:?}", began.elapsed());
        outcome
    });
    assert!(server.seen().len() <= MOST_REQUESTS, "{} requests", server.seen().len());
    outcome
}

/// A server as ZITADEL is: a list that nobody writes, in pages as short as it likes.
#[derive(Debug)]
pub struct Honest {
    list: List,
    keys: BTreeSet<String>,
    shortest: usize,
}

pub fn honest() -> impl Strategy<Value = Honest> {
    // No id and no name of ZITADEL is longer.
    let key = text().prop_map(|key| key[..key.floor_char_boundary(1024)].to_owned());
    let awkward = prop::collection::btree_set(key, 0..12);
    let many = (0..1500_usize).prop_map(|n| (0..n).map(|i| format!("key-{i}")).collect());
    (select(&LISTS[..]), prop_oneof![awkward, many], 20..200_usize)
        .prop_map(|(list, keys, shortest)| Honest { list, keys, shortest })
}

/// Everything is found once.
pub fn is_complete(Honest { list, keys, shortest }: Honest) {
    let all: Vec<String> = keys.iter().cloned().collect();
    let read = read(list, move |request| {
        let (offset, limit) = asked(request);
        page(list, &json!(all.len().to_string()), all.iter().skip(offset).take(limit.min(shortest)).cloned())
    });
    let read = read.unwrap();
    assert_eq!(read.len(), keys.len());
    assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), keys);
}

/// A page that no list has.
#[derive(Clone, Debug)]
enum Page {
    /// So many items that never were before.
    Fresh(usize),
    /// Items of a few keys.
    Known(Vec<u8>),
    Any(Value),
    Refused(u16, i64),
}

/// A server that makes its pages up: the given ones, over and over.
#[derive(Debug)]
pub struct Liar {
    list: List,
    total: Value,
    steady: bool,
    pages: Vec<Page>,
}

pub fn liar() -> impl Strategy<Value = Liar> {
    let page = prop_oneof![
        3 => (0..120_usize).prop_map(Page::Fresh),
        3 => vec(0..9_u8, 0..9).prop_map(Page::Known),
        1 => any_json().prop_map(Page::Any),
        2 => select(vec![(429, 8), (413, 3), (500, 13), (503, 14)]).prop_map(|(status, code)| Page::Refused(status, code)),
    ];
    let total = prop_oneof![
        4 => (0..200_u64).prop_map(|n| json!(n.to_string())),
        4 => select(vec![u64::MAX, u64::MAX - 1, 1 << 63, 1 << 31, 100_000]).prop_map(|n| json!(n.to_string())),
        2 => any_json(),
        1 => Just(json!("")),
    ];
    let pages = prop_oneof![1 => (1..120_usize).prop_map(|n| vec![Page::Fresh(n)]), 4 => vec(page, 1..6)];
    (select(&LISTS[..]), total, any::<bool>(), pages).prop_map(|(list, total, steady, pages)| Liar {
        list,
        total,
        steady,
        pages,
    })
}

/// The reading ends, and nothing is in it twice.
pub fn ends(Liar { list, total, steady, pages }: Liar) {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let read = read(list, move |request| {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (offset, _) = asked(request);
        let total = if steady { total.clone() } else { json!((n + 2).to_string()) };
        match &pages[n % pages.len()] {
            // A reader of metadata looks for the last item of the page before.
            Page::Fresh(count) => page(list, &total, (0..*count).map(|i| format!("{}", offset + i))),
            Page::Known(keys) => page(list, &total, keys.iter().map(u8::to_string)),
            Page::Any(body) => response(200, &[], body.to_string().into_bytes()),
            Page::Refused(status, code) => {
                response(*status, &[], json!({"code": code, "message": "m"}).to_string().into_bytes())
            }
        }
    });
    match read {
        Ok(keys) => assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:?}"),
        Err(error) => assert_discreet(&error),
    }
}

/// What a list of some length is asked for at some place.
#[derive(Debug)]
pub struct Changing {
    before: usize,
    /// Before the page of this number, what is at this place goes, and so much comes.
    change: (usize, Index, usize),
    shortest: usize,
}

pub fn changing() -> impl Strategy<Value = Changing> {
    (1..400_usize, (1..4_usize, any::<Index>(), 0..3_usize), 20..120_usize)
        .prop_map(|(before, change, shortest)| Changing { before, change, shortest })
}

/// What was there all the time is found, whatever was written while the pages were read.
pub fn misses_nothing(Changing { before, change: (when, place, more), shortest }: Changing) {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let gone = place.index(before);
    let read = read(List::Metadata, move |request| {
        let changed = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= when;
        let kept = (0..before).filter(|n| !changed || *n != gone);
        let keys: Vec<String> =
            kept.chain(before..before + if changed { more } else { 0 }).map(|n| n.to_string()).collect();
        let (offset, limit) = asked(request);
        page(
            List::Metadata,
            &json!(keys.len().to_string()),
            keys.into_iter().skip(offset).take(limit.min(shortest)),
        )
    });
    match read {
        Ok(keys) => {
            let keys: BTreeSet<String> = keys.into_iter().collect();
            let missing: Vec<usize> =
                (0..before).filter(|n| *n != gone && !keys.contains(&n.to_string())).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
        Err(error) => assert_discreet(&error),
    }
}
