//! What lives in an organization that its namespace created goes with it; what lives in another one needs the grant.

use serde_json::{Value, json};
use zitadel_operator::engine::decision::config::Config;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of};
use crate::organization_grants::{HOME, grant, share, shared, through_shared, unshare};
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message};
use crate::world::{World, config};

const ID: &str = "zitadel-operator.dev/id";

/// `globex` as it is taken over or made by this world's namespace, and a project in it by reference.
async fn live_in<'a>(world: &'a World, through: &World, annotations: Value) -> (String, Subject<'a>) {
    let spec = through_shared(through, json!({ "deletionPolicy": "Retain" }));
    world.try_apply_annotated(ORGANIZATION, "globex", annotations, spec).await.unwrap();
    let id = id_of(&world.subject(ORGANIZATION, "globex").until_ready().await);
    let project = json!({ "organization": { "ref": { "name": "globex" } } });
    world.apply("Project", "web", through_shared(through, project)).await;
    let web = world.subject("Project", "web");
    web.until_ready().await;
    (id, web)
}

async fn ends(subject: &Subject<'_>) {
    subject.delete().await;
    subject.until_gone().await;
}

/// Asserts that the project's deletion waits for a grant, and that the project is there still.
async fn assert_kept(world: &World, web: &Subject<'_>, id: &str) {
    web.delete().await;
    let blocked = web.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    assert_message(&blocked, &["does not grant", "spec.access"]);
    assert_eq!(world.zitadel.projects(id).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_in_an_organization_that_was_taken_over_is_kept_once_the_grant_is_gone() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([{ "name": "globex" }]), true).await;
    let id = world.zitadel.add_organization("globex");
    let (_, web) = live_in(&world, &world, json!({ ID: id })).await;
    assert_eq!(web.now().await["status"]["organizationOrigin"], Value::Null);
    share(&world, json!([grant(&world, &json!([]), true)])).await;
    assert_kept(&world, &web, &id).await;
    ends(&world.subject(ORGANIZATION, "globex")).await;
    web.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
    web.until("was looked at", |web| web["status"]["lastHandledReconcileAt"] == "now").await;
    assert_kept(&world, &web, &id).await;
    share(&world, json!([grant(&world, &json!([{ "id": id }]), false)])).await;
    web.until_gone().await;
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_in_an_organization_that_its_namespace_created_goes_although_that_went_first() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([]), true).await;
    let (id, web) = live_in(&world, &world, json!({})).await;
    assert_eq!(web.now().await["status"]["organizationOrigin"], "Created");
    ends(&world.subject(ORGANIZATION, "globex")).await;
    ends(&web).await;
    assert!(world.zitadel.projects(&id).is_empty());
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_in_an_organization_that_another_namespace_has_by_now_is_kept() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, other) = (World::without_operator().await, World::without_operator().await);
    let creates = |world: &World| grant(world, &json!([]), true);
    share(&world, json!([creates(&world)])).await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let both = Config { namespaces, ..config() };
    world.start_operator_of(both.clone(), HOME).await;
    let (id, web) = live_in(&world, &world, json!({})).await;
    ends(&world.subject(ORGANIZATION, "globex")).await;
    let granted = grant(&other, &json!([{ "id": id }]), false);
    share(&world, json!([creates(&world), granted])).await;
    let spec = through_shared(&world, json!({ "deletionPolicy": "Retain" }));
    other.try_apply_annotated(ORGANIZATION, "globex", json!({ ID: id }), spec).await.unwrap();
    let theirs = other.subject(ORGANIZATION, "globex");
    theirs.until_ready().await;
    assert_kept(&world, &web, &id).await;
    world.stop_operator().await;
    world.start_operator_of(both, HOME).await;
    let web = world.subject("Project", "web");
    web.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
    web.until("was looked at", |web| web["status"]["lastHandledReconcileAt"] == "now").await;
    assert_kept(&world, &web, &id).await;
    ends(&theirs).await;
    web.until_gone().await;
    unshare(&world).await;
}
