//! The examples as Argo CD and Flux apply them: again and again, under a name of their own.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use support::control_plane::{AuditEntry, AuditMark, ControlPlane};
use support::zitadel::Mark;
use tokio::sync::OnceCell;
use zitadel_operator::engine::decision::config::Config;

use crate::kstatus::{Kstatus, kstatus};
use crate::needs_double;
use crate::waits::{condition, until_answered};
use crate::world::{World, client, config, install_crds};

const HOME: &str = "zitadel-operator";
const SHOP: &str = "shop";

/// How Flux and, with `ServerSideApply=true`, Argo CD apply, and how Argo CD does by default.
const SERVER_SIDE: &[&str] = &["--server-side", "--force-conflicts", "--field-manager=kustomize-controller"];
const CLIENT_SIDE: &[&str] = &[];

/// The examples that are not to become `Available`, and the others.
const UNSUPPORTED: &str = "OrgFeatures acme";
const OBSERVED: &str = "Project payments";

/// A control plane on which nothing else is, and an operator that follows the namespace of the examples too.
async fn alone() -> World {
    static ALONE: OnceCell<ControlPlane> = OnceCell::const_new();
    let start = async || {
        let control_plane = ControlPlane::builder().audit(true).start().await.unwrap();
        install_crds(client(&control_plane).await).await;
        control_plane
    };
    let mut world = World::on(ALONE.get_or_init(start).await).await;
    kubectl(&world, &["create", "namespace", HOME], "");
    kubectl(&world, &["create", "namespace", SHOP], "");
    let namespaces = vec![world.namespace.clone(), SHOP.to_owned()];
    let config = Config { namespaces, ..config() };
    world.start_operator_of(config, HOME).await;
    world
}

/// What kubectl prints.
#[track_caller]
fn kubectl(world: &World, arguments: &[&str], input: &str) -> String {
    let mut command = world.control_plane.kubectl();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut kubectl = command.spawn().unwrap();
    kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = kubectl.wait_with_output().unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All examples as one manifest, with what a reader has to fill in, compared every second.
fn examples(world: &World, imported: &str) -> String {
    let directory = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let mut files: Vec<_> = directory.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let text = texts.join("---\n");
    [
        ("https://zitadel.example.com", world.zitadel.url().as_str()),
        ("paste-a-personal-access-token", &world.zitadel.admin_token()),
        ("312909075211944345", imported),
        ("resyncInterval: 30s\n", "resyncInterval: 1s\n"),
        ("    key: token\n", "    key: token\n  resyncInterval: 1s\n"),
    ]
    .into_iter()
    .fold(text, |text, (placeholder, value)| {
        assert!(text.contains(placeholder), "{placeholder}");
        text.replace(placeholder, value)
    })
}

/// Everything that was applied, to the last byte, and whatever else of these kinds there is.
fn everything(world: &World) -> Vec<Value> {
    let kinds = "zitadel,secrets,configmaps,namespaces";
    let list = kubectl(world, &["get", kinds, "-A", "--show-managed-fields", "-o", "json"], "");
    serde_json::from_str::<Value>(&list).unwrap()["items"].as_array().unwrap().clone()
}

fn is_ours(object: &Value) -> bool {
    object["apiVersion"] == "zitadel-operator.dev/v1alpha1"
}

/// Waits until the operator has come to a result for everything; those that need a person are as expected.
async fn until_settled(world: &World) {
    let settled = |object: &Value| {
        let seen = condition(object, "Ready")["observedGeneration"] == object["metadata"]["generation"];
        seen && kstatus(object) != Kstatus::InProgress
    };
    let ours = until_answered("settled", async || {
        let ours: Vec<Value> = everything(world).into_iter().filter(is_ours).collect();
        (ours.iter().all(settled), ours)
    });
    let failed = ours.await.into_iter().filter(|object| kstatus(object) == Kstatus::Failed);
    let name =
        |o: &Value| format!("{} {}", o["kind"].as_str().unwrap(), o["metadata"]["name"].as_str().unwrap());
    assert_eq!(failed.map(|object| name(&object)).collect::<Vec<_>>(), [UNSUPPORTED, OBSERVED]);
}

/// Waits until every project, the metadata and the policy have been compared again.
async fn until_compared(world: &World, since: Mark, objects: &[Value]) {
    // Under `Observe` a project has no id.
    let ids = objects.iter().filter(|o| o["kind"] == "Project").filter_map(|o| o["status"]["id"].as_str());
    let mut paths: Vec<String> = ids.map(|id| format!("projects/{id}")).collect();
    paths.extend(["/metadata/_search", "/policies/domain"].map(str::to_owned));
    until_answered("compared again", async || {
        let calls = world.calls_since(since);
        let missing = |path: &&String| !calls.iter().any(|call| call.path.contains(path.as_str()));
        let missing: Vec<&String> = paths.iter().filter(missing).collect();
        (missing.is_empty(), format!("{missing:?}"))
    })
    .await;
}

fn writes_of_the_operator(world: &World, since: AuditMark) -> Vec<AuditEntry> {
    let account = format!("system:serviceaccount:{HOME}:");
    let mut writes = world.control_plane.audit_since(since).unwrap();
    writes.retain(|entry| {
        entry.user.username.starts_with(&account) && !["get", "list", "watch"].contains(&entry.verb.as_str())
    });
    writes
}

/// Applies the manifest for the second time; nothing comes of it on either side.
async fn assert_again_changes_nothing(world: &World, manifest: &str, way: &[&str]) {
    let before = everything(world);
    let (audit, ledger) = (world.control_plane.audit_mark().unwrap(), world.zitadel.ledger().mark());
    kubectl(world, &[&["apply", "-f", "-"], way].concat(), manifest);
    assert_eq!(kubectl(world, &[&["diff", "-f", "-"], way].concat(), manifest), "");
    until_compared(world, ledger, &before).await;
    let after = everything(world);
    assert_eq!(before.len(), after.len());
    before.iter().zip(&after).for_each(|(before, after)| assert_eq!(before, after));
    assert_eq!(writes_of_the_operator(world, audit), []);
    assert!(world.writes_since(ledger).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_applied_again_by_argo_cd_or_flux_change_nothing_and_nobody_fights() {
    needs_double!("a ledger");
    let world = alone().await;
    let imported = world.person.create_project(&world.organization, "Legacy portal").await;
    world.person.create_project(&world.organization, "Payments").await;
    let manifest = examples(&world, &imported);
    let start = world.control_plane.audit_mark().unwrap();
    for way in [SERVER_SIDE, CLIENT_SIDE] {
        kubectl(&world, &[&["apply", "-f", "-"], way].concat(), &manifest);
        until_settled(&world).await;
        // What a first result entails, such as the finalizer of a connection in use, is written by then.
        until_compared(&world, world.zitadel.ledger().mark(), &everything(&world)).await;
        assert_again_changes_nothing(&world, &manifest, way).await;
    }
    assert!(!writes_of_the_operator(&world, start).is_empty(), "its first writes are seen");
}
