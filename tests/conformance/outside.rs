//! What somebody else does to an object in ZITADEL.

use serde_json::{Value, json};

use super::case::{Case, id_of, running};
use super::rows::{Identity, Row};
use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, condition};

const ID: &str = "zitadel-operator.dev/id";

/// An edit of any field is reverted, and named in an event and in the status.
pub async fn drift(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = id_of(&case.ready(&[]).await);
    for field in row.names() {
        case.change(&id, field, true).await;
        case.subject.request().await;
        let reported = |o: &Value| o["status"]["drift"]["fields"] == json!([field]);
        let healed = case.subject.until("told of the drift", reported).await;
        case.assert_follows(&healed, &[]).await;
        assert_kstatus(&healed, Kstatus::Current);
    }
    let note = world.until_event("first", "DriftReverted").await;
    assert!(note.ends_with(row.names()[0]), "{note}");
}

/// What somebody removed is made again once; a kind that is not says so.
pub async fn removed_outside(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let before = case.ready(&[]).await;
    let mark = world.zitadel.ledger().mark();
    case.remove(&id_of(&before)).await;
    case.subject.request().await;
    if !row.is_recreated {
        stays_gone(&case, &before).await;
        assert_eq!(case.writes_since(mark).len(), 0);
        return;
    }
    let is_another = |o: &Value| match row.identity {
        Identity::Assigned => o["status"]["id"] != before["status"]["id"],
        _ => o["status"]["sequence"] != before["status"]["sequence"],
    };
    let is_ready = |o: &Value| condition(o, "Ready")["status"] == "True";
    let again = case.subject.until("was made again", |o| is_another(o) && is_ready(o)).await;
    case.assert_follows(&again, &[]).await;
    if row.identity == Identity::Assigned {
        let annotated = |o: &Value| o["metadata"]["annotations"][ID] == again["status"]["id"];
        case.subject.until("was annotated with the other id", annotated).await;
        if world.ledger().is_some() {
            assert_eq!(case.creations_since(mark), 1);
        }
    }
    case.delete().await;
    case.assert_gone(&id_of(&again)).await;
}

async fn stays_gone(case: &Case<'_>, before: &Value) {
    let gone = case.subject.until_reason("NotFound").await;
    assert_kstatus(&gone, Kstatus::Failed);
    assert_eq!(gone["status"]["id"], before["status"]["id"]);
    case.delete().await;
}
