//! A paused resource is left alone, whatever happens on either side, until it goes on.

use serde_json::Value;
use support::zitadel::Mark;

use super::case::{Case, id_of, running};
use super::rows::Row;
use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, condition};

const PAUSED: &str = "zitadel-operator.dev/paused";

/// Pauses it; answers the end of the ledger once nothing is under way.
async fn paused(case: &Case<'_>) -> Mark {
    case.subject.annotate(PAUSED, "true").await;
    let paused = case.subject.until("was paused", |o| condition(o, "Synced")["reason"] == "Paused").await;
    assert_eq!(condition(&paused, "Ready")["status"], "True");
    assert_kstatus(&paused, Kstatus::Current);
    case.world.until_quiet().await
}

/// Waits until what was last asked for was seen, and asserts that nothing came of it.
async fn assert_left_alone(case: &Case<'_>, mark: Mark, expected: Kstatus) {
    let is_seen = |o: &Value| {
        let synced = condition(o, "Synced");
        synced["reason"] == "Paused" && synced["observedGeneration"] == o["metadata"]["generation"]
    };
    assert_kstatus(&case.subject.until("was seen paused", is_seen).await, expected);
    case.world.assert_no_call_since(mark);
}

pub async fn pause(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = id_of(&case.ready(&[]).await);
    let (ours, theirs) = (row.names()[0], *row.names().last().expect("a field"));

    let mark = paused(&case).await;
    case.change(&id, theirs, true).await;
    case.apply(&[ours], case.deleting()).await;
    assert_left_alone(&case, mark, Kstatus::InProgress).await;
    case.assert_fields(&case.object(&id).await, &[theirs]);
    case.subject.annotate(PAUSED, Value::Null).await;
    case.assert_follows(&case.until_ready().await, &[ours]).await;

    let mark = paused(&case).await;
    case.subject.delete().await;
    assert_left_alone(&case, mark, Kstatus::Terminating).await;
    case.assert_fields(&case.object(&id).await, &[ours]);
    case.subject.annotate(PAUSED, Value::Null).await;
    case.subject.until_gone().await;
    case.assert_gone(&id).await;
}
