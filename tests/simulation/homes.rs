//! An organization that one namespace created and gave up, and that another one has by now: it, and what lives in it.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, FaultDecision, Faults, Verb};
use zitadel_operator::engine::decision::config::Config;

use crate::estate::{Estate, Instance, estate, shared};

const LATER: Duration = Duration::from_secs(1500);
/// `Project`s are known, and looked at, long before.
const LATE: Duration = Duration::from_secs(120);

/// The first lists of `Organization`s come late.
struct LateOrganizations;

impl Faults for LateOrganizations {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.resource == "organizations" && call.verb == Verb::List {
            true => FaultDecision::Delay(LATE),
            false => FaultDecision::Go,
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

/// `globex`, as it is while another may have it.
fn retained() -> Value {
    json!({ "connectionRef": shared("shared"), "deletionPolicy": "Retain" })
}

/// The id of the organization that `maker` created as `globex`.
async fn made(estate: &mut Estate, instance: &Instance) -> Value {
    for namespace in ["maker", "heir"] {
        estate.cluster.add_namespace(namespace);
    }
    estate.cluster_connection("shared", instance, (1000, 1000)).await;
    estate.share("shared", instance, json!([grant("maker", &json!([]), true)])).await;
    estate.start();
    estate.apply("Organization", "maker", "globex", retained()).await;
    tokio::time::sleep(LATER).await;
    status(estate, "Organization", "maker", "globex").await["id"].clone()
}

/// Has `heir` take it over, which its maker gave up.
async fn taken_over(estate: &Estate, instance: &Instance, id: &Value) {
    let both = json!([grant("maker", &json!([]), true), grant("heir", &json!([{ "id": id }]), false)]);
    estate.share("shared", instance, both).await;
    estate.apply("Organization", "heir", "globex", retained()).await;
    let annotations = json!({ "metadata": { "annotations": { "zitadel-operator.dev/id": id } } });
    patch(estate, "heir", annotations).await;
    tokio::time::sleep(LATER).await;
    assert_eq!(status(estate, "Organization", "heir", "globex").await["origin"], "Adopted");
}

async fn patch(estate: &Estate, namespace: &str, with: Value) {
    let api = estate.api("Organization", namespace);
    api.patch("globex", &PatchParams::default(), &Patch::Merge(with)).await.unwrap();
}

/// A project that lives in an organization of its namespace, which another namespace has taken over by now. No operator
/// runs any more.
async fn left_behind(mut estate: Estate) -> (Estate, Arc<Instance>, Value) {
    let instance = estate.instance("one.example");
    let id = made(&mut estate, &instance).await;
    let lives = json!({ "connectionRef": shared("shared"), "organization": { "ref": { "name": "globex" } } });
    estate.apply("Project", "maker", "web", lives).await;
    tokio::time::sleep(LATER).await;
    assert_eq!(status(&estate, "Project", "maker", "web").await["organizationOrigin"], "Created");
    delete(&estate, "Organization", "maker", "globex").await;
    taken_over(&estate, &instance, &id).await;
    estate.end().await;
    (estate, instance, id)
}

/// An operator of this configuration does not remove the project there.
async fn keeps(mut estate: Estate, instance: &Instance, id: &Value, config: Config) {
    estate.api("Project", "maker").delete("web", &Default::default()).await.unwrap();
    estate.start_with(config);
    tokio::time::sleep(LATER).await;
    assert_eq!(instance.double.projects(id.as_str().unwrap()).len(), 1);
    let kept = status(&estate, "Project", "maker", "web").await;
    assert_eq!(kept["conditions"][0]["reason"], "DeletionBlocked");
}

#[test]
fn it_is_kept_whatever_is_known_first_after_a_start() {
    estate(1, async |estate: Estate| {
        let (estate, instance, id) = left_behind(estate).await;
        estate.cluster.set_faults(LateOrganizations);
        keeps(estate, &instance, &id, Config::default()).await;
    });
}

#[test]
fn it_is_kept_where_another_operator_follows_the_namespace_that_has_it() {
    estate(2, async |estate: Estate| {
        let (estate, instance, id) = left_behind(estate).await;
        keeps(estate, &instance, &id, Config { namespaces: vec!["maker".into()], ..Config::default() }).await;
    });
}

#[test]
fn who_only_observed_gets_nothing_back_by_a_restart() {
    estate(1, async |mut estate: Estate| {
        let instance = estate.instance("one.example");
        let id = made(&mut estate, &instance).await;
        patch(&estate, "maker", json!({ "spec": { "managementPolicy": "Observe" } })).await;
        tokio::time::sleep(LATER).await;
        taken_over(&estate, &instance, &id).await;
        estate.end().await;
        let back = json!({ "spec": { "managementPolicy": "Manage", "deletionPolicy": "Delete" } });
        patch(&estate, "maker", back).await;
        estate.start();
        tokio::time::sleep(LATER).await;
        assert_eq!(status(&estate, "Organization", "heir", "globex").await["id"], id);
        delete(&estate, "Organization", "maker", "globex").await;
        let there = instance.double.organizations();
        assert!(there.iter().any(|organization| organization.id == id), "{there:?}");
    });
}

#[test]
fn who_was_released_and_lingers_gets_nothing_back_by_a_restart() {
    estate(1, async |mut estate: Estate| {
        let instance = estate.instance("one.example");
        let id = made(&mut estate, &instance).await;
        let hold = json!({ "finalizers": ["zitadel-operator.dev/finalizer", "team.example/hold"] });
        patch(&estate, "maker", json!({ "metadata": hold })).await;
        delete(&estate, "Organization", "maker", "globex").await;
        let maker = status(&estate, "Organization", "maker", "globex").await;
        assert_eq!(maker["id"], id, "it lingers");
        taken_over(&estate, &instance, &id).await;
        let before = status(&estate, "Organization", "heir", "globex").await["origin"].clone();
        let mut plain = grant("heir", &json!([{ "id": id }]), false);
        plain["deleteOrganizations"] = json!(false);
        estate.share("shared", &instance, json!([grant("maker", &json!([]), true), plain])).await;
        estate.end().await;
        estate.start();
        tokio::time::sleep(LATER).await;
        let heir = status(&estate, "Organization", "heir", "globex").await;
        assert_eq!((&heir["id"], &heir["origin"]), (&id, &before), "{heir}");
    });
}
