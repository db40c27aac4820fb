//! Names, ids and keys on their way into paths, headers and bodies.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;
use zitadel_operator::zitadel::{Client, Error};

use crate::calls::PROJECT;
use crate::foreign::text;
use crate::server::{Server, assert_readable, client, on_paused_time, response};

/// Asks a server that answers anything, and gives what was sent.
fn asked<T>(ask: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Vec<Request<Bytes>> {
    let body = json!({"id": "1", "details": {"totalResult": "0"}, "result": []}).to_string().into_bytes();
    let server = Server::new(move |_| response(200, &[], body.clone()));
    let outcome = on_paused_time(async {
        let client = client(server.clone() as Arc<_>);
        ask(&client).await
    });
    if let Err(error) = outcome {
        assert_readable(&error);
    }
    server.seen()
}

/// What a server that splits, then decodes, makes of the path.
fn segments(request: &Request<Bytes>) -> Vec<String> {
    let path = request.uri().path().strip_prefix('/').unwrap();
    assert!(request.uri().query().is_none(), "{}", request.uri());
    path.split('/').map(|segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned()).collect()
}

/// The client on the wire parses the URL once more: nothing may change.
fn assert_is_steady(request: &Request<Bytes>) {
    let url = Url::parse(&request.uri().to_string()).unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("zitadel.example"), request.uri().path()));
}

fn can_be_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

fn can_be_header(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub fn ids() -> impl Strategy<Value = (String, String, String)> {
    let id = || prop_oneof![2 => text(), 1 => "[!-~]{1,210}"];
    (id(), id(), text())
}

/// An id is one segment of the path and the value of one header, or the call is not made.
pub fn stay_in_their_place((organization, id, name): (String, String, String)) {
    let fields = Map::from_iter([("name".to_owned(), json!(name))]);
    let requests = asked(async |client| client.update_object(&PROJECT, &organization, &id, &fields).await);
    let sendable = can_be_segment(&id) && can_be_header(&organization) && id.len() < 20_000;
    assert!(!sendable || requests.len() == 1, "{requests:?}");
    for request in requests {
        assert!(can_be_segment(&id) && can_be_header(&organization));
        assert_eq!(segments(&request), ["management", "v1", "projects", &id]);
        assert_eq!(request.headers()["x-zitadel-orgid"], organization.as_str());
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body["name"], name.as_str());
        assert_is_steady(&request);
    }
    let requests = asked(async |client| client.organization_features(&organization).await.map(drop));
    for request in requests {
        assert_eq!(segments(&request)[1..], ["features", "organization", &organization]);
        assert_is_steady(&request);
    }
}

pub fn entries() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let value =
        prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => (0..600_000_usize).prop_map(|size| vec![7; size])];
    prop::collection::btree_map(text(), value, 0..6)
}

/// Every entry reaches the server once, under its key and with its bytes, and no name of an endpoint is one.
pub fn arrive(entries: BTreeMap<String, Vec<u8>>) {
    let given: Vec<(&str, &[u8])> =
        entries.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    let requests = asked(async |client| client.set_metadata("1", &given).await);
    let mut arrived = Vec::new();
    for request in &requests {
        assert_is_steady(request);
        let segments = segments(request);
        assert_eq!(segments[..3], ["management", "v1", "metadata"]);
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert!(request.body().len() < 5 * 1024 * 1024, "{}", request.body().len());
        match segments[3].as_str() {
            "_bulk" => arrived.extend(
                body["metadata"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|entry| (entry["key"].as_str().unwrap().to_owned(), entry["value"].clone())),
            ),
            key => arrived.push((key.to_owned(), body["value"].clone())),
        }
    }
    let arrived: Vec<(String, Vec<u8>)> = arrived
        .into_iter()
        .map(|(key, value)| (key, STANDARD.decode(value.as_str().unwrap()).unwrap()))
        .collect();
    assert_eq!(arrived, entries.clone().into_iter().collect::<Vec<_>>());
    let keys: Vec<&str> = entries.keys().map(String::as_str).collect();
    let requests = asked(async |client| client.remove_metadata("1", &keys).await);
    assert_eq!(requests.len(), usize::from(!keys.is_empty()));
    for request in requests {
        assert_eq!(serde_json::from_slice::<Value>(request.body()).unwrap(), json!({"keys": keys}));
    }
}
