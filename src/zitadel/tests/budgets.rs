use std::time::Duration;

use futures::future::join_all;
use http::{Method, Response, StatusCode};
use support::zitadel::lookup_failed;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::zitadel::circuit::Health;

const DOWN: Error = Error::TooLarge;

fn of(rate: u32, burst: u32, most: u16) -> Budget {
    Budget::new(Rate { requests_per_second: rate, burst }, most, Metrics::default())
}

fn route() -> Route {
    Route { method: Method::GET, template: "/management/v1/iam" }
}

/// One request that is answered after so long.
async fn answer(budget: &Budget, after: Duration) -> bool {
    let request = async {
        sleep(after).await;
        Ok(Response::new(Bytes::new()))
    };
    budget.spend(DEADLINE, route(), request, |_| Health::Up).await.is_ok()
}

/// One request that finds nobody; `false` where it was not even sent.
async fn fail(budget: &Budget) -> bool {
    let refused = async { Err(TransportError::Unreachable("connection refused".into())) };
    let sent = Instant::now();
    let failure = budget
        .spend(
            DEADLINE,
            route(),
            async {
                sleep(ms(1)).await;
                refused.await
            },
            |_| Health::Up,
        )
        .await;
    assert!(failure.is_err());
    sent.elapsed() >= ms(1)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn broken(budget: &Budget) -> Option<Instant> {
    match budget.opening(0) {
        Opening::Broken(probe_at) => probe_at,
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_the_circuit_and_fewer_do_not() {
    let budget = of(1000, 1000, 8);
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(fail(&budget).await);
        }
        assert!(answer(&budget, ms(1)).await);
    }
    for _ in 0..5 {
        assert_eq!(budget.opening(0), Opening::Now);
        assert!(fail(&budget).await);
    }
    assert!(broken(&budget).is_some());
    assert!(!fail(&budget).await, "nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_lets_one_probe_through_at_a_time_less_than_one_a_second() {
    let (budget, mut sent) = (of(1000, 1000, 8), 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(600) {
        let tries = join_all((0..20).map(|_| fail(&budget))).await;
        sent += tries.into_iter().filter(|sent| *sent).count();
        sleep(ms(100)).await;
    }
    // Those of the beginning were on their way at once.
    assert!((60..=100).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_closes_the_circuit_and_one_at_a_time_begins_again() {
    let budget = of(1000, 1000, 8);
    join_all((0..5).map(|_| fail(&budget))).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(budget.opening(3), Opening::Probe);
    assert!(answer(&budget, ms(1)).await);
    assert_eq!((budget.opening(0), budget.opening(7)), (Opening::Now, Opening::Later));
    for _ in 0..40 {
        assert!(answer(&budget, ms(1)).await);
    }
    assert_eq!(budget.opening(7), Opening::Now);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_given_up_counts_as_unanswered_and_another_follows() {
    let budget = of(1000, 1000, 8);
    join_all((0..5).map(|_| fail(&budget))).await;
    sleep(Duration::from_secs(2)).await;
    assert!(timeout(ms(10), answer(&budget, Duration::from_secs(60))).await.is_err());
    let again = broken(&budget).expect("a time");
    assert!(again > Instant::now() + ms(1900), "the pause grows");
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_the_server_neither_opens_nor_closes_the_circuit() {
    let budget = of(1000, 1000, 8);
    let unclear = || async {
        let response = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).body(Bytes::new());
        let request = async { Ok(response.expect("an answer")) };
        budget.spend(DEADLINE, route(), request, |_| Health::Unknown).await.is_ok()
    };
    for _ in 0..20 {
        assert!(unclear().await);
    }
    join_all((0..5).map(|_| fail(&budget))).await;
    sleep(Duration::from_secs(2)).await;
    assert!(unclear().await);
    assert!(broken(&budget).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_so_opens_the_circuit() {
    let budget = of(1000, 1000, 8);
    for _ in 0..5 {
        let request = async { Ok(Response::new(Bytes::new())) };
        assert!(budget.spend(DEADLINE, route(), request, |_| Health::Down(DOWN)).await.is_ok());
    }
    assert!(matches!(budget.opening(0), Opening::Broken(Some(_))));
    assert_eq!(budget.trouble(), Some(DOWN));
}

#[tokio::test(start_paused = true)]
async fn slow_answers_lower_what_runs_at_once_and_what_stays_slow_becomes_normal() {
    let budget = of(1000, 1000, 8);
    let at_once =
        |budget: &Budget| (0..8).filter(|under_way| budget.opening(*under_way) == Opening::Now).count();
    for _ in 0..20 {
        answer(&budget, ms(20)).await;
    }
    assert_eq!(at_once(&budget), 8);
    for _ in 0..20 {
        answer(&budget, Duration::from_secs(2)).await;
    }
    assert_eq!(at_once(&budget), 1);
    for _ in 0..600 {
        answer(&budget, Duration::from_secs(2)).await;
    }
    assert_eq!(at_once(&budget), 8);
}

#[tokio::test(start_paused = true)]
async fn one_more_begins_only_where_the_bucket_holds_what_all_of_them_usually_need() {
    let budget = of(10, 6, 8);
    assert_eq!([0, 1].map(|under_way| budget.opening(under_way)), [Opening::Now, Opening::Now]);
    for _ in 0..3 {
        answer(&budget, ms(0)).await;
    }
    assert_eq!(budget.opening(0), Opening::Now);
    assert_eq!(budget.opening(1), Opening::At(Instant::now() + ms(300)));
    // More than the bucket can hold is a full one.
    assert_eq!(budget.opening(5), Opening::At(Instant::now() + ms(300)));
}

#[tokio::test(start_paused = true)]
async fn a_new_rate_keeps_what_was_taken() {
    let budget = of(10, 10, 8);
    for _ in 0..10 {
        answer(&budget, ms(0)).await;
    }
    budget.limiter().set_rate(Rate { requests_per_second: 1, burst: 4 });
    assert_eq!(budget.delay(), ms(1000));
    budget.limiter().set_rate(Rate { requests_per_second: 100, burst: 100 });
    assert!(budget.delay() <= ms(1000), "{:?}", budget.delay());
}

#[tokio::test(start_paused = true)]
async fn a_429_that_names_no_time_and_no_limit_of_the_instance_pauses_nothing() {
    let limited =
        |retry_after, id: Option<&str>| Error::RateLimited { retry_after, id: id.map(str::to_owned) };
    for (error, pauses) in [
        (limited(None, None), false),
        (limited(None, Some("PROXY-1")), false),
        (limited(None, Some("LIMITS-molsj")), true),
        (limited(None, Some("QUOTA-vjAy8")), true),
        (limited(Some(ms(2000)), None), true),
    ] {
        let budget = of(10, 10, 8);
        budget.apply_retry_after(&error);
        assert_eq!(!budget.delay().is_zero(), pauses, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_everybody_from_asking_is_told_and_in_the_words_it_began_with() {
    let budget = of(10, 10, 8);
    assert_eq!(budget.trouble(), None);
    budget.apply_retry_after(&Error::RateLimited { retry_after: Some(ms(30_000)), id: None });
    assert!(matches!(budget.trouble(), Some(Error::RateLimited { retry_after: Some(_), .. })));
    sleep(Duration::from_secs(32)).await;
    assert_eq!(budget.trouble(), None, "a pause that is nearly over is not worth telling");
    let refuse = |message: &'static str| {
        let refused = async move { Err(TransportError::Unreachable(message.into())) };
        budget.spend(DEADLINE, route(), refused, |_| Health::Up)
    };
    for _ in 0..5 {
        assert!(refuse("connection refused").await.is_err());
    }
    sleep(Duration::from_secs(2)).await;
    assert!(refuse("no route to host").await.is_err());
    assert_eq!(budget.trouble(), Some(Error::Unreachable { message: "connection refused".into() }));
}

#[tokio::test(start_paused = true)]
async fn two_ways_to_one_instance_share_the_rate_and_its_pauses_and_neither_circuit_nor_load() {
    let (one, two) = (of(10, 6, 8), of(1000, 1000, 8));
    two.keep(one.limiter());
    for _ in 0..6 {
        answer(&one, ms(0)).await;
    }
    assert_eq!(two.opening(0), Opening::At(Instant::now() + ms(100)));
    sleep(Duration::from_secs(1)).await;
    for _ in 0..5 {
        fail(&one).await;
    }
    sleep(ms(600)).await;
    assert!(broken(&one).is_some() && one.trouble().is_some());
    assert_eq!((two.opening(0), two.trouble()), (Opening::Now, None));
    two.apply_retry_after(&Error::RateLimited { retry_after: Some(ms(30_000)), id: None });
    assert!(one.delay() >= ms(30_000));
}

#[tokio::test(start_paused = true)]
async fn how_quick_failures_are_says_nothing_of_how_quick_answers_should_be() {
    let budget = of(1000, 1000, 8);
    for _ in 0..3 {
        assert!(fail(&budget).await);
    }
    for _ in 0..20 {
        answer(&budget, ms(600)).await;
    }
    assert_eq!(budget.opening(7), Opening::Now);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_database_is_gone_opens_the_circuit_and_one_that_lacks_a_path_does_not() -> TestResult
{
    let not_found = |text: &str| Reply::json(404, &json!({"code": 5, "message": text}));
    for (reply, opens) in [
        (not_found(&lookup_failed("zitadel.example")), true),
        (Reply::raw(404, &[], "404 page not found"), true),
        (not_found("Not Found"), false),
    ] {
        let client = client(Fake::always(reply), Secret::pat("t"))?;
        client.remember_answer();
        for _ in 0..5 {
            assert!(matches!(client.me().await, Err(Error::Unavailable { status: 404, .. })));
        }
        assert_eq!(client.budget().trouble().is_some(), opens);
    }
    Ok(())
}
