//! What a person does to objects of any kind through ZITADEL's API, as the rows of the kinds say.

use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::rows::{Call, Places, Row, filled, filled_in, rows};
use crate::world::World;

/// Makes the object that a resource of this kind and name would have, with all other fields second.
pub async fn create(world: &World, kind: &str, name: &str) {
    let row = row(kind);
    let others: Vec<_> = row.names().into_iter().filter(|field| *field != "name").collect();
    call(world, &row, &row.create(&others), "", name).await;
}

/// Brings one field of the object of a resource to its second value.
pub async fn change(world: &World, kind: &str, name: &str, field: &str) {
    let row = row(kind);
    call(world, &row, &row.change(field, true), &id(world, kind, name).await, name).await;
}

/// Removes the object of a resource.
pub async fn remove(world: &World, kind: &str, name: &str) {
    let row = row(kind);
    call(world, &row, &row.api.remove, &id(world, kind, name).await, name).await;
}

fn row(kind: &str) -> Row {
    rows().into_iter().find(|row| row.kind == kind).expect("a row of the kind")
}

async fn id(world: &World, kind: &str, name: &str) -> String {
    world.get(kind, name).await["status"]["id"].as_str().unwrap_or_default().to_owned()
}

async fn call(world: &World, row: &Row, call: &Call, id: &str, name: &str) {
    let (method, path) = call.line.split_once(' ').expect("method and path");
    let places = Places { organization: &world.acme, id, name, ..Places::default() };
    let filled = |text| filled(text, &places);
    let body = match &call.body {
        Value::Null => Bytes::new(),
        body => filled_in(body, &places).to_string().into(),
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{}", world.zitadel.url(), filled(path)))
        .header(
            "authorization",
            format!("Bearer {}", world.zitadel.issue_token(&world.zitadel.admin().user, None)),
        )
        .header("content-type", "application/json")
        .header("x-zitadel-orgid", filled(row.api.within));
    let answer = world.zitadel.call(request.body(body).expect("a request")).await.expect("an answer");
    assert!(answer.status().is_success(), "{call:?}: {answer:?}");
}
