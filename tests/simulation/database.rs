//! ZITADEL is there and cannot answer, or answers what this version does not know.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{DATABASE, InjectedFault, Mark, State};
use zitadel_operator::api::annotation::RECONCILE_REQUESTED_AT;

use crate::crash::behaviour;
use crate::deed::Deed::{self, *};
use crate::rules::{LATER, does, in_a_world, metadata, project, projects, rule};
use crate::world::{CONNECTION, World, config, overheard};

/// One resource of each kind, and the connection.
const RESOURCES: [(&str, &str); 6] = [
    ("Connection", CONNECTION),
    ("Organization", "shop"),
    ("Project", "web"),
    ("OrgMetadata", "labels"),
    ("OrgDomainPolicy", "acme"),
    ("OrgFeatures", "acme"),
];

fn everything() -> [Deed; 5] {
    let policy = json!({
        "userLoginMustBeDomain": false, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": true,
    });
    [
        Apply("Organization", "shop".into(), json!({ "deletionPolicy": "Delete" }).into()),
        project("web", json!({})),
        metadata("labels", &json!([{ "key": "tier", "value": "gold" }])),
        Apply("OrgDomainPolicy", "acme".into(), policy.into()),
        Apply("OrgFeatures", "acme".into(), json!({ "features": { "userSchema": true } }).into()),
    ]
}

/// Status, reason and message of a condition.
async fn condition(world: &World, kind: &str, name: &str, condition: &str) -> [String; 3] {
    let resource = world.get(kind, name).await;
    let conditions = resource["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|found| found["type"] == condition).unwrap_or_default();
    ["status", "reason", "message"].map(|field| found[field].as_str().unwrap_or_default().to_owned())
}

/// What `Ready` and `Synced` of every resource are, shortly.
async fn reported(world: &World) -> Vec<String> {
    let mut reported = Vec::new();
    for (kind, name) in RESOURCES {
        let [ready, why, _] = condition(world, kind, name, "Ready").await;
        let [synced, reason, _] = condition(world, kind, name, "Synced").await;
        reported.push(format!("{kind} Ready={ready}/{why} Synced={synced}/{reason}"));
    }
    reported
}

fn all(ready: &str, synced: &str) -> Vec<String> {
    RESOURCES.iter().map(|(kind, _)| format!("{kind} Ready={ready} Synced={synced}")).collect()
}

/// Whether anything but reads, searches and log-ins arrived.
fn was_written_to(world: &World, mark: Mark) -> bool {
    let is_read = |path: &str| path.ends_with("_search") || path.ends_with("/token");
    world.zitadel.ledger().since(mark).iter().any(|call| call.method != Method::GET && !is_read(&call.path))
}

/// An outage of such answers, in which the operator is restarted, shows in `Ready` once it has lasted, and heals.
fn is_an_outage(answer: impl Fn() -> InjectedFault) {
    rule(async |world| {
        let canaries = world.oracle.canaries();
        let _log = overheard(canaries);
        for (what, name) in DATABASE {
            canaries.mark(what, name.as_bytes());
        }
        does(world, everything()).await;
        assert_eq!(reported(world).await, all("True/Available", "True/Available"));
        let (mark, outage) = (world.zitadel.ledger().mark(), world.zitadel.inject(answer()));
        tokio::time::sleep(config().outage_grace / 2).await;
        assert_eq!(reported(world).await, all("True/Available", "False/Unavailable"));
        world.crash().await;
        world.start();
        tokio::time::sleep(config().outage_grace / 4).await;
        assert_eq!(reported(world).await, all("True/Available", "False/Unavailable"));
        tokio::time::sleep(config().outage_grace).await;
        assert_eq!(reported(world).await, all("False/Unavailable", "False/Unavailable"));
        assert!(!was_written_to(world, mark));
        canaries.watch().inspect(format_args!("the metrics"), world.metrics().as_bytes());
        outage.remove();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(reported(world).await, all("True/Available", "True/Available"));
        assert!(!was_written_to(world, mark));
    });
}

#[test]
fn a_server_whose_database_is_gone_is_in_an_outage_and_tells_nothing_of_it() {
    is_an_outage(InjectedFault::database_gone);
}

#[test]
fn a_server_whose_database_fails_is_in_an_outage_and_tells_nothing_of_it() {
    is_an_outage(InjectedFault::database_fails);
}

#[test]
fn an_instance_that_answered_and_is_not_found_any_more_is_in_an_outage() {
    is_an_outage(|| {
        InjectedFault::answer(404).header("content-type", "text/plain").body("404 page not found")
    });
}

#[test]
fn a_database_that_is_gone_keeps_what_is_being_deleted() {
    rule(async |world| {
        does(world, everything()).await;
        let outage = world.zitadel.inject(InjectedFault::database_gone());
        for (kind, name) in &RESOURCES[1..] {
            Delete(kind, (*name).into()).run(world).await;
        }
        tokio::time::sleep(LATER).await;
        for (kind, name) in &RESOURCES[1..] {
            assert_ne!(world.get(kind, name).await, Value::Null, "{kind}");
        }
        outage.remove();
        tokio::time::sleep(LATER).await;
        for (kind, name) in &RESOURCES[1..] {
            assert_eq!(world.get(kind, name).await, Value::Null, "{kind}");
        }
    });
}

#[test]
fn lists_that_are_hours_behind_neither_make_a_second_object_nor_prove_an_absence() {
    in_a_world(behaviour().lagging(Duration::from_secs(3 * 3600)), async |world| {
        world.start();
        does(world, everything()).await;
        assert_eq!(reported(world).await, all("True/Available", "True/Available"));
        world.crash().await;
        world.start();
        does(world, [project("web", json!({ "name": "web~2" }))]).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reported(world).await, all("True/Available", "True/Available"));
        assert_eq!(projects(world), ["legacy", "web~2"]);
        for (kind, name) in &RESOURCES[1..] {
            Delete(kind, (*name).into()).run(world).await;
        }
        tokio::time::sleep(LATER).await;
        for (kind, name) in &RESOURCES[1..] {
            assert_eq!(world.get(kind, name).await, Value::Null, "{kind}");
        }
        assert_eq!(projects(world), ["legacy"]);
    });
}

/// A read of a single object, answered with this.
fn shown(path: &str, organization: &str, body: &Value) -> InjectedFault {
    let (path, organization) = (path.to_owned(), organization.to_owned());
    let answer = InjectedFault::answer(200).header("content-type", "application/json").body(body.to_string());
    answer.on(Method::GET).when(move |request| {
        request.path == path && request.organization.as_deref() == Some(organization.as_str())
    })
}

#[test]
fn a_state_of_a_later_version_is_no_absence_and_nothing_to_write_against() {
    rule(async |world| {
        does(world, everything()).await;
        let id = async |kind, name| world.get(kind, name).await["status"]["id"].as_str().unwrap().to_owned();
        let (shop, web) = (id("Organization", "shop").await, id("Project", "web").await);
        let org = json!({ "org": { "id": shop, "name": "shop", "state": "ORG_STATE_LOCKED" } });
        let details = json!({ "sequence": "99", "resourceOwner": world.acme });
        let locked = json!({ "id": web, "name": "web", "state": "PROJECT_STATE_LOCKED", "details": details });
        world.zitadel.inject(shown("/management/v1/orgs/me", &shop, &org));
        let path = format!("/management/v1/projects/{web}");
        world.zitadel.inject(shown(&path, &world.acme, &json!({ "project": locked })));
        let mark = world.zitadel.ledger().mark();
        let inspect = Annotate("Project", "web".into(), RECONCILE_REQUESTED_AT, Some("now".into()));
        does(world, [Delete("Organization", "shop".into()), inspect]).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!was_written_to(world, mark));
        let [ready, ..] = condition(world, "Project", "web", "Ready").await;
        assert_eq!(ready, "True");
        for (kind, name) in [("Organization", "shop"), ("Project", "web")] {
            let [_, reason, message] = condition(world, kind, name, "Synced").await;
            assert_eq!(reason, "Unavailable", "{kind}: {message}");
            assert!(message.contains("in a state that this version does not know"), "{message}");
        }
        world.zitadel.clear_faults();
        tokio::time::sleep(LATER).await;
        assert_eq!(world.get("Organization", "shop").await, Value::Null);
        assert_eq!(world.zitadel.organization(&shop).unwrap().state, State::Removed);
        assert_eq!(condition(world, "Project", "web", "Synced").await[1], "Available");
    });
}
