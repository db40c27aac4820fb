//! A namespace whose resources take long to read leaves workers, and reads of Kubernetes, to others.

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch};
use serde_json::{Value, json};
use support::kubernetes::{Call, FaultDecision, Faults, Verb};
use tokio::time::Instant;
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::in_a_world;
use crate::world::{CONNECTION, NAMESPACE, World, config, ours, person};

/// Each read of a value takes so long.
const READ: Duration = Duration::from_secs(10);
const RESOURCES: usize = 200;
const VALUES: usize = 50;
const OTHER: &str = "side";

struct Slow;

impl Faults for Slow {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.verb == Verb::Get && call.resource == "secrets" && call.name.starts_with("value") {
            true => FaultDecision::Delay(READ),
            false => FaultDecision::Go,
        }
    }
}

/// Many resources that take many values from Secrets, each read slowly.
async fn crowd(world: &World) {
    for n in 0..VALUES {
        let data = json!({ "stringData": { "key": format!("{n}") } });
        world.store("Secret", &format!("value{n}"), data).await;
    }
    for resource in 0..RESOURCES {
        let entry = |n: usize| {
            let reference = json!({ "secretKeyRef": { "name": format!("value{n}"), "key": "key" } });
            json!({ "key": format!("{resource}-{n}"), "valueFrom": reference })
        };
        let entries: Vec<Value> = (0..VALUES).map(entry).collect();
        world.apply("OrgMetadata", &format!("m{resource}"), json!({ "entries": entries })).await;
    }
    world.cluster.set_faults(Slow);
}

fn elsewhere(world: &World) -> Api<DynamicObject> {
    Api::namespaced_with(world.client.clone(), OTHER, &ours("OrgMetadata"))
}

/// How long a resource of another namespace waits to be told that its connection is missing.
async fn wait_of_another(world: &World) -> Duration {
    let began = Instant::now();
    let resource = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "OrgMetadata", "metadata": { "name": "web" },
        "spec": {
            "connectionRef": { "kind": "Connection", "name": "missing" },
            "entries": [{ "key": "a", "value": "b" }],
        },
    });
    elsewhere(world).patch("web", &person(), &Patch::Apply(resource)).await.unwrap();
    loop {
        let seen = serde_json::to_value(elsewhere(world).get("web").await.unwrap()).unwrap();
        let conditions = seen["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|condition| condition["reason"] == "ReferenceNotFound") {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(600), "nobody looked at it: {seen}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn resources_with_many_slow_values_keep_no_worker_from_other_namespaces() {
    in_a_world(behaviour(), async |world| {
        world.cluster.add_namespace(OTHER);
        crowd(world).await;
        world.start_with(Config { namespaces: [NAMESPACE, OTHER].map(str::to_owned).to_vec(), ..config() });
        tokio::time::sleep(READ * 2).await;
        let waited = wait_of_another(world).await;
        assert!(waited < Duration::from_secs(2), "it waited for {waited:?}");
    });
}

#[test]
fn values_of_one_resource_are_read_some_at_a_time() {
    in_a_world(behaviour(), async |world| {
        crowd(world).await;
        for n in 1..RESOURCES {
            world.delete("OrgMetadata", &format!("m{n}")).await;
        }
        world.start();
        tokio::time::sleep(READ * 30).await;
        let calls = world.cluster.calls();
        let read = |call: &&Call| call.verb == Verb::Get && call.name.starts_with("value");
        let read = calls.iter().filter(read).count();
        assert!(read >= VALUES, "{read} of {VALUES} through {CONNECTION} in thirty times what one takes");
    });
}
