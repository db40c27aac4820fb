//! Secrets and ConfigMaps that change under their users.

use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::runtime::growth::Growth;

use crate::waits::{condition, until_answered};
use crate::world::{CONNECTION, World, config};

/// Where nothing wakes it, a resource is left alone for longer than any test waits.
fn patient() -> zitadel_operator::engine::decision::config::Config {
    let never = Growth { base: Duration::from_secs(600), cap: Duration::from_secs(600) };
    let delays = Delays { slow: never, dependency: never, ..config().delays };
    zitadel_operator::engine::decision::config::Config { delays, ..config() }
}

/// Puts a value into the Secret and the ConfigMap `values`.
async fn store(world: &World, value: &str) {
    let metadata = json!({ "name": "values", "labels": { "zitadel-operator.dev/allow": "true" } });
    let secret =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": { "key": value } });
    let map =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "key": value } });
    let person = PatchParams::apply("a-person").force();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.patch("values", &person, &Patch::Apply(secret)).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    maps.patch("values", &person, &Patch::Apply(map)).await.unwrap();
}

/// The value of a key in ZITADEL, in base64.
async fn value(world: &World, key: &str) -> Value {
    let path = format!("/management/v1/metadata/{key}");
    let (_, answer) = world.person.call(Method::GET, &path, &world.organization, Value::Null).await;
    answer["metadata"]["value"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_or_config_map_reaches_zitadel_without_waiting_for_a_resync() {
    let mut world = World::without_operator().await;
    world.start_operator_with(patient()).await;
    let metadata = world.subject("OrgMetadata", "acme");
    let entries = json!([
        { "key": "secret", "valueFrom": { "secretKeyRef": { "name": "values", "key": "key" } } },
        { "key": "map", "valueFrom": { "configMapKeyRef": { "name": "values", "key": "key" } } },
    ]);
    store(&world, "before").await;
    metadata.apply(json!({ "entries": entries })).await;
    metadata.until_ready().await;
    store(&world, "after").await;
    until_answered("changed both", async || {
        let values = [value(&world, "secret").await, value(&world, "map").await];
        (values.iter().all(|value| value == "YWZ0ZXI="), values)
    })
    .await;
    let reported = metadata.now().await;
    assert_eq!(reported["status"]["drift"], Value::Null, "a change of ours is no drift");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_credential_is_used_at_once() {
    let mut world = World::without_operator().await;
    let good = world.person.token().to_owned();
    world.store_token("no-token-of-this-server").await;
    world.start_operator_with(patient()).await;
    let refused = |c: &Value| condition(c, "Ready")["reason"] == "Unauthorized";
    world.until("Connection", CONNECTION, "was refused", refused).await;
    world.store_token(&good).await;
    let ready = |c: &Value| condition(c, "Ready")["status"] == "True";
    world.until("Connection", CONNECTION, "was ready", ready).await;
}
