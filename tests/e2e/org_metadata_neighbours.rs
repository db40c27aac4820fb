//! Keys that resources of other namespaces own, through a connection that both share.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use serde_json::json;
use support::canary::Watch;
use zitadel_operator::engine::decision::config::Config;

use crate::needs_double;
use crate::org_metadata::{org_metadata, texts};
use crate::org_metadata_keys::value;
use crate::organization_grants::{HOME, share, through_shared, unshare};
use crate::rights::{Accounts, Forbidden, Rights};
use crate::subject::Subject;
use crate::waits::{assert_message, condition};
use crate::world::{World, config};

/// A second namespace of the same ZITADEL, and a connection for both.
async fn other_namespace(world: &World) -> World {
    let namespace = format!("{}-next", world.namespace);
    let object: Namespace = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
    Api::all(world.client.clone()).create(&PostParams::default(), &object).await.unwrap();
    let next = World {
        namespace,
        client: world.client.clone(),
        person: world.person.clone(),
        canaries: Watch::shared().begin(),
        token: world.token.clone(),
        organization: world.organization.clone(),
        zitadel: world.zitadel.clone(),
        operator: None,
        rights: Rights::Namespaces,
        accounts: Accounts::default(),
        forbidden: Forbidden::default(),
        ..*world
    };
    let everybody = json!({ "namespaceSelector": {}, "organizations": [{ "all": true }] });
    share(world, json!([everybody])).await;
    next
}

/// Through the shared connection: what is said through a namespace's own binds nobody else.
async fn apply_shared<'a>(
    (world, at): (&World, &'a World),
    name: &'static str,
    entries: &[(&str, &str)],
) -> Subject<'a> {
    let mut spec = texts(entries);
    spec["organization"] = json!({ "id": world.organization });
    at.apply("OrgMetadata", name, through_shared(world, spec)).await;
    org_metadata(at, name)
}

async fn is_a_conflict_that_names_nobody(world: &World, next: &World) {
    let owner = apply_shared((world, world), "owner", &[("shared", "owner's")]).await;
    owner.until_ready().await;
    apply_shared((world, next), "stranger", &[("own", "1")]).await.until_ready().await;
    let both = [("shared", "stranger's"), ("own", "2")];
    let stranger = apply_shared((world, next), "stranger", &both).await;
    let lost = stranger.until_reason("Conflict").await;
    assert_message(&lost, &["\"shared\" by a resource of another namespace"]);
    let message = condition(&lost, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(!message.contains(&format!("{}/", world.namespace)), "{message}");
    assert_eq!((value(world, "shared"), value(world, "own")), (Some("owner's".into()), Some("2".into())));
    stranger.delete().await;
    stranger.until_gone().await;
    assert_eq!((value(world, "shared"), value(world, "own")), (Some("owner's".into()), None));
    owner.delete().await;
    owner.until_gone().await;
    unshare(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_key_is_named_only_within_its_namespace() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    let next = other_namespace(&world).await;
    let namespaces = vec![world.namespace.clone(), next.namespace.clone()];
    world.start_operator_of(Config { namespaces, ..config() }, HOME).await;
    is_a_conflict_that_names_nobody(&world, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_resource_of_another_operator_owns_is_a_conflict_by_key_too() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    world.rights = Rights::Namespaces;
    let mut next = other_namespace(&world).await;
    world.start_operator_from(HOME).await;
    next.start_operator_from(HOME).await;
    is_a_conflict_that_names_nobody(&world, &next).await;
}
