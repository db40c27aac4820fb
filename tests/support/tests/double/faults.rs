//! Faults, holds and a stopped server.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use zitadel_operator_support::zitadel::{Behaviour, Double, Failure, InjectedFault};

use crate::{Bench, PROJECTS, error_id, header, parsed, request};

#[tokio::test]
async fn a_fault_answers_so_many_times_and_is_not_handled() {
    let bench = Bench::new(Behaviour::v4());
    let limited =
        InjectedFault::limited().header("Retry-After", "7").on(Method::POST).path(PROJECTS).after(1).times(1);
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
    let fault = bench.double.inject(InjectedFault::failure(&Failure::bare(13, "internal")));
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
        (InjectedFault::html(), 200, "text/html"),
        (InjectedFault::unavailable(), 503, "application/json"),
        (
            InjectedFault::answer(502).header("content-type", "text/plain").body("bad gateway"),
            502,
            "text/plain",
        ),
    ];
    for (fault, status, kind) in cases {
        let fault = bench.double.inject(fault);
        let response = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
        assert_eq!((response.status().as_u16(), header(&response, "content-type")), (status, kind));
        fault.remove();
    }
    bench.double.inject(InjectedFault::redirect("http://elsewhere.example/").times(1));
    let moved = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert_eq!((moved.status().as_u16(), header(&moved, "location")), (302, "http://elsewhere.example/"));
    bench.double.inject(InjectedFault::oversized(5_000_000));
    let large = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert_eq!(large.body().len(), 5_000_002);
}

#[tokio::test]
async fn a_dropped_connection_tells_nothing_about_the_commit() {
    let bench = Bench::new(Behaviour::v4());
    bench.double.inject(InjectedFault::drop_before().path(PROJECTS).times(1));
    bench.send(Method::POST, PROJECTS, json!({"name": "lost"})).await.expect_err("no answer");
    bench.double.inject(InjectedFault::drop_after_commit().path(PROJECTS).times(1));
    bench.send(Method::POST, PROJECTS, json!({"name": "kept"})).await.expect_err("no answer");
    bench.double.inject(InjectedFault::truncated().path(PROJECTS).times(1));
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
    bench.double.inject(InjectedFault::delay(Duration::from_secs(30)).times(1));
    bench.call(Method::GET, "/management/v1/iam", Value::Null).await;
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    bench.double.inject(InjectedFault::trickle(Duration::from_secs(1)).times(1));
    let slow = bench.send(Method::GET, "/management/v1/iam", Value::Null).await.expect("an answer");
    assert!(started.elapsed() > Duration::from_secs(30 + 50) && parsed(&slow).is_object());
}

#[tokio::test]
async fn a_hold_stops_a_request_before_or_after_its_commit() {
    let bench = Bench::new(Behaviour::v4());
    for (fault, committed) in [(InjectedFault::hold(), 0), (InjectedFault::hold_after_commit(), 1)] {
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
    let hold = bench.double.inject(InjectedFault::hold().path(PROJECTS));
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
    double.inject(InjectedFault::drop_before().times(1));
    assert!(iam().await.is_err_and(|error| error.status().is_none() && !error.is_connect()));
    double.inject(InjectedFault::truncated().times(1));
    let cut = iam().await.expect("headers");
    assert!(cut.bytes().await.is_err());
    double.inject(InjectedFault::oversized(5_000_000).times(1));
    let large = iam().await.expect("headers");
    assert_eq!(
        (large.content_length(), large.bytes().await.map(|body| body.len()).ok()),
        (None, Some(5_000_002))
    );
    assert_eq!(iam().await.expect("an answer").status(), 200);
}
