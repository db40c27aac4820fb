//! Ten thousand resources: what one event costs does not grow with them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::estate::{Estate, Instance, estate, shared};
use crate::world::say;

const NAMESPACES: usize = 100;

/// The most that the operator allows.
const RATE: (u32, u32) = (100, 200);

/// So many resources wait for the grant of their namespace.
const LATE: usize = 10;

/// So long nobody looks again by himself.
const FOR_EVER: &str = "168h";

const HOUR: Duration = Duration::from_secs(3600);

/// Projects of many namespaces that are ready through one `ClusterConnection`, and some of one that it is not granted to.
struct Crowd {
    estate: Estate,
    zitadel: Arc<Instance>,
}

/// Each of the namespaces has so many, and so many more that are paused.
fn crowd((each, paused): (usize, usize), resync: &'static str, run: impl AsyncFnOnce(&Crowd)) {
    estate(7, async move |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection("main", &zitadel, RATE).await;
        estate.grant("main", &zitadel, RATE, resync, json!([all_but_late()])).await;
        for number in 0..NAMESPACES {
            let namespace = format!("team{number}");
            estate.projects(&namespace, shared("main"), each).await;
            estate.paused_projects(&namespace, shared("main"), paused).await;
        }
        estate.projects("late", shared("main"), LATE).await;
        estate.start();
        let crowd = Crowd { estate, zitadel };
        crowd.settle(NAMESPACES * each).await;
        run(&crowd).await;
    });
}

fn all_but_late() -> Value {
    let other = json!({ "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["late"] });
    json!({ "namespaceSelector": { "matchExpressions": [other] }, "organizations": [{ "all": true }] })
}

impl Crowd {
    /// Lets time pass until nobody but those of `late` is without what it wants.
    async fn settle(&self, projects: usize) {
        let patience = Instant::now() + HOUR;
        while self.zitadel.double.projects(&self.zitadel.acme).len() < projects {
            assert!(Instant::now() < patience);
            sleep(Duration::from_secs(10)).await;
        }
        sleep(Duration::from_secs(30)).await;
        assert_eq!(self.estate.unready("late").await.len(), LATE);
    }

    /// Lets time pass until hardly anybody but those of `late` is looked at: what the paused ones say is written slowly.
    async fn rest(&self) {
        let patience = Instant::now() + HOUR;
        loop {
            let before = self.reconciles();
            sleep(Duration::from_secs(60)).await;
            if self.reconciles() - before <= LATE as u64 {
                return;
            }
            assert!(Instant::now() < patience);
        }
    }

    /// The reconciles of projects so far.
    fn reconciles(&self) -> u64 {
        self.estate.metric("zitadel_operator_reconcile_total", "controller=\"Project\"") as u64
    }

    /// One grant more; answers the reconciles, visits and calls of the minute after.
    async fn grant(&self) -> (u64, u64, usize) {
        let late = json!({
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "late" } },
            "organizations": [{ "all": true }],
        });
        let (edited, before) = (Instant::now(), (self.reconciles(), self.estate.visits()));
        self.estate.grant("main", &self.zitadel, RATE, FOR_EVER, json!([all_but_late(), late])).await;
        sleep(Duration::from_secs(60)).await;
        let (reconciles, visits) = (self.reconciles() - before.0, self.estate.visits() - before.1);
        (reconciles, visits, self.zitadel.sent_since(edited))
    }
}

#[test]
fn a_reconcile_visits_a_few_of_ten_thousand_and_a_grant_for_one_namespace_more_wakes_those_of_that_one() {
    crowd((10, 90), FOR_EVER, async |crowd| {
        crowd.rest().await;
        let (visits, reconciles) = (crowd.estate.visits(), crowd.reconciles());
        say(&format!("10,000 seen, 1,000 of them made: {visits} visits in {reconciles} reconciles"));
        assert!(reconciles >= 10_000);
        assert!(visits <= 5 * reconciles, "{visits} visits in {reconciles} reconciles");
        let (woken, visits, calls) = crowd.grant().await;
        say(&format!("one grant more: {woken} reconciles, {visits} visits and {calls} calls"));
        assert_eq!(crowd.estate.unready("late").await, [""; 0]);
        assert!(woken <= 3 * LATE as u64, "{woken} reconciles for {LATE} resources");
        assert!(visits <= 30 * LATE as u64, "{visits} visits for {LATE} resources");
        assert!(calls <= 10 * LATE, "{calls} calls for {LATE} resources");
    });
}

#[test]
fn of_six_hundred_that_meet_another_instance_one_asks_which_it_is() {
    crowd((6, 0), "30s", async |crowd| {
        let mark = crowd.zitadel.double.ledger().mark();
        crowd.zitadel.double.replace_instance();
        sleep(Duration::from_secs(90)).await;
        let calls = crowd.zitadel.double.ledger().since(mark);
        let asked = calls.iter().filter(|call| call.path == "/management/v1/iam").count();
        say(&format!("another instance: {asked} of {} calls in 90 s ask which it is", calls.len()));
        assert_eq!(crowd.estate.unready("").await.len(), NAMESPACES * 6 + LATE);
        assert!(asked <= 40, "{asked} calls ask for the instance");
    });
}

#[test]
fn an_edit_of_its_grants_forgets_nothing_that_was_learned_through_a_connection() {
    estate(8, async move |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection_with("main", &zitadel, RATE, FOR_EVER).await;
        let named = json!({ "connectionRef": shared("main"), "organization": { "name": "acme" } });
        estate.cluster.add_namespace("team");
        estate.apply("Project", "team", "first", named.clone()).await;
        estate.start();
        estate.converge(HOUR).await;
        let all = json!({ "namespaceSelector": {}, "organizations": [{ "all": true }] });
        estate.grant("main", &zitadel, RATE, FOR_EVER, json!([all, all_but_late()])).await;
        sleep(Duration::from_secs(60)).await;
        let mark = zitadel.double.ledger().mark();
        estate.apply("Project", "team", "second", named).await;
        estate.converge(HOUR).await;
        let calls = zitadel.double.ledger().since(mark).into_iter().map(|call| call.path);
        let learned: Vec<String> = calls.filter(|path| path.contains("/organizations")).collect();
        assert_eq!(learned, [""; 0]);
    });
}
