//! What may be disturbed at any point: for each kind, everything that can happen to a resource.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deed::Deed::{self, *};
use crate::rows::{Identity, Row, merged, row, rows};
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
    let of_every_kind = rows().into_iter().flat_map(|row| of_row(&row)).collect();
    [of_every_kind, projects(), roles(), organizations(), metadata()].concat()
}

/// What can happen to a resource of any kind.
fn of_row(row: &Row) -> Vec<Scenario> {
    // The oracle tells whose a project is by its name.
    let (kind, name) = (row.kind, row.resource);
    let deleting = row.deleting();
    let (first_of_all, selector) = belonging(row);
    let placed = row.placed("", "", name);
    let spec = |second: &[&str], more: Value| merged(merged(placed.spec(second), &more), &selector);
    let all = row.names();
    let apply = |second: &[&str], more: Value| Apply(kind, name.into(), spec(second, more).into());
    let first = || apply(&[], deleting.clone());
    let delete = || Delete(kind, name.into());
    let edit =
        all.iter().map(|field| Change(kind, name.into(), field)).chain([inspect(kind, name)]).collect();
    let remove = vec![Remove(kind, name.into()), inspect(kind, name)];
    // Longer ago than a create can have been begun that is recovered.
    let there = || vec![Create(kind, name.into()), wait()];
    let s = |name, before, act| scenario(kind, name, [first_of_all.clone(), before].concat(), act);
    let mut scenarios = vec![
        s("create", vec![], vec![apply(&all, deleting.clone())]),
        s("change everything", vec![first()], vec![apply(&all, deleting.clone())]),
        s("delete", vec![first()], vec![delete()]),
        s("replace", vec![first()], vec![Replace(kind, name.into(), spec(&all, deleting.clone()).into())]),
        s("drift", vec![first()], edit),
    ];
    if row.identity != Identity::Always {
        scenarios.push(s("removed outside", vec![first()], remove.clone()));
    }
    match row.identity {
        Identity::Assigned => scenarios.extend([
            s("create and delete at once", vec![], vec![first(), pause(300), delete()]),
            s("retain", vec![apply(&[], json!({ "deletionPolicy": "Retain" }))], vec![delete()]),
            s("let go", vec![first()], vec![apply(&[], json!({ "managementPolicy": "Observe" }))]),
            s("import", there(), vec![Import(kind, "kept".into(), name, spec(&[], json!({})).into())]),
            s("adopt by name", there(), vec![apply(&[], json!({ "adoptionPolicy": "ByName" }))]),
            s("made again", [vec![first(), wait()], remove].concat(), vec![Recreate(kind, name.into())]),
        ]),
        Identity::Setting | Identity::Always | Identity::Keys => {
            scenarios.push(s("take over", there(), vec![first()]));
        }
    }
    scenarios
}

/// What there has to be first for a kind that belongs to another one, and how a spec says so.
fn belonging(of: &Row) -> (Vec<Deed>, Value) {
    let Some(parent) = of.parent.filter(|kind| *kind != "Organization") else { return (vec![], json!({})) };
    let parent = row(parent);
    let made =
        Apply(parent.kind, parent.resource.into(), parent.placed("", "", parent.resource).spec(&[]).into());
    let reference = json!({ parent.kind.to_lowercase(): { "ref": { "name": parent.resource } } });
    (vec![made, wait()], reference)
}

fn projects() -> Vec<Scenario> {
    let apply = |spec: Value| Apply("Project", "web".into(), spec.into());
    let (plain, named) = (|| apply(json!({})), |name: &str| apply(json!({ "name": name })));
    let import = |spec: Value| Import("Project", "kept".into(), "web", spec.into());
    let there = || vec![Create("Project", "web".into()), wait()];
    let s = |name, before, act| scenario("Project", name, before, act);
    vec![
        s("create and change at once", vec![], vec![plain(), pause(300), named("web~2")]),
        s("import and change", there(), vec![import(json!({ "name": "web~3", "projectRoleCheck": true }))]),
        s("observe", there(), vec![import(json!({ "name": "web", "managementPolicy": "Observe" }))]),
        s("new token", vec![plain()], vec![RotateToken, named("web~2")]),
    ]
}

fn roles() -> Vec<Scenario> {
    const KIND: &str = "ProjectRole";
    let project = || Apply("Project", "web".into(), json!({}).into());
    let spec = json!({ "project": { "ref": { "name": "web" } }, "group": "News" });
    let role = || Apply(KIND, "editor".into(), spec.clone().into());
    let s = |name, before, act| scenario(KIND, name, before, act);
    let removed = vec![Remove("Project", "web".into()), inspect("Project", "web")];
    vec![
        s("create before its project", vec![role()], vec![project()]),
        s(
            "create and delete at once",
            vec![project()],
            vec![role(), pause(300), Delete(KIND, "editor".into())],
        ),
        s(
            "follow the project that is made again",
            vec![project(), role(), wait()],
            [removed, vec![wait(), inspect(KIND, "editor")]].concat(),
        ),
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
    let s = |name, before, act| scenario("Organization", name, before, act);
    vec![
        s("create with a project in it", vec![], vec![within(), made()]),
        s(
            "delete with a project in it",
            vec![made(), within()],
            vec![delete(), Delete("Project", "web".into())],
        ),
        s("create and mark", vec![Share], vec![shared("Delete")]),
        s("retain the marked", vec![Share, shared("Retain")], vec![delete()]),
        s("restore the marked", vec![Share, shared("Retain"), wait()], vec![restore()]),
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
    let s = |name, before, act| scenario("OrgMetadata", name, before, act);
    vec![
        s("another key", vec![one()], vec![two()]),
        s("other keys", vec![two()], vec![entries(json!([{ "key": "new", "value": "1" }]))]),
        s("a value from a ConfigMap", vec![Store("eu".into())], vec![entries(json!([from_map.clone()]))]),
        s(
            "the ConfigMap changes",
            vec![Store("eu".into()), entries(json!([from_map]))],
            vec![Store("us".into())],
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
    ]
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
