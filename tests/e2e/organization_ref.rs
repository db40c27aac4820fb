//! `organization.ref`: every kind waits for the `Organization`, lives in it, and stays there.

use serde_json::{Value, json};
use support::zitadel::{Behaviour, OrganizationFeatures, ProjectSettings, State};

use crate::conformance::case::Case;
use crate::conformance::rows::{Row, rows};
use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::{ORGANIZATION, RECREATE, creations, id_of, names};
use crate::organization_ownership::without_polls;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

/// What lives in an organization, by the rows of the kinds.
fn inside() -> Vec<Row> {
    rows().into_iter().filter(|row| row.parent == Some("Organization")).collect()
}

/// One resource of every kind that lives in an organization, by kind and spec.
pub fn every_kind() -> Vec<(&'static str, Value)> {
    let spec = |row: Row| (row.kind, row.placed("", "", row.resource).spec(&[]));
    inside().into_iter().map(spec).collect()
}

/// The spec of a resource that lives in the `Organization` globex.
pub fn by_reference(mut spec: Value) -> Value {
    spec["organization"] = json!({ "ref": { "name": "globex" } });
    spec
}

/// A resource of each kind.
pub fn subjects(world: &World) -> Vec<Subject<'_>> {
    inside().iter().map(|row| world.subject(row.kind, row.resource)).collect()
}

async fn settle_in(world: &World) {
    for (subject, (_, spec)) in subjects(world).into_iter().zip(every_kind()) {
        subject.apply(by_reference(spec)).await;
    }
}

/// The kinds of what is there in the organization.
pub async fn possessions(world: &World, id: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for row in inside() {
        let count = match row.kind {
            "Project" => world.zitadel.projects(id).len(),
            _ => usize::from(!Case::within(world, &row, "any", id).object("").await.is_null()),
        };
        found.extend(std::iter::repeat_n(row.kind, count));
    }
    found
}

/// One of every kind.
pub fn all() -> Vec<&'static str> {
    inside().iter().map(|row| row.kind).collect()
}

/// A world in which every kind works and nothing is polled.
async fn world_of(line: Behaviour) -> World {
    let mut world = World::without_operator().await;
    let organization_features = OrganizationFeatures::Implemented;
    world.zitadel.configure(|behaviour| *behaviour = Behaviour { organization_features, ..line });
    world.start_operator_with(without_polls()).await;
    world
}

/// A world whose `Organization` globex is inhabited by every kind; the id.
async fn inhabited(line: Behaviour) -> (World, String) {
    let world = world_of(line).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({})).await;
    settle_in(&world).await;
    for subject in subjects(&world) {
        subject.until_ready().await;
    }
    let id = id_of(&globex.until_ready().await);
    assert_eq!(possessions(&world, &id).await, all());
    (world, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_waits_for_its_organization_and_wakes_when_that_is_ready() {
    needs_double!("its own way into the data or the ledger");
    let world = world_of(Behaviour::v4()).await;
    settle_in(&world).await;
    let name = format!("Organization {}/globex", world.namespace);
    for subject in subjects(&world) {
        let waiting = subject.until_reason("ReferenceNotFound").await;
        assert_message(&waiting, &[&name, "does not exist", "spec.organization.ref"]);
        assert_kstatus(&waiting, Kstatus::InProgress);
    }
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "name": "acme" })).await;
    globex.until_reason("Conflict").await;
    for subject in subjects(&world) {
        let waiting = subject.until_reason("ReferenceNotReady").await;
        assert_message(&waiting, &[&name, "not ready"]);
        assert_kstatus(&waiting, Kstatus::InProgress);
    }
    world.assert_no_writes();
    globex.apply(json!({ "name": "globex" })).await;
    let id = id_of(&globex.until_ready().await);
    for subject in subjects(&world) {
        let ready = subject.until_ready().await;
        assert_eq!(ready["status"]["organizationId"], id, "{}", subject.kind);
        assert_kstatus(&ready, Kstatus::Current);
    }
    assert_eq!(possessions(&world, &id).await, all());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_stays_where_it_is_when_the_reference_leads_elsewhere() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = inhabited(Behaviour::v4()).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.delete().await;
    globex.until_gone().await;
    globex.apply(json!({ "name": "initech" })).await;
    let other = id_of(&globex.until_ready().await);
    for subject in subjects(&world) {
        let conflict = subject.until_reason("Conflict").await;
        assert_message(&conflict, &[&id, &other, "create it anew to move it"]);
        assert_kstatus(&conflict, Kstatus::Failed);
        assert_eq!(conflict["status"]["organizationId"], id);
    }
    assert_eq!((possessions(&world, &id).await, possessions(&world, &other).await), (all(), vec![""; 0]));
    for subject in subjects(&world) {
        subject.delete().await;
        subject.until_gone().await;
    }
    assert_eq!(
        (possessions(&world, &id).await, possessions(&world, &other).await),
        (vec![""; 0], vec![""; 0])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_referenced_resource_what_is_bound_goes_on_and_can_be_deleted() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, id) = inhabited(Behaviour::v4()).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.delete().await;
    globex.until_gone().await;
    world.crash_operator().await;
    world.start_operator_with(without_polls()).await;
    for subject in subjects(&world) {
        assert_eq!(condition(&subject.reconciled().await, "Ready")["reason"], "Available");
        subject.delete().await;
        subject.until_gone().await;
    }
    assert_eq!(possessions(&world, &id).await, vec![""; 0]);
    assert_eq!(names(&world), ["globex"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_resolves_no_reference() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = inhabited(Behaviour::v4()).await;
    let globex = world.subject(ORGANIZATION, "globex");
    world.zitadel.rename_organization(&id, "renamed");
    globex.apply(json!({ "name": "acme" })).await;
    globex.until_reason("Conflict").await;
    for subject in subjects(&world) {
        subject.delete().await;
        subject.until_gone().await;
    }
    assert_eq!(possessions(&world, &id).await, vec![""; 0]);
}

/// Removes globex behind the operator's back, and has it made again; the residents have noticed before.
async fn remade(world: &World, id: &str) -> String {
    world.zitadel.remove_organization(id);
    let globex = world.subject(ORGANIZATION, "globex");
    globex.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
    globex.until_reason("NotFound").await;
    for subject in subjects(world) {
        let gone = subject.reconciled().await;
        assert_eq!(condition(&gone, "Synced")["reason"], "NotFound", "{gone}");
        let remedy = format!("or have Organization {}/globex make it again", world.namespace);
        assert_message(&gone, &["does not exist", "went with the organization", &remedy]);
    }
    assert_eq!(possessions(world, id).await, vec![""; 0]);
    globex.annotate(RECREATE, id).await;
    let again = id_of(&globex.until_ready().await);
    assert_eq!(creations(world), 2);
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_organization_made_again_under_its_id_every_kind_recovers() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = inhabited(Behaviour::v4()).await;
    assert_eq!(remade(&world, &id).await, id);
    for subject in subjects(&world) {
        subject.until_ready().await;
    }
    assert_eq!(possessions(&world, &id).await, all());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_organization_made_again_under_another_id_every_kind_says_so() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = inhabited(Behaviour::v3()).await;
    let other = remade(&world, &id).await;
    assert_ne!(other, id);
    for subject in subjects(&world) {
        assert_message(&subject.until_reason("Conflict").await, &[&id, &other, "create it anew"]);
        subject.delete().await;
        subject.until_gone().await;
    }
    assert_eq!(possessions(&world, &other).await, vec![""; 0]);
    assert_eq!(world.zitadel.organization(&other).unwrap().state, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_the_organization_moves_nothing_in_it() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = inhabited(Behaviour::v4()).await;
    let before: Vec<ProjectSettings> =
        world.zitadel.projects(&id).into_iter().map(|project| project.settings).collect();
    let mark = world.until_quiet().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "name": "renamed", "state": "Inactive" })).await;
    globex.until_ready().await;
    world.until_quiet().await;
    let written = world.writes_since(mark);
    assert!(written.iter().all(|call| call.path.starts_with("/management/v1/orgs/me")), "{written:?}");
    let after: Vec<ProjectSettings> =
        world.zitadel.projects(&id).into_iter().map(|project| project.settings).collect();
    assert_eq!((before, possessions(&world, &id).await), (after, all()));
    for subject in subjects(&world) {
        assert_eq!(condition(&subject.now().await, "Ready")["reason"], "Available");
    }
}
