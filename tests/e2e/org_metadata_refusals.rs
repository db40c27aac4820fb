//! What keeps `OrgMetadata` from its spec: permissions and organizations.

use std::cell::OnceCell;

use http::Method;
use serde_json::json;
use support::zitadel::Behaviour;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::org_metadata::{METADATA, org_metadata, settled, texts};
use crate::waits::{assert_kstatus, assert_message};
use crate::world::World;

/// A world whose operator logs in with this token.
async fn world_as(token: impl Fn(&World) -> String) -> World {
    let mut world = World::without_operator().await;
    world.store_token(&token(&world)).await;
    world.start_operator().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_that_org_write_is_missing_and_who_has_it() {
    needs_double!("its own way into the data or the ledger");
    let staff = OnceCell::new();
    let hire = |world: &World| {
        staff.get_or_init(|| world.zitadel.add_staff(&world.organization)).viewer.token.clone()
    };
    let world = world_as(hire).await;
    let acme = org_metadata(&world, "acme");
    acme.apply(texts(&[("tier", "gold")])).await;
    let denied = acme.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &["org.write", "ORG_OWNER", &world.organization, "Connection"]);
    world.assert_calm().await;
    world.assert_no_writes();
    let viewer = &staff.get().unwrap().viewer;
    world.zitadel.set_roles(&viewer.user, &world.organization, &["ORG_OWNER"]);
    assert_kstatus(&acme.until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_owner_is_enough() {
    needs_double!("its own way into the data or the ledger");
    let world = world_as(|world| world.zitadel.add_staff(&world.organization).owner.token.clone()).await;
    let acme = settled(&world, &[("tier", "gold")]).await;
    acme.delete().await;
    acme.until_gone().await;
    assert!(world.zitadel.metadata(&world.organization).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_404_of_a_user_without_membership_is_a_missing_permission_and_proves_no_absence() {
    needs_double!("its own way into the data or the ledger");
    let staff = OnceCell::new();
    let hire = |world: &World| {
        staff.get_or_init(|| world.zitadel.add_staff(&world.organization)).owner.token.clone()
    };
    let mut world = world_as(hire).await;
    let (owner, id) = (staff.get().unwrap().owner.user.clone(), world.organization.clone());
    let acme = settled(&world, &[("tier", "gold")]).await;
    world.zitadel.set_roles(&owner, &id, &[]);
    acme.delete().await;
    let blocked = acme.until_reason("DeletionBlocked").await;
    assert_message(&blocked, &["AUTHZ-cdgFk", "org.read", "ORG_OWNER", "Retain"]);
    assert_kstatus(&blocked, Kstatus::Terminating);
    assert_eq!(world.zitadel.metadata(&id).len(), 1);
    world.zitadel.set_roles(&owner, &id, &["ORG_OWNER"]);
    acme.until_gone().await;
    assert!(world.zitadel.metadata(&id).is_empty());
    world.stop_operator().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sets_nothing() {
    needs_double!("its own way into the data or the ledger");
    let world = world_as(|world| world.zitadel.add_staff(&world.organization).nobody.token.clone()).await;
    let acme = org_metadata(&world, "acme");
    acme.apply(texts(&[("tier", "gold")])).await;
    let denied = acme.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, &["AUTHZ-cdgFk", "org.read, org.write", "ORG_OWNER"]);
    world.assert_calm().await;
    world.assert_no_writes();
}

/// Answers nothing of ZITADEL, and can still be pointed elsewhere.
async fn is_homeless_until_corrected(world: &World, organization: &str) {
    let acme = org_metadata(world, "acme");
    let lives_in = |id: &str| {
        let mut spec = texts(&[("tier", "gold")]);
        spec["organization"] = json!({ "id": id });
        spec
    };
    acme.apply(lives_in(organization)).await;
    let organization_removed = acme.until_reason("NotFound").await;
    assert_kstatus(&organization_removed, Kstatus::Failed);
    assert_message(&organization_removed, &[organization, "does not exist", "spec.organization"]);
    world.assert_calm().await;
    world.assert_no_writes();
    let globex = world.zitadel.add_organization("globex");
    acme.apply(lives_in(&globex)).await;
    assert_kstatus(&acme.until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_does_not_exist_is_named_and_can_be_corrected() {
    needs_double!("its own way into the data or the ledger");
    is_homeless_until_corrected(&World::new().await, "999").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_was_removed_before_is_named_and_can_be_corrected() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4()] {
        let world = World::new().await;
        world.zitadel.configure(|behaviour| *behaviour = line);
        world.zitadel.remove_organization(&world.organization);
        is_homeless_until_corrected(&world, &world.organization).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_went_with_their_organization_are_told_and_their_deletion_is_not_held_up() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4()] {
        let world = World::new().await;
        world.zitadel.configure(|behaviour| *behaviour = line);
        let acme = settled(&world, &[("tier", "gold")]).await;
        world.zitadel.remove_organization(&world.organization);
        acme.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
        let organization_removed = acme.until_reason("NotFound").await;
        assert_kstatus(&organization_removed, Kstatus::Failed);
        assert_message(&organization_removed, &["delete this resource", "went with the organization"]);
        world.assert_calm().await;
        acme.delete().await;
        acme.until_gone().await;
        assert_eq!(world.zitadel.ledger().count(&Method::DELETE, METADATA), 0);
    }
}
