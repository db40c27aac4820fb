//! Which `Connection`s and `ClusterConnection`s the API server takes.

use serde_json::{Value, json};

use crate::cluster::{fresh_name, shared};

const KINDS: [&str; 2] = ["Connection", "ClusterConnection"];

/// A valid spec with these fields changed; null takes one away.
fn with(changes: Value) -> Value {
    let mut spec =
        json!({ "url": "https://zitadel.example.com", "personalAccessToken": { "name": "zitadel" } });
    let Value::Object(changes) = changes else { panic!("{changes} is no object") };
    spec.as_object_mut().unwrap().extend(changes);
    spec
}

/// The same rows for both kinds.
async fn accepted(changes: impl IntoIterator<Item = Value> + Clone) {
    let cluster = shared().await;
    for kind in KINDS {
        cluster.accepts(kind, changes.clone().into_iter().map(with)).await;
    }
}

async fn refused(changes: impl IntoIterator<Item = Value> + Clone, words: &str) {
    let cluster = shared().await;
    for kind in KINDS {
        cluster.refuses(kind, changes.clone().into_iter().map(with), words).await;
    }
}

#[tokio::test]
async fn exactly_one_credential() {
    let token = json!({ "name": "zitadel" });
    accepted([
        json!({}),
        json!({ "personalAccessToken": null, "jwtProfile": token }),
        json!({ "personalAccessToken": null, "clientCredentials": token }),
    ])
    .await;
    let wrong = [
        json!({ "personalAccessToken": null }),
        json!({ "jwtProfile": token }),
        json!({ "clientCredentials": token }),
        json!({ "jwtProfile": token, "clientCredentials": token }),
    ];
    refused(wrong, "set exactly one of personalAccessToken, jwtProfile and clientCredentials").await;
    refused([json!({ "personalAccessToken": {} })], "spec.personalAccessToken.name").await;
}

#[tokio::test]
async fn the_keys_of_a_credential_have_defaults() {
    let cluster = shared().await;
    let spec = |field: &str| with(json!({ "personalAccessToken": null, field: { "name": "zitadel" } }));
    for (field, keys) in [
        ("personalAccessToken", json!({ "name": "zitadel", "key": "token" })),
        ("jwtProfile", json!({ "name": "zitadel", "key": "key.json" })),
        (
            "clientCredentials",
            json!({ "name": "zitadel", "idKey": "client-id", "secretKey": "client-secret" }),
        ),
    ] {
        let stored = cluster.try_create("Connection", &fresh_name(), &spec(field)).await.unwrap();
        assert_eq!(stored["spec"][field], keys);
        assert_eq!(stored["spec"]["resyncInterval"], "600s");
        assert_eq!(stored["spec"]["rateLimit"], json!({ "requestsPerSecond": 20, "burst": 40 }));
    }
}

#[tokio::test]
async fn plain_http_is_for_loopback_or_those_who_say_insecure() {
    let url = |url: &str| json!({ "url": url });
    accepted(
        [
            "https://zitadel.example.com",
            "https://zitadel.example.com/",
            "https://zitadel.example.com:8443",
            "http://127.0.0.1:1",
            "http://localhost",
            "http://localhost:8080/",
            "http://[::1]:8080",
        ]
        .map(url),
    )
    .await;
    let remote = [
        "http://zitadel.svc",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
    ];
    refused(remote.map(url), "use https, or say insecure: true").await;
    accepted(remote.map(|url| json!({ "url": url, "insecure": true }))).await;
    refused([json!({ "url": remote[0], "insecure": false })], "insecure: true").await;
}

#[tokio::test]
async fn a_url_is_scheme_and_host_only() {
    let wrong = [
        "zitadel.example.com",
        "ftp://zitadel.example.com",
        "https://",
        "https://zitadel.example.com/prefix",
        "https://zitadel.example.com?a=b",
        "https://zitadel.example.com#a",
        "https://user:password@zitadel.example.com",
        "https://zitadel.example.com\\evil.example.com",
        "https://zitadel .example.com",
        " https://zitadel.example.com",
        "https://zitadel.example.com\n",
    ];
    refused(wrong.map(|url| json!({ "url": url })), "url is https:// (or http://), a host and").await;
    refused([json!({ "url": "" })], "spec.url").await;
}

#[tokio::test]
async fn certificates_come_from_exactly_one_place() {
    let key = json!({ "name": "ca", "key": "ca.crt" });
    let places = [
        json!({ "inline": "-----BEGIN" }),
        json!({ "configMapKeyRef": key }),
        json!({ "secretKeyRef": key }),
    ];
    accepted(places.map(|place| json!({ "caBundle": place }))).await;
    let wrong = [
        json!({}),
        json!({ "inline": "a", "secretKeyRef": key }),
        json!({ "configMapKeyRef": key, "secretKeyRef": key }),
    ];
    let words = "set exactly one of inline, configMapKeyRef and secretKeyRef";
    refused(wrong.map(|place| json!({ "caBundle": place })), words).await;
    refused([json!({ "caBundle": { "secretKeyRef": { "name": "ca" } } })], "secretKeyRef.key").await;
}

#[tokio::test]
async fn the_default_organization_is_named_in_exactly_one_way() {
    let organization = |organization: Value| json!({ "defaultOrganization": organization });
    accepted([json!({ "id": "1" }), json!({ "name": "acme" })].map(organization)).await;
    refused(
        [json!({}), json!({ "id": "1", "name": "acme" })].map(organization),
        "set exactly one of id and name",
    )
    .await;
}

#[tokio::test]
async fn durations_are_positive_and_written_as_in_go() {
    let interval = |text: &str| json!({ "resyncInterval": text });
    accepted(["10s", "5m", "1h30m", "0.5s", "300ms", "168h"].map(interval)).await;
    refused(["", "10", "-5s", "10 s", "1d", "+5s", "1h 30m", "s"].map(interval), "spec.resyncInterval").await;
    let out_of_range = ["0s", "0h0m0.0s", "169h", "999999999h"];
    refused(out_of_range.map(interval), "must be longer than 0s and at most 168h").await;
    // So large that the operator's parser would panic.
    refused([interval("99999999999999999999h")], "spec.resyncInterval").await;
}

#[tokio::test]
async fn the_call_budget_has_bounds() {
    let rate = |rate: i64, burst: i64| json!({ "rateLimit": { "requestsPerSecond": rate, "burst": burst } });
    accepted([rate(1, 1), rate(1000, 10_000), json!({ "rateLimit": { "burst": 1 } })]).await;
    refused([rate(0, 1), rate(-1, 1), rate(1001, 1)], "spec.rateLimit.requestsPerSecond").await;
    refused([rate(1, 0), rate(1, 10_001)], "spec.rateLimit.burst").await;
}

#[tokio::test]
async fn the_external_domain_is_a_host() {
    let domain = |domain: &str| json!({ "externalDomain": domain });
    accepted(["login.example.com", "localhost:8080", "[::1]:8080"].map(domain)).await;
    let wrong = ["https://login.example.com", "a b", "a/b", "a\r\nx: y"];
    refused(wrong.map(domain), "externalDomain is a host and").await;
    refused([domain("")], "spec.externalDomain").await;
}

#[tokio::test]
async fn a_grant_names_each_organization_in_exactly_one_way() {
    let cluster = shared().await;
    let grant = |organization: Value| {
        with(json!({ "access": [{ "namespaceSelector": {}, "organizations": [organization] }] }))
    };
    let ways = [json!({ "id": "1" }), json!({ "name": "acme" }), json!({ "all": true })];
    cluster.accepts("ClusterConnection", ways.map(grant)).await;
    let wrong = [
        json!({}),
        json!({ "all": false }),
        json!({ "id": "1", "name": "acme" }),
        json!({ "id": "1", "all": true }),
    ];
    cluster.refuses("ClusterConnection", wrong.map(grant), "set exactly one of id, name and all: true").await;
}

#[tokio::test]
async fn a_grant_says_for_which_namespaces() {
    let access = |selector: Value| with(json!({ "access": [selector] }));
    let cluster = shared().await;
    let selectors = [json!({}), json!({ "matchLabels": { "team": "acme" } })];
    cluster.accepts("ClusterConnection", selectors.map(|s| access(json!({ "namespaceSelector": s })))).await;
    cluster.refuses("ClusterConnection", [access(json!({}))], "namespaceSelector").await;
}
