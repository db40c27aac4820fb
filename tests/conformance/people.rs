//! As whom the connection logs in, and what the condition says then.

use zitadel_operator::engine::decision::access::Right;
use zitadel_operator::kinds::registry;

use super::case::{Case, id_of, world_for};
use super::rows::Row;
use crate::kstatus::Kstatus;
use crate::staff::User;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::World;

/// Whether an `ORG_OWNER` of the organization may have objects of the kind.
fn is_for_org_owners(row: &Row) -> bool {
    registry().into_iter().any(|entry| entry.kind == row.kind && entry.right == Right::Organization)
}

/// Who may have objects of the kind.
fn owner_of(row: &Row) -> &'static str {
    if is_for_org_owners(row) { "ORG_OWNER" } else { "IAM_OWNER" }
}

/// A world whose operator logs in as a new user with this role in the organization.
async fn world_as(row: &Row, role: Option<&str>) -> (World, User) {
    let mut world = world_for(row).await;
    let user = world.log_in_as("operator", role).await;
    world.start_operator().await;
    (world, user)
}

/// Is denied what the spec says, learns who may, and does it once it may.
async fn is_told_who_may(row: &Row, role: Option<&str>, words: &[&str]) {
    let (world, user) = world_as(row, role).await;
    let case = Case::of(&world, row, "first").await;
    case.apply(&[], case.deleting()).await;
    let denied = case.subject.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &[row.permissions[0], owner_of(row), "Connection"]);
    assert_message(&denied, words);
    world.assert_calm().await;
    world.assert_no_writes();
    user.set_role(&world, owner_of(row)).await;
    let ready = case.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    case.assert_follows(&ready, &[]).await;
}

/// Whoever may only look learns which permission is missing, and who has it.
pub async fn viewer(row: &Row) {
    is_told_who_may(row, Some("ORG_OWNER_VIEWER"), &[]).await;
}

/// So does a user without any membership, whose 404 proves no absence.
pub async fn nobody(row: &Row) {
    is_told_who_may(row, None, &["AUTHZ-cdgFk"]).await;
}

/// An owner of the organization is enough, or learns that only one of the instance is.
pub async fn owner(row: &Row) {
    if !is_for_org_owners(row) {
        return is_told_who_may(row, Some("ORG_OWNER"), &[]).await;
    }
    let (world, _) = world_as(row, Some("ORG_OWNER")).await;
    let case = Case::of(&world, row, "first").await;
    case.ready(&row.names()).await;
    let changed = case.ready(&[]).await;
    case.assert_follows(&changed, &[]).await;
    case.delete().await;
    case.assert_gone(&id_of(&changed)).await;
}

/// Who may no longer changes nothing, and a deletion waits until the right is back.
pub async fn lost_right(row: &Row) {
    let [_, change, remove] = row.permissions;
    let (world, user) = world_as(row, Some("ORG_OWNER")).await;
    user.set_role(&world, owner_of(row)).await;
    let case = Case::of(&world, row, "first").await;
    let id = id_of(&case.ready(&[]).await);
    let before = case.object(&id).await;
    user.set_role(&world, &format!("{}_VIEWER", owner_of(row))).await;
    case.apply(&[row.names()[0]], case.deleting()).await;
    let denied = case.subject.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &[change, owner_of(row)]);
    case.subject.delete().await;
    let blocked = case.subject.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    assert_message(&blocked, &[remove, owner_of(row), "kubectl patch", "Retain"]);
    assert_eq!(case.object(&id).await, before);
    user.set_role(&world, owner_of(row)).await;
    case.subject.until_gone().await;
    case.assert_gone(&id).await;
}

/// Where nothing is shown any more, nothing is concluded from its absence.
pub async fn lost_membership(row: &Row) {
    let (world, user) = world_as(row, None).await;
    user.set_role(&world, owner_of(row)).await;
    let case = Case::of(&world, row, "first").await;
    let ready = case.ready(&[]).await;
    let before = case.object(&id_of(&ready)).await;
    user.lose_role(&world, owner_of(row)).await;
    case.apply(&[row.names()[0]], case.deleting()).await;
    let denied = case.subject.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &["AUTHZ-cdgFk", owner_of(row)]);
    assert_eq!(denied["status"]["id"], ready["status"]["id"]);
    case.subject.delete().await;
    let blocked = case.subject.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    assert_message(&blocked, &["AUTHZ-cdgFk", owner_of(row), "Retain"]);
    assert_eq!(case.object(&id_of(&ready)).await, before);
    user.set_role(&world, owner_of(row)).await;
    case.subject.until_gone().await;
    case.assert_gone(&id_of(&ready)).await;
}
