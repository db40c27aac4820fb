//! Large resources of a namespace that cannot be listed, which are learned, and asked, through the list of all namespaces.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::runtime::lease::Leadership;

use crate::{ALLOCATOR, ALONE, MIB, MOST_AT_A_TIME, NAMESPACE, World, ended, peak, person, simulated};

const SHUT: &str = "shut";
/// Resources of 1 MiB.
const CROWD: usize = 200;

/// Refuses to list what is in that namespace.
struct Shut;

impl Faults for Shut {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.namespace == SHUT && matches!(call.verb, Verb::List | Verb::Watch) {
            true => FaultDecision::Fail(Failure::new(403, "Forbidden", "the RoleBinding is gone")),
            false => FaultDecision::Go,
        }
    }
}

fn entries(world: &World, connection: &str, entries: &Value) -> Value {
    json!({
        "connectionRef": { "kind": "Connection", "name": connection },
        "organization": { "id": world.organization }, "entries": entries,
    })
}

/// As a server of its own choice makes it: it owns metadata of the organization.
async fn liar(world: &World, status: &Value, n: usize) {
    let (api, name) = (world.api_in(SHUT, "OrgMetadata"), format!("m{n}"));
    let large =
        json!([{ "key": "a", "value": "a".repeat(500_000) }, { "key": "b", "value": "b".repeat(500_000) }]);
    let body = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "OrgMetadata", "metadata": { "name": name },
        "spec": entries(world, "own", &large),
    });
    api.patch(&name, &person(), &Patch::Apply(body)).await.unwrap();
    let status = Patch::Merge(json!({ "status": status }));
    api.patch_status(&name, &PatchParams::default(), &status).await.unwrap();
}

async fn reason(world: &World, name: &str) -> Value {
    world.api("OrgMetadata").get(name).await.unwrap().data["status"]["conditions"][0]["reason"].clone()
}

#[test]
fn large_resources_that_are_not_followed_stay_within_the_limit() {
    let _alone = ALONE.lock();
    simulated(async |world| {
        world.cluster.add_namespace(SHUT);
        let own = |key: &str| entries(&world, "zitadel", &json!([{ "key": key, "value": "1" }]));
        world.apply("OrgMetadata", "first", own("first")).await;
        let operator = world.start();
        world.rest().await;
        ended(operator).await;
        let status = world.api("OrgMetadata").get("first").await.unwrap().data["status"].clone();
        for n in 0..CROWD {
            liar(&world, &status, n).await;
        }
        world.cluster.set_faults(Shut);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let config = Config { namespaces: vec![NAMESPACE.into(), SHUT.into()], ..Config::default() };
        let operator = world.start_with(Leadership::always(), config);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let learned = peak(before);
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        world.apply("OrgMetadata", "second", own("second")).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        let asked = peak(before);
        assert_eq!(reason(&world, "second").await, "Available");
        ended(operator).await;
        eprintln!("{} MiB to learn who owns what, {} MiB to ask", learned / MIB, asked / MIB);
        assert!(learned.max(asked) <= MOST_AT_A_TIME);
    });
}
