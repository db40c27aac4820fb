//! What may be disturbed at any point: for each kind, everything that can happen to a resource.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deed::Deed::{self, *};
use crate::world::SHARED;

/// What happened before, and what is disturbed.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub kind: &'static str,
    pub name: &'static str,
    pub before: Vec<Deed>,
    pub act: Vec<Deed>,
}

fn scenario(kind: &'static str, name: &'static str, before: Vec<Deed>, act: Vec<Deed>) -> Scenario {
    Scenario { kind, name, before, act }
}

/// Every scenario of every kind.
pub fn scenarios() -> Vec<Scenario> {
    [projects(), organizations(), metadata(), domain_policies(), login_policies(), features()].concat()
}

fn projects() -> Vec<Scenario> {
    let apply = |spec: Value| Apply("Project", "web".into(), spec.into());
    let (plain, named) = (|| apply(json!({})), |name: &str| apply(json!({ "name": name })));
    let delete = || Delete("Project", "web".into());
    let import = |spec: Value| Import("Project", "kept".into(), "web", spec.into());
    let retained = || vec![apply(json!({ "deletionPolicy": "Retain" })), wait(), delete(), wait()];
    let s = |name, before, act| scenario("Project", name, before, act);
    vec![
        s("create", vec![], vec![plain()]),
        s("create with every field", vec![], vec![apply(everything())]),
        s("create and change at once", vec![], vec![plain(), pause(300), named("web~2")]),
        s("create and delete at once", vec![], vec![plain(), pause(300), delete()]),
        s("update", vec![plain()], vec![apply(json!({ "projectRoleCheck": true }))]),
        s("deactivate", vec![plain()], vec![apply(json!({ "state": "Inactive" }))]),
        s("rename", vec![plain()], vec![named("web~2")]),
        s("rename and everything else", vec![plain()], vec![apply(everything())]),
        s("delete", vec![plain()], vec![delete()]),
        s("retain", vec![apply(json!({ "deletionPolicy": "Retain" }))], vec![delete()]),
        s("replace", vec![plain()], vec![Replace("Project", "web".into(), json!({}).into())]),
        s("import", retained(), vec![import(json!({ "name": "web" }))]),
        s(
            "import and change",
            retained(),
            vec![import(json!({ "name": "web~2", "projectRoleCheck": true }))],
        ),
        s("adopt by name", retained(), vec![apply(json!({ "adoptionPolicy": "ByName" }))]),
        s("observe", retained(), vec![import(json!({ "name": "web", "managementPolicy": "Observe" }))]),
        s("let go", vec![plain()], vec![apply(json!({ "managementPolicy": "Observe" }))]),
        s("drift", vec![plain()], vec![EditProject("web".into()), inspect("Project", "web")]),
        s("removed outside", vec![plain()], vec![RemoveProject("web".into()), inspect("Project", "web")]),
        s(
            "made again",
            vec![plain(), wait(), RemoveProject("web".into()), inspect("Project", "web")],
            vec![Recreate("Project", "web".into())],
        ),
        s("new token", vec![plain()], vec![RotateToken, named("web~2")]),
    ]
}

fn organizations() -> Vec<Scenario> {
    let apply = |spec: Value| Apply("Organization", "shop".into(), spec.into());
    let made = || apply(json!({ "deletionPolicy": "Delete" }));
    let shared = |policy: &str| {
        let connection = json!({ "kind": "ClusterConnection", "name": SHARED });
        apply(json!({ "deletionPolicy": policy, "connectionRef": connection }))
    };
    let restore = || Restore("Organization", "shop".into());
    let within =
        || Apply("Project", "web".into(), json!({ "organization": { "ref": { "name": "shop" } } }).into());
    let delete = || Delete("Organization", "shop".into());
    let import = || Import("Organization", "old".into(), "shop", json!({ "name": "shop" }).into());
    let s = |name, before, act| scenario("Organization", name, before, act);
    vec![
        s("create", vec![], vec![made()]),
        s("create with a project in it", vec![], vec![within(), made()]),
        s("rename", vec![made()], vec![apply(json!({ "deletionPolicy": "Delete", "name": "shop~2" }))]),
        s(
            "deactivate",
            vec![made()],
            vec![apply(json!({ "deletionPolicy": "Delete", "state": "Inactive" }))],
        ),
        s("delete", vec![made()], vec![delete()]),
        s(
            "delete with a project in it",
            vec![made(), within()],
            vec![delete(), Delete("Project", "web".into())],
        ),
        s("retain", vec![apply(json!({}))], vec![delete()]),
        s("import", vec![apply(json!({})), wait(), delete(), wait()], vec![import()]),
        s(
            "adopt by name",
            vec![apply(json!({})), wait(), delete(), wait()],
            vec![apply(json!({ "adoptionPolicy": "ByName" }))],
        ),
        s("create and mark", vec![Share], vec![shared("Delete")]),
        s("retain the marked", vec![Share, shared("Retain")], vec![delete()]),
        s("restore the marked", vec![Share, shared("Retain"), wait()], vec![restore()]),
        s("drift", vec![made()], vec![RenameOrganization("shop".into()), inspect("Organization", "shop")]),
        s(
            "removed outside",
            vec![made()],
            vec![RemoveOrganization("shop".into()), inspect("Organization", "shop")],
        ),
        s(
            "made again with a project in it",
            vec![
                made(),
                within(),
                wait(),
                RemoveOrganization("shop".into()),
                inspect("Organization", "shop"),
            ],
            vec![Recreate("Organization", "shop".into())],
        ),
    ]
}

fn metadata() -> Vec<Scenario> {
    let entries =
        |entries: Value| Apply("OrgMetadata", "labels".into(), json!({ "entries": entries }).into());
    let from_map =
        json!({ "key": "region", "valueFrom": { "configMapKeyRef": { "name": "site", "key": "region" } } });
    let two = || entries(json!([{ "key": "tier", "value": "gold" }, { "key": "a/b", "value": "1" }]));
    let one = || entries(json!([{ "key": "tier", "value": "silver" }]));
    let delete = || Delete("OrgMetadata", "labels".into());
    let s = |name, before, act| scenario("OrgMetadata", name, before, act);
    vec![
        s("create", vec![], vec![two()]),
        s("take over", vec![SetKey("tier", Some("bronze"))], vec![two()]),
        s("update", vec![two()], vec![one()]),
        s("another key", vec![one()], vec![two()]),
        s("other keys", vec![two()], vec![entries(json!([{ "key": "new", "value": "1" }]))]),
        s("a value from a ConfigMap", vec![Store("eu".into())], vec![entries(json!([from_map.clone()]))]),
        s(
            "the ConfigMap changes",
            vec![Store("eu".into()), entries(json!([from_map]))],
            vec![Store("us".into())],
        ),
        s("delete", vec![two()], vec![delete()]),
        s(
            "replace",
            vec![two()],
            vec![Replace(
                "OrgMetadata",
                "labels".into(),
                json!({ "entries": [{ "key": "tier", "value": "x" }] }).into(),
            )],
        ),
        s(
            "a key passes to another",
            vec![
                two(),
                wait(),
                Apply(
                    "OrgMetadata",
                    "more".into(),
                    json!({ "entries": [{ "key": "tier", "value": "x" }] }).into(),
                ),
            ],
            vec![entries(json!([{ "key": "a/b", "value": "1" }]))],
        ),
        s("drift", vec![two()], vec![SetKey("tier", Some("lead")), inspect("OrgMetadata", "labels")]),
        s("removed outside", vec![two()], vec![SetKey("tier", None), inspect("OrgMetadata", "labels")]),
    ]
}

fn domain_policies() -> Vec<Scenario> {
    let spec = |validate: bool| json!({ "userLoginMustBeDomain": false, "validateOrgDomains": validate, "smtpSenderAddressMatchesInstanceDomain": true });
    let apply = |validate: bool| Apply("OrgDomainPolicy", "acme".into(), spec(validate).into());
    let s = |name, before, act| scenario("OrgDomainPolicy", name, before, act);
    vec![
        s("create", vec![], vec![apply(true)]),
        s("update", vec![apply(true)], vec![apply(false)]),
        s("delete", vec![apply(true)], vec![Delete("OrgDomainPolicy", "acme".into())]),
        s("replace", vec![apply(true)], vec![Replace("OrgDomainPolicy", "acme".into(), spec(false).into())]),
        s("drift", vec![apply(true)], vec![EditPolicy(false), inspect("OrgDomainPolicy", "acme")]),
        s("removed outside", vec![apply(true)], vec![EditPolicy(true), inspect("OrgDomainPolicy", "acme")]),
    ]
}

fn login_policies() -> Vec<Scenario> {
    const KIND: &str = "OrgLoginPolicy";
    let spec =
        |factors: Value| json!({ "allowRegister": false, "secondFactors": factors, "multiFactors": [] });
    let apply = |factors| Apply(KIND, "acme".into(), spec(factors).into());
    let two = || apply(json!(["Otp", "U2F"]));
    let other =
        json!({ "forceMfa": true, "secondFactors": ["OtpSms"], "multiFactors": ["U2FWithVerification"] });
    let s = |name, before, act| scenario(KIND, name, before, act);
    vec![
        s("create", vec![], vec![two()]),
        s("update", vec![two()], vec![Apply(KIND, "acme".into(), other.into())]),
        s("delete", vec![two()], vec![Delete(KIND, "acme".into())]),
        s("replace", vec![two()], vec![Replace(KIND, "acme".into(), spec(json!([])).into())]),
        s("drift", vec![two()], vec![EditLogin(false), inspect(KIND, "acme")]),
        s("removed outside", vec![two()], vec![EditLogin(true), inspect(KIND, "acme")]),
    ]
}

fn features() -> Vec<Scenario> {
    let apply = |value: bool| {
        Apply("OrgFeatures", "acme".into(), json!({ "features": { "userSchema": value } }).into())
    };
    let s = |name, before, act| scenario("OrgFeatures", name, before, act);
    vec![
        s("create", vec![], vec![apply(true)]),
        s("update", vec![apply(true)], vec![apply(false)]),
        s("delete", vec![apply(true)], vec![Delete("OrgFeatures", "acme".into())]),
        s(
            "replace",
            vec![apply(true)],
            vec![Replace(
                "OrgFeatures",
                "acme".into(),
                json!({ "features": { "userSchema": false } }).into(),
            )],
        ),
    ]
}

fn everything() -> Value {
    json!({
        "name": "web~2", "state": "Inactive", "privateLabelingSetting": "EnforceProjectResourceOwnerPolicy",
        "projectRoleAssertion": true, "projectRoleCheck": true, "hasProjectCheck": true,
    })
}

/// Long enough for whatever the deeds before it bring about.
fn wait() -> Deed {
    Wait(Duration::from_secs(60))
}

fn pause(milliseconds: u64) -> Deed {
    Wait(Duration::from_millis(milliseconds))
}

/// Has a resource looked at now, as `kubectl annotate` can.
fn inspect(kind: &'static str, name: &str) -> Deed {
    Annotate(kind, name.into(), zitadel_operator::api::annotation::RECONCILE_REQUESTED_AT, Some("now".into()))
}
