//! `Organization` after a restore without status: what the namespace created is its own again, by the mark in ZITADEL.

mod taken;
mod written;

use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use support::zitadel::InjectedFault;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::engine::kubernetes::seal::SECRET;
use zitadel_operator::engine::reconcile::mark::KEY;

use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of, names};
use crate::organization_grants::{grant, share_from, through_shared, unshare_from};
use crate::subject::Subject;
use crate::waits::condition;
use crate::world::{CONNECTION, World, config};

const ID: &str = "zitadel-operator.dev/id";

/// One grant to the namespace of this world: it may create organizations, and nothing else.
fn may_create(world: &World) -> Value {
    let labels = json!({ "kubernetes.io/metadata.name": world.namespace });
    json!({ "namespaceSelector": { "matchLabels": labels }, "createOrganizations": true })
}

/// A world whose operator lives in its namespace, with an organization `globex` that it made there.
async fn made(mut world: World, access: Value) -> (World, String) {
    share_from(&world, &world.namespace, access).await;
    start(&mut world).await;
    let id = make(&world, "globex").await;
    (world, id)
}

async fn start(world: &mut World) {
    let home_organization = world.namespace.clone();
    world.start_operator_from(&home_organization).await;
}

async fn make(world: &World, name: &str) -> String {
    world.apply(ORGANIZATION, name, through_shared(world, json!({ "deletionPolicy": "Delete" }))).await;
    id_of(&world.subject(ORGANIZATION, name).until_ready().await)
}

async fn made_alone() -> (World, String) {
    let world = World::without_operator().await;
    let access = json!([may_create(&world)]);
    made(world, access).await
}

/// The mark in this organization.
fn mark(world: &World, organization: &str) -> Option<Value> {
    let entry = world.zitadel.metadata(organization).remove(KEY)?;
    Some(serde_json::from_slice(&entry.value).unwrap())
}

fn put(world: &World, organization: &str, mark: &Value) {
    world.zitadel.set_metadata(organization, KEY, mark.to_string().as_bytes());
}

/// A resource as most tools keep it: without status, and what the API server gives it.
async fn backup(subject: &Subject<'_>) -> DynamicObject {
    // The annotation comes after the status.
    let mut kept = subject.until("was annotated", |r| !r["metadata"]["annotations"][ID].is_null()).await;
    kept.as_object_mut().unwrap().remove("status");
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
        kept["metadata"].as_object_mut().unwrap().remove(field);
    }
    serde_json::from_value(kept).unwrap()
}

/// It goes, and nobody was asked: the cluster is lost.
async fn lose(subject: &Subject<'_>) {
    subject.patch(json!({ "metadata": { "finalizers": null } })).await;
    subject.delete().await;
    subject.until_gone().await;
}

async fn restore(world: &World, kept: &DynamicObject) {
    world.api(&kept.types.as_ref().unwrap().kind).create(&PostParams::default(), kept).await.unwrap();
}

/// Loses `globex` with everything that the cluster knew of it, and restores it.
async fn lost_and_restored(world: &mut World) {
    let kept = backup(&world.subject(ORGANIZATION, "globex")).await;
    world.stop_operator().await;
    lose(&world.subject(ORGANIZATION, "globex")).await;
    restore(world, &kept).await;
}

/// Takes the resources away that are left, then the connection.
async fn end(mut world: World) {
    if world.operator.is_none() {
        start(&mut world).await;
    }
    for kind in ["Project", ORGANIZATION] {
        for left in world.api(kind).list(&Default::default()).await.unwrap() {
            let name = left.metadata.name.unwrap();
            world.subject(kind, &name).delete().await;
            world.subject(kind, &name).until_gone().await;
        }
    }
    let home_organization = world.namespace.clone();
    unshare_from(&world, &home_organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_restored_without_status_is_its_namespaces_own_again() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, id) = made_alone().await;
    let project = through_shared(&world, json!({ "organization": { "ref": { "name": "globex" } } }));
    world.apply("Project", "web", project).await;
    let first = world.subject("Project", "web").until_ready().await;

    let kept = backup(&world.subject("Project", "web")).await;
    world.stop_operator().await;
    lose(&world.subject("Project", "web")).await;
    start(&mut world).await;
    lost_and_restored(&mut world).await;
    restore(&world, &kept).await;
    let before = world.zitadel.ledger().mark();
    start(&mut world).await;
    let globex = world.subject(ORGANIZATION, "globex").until_ready().await;
    assert_eq!((id_of(&globex), &globex["status"]["origin"]), (id.clone(), &json!("Created")));
    assert!(world.until_event("globex", "Restored").await.contains(&id));
    let project = world.subject("Project", "web").until_ready().await;
    assert_eq!((id_of(&project), &project["status"]["origin"]), (id_of(&first), &json!("Adopted")));
    let written: Vec<String> =
        world.writes_since(before).iter().map(|write| format!("{} {}", write.method, write.path)).collect();
    assert_eq!(written, ["POST /management/v1/metadata/_bulk"]);
    let said = mark(&world, &id).expect("a mark");
    assert_eq!((&said["namespace"], &said["name"]), (&json!(world.namespace), &json!("globex")));
    assert_eq!(said["uid"], globex["metadata"]["uid"]);

    let status = json!({ "status": { "origin": "Created" } });
    let patch = Patch::Merge(&status);
    world.api("Project").patch_status("web", &PatchParams::default(), &patch).await.unwrap();
    world.subject("Project", "web").delete().await;
    world.subject("Project", "web").until_gone().await;
    assert!(world.zitadel.projects(&id).is_empty());
    world.subject(ORGANIZATION, "globex").delete().await;
    world.subject(ORGANIZATION, "globex").until_gone().await;
    assert_eq!(names(&world), [""; 0]);
    end(world).await;
}

/// Asks for the organization with this id, as who writes resources can; answers what was told.
async fn denied<'a>(world: &'a World, through: &World, name: &'a str, id: &str) -> String {
    let spec = through_shared(through, json!({ "name": "globex", "deletionPolicy": "Delete" }));
    world.try_apply_annotated(ORGANIZATION, name, json!({ ID: id }), spec).await.unwrap();
    let subject = world.subject(ORGANIZATION, name);
    let refused = subject.until_reason("AccessDenied").await;
    assert_eq!(
        (&refused["status"]["id"], &refused["status"]["sequence"], &refused["status"]["origin"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    subject.delete().await;
    subject.until_gone().await;
    condition(&refused, "Ready")["message"].as_str().unwrap().replace(id, "ID")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotation_of_another_namespace_or_resource_gets_nothing_and_tells_nothing() {
    needs_double!("its own way into the data or the ledger");
    let (world, other) = (World::without_operator().await, World::without_operator().await);
    share_from(&world, &world.namespace, json!([may_create(&world), may_create(&other)])).await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let (mut world, home_organization) = (world, other.namespace.clone());
    let both = Config { namespaces, ..config() };
    let own = world.namespace.clone();
    world.start_operator_of(both, &own).await;
    let id = make(&world, "globex").await;
    let unmarked = world.zitadel.add_organization("initech");
    let before = world.until_quiet().await;
    let said = [
        denied(&other, &world, "globex", &id).await,
        denied(&other, &world, "globex", &unmarked).await,
        denied(&other, &world, "globex", "no-such-organization").await,
    ];
    assert!(said[0].contains(&home_organization) && said[0] == said[1] && said[0] == said[2], "{said:?}");
    let here = denied(&world, &world, "another", &id).await;
    assert_eq!(here, denied(&world, &world, "another", "no-such-organization").await);
    assert!(world.writes_since(before).is_empty());
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_was_changed_copied_or_written_by_hand_gives_nothing_back() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, id) = made_alone().await;
    let initech = world.zitadel.add_organization("initech");
    let said = mark(&world, &id).expect("a mark");
    let globex = world.subject(ORGANIZATION, "globex");
    let kept = backup(&globex).await;
    world.stop_operator().await;
    lose(&world.subject(ORGANIZATION, "globex")).await;
    start(&mut world).await;

    let changed = |field: &str, value: Value| {
        let mut forged = said.clone();
        forged[field] = value;
        forged
    };
    let digest = |from: &str, to: &str| said["digest"].as_str().unwrap().replacen(from, to, 1);
    let first = said["digest"].as_str().unwrap()[..1].to_owned();
    let another = if first == "A" { "B" } else { "A" };
    put(&world, &initech, &changed("organization", json!(initech)));
    let before = world.until_quiet().await;
    let mut reported = Vec::new();
    for forged in [
        changed("digest", json!(digest(&first, another))),
        changed("digest", json!("")),
        changed("uid", json!("another")),
        json!({ "namespace": world.namespace, "name": "globex" }),
        json!("globex"),
    ] {
        put(&world, &id, &forged);
        reported.push(denied(&world, &world, "globex", &id).await);
    }
    reported.push(denied(&world, &world, "globex", &initech).await);
    put(&world, &initech, &said);
    reported.push(denied(&world, &world, "globex", &initech).await);
    world.zitadel.remove_metadata(&id, KEY);
    reported.push(denied(&world, &world, "globex", &id).await);
    assert!(reported.iter().all(|said| *said == reported[0]), "{reported:?}");
    assert!(world.writes_since(before).is_empty());

    put(&world, &id, &said);
    restore(&world, &kept).await;
    let back = world.subject(ORGANIZATION, "globex").until_ready().await;
    assert_eq!((id_of(&back), &back["status"]["origin"]), (id, &json!("Created")));
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_of_another_instance_gives_nothing_back_unless_it_is_the_same_under_an_older_identity() {
    needs_double!("another instance behind the URL");
    let (mut world, id) = made_alone().await;
    let instance = world.zitadel.instance_identity();
    lost_and_restored(&mut world).await;
    world.zitadel.renew_identity();
    start(&mut world).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.until_reason("AccessDenied").await;
    let api = world.api("ClusterConnection");
    let patch = Patch::Merge(json!({ "spec": { "previousInstances": [instance] } }));
    api.patch(&world.namespace, &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(id_of(&globex.until_ready().await), id);
    assert_eq!(mark(&world, &id).unwrap()["instance"], world.zitadel.instance_identity());
    end(world).await;
}

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_it_is_as_without_the_mark_and_an_administrators_word_helps() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, id) = made_alone().await;
    let kept = mark(&world, &id).expect("a mark");
    lost_and_restored(&mut world).await;
    secrets(&world).delete(SECRET, &DeleteParams::default()).await.unwrap();
    start(&mut world).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.until_reason("AccessDenied").await;
    assert_eq!(mark(&world, &id), Some(kept.clone()));

    let everything = json!([grant(&world, &json!([{ "id": id }]), true)]);
    share_from(&world, &world.namespace, everything).await;
    assert_eq!(globex.until_ready().await["status"]["origin"], "Adopted");
    let origin = Patch::Merge(json!({ "status": { "origin": "Created" } }));
    world.api(ORGANIZATION).patch_status("globex", &PatchParams::default(), &origin).await.unwrap();
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    let marked = globex.until("was marked anew", |globex| !globex["status"]["mark"].is_null()).await;
    assert_eq!(marked["status"]["origin"], "Created");
    assert_ne!(mark(&world, &id).unwrap()["digest"], kept["digest"]);
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_made_is_marked_once_and_a_settled_one_costs_no_call() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = made_alone().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.assert_no_write().await;
    let settled = world.until_quiet().await;
    globex.reconciled().await;
    let calls: Vec<String> = world.calls_since(settled).into_iter().map(|call| call.path).collect();
    assert!(calls.iter().all(|path| !path.contains("metadata")), "{calls:?}");

    world.zitadel.remove_metadata(&id, KEY);
    let unmarked = Patch::Merge(json!({ "status": { "mark": null } }));
    world.api(ORGANIZATION).patch_status("globex", &PatchParams::default(), &unmarked).await.unwrap();
    globex.reconciled().await;
    globex.until("was marked", |globex| !globex["status"]["mark"].is_null()).await;
    assert!(mark(&world, &id).is_some());
    globex.assert_no_write().await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_bears_no_mark_and_does_not_come_back() {
    needs_double!("its own way into the data or the ledger");
    let (world, id) = made_alone().await;
    let globex = world.subject(ORGANIZATION, "globex");
    let kept = backup(&globex).await;
    assert!(mark(&world, &id).is_some());
    globex.patch(json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    globex.until_ready().await;
    globex.delete().await;
    globex.until_gone().await;
    assert_eq!((mark(&world, &id), names(&world)), (None, vec!["globex".to_owned()]));
    restore(&world, &kept).await;
    globex.until_reason("AccessDenied").await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_goes_although_zitadel_cannot_be_asked() {
    needs_double!("faults");
    let (world, _) = made_alone().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.patch(json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    globex.until_ready().await;
    let broken = world.zitadel.inject(InjectedFault::unavailable());
    globex.delete().await;
    globex.until_gone().await;
    broken.remove();
    end(world).await;
}

/// A server that a tenant chooses could say that it is this instance, and have a mark for any organization of it.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_connection_of_its_own_a_namespace_gets_no_mark() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    share_from(&world, &world.namespace, json!([may_create(&world)])).await;
    start(&mut world).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "deletionPolicy": "Delete" })).await;
    let ready = globex.until_ready().await;
    assert_eq!((&ready["status"]["mark"], mark(&world, &id_of(&ready))), (&Value::Null, None));
    assert_eq!(world.zitadel.ledger().count(&Method::POST, "/management/v1/metadata"), 0);
    assert!(world.api("Connection").get_opt(CONNECTION).await.unwrap().is_some());
    end(world).await;
}
