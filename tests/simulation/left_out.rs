//! A namespace of `watchNamespaces` that cannot be listed is left out: the rest goes on, and nothing of it is taken.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};
use tokio::time::sleep;
use zitadel_operator::engine::decision::config::Config;

use crate::estate::{Estate, WELL, estate, shared};

const RATE: (u32, u32) = (20, 40);
const UNLISTED: &str = "zitadel_operator_unlisted_namespaces";

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Refuses to list what is in the namespace `shut`, and `everywhere` also lists across namespaces.
struct Shut {
    everywhere: bool,
}

impl Faults for Shut {
    fn before(&self, call: &Call) -> FaultDecision {
        let ours = call.group == "zitadel-operator.dev" && call.resource != "clusterconnections";
        let lists = matches!(call.verb, Verb::List | Verb::Watch);
        let place = call.namespace == "shut" || (self.everywhere && call.namespace.is_empty());
        // A person lists without a field manager; the test itself must see what is there.
        match ours && lists && place {
            true => FaultDecision::Fail(Failure::new(403, "Forbidden", "the RoleBinding is gone")),
            false => FaultDecision::Go,
        }
    }
}

fn both() -> Config {
    Config { namespaces: vec!["shut".into(), "team".into()], ..Config::default() }
}

async fn get(estate: &Estate, namespace: &str, name: &str) -> Value {
    let found = estate.api("Project", namespace).get(name).await.expect("it is there");
    serde_json::to_value(found).expect("JSON")
}

fn ready(project: &Value) -> &str {
    let conditions = project["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    ready.and_then(|ready| ready["reason"].as_str()).unwrap_or_default()
}

/// An operator that made the project `shut-0` of the namespace `shut`, and ended.
async fn owned(mut estate: Estate) -> Estate {
    let zitadel = estate.instance("zitadel.example");
    zitadel.set(WELL);
    estate.cluster_connection("main", &zitadel, RATE).await;
    estate.projects("shut", shared("main"), 1).await;
    estate.cluster.add_namespace("team");
    estate.start_with(both());
    estate.converge(minutes(1)).await;
    estate.end().await;
    estate
}

#[test]
fn a_namespace_that_cannot_be_listed_stops_no_other_and_is_taken_up_when_it_can() {
    estate(20, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        let start = zitadel.double.now();
        estate.cluster_connection("main", &zitadel, RATE).await;
        estate.projects("shut", shared("main"), 1).await;
        estate.projects("team", shared("main"), 1).await;
        estate.cluster.set_faults(Shut { everywhere: true });
        estate.start_with(both());
        sleep(minutes(2)).await;
        assert_eq!(ready(&get(&estate, "team", "team-0").await), "Available");
        assert_eq!(ready(&get(&estate, "shut", "shut-0").await), "Pending");
        let waited = zitadel.creations(start)["team-0"];
        assert!(waited <= 35.0, "{waited} s");
        assert_eq!(estate.waiting_for(), [""; 0]);
        assert!(estate.metric(UNLISTED, "kind=\"Project\"") > 0.0);
        estate.cluster.clear_faults();
        estate.converge(minutes(1)).await;
        // Each kind is tried again by itself.
        sleep(minutes(1)).await;
        assert!(estate.metric(UNLISTED, "") == 0.0);
    });
}

#[test]
fn what_a_namespace_left_out_owns_is_taken_over_by_nobody() {
    for everywhere in [false, true] {
        estate(21, async move |estate: Estate| {
            let mut estate = owned(estate).await;
            estate.cluster.set_faults(Shut { everywhere });
            let spec =
                json!({ "connectionRef": shared("main"), "name": "shut-0", "adoptionPolicy": "ByName" });
            estate.apply("Project", "team", "thief", spec).await;
            estate.start_with(both());
            estate.project("team", shared("main"), "other").await;
            sleep(minutes(5)).await;
            assert_eq!(ready(&get(&estate, "team", "other").await), "Available");
            let thief = get(&estate, "team", "thief").await;
            assert_eq!(thief["status"]["id"], Value::Null, "{thief}");
            estate.cluster.clear_faults();
            sleep(minutes(30)).await;
            assert_eq!(ready(&get(&estate, "team", "thief").await), "Conflict");
            assert_eq!(ready(&get(&estate, "shut", "shut-0").await), "Available");
        });
    }
}

#[test]
fn claims_of_a_namespace_left_out_are_learned_from_the_list_of_all_namespaces() {
    estate(22, async |estate: Estate| {
        let mut estate = owned(estate).await;
        let status = get(&estate, "shut", "shut-0").await["status"].clone();
        estate.project("team", shared("main"), "copy").await;
        let copied = Patch::Merge(json!({ "status": status }));
        let copy = estate.api("Project", "team");
        copy.patch_status("copy", &PatchParams::default(), &copied).await.expect("a status");
        estate.cluster.set_faults(Shut { everywhere: false });
        estate.start_with(both());
        sleep(minutes(2)).await;
        // It has lost what it claimed, and has made one of its own by now.
        let copy = get(&estate, "team", "copy").await;
        assert_ne!(copy["status"]["id"], status["id"], "{copy}");
        let names: Vec<String> = estate.project_names();
        assert_eq!(names, ["copy", "shut-0"]);
    });
}

#[test]
fn claims_that_nobody_keeps_in_a_namespace_left_out_are_given_up() {
    estate(23, async |estate: Estate| {
        let mut estate = owned(estate).await;
        estate.cluster.set_faults(Shut { everywhere: false });
        let spec = json!({ "connectionRef": shared("main"), "name": "shut-0", "adoptionPolicy": "ByName" });
        estate.apply("Project", "team", "heir", spec).await;
        estate.start_with(both());
        sleep(minutes(2)).await;
        assert_eq!(ready(&get(&estate, "team", "heir").await), "Conflict");
        // Somebody takes the finalizer off by hand: what it owned stays in ZITADEL.
        let bare = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        let projects = estate.api("Project", "shut");
        projects.patch("shut-0", &PatchParams::default(), &bare).await.expect("a patch");
        projects.delete("shut-0", &Default::default()).await.expect("deleted");
        sleep(minutes(30)).await;
        assert_eq!(ready(&get(&estate, "team", "heir").await), "Available");
    });
}
