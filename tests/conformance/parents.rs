//! What an object is to belong to does not exist, or goes.

use serde_json::{Value, json};
use support::zitadel::Behaviour;

use super::case::{Case, id_of, make, running, unmake, world_of};
use super::rows::Row;
use crate::kstatus::Kstatus;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::{World, real_zitadel};

/// A running world of each server line; of a real server there is one.
async fn worlds(row: &Row) -> Vec<World> {
    let lines = [Behaviour::v4(), Behaviour::v3()];
    let mut worlds = Vec::new();
    for line in lines.into_iter().take(if real_zitadel().is_some() { 1 } else { 2 }) {
        let mut world = world_of(row, line).await;
        world.start_operator().await;
        worlds.push(world);
    }
    worlds
}

/// A spec for this parent.
fn within(case: &Case<'_>, parent: &str) -> Value {
    json!({ noun(&case.row): { "id": parent } })
}

/// What the parent is called.
fn noun(row: &Row) -> String {
    row.parent.expect("a parent").to_lowercase()
}

/// Touches nothing and can be corrected.
async fn is_corrected(case: &Case<'_>, parent: &str, words: &[&str]) {
    case.apply(&[], within(case, parent)).await;
    let missing = case.subject.until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, &[parent, &format!("spec.{}", noun(&case.row))]);
    assert_message(&missing, words);
    assert_eq!(missing["status"]["organizationId"], Value::Null);
    case.world.assert_calm().await;
    // A v4 server would have accepted it.
    case.world.assert_no_writes();
    case.apply(&[], within(case, &case.parent)).await;
    let ready = case.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    case.assert_follows(&ready, &[]).await;
}

/// A parent that does not exist is named.
pub async fn missing_parent(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first").await;
    is_corrected(&case, "999", &[&format!("{} 999", noun(row))]).await;
}

/// So is one that was removed before, also where the server still answers for it.
pub async fn removed_parent(row: &Row) {
    for world in worlds(row).await {
        let case = Case::of(&world, row, "first").await;
        let gone = make(&world, case.row.parent.expect("a parent"), "gone").await;
        unmake(&world, case.row.parent.expect("a parent"), &gone).await;
        is_corrected(&case, &gone, &["does not exist"]).await;
    }
}

/// What went with its parent is told, not made again, and released.
pub async fn parent_that_goes(row: &Row) {
    for world in worlds(row).await {
        let parent = row.parent.expect("a parent");
        let gone = make(&world, parent, "gone").await;
        let case = Case::within(&world, row, "first", &gone);
        case.apply(&[], within(&case, &gone)).await;
        let id = id_of(&case.until_ready().await);
        let mark = world.zitadel.ledger().mark();
        unmake(&world, parent, &gone).await;
        case.subject.request().await;
        let lost = case.subject.until_reason("NotFound").await;
        assert_kstatus(&lost, Kstatus::Failed);
        let with_it = format!("went with the {}", noun(row));
        assert_message(&lost, &[&gone, "does not exist", "delete this resource", &with_it]);
        assert_eq!(id_of(&lost), id);
        world.assert_calm().await;
        case.delete().await;
        assert_eq!(case.writes_since(mark).len(), 0);
    }
}
