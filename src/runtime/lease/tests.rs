//! The whole flow on paused time, against an API server in memory that knows one Lease.

use super::*;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);
const COLLECTION: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";

/// What one process's connection to the API server does.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    Up,
    Forbidden,
    /// Nothing arrives, nothing comes back.
    Dead,
    /// Requests are carried out, answers are lost.
    Deaf,
}

#[derive(Clone)]
struct ApiServer {
    stored: Arc<Mutex<Option<Lease>>>,
    writes: Arc<AtomicUsize>,
    /// Nobody hears of it where watches are refused.
    changes: Option<broadcast::Sender<Lease>>,
}

impl Default for ApiServer {
    fn default() -> Self {
        let changes = Some(broadcast::Sender::new(16));
        Self { stored: Arc::default(), writes: Arc::default(), changes }
    }
}

#[derive(Clone)]
struct Process {
    server: ApiServer,
    link: Arc<Mutex<Link>>,
    name: &'static str,
}

impl ApiServer {
    fn process(&self, name: &'static str) -> Process {
        Process { server: self.clone(), link: Arc::new(Mutex::new(Link::Up)), name }
    }

    fn spec(&self) -> LeaseSpec {
        self.stored.lock().unwrap().clone().and_then(|lease| lease.spec).unwrap_or_default()
    }

    fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    /// A write by somebody who is not one of the processes.
    fn put(&self, spec: Value) {
        let spec = serde_json::from_value(spec).unwrap();
        let lease = Lease { metadata: ObjectMeta::default(), spec: Some(spec) };
        *self.stored.lock().unwrap() = Some(self.versioned(lease));
    }

    fn versioned(&self, mut lease: Lease) -> Lease {
        let version = self.writes.fetch_add(1, Ordering::SeqCst);
        lease.metadata.resource_version = Some(version.to_string());
        lease
    }

    /// Stores `lease` if its version is still the stored one (none: if nothing is stored).
    fn store(&self, lease: Lease) -> Response {
        let mut stored = self.stored.lock().unwrap();
        let current = stored.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if current != lease.metadata.resource_version {
            return refusal(409, "Conflict", "somebody else was faster");
        }
        let lease = self.versioned(lease);
        *stored = Some(lease.clone());
        // Nobody may be watching.
        self.changes.iter().for_each(|changes| drop(changes.send(lease.clone())));
        Json(lease).into_response()
    }

    fn read(&self) -> Response {
        match self.stored.lock().unwrap().clone() {
            Some(lease) => Json(lease).into_response(),
            None => refusal(404, "NotFound", "not found"),
        }
    }
}

/// What changes from now on.
fn events(process: &Process) -> Response {
    let Some(changes) = &process.server.changes else {
        return refusal(403, "Forbidden", "leases is forbidden");
    };
    let heard = stream::unfold((changes.subscribe(), process.clone()), |(mut changes, process)| async move {
        let lease = changes.recv().await.ok()?;
        let event = json!({ "type": "MODIFIED", "object": process.answer(|| lease).await });
        Some((Ok::<_, Infallible>(format!("{event}\n")), (changes, process)))
    });
    Body::from_stream(heard).into_response()
}

fn refusal(code: u16, reason: &str, message: &str) -> Response {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

impl Process {
    fn set(&self, link: Link) {
        *self.link.lock().unwrap() = link;
    }

    async fn respond(&self, carry_out: impl FnOnce() -> Response) -> Response {
        let link = *self.link.lock().unwrap();
        match link {
            Link::Forbidden => refusal(403, "Forbidden", "leases is forbidden"),
            _ => self.answer(carry_out).await,
        }
    }

    async fn answer<T>(&self, carry_out: impl FnOnce() -> T) -> T {
        let link = *self.link.lock().unwrap();
        match link {
            Link::Up | Link::Forbidden => carry_out(),
            Link::Dead => std::future::pending().await,
            Link::Deaf => {
                carry_out();
                std::future::pending().await
            }
        }
    }

    fn elector(&self) -> Elector {
        let one = get(|State(process): State<Process>| async move {
            process.respond(|| process.server.read()).await
        })
        .put(write);
        let watch = async |State(process): State<Process>| process.respond(|| events(&process)).await;
        let routes = axum::Router::new()
            .route(COLLECTION, post(write).get(watch))
            .route(&format!("{COLLECTION}/leader"), one)
            .with_state(self.clone());
        Elector::new(kube::Client::new(routes, "ops"), "ops", "leader", self.name)
    }

    async fn lead(&self) -> Tenure {
        let never = CancellationToken::new();
        timeout(60 * SECOND, self.elector().acquire(&never)).await.expect("leads within a minute").unwrap()
    }
}

async fn write(State(process): State<Process>, Json(lease): Json<Lease>) -> Response {
    process.respond(|| process.server.store(lease)).await
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_created_and_kept() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    let first = server.spec();
    assert_eq!((first.holder_identity.as_deref(), first.lease_duration_seconds), (Some("a"), Some(15)));

    sleep(600 * SECOND).await;
    assert!(tenure.leadership().is_leader());
    assert_eq!(server.spec().lease_transitions, Some(0));
    let writes = server.writes.load(Ordering::SeqCst);
    assert!((290..=302).contains(&writes), "{writes} writes in 10 min");
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_replaced_after_its_lease_whatever_its_clock_says() {
    for renew_time in ["2000-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"] {
        let server = ApiServer::default();
        server.put(json!({"holderIdentity": "old", "leaseDurationSeconds": 15, "renewTime": renew_time, "leaseTransitions": 4}));
        let began = Instant::now();
        server.process("a").lead().await;
        let waited = began.elapsed();
        assert!((15 * SECOND..=20 * SECOND).contains(&waited), "{waited:?}");
        assert_eq!((server.holder().as_str(), server.spec().lease_transitions), ("a", Some(5)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_candidate_waits_for_a_living_leader_until_it_is_told_to_stop() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    let shutdown = CancellationToken::new();
    let (elector, stop) = (server.process("b").elector(), shutdown.clone());
    let candidate = tokio::spawn(async move { elector.acquire(&stop).await.is_none() });
    sleep(600 * SECOND).await;
    assert_eq!(server.holder(), "a");

    let asked = Instant::now();
    shutdown.cancel();
    assert!(candidate.await.unwrap());
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(tenure.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn there_are_never_two_leaders_while_one_is_cut_off() {
    for link in [Link::Dead, Link::Deaf, Link::Forbidden] {
        let server = ApiServer::default();
        let (a, b) = (server.process("a"), server.process("b"));
        let tenure = a.lead().await;
        let old = tenure.leadership();
        let candidate = tokio::spawn(async move { b.lead().await });
        sleep(7 * SECOND).await;
        a.set(link);
        while !candidate.is_finished() {
            sleep(SECOND / 10).await;
        }
        assert!(!old.is_leader(), "the old leader must have given up first");
        assert!(old.lost().is_cancelled());
        assert!(candidate.await.unwrap().leadership().is_leader());
    }
}

#[tokio::test(start_paused = true)]
async fn leadership_ends_ten_seconds_after_the_last_renewal() {
    let server = ApiServer::default();
    let process = server.process("a");
    let tenure = process.lead().await;
    let led = Instant::now();
    process.set(Link::Dead);
    tenure.leadership().lost().cancelled().await;
    let lasted = led.elapsed();
    assert!((10 * SECOND..10 * SECOND + SECOND / 10).contains(&lasted), "{lasted:?}");
    assert!(!tenure.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_too_long_knows_at_once() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    let leadership = tenure.leadership();
    sleep(7 * SECOND).await;
    assert!(leadership.is_leader());

    advance(20 * SECOND).await;
    assert!(!leadership.is_leader());
    leadership.lost().cancelled().await;
    sleep(60 * SECOND).await;
    assert!(!leadership.is_leader(), "what is lost stays lost");
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let server = ApiServer::default();
    let process = server.process("a");
    let tenure = process.lead().await;
    for link in [Link::Dead, Link::Deaf, Link::Forbidden] {
        process.set(link);
        sleep(5 * SECOND).await;
        process.set(Link::Up);
        sleep(5 * SECOND).await;
        assert!(tenure.leadership().is_leader());
    }
    assert_eq!(server.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_another_is_lost_at_the_next_renewal() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    server.put(json!({"holderIdentity": "b", "leaseDurationSeconds": 15}));
    let taken = Instant::now();
    tenure.leadership().lost().cancelled().await;
    assert!(taken.elapsed() <= 2 * SECOND + SECOND / 10, "{:?}", taken.elapsed());

    tenure.release().await.unwrap();
    assert_eq!(server.holder(), "b", "a release must not touch another's Lease");
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_without_waiting_for_its_expiry() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    let leadership = tenure.leadership();
    sleep(30 * SECOND).await;
    tenure.release().await.unwrap();
    assert!(!leadership.is_leader());
    assert_eq!((server.holder().as_str(), server.spec().lease_duration_seconds), ("", Some(1)));

    let released = Instant::now();
    server.process("b").lead().await;
    assert!(released.elapsed() < SECOND, "{:?}", released.elapsed());
}

/// How long after the release a candidate leads that was standing by.
async fn released_to_who_stands_by(server: ApiServer) -> Duration {
    let (tenure, candidate) = (server.process("a").lead().await, server.process("b"));
    let standby = tokio::spawn(async move { candidate.lead().await });
    sleep(30 * SECOND).await;
    tenure.release().await.unwrap();
    let released = Instant::now();
    assert!(standby.await.unwrap().leadership().is_leader());
    released.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_is_told_of_a_release() {
    let took = released_to_who_stands_by(ApiServer::default()).await;
    assert!(took < SECOND / 5, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_watch_sees_a_release_some_seconds_later() {
    let took = released_to_who_stands_by(ApiServer { changes: None, ..ApiServer::default() }).await;
    assert!(took < 5 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_leads_within_the_lease_time_after_the_leader_went_silent() {
    for silent_after in [0, 500, 1000, 1500] {
        let server = ApiServer::default();
        let (a, candidate) = (server.process("a"), server.process("b"));
        let tenure = a.lead().await;
        let standby = tokio::spawn(async move { candidate.lead().await });
        sleep(30 * SECOND + Duration::from_millis(silent_after)).await;
        a.set(Link::Dead);
        let silent = Instant::now();
        standby.await.unwrap();
        let took = silent.elapsed();
        assert!(took < 15 * SECOND + SECOND / 5 && took > 12 * SECOND, "{took:?}");
        assert!(!tenure.leadership().is_leader());
    }
}

#[tokio::test(start_paused = true)]
async fn leadership_begins_when_the_lease_is_held() {
    let elector = ApiServer::default().process("a").elector();
    let leadership = elector.leadership();
    assert!(!leadership.is_leader() && !leadership.begun().is_cancelled());
    let _tenure = elector.acquire(&CancellationToken::new()).await.unwrap();
    assert!(leadership.is_leader() && leadership.begun().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_tenure_is_over() {
    let server = ApiServer::default();
    let tenure = server.process("a").lead().await;
    let leadership = tenure.leadership();
    drop(tenure);
    leadership.lost().cancelled().await;
    assert!(!leadership.is_leader());
    assert_eq!(server.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn errors_name_the_lease_and_the_remedy() {
    let server = ApiServer::default();
    let process = server.process("a");
    let mut messages = Vec::new();
    for link in [Link::Forbidden, Link::Dead] {
        process.set(link);
        messages.push(process.elector().attempt().await.err().unwrap().to_string());
    }
    assert_eq!(
        messages,
        [
            "Lease ops/leader: leases is forbidden (needs get, create, update and watch on leases.coordination.k8s.io)",
            "Lease ops/leader: no answer from the API server within 4s",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_election_a_process_always_leads() {
    let leadership = Leadership::always();
    advance(Duration::from_secs(400 * 24 * 3600)).await;
    assert!(leadership.is_leader() && !leadership.lost().is_cancelled());
}

#[test]
fn two_processes_of_one_host_have_two_identities() {
    assert_ne!(unique_identity("pod-1"), unique_identity("pod-1"));
    assert!(unique_identity("pod-1").starts_with("pod-1_"));
}
