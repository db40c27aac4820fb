//! Resources that somebody made to do harm.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::process::Process;
use crate::needs_double;
use crate::waits::{condition, until_answered};
use crate::world::{CONNECTION, World, through_connection};

/// What paths, headers and JSON could be broken with.
const HOSTILE: [&str; 17] = [
    "/",
    ".",
    "..",
    "../../admin/v1/orgs",
    "%2f",
    "%2e%2e%2f",
    "a%0d%0aX-Evil: 1",
    "a?b=c&d",
    "a#b",
    "\\..\\",
    "\"}{\"",
    "💣\u{202e}é\u{0301}",
    " ",
    "a;b=c",
    "_search",
    "$(id)`id`",
    "'--",
];

/// What the paths of all calls begin with.
const KNOWN: [&str; 9] = [
    "/auth/v1/",
    "/management/v1/iam",
    "/admin/v1/instances/me",
    "/management/v1/projects",
    "/management/v1/metadata",
    "/management/v1/orgs/me",
    "/admin/v1/orgs/",
    "/v2/organizations/",
    "/management/v1/policies/",
];

/// No call left the paths that the operator knows, and none named an organization but those of the spec.
#[track_caller]
fn assert_no_injection(world: &World, organizations: &[&str]) {
    let is_operators = world.is_operators();
    for call in world.zitadel.ledger().requests().into_iter().filter(is_operators) {
        let known = KNOWN.iter().any(|known| call.path.starts_with(known));
        assert!(known && !call.path.contains("/../") && !call.path.contains("//"), "{call:?}");
        assert_eq!(call.query, "", "{call:?}");
        if let Some(organization) = &call.organization {
            let asked = *organization == world.organization || organizations.contains(&organization.as_str());
            assert!(asked, "{call:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_become_names_and_nothing_else() {
    needs_double!("the ledger");
    let world = World::new().await;
    for (n, name) in HOSTILE.iter().enumerate() {
        let spec = through_connection(json!({ "name": format!("{name}{n}") }));
        world.try_apply("Project", &format!("p{n}"), spec).await.unwrap();
    }
    for n in 0..HOSTILE.len() {
        world.project(&format!("p{n}")).until_ready().await;
    }
    let expected: Vec<String> = HOSTILE.iter().enumerate().map(|(n, name)| format!("{name}{n}")).collect();
    let mut found = world.project_names().await;
    found.sort_by_key(|name| expected.iter().position(|other| other == name));
    assert_eq!(found, expected);
    assert_no_injection(&world, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_refused_by_the_api_server() {
    let world = World::without_operator().await;
    for hostile in ["a\nb", "a\r\nX-Evil: 1", "a\u{0}b", "\u{7f}", "a\u{9b}b"] {
        let key = json!([{ "key": hostile, "value": "v" }]);
        for (kind, spec) in [
            ("Project", json!({ "name": hostile })),
            ("Project", json!({ "organization": { "id": hostile } })),
            ("Organization", json!({ "name": hostile })),
            ("OrgMetadata", json!({ "entries": key })),
        ] {
            let refused = world.try_apply(kind, "hostile", through_connection(spec)).await;
            assert!(refused.is_err(), "{kind} {hostile:?}");
        }
        let domain = json!({ "url": world.zitadel.url(), "externalDomain": hostile, "personalAccessToken": { "name": CONNECTION } });
        let applied = world.try_apply("Connection", "hostile", domain).await;
        assert!(applied.is_err(), "externalDomain {hostile:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_ids_reach_one_segment_of_a_path_and_change_nothing() {
    needs_double!("the ledger");
    let world = World::new().await;
    let mine = world.zitadel.create_project(&world.organization, "theirs");
    let mark = world.zitadel.ledger().mark();
    let (mut asked, mut names) = (Vec::new(), Vec::new());
    for (n, hostile) in HOSTILE.iter().enumerate() {
        let ids = [(*hostile).to_owned(), format!("{mine}/{hostile}")];
        for (m, id) in ids.iter().enumerate() {
            names.push(format!("import{n}-{m}"));
            world.project(&names[names.len() - 1]).import(id, json!({ "name": "hijacked" })).await;
        }
        let spec = through_connection(json!({ "organization": { "id": hostile } }));
        if world.try_apply("Project", &format!("org{n}"), spec).await.is_ok() {
            asked.push(*hostile);
            names.push(format!("org{n}"));
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
    for name in &names {
        let reported = |object: &Value| condition(object, "Ready")["status"] == "False";
        world.project(name).until("was told", reported).await;
    }
    assert_eq!(world.writes_since(mark).len(), 0);
    assert_eq!(world.project_names().await, ["theirs"]);
    assert_no_injection(&world, &asked);
}

/// One resource of 1 MiB, which is what etcd takes at most: two values of the largest size, and keys like paths.
fn huge(n: usize) -> Value {
    let value = |letter: &str| letter.repeat(500_000);
    through_connection(json!({ "entries": [
        { "key": format!("../{n}/a"), "value": value("a") },
        { "key": format!("%2f{n}"), "value": value("b") },
    ]}))
}

#[tokio::test(flavor = "multi_thread")]
async fn large_resources_cost_bounded_memory_and_processor_time() {
    needs_double!("the ledger");
    let world = World::without_operator().await;
    let operator = Process::start(&world, &[]).await;
    for n in 0..4 {
        let annotation = json!({ "example.com/ballast": "x".repeat(200_000) });
        world.try_apply_annotated("OrgMetadata", &format!("m{n}"), annotation, huge(n)).await.unwrap();
    }
    for n in 0..4 {
        world.subject("OrgMetadata", &format!("m{n}")).until_ready().await;
    }
    assert_eq!(world.zitadel.metadata(&world.organization).len(), 8);
    let (memory, time) = (operator.peak_memory(), operator.processor_time());
    eprintln!("{memory} MiB at most, {time:?} of processor time");
    assert!(memory < 256, "{memory} MiB, the limit of the Deployment");
    assert!(time < Duration::from_secs(60), "{time:?}");
    world.until_quiet().await;
    let before = operator.processor_time();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = operator.processor_time() - before;
    assert!(idle < Duration::from_millis(400), "{idle:?} in two idle seconds");
    let metrics = operator.metrics().await;
    assert!(
        metrics.contains(r#"reconcile_reasons_total{controller="OrgMetadata",reason="Available"}"#),
        "{metrics}"
    );
    assert_no_injection(&world, &[]);
}

/// A body that is far too large must not become memory.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_costs_no_memory() {
    needs_double!("outages");
    let world = World::without_operator().await;
    let endless = support::zitadel::InjectedFault::oversized(64 << 20).on(Method::GET);
    let fault = world.zitadel.inject(endless);
    let operator = Process::start(&world, &[]).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_reason("Unavailable").await;
    until_answered("asked a few times", async || (world.zitadel.ledger().requests().len() >= 3, ())).await;
    assert!(operator.peak_memory() < 128, "{} MiB", operator.peak_memory());
    fault.remove();
}
