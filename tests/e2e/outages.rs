//! What can go wrong on the way to ZITADEL and back.

use std::time::Duration;

use serde_json::{Value, json};
use support::zitadel::{Double, InjectedFault};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{World, config};

/// Asserts that the outage shows in `Synced` only, and names it with these words.
#[track_caller]
fn assert_outlived(project: &Value, words: &[&str]) {
    assert_eq!(condition(project, "Ready")["status"], "True");
    assert_eq!(condition(project, "Synced")["status"], "False");
    assert_message(project, words);
    assert_kstatus(project, Kstatus::Current);
}

/// Puts every call of a new `Project` under the fault, then takes it away.
async fn is_unavailable_under(fault: InjectedFault, words: &[&str]) {
    let mut world = World::without_operator().await;
    let fault = world.zitadel.inject(fault);
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("Unavailable").await;
    assert_kstatus(&web, Kstatus::InProgress);
    assert_message(&web, words);
    world.assert_calm().await;
    fault.remove();
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    assert_eq!(world.history().await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zitadel_that_is_down_at_the_start_is_waited_for() {
    needs_double!("outages");
    let mut world = World::without_operator().await;
    world.zitadel.stop().await;
    world.start_operator().await;
    world.project("web").apply(json!({})).await;
    let web = world.project("web").until_reason("Unavailable").await;
    assert_kstatus(&web, Kstatus::InProgress);
    assert_message(&web, &["ZITADEL cannot be reached", "refused"]);
    world.zitadel.resume().await.unwrap();
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_project_outlives_a_short_outage() {
    needs_double!("outages");
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    let before = world.project("web").until_ready().await;
    world.zitadel.stop().await;
    world.project("web").request().await;
    let web = world.project("web").until_synced_reason("Unavailable").await;
    assert_outlived(&web, &["ZITADEL cannot be reached"]);
    assert_eq!(condition(&web, "Ready"), condition(&before, "Ready"));
    world.zitadel.resume().await.unwrap();
    let after = world.project("web").until_synced_reason("Available").await;
    assert_eq!(condition(&after, "Ready"), condition(&before, "Ready"));
    assert_eq!(world.history().await, ["project.added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_lasts_shows_in_ready_and_ends_by_itself() {
    needs_double!("outages");
    let mut world = World::without_operator().await;
    let outage_grace = Duration::from_secs(2);
    world
        .start_operator_with(zitadel_operator::engine::decision::config::Config { outage_grace, ..config() })
        .await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.zitadel.stop().await;
    world.project("web").request().await;
    assert_outlived(&world.project("web").until_synced_reason("Unavailable").await, &["cannot be reached"]);
    let web = world.project("web").until_reason("Unavailable").await;
    assert_kstatus(&web, Kstatus::InProgress);
    world.zitadel.resume().await.unwrap();
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_during_an_outage_is_in_progress_and_follows_after_it() {
    needs_double!("outages");
    let world = World::new().await;
    world.project("web").apply(json!({ "name": "before" })).await;
    world.project("web").until_ready().await;
    world.zitadel.stop().await;
    world.project("web").apply(json!({ "name": "after" })).await;
    assert_kstatus(&world.project("web").until_reason("Unavailable").await, Kstatus::InProgress);
    world.zitadel.resume().await.unwrap();
    world.project("web").until_ready().await;
    assert_eq!(world.project_names().await, ["after"]);
}

/// Limits one call of a Ready project; answers how long the operator then sent nothing.
async fn pause_after(world: &World, limit: InjectedFault) -> Duration {
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    // A call that is in flight already is no breach of the limit.
    let mark = world.until_quiet().await;
    world.zitadel.inject(limit.path("/management/v1/projects/").times(1));
    world.project("web").request().await;
    let web = world.project("web").until_synced_reason("RateLimited").await;
    assert_outlived(&web, &["limits the rate", "LIMITS-molsj"]);
    world.project("web").until_synced_reason("Available").await;
    let calls = world.zitadel.ledger().since(mark);
    let limited = calls.iter().position(|call| call.status == Some(429)).unwrap();
    calls[limited + 1].at.duration_since(calls[limited].at).unsigned_abs()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_passes_before_the_time_that_retry_after_says() {
    needs_double!("faults");
    let world = World::new().await;
    let pause = pause_after(&world, InjectedFault::limited().header("retry-after", "2")).await;
    assert!((2..5).contains(&pause.as_secs()), "{pause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_says_no_time_pauses_the_connection_for_some_seconds() {
    needs_double!("faults");
    let world = World::new().await;
    let pause = pause_after(&world, InjectedFault::limited()).await;
    assert!((5..10).contains(&pause.as_secs()), "{pause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_html_page_with_status_200_is_no_answer_of_zitadel() {
    needs_double!("faults");
    is_unavailable_under(InjectedFault::html(), &["HTTP 200", "not one of ZITADEL", "HTML page"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_connection_breaks_in_the_middle_is_no_answer() {
    needs_double!("faults");
    is_unavailable_under(InjectedFault::truncated(), &["ZITADEL cannot be reached"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_cut_short_is_no_answer() {
    needs_double!("faults");
    let fault =
        InjectedFault::answer(200).header("content-type", "application/json").body("{\"iamProjectId\":\"1");
    is_unavailable_under(fault, &["cut short"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_is_retried_at_a_measured_pace() {
    needs_double!("faults");
    is_unavailable_under(InjectedFault::unavailable(), &["HTTP 503"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zitadel_whose_database_is_gone_is_waited_for() {
    needs_double!("faults");
    is_unavailable_under(InjectedFault::database_gone(), &["HTTP 404", "QUERY-d3fas"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_retried_at_a_measured_pace() {
    needs_double!("faults");
    is_unavailable_under(InjectedFault::drop_before(), &["ZITADEL cannot be reached"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_the_token_stays_here() {
    needs_double!("faults");
    let elsewhere = Double::start().await;
    let target = format!("{}/management/v1/iam", elsewhere.url());
    is_unavailable_under(InjectedFault::redirect(&target), &["HTTP 302", "redirect", "not followed"]).await;
    assert!(elsewhere.ledger().requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_no_absence_and_recreates_nothing() {
    needs_double!("faults");
    let world = World::new().await;
    world.project("web").apply(json!({})).await;
    let id = world.project("web").until_ready().await["status"]["id"].clone();
    let bare_404 = InjectedFault::answer(404).header("content-type", "application/json");
    let fault = world.zitadel.inject(bare_404.body("{\"code\":5,\"message\":\"Not Found\"}"));
    world.project("web").request().await;
    assert_outlived(&world.project("web").until_synced_reason("Unavailable").await, &["HTTP 404"]);
    world.assert_calm().await;
    fault.remove();
    assert_eq!(world.project("web").until_synced_reason("Available").await["status"]["id"], id);
    assert_eq!(world.history().await, ["project.added"], "it stayed the only one");
}
