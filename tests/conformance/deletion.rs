//! What a deletion does in ZITADEL.

use serde_json::{Value, json};

use super::case::{Case, id_of, running};
use super::rows::{Identity, Row};
use crate::waits::condition;

const PAUSED: &str = "zitadel-operator.dev/paused";

/// The object goes before its resource does.
pub async fn delete(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    // What is always there has the second values afterwards.
    let second = if row.identity == Identity::Always { vec![] } else { row.names() };
    let ready = case.ready(&second).await;
    assert_eq!(ready["status"]["deletionPolicy"], "Delete");
    case.delete().await;
    case.assert_gone(&id_of(&ready)).await;
}

/// What somebody removed before is released, and nothing is sent.
pub async fn delete_what_is_gone(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = id_of(&case.ready(&[]).await);
    case.subject.annotate(PAUSED, "true").await;
    case.subject.until("was paused", |o| condition(o, "Synced")["reason"] == "Paused").await;
    let mark = world.zitadel.ledger().mark();
    case.remove(&id).await;
    case.subject.delete().await;
    case.subject.annotate(PAUSED, Value::Null).await;
    case.subject.until_gone().await;
    case.assert_gone(&id).await;
    assert_eq!(case.writes_since(mark).len(), 0);
}

/// The object stays where the resource says so, or where that is usual for the kind.
pub async fn retain(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let retained = if row.is_retained { json!({}) } else { json!({ "deletionPolicy": "Retain" }) };
    case.apply(&row.names(), retained).await;
    let ready = case.until_ready().await;
    assert_eq!(ready["status"]["deletionPolicy"], "Retain");
    case.delete().await;
    case.assert_fields(&case.object(&id_of(&ready)).await, &row.names());
}
