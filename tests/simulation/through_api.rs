//! What a person does to objects of any kind through ZITADEL's API, as the rows of the kinds say.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::rows::{Call, Row, row};
use crate::world::World;

/// Makes the object that a resource of this kind and name would have, with all other fields second.
pub async fn create(world: &World, kind: &str, name: &str) {
    let row = placed(world, kind, name).await;
    let others: Vec<_> = row.names().into_iter().filter(|field| *field != "name").collect();
    call(world, &row, &row.create(&others), "").await;
}

/// Brings one field of the object of a resource to its second value.
pub async fn change(world: &World, kind: &str, name: &str, field: &str) {
    let row = placed(world, kind, name).await;
    call(world, &row, &row.change(field, true), &id(world, kind, name).await).await;
}

/// Removes the object of a resource.
pub async fn remove(world: &World, kind: &str, name: &str) {
    let row = placed(world, kind, name).await;
    call(world, &row, &row.api.remove, &id(world, kind, name).await).await;
}

/// The row for this object; what belongs to neither organization nor instance belongs to the usual one of its kind.
async fn placed(world: &World, kind: &str, name: &str) -> Row {
    let known = row(kind);
    let parent = match known.parent {
        None | Some("Organization") => world.acme.clone(),
        Some(parent) => id(world, parent, row(parent).resource).await,
    };
    known.placed(&world.acme, &parent, name)
}

async fn id(world: &World, kind: &str, name: &str) -> String {
    world.get(kind, name).await["status"]["id"].as_str().unwrap_or_default().to_owned()
}

async fn call(world: &World, row: &Row, call: &Call, id: &str) {
    let mut answer = answer(world, row, call, id).await;
    // Two writes to one object at a time are refused; a person tries again.
    while answer.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer = self::answer(world, row, call, id).await;
    }
    assert!(answer.status().is_success(), "{call:?}: {answer:?}");
}

async fn answer(world: &World, row: &Row, call: &Call, id: &str) -> Response<Bytes> {
    let (method, path, body) = call.about(id);
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let token = world.zitadel.issue_token(&world.zitadel.admin().user, None);
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", world.zitadel.url()))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("x-zitadel-orgid", row.api.within.replace("$id", id));
    world.zitadel.call(request.body(body).expect("a request")).await.expect("an answer")
}
