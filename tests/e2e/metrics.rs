//! What each metric tells, and that each of them moves.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use support::zitadel::InjectedFault;
use zitadel_operator::operator::Options;
use zitadel_operator::runtime::lease::Leadership;
use zitadel_operator::zitadel::http_transport;
use zitadel_operator::zitadel::{HttpTransportConfig, Transport, TransportError};

use crate::meter::{Meter, sum};
use crate::needs_double;
use crate::waits::condition;
use crate::world::{CONNECTION, World, config, through_connection};

const PROJECT: (&str, &str) = ("controller", "Project");
const PAUSED: &str = "zitadel-operator.dev/paused";
const PROJECTS: &str = "/management/v1/projects";

/// Every label: each has few values, whatever people create.
const LABELS: [&str; 13] = [
    "code",
    "controller",
    "kind",
    "le",
    "method",
    "name",
    "ready",
    "reason",
    "result",
    "revision",
    "route",
    "state",
    "version",
];

/// A world whose operator is metered.
async fn metered() -> (World, Meter) {
    let (mut world, meter) = (World::without_operator().await, Meter::new());
    let client = world.operator_client().await;
    world.start_operator_tapped(client, meter.metrics.clone());
    (world, meter)
}

fn some(value: f64) -> bool {
    value > 0.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_is_counted_once_with_its_time_result_and_reason() {
    needs_double!("requests that are held");
    let (world, meter) = metered().await;
    let held = world.zitadel.inject(InjectedFault::hold().on(Method::POST).path(PROJECTS));
    world.project("web").apply(json!({})).await;
    meter.until("active_workers", &[PROJECT], some).await;
    assert_eq!(meter.value("reconcile_reasons_total", &[PROJECT, ("reason", "Available")]), 0.0);
    held.release();
    held.remove();
    world.project("web").until_ready().await;

    meter.until("active_workers", &[PROJECT], |busy| busy == 0.0).await;
    let samples = meter.samples();
    let all = sum(&samples, "reconcile_total", &[PROJECT]);
    assert!(sum(&samples, "reconcile_total", &[PROJECT, ("result", "success")]) >= 1.0);
    assert!(sum(&samples, "reconcile_reasons_total", &[PROJECT, ("reason", "Available")]) >= 1.0);
    assert_eq!(sum(&samples, "reconcile_reasons_total", &[PROJECT]), all);
    assert_eq!(sum(&samples, "reconcile_time_seconds_count", &[PROJECT]), all);
    assert!(sum(&samples, "reconcile_time_seconds_sum", &[PROJECT]) > 0.0);
    let most = f64::from(config().concurrency);
    assert_eq!(meter.value("max_concurrent_reconciles", &[PROJECT]), most);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_never_by_id_and_resources_by_kind_and_readiness() {
    needs_double!("the ledger");
    let (world, meter) = metered().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    let created = [("method", "POST"), ("route", PROJECTS), ("code", "200")];
    assert_eq!(meter.value("zitadel_requests_total", &created), 1.0);
    assert_eq!(meter.value("zitadel_request_seconds_count", &created), 1.0);
    let removed = [("method", "DELETE"), ("route", "/management/v1/projects/{id}"), ("code", "200")];
    let ready = [("kind", "Project"), ("ready", "True"), ("reason", "Available")];
    meter.until("resources", &ready, |resources| resources == 1.0).await;
    meter.until("resources", &[("kind", "Connection"), ("ready", "True")], |ready| ready == 1.0).await;

    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(meter.value("zitadel_requests_total", &removed), 1.0);
    meter.until("resources", &[("kind", "Project")], |resources| resources == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_counted_as_paused_whatever_ready_says() {
    let (world, meter) = metered().await;
    let spec = through_connection(json!({}));
    world.try_apply_annotated("Project", "web", json!({ PAUSED: "true" }), spec).await.unwrap();
    let born = world.project("web").until_synced_reason("Paused").await;
    assert_eq!(condition(&born, "Ready")["reason"], "Pending");
    let unseen = [("kind", "Project"), ("ready", "Unknown"), ("reason", "Paused")];
    meter.until("resources", &unseen, |resources| resources == 1.0).await;
    assert_eq!(meter.value("resources", &[("kind", "Project")]), 1.0);

    world.project("web").annotate(PAUSED, Value::Null).await;
    world.project("web").until_ready().await;
    let ready = [("kind", "Project"), ("ready", "True"), ("reason", "Available")];
    meter.until("resources", &ready, |resources| resources == 1.0).await;
    world.project("web").annotate(PAUSED, "true").await;
    let paused = [("kind", "Project"), ("ready", "True"), ("reason", "Paused")];
    meter.until("resources", &paused, |resources| resources == 1.0).await;
    assert_eq!(meter.value("resources", &[("kind", "Project")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_resources_are_not_more_series_and_no_label_names_one() {
    let (world, meter) = metered().await;
    let mut seen = BTreeSet::new();
    let mut counted = 0;
    for round in 0..3 {
        for number in 0..3 {
            let name = format!("canary-{round}-{number}");
            world.project(&name).apply(json!({})).await;
            seen.insert(
                world.project(&name).until_ready().await["status"]["id"].as_str().unwrap().to_owned(),
            );
            world.project(&name).delete().await;
            world.project(&name).until_gone().await;
        }
        let series = meter.samples().len();
        assert!(round == 0 || series <= counted + 40, "{counted} series became {series}: {}", meter.page());
        counted = series;
    }
    seen.extend([world.namespace.clone(), world.organization.clone(), "canary".into()]);
    let labels: BTreeSet<String> =
        meter.samples().into_iter().flat_map(|sample| sample.labels.into_keys()).collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), LABELS);
    for label in meter.samples().iter().flat_map(|sample| sample.labels.values()) {
        assert!(!seen.iter().any(|name| label.contains(name)), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_shows_as_errors_an_open_circuit_and_reconciles_that_wait() {
    needs_double!("outages");
    let (world, meter) = metered().await;
    world.project("first").apply(json!({})).await;
    world.project("first").until_ready().await;
    let closed = [("kind", "Connection"), ("name", ""), ("state", "closed")];
    let open = [("kind", "Connection"), ("name", ""), ("state", "open")];
    assert_eq!((meter.value("circuits", &closed), meter.value("circuits", &open)), (1.0, 0.0));

    let outage = world.zitadel.inject(InjectedFault::unavailable());
    for name in ["a", "b", "c"] {
        world.project(name).apply(json!({})).await;
    }
    meter.until("circuits", &open, |open| open == 1.0).await;
    meter.until("admission_waiting", &[PROJECT], some).await;
    meter.until("reconcile_errors_total", &[PROJECT], some).await;
    assert!(meter.value("reconcile_total", &[("result", "error")]) >= 1.0);
    assert!(meter.value("reconcile_reasons_total", &[("reason", "Unavailable")]) >= 1.0);
    assert!(meter.value("zitadel_requests_total", &[("code", "503")]) >= 5.0);

    outage.remove();
    for name in ["a", "b", "c"] {
        world.project(name).until_ready().await;
    }
    assert_eq!((meter.value("circuits", &closed), meter.value("circuits", &open)), (1.0, 0.0));
    meter.until("admission_waiting", &[], |waiting| waiting == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_has_the_code_error() {
    needs_double!("outages");
    let (world, meter) = metered().await;
    let lost = world.zitadel.inject(InjectedFault::drop_before().path(PROJECTS));
    world.project("web").apply(json!({})).await;
    meter.until("zitadel_requests_total", &[("code", "error")], some).await;
    lost.remove();
    world.project("web").until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_a_pause_and_a_low_rate_is_a_wait() {
    needs_double!("429");
    let (world, meter) = metered().await;
    let limited =
        world.zitadel.inject(InjectedFault::limited().header("retry-after", "4").path(PROJECTS).times(1));
    world.project("web").apply(json!({})).await;
    let paused = [("kind", "Connection"), ("name", ""), ("state", "paused")];
    meter.until("circuits", &paused, |paused| paused == 1.0).await;
    assert!(meter.value("zitadel_pauses_total", &[]) >= 1.0);
    assert_eq!(meter.value("zitadel_requests_total", &[("code", "429")]), 1.0);
    world.project("web").until_ready().await;
    assert_eq!((limited.hits(), meter.value("circuits", &paused)), (1, 0.0));

    world.patch_connection(json!({ "rateLimit": { "requestsPerSecond": 2, "burst": 1 } })).await;
    world.project("slow").apply(json!({})).await;
    world.project("slow").until_ready().await;
    assert!(meter.value("zitadel_rate_limit_wait_seconds_count", &[]) >= 1.0);
    assert!(meter.value("zitadel_rate_limit_wait_seconds_sum", &[]) > 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_somebody_else_is_drift_found_and_repaired_or_under_observe_only_found() {
    let (world, meter) = metered().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_ready().await;
    let id = web["status"]["id"].as_str().unwrap();
    assert_eq!((meter.value("drift_found_total", &[]), meter.value("drift_repaired_total", &[])), (0.0, 0.0));
    world.person.edit_project(&world.organization, id, "projectRoleCheck", json!(true)).await;
    meter.until("drift_repaired_total", &[PROJECT], |repaired| repaired == 1.0).await;
    assert_eq!(meter.value("drift_found_total", &[PROJECT]), 1.0);

    world.project("web").apply(json!({ "managementPolicy": "Observe", "deletionPolicy": "Retain" })).await;
    world.project("web").until_ready().await;
    world.person.edit_project(&world.organization, id, "projectRoleCheck", json!(true)).await;
    meter.until("drift_found_total", &[PROJECT], |found| found >= 2.0).await;
    assert_eq!(meter.value("drift_repaired_total", &[PROJECT]), 1.0);
    let differs = |p: &Value| condition(p, "Ready")["reason"] == "DriftDetected";
    world.project("web").until("told of the drift", differs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_got_and_tokens_that_are_refused_are_counted() {
    needs_double!("its users");
    let (world, meter) = metered().await;
    meter.until("zitadel_token_renewals_total", &[("result", "success")], some).await;
    assert_eq!(meter.value("zitadel_token_renewals_total", &[("result", "error")]), 0.0);
    world.store_secret(json!({ "client-id": "nobody", "client-secret": "wrong" })).await;
    let credentials = json!({ "personalAccessToken": null, "clientCredentials": { "name": CONNECTION } });
    world.patch_connection(credentials).await;
    meter.until("zitadel_token_renewals_total", &[("result", "error")], some).await;
    assert!(meter.value("zitadel_requests_total", &[("route", "/oauth/v2/token")]) >= 1.0);
}

/// Panics at whatever concerns projects.
struct Panicking(Arc<dyn Transport>);

impl Transport for Panicking {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        assert!(!request.uri().path().starts_with(PROJECTS), "a defect");
        self.0.send(request)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_counted_and_ends_one_reconcile_only() {
    let (mut world, meter) = (World::without_operator().await, Meter::new());
    let transport = Arc::new(|config: &HttpTransportConfig| {
        http_transport(config).map(|inner| Arc::new(Panicking(inner)) as Arc<dyn Transport>)
    });
    let config = config();
    let options =
        Options { config, transport, metrics: meter.metrics.clone(), ..Options::new(&world.namespace) };
    world.operator = Some(world.run(world.operator_client().await, options));
    world.project("web").apply(json!({})).await;
    meter.until("reconcile_panics_total", &[PROJECT], |panics| panics >= 2.0).await;
    assert!(meter.value("reconcile_errors_total", &[PROJECT]) >= 2.0);
    meter.until("resources", &[("kind", "Connection"), ("ready", "True")], |ready| ready == 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_leads_and_says_so_until_it_does_not() {
    let (mut world, meter) = (World::without_operator().await, Meter::new());
    assert_eq!(meter.value("leader", &[]), 0.0);
    let (config, leadership) = (config(), Leadership::always());
    let (metrics, term) = (meter.metrics.clone(), leadership.clone());
    let options = Options { config, leadership, metrics, ..Options::new(&world.namespace) };
    world.operator = Some(world.run(world.operator_client().await, options));
    meter.until("leader", &[], |leader| leader == 1.0).await;
    term.end();
    assert_eq!(meter.value("leader", &[]), 0.0);
}

/// The metrics that the document has a row for.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `zitadel_operator_"));
    rows.map(|row| format!("zitadel_operator_{}", row.split('`').next().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_what_the_document_has_and_a_test_moves_each() {
    let (world, meter) = metered().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    // A reconcile is counted at its end, after its status was written.
    meter.until("reconcile_reasons_total", &[PROJECT], some).await;
    assert_eq!(meter.names(), documented());
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(meter.value("build_info", &version), 1.0);
    let left_out = include_str!("../simulation/left_out.rs").replace("zitadel_operator_", "");
    let tests = [include_str!("metrics.rs"), include_str!("faults/rights.rs"), &left_out].concat();
    for name in documented() {
        let name = name.trim_start_matches("zitadel_operator_");
        assert!(tests.contains(&format!("\"{name}")), "no test moves {name}");
    }
}
