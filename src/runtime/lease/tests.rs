//! The whole flow on paused time, against an API server in memory that knows one Lease.

mod api_server;

use super::*;
use api_server::{ApiServer, Link};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_created_and_kept() {
    let server = ApiServer::default();
    let lease_guard = server.process("a").lead().await;
    let first = server.spec();
    assert_eq!((first.holder_identity.as_deref(), first.lease_duration_seconds), (Some("a"), Some(15)));

    sleep(600 * SECOND).await;
    assert!(lease_guard.leadership().is_leader());
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
    let lease_guard = server.process("a").lead().await;
    let shutdown = CancellationToken::new();
    let (elector, stop) = (server.process("b").elector(), shutdown.clone());
    let candidate = tokio::spawn(async move { elector.acquire(&stop).await.is_none() });
    sleep(600 * SECOND).await;
    assert_eq!(server.holder(), "a");

    let asked = Instant::now();
    shutdown.cancel();
    assert!(candidate.await.unwrap());
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert!(lease_guard.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn there_are_never_two_leaders_while_one_is_cut_off() {
    for link in [Link::Dead, Link::Deaf, Link::Forbidden] {
        let server = ApiServer::default();
        let (a, b) = (server.process("a"), server.process("b"));
        let lease_guard = a.lead().await;
        let old = lease_guard.leadership();
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
    let lease_guard = process.lead().await;
    let led = Instant::now();
    process.set(Link::Dead);
    lease_guard.leadership().lost().cancelled().await;
    let lasted = led.elapsed();
    assert!((10 * SECOND..10 * SECOND + SECOND / 10).contains(&lasted), "{lasted:?}");
    assert!(!lease_guard.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_too_long_knows_at_once() {
    let server = ApiServer::default();
    let lease_guard = server.process("a").lead().await;
    let leadership = lease_guard.leadership();
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
    let lease_guard = process.lead().await;
    for link in [Link::Dead, Link::Deaf, Link::Forbidden] {
        process.set(link);
        sleep(5 * SECOND).await;
        process.set(Link::Up);
        sleep(5 * SECOND).await;
        assert!(lease_guard.leadership().is_leader());
    }
    assert_eq!(server.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_another_is_lost_at_the_next_renewal() {
    let server = ApiServer::default();
    let lease_guard = server.process("a").lead().await;
    server.put(json!({"holderIdentity": "b", "leaseDurationSeconds": 15}));
    let taken = Instant::now();
    lease_guard.leadership().lost().cancelled().await;
    assert!(taken.elapsed() <= 2 * SECOND + SECOND / 10, "{:?}", taken.elapsed());

    lease_guard.release().await.unwrap();
    assert_eq!(server.holder(), "b", "a release must not touch another's Lease");
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_without_waiting_for_its_expiry() {
    let server = ApiServer::default();
    let lease_guard = server.process("a").lead().await;
    let leadership = lease_guard.leadership();
    sleep(30 * SECOND).await;
    lease_guard.release().await.unwrap();
    assert!(!leadership.is_leader());
    assert_eq!((server.holder().as_str(), server.spec().lease_duration_seconds), ("", Some(1)));

    let released = Instant::now();
    server.process("b").lead().await;
    assert!(released.elapsed() < SECOND, "{:?}", released.elapsed());
}

/// How long after the release a candidate leads that was standing by.
async fn released_to_who_stands_by(server: ApiServer) -> Duration {
    let (lease_guard, candidate) = (server.process("a").lead().await, server.process("b"));
    let standby = tokio::spawn(async move { candidate.lead().await });
    sleep(30 * SECOND).await;
    lease_guard.release().await.unwrap();
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
        let lease_guard = a.lead().await;
        let standby = tokio::spawn(async move { candidate.lead().await });
        sleep(30 * SECOND + Duration::from_millis(silent_after)).await;
        a.set(Link::Dead);
        let silent = Instant::now();
        standby.await.unwrap();
        let took = silent.elapsed();
        assert!(took < 15 * SECOND + SECOND / 5 && took > 12 * SECOND, "{took:?}");
        assert!(!lease_guard.leadership().is_leader());
    }
}

/// Whenever it looks: an answer to what was asked just before the end comes after it.
#[tokio::test(start_paused = true)]
async fn who_asked_just_before_a_lease_expired_asks_again_at_once() {
    for _ in 0..100 {
        let server = ApiServer::default();
        server.put(json!({"holderIdentity": "old", "leaseDurationSeconds": 15}));
        let candidate = server.process("a");
        candidate.set(Link::Slow);
        let began = Instant::now();
        candidate.lead().await;
        assert!(began.elapsed() < 17 * SECOND + SECOND / 2, "{:?}", began.elapsed());
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
    let lease_guard = server.process("a").lead().await;
    let leadership = lease_guard.leadership();
    drop(lease_guard);
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
        messages.push(process.elector().attempt(Instant::now()).await.err().unwrap().to_string());
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
