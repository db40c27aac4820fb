//! `Organization`: an organization from its creation to its removal, and what ZITADEL refuses.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Actor, Behaviour, InjectedFault, OrgWorld, State};

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

/// A world that looks at ZITADEL again every 300 ms.
async fn watchful_world() -> World {
    let mut world = World::without_operator().await;
    world.patch_connection(json!({ "resyncInterval": "300ms" })).await;
    world.start_operator().await;
    world
}

/// A name that no other organization of the instance has.
fn unique(world: &World, name: &str) -> String {
    format!("{name} of {}", world.namespace)
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
async fn a_created_organization_is_ready_with_id_sequence_and_dates() {
    let world = World::new().await;
    let (acme, name) = (world.subject(ORGANIZATION, "acme"), unique(&world, "Acme"));
    let born = acme.apply(json!({ "name": name, "deletionPolicy": "Delete" })).await;
    assert_kstatus(&born, Kstatus::InProgress);
    let ready = acme.until_ready().await;
    assert_kstatus(&ready, Kstatus::Current);
    let (status, remote) = (&ready["status"], world.person.organization(&id_of(&ready)).await);
    assert_eq!((&remote["name"], &remote["state"]), (&json!(name), &json!("ORG_STATE_ACTIVE")));
    assert_eq!(status["organizationId"], status["id"]);
    assert_eq!(status["instance"], world.person.instance().await);
    assert_eq!(status["sequence"], remote["details"]["sequence"]);
    for date in ["changeDate", "creationDate"] {
        let at = |text: &Value| text.as_str().unwrap_or_default().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(at(&status[date]), at(&remote["details"][date]), "{date}");
    }
    assert_eq!((&status["deletionPolicy"], &status["origin"]), (&json!("Delete"), &json!("Created")));
    acme.delete().await;
    acme.until_gone().await;
    assert_eq!(world.person.organization(&id_of(&ready)).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_and_state_follow_the_spec_and_the_id_stays() {
    let world = World::new().await;
    let (acme, id) = ready(&world, "acme", json!({ "name": unique(&world, "Before") })).await;
    for (name, state, shown) in
        [("After", "Inactive", "ORG_STATE_INACTIVE"), ("AFTER", "Active", "ORG_STATE_ACTIVE")]
    {
        let name = unique(&world, name);
        acme.apply(json!({ "name": name, "state": state })).await;
        let changed = acme.until_ready().await;
        let remote = world.person.organization(&id).await;
        assert_eq!((&remote["name"], &remote["state"]), (&json!(name), &json!(shown)));
        assert_eq!(id_of(&changed), id);
        assert_eq!(changed["status"]["sequence"], remote["details"]["sequence"]);
        let reported = world.until_event("acme", "Updated").await;
        assert!(reported.contains("name") && reported.contains("state"), "{reported}");
    }
    world.person.remove_organization(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_look_writes_nothing_on_either_side() {
    let world = World::new().await;
    for state in ["Active", "Inactive"] {
        let name = state.to_lowercase();
        let spec = json!({ "name": unique(&world, state), "state": state });
        let (organization, id) = ready(&world, &name, spec).await;
        let before = organization.now().await;
        organization.assert_no_write().await;
        let mut after = organization.now().await;
        after["status"]["lastHandledReconcileAt"] = Value::Null;
        assert_eq!(without_nulls(&after["status"]), without_nulls(&before["status"]));
        world.person.remove_organization(&id).await;
    }
}

fn without_nulls(value: &Value) -> Value {
    let fields = value.as_object().expect("an object").clone();
    fields.into_iter().filter(|(_, field)| !field.is_null()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_any_field_is_reverted_and_named_in_an_event_and_in_status() {
    let world = watchful_world().await;
    for field in ["name", "state"] {
        let (organization, id) = ready(&world, field, json!({ "name": unique(&world, field) })).await;
        match field {
            "name" => world.person.rename_organization(&id, &unique(&world, "theirs")).await,
            _ => world.person.deactivate_organization(&id).await,
        }
        let healed = organization
            .until("told of the drift", |o| o["status"]["drift"]["fields"] == json!([field]))
            .await;
        let remote = world.person.organization(&id).await;
        assert_eq!(remote["name"], unique(&world, field));
        assert_eq!(remote["state"], "ORG_STATE_ACTIVE");
        assert_eq!(healed["status"]["sequence"], remote["details"]["sequence"]);
        let note = world.until_event(field, "DriftReverted").await;
        assert!(note.ends_with(field), "{note}");
        world.person.remove_organization(&id).await;
    }
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
async fn it_is_left_in_zitadel_unless_the_resource_says_delete() {
    needs_double!("its own way into the data or the ledger");
    let world = World::new().await;
    let (kept, _) = ready(&world, "kept", json!({})).await;
    let (removed, _) = ready(&world, "removed", json!({ "deletionPolicy": "Delete" })).await;
    assert_eq!(kept.now().await["status"]["deletionPolicy"], "Retain");
    for organization in [kept, removed] {
        organization.delete().await;
        organization.until_gone().await;
    }
    assert_eq!(names(&world), ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_gone_in_zitadel_already_is_released() {
    needs_double!("its own way into the data or the ledger");
    for line in [Behaviour::v3(), Behaviour::v4()] {
        let world = world_of(line).await;
        let (globex, id) = ready(&world, "globex", json!({ "deletionPolicy": "Delete" })).await;
        world.zitadel.remove_organization(&id);
        globex.delete().await;
        globex.until_gone().await;
        assert_eq!(world.zitadel.ledger().count(&Method::DELETE, "/management/v1/orgs"), 0);
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

#[tokio::test(flavor = "multi_thread")]
async fn under_observe_differences_are_told_and_nothing_is_written() {
    needs_double!("its own way into the data or the ledger");
    let world = watchful_world().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({ "managementPolicy": "Observe" })).await;
    assert_kstatus(&globex.until_reason("NotFound").await, Kstatus::Failed);
    let id = world.zitadel.add_organization("globex");
    assert_kstatus(&globex.until_ready().await, Kstatus::Current);
    world.zitadel.set_organization_state(&id, State::Inactive);
    let drifted = globex.until_reason("DriftDetected").await;
    assert_eq!(drifted["status"]["drift"]["fields"], json!(["state"]));
    assert_kstatus(&drifted, Kstatus::Failed);
    world.zitadel.set_organization_state(&id, State::Active);
    let agreed = globex.until_ready().await;
    assert_eq!(agreed["status"]["drift"], Value::Null);
    assert_eq!(agreed["metadata"]["finalizers"], Value::Null);
    globex.delete().await;
    globex.until_gone().await;
    assert_eq!(names(&world), ["globex"]);
    world.assert_no_writes();
}

/// One of acme's people, as whom the operator logs in, creates nothing and learns why, until it may.
async fn denied(who: fn(&OrgWorld) -> &Actor, words: &[&str]) {
    let mut world = World::without_operator().await;
    let actor = who(&world.zitadel.add_staff(&world.organization)).clone();
    world.store_token(&actor.token).await;
    world.start_operator().await;
    let globex = world.subject(ORGANIZATION, "globex");
    globex.apply(json!({})).await;
    let denied = globex.until_reason("PermissionDenied").await;
    assert_kstatus(&denied, Kstatus::Failed);
    assert_message(&denied, words);
    world.assert_calm().await;
    world.assert_no_writes();
    world.zitadel.set_instance_roles(&actor.user, &["IAM_OWNER"]);
    assert_kstatus(&globex.until_ready().await, Kstatus::Current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_learns_which_permission_and_role_a_create_needs() {
    needs_double!("its own way into the data or the ledger");
    denied(|acme| &acme.viewer, &["org.create", "IAM_OWNER", "Connection"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_owner_learns_which_permission_and_role_a_create_needs() {
    needs_double!("its own way into the data or the ledger");
    denied(|acme| &acme.owner, &["org.create", "IAM_OWNER", "Connection"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_it_too_and_a_404_proves_no_absence() {
    needs_double!("its own way into the data or the ledger");
    denied(|acme| &acme.nobody, &["AUTHZ-cdgFk", "org.create", "IAM_OWNER"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_were_taken_away_stop_changes_and_recreate_nothing() {
    needs_double!("its own way into the data or the ledger");
    for (roles, permission) in [(&["IAM_OWNER_VIEWER"][..], "org.write"), (&[][..], "org.read")] {
        let mut world = World::without_operator().await;
        let operator =
            world.zitadel.create_user(&world.zitadel.default_organization(), "operator", &["IAM_OWNER"]);
        world.store_token(&operator.token).await;
        world.start_operator().await;
        let (globex, _) = ready(&world, "globex", json!({})).await;
        world.zitadel.set_instance_roles(&operator.user, roles);
        globex.apply(json!({ "name": "renamed" })).await;
        let denied = globex.until_reason("PermissionDenied").await;
        assert_kstatus(&denied, Kstatus::Failed);
        assert_message(&denied, &[permission, "IAM_OWNER"]);
        world.assert_calm().await;
        assert_eq!((names(&world), creations(&world)), (vec!["globex".to_owned()], 1));
        world.zitadel.set_instance_roles(&operator.user, &["IAM_OWNER"]);
        globex.until_ready().await;
        assert_eq!(names(&world), ["renamed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_right_to_delete_blocks_the_deletion_until_it_is_given_back() {
    needs_double!("its own way into the data or the ledger");
    let mut world = World::without_operator().await;
    let operator =
        world.zitadel.create_user(&world.zitadel.default_organization(), "operator", &["IAM_OWNER"]);
    world.store_token(&operator.token).await;
    world.start_operator().await;
    let (globex, _) = ready(&world, "globex", json!({ "deletionPolicy": "Delete" })).await;
    world.zitadel.set_instance_roles(&operator.user, &["IAM_OWNER_VIEWER"]);
    globex.delete().await;
    let blocked = globex.until_reason("DeletionBlocked").await;
    assert_message(&blocked, &["org.delete", "kubectl patch organizations"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(names(&world), ["globex"]);
    world.zitadel.set_instance_roles(&operator.user, &["IAM_OWNER"]);
    globex.until_gone().await;
    assert_eq!(names(&world), [""; 0]);
}
