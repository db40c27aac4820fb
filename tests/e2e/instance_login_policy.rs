//! What an `InstanceLoginPolicy` does, on a real API server.

use http::Method;
use serde_json::{Value, json};

use crate::needs_own_server;
use crate::organization_grants::{HOME, share, through_shared, unshare};
use crate::waits::{assert_message, condition};
use crate::world::World;

const KIND: &str = "InstanceLoginPolicy";
const PATH: &str = "/admin/v1/policies/login";
/// Where an organization without its own reads it up to date.
const IN_FORCE: &str = "/management/v1/policies/login";
const FIELD: &str = "mfaInitSkipLifetime";

/// As ZITADEL has it.
async fn policy(world: &World) -> Value {
    world.person.done(Method::GET, IN_FORCE, &world.organization, Value::Null).await["policy"].take()
}

async fn lifetime(world: &World) -> Value {
    policy(world).await[FIELD].take()
}

/// A change by a person, of this field alone.
async fn edit(world: &World, lifetime: &str) {
    let mut policy = policy(world).await;
    policy[FIELD] = json!(lifetime);
    policy.as_object_mut().unwrap().retain(|field, _| !["details", "isDefault"].contains(&field.as_str()));
    world.person.done(Method::PUT, PATH, "", policy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_policy_is_kept_and_a_deletion_goes_back_to_what_the_spec_says() {
    needs_own_server!();
    let world = World::new().await;
    let before = policy(&world).await;
    let policy = world.subject(KIND, "policy");
    let back = json!({ "deletionPolicy": "Delete", "resetOnDelete": { FIELD: "719h" } });
    let wanted = |lifetime: &str| {
        let mut spec = back.clone();
        spec[FIELD] = json!(lifetime);
        spec
    };
    policy.apply(wanted("721h")).await;
    let ready = policy.until_ready().await;
    assert_eq!(lifetime(&world).await, "2595600s");
    let status = &ready["status"];
    assert_eq!((&status["origin"], &status["effective"][FIELD]), (&json!("Adopted"), &json!("721h")));
    let kept = before["allowUsernamePassword"].as_bool().unwrap_or_default();
    assert_eq!(status["effective"]["allowUsernamePassword"], kept);
    assert_eq!((&status["isDefault"], &status["organizationId"]), (&Value::Null, &Value::Null));

    edit(&world, "0s").await;
    policy.request().await;
    policy.until("was healed", |o| o["status"]["drift"]["fields"] == json!([FIELD])).await;
    assert_eq!(lifetime(&world).await, "2595600s");
    policy.assert_no_write().await;

    policy.delete().await;
    policy.until_gone().await;
    assert_eq!(lifetime(&world).await, "2588400s");
    edit(&world, "2592000s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_about_it_a_deletion_changes_nothing() {
    needs_own_server!();
    let world = World::new().await;
    let policy = world.subject(KIND, "policy");
    policy.apply(json!({ FIELD: "721h" })).await;
    policy.until_ready().await;
    policy.delete().await;
    policy.until_gone().await;
    assert_eq!(lifetime(&world).await, "2595600s");
    edit(&world, "2592000s").await;
}

/// Who may have every organization may not have what they all inherit.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_cluster_connection_only_a_grant_of_kind_and_instance_gives_it() {
    needs_own_server!();
    let mut world = World::without_operator().await;
    let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": world.namespace } });
    let grant = |kinds: &[&str], instance: bool| json!([{ "namespaceSelector": selector, "organizations": [{ "all": true }], "kinds": kinds, "instance": instance }]);
    share(&world, grant(&[KIND], false)).await;
    world.start_operator_from(HOME).await;
    let policy = world.subject(KIND, "policy");
    world.apply(KIND, "policy", through_shared(&world, json!({ FIELD: "720h" }))).await;
    policy.until_reason("AccessDenied").await;
    for access in [grant(&[], true), grant(&["OrgLoginPolicy"], true)] {
        share(&world, access).await;
        let is_known = |o: &Value| o["status"]["observedGeneration"] == o["metadata"]["generation"];
        world.until("ClusterConnection", &world.namespace, "was looked at", is_known).await;
        let denied = policy.reconciled().await;
        assert_message(&denied, &["does not grant", KIND, "instance", "kinds"]);
        assert_eq!(denied["status"]["origin"], Value::Null);
    }
    share(&world, grant(&[KIND], true)).await;
    policy.until("was let in", |o| condition(o, "Ready")["status"] == "True").await;
    policy.delete().await;
    policy.until_gone().await;
    unshare(&world).await;
}
