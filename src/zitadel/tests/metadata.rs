//! Metadata lists in pages that shrink, writes in chunks, and values that nothing shows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::zitadel::tests::api::{answered, answers};
use crate::zitadel::tests::{
    Client, Error, Fake, Metadata, Reply, Secret, TestResult, TransportError, client,
};
use crate::zitadel::transport::BODY_LIMIT;

const GRPC_LIMIT: usize = 4 * 1024 * 1024;
/// Three bytes in base64, of which all values are made.
const VALUE: &str = "dnZ2";
const VALUE_SIZE: usize = 3;
/// Close to the longest value.
const LARGE: usize = 499_998;

fn body(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

fn asked(request: &Request<Bytes>) -> (usize, usize) {
    let query = &body(request)["query"];
    let offset = query["offset"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    (offset, query["limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or_default())
}

/// The answer of ZITADEL, or of the transport, to a page of entries of these sizes.
fn page(entries: &[(String, usize)], request: &Request<Bytes>) -> Reply {
    let (offset, limit) = asked(request);
    let rows: Vec<_> = entries.iter().skip(offset).take(limit).collect();
    let decoded: usize = rows.iter().map(|(key, size)| key.len() + size + 60).sum();
    if decoded > GRPC_LIMIT {
        return Reply::json(429, &json!({"code": 8, "message": "grpc: received message larger than max"}));
    }
    let row = |(key, size): &&(String, usize)| {
        format!(r#"{{"key":"{key}","value":"{}"}}"#, VALUE.repeat(size / VALUE_SIZE))
    };
    let rows = rows.iter().map(row).collect::<Vec<_>>().join(",");
    let total = entries.len();
    let reply =
        Reply::raw(200, &[], &format!(r#"{{"details":{{"totalResult":"{total}"}},"result":[{rows}]}}"#));
    match &reply.result {
        Ok(response) if response.body().len() > BODY_LIMIT => {
            Reply { result: Err(TransportError::TooLarge { status: 200, limit: BODY_LIMIT }), ..reply }
        }
        _ => reply,
    }
}

fn sized(sizes: impl IntoIterator<Item = usize>) -> Vec<(String, usize)> {
    sizes.into_iter().enumerate().map(|(i, size)| (format!("k{i}"), size)).collect()
}

fn serving(entries: Vec<(String, usize)>) -> Arc<Fake> {
    Fake::new(move |_, request| page(&entries, request))
}

fn reader(fake: &Arc<Fake>) -> Result<Client, String> {
    client(fake.clone(), Secret::pat("t"))
}

#[tokio::test(start_paused = true)]
async fn recorded_lists_of_metadata_are_read() -> TestResult {
    for body in answers(&Method::POST, "/management/v1/metadata/_search")? {
        let sent = body["result"].as_array().ok_or("no result")?;
        let read = answered(&body)?.metadata("{acme}", |_| true).await;
        if body["details"]["totalResult"].as_str() != Some(sent.len().to_string().as_str()) {
            assert!(matches!(read, Err(Error::Malformed { .. })), "one page of many, repeated: {read:?}");
            continue;
        }
        let read = read?;
        assert_eq!(read.len(), sent.len());
        for (read, sent) in read.iter().zip(sent) {
            assert_eq!(Some(read.key.as_str()), sent["key"].as_str());
            assert_eq!(Some(STANDARD.encode(&read.value).as_str()), sent["value"].as_str());
            assert_eq!((read.details.sequence.as_str(), read.details.change_date.is_some()), ("42", true));
        }
    }
    for body in answers(&Method::DELETE, "/management/v1/metadata/_bulk")? {
        answered(&body)?.remove_metadata("{acme}", &["one", "two"]).await?;
    }
    for body in answers(&Method::POST, "/management/v1/metadata/_bulk")? {
        assert_eq!(answered(&body)?.set_metadata("{acme}", &[("one", b"1"), ("two", b"2")]).await?, None);
    }
    for body in answers(&Method::POST, "/management/v1/metadata/tier")? {
        let details = answered(&body)?.set_metadata("{acme}", &[("tier", b"gold")]).await?;
        assert!(details.ok_or("no details")?.creation_date.is_some());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn up_to_a_thousand_entries_are_one_call() -> TestResult {
    for (count, expected) in [(0, &[][..]), (1, &["k0"]), (1000, &["k0", "k999"])] {
        let fake = serving(sized(vec![9; count]));
        let wanted = BTreeSet::from(["k0", "k999", "absent"]);
        let read = reader(&fake)?.metadata("org", |key| wanted.contains(key)).await?;
        assert_eq!(read.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(fake.seen().len(), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pages_shrink_until_they_fit_and_nothing_is_lost() -> TestResult {
    let foreign = |own: usize| (0..20).map(|_| LARGE).chain((0..own).map(|_| 9)).collect::<Vec<_>>();
    let mixed = (0..2500).map(|i| if i % 500 == 250 { LARGE } else { 99 });
    let cases = [
        (sized(foreign(1)), 20),
        (sized(foreign(1200)), 40),
        (sized(foreign(3).into_iter().rev()), 20),
        (sized(vec![999; 2500]), 8),
        (sized(mixed), 20),
        (sized([3_000_000; 3]), 20),
    ];
    for (entries, most) in cases {
        let fake = serving(entries.clone());
        let read = reader(&fake)?.metadata("org", |_| true).await?;
        let read: Vec<_> = read.iter().map(|entry| (entry.key.clone(), entry.value.len())).collect();
        assert!(read == entries, "{} of {}", read.len(), entries.len());
        let pages: Vec<_> = fake.seen().iter().map(asked).collect();
        assert!(pages.len() <= most, "{pages:?}");
        assert!(pages.iter().all(|(_, limit)| (1..=1000).contains(limit)), "{pages:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_is_an_error_not_empty() -> TestResult {
    let huge = serving(sized([GRPC_LIMIT]));
    assert_eq!(reader(&huge)?.metadata("org", |_| true).await, Err(Error::TooLarge));
    let row = json!({"key": "a", "value": "MQ=="});
    for answer in [
        json!({}),
        json!({"details": {"totalResult": "1"}}),
        json!({"details": {}, "result": [row]}),
        json!({"details": {"totalResult": "0"}, "result": [row]}),
        json!({"details": {"totalResult": "2"}, "result": [row]}),
        json!({"details": {"totalResult": "2"}, "result": [row, row]}),
        json!({"details": {"totalResult": "18446744073709551615"}, "result": [row]}),
        json!({"details": {"totalResult": "one"}, "result": [row]}),
        json!({"details": {"totalResult": "1"}, "result": [{"key": "a", "value": "***"}]}),
        json!({"details": {"totalResult": "1"}, "result": [{"value": "MQ=="}]}),
    ] {
        let fake = Fake::always(Reply::json(200, &answer));
        let read = reader(&fake)?.metadata("org", |_| false).await;
        assert!(matches!(read, Err(Error::Malformed { status: 200, .. })), "{answer}: {read:?}");
        assert!(fake.seen().len() <= 6, "{}", fake.seen().len());
    }
    let html = Fake::always(Reply::raw(404, &[], "<html>"));
    assert!(matches!(reader(&html)?.metadata("org", |_| true).await, Err(Error::UnknownEndpoint { .. })));
    Ok(())
}

/// Serves `before` to the first page and `after` to all others.
fn changing(before: Vec<(String, usize)>, after: Vec<(String, usize)>) -> Arc<Fake> {
    Fake::new(move |number, request| page(if number == 1 { &before } else { &after }, request))
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changes_between_pages_is_read_again() -> TestResult {
    let before = sized(vec![9; 1500]);
    let one_less = before[1..].to_vec();
    let one_more: Vec<_> = [before.clone(), vec![("new".to_owned(), 9)]].concat();
    let replaced: Vec<_> = [one_less.clone(), vec![("new".to_owned(), 9)]].concat();
    let moved: Vec<_> = [&before[1400..1401], &before[..1400], &before[1401..]].concat();
    let mut swapped = before.clone();
    swapped.swap(0, 1200);
    for after in [one_less, one_more, replaced, moved, swapped, before[..900].to_vec(), Vec::new()] {
        let fake = changing(before.clone(), after.clone());
        let read = reader(&fake)?.metadata("org", |_| true).await?;
        let keys: Vec<_> = read.iter().map(|entry| &entry.key).collect();
        assert!(
            keys.iter().copied().eq(after.iter().map(|(key, _)| key)),
            "{} of {}",
            keys.len(),
            after.len()
        );
        assert!(fake.seen().len() <= 4, "{}", fake.seen().len());
    }
    let restless = Fake::new(move |number, request| page(&sized(vec![9; 1500 + number]), request));
    let read = reader(&restless)?.metadata("org", |_| true).await;
    assert!(matches!(read, Err(Error::Malformed { .. })), "{read:?}");
    assert_eq!(restless.seen().len(), 6);
    Ok(())
}

fn keys_sent(fake: &Fake) -> Vec<Vec<String>> {
    let keys = |request: &Request<Bytes>| {
        let sent = body(request)["metadata"].as_array().cloned().unwrap_or_default();
        sent.iter().filter_map(|entry| entry["key"].as_str().map(str::to_owned)).collect()
    };
    fake.seen().iter().map(keys).collect()
}

#[tokio::test(start_paused = true)]
async fn many_entries_are_set_in_chunks_that_the_server_takes() -> TestResult {
    let written = || Fake::always(Reply::json(200, &json!({"details": {"sequence": "3"}})));
    let (large, small) = (vec![7; 500_000], vec![7; 10]);
    let (half, odd) = (vec![7; 3 * 1024 * 1024 / 2 - 1], vec![7; 5_000_000]);
    let cases: [(Vec<&[u8]>, &[usize]); 6] = [
        (vec![], &[]),
        (vec![&small, &small], &[2]),
        (vec![&large; 13], &[6, 6, 1]),
        (vec![&half, &half, &small], &[2, 1]),
        (vec![&small, &odd, &small], &[1, 1, 1]),
        (vec![&small; 2000], &[2000]),
    ];
    for (values, expected) in cases {
        let keys: Vec<String> =
            (0..values.len()).map(|i| char::from(b'a' + (i % 26) as u8).to_string()).collect();
        let entries: Vec<(&str, &[u8])> = keys.iter().map(String::as_str).zip(values).collect();
        let fake = written();
        assert_eq!(reader(&fake)?.set_metadata("org", &entries).await?, None);
        let sent = keys_sent(&fake);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        assert_eq!(sent.concat(), keys);
    }
    let refused = Fake::new(|number, _| match number {
        1 => Reply::json(200, &json!({"details": {}})),
        _ => Reply::error(400, 3, "META-2ml0f"),
    });
    let entries: Vec<(&str, &[u8])> = vec![("k", &large); 20];
    assert!(matches!(reader(&refused)?.set_metadata("org", &entries).await, Err(Error::Invalid { .. })));
    assert_eq!(refused.seen().len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_single_entry_goes_by_its_path_where_the_server_finds_it() -> TestResult {
    for (key, path) in [
        ("tier", Some("/tier")),
        ("50%", Some("/50%25")),
        ("a+b ~:#?", Some("/a%2Bb%20~%3A%23%3F")),
        ("a..b", Some("/a..b")),
        ("a/b", None),
        ("é", None),
        ("a\tb", None),
        ("\u{7f}", None),
        (".", None),
        ("..", None),
        ("_bulk", None),
        ("_search", None),
    ] {
        let fake = Fake::always(Reply::json(200, &json!({"details": {"sequence": "3"}})));
        let details = reader(&fake)?.set_metadata("org", &[(key, b"v")]).await?;
        assert_eq!(details.map(|details| details.sequence), path.map(|_| "3".to_owned()), "{key:?}");
        let expected = format!("/management/v1/metadata{}", path.unwrap_or("/_bulk"));
        assert_eq!(fake.seen()[0].uri().path(), expected);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_keys_are_removed_without_a_call_and_absent_ones_not_found() -> TestResult {
    let fake = Fake::always(Reply::error(404, 5, "META-2npds"));
    let client = reader(&fake)?;
    client.remove_metadata("org", &[]).await?;
    assert!(fake.seen().is_empty());
    let absent = client.remove_metadata("org", &["k"]).await;
    assert!(matches!(&absent, Err(Error::NotFound { id, .. }) if id == "META-2npds"), "{absent:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn writes_to_one_organization_are_serial_and_reads_are_not() -> TestResult {
    let answer = json!({"details": {"sequence": "3"}, "policy": {}});
    let fake = Fake::always(Reply::json(200, &answer).after(Duration::from_millis(50)));
    let client = reader(&fake)?;
    let writes = (0..4).map(|_| async {
        client.set_metadata("org", &[("k", b"v")]).await?;
        client.remove_metadata("org", &["k"]).await?;
        client.reset_policy(&super::DOMAIN, "org").await?;
        client.rename_organization("org", "Acme").await?;
        client.reset_organization_features("org").await
    });
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight(), 1);
    let reads = (0..4).map(|_| client.metadata("org", |_| true));
    assert!(join_all(reads).await.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight(), 4);
    Ok(())
}

#[test]
fn no_debug_shows_a_value_and_a_read_may_be_sent_between_threads() -> TestResult {
    let entry = Metadata { key: "k".to_owned(), value: b"c4n4ry".to_vec(), ..Metadata::default() };
    let shown = format!("{entry:?} {:#?}", Some(&entry));
    assert!(shown.contains("[6 bytes]") && !shown.contains("c4n4ry") && !shown.contains("99"), "{shown}");
    fn assert_send<T: Send>(_: &T) {}
    let (client, wanted) = (answered(&json!({}))?, BTreeSet::from(["k"]));
    assert_send(&client.metadata("org", |key| wanted.contains(key)));
    assert_send(&client.set_metadata("org", &[("k", b"v")]));
    assert_send(&client.organization_features("org"));
    Ok(())
}
