//! From creation over each change to rest.

use serde_json::{Value, json};

use super::case::{Case, id_of, running};
use super::rows::{Identity, Row};
use crate::kstatus::Kstatus;
use crate::waits::assert_kstatus;

/// What is applied comes to be, and the status says what and where.
pub async fn create(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    assert_kstatus(&case.apply(&[], json!({})).await, Kstatus::InProgress);
    let ready = case.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    case.assert_follows(&ready, &[]).await;
    let status = &ready["status"];
    assert_eq!(status["instance"], world.person.instance().await);
    let organization = match (row.identity, row.parent) {
        (Identity::Always, None) => Value::Null,
        (_, None) => id_of(&ready).into(),
        (_, Some(_)) => world.organization.as_str().into(),
    };
    assert_eq!(status["organizationId"], organization);
    if let Some(parent) = row.parent {
        assert_eq!(status[format!("{}Id", parent.to_lowercase())], case.parent);
    }
    let policy = if row.is_retained { "Retain" } else { "Delete" };
    let origin = if row.identity == Identity::Always { "Adopted" } else { "Created" };
    assert_eq!((&status["origin"], &status["deletionPolicy"]), (&json!(origin), &json!(policy)));
}

/// Each field follows the spec, alone and with all others, and it stays the same object.
pub async fn update(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    let mark = world.zitadel.ledger().mark();
    let id = id_of(&case.ready(&[]).await);
    let each = row.fields.iter().map(|field| vec![field.name]);
    for second in each.chain([row.names(), vec![]]) {
        let changed = case.ready(&second).await;
        assert_eq!(id_of(&changed), id);
        case.assert_follows(&changed, &second).await;
    }
    let note = world.until_event("first", "Updated").await;
    assert!(note.contains(row.names()[0]), "{note}");
    if row.identity == Identity::Assigned && world.ledger().is_some() {
        assert_eq!(case.creations_since(mark), 1);
    }
}

/// Another look writes nothing on either side, by the same operator or by another.
pub async fn no_op(row: &Row) {
    let mut world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    for second in [vec![], row.names()] {
        case.ready(&second).await;
        case.subject.assert_no_write().await;
    }
    let parent = case.parent.clone();
    world.stop_operator().await;
    world.start_operator().await;
    let case = Case::within(&world, row, "first", &parent);
    case.subject.assert_no_write().await;
    case.assert_follows(&case.subject.now().await, &row.names()).await;
    assert_eq!(case.subject.now().await["status"]["drift"], Value::Null);
}
