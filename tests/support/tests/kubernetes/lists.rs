//! Lists: pages, snapshots, selectors.

use kube::api::{ListParams, Patch, VersionMatch};
use serde_json::json;

use crate::{World, by, conformance, refusal};

conformance!(
    pages,
    pages_of_a_selection,
    by_label,
    by_field,
    unusable_selectors,
    versions,
    metadata_only,
    one_namespace
);

async fn names(world: &World, params: ListParams) -> Vec<String> {
    let list = world.widgets().list(&params).await.unwrap();
    list.items.into_iter().map(|object| object.metadata.name.unwrap()).collect()
}

/// The second page shows the collection as it was at the first.
async fn pages(world: World) {
    for name in ["a", "b", "c", "d", "e"] {
        world.create(name).await;
    }
    let mut params = ListParams::default().limit(2);
    let first = world.widgets().list(&params).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    world.create("bb").await;
    world.widgets().delete("c", &Default::default()).await.unwrap();
    world.merge("d", json!({ "spec": { "note": "later" } })).await.unwrap();
    params.continue_token = first.metadata.continue_;
    let second = world.widgets().list(&params).await.unwrap();
    let seen = second.items.iter().map(|object| object.metadata.name.clone().unwrap()).collect::<Vec<_>>();
    assert_eq!(seen, ["c", "d"]);
    assert!(second.items[1].data["spec"]["note"].is_null());
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    params.continue_token = second.metadata.continue_;
    let last = world.widgets().list(&params).await.unwrap();
    assert_eq!(last.items.len(), 1);
    assert_eq!(last.metadata.continue_.unwrap_or_default(), "");
    params.continue_token = Some("nonsense".into());
    assert_eq!(refusal(world.widgets().list(&params).await).0, 400);
}

/// In all namespaces, with others in between.
async fn pages_of_a_selection(world: World) {
    let second = World { namespace: "default".into(), ..world.clone() };
    let id = format!("id-{}", world.namespace);
    let status = Patch::Merge(json!({ "status": { "id": id } }));
    for (n, place) in [&world, &second, &world, &second, &world, &second, &world].into_iter().enumerate() {
        for name in [format!("{id}-{n}-chosen"), format!("{id}-{n}-other")] {
            place.create(&name).await;
        }
        let chosen = format!("{id}-{n}-chosen");
        place.widgets().patch_status(&chosen, &by("tester"), &status).await.unwrap();
    }
    let mut params = ListParams::default().fields(&format!("status.id={id}")).limit(2);
    let mut pages = Vec::new();
    loop {
        let page = everywhere(&world).list(&params).await.unwrap();
        pages.push(page.items.len());
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(pages, [2, 2, 2, 1]);
}

fn everywhere(world: &World) -> kube::Api<kube::api::DynamicObject> {
    let gvk = kube::api::GroupVersionKind::gvk("conformance.example.com", "v1", "Widget");
    kube::Api::all_with(world.client.clone(), &kube::api::ApiResource::from_gvk(&gvk))
}

async fn by_label(world: World) {
    world.create_with("a", json!({ "metadata": { "labels": { "tier": "gold", "new": "" } } })).await;
    world.create_with("b", json!({ "metadata": { "labels": { "tier": "silver" } } })).await;
    world.create("c").await;
    let cases: [(&str, &[&str]); 8] = [
        ("tier=gold", &["a"]),
        ("tier==gold,new", &["a"]),
        ("tier!=gold", &["b", "c"]),
        ("tier", &["a", "b"]),
        ("!tier", &["c"]),
        ("tier in (gold, silver)", &["a", "b"]),
        ("tier notin (gold),tier", &["b"]),
        ("new=", &["a"]),
    ];
    for (selector, expected) in cases {
        assert_eq!(names(&world, ListParams::default().labels(selector)).await, expected, "{selector}");
    }
}

async fn by_field(world: World) {
    world.create_with("a", json!({ "spec": { "owner": "one" } })).await;
    world.create_with("b", json!({ "spec": { "owner": "two" } })).await;
    let status = Patch::Merge(json!({ "status": { "id": "7" } }));
    world.widgets().patch_status("b", &by("tester"), &status).await.unwrap();
    let cases: [(&str, &[&str]); 6] = [
        ("metadata.name=a", &["a"]),
        ("metadata.name!=a", &["b"]),
        ("spec.owner=two", &["b"]),
        ("status.id=7", &["b"]),
        ("status.id=", &["a"]),
        ("spec.owner=two,metadata.name=a", &[]),
    ];
    for (selector, expected) in cases {
        assert_eq!(names(&world, ListParams::default().fields(selector)).await, expected, "{selector}");
    }
}

async fn unusable_selectors(world: World) {
    let by_field = world.widgets().list(&ListParams::default().fields("spec.note=x")).await;
    assert_eq!(refusal(by_field), (400, "BadRequest".into(), "field label not supported: spec.note".into()));
    let by_label = world.widgets().list(&ListParams::default().labels("=x")).await;
    assert_eq!(refusal(by_label).0, 400);
}

async fn versions(world: World) {
    let first = world.create("a").await.metadata.resource_version.unwrap();
    let second = world.create("b").await.metadata.resource_version.unwrap();
    let exact = ListParams::default().at(&first).matching(VersionMatch::Exact);
    assert_eq!(names(&world, exact).await, ["a"]);
    // Where only the first is asked for, a cache may answer that has not seen the second yet.
    let newer = ListParams::default().at(&second).matching(VersionMatch::NotOlderThan);
    assert_eq!(names(&world, newer).await, ["a", "b"]);
    assert_eq!(names(&world, ListParams::default().match_any()).await, ["a", "b"]);
    assert_eq!(refusal(world.widgets().list(&ListParams::default().at("abc")).await).0, 400);
}

async fn metadata_only(world: World) {
    world.create_with("a", json!({ "metadata": { "labels": { "x": "y" } } })).await;
    let list = world.widgets().list_metadata(&ListParams::default()).await.unwrap();
    let only = &list.items[0];
    assert_eq!(only.types.as_ref().unwrap().kind, "PartialObjectMetadata");
    assert_eq!(only.metadata.labels.as_ref().unwrap()["x"], "y");
    let one = world.widgets().get_metadata("a").await.unwrap();
    assert_eq!(one.metadata.resource_version, only.metadata.resource_version);
}

async fn one_namespace(world: World) {
    world.create("a").await;
    let elsewhere = World { namespace: "default".into(), ..world.clone() };
    elsewhere.create(&format!("of-{}", world.namespace)).await;
    assert_eq!(names(&world, ListParams::default()).await, ["a"]);
    let all = everywhere(&world).list(&ListParams::default()).await.unwrap();
    let namespaces: Vec<_> =
        all.items.iter().filter_map(|object| object.metadata.namespace.clone()).collect();
    assert!(namespaces.contains(&world.namespace) && namespaces.contains(&"default".to_owned()));
    assert!(namespaces.is_sorted());
}
