//! What a server cannot make the client do: read without an end, or fill its memory.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::zitadel::tests::{
    Client, Error, Fake, PROJECT, Reply, Reservation, Secret, TestResult, Transport, TransportError, client,
    client_at,
};

/// A client of a server that answers so to the request of this number, and how many it was asked.
async fn reading<T>(
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    read: impl AsyncFnOnce(&Client) -> Result<T, Error>,
) -> Result<(Option<String>, usize), String> {
    let fake = Fake::new(move |number, _: &Request<_>| script(number));
    let outcome = read(&client(fake.clone(), Secret::pat("t"))?).await;
    let what = match outcome {
        Err(Error::Malformed { what, .. }) => Some(what),
        _ => None,
    };
    Ok((what, fake.seen().len()))
}

fn page(items: &[Value]) -> Reply {
    Reply::json(200, &json!({"details": {"totalResult": u64::MAX.to_string()}, "result": items}))
}

#[tokio::test(start_paused = true)]
async fn a_list_of_metadata_without_an_end_is_left() -> TestResult {
    // A page begins with the last entry of the one before.
    let entries = |number: usize| page(&[number - 1, number].map(|n| json!({"key": format!("{n}")})));
    let (what, requests) = reading(entries, async |client| client.metadata("org", |_| false).await).await?;
    assert_eq!((what.as_deref(), requests), (Some("its list does not end"), 1000));
    let long = "k".repeat(1 << 21);
    let entries =
        move |number: usize| page(&[number - 1, number].map(|n| json!({"key": format!("{n}{long}")})));
    let (what, requests) = reading(entries, async |client| client.metadata("org", |_| false).await).await?;
    assert_eq!(what.as_deref(), Some("its list is too large"));
    assert!(requests <= 9, "{requests}");
    let short = |number: usize| {
        let first = (number - 1) * 999;
        page(&(first..first + 1000).map(|n| json!({"key": format!("{n}")})).collect::<Vec<_>>())
    };
    let (what, requests) = reading(short, async |client| client.metadata("org", |_| false).await).await?;
    assert_eq!(what.as_deref(), Some("its list is too large"));
    assert!(requests <= 280, "{requests}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_search_for_large_objects_without_an_end_is_left() -> TestResult {
    let padding = "n".repeat(1 << 22);
    let projects = move |number: usize| page(&[json!({"id": format!("{number}"), "padding": padding})]);
    let (what, requests) =
        reading(projects, async |client| client.objects_named(&PROJECT, "org", "n").await).await?;
    assert_eq!((what.as_deref(), requests), (Some("its list is too large"), 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_search_for_small_objects_without_an_end_is_left() -> TestResult {
    let id = |page: usize, n: usize| json!({"id": format!("{}", page * 1000 + n)});
    let projects = move |number: usize| page(&(0..1000).map(|n| id(number, n)).collect::<Vec<_>>());
    let (what, requests) =
        reading(projects, async |client| client.objects_named(&PROJECT, "org", "n").await).await?;
    assert_eq!((what.as_deref(), requests), (Some("its list is too large"), 11));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_name_or_an_id_that_is_longer_than_any_is_not_held() -> TestResult {
    let long = "n".repeat(2000);
    let reply = page(&[json!({"id": "1", "name": long})]);
    let (what, _) =
        reading(move |_| reply.clone(), async |client| client.organizations_named("n").await).await?;
    assert_eq!(what.as_deref(), Some("its JSON has another shape"));
    let long = "n".repeat(2000);
    let reply = Reply::json(200, &json!({"org": {"id": "1", "name": long, "state": "ORG_STATE_ACTIVE"}}));
    let (what, _) = reading(move |_| reply.clone(), async |client| client.organization("1").await).await?;
    assert_eq!(what.as_deref(), Some("its JSON has another shape"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_page_of_more_than_a_thousand_objects_is_not_held() -> TestResult {
    let other_shape = Some("its JSON has another shape".to_owned());
    for (count, expected) in [(1000, None), (1001, other_shape)] {
        let items = vec![json!({}); count];
        let reply = Reply::json(200, &json!({"details": {"totalResult": "1"}, "result": items}));
        let (what, _) = reading(move |_| reply.clone(), async |client| client.memberships().await).await?;
        assert_eq!(what, expected, "{count}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_membership_has_few_and_short_roles() -> TestResult {
    let other_shape = Some("its JSON has another shape".to_owned());
    let roles = |count, length| vec!["r".repeat(length); count];
    for (roles, expected) in
        [(roles(50, 1024), None), (roles(51, 0), other_shape.clone()), (roles(1, 1025), other_shape)]
    {
        let (count, items) = (roles.len(), [json!({"orgId": "1", "roles": roles})]);
        let reply = Reply::json(200, &json!({"details": {"totalResult": "1"}, "result": items}));
        let (what, _) = reading(move |_| reply.clone(), async |client| client.memberships().await).await?;
        assert_eq!(what, expected, "{count}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_permissions_that_calls_need_are_kept() -> TestResult {
    let others = (0..10_000).map(|number| format!("project.read:{number}"));
    let listed: Vec<_> =
        ["org.read", "org.read", "project.write"].map(str::to_owned).into_iter().chain(others).collect();
    let fake = Fake::always(Reply::json(200, &json!({"result": listed})));
    let kept = client(fake, Secret::pat("t"))?.permissions(Some("org")).await?;
    assert_eq!(kept.len(), 2);
    assert!(kept.contains("org.read") && kept.contains("project.write"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_object_and_a_refusal_are_small() -> TestResult {
    let padding = "x".repeat(1 << 18);
    let object = Reply::json(200, &json!({"project": {"id": "1"}, "padding": padding}));
    let (what, _) =
        reading(move |_| object.clone(), async |client| client.object(&PROJECT, "org", "1").await).await?;
    assert_eq!(what.as_deref(), Some("it is larger than 262144 bytes"));
    for (length, expected) in [(10, None), (1 << 16, Some("it holds no ZITADEL error".to_owned()))] {
        let refusal = json!({"code": 3, "message": "x".repeat(length)});
        let refusal = Reply::json(400, &refusal);
        let (what, _) =
            reading(move |_| refusal.clone(), async |client| client.object(&PROJECT, "org", "1").await)
                .await?;
        assert_eq!(what, expected, "{length}");
    }
    Ok(())
}

/// Keeps the reservations that requests bring, and answers with a page of metadata that is never the last.
#[derive(Default)]
struct Reserved(Mutex<Vec<Arc<Reservation>>>);

impl Transport for Reserved {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let mut seen = self.0.lock();
        seen.extend(request.extensions().get::<Arc<Reservation>>().cloned());
        let entry = json!({"key": format!("{}", seen.len())});
        let page = json!({"details": {"totalResult": "3"}, "result": [entry]});
        async move { Ok(Response::new(page.to_string().into())) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_list_share_a_reservation_and_calls_of_one_holder_do() -> TestResult {
    let server = Arc::new(Reserved::default());
    let client = client_at("https://zitadel.example", None, server.clone(), Secret::pat("t"))?;
    let seen = || std::mem::take(&mut *server.0.lock());
    let same = |seen: &[Arc<Reservation>]| seen.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1]));
    let _memberships = client.memberships().await;
    let list = seen();
    assert!(list.len() > 1 && same(&list));
    for (client, shared) in [(client.clone(), false), (client.holding(), true)] {
        let _answers = (client.memberships().await, client.organization("1").await);
        let calls = seen();
        assert_eq!((calls.len() > 2, same(&calls)), (true, shared));
    }
    Ok(())
}
