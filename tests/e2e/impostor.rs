//! A ZITADEL of a tenant's own that says it is the instance of the others, and that it has what they have.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::OrganizationFeatures;
use zitadel_operator::engine::decision::config::Config;

use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of, names};
use crate::organization_grants::{HOME, grant, share, through_shared, unshare};
use crate::organization_ref::every_kind;
use crate::subject::Subject;
use crate::waits::{assert_message, condition};
use crate::world::{World, config, through_connection};

/// A world with a `ClusterConnection` that grants it everything, and another namespace, whose server is a copy.
async fn worlds() -> (World, World) {
    let (world, liar) = (World::without_operator().await, World::without_operator().await);
    for double in [&world.zitadel, &liar.zitadel] {
        double.configure(|behaviour| behaviour.organization_features = OrganizationFeatures::Implemented);
    }
    share(&world, json!([grant(&world, &json!([{ "all": true }]), true)])).await;
    world.zitadel.create_project(&world.organization, "web");
    world.zitadel.set_metadata(&world.organization, "tier", b"silver");
    liar.zitadel.impersonate(&world.zitadel);
    (world, liar)
}

async fn start_operator(world: &mut World, others: &[&World]) {
    let followed = std::iter::once(&*world).chain(others.iter().copied());
    let namespaces = followed.map(|world| world.namespace.clone()).collect();
    let config = Config { namespaces, ..config() };
    world.start_operator_of(config, HOME).await;
}

/// One of every kind.
fn everything(world: &World) -> Vec<Subject<'_>> {
    let kinds = every_kind().into_iter().map(|(kind, _)| kind);
    kinds.chain([ORGANIZATION]).map(|kind| world.subject(kind, "acme")).collect()
}

/// Takes over the organization of `owner` and what is in it, and waits until all is as specified.
async fn take_over(world: &World, owner: &World, through: impl Fn(Value) -> Value) {
    let project = owner.zitadel.projects(&owner.organization)[0].id.clone();
    let inside = json!({ "organization": { "id": owner.organization } });
    for (kind, mut spec) in every_kind().into_iter().chain([(ORGANIZATION, json!({}))]) {
        let id = match kind {
            ORGANIZATION => owner.organization.as_str(),
            _ => project.as_str(),
        };
        if kind != ORGANIZATION {
            spec["organization"] = inside["organization"].clone();
        }
        if kind == "Project" {
            spec["name"] = json!("web");
        }
        let annotations = json!({ "zitadel-operator.dev/id": id });
        world.try_apply_annotated(kind, "acme", annotations, through(spec)).await.unwrap();
    }
    for subject in everything(world) {
        subject.until_ready().await;
    }
}

async fn assert_owned(world: &World) {
    for subject in everything(world) {
        let seen = subject.reconciled().await;
        assert_eq!(condition(&seen, "Synced")["reason"], "Available", "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenants_server_claims_yields_to_a_cluster_connection_also_after_a_restart() {
    needs_double!("a server that lies");
    let (mut world, liar) = worlds().await;
    start_operator(&mut world, &[&liar]).await;
    take_over(&liar, &world, through_connection).await;
    take_over(&world, &world, |spec| through_shared(&world, spec)).await;
    for restart in [false, true] {
        if restart {
            world.stop_operator().await;
            start_operator(&mut world, &[&liar]).await;
        }
        assert_owned(&world).await;
        for subject in everything(&liar) {
            subject.reconciled().await;
            let refused = subject.until_reason("Conflict").await;
            assert_message(&refused, &["owned by", "a resource of another namespace"]);
            let reported = condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
            assert!(!reported.contains(&world.namespace), "{reported}");
        }
    }
    let mark = liar.until_quiet().await;
    for subject in everything(&liar) {
        subject.delete().await;
        subject.until_gone().await;
    }
    assert!(liar.writes_since(mark).is_empty(), "the loser touches nothing");
    assert_owned(&world).await;
    for subject in everything(&world) {
        subject.patch(json!({ "spec": { "deletionPolicy": "Retain" } })).await;
        subject.delete().await;
        subject.until_gone().await;
    }
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenants_server_claims_is_nothing_to_another_tenant_also_after_a_restart() {
    needs_double!("a server that lies");
    let (mut world, liar) = worlds().await;
    let honest = World::without_operator().await;
    honest.patch_connection(json!({ "url": world.zitadel.url() })).await;
    honest.store_token(&world.zitadel.admin_token()).await;
    start_operator(&mut world, &[&liar, &honest]).await;
    take_over(&liar, &world, through_connection).await;
    take_over(&honest, &world, through_connection).await;
    world.stop_operator().await;
    start_operator(&mut world, &[&liar, &honest]).await;
    assert_owned(&honest).await;
    assert_owned(&liar).await;
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_namespace_a_cluster_connection_goes_first_and_the_other_is_told_by_whom() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, _liar) = worlds().await;
    world.start_operator_from(HOME).await;
    let project = world.zitadel.projects(&world.organization)[0].id.clone();
    let spec = json!({ "organization": { "id": world.organization }, "name": "web" });
    world.project("own").import(&project, spec.clone()).await;
    world.project("own").until_ready().await;
    let annotation = json!({ "zitadel-operator.dev/id": project });
    let spec = through_shared(&world, spec);
    world.try_apply_annotated("Project", "shared", annotation, spec).await.unwrap();
    world.project("shared").until_ready().await;
    world.project("own").request().await;
    let refused = world.project("own").until_reason("Conflict").await;
    assert_message(&refused, &[&format!("Project {}/shared", world.namespace)]);
    for name in ["own", "shared"] {
        world.project(name).delete().await;
        world.project(name).until_gone().await;
    }
    assert!(world.zitadel.project(&project).is_some());
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_it_lives_in_the_organization_of_others_neither_blocks_it_nor_learns_of_them() {
    needs_double!("a server that lies");
    let (mut world, liar) = worlds().await;
    start_operator(&mut world, &[&liar]).await;
    let globex = world.subject(ORGANIZATION, "globex");
    world.apply(ORGANIZATION, "globex", through_shared(&world, json!({ "deletionPolicy": "Delete" }))).await;
    let id = id_of(&globex.until_ready().await);
    let inside = json!({ "organization": { "id": id } });
    let subject = world.subject("Project", "resident");
    world.apply("Project", "resident", through_shared(&world, inside.clone())).await;
    subject.until_ready().await;
    liar.zitadel.impersonate(&world.zitadel);
    let squatter = liar.subject("Project", "squatter");
    squatter.apply(inside).await;
    squatter.until_ready().await;

    let annotation = json!({ "zitadel-operator.dev/id": id });
    let spec = through_connection(json!({ "name": "globex", "deletionPolicy": "Delete" }));
    liar.try_apply_annotated(ORGANIZATION, "posing", annotation, spec).await.unwrap();
    let posing = liar.subject(ORGANIZATION, "posing");
    posing.until_reason("Conflict").await;
    posing.delete().await;
    posing.until_gone().await;

    globex.delete().await;
    let blocked = globex.until_reason("DeletionBlocked").await;
    assert_message(&blocked, &[&format!("Project {}/resident", world.namespace)]);
    let reported = condition(&blocked, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(!reported.contains("of other namespaces"), "{reported}");
    subject.delete().await;
    subject.until_gone().await;
    globex.until_gone().await;
    assert_eq!(names(&world), [""; 0]);
    assert_eq!(world.zitadel.ledger().count(&Method::DELETE, "/admin/v1/orgs/"), 1);
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_of_a_tenants_server_waits_for_its_own_namespace_only() {
    needs_double!("a server that lies");
    let (mut world, liar) = worlds().await;
    start_operator(&mut world, &[&liar]).await;
    let inside = json!({ "organization": { "id": world.organization } });
    world.apply("Project", "resident", through_shared(&world, inside.clone())).await;
    world.subject("Project", "resident").until_ready().await;
    let annotation = json!({ "zitadel-operator.dev/id": world.organization });
    let spec = through_connection(json!({ "name": "acme", "deletionPolicy": "Delete" }));
    liar.try_apply_annotated(ORGANIZATION, "posing", annotation, spec).await.unwrap();
    let posing = liar.subject(ORGANIZATION, "posing");
    posing.until_ready().await;
    let other_namespace = liar.subject("Project", "neighbour");
    other_namespace.apply(inside).await;
    other_namespace.until_ready().await;

    posing.delete().await;
    let blocked = posing.until_reason("DeletionBlocked").await;
    assert_message(&blocked, &[&format!("Project {}/neighbour", liar.namespace)]);
    let reported = condition(&blocked, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(!reported.contains("of other namespaces"), "{reported}");
    other_namespace.delete().await;
    other_namespace.until_gone().await;
    posing.until_gone().await;
    assert!(world.zitadel.organization(&world.organization).is_some());
    let subject = world.subject("Project", "resident");
    assert_eq!(condition(&subject.reconciled().await, "Ready")["reason"], "Available");
    subject.delete().await;
    subject.until_gone().await;
    unshare(&world).await;
}
