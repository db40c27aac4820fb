//! `x-zitadel-orgid` lost on the way: ZITADEL acts on the organization of the user then, which nobody may take for the
//! one that was meant.

use serde_json::{Value, json};
use support::zitadel::{InjectedFault, Request, State};
use zitadel_operator::api::annotation::{ID, RECONCILE_REQUESTED_AT};

use crate::deed::Deed::Wait;
use crate::rules::{LATER, SOON, does, project, reason, rule};
use crate::world::{CONNECTION, World};

/// Which requests lose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Always,
    EverySecond,
    Writes,
    Reads,
}

impl Loss {
    const ALL: [Self; 4] = [Self::Always, Self::EverySecond, Self::Writes, Self::Reads];

    pub fn fault(self) -> InjectedFault {
        let lost = InjectedFault::lose_organization();
        match self {
            Self::Always => lost,
            Self::EverySecond => lost.every(2),
            Self::Writes => lost.when(|call| !is_read(call)),
            Self::Reads => lost.when(is_read),
        }
    }
}

fn is_read(call: &Request) -> bool {
    call.method == "GET" || call.path.ends_with("_search")
}

/// Writes that reached the organization of the user instead.
pub fn astray(world: &World) -> usize {
    let home_organization = world.zitadel.default_organization();
    let by_path = |call: &Request| call.path.contains("/orgs/") && !call.path.contains("/orgs/me");
    let elsewhere = |call: &Request| call.organization.as_ref() != Some(&home_organization);
    let writes = world.zitadel.ledger().writes().into_iter();
    writes
        .filter(|call| call.strayed && elsewhere(call) && !by_path(call) && !call.path.contains("/features/"))
        .count()
}

/// A resource that uses the header, how it is made, and whether ZITADEL is as it wants.
struct Case {
    kind: &'static str,
    name: &'static str,
    spec: Value,
    /// Another spec, once the first is as specified.
    then: Value,
}

fn cases() -> Vec<Case> {
    let case = |kind, name, spec, then| Case { kind, name, spec, then };
    let policy = |validate: bool| {
        json!({
            "userLoginMustBeDomain": false, "validateOrgDomains": validate,
            "smtpSenderAddressMatchesInstanceDomain": true,
        })
    };
    vec![
        case("Organization", "renamed", json!({ "name": "renamed" }), json!({ "name": "again" })),
        case(
            "Organization",
            "inactive",
            json!({ "name": "shop", "state": "Inactive" }),
            json!({ "name": "shop" }),
        ),
        case("Project", "web", json!({}), json!({ "projectRoleCheck": true })),
        case(
            "OrgMetadata",
            "one",
            json!({ "entries": [{ "key": "tier", "value": "gold" }] }),
            json!({ "entries": [{ "key": "tier", "value": "lead" }] }),
        ),
        case(
            "OrgMetadata",
            "two",
            json!({ "entries": [{ "key": "tier", "value": "gold" }, { "key": "size", "value": "xl" }] }),
            json!({ "entries": [{ "key": "tier", "value": "gold" }] }),
        ),
        case("OrgDomainPolicy", "policy", policy(true), policy(false)),
        case(
            "OrgFeatures",
            "flags",
            json!({ "features": { "userSchema": true } }),
            json!({ "features": { "userSchema": false } }),
        ),
    ]
}

impl Case {
    async fn apply(&self, world: &World, spec: &Value) {
        let shop = world
            .zitadel
            .organizations()
            .into_iter()
            .find(|o| ["shop", "renamed", "again"].contains(&o.name.as_str()));
        let annotations = match (self.kind, shop) {
            ("Organization", Some(shop)) => json!({ ID: shop.id }),
            _ => json!({}),
        };
        world.apply_annotated(self.kind, self.name, annotations, spec.clone()).await;
        tokio::time::sleep(LATER).await;
    }

    /// Is ZITADEL as this spec wants it?
    fn is_so(&self, world: &World, spec: &Value, shop: &str) -> bool {
        let organization = world.zitadel.organization(shop);
        match self.kind {
            "Organization" => organization.is_some_and(|organization| {
                let state = if spec["state"] == "Inactive" { State::Inactive } else { State::Active };
                spec["name"] == organization.name && organization.state == state
            }),
            "Project" => world.zitadel.projects(&world.acme).iter().any(|project| {
                project.settings.name == "web"
                    && spec["projectRoleCheck"].as_bool().unwrap_or_default()
                        == project.settings.project_role_check
            }),
            "OrgMetadata" => {
                let entries = spec["entries"].as_array().cloned().unwrap_or_default();
                let there = world.zitadel.metadata(&world.acme);
                let is_there = |entry: &Value| {
                    let key = entry["key"].as_str().unwrap_or_default();
                    there.get(key).is_some_and(|found| {
                        found.value == entry["value"].as_str().unwrap_or_default().as_bytes()
                    })
                };
                entries.iter().all(is_there) && there.len() == entries.len() + 1
            }
            "OrgDomainPolicy" => world
                .zitadel
                .domain_policy(&world.acme)
                .is_some_and(|policy| spec["validateOrgDomains"] == policy.settings.validate_org_domains),
            _ => world.zitadel.features(&world.acme).is_some(),
        }
    }

    /// What must hold however long it goes on.
    async fn check(&self, world: &World, loss: Loss, spec: &Value, shop: &str) -> String {
        let reported = reason(world, self.kind, self.name).await;
        let label = format!("{} {} {loss:?} {spec}: {reported}", self.kind, self.name);
        let most = usize::from(matches!(loss, Loss::Writes | Loss::EverySecond));
        assert!(astray(world) <= most, "{label}: {} writes went astray", astray(world));
        assert!(reported != "Available" || self.is_so(world, spec, shop), "{label}, and ZITADEL is not so");
        if astray(world) > 0 {
            assert_eq!(reported, "Unavailable", "{label}: what went astray is told");
        }
        reported
    }
}

fn with_a_shop(run: impl AsyncFnOnce(&World, &str)) {
    rule(async |world| {
        let shop = world.zitadel.add_organization("shop");
        run(world, &shop).await;
    });
}

/// A person says that the header arrives again.
pub async fn repaired(world: &World) {
    let now = world.zitadel.now().to_string();
    world.annotate("Connection", CONNECTION, RECONCILE_REQUESTED_AT, json!(now)).await;
}

/// The home organization as it was before a write went there.
fn cleaned(world: &World) {
    let home_organization = world.zitadel.default_organization();
    let found = world.zitadel.organization(&home_organization).expect("the default organization");
    if found.name != "ZITADEL" {
        world.zitadel.rename_organization(&home_organization, "ZITADEL");
    }
    for project in world.zitadel.projects(&home_organization) {
        world.zitadel.delete_project(&project.id);
    }
    if found.state != State::Active {
        world.zitadel.set_organization_state(&home_organization, State::Active);
    }
}

#[test]
fn a_header_that_never_arrives_lets_no_write_go_astray_and_nothing_be_available() {
    for case in cases() {
        for loss in Loss::ALL {
            with_a_shop(async |world, shop| {
                let lost = world.zitadel.inject(loss.fault());
                case.apply(world, &case.spec).await;
                let reported = case.check(world, loss, &case.spec, shop).await;
                let mark = world.zitadel.ledger().mark();
                tokio::time::sleep(LATER).await;
                case.check(world, loss, &case.spec, shop).await;
                if reported == "Unavailable" {
                    assert_eq!(reason(world, "Connection", CONNECTION).await, "Unavailable");
                    let sent = world
                        .zitadel
                        .ledger()
                        .since(mark)
                        .into_iter()
                        .filter(|call| call.organization.is_some());
                    let sent: Vec<_> =
                        sent.filter(|call| call.path != "/management/v1/orgs/me" || !is_read(call)).collect();
                    assert!(sent.is_empty(), "{} {loss:?}: {sent:?}", case.kind);
                }
                lost.remove();
                cleaned(world);
                repaired(world).await;
                tokio::time::sleep(LATER).await;
                let label = format!("{} {loss:?}", case.kind);
                assert_eq!(reason(world, "Connection", CONNECTION).await, "Available", "{label}");
                assert_eq!(reason(world, case.kind, case.name).await, "Available", "{label}");
                assert!(case.is_so(world, &case.spec, shop), "{label}");
            });
        }
    }
}

#[test]
fn a_header_that_stops_arriving_is_noticed_before_anything_is_said_to_be_available() {
    for case in cases() {
        for loss in Loss::ALL {
            with_a_shop(async |world, shop| {
                case.apply(world, &case.spec).await;
                assert_eq!(reason(world, case.kind, case.name).await, "Available");
                let _lost = world.zitadel.inject(loss.fault());
                case.apply(world, &case.then).await;
                case.check(world, loss, &case.then, shop).await;
                world.delete(case.kind, case.name).await;
                tokio::time::sleep(LATER).await;
                assert!(astray(world) <= 1, "{} {loss:?}", case.kind);
            });
        }
    }
}

#[test]
fn of_many_first_writes_one_goes_astray() {
    rule(async |world| {
        let _lost = world.zitadel.inject(Loss::Writes.fault());
        for name in ["a", "b", "c", "d", "e", "f"] {
            world.apply("Project", name, json!({})).await;
        }
        does(world, [Wait(LATER)]).await;
        assert_eq!(astray(world), 1);
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(reason(world, "Project", name).await, "Unavailable", "{name}");
        }
    });
}

#[test]
fn what_is_read_of_the_wrong_organization_is_no_absence() {
    rule(async |world| {
        world.zitadel.configure(|behaviour| behaviour.reads_foreign_projects = false);
        does(world, [project("web", json!({}))]).await;
        let _lost = world.zitadel.inject(Loss::Reads.fault());
        world.delete("Project", "web").await;
        tokio::time::sleep(LATER).await;
        assert!(!world.get("Project", "web").await.is_null(), "let go while it is there");
        assert_eq!(reason(world, "Project", "web").await, "DeletionBlocked");
    });
}

/// The answer to its write names the instance, not the organization that went.
#[test]
fn no_organization_is_removed_in_place_of_another() {
    with_a_shop(async |world, shop| {
        let owner = world.zitadel.create_user(&world.acme, "owner", &["ORG_OWNER"]);
        world.zitadel.set_roles(&owner.user, shop, &["ORG_OWNER"]);
        world.store_token(&owner.token).await;
        let spec = json!({ "deletionPolicy": "Delete" });
        world.apply_annotated("Organization", "shop", json!({ ID: shop }), spec).await;
        does(world, [Wait(LATER)]).await;
        assert_eq!(reason(world, "Organization", "shop").await, "Available");
        let lost = world.zitadel.inject(Loss::Writes.fault());
        world.delete("Organization", "shop").await;
        tokio::time::sleep(LATER).await;
        for id in [shop, &world.acme] {
            assert_eq!(world.zitadel.organization(id).unwrap().state, State::Active);
        }
        assert_eq!(reason(world, "Organization", "shop").await, "DeletionBlocked");
        lost.remove();
        repaired(world).await;
        tokio::time::sleep(LATER).await;
        assert_eq!(world.zitadel.organization(shop).unwrap().state, State::Removed);
    });
}

#[test]
fn the_message_names_the_header_and_no_organization() {
    with_a_shop(async |world, _| {
        let _lost = world.zitadel.inject(Loss::Always.fault());
        does(world, [Wait(SOON), project("web", json!({})), Wait(LATER)]).await;
        let home_organization = world.zitadel.default_organization();
        for (kind, name) in [("Project", "web"), ("Connection", CONNECTION)] {
            let status = world.get(kind, name).await["status"]["conditions"].to_string();
            assert!(status.contains("x-zitadel-orgid"), "{status}");
            assert!(!status.contains(&home_organization), "{status}");
        }
    });
}
