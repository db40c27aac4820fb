//! Somebody else writes between the operator's read and its write.

use http::Method;
use serde_json::json;
use support::zitadel::{Injected, InjectedFault};

use super::{POLICIES, assert_reported, in_force, of_double, policy, spec};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::assert_kstatus;
use crate::world::World;

/// Writes of the policy stop before they are handled.
fn hold(world: &World, method: Method) -> Injected {
    world.zitadel.inject(InjectedFault::hold().on(method).path(POLICIES))
}

/// Methods and statuses of the writes that reached ZITADEL.
fn writes(world: &World) -> Vec<(Method, Option<u16>)> {
    let sent =
        world.zitadel.ledger().select(|call| call.path.starts_with(POLICIES) && call.method != Method::GET);
    sent.into_iter().map(|call| (call.method, call.status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_somebody_adds_in_between_is_brought_to_the_spec() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let held = hold(&world, Method::POST);
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, Some(of_double([false, false, true])));
    held.release();
    let ready = policy(&world).until_ready().await;
    assert_eq!(in_force(&world).await, [false, true, false]);
    assert_reported(&world, &ready).await;
    assert_eq!(
        writes(&world),
        [(Method::POST, Some(409)), (Method::PUT, Some(200))],
        "ORG-1M8ds, then a change"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_policy_added_by_somebody_else_in_between_is_success() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let held = hold(&world, Method::POST);
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, Some(of_double([false, true, false])));
    held.release();
    assert_reported(&world, &policy(&world).until_ready().await).await;
    assert_eq!(writes(&world), [(Method::POST, Some(409))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_somebody_resets_in_between_is_made_again() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    let held = hold(&world, Method::PUT);
    policy(&world).apply(spec([false, true, true], json!({}))).await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, None);
    held.release();
    let ready = policy(&world).until_ready().await;
    assert_eq!(in_force(&world).await, [false, true, true]);
    assert_reported(&world, &ready).await;
    let expected = [(Method::POST, Some(200)), (Method::PUT, Some(404)), (Method::POST, Some(200))];
    assert_eq!(writes(&world), expected, "ORG-2N9sd, then a create");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_somebody_else_made_first_is_success() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    let held = hold(&world, Method::PUT);
    policy(&world).apply(spec([false, true, true], json!({}))).await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, Some(of_double([false, true, true])));
    held.release();
    let ready = policy(&world).until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    assert_reported(&world, &ready).await;
    assert_eq!(writes(&world).last(), Some(&(Method::PUT, Some(400))), "ORG-3M9ds is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_somebody_resets_before_a_deletion_does_is_gone() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    policy(&world).until_ready().await;
    let held = hold(&world, Method::DELETE);
    policy(&world).delete().await;
    held.reached(1).await;
    world.zitadel.set_domain_policy(&world.organization, None);
    held.release();
    policy(&world).until_gone().await;
    assert_eq!(writes(&world).last(), Some(&(Method::DELETE, Some(404))), "ORG-Dvsh3 is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_was_lost_is_found_and_not_repeated() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    world.zitadel.inject(InjectedFault::drop_after_commit().on(Method::POST).path(POLICIES).times(1));
    policy(&world).apply(spec([false, true, false], json!({}))).await;
    assert_reported(&world, &policy(&world).until_ready().await).await;
    let committed = world.zitadel.ledger().writes();
    assert_eq!(committed.len(), 1, "{committed:?}");
}
