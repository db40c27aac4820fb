//! What the double does beyond the recordings: lag, faults, holds, replaced instances, log-ins, the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request, Response};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zitadel_operator_support::zitadel::{
    Behaviour, DomainSettings, Double, Dropped, Failure, Fault, Fingerprint, OrgWorld, OrganizationFeatures,
    OwnIds, State,
};

const PROJECTS: &str = "/management/v1/projects";

fn request(method: &Method, path: &str, token: &str, organization: &str, body: &Value) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(format!("http://localhost:8080{path}"));
    let request =
        request.header("authorization", format!("Bearer {token}")).header("x-zitadel-orgid", organization);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request.body(Bytes::from(body)).expect("a request")
}

fn parsed(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_default()
}

/// A double and one organization, called in-process as its owner.
struct Bench {
    double: Double,
    acme: OrgWorld,
}

impl Bench {
    fn new(behaviour: Behaviour) -> Self {
        let double = Double::builder().behaviour(behaviour).seed(7).build();
        let acme = double.create_organization("acme");
        Self { double, acme }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Response<Bytes>, Dropped> {
        self.double.call(request(&method, path, &self.acme.owner.token, &self.acme.id, &body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let response = self.send(method, path, body).await.expect("an answer");
        (response.status().as_u16(), parsed(&response))
    }

    async fn create(&self, name: &str) -> String {
        let (status, body) = self.call(Method::POST, PROJECTS, json!({"name": name})).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    async fn listed(&self) -> Vec<String> {
        let (_, body) = self.call(Method::POST, "/management/v1/projects/_search", json!({})).await;
        let rows = body["result"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers()[name].to_str().expect("text")
}

fn error_id(body: &Value) -> &str {
    body["details"][0]["id"].as_str().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn lists_lag_while_single_reads_and_writes_do_not() {
    let bench = Bench::new(Behaviour::v4().lagging(Duration::from_secs(10)));
    let id = bench.create("web").await;
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
    assert_eq!(bench.call(Method::POST, PROJECTS, json!({"name": "WEB"})).await.0, 409);
    sleep(Duration::from_millis(9_999)).await;
    assert_eq!(bench.listed().await, [""; 0]);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.listed().await, ["web"]);
    bench.double.edit_project(&id, |settings| settings.name = "site".to_owned());
    bench.create("docs").await;
    sleep(Duration::from_secs(5)).await;
    bench.double.delete_project(&id);
    assert_eq!(bench.listed().await, ["web"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.listed().await, ["site", "docs"]);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.listed().await, ["docs"]);
}

#[tokio::test(start_paused = true)]
async fn single_reads_can_be_stale_too() {
    let bench =
        Bench::new(Behaviour { stale_reads: true, ..Behaviour::v4().lagging(Duration::from_secs(1)) });
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    assert_eq!(error_id(&bench.call(Method::GET, &path, Value::Null).await.1), "QUERY-fk2fs");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.call(Method::GET, &path, Value::Null).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_varying_lag_makes_reads_jump_back_and_forth() {
    let bench = Bench::new(Behaviour { lag_most: Duration::from_secs(10), ..Behaviour::v4() });
    bench.create("web").await;
    sleep(Duration::from_secs(5)).await;
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push(bench.listed().await.len());
    }
    assert!(
        seen.windows(2).any(|pair| pair == [1, 0]) && seen.windows(2).any(|pair| pair == [0, 1]),
        "{seen:?}"
    );
    sleep(Duration::from_secs(5)).await;
    for _ in 0..50 {
        assert_eq!(bench.listed().await, ["web"]);
    }
}

#[tokio::test]
async fn a_frozen_view_lasts_until_released() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    let frozen = bench.double.freeze();
    bench.double.delete_project(&id);
    assert_eq!(bench.listed().await, ["web"]);
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
    assert_eq!(bench.call(Method::DELETE, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 404);
    frozen.release();
    assert_eq!(bench.listed().await, [""; 0]);
}

#[tokio::test]
async fn pages_can_be_short_and_totals_wrong() {
    let bench = Bench::new(Behaviour { page_cap: Some(2), overcount: 3, ..Behaviour::v4() });
    for name in ["a", "b", "c"] {
        bench.create(name).await;
    }
    let (_, first) =
        bench.call(Method::POST, "/management/v1/projects/_search", json!({"query": {"limit": 100}})).await;
    assert_eq!(first["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["details"]["totalResult"], "6");
    let next = json!({"query": {"limit": 100, "offset": "2"}});
    let (_, second) = bench.call(Method::POST, "/management/v1/projects/_search", next).await;
    assert_eq!(second["result"][0]["name"], "c");
    bench.double.configure(|behaviour| behaviour.list_limits = true);
    let (status, refused) =
        bench.call(Method::POST, "/management/v1/projects/_search", json!({"query": {"limit": 1001}})).await;
    assert_eq!((status, error_id(&refused)), (400, "QUERY-4M0fs"));
}

/// contract: the numbers that a write returns are those that the next read of the object returns.
#[tokio::test]
async fn writes_return_what_the_next_read_shows() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    let (_, written) = bench.call(Method::PUT, &path, json!({"name": "site"})).await;
    let (_, read) = bench.call(Method::GET, &path, Value::Null).await;
    for field in ["sequence", "changeDate"] {
        assert_eq!(read["project"]["details"][field], written["details"][field]);
    }
    assert_eq!(written["details"]["sequence"], "2");
    bench.call(Method::POST, &format!("{path}/roles"), json!({"roleKey": "r", "displayName": "R"})).await;
    let (_, after_role) = bench.call(Method::GET, &path, Value::Null).await;
    assert_eq!(after_role["project"]["details"], read["project"]["details"]);
    let (_, written) = bench.call(Method::PUT, &path, json!({"name": "site2"})).await;
    assert_eq!(written["details"]["sequence"], "4");
}

#[tokio::test]
async fn metadata_and_domain_policy_share_the_sequence_of_their_organization() {
    let bench = Bench::new(Behaviour::v4());
    let sequence =
        |body: &Value| body["details"]["sequence"].as_str().and_then(|s| s.parse::<u64>().ok()).expect("one");
    let (_, first) = bench.call(Method::POST, "/management/v1/metadata/k", json!({"value": "dg=="})).await;
    bench.double.set_domain_policy(&bench.acme.id, Some(DomainSettings::default()));
    let (_, second) = bench.call(Method::POST, "/management/v1/metadata/k", json!({"value": "dg=="})).await;
    assert_eq!(sequence(&second), sequence(&first) + 2);
    let organization = bench.double.organization(&bench.acme.id).expect("acme");
    assert!(organization.stamp.sequence < sequence(&first));
}

#[tokio::test(start_paused = true)]
async fn overlapping_writes_to_one_aggregate_fail_but_one() {
    let bench = Bench::new(Behaviour { write_duration: Duration::from_millis(20), ..Behaviour::v4() });
    let id = bench.create("web").await;
    let path = format!("{PROJECTS}/{id}");
    let names = ["a", "b", "c", "d"];
    let answers = join_all(names.map(|name| bench.call(Method::PUT, &path, json!({"name": name})))).await;
    let failed: Vec<&Value> =
        answers.iter().filter(|(status, _)| *status == 500).map(|(_, body)| body).collect();
    assert_eq!(failed.len(), 3);
    for body in failed {
        assert_eq!(body["code"], 2);
        assert!(body["message"].as_str().is_some_and(|text| text.contains("SQLSTATE 23505")));
        assert_eq!(body["details"], Value::Null);
    }
    let creations =
        join_all(["e", "f", "g"].map(|name| bench.call(Method::POST, PROJECTS, json!({"name": name})))).await;
    assert!(creations.iter().all(|(status, _)| *status == 200));
    assert_eq!(bench.call(Method::PUT, &path, json!({"name": "later"})).await.0, 200);
}

#[tokio::test]
async fn a_fault_answers_so_many_times_and_is_not_handled() {
    let bench = Bench::new(Behaviour::v4());
    let limited =
        Fault::limited().header("Retry-After", "7").on(Method::POST).path(PROJECTS).after(1).times(1);
    let limited = bench.double.inject(limited);
    bench.create("first").await;
    let refused = bench.send(Method::POST, PROJECTS, json!({"name": "second"})).await.expect("an answer");
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "7");
    assert_eq!(error_id(&parsed(&refused)), "LIMITS-molsj");
    assert_eq!(limited.hits(), 1);
    bench.create("third").await;
    let names: Vec<_> =
        bench.double.projects(&bench.acme.id).into_iter().map(|found| found.settings.name).collect();
    assert_eq!(names, ["first", "third"]);
}

#[tokio::test]
async fn a_fault_stays_until_removed() {
    let bench = Bench::new(Behaviour::v4());
    let fault = bench.double.inject(Fault::failure(&Failure::bare(13, "internal")));
    for _ in 0..3 {
        assert_eq!(bench.call(Method::GET, "/management/v1/iam", Value::Null).await.0, 500);
    }
    fault.remove();
    assert_eq!(bench.call(Method::GET, "/management/v1/iam", Value::Null).await.0, 200);
    assert_eq!(fault.hits(), 3);
}

#[tokio::test]
async fn canned_answers_are_what_they_say() {
    let bench = Bench::new(Behaviour::v4());
    let cases = [
        (Fault::html(), 200, "text/html"),
        (Fault::unavailable(), 503, "application/json"),
        (Fault::answer(502).header("content-type", "text/plain").body("bad gateway"), 502, "text/plain"),
    ];
    for (fault, status, kind) in cases {
        let fault = bench.double.inject(fault);
        let response = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
        assert_eq!((response.status().as_u16(), header(&response, "content-type")), (status, kind));
        fault.remove();
    }
    bench.double.inject(Fault::redirect("http://elsewhere.example/").times(1));
    let moved = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert_eq!((moved.status().as_u16(), header(&moved, "location")), (302, "http://elsewhere.example/"));
    bench.double.inject(Fault::oversized(5_000_000));
    let large = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert_eq!(large.body().len(), 5_000_002);
}

#[tokio::test]
async fn a_dropped_connection_tells_nothing_about_the_commit() {
    let bench = Bench::new(Behaviour::v4());
    bench.double.inject(Fault::drop_before().path(PROJECTS).times(1));
    bench.send(Method::POST, PROJECTS, json!({"name": "lost"})).await.expect_err("no answer");
    bench.double.inject(Fault::drop_after_commit().path(PROJECTS).times(1));
    bench.send(Method::POST, PROJECTS, json!({"name": "kept"})).await.expect_err("no answer");
    bench.double.inject(Fault::truncated().path(PROJECTS).times(1));
    bench.send(Method::POST, PROJECTS, json!({"name": "cut"})).await.expect_err("half an answer");
    let names: Vec<_> =
        bench.double.projects(&bench.acme.id).into_iter().map(|found| found.settings.name).collect();
    assert_eq!(names, ["kept", "cut"]);
    let written = bench.double.ledger().writes();
    let seen: Vec<_> =
        written.iter().map(|request| (request.body["name"].as_str(), request.status)).collect();
    assert_eq!(seen, [(Some("kept"), None), (Some("cut"), Some(200))]);
}

#[tokio::test(start_paused = true)]
async fn answers_can_be_late_and_slow() {
    let bench = Bench::new(Behaviour::v4());
    let started = Instant::now();
    bench.double.inject(Fault::delay(Duration::from_secs(30)).times(1));
    bench.call(Method::GET, "/management/v1/iam", Value::Null).await;
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    bench.double.inject(Fault::trickle(Duration::from_secs(1)).times(1));
    let slow = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert!(started.elapsed() > Duration::from_secs(30 + 50) && parsed(&slow).is_object());
}

#[tokio::test]
async fn a_hold_stops_a_request_before_or_after_its_commit() {
    let bench = Bench::new(Behaviour::v4());
    for (fault, committed) in [(Fault::hold(), 0), (Fault::hold_after_commit(), 1)] {
        let before = bench.double.projects(&bench.acme.id).len();
        let hold = bench.double.inject(fault.path(PROJECTS).times(1));
        let name = format!("held-{committed}");
        let held = tokio::spawn({
            let (double, acme) = (bench.double.clone(), bench.acme.clone());
            let body = json!({"name": name});
            async move { double.call(request(&Method::POST, PROJECTS, &acme.owner.token, &acme.id, &body)).await }
        });
        hold.reached(1).await;
        assert_eq!(bench.double.projects(&bench.acme.id).len() - before, committed);
        assert!(!held.is_finished());
        hold.release();
        assert_eq!(held.await.expect("no panic").expect("an answer").status(), 200);
        assert_eq!(bench.double.projects(&bench.acme.id).len() - before, 1);
    }
}

#[tokio::test]
async fn a_held_request_that_is_given_up_is_never_handled() {
    let bench = Bench::new(Behaviour::v4());
    let hold = bench.double.inject(Fault::hold().path(PROJECTS));
    let (double, acme) = (bench.double.clone(), bench.acme.clone());
    let body = json!({"name": "crash"});
    let held = tokio::spawn(async move {
        double.call(request(&Method::POST, PROJECTS, &acme.owner.token, &acme.id, &body)).await
    });
    hold.reached(1).await;
    held.abort();
    assert!(held.await.expect_err("aborted").is_cancelled());
    hold.remove();
    assert_eq!(bench.listed().await, [""; 0]);
    assert_eq!(bench.double.ledger().requests()[0].status, None);
}

async fn identity(bench: &Bench) -> Value {
    bench.call(Method::GET, "/management/v1/iam", Value::Null).await.1["iamProjectId"].clone()
}

#[tokio::test]
async fn only_the_identity_reveals_a_replaced_instance() {
    let bench = Bench::new(Behaviour::v4());
    let (id, before) = (bench.create("web").await, identity(&bench).await);
    bench.double.replace_instance();
    let owner = &bench.acme.owner;
    let home = request(&Method::GET, "/management/v1/iam", &owner.token, "", &Value::Null);
    let answer = bench.double.call(home).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_ne!(parsed(&answer)["iamProjectId"], before);
    let read = request(&Method::GET, &format!("{PROJECTS}/{id}"), &owner.token, "", &Value::Null);
    assert_eq!(error_id(&parsed(&bench.double.call(read).await.expect("an answer"))), "QUERY-fk2fs");
    let in_acme = bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await;
    assert_eq!(error_id(&in_acme.1), "AUTH-Bs7Ds");
    bench.double.restore_instance();
    assert_eq!(identity(&bench).await, before);
    assert_eq!(bench.call(Method::GET, &format!("{PROJECTS}/{id}"), Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back_on_the_same_port() {
    let double = Double::start().await;
    let ready = format!("{}/debug/ready", double.url());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    assert_eq!(client.get(&ready).send().await.expect("an answer").status(), 200);
    double.stop().await;
    assert!(client.get(&ready).send().await.expect_err("refused").is_connect());
    double.resume().await.expect("the same port");
    assert_eq!(client.get(&ready).send().await.expect("an answer").status(), 200);
    let address = double.url().trim_start_matches("http://").to_owned();
    drop(double);
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn over_a_connection_a_drop_is_a_broken_connection() {
    let double = Double::start().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let iam =
        || client.get(format!("{}/management/v1/iam", double.url())).bearer_auth(double.admin_token()).send();
    double.inject(Fault::drop_before().times(1));
    assert!(iam().await.is_err_and(|error| error.status().is_none() && !error.is_connect()));
    double.inject(Fault::truncated().times(1));
    let cut = iam().await.expect("headers");
    assert!(cut.bytes().await.is_err());
    double.inject(Fault::oversized(5_000_000).times(1));
    let large = iam().await.expect("headers");
    assert_eq!(
        (large.content_length(), large.bytes().await.map(|body| body.len()).ok()),
        (None, Some(5_000_002))
    );
    assert_eq!(iam().await.expect("an answer").status(), 200);
}

struct Assertion<'a> {
    key: &'a Value,
    audience: Value,
    issued: i64,
    expires: i64,
}

impl<'a> Assertion<'a> {
    fn good(key: &'a Value) -> Self {
        let now = jiff::Timestamp::now().as_second();
        Self { key, audience: json!("http://localhost:8080"), issued: now, expires: now + 60 }
    }

    fn sign(&self) -> String {
        let header =
            Header { kid: self.key["keyId"].as_str().map(str::to_owned), ..Header::new(Algorithm::RS256) };
        let user = &self.key["userId"];
        let claims =
            json!({"iss": user, "sub": user, "aud": self.audience, "iat": self.issued, "exp": self.expires});
        let pem = self.key["key"].as_str().expect("a key");
        assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("PKCS#1");
        jsonwebtoken::encode(&header, &claims, &key).expect("an assertion")
    }
}

async fn exchange(double: &Double, form: &[(&str, &str)]) -> (u16, Value) {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = Request::post("http://localhost:8080/oauth/v2/token").body(Bytes::from(pairs.join("&")));
    let response = double.call(request.expect("a request")).await.expect("an answer");
    (response.status().as_u16(), parsed(&response))
}

const SCOPE: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";

async fn log_in(double: &Double, assertion: &str, scope: &str) -> (u16, Value) {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    exchange(double, &[("grant_type", grant), ("assertion", assertion), ("scope", scope)]).await
}

async fn status_with(bench: &Bench, token: &Value) -> u16 {
    let token = token.as_str().expect("a token");
    let call = request(&Method::GET, "/management/v1/iam", token, &bench.acme.id, &Value::Null);
    bench.double.call(call).await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_signed_assertion_buys_a_token() {
    let bench = Bench::new(Behaviour::v4());
    let key: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let good = Assertion::good(&key);
    let (status, answer) = log_in(&bench.double, &good.sign(), SCOPE).await;
    assert_eq!(
        (status, &answer["token_type"], &answer["expires_in"]),
        (200, &json!("Bearer"), &json!(43_199))
    );
    assert_eq!(answer["access_token"].as_str().map(str::len), Some(104));
    assert_eq!(status_with(&bench, &answer["access_token"]).await, 200);
    let several = Assertion {
        audience: json!(["https://other.example", "http://localhost:8080"]),
        ..Assertion::good(&key)
    };
    assert_eq!(log_in(&bench.double, &several.sign(), SCOPE).await.0, 200);
    let (status, without_audience) = log_in(&bench.double, &good.sign(), "openid").await;
    assert_eq!((status, status_with(&bench, &without_audience["access_token"]).await), (200, 401));
    bench.double.expire_minted_tokens();
    assert_eq!(status_with(&bench, &answer["access_token"]).await, 401);
    assert_eq!(status_with(&bench, &json!(bench.acme.owner.token)).await, 200);
}

#[tokio::test]
async fn every_bad_assertion_is_the_same_server_error() {
    let bench = Bench::new(Behaviour::v4());
    let key: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let other: Value =
        serde_json::from_str(&bench.double.create_machine_key(&bench.acme.owner.user)).expect("JSON");
    let good = || Assertion::good(&key);
    let now = good().issued;
    let mut mixed = key.clone();
    mixed["key"] = other["key"].clone();
    let mut stranger = key.clone();
    stranger["userId"] = json!("1");
    let bad = [
        Assertion { audience: json!("http://localhost"), ..good() }.sign(),
        Assertion { expires: now - 1, ..good() }.sign(),
        Assertion { issued: now + 60, expires: now + 120, ..good() }.sign(),
        Assertion { issued: now - 3_700, ..good() }.sign(),
        Assertion::good(&mixed).sign(),
        Assertion::good(&stranger).sign(),
        "garbage".to_owned(),
    ];
    let expected = (500, json!({"error": "server_error", "error_description": "Errors.Internal"}));
    for assertion in bad {
        assert_eq!(log_in(&bench.double, &assertion, SCOPE).await, expected);
    }
    bench.double.remove_machine_keys(&bench.acme.owner.user);
    assert_eq!(log_in(&bench.double, &good().sign(), SCOPE).await, expected);
}

#[tokio::test(start_paused = true)]
async fn client_credentials_work_once_the_secret_is_projected() {
    let bench = Bench::new(Behaviour::v4().lagging(Duration::from_secs(1)));
    let (id, secret) = bench.double.create_client_secret(&bench.acme.owner.user);
    let form = |id, secret| {
        [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret), ("scope", SCOPE)]
    };
    let (status, early) = exchange(&bench.double, &form(&id, &secret)).await;
    assert_eq!((status, &early["error"]), (400, &json!("invalid_request")));
    sleep(Duration::from_secs(1)).await;
    let (status, answer) = exchange(&bench.double, &form(&id, &secret)).await;
    assert_eq!((status, status_with(&bench, &answer["access_token"]).await), (200, 200));
    assert_eq!(exchange(&bench.double, &form(&id, "wrong")).await.1["error"], "invalid_client");
    assert_eq!(exchange(&bench.double, &form("nobody at all", &secret)).await.1["error"], "invalid_client");
}

#[tokio::test]
async fn the_ledger_tells_who_did_what() {
    let bench = Bench::new(Behaviour::v4());
    let (ledger, id) = (bench.double.ledger(), bench.create("web").await);
    let mark = ledger.mark();
    bench.call(Method::PUT, &format!("{PROJECTS}/{id}"), json!({"name": "web"})).await;
    bench.double.edit_project(&id, |settings| settings.has_project_check = true);
    bench.call(Method::DELETE, &format!("{PROJECTS}/{id}"), Value::Null).await;
    let since = ledger.since(mark);
    let seen: Vec<_> = since.iter().map(|r| (r.index, r.method.as_str(), r.committed, r.status)).collect();
    assert_eq!(seen, [(1, "PUT", 0, Some(200)), (2, "DELETE", 1, Some(200))]);
    assert_eq!(since[1].touched, [format!("project/{id}")]);
    assert_eq!(since[0].body, json!({"name": "web"}));
    assert_eq!(
        (since[0].actor.as_deref(), since[0].organization.as_deref()),
        (Some("owner"), Some(&*bench.acme.id))
    );
    assert_eq!(since[0].credential, Some(Fingerprint::of_token(&bench.acme.owner.token)));
    assert_ne!(since[0].credential, Some(Fingerprint::of_token(&bench.acme.viewer.token)));
    assert_eq!(since[0].host, "localhost:8080");
    assert_eq!((ledger.writes().len(), ledger.count(&Method::PUT, PROJECTS)), (2, 1));
    assert!(!format!("{:?} {:?}", bench.double, ledger).contains(&bench.acme.owner.token));
    ledger.clear();
    assert_eq!((ledger.requests().len(), ledger.since(mark).len()), (0, 0));
}

#[tokio::test]
async fn roles_come_and_go() {
    let bench = Bench::new(Behaviour::v4());
    let (user, acme) = (&bench.acme.owner.user, &bench.acme.id);
    let create = |name: &str| bench.call(Method::POST, PROJECTS, json!({"name": name}));
    bench.double.set_roles(user, acme, &["ORG_OWNER_VIEWER"]);
    assert_eq!(error_id(&create("a").await.1), "AUTH-5mWD2");
    bench.double.set_roles(user, acme, &[]);
    assert_eq!(error_id(&create("a").await.1), "AUTHZ-cdgFk");
    bench.double.set_instance_roles(user, &["IAM_OWNER"]);
    assert_eq!(create("a").await.0, 200);
    bench.double.revoke_token(&bench.acme.owner.token);
    assert_eq!(error_id(&create("b").await.1), "AUTH-7fs1e");
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_by_the_clock_of_the_double() {
    let bench = Bench::new(Behaviour::v4());
    let end = bench.double.now() + Duration::from_secs(60);
    let token = json!(bench.double.issue_token(&bench.acme.owner.user, Some(end)));
    assert_eq!(status_with(&bench, &token).await, 200);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(status_with(&bench, &token).await, 401);
}

#[tokio::test]
async fn organization_features_can_work() {
    let features = OrganizationFeatures::Implemented;
    let bench = Bench::new(Behaviour { organization_features: features, ..Behaviour::v4() });
    let path = format!("/v2/features/organization/{}", bench.acme.id);
    let (status, first) =
        bench.call(Method::PUT, &path, json!({"loginDefaultOrg": true, "userSchema": false})).await;
    assert_eq!((status, &first["details"]["sequence"]), (200, &json!("1")));
    let beta = path.replace("/v2/", "/v2beta/");
    let (_, second) = bench.call(Method::PUT, &beta, json!({"userSchema": true})).await;
    assert_eq!(second["details"]["sequence"], "2");
    let (_, same) = bench.call(Method::PUT, &path, json!({"userSchema": true})).await;
    assert_eq!(same, second);
    let (_, read) = bench.call(Method::GET, &path, Value::Null).await;
    assert_eq!(read["loginDefaultOrg"], json!({"enabled": true, "source": "SOURCE_ORGANIZATION"}));
    assert_eq!(read["userSchema"]["enabled"], true);
    let (status, _) = bench.call(Method::PUT, &path, json!({})).await;
    assert_eq!(status, 400);
    let (_, reset) = bench.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(reset["details"]["sequence"], "3");
    assert_eq!(bench.double.features(&bench.acme.id).map(|features| features.flags), Some(BTreeMap::new()));
    assert_eq!(bench.call(Method::GET, &path, Value::Null).await.1, reset);
}

#[tokio::test]
async fn an_organization_id_is_chosen_where_the_line_allows() {
    let cases =
        [(OwnIds::Ignored, None), (OwnIds::OrgId, Some("old")), (OwnIds::OrganizationId, Some("new"))];
    for (own_ids, expected) in cases {
        let bench = Bench::new(Behaviour { own_ids, ..Behaviour::v4() });
        let body = json!({"name": "own", "orgId": "old", "organizationId": "new"});
        let create = || request(&Method::POST, "/v2/organizations", &bench.double.admin().token, "", &body);
        let created = parsed(&bench.double.call(create()).await.expect("an answer"));
        let id = created["organizationId"].as_str().expect("an id");
        assert!(expected.map_or(id.len() == 18, |expected| id == expected), "{own_ids:?}: {id}");
        let again = bench.double.call(create()).await.expect("an answer");
        assert_eq!(again.status(), 409);
        bench.double.remove_organization(id);
        assert_eq!(bench.double.call(create()).await.expect("an answer").status(), 201);
    }
}

#[tokio::test]
async fn removal_of_an_organization_takes_everything_in_it() {
    let bench = Bench::new(Behaviour::v4());
    let id = bench.create("web").await;
    bench.double.set_metadata(&bench.acme.id, "k", b"v");
    bench.double.set_organization_state(&bench.acme.id, State::Inactive);
    assert_eq!(bench.create("while inactive").await.len(), 18);
    bench.double.remove_organization(&bench.acme.id);
    assert_eq!((bench.double.project(&id), bench.double.metadata(&bench.acme.id)), (None, BTreeMap::new()));
    assert_eq!(error_id(&bench.call(Method::GET, "/management/v1/iam", Value::Null).await.1), "AUTH-7fs1e");
    assert!(bench.double.organizations().iter().all(|organization| organization.id != bench.acme.id));
    bench.double.create_organization("acme");
}

#[tokio::test]
async fn a_flipped_domain_policy_renames_users_and_reports_the_last_event() {
    let bench = Bench::new(Behaviour::v4());
    let path = format!("/admin/v1/orgs/{}/policies/domain", bench.acme.id);
    let as_admin = |method: Method, body: Value| {
        bench.double.call(request(&method, &path, &bench.double.admin().token, "", &body))
    };
    as_admin(Method::POST, json!({"userLoginMustBeDomain": true})).await.expect("an answer");
    let mark = bench.double.ledger().mark();
    as_admin(Method::DELETE, Value::Null).await.expect("an answer");
    assert_eq!(bench.double.ledger().since(mark)[0].committed, 1 + 4);
}

#[tokio::test]
async fn the_same_seed_and_epoch_give_the_same_run() {
    let run = || async {
        let epoch = "2026-01-01T00:00:00Z".parse().expect("a time");
        let double = Double::builder().seed(3).epoch(epoch).build();
        (double.create_organization("acme"), double.instance_identity(), double.now().as_second())
    };
    assert_eq!(run().await, run().await);
    assert_ne!(Double::builder().build().admin_token(), Double::builder().build().admin_token());
}

#[tokio::test]
async fn paths_are_cleaned_and_large_requests_refused() {
    let bench = Bench::new(Behaviour::v4());
    let moved = bench.send(Method::GET, "/management/v1//iam", Value::Null).await.expect("an answer");
    assert_eq!((moved.status().as_u16(), header(&moved, "location")), (301, "/management/v1/iam"));
    let moved = bench.send(Method::GET, "/management/v1/metadata/..", Value::Null).await.expect("an answer");
    assert_eq!(moved.status(), 301);
    let value = "YWFh".repeat(500_000 / 3);
    let entries = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"key": format!("k{n}"), "value": value})).collect()
    };
    let bulk = |count| {
        bench.call(Method::POST, "/management/v1/metadata/_bulk", json!({"metadata": entries(count)}))
    };
    assert_eq!(bulk(7).await.0, 200);
    assert_eq!(bulk(9).await.0, 429);
}
