//! What may be said by another organization is believed only where the header arrives.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use crate::zitadel::tests::{
    Client, Error, Fake, ORGANIZATION, PROJECT, RemoteState, Reply, Secret, TestResult, client,
};

const ME: &str = "/management/v1/orgs/me";

fn missing(id: &str) -> Reply {
    Reply::error(404, 5, id)
}

fn owned_by(owner: &str) -> Value {
    json!({"id": "1", "state": "PROJECT_STATE_ACTIVE", "details": {"resourceOwner": owner}})
}

fn listed(objects: &[Value]) -> Reply {
    let total = objects.len().to_string();
    Reply::json(200, &json!({"details": {"totalResult": total}, "result": objects}))
}

/// A server that answers reads and writes so; requests for `acme` reach this organization.
fn server(reached: &'static str, read: Reply, written: Reply) -> Result<(Client, Arc<Fake>), String> {
    let me = json!({"org": {"id": reached, "state": "ORG_STATE_ACTIVE"}});
    let fake = Fake::new(move |_, request| match request.uri().path() {
        ME if request.method() == Method::GET => Reply::json(200, &me),
        path if request.method() == Method::GET || path.ends_with("_search") => read.clone(),
        _ => written.clone(),
    });
    Ok((client(fake.clone(), Secret::pat("t"))?, fake))
}

#[tokio::test(start_paused = true)]
async fn a_read_or_a_search_that_tells_of_others_is_doubted() -> TestResult {
    let found = |owner| Reply::json(200, &json!({"project": owned_by(owner)}));
    for (is_search, reply, doubted) in [
        (false, found("acme"), false),
        (false, missing(PROJECT.nowhere), false),
        (false, found("other"), true),
        (false, missing("MANAG-SFf2a"), true),
        (true, listed(&[owned_by("acme")]), false),
        (true, listed(&[owned_by("acme"), json!({"id": "2"})]), true),
        (true, listed(&[]), true),
    ] {
        for reached in ["acme", "home"] {
            let (client, fake) = server(reached, reply.clone(), missing(""))?;
            let outcome = match is_search {
                true => client.objects_named(&PROJECT, "acme", "web").await.map(drop),
                false => client.object(&PROJECT, "acme", "1").await.map(drop),
            };
            let lost = matches!(outcome, Err(Error::HeaderLost { on_write: false }));
            assert_eq!(lost, doubted && reached == "home", "{reached}: {outcome:?}");
            assert_eq!(fake.count(ME) > 0, doubted, "{reached}");
        }
    }
    Ok(())
}

/// What comes of each write of one object.
async fn writes(client: &Client, of_organization: bool) -> [Result<(), Error>; 3] {
    let (paths, id) = if of_organization { (&ORGANIZATION, "acme") } else { (&PROJECT, "1") };
    [
        client.update_object(paths, "acme", id, &Map::new()).await.map(drop),
        client.set_object_state(paths, "acme", id, RemoteState::Inactive).await.map(drop),
        client.delete_object(paths, "acme", id).await.map(drop),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_there_and_missing_to_a_write_is_missing_in_another_organization() -> TestResult {
    let there = Reply::json(200, &json!({"project": owned_by("acme")}));
    let gone = missing(PROJECT.nowhere);
    for (of_organization, read, lost) in
        [(false, there.clone(), true), (false, gone, false), (true, there, false)]
    {
        let (client, _) = server("acme", read, missing("COMMAND-3M9sd"))?;
        let outcomes = writes(&client, of_organization).await;
        for outcome in outcomes {
            let found = match outcome {
                Err(Error::HeaderLost { on_write: true }) => true,
                Err(Error::NotFound { .. }) => false,
                other => return Err(format!("{other:?}").into()),
            };
            assert_eq!(found, lost, "{of_organization}");
        }
    }
    Ok(())
}
