//! What a namespace is told of organizations that it was not granted, and what the end of a grant means.

use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::OrganizationFeatures;

use crate::needs_double;
use crate::organization::{ORGANIZATION, names};
use crate::organization_grants::{
    HOME, grant, share, share_from, shared, through_shared, unshare, unshare_from,
};
use crate::organization_ref::{all, every_kind, possessions, subjects};
use crate::waits::{assert_message, condition};
use crate::world::World;

/// Sets a label of the world's namespace, or removes it with null.
async fn label(world: &World, name: &str, value: Value) {
    let api: Api<Namespace> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({ "metadata": { "labels": { name: value } } }));
    api.patch(&world.namespace, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_its_grant_for_as_long_as_it_has_the_label() {
    needs_double!("the ledger");
    let (mut world, home_organization) = (World::without_operator().await, World::without_operator().await);
    world.zitadel.configure(|behaviour| {
        behaviour.organization_features = OrganizationFeatures::Implemented;
    });
    let (team, id) = (world.namespace.clone(), world.organization.clone());
    let selector = json!({ "matchLabels": { "team": team } });
    let access = json!([{
        "namespaceSelector": selector, "organizations": [{ "id": id }], "kinds": ["OrgDomainPolicy"],
    }]);
    share_from(&world, &home_organization.namespace, access).await;
    world.start_operator_from(&home_organization.namespace).await;
    let inside = |mut spec: Value| {
        spec["organization"] = json!({ "id": id });
        through_shared(&world, spec)
    };
    for (subject, (kind, spec)) in subjects(&world).into_iter().zip(every_kind()) {
        world.apply(kind, subject.name, inside(spec)).await;
        assert_message(&subject.until_reason("AccessDenied").await, &[&world.namespace, &id]);
    }
    let mark = world.until_quiet().await;
    for subject in subjects(&world) {
        subject.reconciled().await;
    }
    assert_eq!(world.calls_since(mark).len(), 0);
    label(&world, "team", json!(team)).await;
    for subject in subjects(&world) {
        subject.until_ready().await;
    }
    assert_eq!(possessions(&world, &id).await, all());

    let mark = world.until_quiet().await;
    label(&world, "team", Value::Null).await;
    for subject in subjects(&world) {
        subject.until_reason("AccessDenied").await;
        subject.delete().await;
        subject.until_reason("DeletionBlocked").await;
    }
    assert_eq!((world.calls_since(mark).len(), possessions(&world, &id).await), (0, all()));
    label(&world, "team", json!(team)).await;
    for subject in subjects(&world) {
        subject.until_gone().await;
    }
    unshare_from(&world, &home_organization.namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_no_name_and_a_name_is_no_id_whatever_an_organization_is_called() {
    needs_double!("organizations with ids of one's choice");
    let mut world = World::without_operator().await;
    let granted = world.zitadel.add_organization("umbrella");
    let make = async |body: Value| {
        let (status, answer) = world.person.call(Method::POST, "/v2/organizations", "", body).await;
        assert_eq!(status, 201, "{answer}");
    };
    make(json!({ "name": "by-id", "orgId": "umbrella" })).await;
    make(json!({ "name": granted, "orgId": "by-name" })).await;
    share(&world, json!([grant(&world, &json!([{ "name": "umbrella" }, { "id": granted }]), false)])).await;
    let mark = world.zitadel.ledger().mark();
    world.start_operator_from(HOME).await;
    let rows = [
        ("same-id", json!({ "id": "umbrella" })),
        ("its-name", json!({ "name": "by-id" })),
        ("same-name", json!({ "name": granted })),
        ("its-id", json!({ "id": "by-name" })),
    ];
    for (name, selector) in rows {
        world.apply("Project", name, through_shared(&world, json!({ "organization": selector }))).await;
        world.subject("Project", name).until_reason("AccessDenied").await;
        world.subject("Project", name).delete().await;
        world.subject("Project", name).until_gone().await;
    }
    assert!(world.writes_since(mark).is_empty());
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_an_organization_exists_is_not_told_to_whom_it_is_not_granted() {
    needs_double!("its own way into the data or the ledger");
    for granted in ["id", "name"] {
        let mut world = World::without_operator().await;
        let initech = world.zitadel.add_organization("initech");
        let umbrella = world.zitadel.add_organization("umbrella");
        let organization =
            if granted == "id" { json!({ "id": initech }) } else { json!({ "name": "initech" }) };
        share(&world, json!([grant(&world, &json!([organization]), false)])).await;
        world.start_operator_from(HOME).await;
        for (there, missing, field) in
            [(umbrella.as_str(), "no-such-id", "id"), ("umbrella", "nothing", "name")]
        {
            let mut reported = Vec::new();
            for value in [there, missing] {
                let spec = json!({ "organization": { field: value } });
                let web = world.subject("Project", "web");
                world.apply("Project", "web", through_shared(&world, spec)).await;
                let denied = web.until_reason("AccessDenied").await;
                let message = condition(&denied, "Ready")["message"].as_str().unwrap().to_owned();
                reported.push(message.replace(value, "…"));
                web.delete().await;
                web.until_gone().await;
            }
            assert_eq!(reported[0], reported[1]);
        }
        unshare(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_does_not_tell_by_which_organization() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([]), true).await;
    let id = world.zitadel.add_organization("umbrella");
    world.apply(ORGANIZATION, "umbrella", through_shared(&world, json!({}))).await;
    let refused = world.subject(ORGANIZATION, "umbrella").until_reason("Conflict").await;
    assert_message(&refused, &["umbrella", "choose another name"]);
    assert!(!refused["status"].to_string().contains(&id), "{refused}");
    assert_eq!(names(&world), ["umbrella"]);
    world.subject(ORGANIZATION, "umbrella").delete().await;
    world.subject(ORGANIZATION, "umbrella").until_gone().await;
    unshare(&world).await;
}
