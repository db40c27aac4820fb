//! A namespace with everything in it is deleted: what was owned goes from ZITADEL, and the namespace goes too.

use futures::{StreamExt, stream};
use http::Method;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use support::zitadel::{InjectedFault, OrganizationFeatures};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of, names};
use crate::organization_grants::{HOME, settle, unshare, with_shared};
use crate::organization_ref::{all, by_reference, every_kind, possessions, subjects};
use crate::rights::Rights;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition, until_answered};
use crate::world::{CONNECTION, PATIENCE, World, config};

/// Worlds that go at the same time.
const AT_ONCE: usize = 4;

/// A world with an `Organization` of this deletion policy and every kind in it; the id of the organization.
async fn inhabited(policy: &str) -> (World, String) {
    let mut world = World::to_be_deleted().await;
    world.zitadel.configure(|behaviour| {
        behaviour.organization_features = OrganizationFeatures::Implemented;
    });
    world.start_operator_from(HOME).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "deletionPolicy": policy })).await;
    for (subject, (_, spec)) in subjects(&world).into_iter().zip(every_kind()) {
        subject.apply(by_reference(spec)).await;
    }
    for subject in subjects(&world) {
        subject.until_ready().await;
    }
    let id = id_of(&globex.until_ready().await);
    assert_eq!(possessions(&world, &id).await, all());
    let protected = |connection: &Value| !connection["metadata"]["finalizers"].is_null();
    world.until("Connection", CONNECTION, "was protected", protected).await;
    (world, id)
}

async fn delete_namespace(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
}

async fn until_namespace_gone(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let gone =
        await_condition(namespaces.clone(), &world.namespace, |found: Option<&Namespace>| found.is_none());
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        let mut left: Vec<Value> = vec![world.subject(ORGANIZATION, "globex").now().await];
        for subject in subjects(world) {
            left.push(subject.now().await);
        }
        left.iter_mut().for_each(|object| object["metadata"]["managedFields"] = Value::Null);
        panic!("the namespace stays, and with it {left:#?}");
    }
}

/// What is left in ZITADEL of an organization that was to be deleted, or retained.
async fn assert_left(world: &World, id: &str, policy: &str) {
    assert_eq!(possessions(world, id).await, vec![""; 0]);
    let expected: &[&str] = if policy == "Retain" { &["globex"] } else { &[] };
    assert_eq!(names(world), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_at_once_it_leaves_nothing_but_an_organization_to_be_retained() {
    needs_double!("its own way into the data or the ledger");
    let deleted = async |policy: &str| {
        let (world, id) = inhabited(policy).await;
        delete_namespace(&world).await;
        until_namespace_gone(&world).await;
        assert_left(&world, &id, policy).await;
    };
    tokio::join!(deleted("Delete"), deleted("Retain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_cluster_connection_it_is_the_same() {
    needs_double!("its own way into the data or the ledger");
    let deleted = async |policy: &str| {
        let world = with_shared(World::to_be_deleted().await, json!([]), true).await;
        let id = settle(&world, json!({ "deletionPolicy": policy })).await;
        delete_namespace(&world).await;
        until_namespace_gone(&world).await;
        assert_left(&world, &id, policy).await;
        unshare(&world).await;
    };
    tokio::join!(deleted("Delete"), deleted("Retain"));
}

/// Asks for the deletion of one thing in the namespace.
async fn delete(world: &World, what: usize) {
    let inside = subjects(world);
    match what {
        _ if what < inside.len() => inside[what].delete().await,
        _ if what == inside.len() => world.subject(ORGANIZATION, "globex").delete().await,
        _ if what == inside.len() + 1 => world.subject("Connection", CONNECTION).delete().await,
        _ => {
            let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
            secrets.delete(CONNECTION, &DeleteParams::default()).await.unwrap();
        }
    }
}

/// Deletes the things one by one in this order, at once or each when the last has come to rest.
async fn deleted_in(order: Vec<usize>, resting: bool) {
    let policy = if order[0].is_multiple_of(2) { "Delete" } else { "Retain" };
    let (world, id) = inhabited(policy).await;
    for what in order {
        delete(&world, what).await;
        if resting {
            world.until_quiet().await;
        }
    }
    let everything = subjects(&world).into_iter().chain([world.subject(ORGANIZATION, "globex")]);
    for subject in everything.chain([world.subject("Connection", CONNECTION)]) {
        subject.until_gone().await;
    }
    assert_left(&world, &id, policy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_first_everything_goes() {
    needs_double!("its own way into the data or the ledger");
    // Besides them their organization, the connection and its Secret.
    let things = all().len() + 3;
    let order = |first: usize| {
        let rest = (1..things).map(|n| (first + n) % things);
        let rest: Vec<_> = if first.is_multiple_of(2) { rest.collect() } else { rest.rev().collect() };
        [vec![first], rest].concat()
    };
    let orders = (0..things).map(|first| deleted_in(order(first), (first / 2).is_multiple_of(2)));
    stream::iter(orders).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Deletes the namespace, crashes the operator at this request to ZITADEL if it comes to it, and starts another.
async fn crashed_at(point: InjectedFault, policy: &str) -> bool {
    let mut world = with_shared(World::to_be_deleted().await, json!([]), true).await;
    let id = settle(&world, json!({ "deletionPolicy": policy })).await;
    let held = world.zitadel.inject(point.on(Method::DELETE).times(1));
    delete_namespace(&world).await;
    let crashed = tokio::select! {
        () = held.reached(1) => true,
        () = until_namespace_gone(&world) => false,
    };
    if crashed {
        world.crash_operator().await;
        world.start_operator_from(HOME).await;
    }
    until_namespace_gone(&world).await;
    assert_left(&world, &id, policy).await;
    unshare(&world).await;
    crashed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_changes_nothing_where_the_secret_lies_elsewhere() {
    needs_double!("its own way into the data or the ledger");
    let sides = |n| [InjectedFault::hold().after(n), InjectedFault::hold_after_commit().after(n)];
    let [first, later] =
        [(0, "Delete"), (3, "Retain")].map(|(n, policy)| sides(n).map(|point| crashed_at(point, policy)));
    let crashes = first.into_iter().chain(later);
    let crashed: Vec<bool> = stream::iter(crashes).buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(crashed, [true; 4]);
}

/// Kubernetes takes RoleBindings away with the first of what is in the namespace, and lets nobody make one there.
#[tokio::test(flavor = "multi_thread")]
async fn with_rights_in_the_namespace_alone_it_stays_until_an_operator_has_others() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::to_be_deleted().await;
    world.account(HOME, config()).await;
    world.rights = Rights::Namespaces;
    let mut world = with_shared(world, json!([]), true).await;
    let id = settle(&world, json!({ "deletionPolicy": "Delete" })).await;
    world.crash_operator().await;
    delete_namespace(&world).await;
    world.account(HOME, config()).await.until_lost(&world.namespace).await;
    world.start_operator_from(HOME).await;
    let lost = format!("watch projects {}", world.namespace);
    let refused = async || {
        let refused = world.forbidden.unexpected();
        (refused.contains(&lost), refused)
    };
    until_answered("was refused", refused).await;
    world.forbidden.expect(&format!("* * {}", world.namespace));
    assert_eq!(possessions(&world, &id).await, all());

    world.stop_operator().await;
    world.rights = Rights::Cluster;
    world.start_operator_from(HOME).await;
    until_namespace_gone(&world).await;
    assert_left(&world, &id, "Delete").await;
    unshare(&world).await;
}

/// Everything in the namespace that waits for a person.
async fn until_blocked<'a>(world: &'a World) -> Vec<(Subject<'a>, String)> {
    let mut blocked = Vec::new();
    for subject in subjects(world).into_iter().chain([world.subject(ORGANIZATION, "globex")]) {
        let object = subject.until_reason("DeletionBlocked").await;
        assert_kstatus(&object, Kstatus::Terminating);
        assert_message(&object, &[&format!("Secret {}/{CONNECTION}", world.namespace), "kubectl patch"]);
        blocked.push((subject, condition(&object, "Ready")["message"].as_str().unwrap().to_owned()));
    }
    blocked
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_without_its_secret_it_is_blocked_and_the_patches_of_the_messages_free_it() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, id) = inhabited("Delete").await;
    world.crash_operator().await;
    delete_namespace(&world).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    let gone = await_condition(secrets, CONNECTION, |found: Option<&Secret>| found.is_none());
    tokio::time::timeout(PATIENCE, gone).await.expect("the Secret goes").unwrap();
    let mark = world.zitadel.ledger().mark();
    world.start_operator_from(HOME).await;
    for (subject, message) in until_blocked(&world).await {
        world.run_command_of(&message).await;
        subject.until_gone().await;
    }
    until_namespace_gone(&world).await;
    assert!(world.zitadel.ledger().since(mark).is_empty());
    assert_eq!((possessions(&world, &id).await, names(&world)), (all(), vec!["globex".to_owned()]));
}
