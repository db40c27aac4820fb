//! What lives in an organization that its namespace created, and that another namespace has by now.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Faults, Verb, Verdict};
use zitadel_operator::engine::Config;

use crate::estate::{Estate, Instance, estate, shared};

const LATER: Duration = Duration::from_secs(1500);
/// `Project`s are known, and looked at, long before.
const LATE: Duration = Duration::from_secs(120);

/// The first lists of `Organization`s come late.
struct LateOrganizations;

impl Faults for LateOrganizations {
    fn before(&self, call: &Call) -> Verdict {
        match call.resource == "organizations" && call.verb == Verb::List {
            true => Verdict::Delay(LATE),
            false => Verdict::Go,
        }
    }
}

fn grant(namespace: &str, organizations: &Value, create: bool) -> Value {
    let labels = json!({ "kubernetes.io/metadata.name": namespace });
    json!({
        "namespaceSelector": { "matchLabels": labels }, "organizations": organizations,
        "createOrganizations": create, "deleteOrganizations": true,
    })
}

async fn delete(estate: &Estate, kind: &str, namespace: &str, name: &str) {
    estate.api(kind, namespace).delete(name, &Default::default()).await.unwrap();
    tokio::time::sleep(LATER).await;
}

async fn status(estate: &Estate, kind: &str, namespace: &str, name: &str) -> Value {
    estate.api(kind, namespace).get(name).await.unwrap().data["status"].clone()
}

/// A project that lives in an organization of its namespace, which another namespace has taken over by now, with its
/// grant gone. No operator runs any more.
async fn taken_over(mut estate: Estate) -> (Estate, Arc<Instance>, String) {
    let instance = estate.instance("one.example");
    for namespace in ["maker", "heir"] {
        estate.cluster.add_namespace(namespace);
    }
    estate.cluster_connection("shared", &instance, (1000, 1000)).await;
    estate.share("shared", &instance, json!([grant("maker", &json!([]), true)])).await;
    estate.start();
    let retained = json!({ "connectionRef": shared("shared"), "deletionPolicy": "Retain" });
    estate.apply("Organization", "maker", "globex", retained.clone()).await;
    let lives = json!({ "connectionRef": shared("shared"), "organization": { "ref": { "name": "globex" } } });
    estate.apply("Project", "maker", "web", lives).await;
    tokio::time::sleep(LATER).await;
    let web = status(&estate, "Project", "maker", "web").await;
    assert_eq!(web["organizationOrigin"], "Created");
    let id = web["organizationId"].as_str().unwrap().to_owned();
    delete(&estate, "Organization", "maker", "globex").await;
    let both = json!([grant("maker", &json!([]), true), grant("heir", &json!([{ "id": id }]), false)]);
    estate.share("shared", &instance, both).await;
    estate.apply("Organization", "heir", "globex", retained).await;
    let annotations = json!({ "metadata": { "annotations": { "zitadel-operator.dev/id": id } } });
    let (api, patch) = (estate.api("Organization", "heir"), Patch::Merge(annotations));
    api.patch("globex", &PatchParams::default(), &patch).await.unwrap();
    tokio::time::sleep(LATER).await;
    assert_eq!(status(&estate, "Organization", "heir", "globex").await["origin"], "Adopted");
    estate.end().await;
    (estate, instance, id)
}

/// An operator of this configuration does not remove the project there.
async fn keeps(mut estate: Estate, instance: &Instance, id: &str, config: Config) {
    estate.api("Project", "maker").delete("web", &Default::default()).await.unwrap();
    estate.start_with(config);
    tokio::time::sleep(LATER).await;
    assert_eq!(instance.double.projects(id).len(), 1);
    let kept = status(&estate, "Project", "maker", "web").await;
    assert_eq!(kept["conditions"][0]["reason"], "DeletionBlocked");
}

#[test]
fn it_is_kept_whatever_is_known_first_after_a_start() {
    estate(1, async |estate: Estate| {
        let (estate, instance, id) = taken_over(estate).await;
        estate.cluster.set_faults(LateOrganizations);
        keeps(estate, &instance, &id, Config::default()).await;
    });
}

#[test]
fn it_is_kept_where_another_operator_follows_the_namespace_that_has_it() {
    estate(2, async |estate: Estate| {
        let (estate, instance, id) = taken_over(estate).await;
        keeps(estate, &instance, &id, Config { namespaces: vec!["maker".into()], ..Config::default() }).await;
    });
}
