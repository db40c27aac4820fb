//! What the end must be, said outright. Other tests compare one run with another, and a defect may change both.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, Failure, InjectedFault, State};
use zitadel_operator::api::annotation::PAUSED;

use crate::crash::behaviour;
use crate::deed::Deed::{self, *};
use crate::line::Side;
use crate::world::{CONNECTION, World, simulate};

/// Long enough for whatever was done to have its effect without a resync.
pub const SOON: Duration = Duration::from_secs(10);

/// The same with a resync, and with two of the slowest retries.
pub const LATER: Duration = Duration::from_secs(25 * 60);

/// A world whose operator runs and has nothing to do.
pub fn rule(run: impl AsyncFnOnce(&World)) {
    in_a_world(behaviour(), async |world| {
        world.start();
        run(world).await;
    });
}

pub fn in_a_world(behaviour: Behaviour, run: impl AsyncFnOnce(&World)) {
    simulate(1, behaviour, async |world: World| {
        run(&world).await;
        assert_eq!(world.oracle.broken(), [""; 0]);
    });
}

pub async fn does(world: &World, deeds: impl IntoIterator<Item = Deed>) {
    for deed in deeds {
        deed.run(world).await;
    }
    tokio::time::sleep(SOON).await;
}

pub fn project(name: &str, spec: Value) -> Deed {
    Apply("Project", name.into(), spec.into())
}

pub fn metadata(name: &str, entries: &Value) -> Deed {
    Apply("OrgMetadata", name.into(), json!({ "entries": entries }).into())
}

pub async fn reason(world: &World, kind: &str, name: &str) -> String {
    let resource = world.get(kind, name).await;
    let conditions = resource["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
    ready.unwrap_or_default()["reason"].as_str().unwrap_or_default().to_owned()
}

/// The names of the projects of the connection's organization.
pub fn projects(world: &World) -> Vec<String> {
    let mut names: Vec<String> =
        world.zitadel.projects(&world.acme).into_iter().map(|project| project.settings.name).collect();
    names.sort_unstable();
    names
}

fn keys(world: &World) -> Vec<String> {
    world.zitadel.metadata(&world.acme).into_keys().collect()
}

/// Crashes after each write of what follows from these deeds, and has the end looked at.
pub fn crashing_after_every_write(
    behaviour: &Behaviour,
    before: &[Deed],
    deeds: &[Deed],
    while_down: &[Deed],
    end: &impl AsyncFn(&World),
) {
    let mut crashes = 0;
    for number in 0.. {
        let mut crashed = false;
        in_a_world(behaviour.clone(), async |world| {
            world.start();
            does(world, before.to_vec()).await;
            let line = world.line();
            line.trap(Side::After, number);
            let acting = does(world, deeds.to_vec());
            crashed = tokio::select! {
                biased;
                () = line.trapped() => true,
                () = acting => false,
            };
            world.crash().await;
            for deed in while_down {
                deed.run(world).await;
            }
            world.start();
            tokio::time::sleep(Duration::from_secs(180)).await;
            end(world).await;
        });
        if !crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 1, "{crashes} crashes");
}

#[test]
fn a_create_makes_one_project_whatever_was_lost() {
    crashing_after_every_write(&behaviour(), &[], &[project("web", json!({}))], &[], &async |world| {
        assert_eq!(projects(world), ["legacy", "web"]);
        assert_eq!(reason(world, "Project", "web").await, "Available");
        let web = world.get("Project", "web").await;
        assert_eq!(web["status"]["origin"], "Created");
        assert_eq!(web["status"]["pendingCreate"], Value::Null);
    });
}

#[test]
fn a_create_that_is_deleted_meanwhile_leaves_nothing() {
    let lagging = behaviour().lagging(Duration::from_secs(12));
    let delete = [Delete("Project", "web".into())];
    crashing_after_every_write(&lagging, &[], &[project("web", json!({}))], &delete, &async |world| {
        assert_eq!(world.get("Project", "web").await, Value::Null);
        assert_eq!(projects(world), ["legacy"]);
    });
}

#[test]
fn a_list_that_fails_is_not_an_empty_one() {
    rule(async |world| {
        let lost =
            InjectedFault::hold_after_commit().on(Method::POST).path("/management/v1/projects").times(1);
        world.zitadel.inject(lost);
        project("web", json!({})).run(world).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.crash().await;
        assert_eq!(projects(world), ["legacy", "web"]);
        let searches = |request: &support::zitadel::Request| request.path.ends_with("projects/_search");
        let failing =
            world.zitadel.inject(InjectedFault::failure(&Failure::bare(13, "no list")).when(searches));
        world.start();
        does(world, [Delete("Project", "web".into())]).await;
        tokio::time::sleep(LATER).await;
        assert_ne!(world.get("Project", "web").await, Value::Null);
        failing.remove();
        tokio::time::sleep(LATER).await;
        assert_eq!(world.get("Project", "web").await, Value::Null);
        assert_eq!(projects(world), ["legacy"]);
    });
}

#[test]
fn nothing_is_let_go_or_told_to_be_gone_while_zitadel_cannot_tell() {
    let answers = [
        InjectedFault::drop_before as fn() -> InjectedFault,
        InjectedFault::unavailable,
        || InjectedFault::failure(&Failure::of("AUTHZ-cdgFk")),
        || InjectedFault::failure(&Failure::of("AUTH-5mWD2")),
        InjectedFault::html,
        || InjectedFault::unavailable().on(Method::GET).path("/management/v1/projects/"),
    ];
    for answer in answers {
        rule(async |world| {
            does(world, [project("web", json!({})), project("old", json!({}))]).await;
            let outage = world.zitadel.inject(answer());
            let rename = project("web", json!({ "name": "web~2" }));
            does(world, [Delete("Project", "old".into()), rename]).await;
            tokio::time::sleep(LATER).await;
            assert_ne!(world.get("Project", "old").await, Value::Null);
            outage.remove();
            assert_eq!(projects(world), ["legacy", "old", "web"]);
            tokio::time::sleep(LATER).await;
            assert_eq!(world.get("Project", "old").await, Value::Null);
            assert_eq!(projects(world), ["legacy", "web~2"]);
            assert_eq!(reason(world, "Project", "web").await, "Available");
        });
    }
}

#[test]
fn another_instance_is_written_to_by_nobody() {
    rule(async |world| {
        does(world, [project("web", json!({})), project("old", json!({}))]).await;
        world.zitadel.replace_instance();
        let mark = world.zitadel.ledger().mark();
        does(world, [Delete("Project", "old".into()), project("web", json!({ "name": "web~2" }))]).await;
        tokio::time::sleep(LATER).await;
        assert!(world.zitadel.ledger().since(mark).iter().all(|call| call.committed == 0));
        for name in ["web", "old"] {
            assert_eq!(reason(world, "Project", name).await, "InstanceChanged");
        }
        world.zitadel.restore_instance();
        tokio::time::sleep(LATER).await;
        assert_eq!(projects(world), ["legacy", "web~2"]);
        assert_eq!(world.get("Project", "old").await, Value::Null);
    });
}

#[test]
fn what_was_retained_is_there_and_what_is_paused_is_left() {
    rule(async |world| {
        let kept = project("kept", json!({ "deletionPolicy": "Retain" }));
        does(world, [project("web", json!({})), kept]).await;
        does(world, [Annotate("Project", "web".into(), PAUSED, Some("true".into()))]).await;
        let mark = world.zitadel.ledger().mark();
        does(world, [project("web", json!({ "name": "web~2" })), Delete("Project", "kept".into())]).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(projects(world), ["kept", "legacy", "web"]);
        assert!(world.zitadel.ledger().since(mark).iter().all(|call| call.committed == 0));
    });
}

#[test]
fn drift_is_reverted_within_a_resync() {
    rule(async |world| {
        let tier = json!([{ "key": "tier", "value": "gold" }]);
        does(world, [project("web", json!({})), metadata("labels", &tier)]).await;
        does(world, [EditProject("web".into()), SetKey("tier", Some("lead"))]).await;
        tokio::time::sleep(Duration::from_secs(11 * 60)).await;
        let web = world.zitadel.projects(&world.acme).into_iter().find(|p| p.settings.name == "web");
        assert!(!web.unwrap().settings.project_role_assertion);
        assert_eq!(world.zitadel.metadata(&world.acme)["tier"].value, b"gold");
    });
}

#[test]
fn an_organization_that_somebody_removed_stays_gone() {
    rule(async |world| {
        let shop = Apply("Organization", "shop".into(), json!({}).into());
        does(world, [shop, Wait(SOON), RemoveOrganization("shop".into())]).await;
        world.crash().await;
        world.start();
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Organization", "shop").await, "NotFound");
        let shops = world.zitadel.organizations().into_iter().filter(|o| o.name == "shop");
        assert!(shops.into_iter().all(|shop| shop.state == State::Removed));
    });
}

#[test]
fn keys_that_left_the_spec_are_removed_and_others_are_not() {
    let two = json!([{ "key": "tier", "value": "gold" }, { "key": "a/b", "value": "1" }]);
    let one = json!([{ "key": "new", "value": "1" }]);
    let (before, after) = ([metadata("labels", &two)], [metadata("labels", &one)]);
    crashing_after_every_write(&behaviour(), &before, &after, &[], &async |world| {
        assert_eq!(keys(world), ["new", "theirs"]);
        does(world, [Delete("OrgMetadata", "labels".into())]).await;
        assert_eq!(keys(world), ["theirs"]);
    });
}

#[test]
fn a_setting_that_was_begun_is_the_resources_own() {
    let policy = json!({
        "userLoginMustBeDomain": false, "validateOrgDomains": true, "smtpSenderAddressMatchesInstanceDomain": true,
    });
    let apply = [Apply("OrgDomainPolicy", "acme".into(), policy.into())];
    crashing_after_every_write(&behaviour(), &[], &apply, &[], &async |world| {
        assert_eq!(world.get("OrgDomainPolicy", "acme").await["status"]["origin"], "Created");
        assert_eq!(reason(world, "OrgDomainPolicy", "acme").await, "Available");
    });
}

#[test]
fn what_is_in_sync_is_not_written_to() {
    rule(async |world| {
        let tier = json!([{ "key": "tier", "value": "gold" }]);
        does(world, [project("web", json!({})), metadata("labels", &tier)]).await;
        assert_eq!(reason(world, "OrgMetadata", "labels").await, "Available");
        let line = world.line();
        line.trap(Side::After, 0);
        // Also a write that the API server does not count, as it changes nothing.
        let written = tokio::time::timeout(LATER, line.trapped()).await;
        assert!(written.is_err(), "a write was sent");
    });
}

#[test]
fn what_holds_people_or_was_there_before_is_kept_by_default() {
    rule(async |world| {
        world.zitadel.create_project(&world.acme, "kept");
        let import = Import("Project", "kept".into(), "kept", json!({}).into());
        let shop = || Apply("Organization", "shop".into(), json!({}).into());
        does(world, [import, shop(), Wait(SOON)]).await;
        does(world, [Delete("Project", "kept".into()), Delete("Organization", "shop".into())]).await;
        assert_eq!(world.get("Project", "kept").await, Value::Null);
        assert_eq!(world.get("Organization", "shop").await, Value::Null);
        assert_eq!(projects(world), ["kept", "legacy"]);
        let organizations = world.zitadel.organizations();
        assert!(organizations.iter().any(|o| o.name == "shop" && o.state == State::Active));
    });
}

#[test]
fn an_organization_outlives_those_who_live_in_it() {
    rule(async |world| {
        let shop = Apply("Organization", "shop".into(), json!({ "deletionPolicy": "Delete" }).into());
        let within = project("web", json!({ "organization": { "ref": { "name": "shop" } } }));
        does(world, [shop, within, Wait(SOON), Delete("Organization", "shop".into())]).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Organization", "shop").await, "DeletionBlocked");
        let shops = || world.zitadel.organizations().into_iter().filter(|o| o.name == "shop");
        assert!(shops().all(|shop| shop.state == State::Active));
        does(world, [Delete("Project", "web".into())]).await;
        assert_eq!(world.get("Organization", "shop").await, Value::Null);
        assert!(shops().all(|shop| shop.state == State::Removed));
    });
}

#[test]
fn an_unfinished_create_waits_for_its_instance() {
    rule(async |world| {
        let lost =
            InjectedFault::hold_after_commit().on(Method::POST).path("/management/v1/projects").times(1);
        let lost = world.zitadel.inject(lost);
        project("web", json!({})).run(world).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.crash().await;
        lost.remove();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.zitadel.replace_instance();
        let mark = world.zitadel.ledger().mark();
        world.start();
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Project", "web").await, "InstanceChanged");
        assert!(world.zitadel.ledger().since(mark).iter().all(|call| call.committed == 0));
        world.zitadel.restore_instance();
        tokio::time::sleep(LATER).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
        assert_eq!(projects(world), ["legacy", "web"]);
    });
}

#[test]
fn what_names_no_organization_goes_where_the_user_of_today_is() {
    rule(async |world| {
        let globex = world.zitadel.add_organization("globex");
        let user =
            |organization: &str| world.zitadel.create_user(organization, "robot", &["ORG_OWNER"]).token;
        world.store_token(&user(&world.acme)).await;
        let mut connection = world.connection();
        connection.as_object_mut().unwrap().remove("defaultOrganization");
        world.apply("Connection", CONNECTION, connection).await;
        does(world, [project("web", json!({}))]).await;
        assert_eq!(projects(world), ["legacy", "web"]);
        world.store_token(&user(&globex)).await;
        does(world, [Wait(SOON), project("late", json!({}))]).await;
        assert_eq!(reason(world, "Project", "late").await, "Available");
        assert_eq!(projects(world), ["legacy", "web"]);
        assert_eq!(world.zitadel.projects(&globex).len(), 1);
    });
}
