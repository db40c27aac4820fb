use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::zitadel::tests::{
    DEADLINE, Error, Fake, PROJECT, Reply, Secret, TestResult, client, client_at, object,
};

fn project(id: &str) -> Value {
    json!({"project": {"id": id, "name": "web", "details": {"resourceOwner": "org"}}})
}

fn written() -> Value {
    json!({"id": "1", "details": {"sequence": "2"}})
}

fn web() -> Map<String, Value> {
    object(json!({"name": "web"}))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[tokio::test(start_paused = true)]
async fn a_call_carries_token_organization_and_instance_host() -> TestResult {
    let fake = Fake::always(Reply::json(200, &written()));
    let url = "http://zitadel.ns.svc:8080/prefix";
    let client = client_at(url, Some("login.example.com"), fake.clone(), Secret::pat("t0ken"))?;
    client.create_object(&PROJECT, "org", &web()).await?;
    let request = fake.seen().remove(0);
    assert_eq!(request.uri(), "http://zitadel.ns.svc:8080/prefix/management/v1/projects");
    assert_eq!(request.method(), Method::POST);
    for (name, value) in [
        ("authorization", Some("Bearer t0ken")),
        ("x-zitadel-orgid", Some("org")),
        ("x-zitadel-instance-host", Some("login.example.com")),
        ("accept", Some("application/json")),
        ("accept-language", Some("en")),
        ("content-type", Some("application/json")),
    ] {
        assert_eq!(header(request.headers(), name), value, "{name}");
    }
    let body: Value = serde_json::from_slice(request.body())?;
    assert_eq!(body, json!({"name": "web"}));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn ids_reach_paths_encoded_and_headers_validated() -> TestResult {
    let evil = "../orgs/me?x#%2f\r\n é";
    let fake = Fake::always(Reply::json(200, &project(evil)));
    let client = client(fake.clone(), Secret::pat("t"))?;
    client.object(&PROJECT, "org", evil).await?;
    let path = "/management/v1/projects/..%2Forgs%2Fme%3Fx%23%252f%0D%0A%20%C3%A9";
    assert_eq!(fake.seen()[0].uri().path_and_query().map(ToString::to_string).as_deref(), Some(path));
    for id in ["", ".", ".."] {
        assert!(
            matches!(client.object(&PROJECT, "org", id).await, Err(Error::Invalid { id: None, .. })),
            "{id:?}"
        );
    }
    let long = "9".repeat(201);
    for org in ["", "a\r\nx-admin: 1", "a\nb", "a b", "é", "\u{7f}", long.as_str()] {
        assert!(
            matches!(client.object(&PROJECT, org, "1").await, Err(Error::Invalid { id: None, .. })),
            "{org:?}"
        );
    }
    assert_eq!(fake.seen().len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() -> TestResult {
    let fake = Fake::always(Reply::json(200, &project("1")).after(DEADLINE * 4));
    let (client, start) = (client(fake, Secret::pat("t"))?, Instant::now());
    assert_eq!(client.object(&PROJECT, "org", "1").await, Err(Error::Timeout { after: DEADLINE }));
    assert!(start.elapsed() < DEADLINE + Duration::from_millis(10), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_twice_and_writes_never() -> TestResult {
    let outages = [Reply::refused(), Reply::error(503, 14, "X-1"), Reply::raw(503, &[], "<html>")];
    for outage in outages {
        let fake = Fake::new(
            move |number, _| {
                if number < 3 { outage.clone() } else { Reply::json(200, &project("1")) }
            },
        );
        let client = client(fake.clone(), Secret::pat("t"))?;
        assert!(client.create_object(&PROJECT, "org", &web()).await.is_err());
        assert!(client.update_object(&PROJECT, "org", "9", &web()).await.is_err());
        assert!(client.delete_object(&PROJECT, "org", "8").await.is_err());
        assert_eq!(fake.seen().len(), 3);
        super::client(fake.clone(), Secret::pat("t"))?.object(&PROJECT, "org", "1").await?;
        assert_eq!(fake.count("/1"), 3);
    }
    let fake = Fake::always(Reply::refused());
    let refused = client(fake.clone(), Secret::pat("t"))?.object(&PROJECT, "org", "1").await;
    assert_eq!(refused, Err(Error::Unreachable { message: "connection refused".to_owned() }));
    assert_eq!(fake.seen().len(), 3);
    for other in [Reply::error(500, 13, "X-2"), Reply::error(404, 5, "X-3"), Reply::raw(200, &[], "<html>")] {
        let fake = Fake::always(other);
        assert!(client(fake.clone(), Secret::pat("t"))?.object(&PROJECT, "org", "1").await.is_err());
        assert_eq!(fake.seen().len(), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_limit_pauses_the_connection_and_a_long_one_is_refused_at_once() -> TestResult {
    let limited = |seconds| Reply::raw(429, &[("retry-after", seconds)], "");
    let fake = Fake::new(move |_, request| match request.uri().path() {
        path if path.ends_with("short") => limited("4"),
        path if path.ends_with("long") => limited("600"),
        _ => Reply::json(200, &project("1")),
    });
    let (client, start) = (client(fake.clone(), Secret::pat("t"))?, Instant::now());
    let retry_after = Some(Duration::from_secs(4));
    assert_eq!(
        client.object(&PROJECT, "org", "short").await,
        Err(Error::RateLimited { retry_after, id: None })
    );
    client.object(&PROJECT, "org", "1").await?;
    assert!((4..=5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(client.object(&PROJECT, "org", "long").await.is_err());
    let (sent, before) = (fake.seen().len(), start.elapsed());
    let refused = client.object(&PROJECT, "org", "1").await;
    assert!(matches!(refused, Err(Error::RateLimited { retry_after: Some(delay), .. }) if delay > DEADLINE));
    assert_eq!((fake.seen().len(), start.elapsed()), (sent, before));
    assert!(client.budget().delay() > DEADLINE);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn writes_to_one_project_are_serial_and_to_many_parallel() -> TestResult {
    for (distinct, most) in [(1, 1), (8, 8)] {
        let answer = json!({"details": {"resourceOwner": "org"}});
        let fake = Fake::always(Reply::json(200, &answer).after(Duration::from_millis(50)));
        let client = client(fake.clone(), Secret::pat("t"))?;
        client.update_object(&PROJECT, "org", "first", &web()).await?;
        let updates = (0..8).map(|i| {
            let client = client.clone();
            async move { client.update_object(&PROJECT, "org", &format!("p{}", i % distinct), &web()).await }
        });
        assert!(join_all(updates).await.iter().all(Result::is_ok));
        assert_eq!(fake.most_in_flight(), most);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_zitadels_are_malformed() -> TestResult {
    let html = [("content-type", "text/html")];
    let elsewhere = [("location", "https://elsewhere.example/")];
    for (reply, expected) in [
        (Reply::raw(200, &html, "<html>hello"), "it is an HTML page"),
        (Reply::raw(200, &[], "hello"), "it is not JSON"),
        (Reply::raw(200, &[], r#"{"project": {"id": "1""#), "its JSON is cut short"),
        (Reply::raw(200, &[], ""), "its JSON is cut short"),
        (Reply::raw(200, &[], "{}"), "its JSON has another shape"),
        (Reply::json(200, &project("2")), "it is about another project"),
        (Reply::raw(302, &elsewhere, ""), "it is a redirect, which is not followed"),
    ] {
        let fake = Fake::always(reply);
        let answer = client(fake.clone(), Secret::pat("t"))?.object(&PROJECT, "org", "1").await;
        let Err(Error::Malformed { what, .. }) = answer else {
            return Err(format!("{answer:?}").into());
        };
        assert_eq!(what, expected);
        assert_eq!(fake.seen().len(), 1);
    }
    Ok(())
}
