//! A kind that the operator may not list holds up nothing but itself, and whoever has to wait for it is told.

use std::time::Duration;

use serde_json::{Value, json};
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};

use crate::crash::behaviour;
use crate::deed::Deed::{self, *};
use crate::rules::{LATER, SOON, does, in_a_world, project, projects, reason};
use crate::world::{CONNECTION, World};

/// Refuses the lists of one resource.
pub struct Unlisted(pub &'static str);

impl Faults for Unlisted {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.resource == self.0 && matches!(call.verb, Verb::List | Verb::Watch) {
            true => FaultDecision::Fail(Failure::new(403, "Forbidden", "may not be listed")),
            false => FaultDecision::Go,
        }
    }
}

fn without(resource: &'static str, run: impl AsyncFnOnce(&World)) {
    in_a_world(behaviour(), async |world| {
        world.cluster.set_faults(Unlisted(resource));
        world.start();
        run(world).await;
    });
}

fn shop() -> Deed {
    Apply("Organization", "shop".into(), json!({ "deletionPolicy": "Delete" }).into())
}

fn within() -> Deed {
    project("web", json!({ "organization": { "ref": { "name": "shop" } }, "deletionPolicy": "Delete" }))
}

/// How often a Secret was read in this time.
async fn reads(world: &World, span: Duration) -> usize {
    let count = || world.cluster.calls().iter().filter(|call| call.resource == "secrets").count();
    let before = count();
    tokio::time::sleep(span).await;
    count() - before
}

#[test]
fn a_reference_needs_the_organizations_alone() {
    without("orgfeatures", async |world| {
        does(world, [shop(), within()]).await;
        assert_eq!(reason(world, "Organization", "shop").await, "Available");
        assert_eq!(reason(world, "Project", "web").await, "Available");
        // What uses it keeps it, and does not have it looked at again and again.
        assert!(world.get("Connection", CONNECTION).await["metadata"]["finalizers"].is_array());
    });
}

#[test]
fn whoever_refers_to_what_cannot_be_listed_is_told_and_asks_ever_less() {
    without("organizations", async |world| {
        does(world, [project("other", json!({})), within(), Wait(SOON)]).await;
        assert_eq!(reason(world, "Project", "other").await, "Available");
        assert_eq!(reason(world, "Project", "web").await, "ReferenceNotReady");
        let reads = reads(world, LATER).await;
        assert!(reads < 200, "{reads} in {LATER:?}");
        world.cluster.clear_faults();
        does(world, [shop(), Wait(Duration::from_secs(60))]).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
    });
}

#[test]
fn an_organization_stays_while_it_is_not_known_who_lives_in_it() {
    in_a_world(behaviour(), async |world| {
        world.start();
        does(world, [shop(), within()]).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
        world.stop().await;
        world.cluster.set_faults(Unlisted("projects"));
        world.start();
        does(world, [Delete("Organization", "shop".into()), Wait(SOON)]).await;
        assert_eq!(reason(world, "Organization", "shop").await, "DeletionBlocked");
        world.cluster.clear_faults();
        does(world, [Delete("Project", "web".into()), Wait(Duration::from_secs(60))]).await;
        assert_eq!(world.get("Organization", "shop").await, Value::Null);
        assert_eq!(projects(world), ["legacy"]);
    });
}
