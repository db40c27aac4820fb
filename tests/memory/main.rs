//! What tenants can make the operator hold, in a process of its own: no other test may load the machine meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, missing_docs)]

#[path = "../e2e/kstatus.rs"]
mod kstatus;
#[path = "../e2e/operators.rs"]
mod operators;
#[path = "../e2e/person.rs"]
mod person;
#[path = "../e2e/faults/process.rs"]
mod process;
#[path = "../e2e/rights/mod.rs"]
mod rights;
#[path = "../e2e/sides.rs"]
mod sides;
#[path = "../e2e/waits.rs"]
mod waits;
#[path = "../e2e/watched.rs"]
mod watched;
#[path = "../e2e/way.rs"]
mod way;
#[path = "../e2e/world.rs"]
mod world;

mod hostile;

/// What GitOps tools make of each state is measured with the suite.
mod verdicts {
    pub fn watch(_: &support::control_plane::ControlPlane) {}
}

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use http::Method;
use serde_json::{Value, json};
use support::zitadel::{Mark, Request};
use tokio::time::Instant;

use crate::hostile::Hostile;
use crate::process::Process;
use crate::world::{World, through_connection};

/// The memory limit of the chart, in MiB.
const LIMIT: u64 = 256;
const CROWD: usize = 300;
/// Names by which organizations of the hostile server are sought.
const SOUGHT: usize = 12;
const AT_ONCE: usize = 4;
const ELECT: [&str; 2] = ["--leader-election", "true"];
const PATIENCE: Duration = Duration::from_secs(120);

/// 1 MiB, which is what etcd takes at most: two values of the largest size.
fn huge(organization: &str) -> Value {
    let value = |letter: &str| letter.repeat(500_000);
    let entries = json!([{ "key": "a", "value": value("a") }, { "key": "b", "value": value("b") }]);
    through_connection(json!({ "organization": { "id": organization }, "entries": entries }))
}

/// A kubeconfig of a service account that may do everything.
fn account(world: &World, name: &str) -> PathBuf {
    let (namespace, control_plane) = (world.namespace.as_str(), world.control_plane);
    let kubectl = |arguments: &[&str]| {
        let output = control_plane.kubectl().args(["-n", namespace]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (unique, account) = (format!("{namespace}-{name}"), format!("--serviceaccount={namespace}:{name}"));
    kubectl(&["create", "serviceaccount", name]);
    kubectl(&["create", "clusterrolebinding", &unique, "--clusterrole=cluster-admin", &account]);
    let token = kubectl(&["create", "token", name]);
    control_plane.kubeconfig_for(&unique, token.trim()).unwrap()
}

fn replica(world: &World, name: &str) -> Process {
    Process::start_as(&account(world, name), "zitadel-operator", world, &ELECT)
}

/// A connection to the hostile server, and projects in organizations that it is asked for by name.
async fn tempt(world: &World, hostile: &Hostile) {
    let spec = json!({
        "url": hostile.url(), "insecure": true, "personalAccessToken": { "name": world::CONNECTION },
        "rateLimit": { "requestsPerSecond": 100, "burst": 1000 },
    });
    world.apply("Connection", "hostile", spec).await;
    for n in 0..SOUGHT {
        let spec = json!({
            "connectionRef": { "kind": "Connection", "name": "hostile" },
            "organization": { "name": format!("sought{n}") },
        });
        world.apply("Project", &format!("sought{n}"), spec).await;
    }
}

/// How many of the crowd's organizations were looked at since the mark.
fn looked_at(world: &World, since: Mark) -> usize {
    let is_look = |r: &&Request| r.method == Method::POST && r.path == "/management/v1/metadata/_search";
    let requests = world.zitadel.ledger().since(since);
    let looked: std::collections::BTreeSet<_> =
        requests.iter().filter(is_look).filter_map(|r| r.organization.clone()).collect();
    looked.len()
}

async fn until_all_looked_at(world: &World, since: Mark, replicas: &mut [&mut Process]) {
    let deadline = Instant::now() + PATIENCE;
    while looked_at(world, since) < CROWD {
        for replica in replicas.iter_mut() {
            assert!(replica.is_running(), "a replica ended: {:?}", replica.log().last());
        }
        assert!(Instant::now() < deadline, "only {} were looked at", looked_at(world, since));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_stay_within_the_chart_limit_with_large_resources_a_hostile_server_and_a_failover() {
    needs_double!("a hostile server");
    let world = World::without_operator().await;
    let hostile = Hostile::start().await;
    let began = Instant::now();
    let applied = Arc::new(AtomicUsize::new(0));
    stream::iter(0..CROWD)
        .for_each_concurrent(AT_ONCE, |n| {
            let (world, applied) = (&world, applied.clone());
            async move {
                let organization = world.zitadel.add_organization(&format!("crowd{n}"));
                world.apply("OrgMetadata", &format!("m{n}"), huge(&organization)).await;
                applied.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
    eprintln!("{CROWD} applied in {:?}", began.elapsed());
    tempt(&world, &hostile).await;
    let mark = world.zitadel.ledger().mark();
    let mut first = replica(&world, "first");
    first.until_logged("leading").await;
    let mut second = replica(&world, "second");
    until_all_looked_at(&world, mark, &mut [&mut first, &mut second]).await;
    second.until_ready().await;
    eprintln!(
        "first {} MiB, standby {} MiB, {:?}",
        first.peak_memory(),
        second.peak_memory(),
        began.elapsed()
    );
    assert!(first.peak_memory() < LIMIT, "the leader had {} MiB", first.peak_memory());
    let mark = world.zitadel.ledger().mark();
    first.terminate().await;
    until_all_looked_at(&world, mark, &mut [&mut second]).await;
    eprintln!("after the failover {} MiB, {:?}", second.peak_memory(), began.elapsed());
    assert!(second.peak_memory() < LIMIT, "the second had {} MiB", second.peak_memory());
    assert!(hostile.asked() > 0, "the hostile server was not even asked");
}
