//! Which `OrgMetadata` the API server takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};

const KIND: &str = "OrgMetadata";

/// The most that ZITADEL takes, in bytes.
const LIMIT: usize = 500_000;

fn entries(entries: Vec<Value>) -> Value {
    [("entries", Value::Array(entries))].into_iter().collect()
}

fn entry(entry: Value) -> Value {
    entries(vec![entry])
}

fn keyed(key: impl Into<Value>) -> Value {
    entry(json!({ "key": key.into(), "value": "v" }))
}

fn base64(text: &str) -> Value {
    entry(json!({ "key": "k", "base64": text }))
}

fn from(source: Value) -> Value {
    entry([("key", json!("k")), ("valueFrom", source)].into_iter().collect())
}

#[tokio::test]
async fn a_key_has_up_to_200_characters_however_many_bytes() {
    let cluster = shared().await;
    cluster.accepts(KIND, [keyed("k"), keyed("é".repeat(200))]).await;
    cluster.accepts(KIND, ["a/b", "é", "a b", "50%", "..", ".", "_search", "_bulk", " "].map(keyed)).await;
    cluster.refuses(KIND, [keyed(""), keyed("é".repeat(201))], "spec.entries[0].key").await;
    cluster.refuses(KIND, [entry(json!({ "value": "v" }))], "spec.entries[0].key: Required value").await;
}

#[tokio::test]
async fn a_key_has_no_control_characters() {
    let wrong = ["a\nb", "a\tb", "a\u{0}b", "a\u{7f}b", "a\u{85}b"].map(keyed);
    shared().await.refuses(KIND, wrong, "spec.entries[0].key").await;
}

#[tokio::test]
async fn a_key_is_none_of_the_operators_own() {
    let cluster = shared().await;
    let others =
        ["zitadel-operator.dev", "zitadel-operator.dev.example/a", "a/zitadel-operator.dev/created-by"];
    cluster.accepts(KIND, others.map(keyed)).await;
    let own = ["zitadel-operator.dev/created-by", "zitadel-operator.dev/"].map(keyed);
    cluster.refuses(KIND, own, "keys that begin with zitadel-operator.dev/ are the operator's own").await;
}

#[tokio::test]
async fn a_key_is_listed_once() {
    let cluster = shared().await;
    let pair = |first: &str, second: &str| {
        entries(vec![json!({ "key": first, "value": "v" }), json!({ "key": second, "value": "v" })])
    };
    cluster.accepts(KIND, [pair("a", "A")]).await;
    cluster.refuses(KIND, [pair("a", "a")], "Duplicate value").await;
}

#[tokio::test]
async fn a_value_is_given_in_exactly_one_way() {
    let cluster = shared().await;
    let source = json!({ "secretKeyRef": { "name": "s", "key": "k" } });
    let ways = [json!({ "value": "v" }), json!({ "base64": "dg==" }), json!({ "valueFrom": source })];
    let with_key = |mut fields: Value| {
        fields["key"] = json!("k");
        entry(fields)
    };
    cluster.accepts(KIND, ways.map(with_key)).await;
    let wrong = [
        json!({}),
        json!({ "value": null }),
        json!({ "value": "v", "base64": "dg==" }),
        json!({ "value": "v", "valueFrom": source }),
        json!({ "base64": "dg==", "valueFrom": source }),
        json!({ "value": "v", "base64": "dg==", "valueFrom": source }),
    ];
    cluster.refuses(KIND, wrong.map(with_key), "set exactly one of value, base64 and valueFrom").await;
}

#[tokio::test]
async fn a_value_from_elsewhere_has_exactly_one_place() {
    let cluster = shared().await;
    let place = json!({ "name": "site", "key": "region" });
    let right = ["secretKeyRef", "configMapKeyRef"].map(|kind| json!({ kind: place }));
    cluster.accepts(KIND, right.map(from)).await;
    let wrong = [json!({}), json!({ "secretKeyRef": place, "configMapKeyRef": place })];
    cluster.refuses(KIND, wrong.map(from), "set exactly one of secretKeyRef and configMapKeyRef").await;
    for wrong in [
        json!({ "name": "site" }),
        json!({ "key": "region" }),
        json!({ "name": "", "key": "region" }),
        json!({ "name": "site", "key": "" }),
        json!({ "name": "Site", "key": "region" }),
        json!({ "name": "../site", "key": "region" }),
    ] {
        cluster.refuses(KIND, [from(json!({ "secretKeyRef": wrong }))], "valueFrom.secretKeyRef").await;
    }
}

#[tokio::test]
async fn base64_is_standard_and_padded() {
    let cluster = shared().await;
    cluster.accepts(KIND, ["AA==", "AAA=", "AAAA", "+/+/", "iVBORw0KGgo="].map(base64)).await;
    let wrong = ["", "=", "AA", "AAA", "AA=", "-_-_", "AAAA\n", "AA AA", "A===", "AA==AA=="].map(base64);
    cluster.refuses(KIND, wrong, "spec.entries[0].base64").await;
}

#[tokio::test]
async fn text_of_500_000_bytes_is_stored_and_a_longer_one_is_refused() {
    let cluster = shared().await;
    let text = |length: usize| entry(json!({ "key": "k", "value": "v".repeat(length) }));
    let stored = cluster.apply(KIND, &fresh_name(), &text(LIMIT), false).await.unwrap();
    assert_eq!(stored["spec"]["entries"][0]["value"].as_str().map(str::len), Some(LIMIT));
    cluster.refuses(KIND, [text(LIMIT + 1)], "spec.entries[0].value: Too long").await;
    cluster.refuses(KIND, [text(0)], "spec.entries[0].value").await;
}

/// A maximum length counts characters, and a rule on the bytes of 500 texts costs more than the API server allows.
#[tokio::test]
async fn the_bytes_of_text_are_the_operators_to_count() {
    let two_bytes_each = entry(json!({ "key": "k", "value": "é".repeat(LIMIT) }));
    shared().await.accepts(KIND, [two_bytes_each]).await;
}

#[tokio::test]
async fn base64_of_500_000_bytes_is_stored_and_of_one_more_is_refused() {
    let cluster = shared().await;
    let bytes = |length: usize| base64(&STANDARD.encode(vec![0; length]));
    cluster.apply(KIND, &fresh_name(), &bytes(LIMIT), false).await.unwrap();
    cluster.refuses(KIND, [bytes(LIMIT + 1)], "ZITADEL takes at most 500000 bytes").await;
    cluster.refuses(KIND, [bytes(LIMIT + 2)], "spec.entries[0].base64: Too long").await;
}

/// Each key is kept four times: in spec, in status, and as owned by somebody in both.
#[tokio::test]
async fn the_longest_list_of_the_longest_keys_leaves_room_for_the_status() {
    let cluster = shared().await;
    let name = fresh_name();
    let keys = |count: usize| (0..count).map(|n| format!("{n:03}{}", "é".repeat(197)));
    let listed =
        |count| entries(keys(count).map(|key| json!({ "key": key, "value": "v" })).collect::<Vec<_>>());
    cluster.apply(KIND, &name, &listed(500), false).await.unwrap();
    let status: Vec<Value> = keys(500)
        .map(|key| json!({ "key": key, "sequence": u64::MAX.to_string(), "changeDate": "2026-11-21T10:00:00.123456Z" }))
        .collect();
    cluster.apply_status(KIND, &name, &json!({ "entries": status })).await.unwrap();
    cluster.refuses(KIND, [listed(501)], "must have at most 500 items").await;
}

#[tokio::test]
async fn an_empty_list_owns_nothing() {
    let cluster = shared().await;
    cluster.accepts(KIND, [entries(vec![])]).await;
    cluster.refuses(KIND, [json!({})], "spec.entries: Required value").await;
}

/// Two field managers own different keys of one resource.
#[tokio::test]
async fn each_key_is_applied_on_its_own() {
    let cluster = shared().await;
    let name = fresh_name();
    cluster.apply(KIND, &name, &keyed("ours"), false).await.unwrap();
    let manifest = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": KIND,
        "metadata": { "name": name, "namespace": "default" }, "spec": keyed("theirs"),
    });
    let manager = ["apply", "--server-side", "--field-manager=another-person", "-f", "-"];
    let applied = cluster.pipe(&manager, &manifest.to_string());
    assert!(applied.status.success(), "{applied:?}");
    let stored = serde_json::to_value(cluster.api(KIND).get(&name).await.unwrap()).unwrap();
    let keys: Vec<&Value> =
        stored["spec"]["entries"].as_array().unwrap().iter().map(|entry| &entry["key"]).collect();
    assert_eq!(keys, ["ours", "theirs"]);
}

/// kubectl without `--server-side` keeps the whole resource in an annotation.
#[tokio::test]
async fn the_client_side_way_ends_at_262_144_bytes() {
    let cluster = shared().await;
    let manifest = |length: usize| {
        let spec = entry(json!({ "key": "k", "value": "v".repeat(length) }));
        json!({
            "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": KIND,
            "metadata": { "name": fresh_name(), "namespace": "default" }, "spec": spec,
        })
        .to_string()
    };
    let apply = |length: usize| cluster.pipe(&["apply", "--dry-run=server", "-f", "-"], &manifest(length));
    assert!(apply(260_000).status.success());
    let refused = String::from_utf8(apply(262_144).stderr).unwrap();
    assert!(
        refused.contains("metadata.annotations: Too long: may not be more than 262144 bytes"),
        "{refused}"
    );
}
