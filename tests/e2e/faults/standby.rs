//! Two processes of one installation, of which one leads: what the other does before the Lease is its own, and after.

use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use support::control_plane::AuditMark;
use support::zitadel::InjectedFault;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zitadel_operator::engine::decision::config::Config;
use zitadel_operator::operator::{self, Options};
use zitadel_operator::runtime::lease::Leadership;

use super::process::Process;
use crate::needs_double;
use crate::waits::until_answered;
use crate::world::{self, World};

/// How long a Lease is kept for a leader that is silent.
const LEASE: Duration = Duration::from_secs(15);

const ELECT: [&str; 2] = ["--leader-election", "true"];

/// The scheduling of a busy machine.
const SLACK: Duration = Duration::from_secs(1);

/// A kubeconfig of a service account that may do everything, by which the audit log tells the processes apart.
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

/// One that stands for election.
fn process(world: &World, name: &str) -> Process {
    Process::start_as(&account(world, name), "zitadel-operator", world, &ELECT)
}

/// What this process wrote to Kubernetes since the mark.
fn written_by(world: &World, name: &str, mark: AuditMark) -> Vec<String> {
    let user = format!("system:serviceaccount:{}:{name}", world.namespace);
    let entries = world.control_plane.audit_since(mark).unwrap().into_iter();
    let accepted = entries.filter(|entry| entry.user.username == user && entry.response_status.code < 300);
    accepted
        .map(|entry| format!("{} {}/{}", entry.verb, entry.object_ref.resource, entry.object_ref.name))
        .collect()
}

/// The first leads, the second is ready to; there is a `Project` called web.
async fn two(world: &World) -> (Process, Process) {
    let first = process(world, "first");
    first.until_logged("leading").await;
    let second = process(world, "second");
    second.until_logged("another process leads, this one stands by").await;
    second.until_ready().await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    world.until_quiet().await;
    (first, second)
}

/// Renames the project, and waits until ZITADEL has the new name.
async fn rename(world: &World, name: &str) {
    let web = world.project("web").apply(json!({ "name": name })).await;
    let id = web["status"]["id"].as_str().expect("an id");
    world.until_remote(id, &format!("was called {name}"), |project| project["name"] == name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_by_is_ready_and_neither_writes_nor_calls_until_it_leads() {
    needs_double!("the ledger");
    let world = World::without_operator().await;
    let leadership = Leadership::pending();
    let config = Config { namespaces: vec![world.namespace.clone()], ..world::config() };
    let options = Options { leadership: leadership.clone(), config, ..Options::new(&world.namespace) };
    let (readiness, stop) = (options.readiness.clone(), CancellationToken::new());
    let client = world.canaries.watching(world::client(world.control_plane).await);
    let (mark, audit) = (world.zitadel.ledger().mark(), world.control_plane.audit_mark().unwrap());
    let running = tokio::spawn(operator::run(client, options, stop.clone()));
    world.project("web").apply(json!({})).await;
    let expected = operator::components().len();
    until_answered("ready", async || {
        let (waiting, known) = (readiness.waiting_for(), readiness.known());
        (known == expected && waiting.is_empty(), waiting)
    })
    .await;
    world.project("other").apply(json!({})).await;
    // What it would do would show.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.calls_since(mark).len(), 0);
    let entries = world.control_plane.audit_since(audit).unwrap().into_iter();
    let here = entries.filter(|entry| entry.object_ref.namespace == world.namespace);
    // The control plane gives a new namespace what each has.
    let here = here.filter(|entry| !entry.user.username.starts_with("system:serviceaccount:kube-system:"));
    assert_eq!(here.map(|entry| entry.object_ref.name).collect::<Vec<_>>(), ["web", "other"], "a person's");

    leadership.begin(Instant::now() + LEASE);
    for name in ["web", "other"] {
        world.project(name).until_ready().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_by_ends_at_once_when_it_is_told_to() {
    let world = World::without_operator().await;
    world.project("web").apply(json!({})).await;
    let options = Options { leadership: Leadership::pending(), ..Options::new(&world.namespace) };
    let (readiness, stop) = (options.readiness.clone(), CancellationToken::new());
    let running =
        tokio::spawn(operator::run(world::client(world.control_plane).await, options, stop.clone()));
    until_answered("ready", async || (readiness.waiting_for().is_empty() && readiness.known() > 0, ())).await;
    let reported = Instant::now();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(reported.elapsed() < SLACK, "{:?}", reported.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_of_the_leader_the_other_writes_within_the_lease_time() {
    let world = World::without_operator().await;
    let (first, second) = two(&world).await;
    let audit = world.control_plane.audit_mark().unwrap();
    first.signal("KILL");
    let killed = Instant::now();
    rename(&world, "renamed").await;
    let took = killed.elapsed();
    eprintln!("kill -9: the other wrote after {took:?}");
    // Once to see the last renewal, once from the end of the Lease to the write.
    assert!(took < LEASE + 2 * SLACK, "{took:?}, {:#?}", second.log());
    world.project("web").until_ready().await;
    until_answered("in the audit log", async || {
        let written = written_by(&world, "second", audit);
        (written.contains(&"patch projects/web".to_owned()), written)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sigterm_of_the_leader_the_other_writes_within_two_seconds() {
    let mut all = Vec::new();
    for _ in 0..3 {
        let world = World::without_operator().await;
        let (first, _second) = two(&world).await;
        let reported = Instant::now();
        first.terminate().await;
        rename(&world, "renamed").await;
        all.push(reported.elapsed());
    }
    eprintln!("SIGTERM: the other wrote after {all:?}");
    // A machine that is busy for a moment delays one of them; who only looks now and then is late at most.
    all.sort_unstable();
    assert!(all[1] < Duration::from_secs(2), "{all:?}");
}

/// Resumed, it has the answer to its question in hand, and is about to write what was wanted before it was stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_beyond_its_lease_writes_nothing_and_ends_with_a_failure() {
    needs_double!("faults");
    let world = World::without_operator().await;
    let (mut first, _second) = two(&world).await;
    let id = world.project("web").now().await["status"]["id"].as_str().expect("an id").to_owned();
    let read = InjectedFault::hold().on(Method::GET).path(format!("/management/v1/projects/{id}")).times(1);
    let held = world.zitadel.inject(read);
    world.project("web").apply(json!({ "name": "of the first" })).await;
    held.reached(1).await;
    first.signal("STOP");
    let stopped = Instant::now();
    held.release();
    rename(&world, "of the second").await;
    eprintln!("SIGSTOP: the other wrote after {:?}", stopped.elapsed());

    let (mark, audit) = (world.zitadel.ledger().mark(), world.control_plane.audit_mark().unwrap());
    first.signal("CONT");
    assert_eq!(first.until_ended().await, Some(1));
    world.project("web").until_ready().await;
    assert_eq!(world.writes_since(mark).len(), 0);
    assert_eq!(written_by(&world, "first", audit), [""; 0]);
    assert_eq!(world.remote(&world.project("web").now().await).await["name"], "of the second");
    let said = |log: &[Value]| log.iter().any(|line| line.to_string().contains("leadership was lost"));
    assert!(said(&first.log()), "{:#?}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_needs_the_cluster_and_neither_the_lease_nor_zitadel() {
    let world = World::without_operator().await;
    world.patch_connection(json!({ "url": "http://127.0.0.1:1" })).await;
    let first = Process::start(&world, &ELECT).await;
    first.until_logged("leading").await;
    let second = Process::start(&world, &ELECT).await;
    second.until_logged("another process leads, this one stands by").await;
    first.until_ready().await;
    second.until_ready().await;

    let third = Process::start_through("https://127.0.0.1:1", &world, &ELECT).await;
    let (status, waits_for) = third.readyz().await;
    assert_eq!((status, waits_for.lines().count()), (503, operator::components().len()), "{waits_for}");
}
