//! I3: what is as it should be is only looked at.

use std::time::Duration;

use serde_json::Value;
use support::kubernetes::{Call, Verb, Write};
use support::zitadel::Request;

use crate::crash::differences;
use crate::world::World;

/// Two resyncs and a bit.
const STEADY: Duration = Duration::from_secs(150);

/// Everything that is written, or sent to be, while there is nothing to do; of calls to ZITADEL those that count.
pub async fn unsteady(world: &World, counts: impl Fn(&Request) -> bool) -> Vec<String> {
    let (mark, version) = (world.zitadel.ledger().mark(), world.cluster.resource_version());
    let before = world.cluster.calls().len();
    tokio::time::sleep(STEADY).await;
    let is_read = |path: &str| path.ends_with("_search") || path.contains("/oauth/");
    let calls = world.zitadel.ledger().since(mark);
    let sent = calls.iter().filter(|call| call.method != http::Method::GET && !is_read(&call.path));
    let sent = sent.filter(|call| counts(call));
    let written = world.cluster.writes_since(version);
    let written = written.iter().filter(|write| write.resource != "events");
    sent.map(|call| format!("I3: nothing to do, and sent {} {}: {:?}", call.method, call.path, call.status))
        .chain(written.map(reported))
        .chain(applied(&world.cluster.calls()[before..]))
        .collect()
}

/// Writes that changed nothing, and that no watch shows.
fn applied(calls: &[Call]) -> Vec<String> {
    let writes = calls.iter().filter(|call| !matches!(call.verb, Verb::Get | Verb::List | Verb::Watch));
    let ours = writes.filter(|call| call.resource != "events");
    ours.map(|call| format!("I3: nothing to do, and sent {:?} of {} {}", call.verb, call.resource, call.name))
        .collect()
}

fn reported(write: &Write) -> String {
    let empty = Value::Null;
    let [before, after] = [&write.before, &write.after].map(|object| object.as_deref().unwrap_or(&empty));
    let changed = differences(before, after);
    format!("I3: nothing to do, and wrote {} {}: {changed}", write.resource, write.name)
}
