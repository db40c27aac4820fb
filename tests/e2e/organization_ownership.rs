//! `Organization`: names that are taken, adoption, import, and who lives in it when it is to go.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use zitadel_operator::engine::decision::backoff::Delays;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::runtime::growth::Growth;

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::organization::{ORGANIZATION, id_of, names};
use crate::organization_grants::{HOME, grant, share, through_shared, unshare};
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::{World, config};

/// Nothing but a wake-up brings forward what waits.
pub fn without_polls() -> Config {
    let never = Growth { base: Duration::from_secs(600), cap: Duration::from_secs(600) };
    let config = config();
    let delays = Delays { dependency: never, slow: never, ..config.delays };
    Config { delays, ..config }
}

/// A world in which nothing is polled.
pub async fn world_without_polls() -> World {
    let mut world = World::without_operator().await;
    world.start_operator_with(without_polls()).await;
    world
}

async fn import<'a>(world: &'a World, name: &'a str, id: &str, spec: Value) -> Subject<'a> {
    let subject = world.subject(ORGANIZATION, name);
    subject.import(id, spec).await;
    subject
}

/// Two resources that want the name `shared`; the first has it.
async fn rivals(world: &World, first: Value) -> (Subject<'_>, Subject<'_>) {
    let (one, other) = (world.subject(ORGANIZATION, "first"), world.subject(ORGANIZATION, "second"));
    one.apply(first).await;
    one.until_ready().await;
    other.apply(json!({ "name": "sHARED" })).await;
    let refused = other.until_reason("Conflict").await;
    assert_kstatus(&refused, Kstatus::Failed);
    assert_message(&refused, &[&format!("Organization {}/first", world.namespace), "in the instance"]);
    assert_eq!(refused["status"]["id"], Value::Null);
    (one, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_what_is_not_there_or_what_another_owns_changes_nothing() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let owner = world.subject(ORGANIZATION, "owner");
    owner.apply(json!({})).await;
    let owned = owner.until_ready().await;
    let mark = world.until_quiet().await;
    let rows = [("thief", id_of(&owned), "Conflict"), ("unknown", "123456789".into(), "NotFound")];
    for (name, id, reason) in rows {
        let importer = import(&world, name, &id, json!({ "deletionPolicy": "Delete" })).await;
        let refused = importer.until_reason(reason).await;
        assert_kstatus(&refused, Kstatus::Failed);
        assert_message(&refused, &[&id]);
        importer.delete().await;
        importer.until_gone().await;
    }
    assert!(world.writes_since(mark).is_empty());
    assert_eq!(owner.now().await["status"], owned["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_had_within_seconds_once_its_owner_is_renamed() {
    needs_double!("its own way into the data or the ledger");
    let world = world_without_polls().await;
    let (first, second) = rivals(&world, json!({ "name": "shared" })).await;
    first.apply(json!({ "name": "elsewhere" })).await;
    assert_eq!(second.until_ready().await["status"]["origin"], "Created");
    assert_eq!(names(&world).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_owner_leaves_can_be_adopted_within_seconds() {
    needs_double!("its own way into the data or the ledger");
    let world = world_without_polls().await;
    let (first, second) = rivals(&world, json!({ "name": "shared" })).await;
    let id = id_of(&first.now().await);
    second.apply(json!({ "name": "shared", "adoptionPolicy": "ByName" })).await;
    let refused = second.until_reason("Conflict").await;
    assert_message(&refused, &["/first"]);
    first.delete().await;
    assert_eq!(id_of(&second.until_ready().await), id);
    assert_eq!(names(&world), ["shared"]);
}

/// What lives in the organization with this id: by reference, by id, and as an observer.
async fn inhabited(world: &World, id: &str) {
    let by_reference = json!({ "organization": { "ref": { "name": "globex" } } });
    world.subject("Project", "web").apply(by_reference).await;
    let entries = json!([{ "key": "tier", "value": "gold" }]);
    let by_id = json!({ "organization": { "id": id }, "entries": entries });
    world.subject("OrgMetadata", "tier").apply(by_id).await;
    let observer = json!({ "organization": { "id": id }, "name": "web", "managementPolicy": "Observe" });
    world.subject("Project", "observer").apply(observer).await;
    for (kind, name) in [("Project", "web"), ("OrgMetadata", "tier"), ("Project", "observer")] {
        world.subject(kind, name).until_ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_deletion_waits_for_who_lives_in_it_names_the_near_and_counts_the_far() {
    needs_double!("its own way into the data or the ledger");
    let (mut world, far) = (World::without_operator().await, World::without_operator().await);
    let all = json!([{ "all": true }]);
    share(&world, json!([grant(&world, &all, true), grant(&far, &all, false)])).await;
    let namespaces = vec![world.namespace.clone(), far.namespace.clone()];
    world.start_operator_of(Config { namespaces, ..without_polls() }, HOME).await;
    let globex = world.subject(ORGANIZATION, "globex");
    let spec = through_shared(&world, json!({ "deletionPolicy": "Delete" }));
    world.apply(ORGANIZATION, "globex", spec).await;
    let id = id_of(&globex.until_ready().await);
    // A namespace counts in full, whichever way it goes: these live there through its own connection.
    inhabited(&world, &id).await;
    let secret = far.subject("Project", "secret");
    let inside = json!({ "organization": { "id": id } });
    far.apply("Project", "secret", through_shared(&world, inside)).await;
    secret.until_ready().await;

    globex.delete().await;
    let blocked = globex.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    let (near, others) = (format!("Project {}/web", world.namespace), "1 of other namespaces");
    assert_message(&blocked, &[&near, &format!("OrgMetadata {}/tier", world.namespace), others]);
    let message = condition(&blocked, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(!message.contains("secret") && !message.contains("observer"), "{message}");
    assert_eq!(names(&world), ["globex"]);

    for subject in [world.subject("Project", "web"), world.subject("OrgMetadata", "tier"), secret] {
        assert!(!globex.now().await.is_null());
        subject.delete().await;
        subject.until_gone().await;
    }
    globex.until_gone().await;
    assert_eq!(names(&world), [""; 0]);
    assert_eq!(world.zitadel.ledger().count(&Method::DELETE, "/admin/v1/orgs/"), 1);
    unshare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_many_live_in_it_some_are_named_and_the_command_of_the_message_still_works() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "deletionPolicy": "Delete" })).await;
    globex.until_ready().await;
    let projects: Vec<String> = (0..12).map(|n| format!("{}-{n}", "a-long-name".repeat(8))).collect();
    for name in &projects {
        let spec = json!({ "organization": { "ref": { "name": "globex" } }, "name": name });
        world.subject("Project", name).apply(spec).await;
    }
    for name in &projects {
        world.subject("Project", name).until_ready().await;
    }
    globex.delete().await;
    let blocked = globex.until_reason("DeletionBlocked").await;
    assert_message(&blocked, &["9 more of this namespace"]);
    world.run_command_of(condition(&blocked, "Ready")["message"].as_str().unwrap()).await;
    globex.until_gone().await;
    assert_eq!(names(&world), ["globex"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_within_seconds_when_one_that_only_waited_to_live_in_it_goes() {
    needs_double!("its own way into the data or the ledger");
    let world = world_without_polls().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "deletionPolicy": "Delete" })).await;
    globex.until_ready().await;
    let web = world.subject("Project", "web");
    web.apply(json!({ "organization": { "ref": { "name": "globex" } }, "name": "taken" })).await;
    web.until_ready().await;
    let never = world.subject("Project", "never");
    never.apply(json!({ "organization": { "ref": { "name": "globex" } }, "name": "taken" })).await;
    never.until_reason("Conflict").await;
    globex.delete().await;
    assert_message(&globex.until_reason("DeletionBlocked").await, &["/web", "/never"]);
    for waiting in [web, never] {
        waiting.delete().await;
        waiting.until_gone().await;
    }
    globex.until_gone().await;
}
