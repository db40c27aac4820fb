//! A `ClusterConnection` decides which namespaces may create, take over and live in which organizations.

use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::zitadel::{Double, InjectedFault, OrganizationFeatures};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of, names};
use crate::organization_ref::{all, by_reference, every_kind, possessions, subjects};
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{World, config};

/// Where the operator of these tests lives.
pub const HOME: &str = "default";

/// A `ClusterConnection` with these grants, named like the namespace; its Secret lies where the operator lives.
pub async fn share(world: &World, access: Value) {
    share_from(world, HOME, access).await;
}

/// The same for an operator of another namespace: those of other tests cannot use it, so that each call counts.
pub async fn share_from(world: &World, home_organization: &str, access: Value) {
    let name = world.namespace.as_str();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), home_organization);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
        "stringData": { "token": world.zitadel.admin_token() },
    });
    secrets.patch(name, &PatchParams::apply("a-person"), &Patch::Apply(secret)).await.unwrap();
    let spec = json!({
        "url": world.zitadel.url(), "insecure": true, "personalAccessToken": { "name": name },
        "rateLimit": { "requestsPerSecond": 1000, "burst": 1000 }, "access": access,
    });
    world.apply("ClusterConnection", name, spec).await;
}

/// One grant to the namespace of this world, of everything in these organizations.
pub fn grant(world: &World, organizations: &Value, create: bool) -> Value {
    let labels = json!({ "kubernetes.io/metadata.name": world.namespace });
    json!({
        "namespaceSelector": { "matchLabels": labels }, "organizations": organizations, "createOrganizations": create,
        "kinds": ["OrgDomainPolicy"], "deleteOrganizations": true,
    })
}

/// The same spec through the `ClusterConnection` of `owner`.
pub fn through_shared(owner: &World, mut spec: Value) -> Value {
    spec["connectionRef"] = json!({ "kind": "ClusterConnection", "name": owner.namespace });
    spec
}

/// Other operators of the process would go on trying it.
pub async fn unshare(world: &World) {
    unshare_from(world, HOME).await;
}

/// The same where it was shared from another namespace.
pub async fn unshare_from(world: &World, home_organization: &str) {
    let name = world.namespace.as_str();
    let api = world.api("ClusterConnection");
    api.delete(name, &DeleteParams::default()).await.unwrap();
    world.until("ClusterConnection", name, "went", Value::is_null).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), home_organization);
    secrets.delete(name, &DeleteParams::default()).await.unwrap();
}

/// A world whose namespace has these rights through its `ClusterConnection`.
pub async fn shared(organizations: Value, create: bool) -> World {
    with_shared(World::without_operator().await, organizations, create).await
}

/// The same for this world.
pub async fn with_shared(mut world: World, organizations: Value, create: bool) -> World {
    world.zitadel.configure(|behaviour| {
        behaviour.organization_features = OrganizationFeatures::Implemented;
    });
    share(&world, json!([grant(&world, &organizations, create)])).await;
    world.start_operator_from(HOME).await;
    world
}

/// Applies `globex` and everything in it through the `ClusterConnection`; the id.
pub async fn settle(world: &World, spec: Value) -> String {
    world.apply(ORGANIZATION, "globex", through_shared(world, spec)).await;
    for (subject, (kind, spec)) in subjects(world).into_iter().zip(every_kind()) {
        world.apply(kind, subject.name, through_shared(world, by_reference(spec))).await;
    }
    for subject in subjects(world) {
        subject.until_ready().await;
    }
    let id = id_of(&world.subject(ORGANIZATION, "globex").until_ready().await);
    assert_eq!(possessions(world, &id).await, all());
    id
}

/// What was sent about organizations, other than reads of this one.
fn sent(world: &World) -> usize {
    world.zitadel.ledger().count(&Method::POST, "/v2/organizations")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_create_nothing_is_sent_and_with_it_it_works() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([{ "all": true }]), false).await;
    world.apply(ORGANIZATION, "globex", through_shared(&world, json!({}))).await;
    let globex = world.subject(ORGANIZATION, "globex");
    let denied = globex.until_reason("AccessDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    let connection = format!("ClusterConnection {}", world.namespace);
    assert_message(&denied, &[&connection, &world.namespace, "createOrganizations", "cluster admin"]);
    world.assert_calm().await;
    assert_eq!(sent(&world), 0);
    share(&world, json!([grant(&world, &json!([]), true)])).await;
    assert_kstatus(&globex.until_ready().await, Kstatus::Current);
    unshare_after(&world, ORGANIZATION, "globex").await;
}

/// Takes away what still uses the connection, then the connection.
async fn unshare_after(world: &World, kind: &'static str, name: &str) {
    let last = world.subject(kind, name);
    last.delete().await;
    last.until_gone().await;
    unshare(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_namespace_created_every_kind_of_it_may_live_in_without_another_grant() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([]), true).await;
    let id = settle(&world, json!({})).await;
    let by_id = json!({ "organization": { "id": id } });
    world.apply("Project", "by-id", through_shared(&world, by_id)).await;
    world.subject("Project", "by-id").until_ready().await;
    let elsewhere = json!({ "organization": { "id": world.organization } });
    world.apply("Project", "elsewhere", through_shared(&world, elsewhere)).await;
    let denied = world.subject("Project", "elsewhere").until_reason("AccessDenied").await;
    assert_message(&denied, &[&world.organization]);
    for subject in subjects(&world) {
        subject.delete().await;
        subject.until_gone().await;
    }
    for name in ["by-id", "elsewhere"] {
        world.subject("Project", name).delete().await;
        world.subject("Project", name).until_gone().await;
    }
    assert_eq!(possessions(&world, &id).await, vec![""; 0]);
    unshare_after(&world, ORGANIZATION, "globex").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_namespace_created_it_may_neither_live_in_nor_take_over_nor_look_at() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, other) = (World::without_operator().await, World::without_operator().await);
    let access = json!([grant(&world, &json!([]), true), grant(&other, &json!([]), true)]);
    share(&world, access).await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let both = zitadel_operator::engine::decision::config::Config { namespaces, ..config() };
    world.start_operator_of(both, HOME).await;
    world.apply(ORGANIZATION, "globex", through_shared(&world, json!({}))).await;
    let globex = world.subject(ORGANIZATION, "globex");
    let id = id_of(&globex.until_ready().await);
    let mark = world.until_quiet().await;

    let live = json!({ "organization": { "id": id } });
    other.apply("Project", "web", through_shared(&world, live)).await;
    let observe = json!({ "name": "globex", "managementPolicy": "Observe" });
    other.apply(ORGANIZATION, "observer", through_shared(&world, observe)).await;
    let adopt = json!({ "name": "globex", "adoptionPolicy": "ByName" });
    other.apply(ORGANIZATION, "adopter", through_shared(&world, adopt)).await;
    let import = through_shared(&world, json!({}));
    let annotation = json!({ "zitadel-operator.dev/id": id });
    other.try_apply_annotated(ORGANIZATION, "importer", annotation, import).await.unwrap();
    let rows = [
        ("Project", "web", "AccessDenied"),
        (ORGANIZATION, "observer", "AccessDenied"),
        (ORGANIZATION, "adopter", "AccessDenied"),
        (ORGANIZATION, "importer", "AccessDenied"),
    ];
    for (kind, name, reason) in rows {
        let refused = other.subject(kind, name).until_reason(reason).await;
        assert_kstatus(&refused, Kstatus::Failed);
        assert_eq!((&refused["status"]["id"], &refused["status"]["sequence"]), (&Value::Null, &Value::Null));
        let reported = condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
        assert!(!reported.contains(&format!("{}/", world.namespace)), "{reported}");
        other.subject(kind, name).delete().await;
        other.subject(kind, name).until_gone().await;
    }
    assert!(world.writes_since(mark).iter().all(|call| call.committed == 0));
    unshare_after(&world, ORGANIZATION, "globex").await;
}

/// A ZITADEL of the tenant's own that claims to be the instance, and to have just made the organization with this id.
async fn impostor(world: &World, id: &str) -> Double {
    let impostor = Double::start().await;
    let says = |status, body: Value| {
        let answer = InjectedFault::answer(status).header("content-type", "application/json");
        answer.body(body.to_string())
    };
    let identity = json!({ "iamProjectId": world.zitadel.instance_identity() });
    let details = json!({ "sequence": "1", "changeDate": "2026-01-01T00:00:00Z", "resourceOwner": id });
    let organization = json!({ "id": id, "name": "globex", "state": "ORG_STATE_ACTIVE", "details": details });
    let created = json!({ "organizationId": id, "details": details });
    impostor.inject(says(200, identity).path("/management/v1/iam"));
    impostor.inject(says(201, created).path("/v2/organizations"));
    impostor.inject(says(200, json!({ "org": organization })).path("/management/v1/orgs/me"));
    impostor
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_namespace_claims_to_have_created_elsewhere_opens_nothing() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([]), true).await;
    let victim = world.zitadel.add_organization("initech");
    let impostor = impostor(&world, &victim).await;
    // The impostor answers for every organization as for the victim: the header seems to be lost where one is named.
    world.patch_connection(json!({ "url": impostor.url(), "defaultOrganization": null })).await;
    world.store_token(&impostor.admin_token()).await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({})).await;
    assert_eq!(id_of(&globex.until_ready().await), victim);
    let selectors =
        [("by-id", json!({ "id": victim })), ("by-reference", json!({ "ref": { "name": "globex" } }))];
    for (name, selector) in selectors {
        world.apply("Project", name, through_shared(&world, json!({ "organization": selector }))).await;
        let denied = world.subject("Project", name).until_reason("AccessDenied").await;
        assert_kstatus(&denied, Kstatus::Failed);
        world.subject("Project", name).delete().await;
        world.subject("Project", name).until_gone().await;
    }
    assert_eq!(possessions(&world, &victim).await, vec![""; 0]);
    world.assert_no_writes();
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_an_organization_needs_a_grant_of_exactly_it() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([{ "name": "acme" }]), true).await;
    let id = world.zitadel.add_organization("globex");
    let spec = |more: Value| through_shared(&world, more);
    let annotation = json!({ "zitadel-operator.dev/id": id });
    world
        .try_apply_annotated(ORGANIZATION, "imported", annotation, spec(json!({ "name": "globex" })))
        .await
        .unwrap();
    let by_name = spec(json!({ "name": "globex", "adoptionPolicy": "ByName" }));
    world.apply(ORGANIZATION, "adopted", by_name).await;
    let observed = spec(json!({ "name": "globex", "managementPolicy": "Observe" }));
    world.apply(ORGANIZATION, "observed", observed).await;
    for name in ["imported", "adopted", "observed"] {
        let denied = world.subject(ORGANIZATION, name).until_reason("AccessDenied").await;
        assert_message(&denied, &[&world.namespace, "spec.access"]);
        assert_eq!(denied["status"]["sequence"], Value::Null);
    }
    world.assert_no_writes();
    share(&world, json!([grant(&world, &json!([{ "id": id }]), true)])).await;
    world.subject(ORGANIZATION, "observed").until_ready().await;
    let winner = async |name| id_of(&world.subject(ORGANIZATION, name).until_ready().await);
    let (first, second) = ("imported", "adopted");
    let taken = tokio::select! {
        taken = winner(first) => taken,
        taken = winner(second) => taken,
    };
    assert_eq!((taken, names(&world)), (id, vec!["globex".to_owned()]));
    for name in [first, second] {
        world.subject(ORGANIZATION, name).delete().await;
        world.subject(ORGANIZATION, name).until_gone().await;
    }
    unshare_after(&world, ORGANIZATION, "observed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_grant_stops_changes_and_blocks_deletions_until_a_person_decides() {
    needs_double!("its own way into the data or the ledger");
    let world = shared(json!([]), true).await;
    let id = settle(&world, json!({ "deletionPolicy": "Delete" })).await;
    let elsewhere = grant(&world, &json!([{ "name": "acme" }]), false);
    share(&world, json!([elsewhere])).await;
    world
        .apply(
            ORGANIZATION,
            "globex",
            through_shared(&world, json!({ "name": "renamed", "deletionPolicy": "Delete" })),
        )
        .await;
    let globex = world.subject(ORGANIZATION, "globex");
    let mut everything = subjects(&world);
    everything.push(globex);
    for subject in &everything {
        subject.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
        let denied = subject.until_reason("AccessDenied").await;
        assert_kstatus(&denied, Kstatus::Failed);
    }
    let mark = world.until_quiet().await;
    for subject in &everything {
        subject.delete().await;
        let blocked = subject.until_reason("DeletionBlocked").await;
        assert_kstatus(&blocked, Kstatus::Terminating);
        assert_message(&blocked, &["does not grant", "spec.access", "kubectl patch"]);
    }
    assert!(world.writes_since(mark).is_empty());
    assert_eq!((possessions(&world, &id).await, names(&world)), (all(), vec!["globex".to_owned()]));
    let (metadata, rest) = (everything.remove(1), everything);
    let blocked = metadata.now().await;
    world.run_command_of(condition(&blocked, "Ready")["message"].as_str().unwrap()).await;
    metadata.until_gone().await;
    assert_eq!(possessions(&world, &id).await, all());
    share(&world, json!([grant(&world, &json!([]), true)])).await;
    for subject in rest {
        subject.until_gone().await;
    }
    assert_eq!(names(&world), [""; 0]);
    unshare(&world).await;
}
