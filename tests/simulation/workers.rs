//! The reconciles of a kind at a time are as many as is said, in however many namespaces it is followed.

use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch};
use serde_json::json;
use support::kubernetes::{Call, FaultDecision, Faults, Verb};
use tokio::time::Instant;
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::in_a_world;
use crate::world::{NAMESPACE, World, config, ours, person};

/// Each write of a status takes so long.
const WRITE: Duration = Duration::from_secs(10);

struct Slow;

impl Faults for Slow {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.verb == Verb::Patch && call.subresource == "status" {
            true => FaultDecision::Delay(WRITE),
            false => FaultDecision::Go,
        }
    }
}

const BUSY: &str = r#"zitadel_operator_active_workers{controller="Project"} "#;

fn busy(world: &World) -> u32 {
    let shown = world.metrics();
    let busy = shown.lines().find_map(|line| line.strip_prefix(BUSY));
    busy.unwrap().parse().unwrap()
}

/// Three namespaces, each with a project of which something is to be told, and an operator of two workers, both busy.
fn crowded(run: impl AsyncFnOnce(&World)) {
    in_a_world(behaviour(), async |world| {
        let namespaces = [NAMESPACE, "side", "third"].map(str::to_owned).to_vec();
        for namespace in &namespaces {
            world.cluster.add_namespace(namespace);
            let api =
                Api::<DynamicObject>::namespaced_with(world.client.clone(), namespace, &ours("Project"));
            let project = json!({
                "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "Project", "metadata": { "name": "web" },
                "spec": { "connectionRef": { "kind": "Connection", "name": "missing" } },
            });
            api.patch("web", &person(), &Patch::Apply(project)).await.unwrap();
        }
        world.cluster.set_faults(Slow);
        world.start_with(Config { namespaces, concurrency: 2, ..config() });
        tokio::time::sleep(WRITE / 2).await;
        assert_eq!(busy(world), 2);
        run(world).await;
    });
}

#[test]
fn namespaces_that_are_followed_share_the_workers() {
    crowded(async |world| {
        tokio::time::sleep(WRITE).await;
        assert_eq!(busy(world), 1, "it waited for one of the others");
    });
}

#[test]
fn who_waits_for_a_worker_at_the_end_does_not_begin() {
    crowded(async |world| {
        let stopping = Instant::now();
        world.stop().await;
        assert!(stopping.elapsed() < WRITE, "{:?}", stopping.elapsed());
    });
}
