//! What nobody holds any more is free at once, whatever happened when it was given up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::kubernetes::{Call, Delivery, Faults, Verb};
use support::zitadel::InjectedFault;
use zitadel_operator::engine::decision::config::Config;

use crate::deed::Deed::*;
use crate::rules::{SOON, does, metadata, project, reason, rule};
use crate::world::{World, config};

const MOMENT: Duration = Duration::from_secs(5);

/// The first change of a project itself is made, and the answer is lost.
#[derive(Default)]
struct Unheard(AtomicBool);

impl Faults for Unheard {
    fn after(&self, call: &Call) -> Delivery {
        let ours = call.resource == "projects" && call.verb == Verb::Patch && call.subresource.is_empty();
        // The person's own are heard.
        match ours && call.manager.starts_with("zitadel-operator") && !self.0.swap(true, Ordering::SeqCst) {
            true => Delivery::Lose,
            false => Delivery::Deliver,
        }
    }
}

#[test]
fn what_goes_in_the_middle_of_its_create_holds_nothing() {
    rule(async |world| {
        let slow = InjectedFault::delay(MOMENT).on(Method::POST).path("/management/v1/projects");
        let slow = world.zitadel.inject(slow);
        world.apply("Project", "web", json!({})).await;
        tokio::time::sleep(MOMENT / 2).await;
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        world.api("Project").patch("web", &PatchParams::default(), &free).await.unwrap();
        world.delete("Project", "web").await;
        assert_eq!(world.get("Project", "web").await, Value::Null);
        tokio::time::sleep(SOON).await;
        slow.remove();
        let heir = json!({ "name": "web", "adoptionPolicy": "ByName" });
        does(world, [project("heir", heir)]).await;
        assert_eq!(reason(world, "Project", "heir").await, "Available");
    });
}

#[test]
fn who_only_observes_holds_nothing_even_if_the_end_of_managing_was_not_heard() {
    rule(async |world| {
        does(world, [project("web", json!({}))]).await;
        world.cluster.set_faults(Unheard::default());
        does(world, [project("web", json!({ "managementPolicy": "Observe" }))]).await;
        world.cluster.clear_faults();
        does(world, [Import("Project", "heir".into(), "web", json!({ "name": "web" }).into())]).await;
        assert_eq!(reason(world, "Project", "heir").await, "Available");
    });
}

#[test]
fn what_was_given_up_comes_back_as_anything_that_was_there_before() {
    rule(async |world| {
        let observes = project("web", json!({ "managementPolicy": "Observe" }));
        does(world, [project("web", json!({})), Wait(SOON), observes, Wait(SOON)]).await;
        assert_eq!(world.get("Project", "web").await["status"]["origin"], Value::Null);
        does(world, [project("web", json!({}))]).await;
        let status = world.get("Project", "web").await["status"].clone();
        assert_eq!((&status["origin"], &status["deletionPolicy"]), (&json!("Adopted"), &json!("Retain")));
    });
}

async fn of_our_team(world: &World, name: &str) {
    let label = Patch::Merge(json!({ "metadata": { "labels": { "team": "ours" } } }));
    world.api("OrgMetadata").patch(name, &PatchParams::default(), &label).await.unwrap();
}

#[test]
fn of_two_keys_that_others_have_the_one_that_is_given_up_is_taken() {
    rule(async |world| {
        let entries = |keys: &[&str]| {
            json!(keys.iter().map(|key| json!({ "key": key, "value": "x" })).collect::<Vec<_>>())
        };
        does(world, [metadata("foreign", &entries(&["a"]))]).await;
        world.stop().await;
        world.start_with(Config { label_selector: Some("team=ours".into()), ..config() });
        for (name, keys) in [("first", ["b", "c"].as_slice()), ("second", &["a", "b"])] {
            does(world, [metadata(name, &entries(keys))]).await;
            of_our_team(world, name).await;
            tokio::time::sleep(SOON).await;
        }
        assert_eq!(reason(world, "OrgMetadata", "second").await, "Conflict");
        does(world, [metadata("first", &entries(&["c"]))]).await;
        let second = world.get("OrgMetadata", "second").await;
        assert!(second["status"].to_string().contains("\"b\""), "{second}");
        assert!(world.zitadel.metadata(&world.acme).contains_key("b"));
    });
}
