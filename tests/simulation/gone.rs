//! Of what is gone nothing stays, also where nobody saw it go.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::behaviour;
use crate::deed::Deed::*;
use crate::rules::{SOON, does, in_a_world, project, rule};
use crate::unlisted::Unlisted;
use crate::world::{CONNECTION, World};

/// Does the operator have a session of the connection?
fn is_open(world: &World) -> bool {
    world.metrics().lines().any(|line| line.starts_with("zitadel_operator_circuits{"))
}

#[test]
fn a_connection_that_goes_closes_its_session_also_unseen() {
    for unseen in [false, true] {
        rule(async |world| {
            does(world, [project("web", json!({})), Wait(SOON), Delete("Project", "web".into())]).await;
            assert!(is_open(world));
            if unseen {
                world.cluster.set_watch_lag(SOON);
            }
            world.delete("Connection", CONNECTION).await;
            if unseen {
                world.cluster.compact();
                world.cluster.end_watches();
                world.cluster.set_watch_lag(Duration::ZERO);
            }
            tokio::time::sleep(SOON).await;
            assert_eq!(world.get("Connection", CONNECTION).await, Value::Null);
            assert!(!is_open(world));
        });
    }
}

#[test]
fn a_connection_that_goes_before_all_kinds_are_known_closes_its_session_then() {
    in_a_world(behaviour(), async |world| {
        world.cluster.set_faults(Unlisted("orgfeatures"));
        world.start();
        tokio::time::sleep(SOON).await;
        world.delete("Connection", CONNECTION).await;
        tokio::time::sleep(SOON).await;
        assert!(is_open(world), "something may need it yet");
        world.cluster.clear_faults();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!is_open(world));
    });
}
