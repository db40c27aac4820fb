use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::*;
use crate::api::{ConnectionKind, OrgMetadata, Organization, Project};
use crate::engine::drivers::kind::Kind;
use crate::engine::index::claims::{Claim, Claims};
use crate::engine::index::selector::OrganizationIdentity;
use crate::engine::watch::sources::{Source, SourceKind};

fn guard<K: Kind>(object: Value) -> DeserializeGuard<K> {
    serde_json::from_value(object).unwrap()
}

fn object(namespace: &str, name: &str, spec: Value, status: Value) -> Value {
    let metadata = json!({ "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}") });
    [("metadata", metadata), ("spec", spec), ("status", status)].into_iter().collect()
}

fn project(namespace: &str, name: &str, spec: Value, status: Value) -> Facts {
    Facts::of::<Project>(&guard(object(namespace, name, spec, status)))
}

fn key(namespace: &str, name: &str) -> ConnectionKey {
    let kind = match namespace {
        "" => ConnectionKind::ClusterConnection,
        _ => ConnectionKind::Connection,
    };
    ConnectionKey { kind, namespace: namespace.into(), name: name.into() }
}

fn names(index: &Index, selector: Selector<'_>) -> Vec<String> {
    let mut names: Vec<String> =
        index.list(selector).into_iter().map(|a| format!("{}/{}", a.namespace, a.name)).collect();
    names.sort();
    assert_eq!(index.has_any(selector), !names.is_empty());
    names
}

fn own() -> Value {
    json!({ "connectionRef": { "kind": "Connection", "name": "own" } })
}

fn owned(organization: &str) -> Value {
    json!({ "id": "7", "organizationId": organization, "instance": "i" })
}

#[test]
fn a_change_moves_a_resource_and_a_departure_takes_it_out() {
    let index = Index::default();
    let (shared, tenant) = (key("", "default"), key("a", "own"));
    assert_eq!(index.put(project("a", "web", json!({}), json!({}))), None);
    assert_eq!(index.put(project("a", "web", json!({}), owned("o"))), None, "it uses the same connection");
    assert_eq!(names(&index, Selector::Connection(&shared)), ["a/web"]);
    assert_eq!(index.put(project("a", "web", own(), json!({}))), Some(shared.clone()));
    assert_eq!(names(&index, Selector::Connection(&shared)), [""; 0]);
    assert_eq!((index.users(&shared), index.users(&tenant)), (0, 1));
    assert_eq!(names(&index, Selector::Namespace("a")), ["a/web"]);
    assert_eq!(index.remove("a/web"), Some(tenant.clone()));
    assert_eq!(index.remove("a/web"), None);
    assert_eq!(names(&index, Selector::Namespace("a")), [""; 0]);
    let state = index.state();
    assert!(state.entries.is_empty() && state.related.is_empty() && state.uses.is_empty());
    assert!(state.readiness.0.is_empty());
}

#[test]
fn who_lives_in_an_organization_is_found_by_bond_and_by_reference() {
    let index = Index::default();
    let named = |name: &str| json!({ "organization": { "ref": { "name": name } } });
    let observed = json!({ "managementPolicy": "Observe" });
    index.put(project("a", "bound", json!({}), owned("o")));
    index.put(project("a", "both", named("shop"), owned("o")));
    index.put(project("a", "refers", named("shop"), json!({})));
    index.put(project("a", "elsewhere", named("other"), owned("p")));
    index.put(project("a", "observes", observed, owned("o")));
    index.put(project("b", "stranger", json!({}), owned("o")));
    index.put(project("b", "tenant", own(), owned("o")));
    index.put(project("b", "same-name", named("shop"), json!({})));
    let owner = |connection| Claimant {
        uid: "s".into(),
        address: Address { kind: "Organization", namespace: "a".into(), name: "shop".into() },
        connection,
    };
    let instances = ["i".to_owned(), "before".to_owned()];
    let organization = Some(OrganizationIdentity { id: "o", instances: &instances });
    let shared = owner(ConnectionKind::ClusterConnection);
    let found = names(&index, Selector::Organization { owner: &shared, organization });
    assert_eq!(found, ["a/both", "a/bound", "a/refers", "b/stranger"]);
    let tenant = owner(ConnectionKind::Connection);
    let found = names(&index, Selector::Organization { owner: &tenant, organization });
    assert_eq!(found, ["a/both", "a/bound", "a/refers"]);
    let found = names(&index, Selector::Organization { owner: &shared, organization: None });
    assert_eq!(found, ["a/both", "a/refers"]);
}

#[test]
fn names_of_organizations_are_found_without_case_in_their_namespace() {
    let index = Index::default();
    for (namespace, name) in [("a", "Shop"), ("b", "shop")] {
        index.put(project(namespace, "web", json!({ "organization": { "name": name } }), json!({})));
        let organization = object(namespace, "o", json!({ "name": name }), json!({}));
        index.put(Facts::of::<Organization>(&guard(organization)));
    }
    index.put(Facts::of::<Organization>(&guard(object("a", "SHOP2", json!({}), json!({})))));
    let (namespace, name) = ("a", "sHOP");
    assert_eq!(names(&index, Selector::Named { namespace, name }), ["a/web"]);
    assert_eq!(names(&index, Selector::Called { namespace, name }), ["a/o"]);
    assert_eq!(names(&index, Selector::Called { namespace, name: "shop2" }), ["a/SHOP2"]);
}

#[test]
fn a_source_is_found_in_the_namespace_where_it_is_read() {
    let index = Index::default();
    let from = |kind: &str| json!({ "key": kind, "valueFrom": { kind: { "name": "site", "key": "k" } } });
    let metadata = json!({ "entries": [from("configMapKeyRef"), from("configMapKeyRef")] });
    index.put(Facts::of::<OrgMetadata>(&guard(object("a", "meta", metadata, json!({})))));
    let endpoint = json!({ "url": "https://z", "personalAccessToken": { "name": "site" } });
    let endpoint = serde_json::from_value(endpoint).unwrap();
    for (key, namespace_read) in [(key("", "main"), "operator"), (key("a", "own"), "a")] {
        let uid = key.to_string();
        index.put(Facts::of_connection(&key, uid, (namespace_read, Some(&endpoint)), ReadyState::MALFORMED));
    }
    let source = |kind, namespace| Selector::Source(Source { kind, namespace, name: "site" });
    assert_eq!(names(&index, source(SourceKind::ConfigMap, "a")), ["a/meta"]);
    assert_eq!(names(&index, source(SourceKind::Secret, "a")), ["a/own"]);
    assert_eq!(names(&index, source(SourceKind::Secret, "operator")), ["/main"]);
    assert_eq!(names(&index, source(SourceKind::ConfigMap, "operator")), [""; 0]);
}

#[test]
fn what_does_not_parse_may_use_any_connection_of_its_namespace() {
    let index = Index::default();
    index.put(project("a", "broken", json!({ "name": 7 }), json!({})));
    assert_eq!(index.readiness(), [(("Project", ReadyState::MALFORMED), 1)]);
    assert_eq!(index.users(&key("a", "own")), 1);
    assert_eq!((index.users(&key("b", "own")), index.users(&key("", "default"))), (0, 0));
    index.put(project("a", "broken", json!({}), json!({})));
    assert_eq!((index.users(&key("a", "own")), index.users(&key("", "default"))), (0, 1));
}

#[test]
fn needs_of_the_same_kind_and_place_are_told_once_and_end_with_the_last() {
    let index = Index::default();
    let retained = json!({ "deletionPolicy": "Retain" });
    index.put(project("a", "one", json!({}), owned("o")));
    index.put(project("a", "two", retained, owned("o")));
    index.put(project("a", "other", json!({}), owned("p")));
    let needs = || index.needs(&key("", "default"));
    assert_eq!(needs().len(), 2);
    let all = needs()[0].permissions.len();
    index.remove("a/one");
    assert!(needs()[0].permissions.len() < all, "nothing is deleted there any more");
    index.remove("a/two");
    index.remove("a/other");
    assert!(needs().is_empty());
}

/// Ten thousand resources of a hundred namespaces, each in one of a hundred organizations and with its claim.
fn crowd(visits: &Visits) -> (Index, Claims) {
    let (index, claims) = (Index::new(visits.clone()), Claims::new(visits.clone()));
    for n in 0..10_000 {
        let facts =
            project(&format!("ns{}", n % 100), &n.to_string(), json!({}), owned(&(n % 100).to_string()));
        claims.acquire(&claim(n), &Arc::new(facts.who.clone())).unwrap();
        index.put(facts);
    }
    (index, claims)
}

fn claim(n: usize) -> Claim {
    Claim::on_id("i", "Project", &n.to_string())
}

#[test]
fn among_ten_thousand_a_look_visits_what_it_finds_and_nothing_else() {
    let visits = Visits::default();
    let (index, claims) = crowd(&visits);
    let cost = |ask: &dyn Fn()| {
        let before = visits.get();
        ask();
        visits.get() - before
    };
    let shared = key("", "default");
    let (who, uid) = (project("ns7", "7", json!({}), owned("7")).who, "ns7/7");
    let source = Source { kind: SourceKind::ConfigMap, namespace: "ns7", name: "site" };
    let owner = Claimant { uid: "o".into(), ..who.clone() };
    let instances = ["i".to_owned()];
    let organization = Some(OrganizationIdentity { id: "7", instances: &instances });
    let namespace_read = Selector::Organization { owner: &owner, organization };
    let rows: [(&str, u64, &dyn Fn()); 9] = [
        ("a settled reconcile gives nothing up", 1, &|| drop(claims.release_where(uid, |_| false))),
        ("one goes", 1, &|| drop(claims.release(uid))),
        ("a right through a connection", 1, &|| assert!(index.uses(&shared, &who))),
        ("is it used?", 1, &|| assert!(index.has_any(Selector::Connection(&shared)))),
        ("how often?", 0, &|| assert_eq!(index.users(&shared), 10_000)),
        ("a ConfigMap is written", 0, &|| assert!(index.list(Selector::Source(source)).is_empty())),
        ("does anybody live here?", 1, &|| assert!(index.has_any(namespace_read))),
        ("who lives here?", 100, &|| assert_eq!(index.list(namespace_read).len(), 100)),
        ("what is needed?", 100, &|| assert_eq!(index.needs(&shared).len(), 100)),
    ];
    for (what, most, ask) in rows {
        let visited = cost(ask);
        println!("{what} {visited} visits");
        assert!(visited <= most, "{what} {visited} visits, at most {most}");
    }
}
