//! The way to ZITADEL: whose certificates, under which name, never the operator's own host, and how often.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use support::tls::{Authority, Front};
use support::zitadel::Double;
use zitadel_operator::engine::decision::config::Config;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization_grants::{HOME, grant, share, through_shared, unshare};
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{CONNECTION, World, config};

/// Puts certificates into the Secret and the ConfigMap `ca`.
async fn store(world: &World, certificates: &str) {
    let metadata = json!({ "name": "ca", "labels": { "zitadel-operator.dev/allow": "true" } });
    let data = json!({ "ca.crt": certificates });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data });
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data });
    let person = PatchParams::apply("a-person").force();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.patch("ca", &person, &Patch::Apply(secret)).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    maps.patch("ca", &person, &Patch::Apply(map)).await.unwrap();
}

fn only(place: &str, value: Value) -> Value {
    let mut bundle = json!({ "inline": null, "configMapKeyRef": null, "secretKeyRef": null });
    bundle[place] = value;
    json!({ "caBundle": bundle })
}

async fn until_synced(world: &World, reason: &str) -> Value {
    world.project("web").until_synced_reason(reason).await
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_trusted_from_each_place_and_changed_without_a_restart() {
    needs_double!("TLS with a certificate authority of the test");
    let world = World::new().await;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let upstream = world.zitadel.url().trim_start_matches("http://").parse().unwrap();
    let front = Front::start(&first, upstream).await.unwrap();
    world.patch_connection(json!({ "url": front.url(), "insecure": false })).await;
    world.project("web").apply(json!({})).await;
    assert_message(&until_synced(&world, "Unavailable").await, &["UnknownIssuer"]);

    world.patch_connection(only("inline", json!(first.pem()))).await;
    assert_kstatus(&world.project("web").until_ready().await, Kstatus::Current);
    let reference = json!({ "name": "ca", "key": "ca.crt" });
    let (mut shown, mut next) = (first, second);
    for place in ["configMapKeyRef", "secretKeyRef"] {
        store(&world, &shown.pem()).await;
        world.patch_connection(only(place, reference.clone())).await;
        front.present(&next);
        world.project("web").request().await;
        assert_message(&until_synced(&world, "Unavailable").await, &["UnknownIssuer"]);
        store(&world, &next.pem()).await;
        until_synced(&world, "Available").await;
        (shown, next) = (next, shown);
    }
    assert_eq!(world.history().await, ["project.added"]);
    assert!(front.protocols().iter().all(|protocol| protocol == "h2"), "{:?}", front.protocols());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_cannot_be_read_keep_nothing_from_being_deleted() {
    needs_double!("TLS with a certificate authority of the test");
    let world = World::new().await;
    let authority = Authority::new("only");
    let upstream = world.zitadel.url().trim_start_matches("http://").parse().unwrap();
    let front = Front::start(&authority, upstream).await.unwrap();
    store(&world, &authority.pem()).await;
    let bundle = only("configMapKeyRef", json!({ "name": "ca", "key": "ca.crt" }));
    world.patch_connection(bundle).await;
    world.patch_connection(json!({ "url": front.url(), "insecure": false })).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    store(&world, "garbled 7f3a91").await;
    world
        .until("Connection", CONNECTION, "was refused", |c| condition(c, "Ready")["reason"] == "InvalidSpec")
        .await;
    world.project("web").delete().await;
    world.project("web").until_gone().await;
    assert_eq!(world.history().await, ["project.added", "project.removed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_service_every_call_and_the_assertion_name_the_external_domain() {
    needs_double!("a second instance under a domain of its own");
    let world = World::new().await;
    let builder = Double::builder().domain("login.example.com").external_secure();
    let zitadel = builder.start().await.unwrap();
    let organization = zitadel.add_organization("acme");
    let owner = zitadel.create_user(&organization, "owner", &["ORG_OWNER"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "inside", "labels": { "zitadel-operator.dev/allow": "true" } },
        "stringData": { "key.json": zitadel.create_machine_key(&owner.user) },
    });
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.namespace);
    secrets.patch("inside", &PatchParams::apply("a-person"), &Patch::Apply(secret)).await.unwrap();
    let connection = json!({
        "url": zitadel.url(), "externalDomain": "login.example.com", "jwtProfile": { "name": "inside" },
    });
    world.apply("Connection", "inside", connection).await;
    let reference = json!({ "kind": "Connection", "name": "inside" });
    world.apply("Project", "web", json!({ "connectionRef": reference })).await;
    world.project("web").until_ready().await;
    let calls = zitadel.ledger().select(|_| true);
    assert!(calls.iter().any(|call| call.path == "/oauth/v2/token"), "{calls:?}");
    assert!(calls.iter().all(|call| call.host == "login.example.com"), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_connection_of_a_tenant_never_leads_to_the_operator_itself() {
    needs_double!("the ledger");
    let mut world = World::without_operator().await;
    let mark = world.zitadel.ledger().mark();
    world.start_operator_in_cluster(HOME).await;
    world.project("web").apply(json!({})).await;
    let port = world.zitadel.url().rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        world.patch_connection(json!({ "url": format!("http://{host}:{port}"), "insecure": true })).await;
        let refused = world.until("Connection", CONNECTION, "was refused", |connection| {
            let ready = condition(connection, "Ready");
            let current = ready["observedGeneration"] == connection["metadata"]["generation"];
            current && ready["reason"] == "InvalidSpec"
        });
        let refused = refused.await;
        assert_kstatus(&refused, Kstatus::Failed);
        assert_message(&refused, &["loopback"]);
    }
    assert_message(&world.project("web").until_reason("InvalidSpec").await, &["loopback"]);
    assert_eq!(world.calls_since(mark).len(), 0);

    share(&world, json!([grant(&world, &json!([{ "all": true }]), false)])).await;
    let spec = json!({ "organization": { "id": world.organization } });
    world.apply("Project", "shared", through_shared(&world, spec)).await;
    world.project("shared").until_ready().await;
    world.project("shared").delete().await;
    world.project("shared").until_gone().await;
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_gets_more_than_the_operator_lets_it_and_it_says_so() {
    needs_double!("the ledger");
    let mut world = World::without_operator().await;
    let (min_resync, most) = (Duration::from_secs(600), 20);
    let config = Config { max_requests_per_second: most, min_resync, ..config() };
    world.patch_connection(json!({ "resyncInterval": "1s" })).await;
    let mark = world.zitadel.ledger().mark();
    world.start_operator_with(config).await;
    let names: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    for name in &names {
        world.project(name).apply(json!({})).await;
    }
    for name in &names {
        world.project(name).until_ready().await;
    }
    let reported = world.until("Connection", CONNECTION, "was told", |connection| {
        let message = condition(connection, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        message.contains("600s, the shortest here") && message.contains("20/s, burst 40, the most here")
    });
    assert_kstatus(&reported.await, Kstatus::Current);
    let calls = world.calls_since(mark);
    assert!(calls.len() > 60, "{} calls are too few to show a rate", calls.len());
    let second = jiff::SignedDuration::from_secs(1);
    for first in &calls {
        let within = calls.iter().filter(|call| (first.at..first.at + second).contains(&call.at)).count();
        assert!(within <= 60, "{within} calls within a second");
    }
}
