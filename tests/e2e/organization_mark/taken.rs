//! Who takes an organization over has it alone.

use serde_json::json;
use zitadel_operator::engine::decision::config::Config;

use super::{ID, backup, end, lose, made, mark, may_create, restore};
use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::organization_grants::{grant, share_from, through_shared};
use crate::world::{World, config};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_namespace_takes_over_bears_no_mark_and_does_not_come_back_to_its_maker() {
    needs_double!("its own way into the data or the ledger");
    let (world, other) = (World::without_operator().await, World::without_operator().await);
    let access = json!([may_create(&world)]);
    let (mut world, id) = made(world, access).await;
    let globex = world.subject(ORGANIZATION, "globex");
    let kept = backup(&globex).await;
    world.stop_operator().await;
    lose(&world.subject(ORGANIZATION, "globex")).await;
    let access = json!([may_create(&world), grant(&other, &json!([{ "id": id }]), false)]);
    share_from(&world, &world.namespace, access).await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let home_organization = world.namespace.clone();
    world.start_operator_of(Config { namespaces, ..config() }, &home_organization).await;
    assert!(mark(&world, &id).is_some());

    let spec = through_shared(&world, json!({ "name": "globex" }));
    other.try_apply_annotated(ORGANIZATION, "theirs", json!({ ID: id }), spec).await.unwrap();
    let theirs = other.subject(ORGANIZATION, "theirs");
    assert_eq!(theirs.until_ready().await["status"]["origin"], "Adopted");
    assert_eq!(mark(&world, &id), None);
    theirs.delete().await;
    theirs.until_gone().await;
    restore(&world, &kept).await;
    world.subject(ORGANIZATION, "globex").until_reason("AccessDenied").await;
    end(world).await;
}
