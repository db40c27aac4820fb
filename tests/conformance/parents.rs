//! The organization that an object is to be in does not exist, or goes.

use serde_json::{Value, json};
use support::zitadel::Behaviour;

use super::case::{Case, id_of, running, world_of};
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

fn within(organization: &str) -> Value {
    json!({ "organization": { "id": organization } })
}

/// Touches nothing and can be corrected.
async fn is_corrected(case: &Case<'_>, organization: &str, words: &[&str]) {
    case.apply(&[], within(organization)).await;
    let missing = case.subject.until_reason("NotFound").await;
    assert_kstatus(&missing, Kstatus::Failed);
    assert_message(&missing, words);
    assert_eq!(missing["status"]["organizationId"], Value::Null);
    case.world.assert_calm().await;
    // A v4 server would have accepted it.
    case.world.assert_no_writes();
    case.apply(&[], within(&case.organization)).await;
    let ready = case.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    case.assert_follows(&ready, &[]).await;
}

/// An organization that does not exist is named.
pub async fn missing_parent(row: &Row) {
    let world = running(row).await;
    let case = Case::of(&world, row, "first");
    is_corrected(&case, "999", &["organization 999", "AUTH-Bs7Ds", "spec.organization"]).await;
}

/// So is one that was removed before, also where the server still answers for it.
pub async fn removed_parent(row: &Row) {
    for world in worlds(row).await {
        let case = Case::of(&world, row, "first");
        let gone = world.another_organization("gone").await;
        world.person.remove_organization(&gone).await;
        is_corrected(&case, &gone, &[&gone, "does not exist", "spec.organization"]).await;
    }
}

/// What went with its organization is told, not made again, and released.
pub async fn parent_that_goes(row: &Row) {
    for world in worlds(row).await {
        let gone = world.another_organization("gone").await;
        let case = Case::of(&world, row, "first").within(&gone);
        case.apply(&[], within(&gone)).await;
        let id = id_of(&case.until_ready().await);
        let mark = world.zitadel.ledger().mark();
        world.person.remove_organization(&gone).await;
        case.subject.request().await;
        let lost = case.subject.until_reason("NotFound").await;
        assert_kstatus(&lost, Kstatus::Failed);
        assert_message(
            &lost,
            &[&gone, "does not exist", "delete this resource", "went with the organization"],
        );
        assert_eq!(id_of(&lost), id);
        world.assert_calm().await;
        case.delete().await;
        assert_eq!(case.writes_since(mark).len(), 0);
    }
}
