//! Objects that are there already: observed, taken over, or owned by another resource.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::case::{Case, id_of, running};
use super::rows::{Identity, Row, merged};
use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, assert_message, condition};

const ID: &str = "zitadel-operator.dev/id";

/// Waits until a conflict is final: before, the object in the way may not be in a list yet.
async fn until_conflict(case: &Case<'_>) -> Value {
    let is_final = |o: &Value| {
        let ready = condition(o, "Ready");
        ready["reason"] == "Conflict"
            && ready["observedGeneration"] == o["metadata"]["generation"]
            && condition(o, "Stalled")["status"] == "True"
    };
    let conflict = case.subject.until("was in conflict for good", is_final).await;
    assert_kstatus(&conflict, Kstatus::Failed);
    conflict
}

/// All fields but the name.
fn settings(row: &Row) -> Vec<&'static str> {
    row.names().into_iter().filter(|name| *name != "name").collect()
}

/// Differences are told, and nothing is written on either side.
pub async fn observe(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let observing = json!({ "managementPolicy": "Observe" });
    if ![Identity::Setting, Identity::Always].contains(&row.identity) {
        case.apply(&[], observing.clone()).await;
        assert_kstatus(&case.subject.until_reason("NotFound").await, Kstatus::Failed);
    }
    let id = case.create(&[]).await;
    let field = *row.names().last().expect("a field");
    case.change(&id, field, true).await;
    case.apply(&[], observing).await;
    let drifted = case.subject.until_reason("DriftDetected").await;
    assert_eq!(drifted["status"]["drift"]["fields"], json!([field]));
    assert_eq!(condition(&drifted, "Synced")["status"], "True");
    assert_kstatus(&drifted, Kstatus::Failed);
    assert!(world.until_event("first", "DriftDetected").await.contains(field));

    case.change(&id, field, false).await;
    case.subject.request().await;
    let agreed = case.until_ready().await;
    assert_kstatus(&agreed, Kstatus::Current);
    for unwritten in [
        &agreed["status"]["drift"],
        &agreed["metadata"]["finalizers"],
        &agreed["metadata"]["annotations"][ID],
    ] {
        assert_eq!(*unwritten, Value::Null);
    }
    case.delete().await;
    case.assert_fields(&case.object(&id).await, &[]);
    world.assert_no_writes();
}

/// What is there is taken over by naming it, and goes with the resource.
pub async fn take_over(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = case.create(&row.names()).await;
    let adopted = case.ready(&[]).await;
    assert_eq!(adopted["status"]["origin"], "Adopted");
    assert_eq!(adopted["status"]["deletionPolicy"], "Delete");
    world.until_event("first", "Adopted").await;
    case.assert_follows(&adopted, &[]).await;
    case.delete().await;
    case.assert_gone(&id).await;
}

/// Asserts that it was taken over with all that the spec says, and that a deletion leaves it.
async fn assert_adopted(case: &Case<'_>, id: &str, second: &[&str]) {
    let adopted = case.until_ready().await;
    assert_eq!(adopted["status"]["id"], id);
    assert_eq!(adopted["status"]["origin"], "Adopted");
    assert_eq!(adopted["status"]["deletionPolicy"], "Retain");
    assert!(case.world.until_event(case.subject.name, "Adopted").await.contains(id));
    case.assert_follows(&adopted, second).await;
    case.delete().await;
    case.assert_fields(&case.object(id).await, second);
}

/// The annotation imports an object under whatever name.
pub async fn import(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = case.create(&["name"]).await;
    case.subject.import(&id, case.spec(&settings(row))).await;
    assert_adopted(&case, &id, &settings(row)).await;
}

/// A name that is taken can be adopted where the resource says so, as the message proposes.
pub async fn adopt_by_name(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let id = case.create(&[]).await;
    let before = case.object(&id).await;
    case.apply(&settings(row), json!({})).await;
    let refused = until_conflict(&case).await;
    assert_message(&refused, &["adoptionPolicy ByName", &format!("{ID}={id}")]);
    assert_eq!(case.object(&id).await, before);
    case.apply(&settings(row), json!({ "adoptionPolicy": "ByName" })).await;
    assert_adopted(&case, &id, &settings(row)).await;
}

/// Of two resources for one object the second touches nothing, and has it within seconds once the first is gone.
pub async fn rival(row: &Row) {
    let world = running(row).await;
    let first = Case::of(&world, row, "first").await;
    let id = id_of(&first.ready(&[]).await);
    let before = first.object(&id).await;
    let [second, third] = ["second", "third"].map(|name| first.for_another(name));
    for later in [&second, &third] {
        later.apply(&settings(row), merged(later.deleting(), &json!({}))).await;
        let conflict = until_conflict(later).await;
        assert_message(&conflict, &["first"]);
        assert_eq!(conflict["status"]["id"], Value::Null);
    }
    third.delete().await;
    assert_eq!(first.object(&id).await, before);
    first.delete().await;
    let since = Instant::now();
    let ready = second.until_ready().await;
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "nothing slower than being woken: {:?}",
        since.elapsed()
    );
    second.assert_follows(&ready, &settings(row)).await;
}
