//! What the binary logs: each line names the resource it is about, and the filter changes without a restart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::process::Process;
use crate::waits::until_answered;
use crate::world::World;

async fn put(admin: &str, filter: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let answer = client.put(format!("http://{admin}/log")).body(filter.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn calls(process: &Process) -> Vec<Value> {
    process.log().into_iter().filter(|line| line["message"] == "ZITADEL call").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_changes_while_the_binary_runs_and_every_line_of_a_reconcile_names_its_resource() {
    let world = World::without_operator().await;
    let process = Process::start(&world, &[]).await;
    world.project("web").apply(json!({})).await;
    world.project("web").until_ready().await;
    assert_eq!(calls(&process).len(), 0, "nothing of this level yet");

    let admin = process.admin().await;
    let (status, why) = put(&admin, "zitadel_operator=loud").await;
    assert!(status == 400 && why.contains("loud"), "{status} {why}");
    assert_eq!(put(&admin, "info,zitadel_operator=debug").await.0, 200);
    world.project("web").apply(json!({ "name": "renamed" })).await;
    world.project("web").until_ready().await;
    let reported = until_answered("told of a call", async || {
        let about = |line: &&Value| line["kind"] == "Project" && line["name"] == "web";
        let reported = calls(&process).iter().find(about).cloned();
        (reported.is_some(), reported)
    });
    let line = reported.await.unwrap();
    assert_eq!(line["namespace"], world.namespace.as_str());
    assert!(line["generation"].is_number() && line["path"].is_string(), "{line}");
    assert!(calls(&process).iter().all(|line| line["kind"].is_string()), "{:?}", calls(&process));
    process.terminate().await;
}
