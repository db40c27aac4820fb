//! The store keeps no finalizer of others, and none is lost where the operator writes its own.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Verb};
use zitadel_operator::api::FINALIZER;

use crate::crash::behaviour;
use crate::deed::Deed::{Apply, Delete};
use crate::rules::{does, in_a_world, project, reason, rule};
use crate::world::World;

async fn finalizers(world: &World, kind: &str, name: &str) -> Value {
    world.get(kind, name).await["metadata"]["finalizers"].clone()
}

async fn set_finalizers(world: &World, kind: &str, name: &str, finalizers: Value) {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    world.api(kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

#[test]
fn finalizers_of_others_outlive_the_one_of_the_operator() {
    let others = json!(["one.example/guard", "two.example/guard"]);
    let all = json!(["one.example/guard", "two.example/guard", FINALIZER]);
    in_a_world(behaviour(), async |world| {
        let resources = [
            project("web", json!({ "deletionPolicy": "Delete" })),
            Apply("Organization", "shop".into(), json!({ "deletionPolicy": "Delete" }).into()),
        ];
        does(world, resources).await;
        for (kind, name) in [("Project", "web"), ("Organization", "shop")] {
            set_finalizers(world, kind, name, others.clone()).await;
        }
        world.start();
        does(world, []).await;
        for (kind, name) in [("Project", "web"), ("Organization", "shop")] {
            assert_eq!(reason(world, kind, name).await, "Available");
            assert_eq!(finalizers(world, kind, name).await, all);
            does(world, [Delete(kind, name.into())]).await;
            assert_eq!(finalizers(world, kind, name).await, others);
            set_finalizers(world, kind, name, Value::Null).await;
            assert_eq!(world.get(kind, name).await, Value::Null);
        }
    });
}

#[test]
fn resources_without_finalizers_of_others_are_not_read_for_their_own() {
    rule(async |world| {
        does(world, [project("web", json!({ "deletionPolicy": "Delete" }))]).await;
        does(world, [Delete("Project", "web".into())]).await;
        assert_eq!(world.get("Project", "web").await, Value::Null);
        let of_operator = |call: &&Call| call.resource == "projects" && call.manager == "zitadel-operator";
        let calls = world.cluster.calls();
        let read = calls.iter().filter(of_operator).filter(|call| call.verb == Verb::Get).count();
        assert_eq!(read, 0);
    });
}
