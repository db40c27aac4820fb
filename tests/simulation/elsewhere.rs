//! Resources of a namespace that the operator does not follow are listed in pages, and all of them are seen.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Verb};
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::{does, in_a_world, metadata, reason};
use crate::world::{NAMESPACE, World, config, ours, person};

const OTHER: &str = "side";
/// Three pages of ten.
const RESOURCES: usize = 25;

/// A resource of another namespace whose status says that it owns this key of the organization.
async fn owns(world: &World, name: &str, connection: &str, mut status: Value, key: &str) {
    let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), OTHER, &ours("OrgMetadata"));
    let resource = json!({
        "apiVersion": "zitadel-operator.dev/v1alpha1", "kind": "OrgMetadata", "metadata": { "name": name },
        "spec": { "connectionRef": { "kind": connection, "name": "any" }, "entries": [{ "key": key, "value": "v" }] },
    });
    api.patch(name, &person(), &Patch::Apply(resource)).await.unwrap();
    status["entries"] = json!([{ "key": key }]);
    let status = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &status).await.unwrap();
}

#[test]
fn owners_of_keys_elsewhere_are_asked_for_in_pages_and_all_of_them_are_seen() {
    in_a_world(behaviour(), async |world| {
        world.cluster.add_namespace(OTHER);
        world.start_with(Config { namespaces: vec![NAMESPACE.into()], ..config() });
        does(world, [metadata("first", &json!([{ "key": "a", "value": "1" }]))]).await;
        let status = world.get("OrgMetadata", "first").await["status"].clone();
        for n in 0..RESOURCES - 1 {
            // By a server of its own choice, whose word counts for nobody here.
            owns(world, &format!("liar{n:02}"), "Connection", status.clone(), "b").await;
        }
        owns(world, "owner", "ClusterConnection", status, "c").await;
        let lists = || {
            let of = |call: &&Call| call.verb == Verb::List && call.resource == "orgmetadata";
            world.cluster.calls().iter().filter(of).filter(|call| call.namespace.is_empty()).count()
        };
        let before = lists();
        let entries = json!([{ "key": "b", "value": "1" }, { "key": "c", "value": "1" }]);
        does(world, [metadata("second", &entries)]).await;
        assert_eq!(reason(world, "OrgMetadata", "second").await, "Conflict");
        let keys = world.zitadel.metadata(&world.acme);
        assert_eq!((keys.contains_key("b"), keys.contains_key("c")), (true, false));
        let asked = lists() - before;
        assert!(asked > 0 && asked.is_multiple_of(3), "{asked} pages of lists that have three");
    });
}
