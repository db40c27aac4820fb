//! What somebody waits for wakes him when it comes, long before his own next try.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::deed::Deed::Apply;
use crate::rules::{does, in_a_world, project, reason};
use crate::world::{CONNECTION, World};

/// Who fails for so long tries again every ten minutes.
const LONG: Duration = Duration::from_secs(2 * 3600);

/// Shorter than a resync.
const PROMPT: Duration = Duration::from_secs(30);

/// A world with the delays of production.
fn patient(run: impl AsyncFnOnce(&World)) {
    in_a_world(behaviour(), async |world| {
        world.start_with(Config::default());
        run(world).await;
    });
}

#[test]
fn the_secret_of_a_connection_that_is_being_deleted_wakes_its_users_when_it_comes_back() {
    patient(async |world| {
        does(world, [project("web", json!({}))]).await;
        let token = world.token();
        world.delete("Connection", CONNECTION).await;
        world.remove_secret(CONNECTION).await;
        sleep(Duration::from_secs(60)).await;
        world.crash().await;
        world.start_with(Config::default());
        sleep(LONG).await;
        assert_eq!(reason(world, "Project", "web").await, "CredentialsUnavailable");
        world.store_token(&token).await;
        sleep(PROMPT).await;
        assert_eq!(reason(world, "Project", "web").await, "Available");
        assert_eq!(reason(world, "Connection", CONNECTION).await, "Deleting");
        world.delete("Project", "web").await;
        sleep(PROMPT).await;
        assert_eq!(world.get("Connection", CONNECTION).await, json!(null), "its last user is gone");
    });
}

#[test]
fn an_organization_of_the_namespace_wakes_who_waits_for_its_name_when_it_is_made_and_when_it_is_renamed() {
    let late = behaviour().lagging(Duration::from_secs(20));
    in_a_world(late, async |world| {
        world.start_with(Config::default());
        let named = |name: &str| json!({ "organization": { "name": name } });
        does(world, [project("web", named("Shop")), project("api", named("store"))]).await;
        sleep(LONG).await;
        for name in ["web", "api"] {
            assert_eq!(reason(world, "Project", name).await, "NotFound");
        }
        let shop = |name: &str| Apply("Organization", "shop".into(), json!({ "name": name }).into());
        does(world, [shop("shop")]).await;
        let found = [reason(world, "Project", "web").await, reason(world, "Project", "api").await];
        assert_eq!(found, ["Available", "NotFound"]);
        does(world, [shop("store")]).await;
        assert_eq!(reason(world, "Project", "api").await, "Available");
    });
}
