//! Who waits for ZITADEL waits: what an outage of many resources costs the operator and Kubernetes.

use std::time::Duration;

use tokio::time::sleep;

use crate::estate::{Estate, State, WELL, estate, shared};
use crate::world::say;

const RATE: (u32, u32) = (20, 40);
const RESOURCES: usize = 500;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The most writes to resources and of events in a second of this time, and all of them.
async fn writes(estate: &Estate, span: Duration) -> (usize, usize) {
    let (mut most, mut all) = (0, 0);
    for _ in 0..span.as_secs() {
        let before = estate.cluster.resource_version();
        sleep(Duration::from_secs(1)).await;
        let count = estate.cluster.writes_since(before).len();
        (most, all) = (most.max(count), all + count);
    }
    (most, all)
}

#[test]
fn an_outage_of_many_resources_costs_few_reconciles_and_writes_at_a_bounded_rate() {
    estate(12, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection_with("main", &zitadel, RATE, "2m").await;
        for team in 0..10 {
            estate.projects(&format!("team{team}"), shared("main"), RESOURCES / 10).await;
        }
        estate.start();
        estate.converge(minutes(10)).await;
        let reconciles = |estate: &Estate| {
            estate.metric("zitadel_operator_reconcile_total", "controller=\"Project\"") / RESOURCES as f64
        };
        for state in [State::Refuses, State::BlackHole] {
            zitadel.set(state);
            let before = reconciles(&estate);
            let (most, all) = writes(&estate, minutes(20)).await;
            let each = reconciles(&estate) - before;
            say(&format!(
                "{state:?} for 20 min, {RESOURCES} resources: {each:.1} reconciles each, {all} writes to Kubernetes, at most {most} in a second"
            ));
            assert_eq!(estate.unready("").await.len(), RESOURCES, "all are told");
            assert!(each <= 8.0, "{each} reconciles of each");
            // The status twice, an event once.
            assert!(all <= 4 * RESOURCES && most <= 120, "{all} writes, {most} in a second");
            zitadel.set(WELL);
            estate.converge(minutes(10)).await;
        }
    });
}
