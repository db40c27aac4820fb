//! Flipping `userLoginMustBeDomain` renames every user: where there are many, a person confirms it.
//!
//! The organization of these tests has four users, and the default is false.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Failure, InjectedFault};

use super::{POLICIES, assert_reported, in_force, of_double, policy, spec, watchful_world};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

const CONFIRM: &str = "zitadel-operator.dev/confirm-username-rewrite";

/// Its organization has four users.
fn crowded(world: World) -> World {
    world.zitadel.add_staff(&world.organization);
    world
}

/// A policy of an organization that has more users than may be renamed without a word.
fn blocked_flip(values: [bool; 3]) -> Value {
    spec(values, json!({ "confirmAboveUsers": 3 }))
}

async fn until_blocked(world: &World, value: &str) -> Value {
    let blocked = policy(world).until_reason("InvalidSpec").await;
    assert_kstatus(&blocked, Kstatus::Failed);
    let becomes = format!("would become {value}");
    let command = format!("{CONFIRM}={value}");
    assert_message(
        &blocked,
        &[&becomes, "all 4 users", "confirmAboveUsers is 3", "kubectl annotate", &command],
    );
    blocked
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_users_as_allowed_are_renamed_and_the_status_shows_what_the_next_read_shows() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    for scoped in [true, false] {
        policy(&world).apply(spec([scoped, false, false], json!({ "confirmAboveUsers": 4 }))).await;
        let ready = policy(&world).until_ready().await;
        assert_eq!(in_force(&world).await, [scoped, false, false]);
        assert_reported(&world, &ready).await;
    }
    let renaming = world.zitadel.ledger().writes();
    assert!(renaming.iter().all(|write| write.committed == 5), "the policy and four users: {renaming:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_renames_many_users_waits_for_the_annotation_with_the_new_value() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    policy(&world).apply(blocked_flip([true, true, false])).await;
    let blocked = until_blocked(&world, "true").await;
    assert_reported(&world, &blocked).await;
    policy(&world).annotate(CONFIRM, "false").await;
    policy(&world).reconciled().await;
    world.assert_calm().await;
    let blocked = until_blocked(&world, "true").await;
    world.assert_no_writes();
    world.run_command_of(condition(&blocked, "Ready")["message"].as_str().unwrap()).await;
    let ready = policy(&world).until_ready().await;
    assert_eq!(in_force(&world).await, [true, true, false]);
    assert_reported(&world, &ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_renames_many_users_waits_for_the_annotation() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    policy(&world).apply(blocked_flip([false, true, false])).await;
    policy(&world).until_ready().await;
    policy(&world).apply(blocked_flip([true, false, false])).await;
    assert_reported(&world, &until_blocked(&world, "true").await).await;
    assert_eq!(in_force(&world).await, [false, true, false], "not even the harmless half is written");
    policy(&world).annotate(CONFIRM, "true").await;
    assert_reported(&world, &policy(&world).until_ready().await).await;
    assert_eq!(in_force(&world).await, [true, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_renames_nobody_needs_no_confirmation_and_counts_nobody() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    policy(&world).apply(blocked_flip([false, true, false])).await;
    policy(&world).until_ready().await;
    policy(&world).apply(blocked_flip([false, false, true])).await;
    policy(&world).until_ready().await;
    policy(&world).delete().await;
    policy(&world).until_gone().await;
    assert_eq!(world.zitadel.ledger().count(&Method::POST, "/management/v1/users/_search"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repair_of_an_edit_that_renamed_many_users_waits_for_the_annotation() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(watchful_world().await);
    policy(&world).apply(blocked_flip([false, true, false])).await;
    policy(&world).until_ready().await;
    world.zitadel.set_domain_policy(&world.organization, Some(of_double([true, true, false])));
    let blocked = until_blocked(&world, "false").await;
    assert_reported(&world, &blocked).await;
    assert_eq!(blocked["status"]["effective"]["userLoginMustBeDomain"], true);
    policy(&world).annotate(CONFIRM, "false").await;
    assert_reported(&world, &policy(&world).until_ready().await).await;
    assert_eq!(in_force(&world).await, [false, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_reset_by_somebody_else_is_made_again_only_with_the_annotation_where_that_renames_many_users()
 {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(watchful_world().await);
    policy(&world).apply(spec([true, false, false], json!({ "confirmAboveUsers": 4 }))).await;
    policy(&world).until_ready().await;
    policy(&world).apply(blocked_flip([true, false, false])).await;
    policy(&world).until_ready().await;
    world.zitadel.set_domain_policy(&world.organization, None);
    let blocked = until_blocked(&world, "true").await;
    assert_eq!(blocked["status"]["isDefault"], true);
    policy(&world).annotate(CONFIRM, "true").await;
    policy(&world).until_ready().await;
    assert_eq!(in_force(&world).await, [true, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_renames_many_users_is_blocked_until_the_annotation() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    policy(&world).apply(blocked_flip([true, false, false])).await;
    policy(&world).annotate(CONFIRM, "true").await;
    policy(&world).until_ready().await;
    policy(&world).delete().await;
    let blocked = policy(&world).until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    let retain = "kubectl patch orgdomainpolicies.zitadel-operator.dev";
    assert_message(
        &blocked,
        &["would become false", "all 4 users", &format!("{CONFIRM}=false"), retain, "Retain"],
    );
    world.assert_calm().await;
    assert_eq!(in_force(&world).await, [true, false, false]);
    policy(&world).annotate(CONFIRM, "false").await;
    policy(&world).until_gone().await;
    assert!(world.zitadel.domain_policy(&world.organization).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_patch_of_a_blocked_deletion_gives_the_policy_up() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    policy(&world).apply(blocked_flip([true, false, false])).await;
    policy(&world).annotate(CONFIRM, "true").await;
    policy(&world).until_ready().await;
    policy(&world).delete().await;
    let blocked = policy(&world).until_reason("DeletionBlocked").await;
    let message = condition(&blocked, "Ready")["message"].as_str().unwrap().to_owned();
    world.run_command_of(&message[message.find("To give up").expect("a way out")..]).await;
    policy(&world).until_gone().await;
    assert_eq!(in_force(&world).await, [true, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_in_between_is_no_way_around_the_guard() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    let held = world.zitadel.inject(InjectedFault::hold().on(Method::POST).path(POLICIES));
    policy(&world).apply(blocked_flip([false, true, false])).await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, Some(of_double([true, false, false])));
    held.release();
    assert_reported(&world, &until_blocked(&world, "false").await).await;
    assert_eq!(in_force(&world).await, [true, false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_name_that_is_taken_is_said() {
    needs_double!("its own way into the data or the ledger");
    let world = crowded(World::new().await);
    let collision = Failure { code: 6, id: Some("V3-DKcYh"), message: "Username already taken".into() };
    let failing = world.zitadel.inject(InjectedFault::failure(&collision).path(POLICIES));
    policy(&world).apply(spec([true, false, false], json!({}))).await;
    let taken = policy(&world).until_reason("Conflict").await;
    assert_kstatus(&taken, Kstatus::Failed);
    assert_message(
        &taken,
        &["userLoginMustBeDomain", "Username already taken", "V3-DKcYh", "rename that user"],
    );
    world.assert_calm().await;
    failing.remove();
    policy(&world).until_ready().await;
}
