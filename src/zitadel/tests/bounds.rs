//! What a server cannot make the client do: read without an end, or fill its memory.

use http::Request;
use serde_json::{Value, json};

use super::{Client, Error, Fake, Reply, Secret, TestResult, client};

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
    assert!(requests <= 16, "{requests}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_search_for_large_objects_without_an_end_is_left() -> TestResult {
    let name = "n".repeat(1 << 22);
    let projects = move |number: usize| page(&[json!({"id": format!("{number}"), "name": name})]);
    let (what, requests) = reading(projects, async |client| client.projects_named("org", "n").await).await?;
    assert_eq!((what.as_deref(), requests), (Some("its list is too large"), 8));
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
async fn an_object_and_a_refusal_are_small() -> TestResult {
    let padding = "x".repeat(1 << 18);
    let object = Reply::json(200, &json!({"project": {"id": "1"}, "padding": padding}));
    let (what, _) = reading(move |_| object.clone(), async |client| client.project("org", "1").await).await?;
    assert_eq!(what.as_deref(), Some("it is larger than 262144 bytes"));
    for (length, expected) in [(10, None), (1 << 16, Some("it holds no ZITADEL error".to_owned()))] {
        let refusal = json!({"code": 3, "message": "x".repeat(length)});
        let refusal = Reply::json(400, &refusal);
        let (what, _) =
            reading(move |_| refusal.clone(), async |client| client.project("org", "1").await).await?;
        assert_eq!(what, expected, "{length}");
    }
    Ok(())
}
