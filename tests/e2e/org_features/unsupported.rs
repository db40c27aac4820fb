//! A server that does not implement the flags is a state of its own, not an error loop.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, OrganizationFeatures};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;

use super::{calls, flags, implement, set, spec};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::{World, config};

/// What a person reads: that it is no fault of theirs, what happens now and what happens next.
const WORDS: [&str; 4] = [
    "no released ZITADEL implements the feature flags of organizations",
    "does not implement the call",
    "nothing is written",
    "asked again every few hours",
];

/// A world that asks a server without the flags again only after an hour.
async fn patient_world(line: Behaviour) -> World {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    let quick = config();
    let delays = Delays { rare: Duration::from_secs(3600), ..quick.delays };
    world.start_operator_with(Config { delays, ..quick }).await;
    world
}

async fn is_told_once(line: Behaviour) {
    let world = patient_world(line).await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    let unsupported = flags(&world).until_reason("Unsupported").await;
    assert_kstatus(&unsupported, Kstatus::Failed);
    assert_message(&unsupported, &WORDS);
    assert_eq!(unsupported["metadata"]["finalizers"], Value::Null);
    // Nothing is to be asked: three resyncs long.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = calls(&world, Method::GET).len();
    assert!(matches!(asked, 2 | 4), "{asked} calls: v2, v2beta, and again when the connection became ready");
    world.assert_no_writes();
    flags(&world).reconciled().await;
    assert!(calls(&world, Method::GET).len() > asked, "asked because a person wants it");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_v3_does_not_implement_are_told_once_with_what_happens_next_and_not_polled() {
    needs_double!("its own way into the data or the ledger");
    is_told_once(Behaviour::v3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_v4_does_not_implement_are_told_once_with_what_happens_next_and_not_polled() {
    needs_double!("its own way into the data or the ledger");
    is_told_once(Behaviour::v4()).await;
    is_told_once(Behaviour::v4_newer()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_released_server_the_flags_are_unsupported_and_deletion_is_not_blocked() {
    let world = World::new().await;
    flags(&world).apply(spec(json!({ "loginDefaultOrg": true }))).await;
    let unsupported = flags(&world).until_reason("Unsupported").await;
    assert_kstatus(&unsupported, Kstatus::Failed);
    assert_message(&unsupported, &WORDS);
    flags(&world).delete().await;
    flags(&world).until_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_them_is_unsupported_too() {
    needs_double!("its own way into the data or the ledger");
    let world = patient_world(Behaviour::v4()).await;
    let observed = json!({ "managementPolicy": "Observe", "features": { "userSchema": true } });
    flags(&world).apply(observed).await;
    assert_message(&flags(&world).until_reason("Unsupported").await, &WORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_work_by_themselves_once_the_server_implements_them() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_reason("Unsupported").await;
    implement(&world, OrganizationFeatures::Implemented);
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
    assert_eq!(set(&world), json!({ "userSchema": true }));
}

/// A server of which an upgrade, or a downgrade, took the flags away.
async fn world_that_lost_them(how: OrganizationFeatures) -> World {
    let world = World::new().await;
    implement(&world, OrganizationFeatures::Implemented);
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_ready().await;
    implement(&world, how);
    flags(&world).reconciled().await;
    let lost = flags(&world).until_reason("Unsupported").await;
    assert_kstatus(&lost, Kstatus::Failed);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_is_not_blocked_by_a_server_that_lost_the_flags() {
    needs_double!("its own way into the data or the ledger");
    for how in [OrganizationFeatures::Unimplemented, OrganizationFeatures::UnimplementedAsUnknown] {
        let world = world_that_lost_them(how).await;
        flags(&world).delete().await;
        flags(&world).until_gone().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_is_not_blocked_by_a_server_that_reads_the_flags_and_does_not_reset_them() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    implement(&world, OrganizationFeatures::Implemented);
    flags(&world).apply(spec(json!({ "userSchema": true }))).await;
    flags(&world).until_ready().await;
    let failure = support::zitadel::Failure::bare(12, "method ResetOrganizationFeatures not implemented");
    for path in [super::V2, super::V2_BETA] {
        world
            .zitadel
            .inject(support::zitadel::InjectedFault::failure(&failure).on(Method::DELETE).path(path));
    }
    flags(&world).delete().await;
    flags(&world).until_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_come_back_are_as_specified_again() {
    needs_double!("its own way into the data or the ledger");
    let world = world_that_lost_them(OrganizationFeatures::UnimplementedAsUnknown).await;
    let written = world.zitadel.ledger().writes().len();
    implement(&world, OrganizationFeatures::Implemented);
    assert_kstatus(&flags(&world).until_ready().await, Kstatus::Current);
    assert_eq!(world.zitadel.ledger().writes().len(), written);
}
