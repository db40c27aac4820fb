//! What many tenants and several instances cost one another: calls stay in their budget, and nobody waits for
//! the trouble of another.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::estate::{Estate, Instance, State, WELL, estate, keeps_to, own, shared};
use crate::world::say;

/// The rate of a connection that says none.
const RATE: (u32, u32) = (20, 40);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn minutes(minutes: u64) -> Duration {
    seconds(60 * minutes)
}

/// The longest of the waits between `since` and the creation of what is named so.
fn longest(creations: &BTreeMap<String, f64>, prefix: &str, since: f64) -> f64 {
    let waits = creations.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, at)| at - since);
    waits.fold(0.0, f64::max)
}

fn now_at(instance: &Instance, start: Timestamp) -> f64 {
    instance.double.now().duration_since(start).as_secs_f64()
}

#[test]
fn ten_minutes_of_outage_cost_a_call_a_second_and_a_thousand_resources_come_back_within_the_budget() {
    estate(1, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection_with("main", &zitadel, RATE, "2m").await;
        estate.projects("team", shared("main"), 1000).await;
        estate.start();
        let filled = estate.converge(minutes(10)).await;
        for state in [State::Refuses, State::Starts, State::BlackHole] {
            zitadel.set(state);
            let began = Instant::now();
            sleep(minutes(10)).await;
            let tried = zitadel.sent_since(began);
            assert!((30..=600).contains(&tried), "{state:?}: {tried} calls in 600 s");
            assert_eq!(estate.unready("team").await.len(), 1000, "{state:?} is told");
            zitadel.set(WELL);
            let (back, calm) = (Instant::now(), zitadel.sent().len());
            let healed = estate.converge(minutes(10)).await;
            say(&format!(
                "1,000 projects in {filled:?}; {state:?} for 10 min: {tried} calls, well again {healed:?} and {} calls later",
                zitadel.sent_since(back)
            ));
            assert!(zitadel.sent().len() > calm);
        }
        assert!(keeps_to(RATE, &zitadel.sent()));
    });
}

#[test]
fn a_storm_of_429_is_sat_out_and_no_call_is_made_while_it_was_said_to_wait() {
    estate(2, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection("main", &zitadel, RATE).await;
        estate.projects("team", shared("main"), 300).await;
        zitadel.set(State::Limits(30));
        estate.start();
        sleep(minutes(5)).await;
        let limited = zitadel.sent();
        // At the end of each pause those who come at once meet the next limit.
        assert!((5..=200).contains(&limited.len()), "{} calls", limited.len());
        let pauses = limited.windows(2).filter(|pair| pair[1] - pair[0] >= seconds(30)).count();
        assert!(pauses >= 7, "{pauses} pauses of 30 s in 300 s");
        zitadel.set(WELL);
        let healed = estate.converge(minutes(5)).await;
        say(&format!(
            "429 for 5 min: {} calls in {pauses} pauses, well again after {healed:?}",
            limited.len()
        ));
        assert!(keeps_to(RATE, &zitadel.sent()));
    });
}

#[test]
fn a_server_that_slows_down_is_asked_less_at_once() {
    estate(3, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        estate.cluster_connection("main", &zitadel, RATE).await;
        estate.projects("team", shared("main"), 100).await;
        estate.start();
        estate.converge(minutes(2)).await;
        zitadel.set(State::Answers(seconds(4)));
        estate.projects("late", shared("main"), 100).await;
        let slow = Instant::now();
        sleep(seconds(60)).await;
        let early = zitadel.sent_since(slow);
        let settled = Instant::now();
        sleep(seconds(60)).await;
        let later = zitadel.sent_since(settled);
        say(&format!("answers after 4 s: {early} calls in the first minute, {later} in the second"));
        // One after the other is fifteen a minute; eight at once would be 120.
        assert!(later <= 45, "{later} calls in a minute of answers that take 4 s");
        zitadel.set(WELL);
        estate.converge(minutes(5)).await;
        assert!(keeps_to(RATE, &zitadel.sent()));
    });
}

/// The longest wait of those through a shared connection and through a healthy tenant's, beside 200 of a third.
fn beside(state: State) -> (f64, f64) {
    estate(4, async move |mut estate: Estate| {
        let (main, healthy) = (estate.instance("main.example"), estate.instance("healthy.example"));
        let dead = estate.instance("dead.example");
        let start = main.double.now();
        estate.cluster_connection("main", &main, RATE).await;
        estate.connection("dead", &dead, RATE).await;
        estate.connection("healthy", &healthy, RATE).await;
        dead.set(state);
        estate.projects("dead", own(), 200).await;
        estate.start();
        sleep(minutes(2)).await;
        let since = now_at(&main, start);
        estate.projects("team", shared("main"), 20).await;
        estate.projects("healthy", own(), 20).await;
        sleep(minutes(2)).await;
        assert_eq!((estate.unready("team").await.len(), estate.unready("healthy").await.len()), (0, 0));
        let creations = |instance: &Instance| instance.creations(start);
        (longest(&creations(&main), "team", since), longest(&creations(&healthy), "healthy", since))
    })
}

#[test]
fn a_black_holed_tenant_keeps_nobody_else_waiting() {
    let (without, with) = (beside(WELL), beside(State::BlackHole));
    say(&format!(
        "longest wait beside 200 resources of another tenant: healthy {:.2} s and {:.2} s, black-holed {:.2} s and {:.2} s",
        without.0, without.1, with.0, with.1
    ));
    assert!(with.0 <= without.0 + 0.5, "shared: {with:?}, without {without:?}");
    assert!(with.1 <= without.1 + 0.5, "tenant: {with:?}, without {without:?}");
}

#[test]
fn one_of_two_instances_down_changes_nothing_for_the_other() {
    let run = |down: bool| {
        estate(5, async move |mut estate: Estate| {
            let (one, two) = (estate.instance("one.example"), estate.instance("two.example"));
            let start = one.double.now();
            estate.cluster_connection("one", &one, RATE).await;
            estate.cluster_connection("two", &two, RATE).await;
            estate.projects("first", shared("one"), 200).await;
            two.set(if down { State::BlackHole } else { WELL });
            estate.projects("second", shared("two"), 200).await;
            estate.start();
            sleep(minutes(3)).await;
            assert_eq!(estate.unready("first").await.len(), 0);
            (longest(&one.creations(start), "first", 0.0), one.sent().len())
        })
    };
    let (without, with) = (run(false), run(true));
    say(&format!(
        "200 resources beside an instance that is down: {:.2} s, {} calls; up: {:.2} s, {} calls",
        with.0, with.1, without.0, without.1
    ));
    assert!(with.0 <= without.0 + 0.5, "{with:?}, without {without:?}");
    assert!(with.1 <= without.1 + 5, "{with:?}, without {without:?}");
}

#[test]
fn one_resource_of_a_tenant_does_not_wait_for_two_thousand_of_another() {
    let run = |others: usize| {
        estate(6, async move |mut estate: Estate| {
            let zitadel = estate.instance("zitadel.example");
            let start = zitadel.double.now();
            estate.cluster_connection("main", &zitadel, RATE).await;
            estate.projects("big", shared("main"), others).await;
            estate.start();
            sleep(seconds(30)).await;
            let since = now_at(&zitadel, start);
            estate.projects("small", shared("main"), 1).await;
            sleep(seconds(60)).await;
            longest(&zitadel.creations(start), "small", since)
        })
    };
    let (alone, beside) = (run(0), run(2000));
    say(&format!("one resource alone: {alone:.2} s; beside 2,000 of another namespace: {beside:.2} s"));
    assert!(alone > 0.0 && beside <= alone + 2.0, "{beside} s, alone {alone} s");
}

#[test]
fn what_a_person_edits_goes_before_what_is_looked_at_again() {
    estate(7, async |mut estate: Estate| {
        let zitadel = estate.instance("zitadel.example");
        let start = zitadel.double.now();
        // A resync takes longer than its interval: something always waits.
        let slow = (2, 4);
        estate.cluster_connection("main", &zitadel, slow).await;
        estate.projects("team", shared("main"), 100).await;
        estate.start();
        estate.converge(minutes(10)).await;
        estate.cluster_connection_with("main", &zitadel, slow, "30s").await;
        sleep(minutes(20)).await;
        let since = now_at(&zitadel, start);
        estate.project("team", shared("main"), "edit").await;
        sleep(minutes(1)).await;
        let wait = longest(&zitadel.creations(start), "edit", since);
        say(&format!("an edit among 100 resyncs at 2 calls a second: {wait:.2} s"));
        assert!(wait > 0.0 && wait <= 10.0, "{wait} s");
        assert!(keeps_to(slow, &zitadel.sent()));
    });
}

#[test]
fn two_connections_to_one_instance_share_its_budget_and_the_stricter_rate_counts() {
    estate(8, async |mut estate: Estate| {
        let zitadel = estate.instance("inside.example");
        let outside = estate.alias(&zitadel);
        estate.cluster_connection("inside", &zitadel, (10, 10)).await;
        estate.cluster_connection("outside", &outside, (50, 50)).await;
        estate.projects("one", shared("inside"), 1).await;
        estate.projects("two", shared("outside"), 1).await;
        estate.start();
        estate.converge(seconds(30)).await;
        let known = zitadel.sent().len();
        estate.projects("one", shared("inside"), 200).await;
        estate.projects("two", shared("outside"), 200).await;
        estate.converge(minutes(5)).await;
        // Before it is known where they lead, each has a budget of its own.
        assert!(keeps_to((10, 10), &zitadel.sent()[known..]));
    });
}

/// How often a status of this namespace said that ZITADEL is not there.
fn told_of_an_outage(estate: &Estate, namespace: &str) -> usize {
    let written = estate.cluster.writes().into_iter().filter_map(|write| write.after);
    let here = written.filter(|after| after["metadata"]["namespace"] == namespace);
    here.filter(|after| after["status"]["conditions"].to_string().contains("Unavailable")).count()
}

#[test]
fn the_broken_way_of_one_connection_stops_no_other_to_the_same_instance() {
    let run = |state: State| {
        estate(11, async move |mut estate: Estate| {
            let zitadel = estate.instance("inside.example");
            let (start, outside) = (zitadel.double.now(), estate.alias(&zitadel));
            estate.cluster_connection("inside", &zitadel, RATE).await;
            estate.cluster_connection_with("outside", &outside, RATE, "30s").await;
            estate.projects("far", shared("outside"), 100).await;
            estate.projects("near", shared("inside"), 1).await;
            estate.start();
            estate.converge(minutes(2)).await;
            outside.set(state);
            sleep(minutes(2)).await;
            let since = now_at(&zitadel, start);
            estate.projects("late", shared("inside"), 50).await;
            sleep(minutes(1)).await;
            let unready = estate.unready("late").await.len() + told_of_an_outage(&estate, "late");
            (unready, longest(&zitadel.creations(start), "late", since))
        })
    };
    let (well, broken) = (run(WELL), run(State::BlackHole));
    say(&format!("50 resources beside another way that is well: {:.2} s, broken: {:.2} s", well.1, broken.1));
    assert_eq!((well.0, broken.0), (0, 0));
    assert!(broken.1 <= well.1 + 1.0, "{broken:?}, well {well:?}");
}

#[test]
fn a_tenants_connection_to_the_same_instance_neither_shares_nor_narrows_its_budget() {
    let run = |tenant: bool| {
        estate(9, async move |mut estate: Estate| {
            let zitadel = estate.instance("zitadel.example");
            let start = zitadel.double.now();
            estate.cluster_connection("main", &zitadel, RATE).await;
            if tenant {
                let outside = estate.alias(&zitadel);
                estate.connection("tenant", &outside, (1, 1)).await;
                estate.projects("tenant", own(), 100).await;
            }
            estate.projects("team", shared("main"), 200).await;
            estate.start();
            sleep(minutes(2)).await;
            longest(&zitadel.creations(start), "team", 0.0)
        })
    };
    let (without, with) = (run(false), run(true));
    assert!(without > 0.0 && with <= without + 0.5, "{with} s, without {without} s");
}
