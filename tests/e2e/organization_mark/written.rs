//! When the mark is written, and with which key.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::InjectedFault;
use zitadel_operator::engine::kubernetes::seal::SECRET;

use super::{end, lost_and_restored, make, mark, may_create, secrets, start};
use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of};
use crate::organization_grants::share_from;
use crate::waits::{condition, until_answered};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_mark_leaves_the_organization_ready_and_is_not_sent_again_and_again() {
    needs_double!("faults");
    let mut world = World::without_operator().await;
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    let bulk = "/management/v1/metadata/_bulk";
    let says = json!({ "code": 7, "message": "No matching permissions found",
        "details": [{ "@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": "AUTHZ-5mWD2",
            "message": "No matching permissions found" }] });
    let answer = InjectedFault::answer(403).header("content-type", "application/json").body(says.to_string());
    let refused = world.zitadel.inject(answer.path(bulk));
    start(&mut world).await;
    let id = make(&world, "globex").await;
    let globex = world.subject(ORGANIZATION, "globex");
    for _ in 0..5 {
        assert_eq!(condition(&globex.reconciled().await, "Ready")["status"], "True");
    }
    assert_eq!((world.zitadel.ledger().count(&Method::POST, bulk), mark(&world, &id)), (1, None));
    refused.remove();
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_zitadel_cannot_take_now_is_written_within_seconds_and_ready_does_not_wait_for_it() {
    needs_double!("faults");
    let mut world = World::without_operator().await;
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    let broken = world.zitadel.inject(InjectedFault::unavailable().path("/management/v1/metadata/_bulk"));
    start(&mut world).await;
    // What wakes the organization later is no retry of its own.
    let works = |c: &Value| condition(c, "Ready")["status"] == "True";
    world.until("ClusterConnection", &world.namespace, "worked", works).await;
    let id = make(&world, "globex").await;
    assert_eq!(mark(&world, &id), None);
    broken.remove();
    let globex = world.subject(ORGANIZATION, "globex");
    globex.until("was marked", |globex| !globex["status"]["mark"].is_null()).await;
    assert!(mark(&world, &id).is_some());
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_older_role_organizations_are_made_without_a_mark() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    world.forbidden.withhold("create secrets");
    world.forbidden.expect(&format!("create secrets {}", world.namespace));
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    start(&mut world).await;
    let id = make(&world, "globex").await;
    let globex = world.subject(ORGANIZATION, "globex").reconciled().await;
    assert_eq!((&globex["status"]["mark"], mark(&world, &id)), (&Value::Null, None));
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_there_is_used_and_never_overwritten() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    let known = json!({ "data": { "key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=" } });
    world.apply_core("Secret", SECRET, known).await;
    let before = secrets(&world).get(SECRET).await.unwrap().metadata.resource_version;
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    start(&mut world).await;
    let id = make(&world, "globex").await;
    assert!(mark(&world, &id).is_some());
    let after = secrets(&world).get(SECRET).await.unwrap().metadata.resource_version;
    assert_eq!(after, before);
    lost_and_restored(&mut world).await;
    start(&mut world).await;
    assert_eq!(id_of(&world.subject(ORGANIZATION, "globex").until_ready().await), id);
    let short = json!({ "data": { "key": "QUFB" } });
    lost_and_restored(&mut world).await;
    world.apply_core("Secret", SECRET, short).await;
    start(&mut world).await;
    world.subject(ORGANIZATION, "globex").until_reason("AccessDenied").await;
    until_answered("the Secret stays", async || {
        let secret = secrets(&world).get(SECRET).await.unwrap();
        (secret.data.unwrap()["key"].0 == b"AAA", ())
    })
    .await;
    end(world).await;
}
