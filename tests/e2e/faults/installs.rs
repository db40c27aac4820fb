//! Another operator: the next version, or a second one at the same time.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::control_plane::AuditMark;
use support::zitadel::{Mark, OrganizationFeatures};
use zitadel_operator::engine::metrics::counters::Metrics;

use super::process::Process;
use crate::needs_double;
use crate::organization::ORGANIZATION;
use crate::organization_ref::{by_reference, every_kind, subjects};
use crate::subject::Subject;
use crate::waits::until_answered;
use crate::world::World;

/// A world with one resource of each kind, as an operator left it that is gone.
async fn left_behind() -> World {
    let mut world = World::without_operator().await;
    let implemented = OrganizationFeatures::Implemented;
    world.zitadel.configure(|behaviour| behaviour.organization_features = implemented);
    world.start_operator().await;
    world.subject(ORGANIZATION, "globex").apply(json!({})).await;
    for (subject, (_, spec)) in subjects(&world).into_iter().zip(every_kind()) {
        subject.apply(by_reference(spec)).await;
    }
    for subject in everything(&world) {
        subject.until_ready().await;
    }
    world.until_quiet().await;
    world.stop_operator().await;
    world
}

fn everything(world: &World) -> Vec<Subject<'_>> {
    subjects(world).into_iter().chain([world.subject(ORGANIZATION, "globex")]).collect()
}

/// The writes to this namespace of Kubernetes since the mark.
fn written(world: &World, mark: AuditMark) -> Vec<String> {
    let entries = world.control_plane.audit_since(mark).unwrap().into_iter();
    let here = entries.filter(|entry| entry.object_ref.namespace == world.namespace);
    here.map(|entry| format!("{} {}/{}", entry.verb, entry.object_ref.resource, entry.object_ref.name))
        .collect()
}

/// Waits until every resource was looked at in ZITADEL since the mark.
async fn until_observed(world: &World, mark: Mark) {
    let paths =
        ["/management/v1/projects/", "/management/v1/metadata", "/policies/domain", "/features/", "/orgs/me"];
    until_answered("looked at everything", async || {
        let calls = world.calls_since(mark);
        let unseen: Vec<_> =
            paths.iter().filter(|path| !calls.iter().any(|c| c.path.contains(**path))).collect();
        (
            unseen.is_empty(),
            format!("{unseen:?} of {:?}", calls.iter().map(|c| c.path.clone()).collect::<Vec<_>>()),
        )
    })
    .await;
    world.until_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_takes_over_writes_nothing_on_either_side() {
    needs_double!("the ledger");
    let mut world = left_behind().await;
    let (mark, audit) = (world.zitadel.ledger().mark(), world.control_plane.audit_mark().unwrap());
    world.start_operator().await;
    until_observed(&world, mark).await;
    assert_eq!(world.writes_since(mark).len(), 0);
    assert_eq!(written(&world, audit), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_the_fields_of_a_later_version_costs_no_write_to_zitadel() {
    needs_double!("the ledger");
    let mut world = left_behind().await;
    let older = json!({
        "deletionPolicy": null, "sequence": null, "changeDate": null, "creationDate": null, "drift": null,
        "lastHandledReconcileAt": null, "observedGeneration": null, "effective": null, "isDefault": null,
    });
    let mut before = Vec::new();
    for subject in everything(&world) {
        before.push(subject.now().await["status"].clone());
        let patch = Patch::Merge(json!({ "status": older }));
        let api = world.api(subject.kind);
        api.patch_status(subject.name, &PatchParams::default(), &patch).await.unwrap();
    }
    let mark = world.zitadel.ledger().mark();
    world.start_operator().await;
    for (subject, before) in everything(&world).into_iter().zip(before) {
        let completed =
            |object: &Value| object["status"]["observedGeneration"] == before["observedGeneration"];
        let after = subject.until("had its status completed", completed).await;
        for field in ["id", "organizationId", "origin", "deletionPolicy", "sequence"] {
            assert_eq!(after["status"][field], before[field], "{} {field}", subject.kind);
        }
    }
    assert_eq!(world.writes_since(mark).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_says_who_leads_does_nothing_and_takes_over() {
    needs_double!("the ledger");
    let world = World::without_operator().await;
    let elect = ["--leader-election", "true"];
    let first = Process::start(&world, &elect).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    let leads = |log: Vec<Value>| log.into_iter().find(|line| line["message"] == "leading");
    let leader = leads(first.log()).expect("a leader")["identity"].clone();
    let second = Process::start(&world, &elect).await;
    until_answered("said who leads", async || {
        let said = "another process leads, this one stands by";
        let log = second.log();
        (log.iter().any(|line| line["message"] == said && line["holder"] == leader), log)
    })
    .await;
    let mark = world.until_quiet().await;
    first.terminate().await;
    world.project("web").apply(json!({ "name": "renamed" })).await;
    world.project("web").until_ready().await;
    assert!(leads(second.log()).is_some(), "{:#?}", second.log());
    assert_eq!(world.writes_since(mark).len(), 1);
}

/// As two installations whose namespaces overlap, neither of which knows of the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_make_nothing_twice_and_come_to_rest() {
    needs_double!("the ledger");
    let world = World::new().await;
    let _second = world.operator(world.operator_client().await, Metrics::default());
    let names: Vec<String> = (0..5).map(|n| format!("p{n}")).collect();
    for name in &names {
        world.project(name).apply(json!({})).await;
    }
    for name in &names {
        world.project(name).until_ready().await;
    }
    assert_eq!(world.project_names().await.len(), names.len());
    for name in &names {
        world.project(name).apply(json!({ "projectRoleCheck": true })).await;
    }
    for name in &names {
        world.project(name).until_ready().await;
    }
    world.until_quiet().await;
    let (mark, audit) = (world.zitadel.ledger().mark(), world.control_plane.audit_mark().unwrap());
    // What the two would write against each other would show.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((world.writes_since(mark).len(), written(&world, audit)), (0, vec![]));
    for name in &names {
        world.project(name).delete().await;
    }
    for name in &names {
        world.project(name).until_gone().await;
    }
    assert_eq!(world.project_names().await, [""; 0]);
}
