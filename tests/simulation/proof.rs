//! Only what was said counts, and only where it was seen.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};
use support::zitadel::Behaviour;

use crate::crash::behaviour;
use crate::deed::Deed::Delete;
use crate::estate::{Estate, estate, shared};
use crate::rules::{crashing_after_every_write, does, in_a_world, project, projects, reason};
use crate::world::World;

/// A server whose `Date` is off by this from what dates its objects.
fn skewed(seconds: i64) -> Behaviour {
    Behaviour { date_skew: SignedDuration::from_secs(seconds), ..behaviour() }
}

#[test]
fn a_create_makes_one_project_and_keeps_it_where_the_clocks_are_apart() {
    for seconds in [-50, 50] {
        crashing_after_every_write(
            &skewed(seconds),
            &[],
            &[project("web", json!({}))],
            &[],
            &async |world| {
                assert_eq!(projects(world), ["legacy", "web"]);
                assert_eq!(reason(world, "Project", "web").await, "Available", "off by {seconds} s");
            },
        );
    }
}

#[test]
fn a_create_that_is_deleted_meanwhile_leaves_nothing_where_the_clocks_are_apart() {
    let delete = [Delete("Project", "web".into())];
    for seconds in [-50, 50] {
        crashing_after_every_write(
            &skewed(seconds),
            &[],
            &[project("web", json!({}))],
            &delete,
            &async |world| {
                assert_eq!(world.get("Project", "web").await, Value::Null);
                assert_eq!(projects(world), ["legacy"], "off by {seconds} s");
            },
        );
    }
}

/// Answers each write of a status of this kind with 404, though the resource is there.
struct Denying(&'static str);

impl Faults for Denying {
    fn before(&self, call: &Call) -> FaultDecision {
        match call.verb == Verb::Patch && call.resource == self.0 && call.subresource == "status" {
            true => FaultDecision::Fail(Failure::new(404, "NotFound", "no such thing")),
            false => FaultDecision::Go,
        }
    }
}

#[test]
fn a_setting_whose_bond_was_not_recorded_is_not_written() {
    in_a_world(behaviour(), async |world: &World| {
        world.cluster.set_faults(Denying("orgmetadata"));
        world.start();
        let entries = json!({ "entries": [{ "key": "tier", "value": "gold" }] });
        world.apply("OrgMetadata", "labels", entries).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!world.zitadel.metadata(&world.acme).contains_key("tier"));
        world.cluster.clear_faults();
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(reason(world, "OrgMetadata", "labels").await, "Available");
        does(world, [Delete("OrgMetadata", "labels".into())]).await;
        assert!(!world.zitadel.metadata(&world.acme).contains_key("tier"));
    });
}

/// Two namespaces name the same organization; what each of their settings says of itself.
async fn said_of(estate: &Estate, id: &str) -> Vec<Value> {
    let policy = json!({
        "userLoginMustBeDomain": false, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": false,
    });
    let entries = json!({ "entries": [{ "key": "tier", "value": "gold" }] });
    let features = json!({ "features": { "loginDefaultOrg": true } });
    let settings = [("OrgDomainPolicy", policy), ("OrgMetadata", entries), ("OrgFeatures", features)];
    for namespace in ["red", "blue"] {
        estate.cluster.add_namespace(namespace);
        for (kind, mut spec) in settings.clone() {
            (spec["connectionRef"], spec["organization"]) = (shared("shared"), json!({ "id": id }));
            estate.apply(kind, namespace, "own", spec).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let mut said = Vec::new();
    for (kind, _) in settings {
        for namespace in ["red", "blue"] {
            let object = estate.api(kind, namespace).get("own").await.expect("it is there");
            said.push(object.data["status"]["conditions"][0]["reason"].clone());
        }
    }
    said
}

#[test]
fn a_setting_of_an_organization_that_is_not_there_holds_up_nobody() {
    estate(1, async |mut estate: Estate| {
        let instance = estate.instance("one.example");
        instance.double.configure(|known| *known = behaviour());
        estate.cluster_connection("shared", &instance, (1000, 1000)).await;
        let all = json!([{
            "namespaceSelector": {}, "organizations": [{ "all": true }], "kinds": ["OrgDomainPolicy"],
        }]);
        estate.share("shared", &instance, all).await;
        estate.start();
        assert_eq!(said_of(&estate, "404").await, ["NotFound"; 6]);
    });
}
