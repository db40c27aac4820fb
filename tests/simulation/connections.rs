//! What a connection says of itself, and whom it tells, where the Kubernetes API is late or its answers are lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::kubernetes::{Call, Delivery, Failure, FaultDecision, Faults};
use support::zitadel::InjectedFault;
use tokio::time::{Instant, sleep, timeout};
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::{does, in_a_world, project, reason, rule};
use crate::world::{CONNECTION, World};

/// Longer than the first retry takes.
const LAG: Duration = Duration::from_secs(5);

/// Shorter than a resync.
const PROMPT: Duration = Duration::from_secs(30);

async fn synced(world: &World) -> Value {
    let connection = world.get("Connection", CONNECTION).await;
    let conditions = connection["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == "Synced").unwrap_or_default()
}

/// Resolves once the connection says that it works, or does not.
async fn is_synced(world: &World, status: &str) {
    while synced(world).await["status"] != status {
        sleep(Duration::from_millis(100)).await;
    }
}

/// The connection's next look at ZITADEL fails, and the operator's watch is late to show what it wrote of that.
async fn a_blip(world: &World) {
    is_synced(world, "True").await;
    world.cluster.set_watch_lag(LAG);
    let blip = world.zitadel.inject(InjectedFault::unavailable());
    is_synced(world, "False").await;
    blip.remove();
}

#[test]
fn a_connection_that_works_again_says_so_before_the_watch_shows_that_it_did_not() {
    rule(async |world| {
        a_blip(world).await;
        timeout(PROMPT, is_synced(world, "True")).await.expect("it works");
    });
}

#[test]
fn a_spec_that_the_watch_has_not_shown_is_not_said_to_work() {
    rule(async |world| {
        a_blip(world).await;
        let mut spec = world.connection();
        spec["personalAccessToken"]["name"] = json!("missing");
        world.apply("Connection", CONNECTION, spec).await;
        let generation = world.get("Connection", CONNECTION).await["metadata"]["generation"].clone();
        let end = Instant::now() + PROMPT;
        while Instant::now() < end {
            let reported = synced(world).await;
            assert!(
                reported["observedGeneration"] != generation || reported["status"] == "False",
                "{reported}"
            );
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(synced(world).await["reason"], "CredentialsUnavailable");
    });
}

fn writes_status(call: &Call) -> bool {
    call.resource == "connections" && call.subresource == "status"
}

/// No status of a connection may be written.
struct Refused;

impl Faults for Refused {
    fn before(&self, call: &Call) -> FaultDecision {
        match writes_status(call) {
            true => FaultDecision::Fail(Failure::new(403, "Forbidden", "may not be written")),
            false => FaultDecision::Go,
        }
    }
}

/// The answer to one write of a connection's status is lost.
#[derive(Default)]
struct Lost(AtomicBool);

impl Faults for Lost {
    fn after(&self, call: &Call) -> Delivery {
        match writes_status(call) && !self.0.swap(true, Ordering::SeqCst) {
            true => Delivery::Lose,
            false => Delivery::Deliver,
        }
    }
}

#[test]
fn what_waits_for_a_connection_goes_on_although_the_answer_to_its_status_is_lost() {
    in_a_world(behaviour(), async |world| {
        // The delays of production, of which the slowest is 10 minutes.
        world.start_with(Config::default());
        does(world, [project("web", json!({}))]).await;
        let token = world.token();
        world.remove_secret(CONNECTION).await;
        sleep(Duration::from_secs(2 * 3600)).await;
        assert_eq!(reason(world, "Project", "web").await, "CredentialsUnavailable");
        world.cluster.set_faults(Lost::default());
        world.store_token(&token).await;
        sleep(PROMPT).await;
        assert_eq!(synced(world).await["status"], "True");
        assert_eq!(reason(world, "Project", "web").await, "Available");
    });
}

#[test]
fn a_connection_that_may_not_say_how_it_is_has_nobody_look_again_and_again() {
    in_a_world(behaviour(), async |world| {
        world.start_with(Config::default());
        does(world, [project("web", json!({}))]).await;
        world.cluster.set_faults(Refused);
        let mut spec = world.connection();
        spec["rateLimit"] = json!({ "requestsPerSecond": 10 });
        world.apply("Connection", CONNECTION, spec).await;
        sleep(PROMPT).await;
        let mark = world.zitadel.ledger().mark();
        sleep(Duration::from_secs(600)).await;
        let looks = world.zitadel.ledger().since(mark).into_iter();
        let looks = looks.filter(|request| request.path.starts_with("/management/v1/projects")).count();
        assert!(looks <= 12, "{looks} looks, of which the resync makes one a minute");
    });
}
