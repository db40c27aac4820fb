//! `Organization`: an organization from its creation to its removal, and what ZITADEL refuses.

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Behaviour, InjectedFault, State};

use crate::kstatus::Kstatus;
use crate::needs_double;
use crate::subject::Subject;
use crate::waits::{assert_kstatus, assert_message, condition};
use crate::world::World;

pub const ORGANIZATION: &str = "Organization";
pub const RECREATE: &str = "zitadel-operator.dev/recreate";

/// A world of this server line.
pub async fn world_of(line: Behaviour) -> World {
    let mut world = World::without_operator().await;
    world.zitadel.configure(|behaviour| *behaviour = line);
    world.start_operator().await;
    world
}

#[track_caller]
pub fn id_of(object: &Value) -> String {
    object["status"]["id"].as_str().unwrap_or_else(|| panic!("no id: {object}")).to_owned()
}

/// The names of the organizations that the double has besides its default one and acme.
pub fn names(world: &World) -> Vec<String> {
    let others = world.zitadel.organizations().into_iter();
    let known = [world.zitadel.default_organization(), world.organization.clone()];
    others.filter(|found| !known.contains(&found.id)).map(|found| found.name).collect()
}

/// How many organizations were created through the API.
pub fn creations(world: &World) -> usize {
    let made = |r: &&support::zitadel::Request| r.method == Method::POST && r.path == "/v2/organizations";
    world.zitadel.ledger().writes().iter().filter(made).count()
}

/// An `Organization` that is ready, its name that of the resource.
async fn ready<'a>(world: &'a World, name: &'a str, spec: Value) -> (Subject<'a>, String) {
    let subject = world.subject(ORGANIZATION, name);
    subject.apply(spec).await;
    let id = id_of(&subject.until_ready().await);
    (subject, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn its_id_is_the_uid_of_the_resource_where_the_server_lets_it_choose() {
    needs_double!("its own way into the data or the ledger");
    for (line, chosen) in [(Behaviour::v4(), true), (Behaviour::v3(), false)] {
        let world = world_of(line).await;
        let (globex, id) = ready(&world, "globex", json!({})).await;
        let now = globex.now().await;
        assert_eq!(now["metadata"]["uid"] == json!(id), chosen, "{now}");
        let annotated = |o: &Value| o["metadata"]["annotations"]["zitadel-operator.dev/id"] == json!(id);
        globex.until("was annotated with its id", annotated).await;
        assert_eq!(names(&world), ["globex"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_organization_is_never_deleted_and_the_patch_of_the_message_frees() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let default = world.zitadel.default_organization();
    let zitadel = world.subject(ORGANIZATION, "zitadel");
    zitadel.apply(json!({ "name": "ZITADEL", "adoptionPolicy": "ByName", "deletionPolicy": "Delete" })).await;
    assert_eq!(id_of(&zitadel.until_ready().await), default);
    zitadel.delete().await;
    let blocked = zitadel.until_reason("DeletionBlocked").await;
    assert_kstatus(&blocked, Kstatus::Terminating);
    assert_message(&blocked, &[&default, "default organization", "make another one the default"]);
    world.assert_calm().await;
    world.assert_no_writes();
    world.run_command_of(condition(&blocked, "Ready")["message"].as_str().unwrap()).await;
    zitadel.until_gone().await;
    assert_eq!(world.zitadel.organization(&default).unwrap().state, State::Active);
}

/// What somebody removed in ZITADEL, and what its resource says then.
async fn removed_behind_its_back(world: &World) -> (Subject<'_>, String, Value) {
    let (globex, id) = ready(world, "globex", json!({})).await;
    world.zitadel.remove_organization(&id);
    globex.annotate("zitadel-operator.dev/reconcile-requested-at", "now").await;
    let gone = globex.until_reason("NotFound").await;
    (globex, id, gone)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_somebody_removed_is_made_again_once_and_only_when_a_person_asks() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4()] {
        let world = world_of(line).await;
        let (globex, id, gone) = removed_behind_its_back(&world).await;
        assert_kstatus(&gone, Kstatus::Failed);
        assert_message(&gone, &[&id, "removed in ZITADEL by somebody else", "delete this resource"]);
        world.assert_calm().await;
        assert_eq!((names(&world), creations(&world)), (vec![], 1));

        globex.annotate(RECREATE, "another-id").await;
        world.assert_calm().await;
        assert_eq!(creations(&world), 1, "asked for another organization");

        world.run_command_of(condition(&gone, "Ready")["message"].as_str().unwrap()).await;
        let again = globex.until_ready().await;
        assert_eq!((names(&world), creations(&world)), (vec!["globex".to_owned()], 2));
        assert!(world.zitadel.organization(&id_of(&again)).unwrap().state == State::Active);
        let forgotten = |o: &Value| o["metadata"]["annotations"][RECREATE].is_null();
        globex.until("forgot the request", forgotten).await;

        world.zitadel.remove_organization(&id_of(&again));
        globex.annotate("zitadel-operator.dev/reconcile-requested-at", "again").await;
        globex.until_reason("NotFound").await;
        assert_eq!(creations(&world), 2, "one request, one organization");
        globex.delete().await;
        globex.until_gone().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_make_it_again_outlives_an_outage() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let (globex, id, _) = removed_behind_its_back(&world).await;
    let outage = world.zitadel.inject(InjectedFault::unavailable());
    globex.annotate(RECREATE, id).await;
    globex.until("told of the outage", |o| condition(o, "Synced")["reason"] == "Unavailable").await;
    world.assert_calm().await;
    outage.remove();
    globex.until_ready().await;
    assert_eq!((names(&world), creations(&world)), (vec!["globex".to_owned()], 2));
}
