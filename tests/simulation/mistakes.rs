//! Specs that the schema allows and the operator cannot follow, until what they name is there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::differences;
use crate::ending::ending;
use crate::person::{NAME, Person, Seen, play};
use crate::specs::{parts, put_together};
use crate::world::{CANARY, World};

/// Whatever is wrong is tried again within that time.
const BOUND: Duration = Duration::from_secs(4 * 60);

/// What is wrong where the operator cannot follow the spec: it says so, and touches nothing.
pub fn misled(kind: &str, seen: &Seen) -> Option<String> {
    let conditions = &seen.ending["kubernetes"][format!("{kind}/{NAME}")]["conditions"];
    let mut conditions = conditions.as_array().into_iter().flatten();
    let ready = conditions.any(|condition| condition[0] == "Ready" && condition[1] == "True");
    // Flags are replaced as a whole; one that the server does not know is dropped without a word.
    let untouched = seen.ending["zitadel"] == seen.before || kind == "OrgFeatures";
    (ready || !untouched).then(|| {
        format!("{}: ready: {ready}, {}", seen.spec, differences(&seen.before, &seen.ending["zitadel"]))
    })
}

/// Parts of specs that the schema allows and the operator cannot follow: what they name is missing or taken.
pub fn invalid(kind: &str) -> Vec<Value> {
    let mut faults = vec![
        json!({ "connectionRef": { "kind": "Connection", "name": "missing" } }),
        json!({ "connectionRef": { "kind": "ClusterConnection", "name": "zitadel" } }),
    ];
    if kind != "Organization" {
        faults.push(json!({ "organization": { "ref": { "name": "missing" } } }));
        faults.push(json!({ "organization": { "name": "missing" } }));
        faults.push(json!({ "organization": { "id": "404" } }));
    }
    let entry = |source: &str, name: &str, key: &str| {
        let reference = json!({ "name": name, "key": key });
        json!({ "entries": [{ "key": "web~1", "valueFrom": { source: reference } }] })
    };
    match kind {
        "Project" | "Organization" => faults.push(json!({ "name": "taken" })),
        "OrgMetadata" => faults.extend([
            entry("secretKeyRef", "missing", "one"),
            entry("secretKeyRef", "vault", "missing"),
            entry("configMapKeyRef", "missing", "region"),
            entry("configMapKeyRef", "site", "missing"),
        ]),
        "OrgFeatures" => faults.push(json!({ "features": { "ofTomorrow": true } })),
        _ => {}
    }
    faults
}

/// Brings about whatever [`invalid`] specs miss; `false`: that cannot be.
async fn remedy(world: &World, kind: &str, fault: &Value) -> bool {
    if fault["connectionRef"]["kind"] == "Connection" {
        world.apply("Connection", "missing", world.connection()).await;
    } else if fault["organization"]["ref"].is_object() {
        world.apply("Organization", "missing", json!({})).await;
    } else if fault["organization"]["name"].is_string() {
        world.zitadel.add_organization("missing");
    } else if kind == "Project" && fault["name"].is_string() {
        let mut projects = world.zitadel.projects(&world.acme).into_iter();
        let taken = projects.find(|project| project.settings.name == "taken").expect("a project");
        world.zitadel.delete_project(&taken.id);
    } else if fault["name"].is_string() {
        let mut organizations = world.zitadel.organizations().into_iter();
        let taken = organizations.find(|organization| organization.name == "taken").expect("an organization");
        world.zitadel.rename_organization(&taken.id, "given up");
    } else if let Some((source, reference)) =
        fault["entries"][0]["valueFrom"].as_object().and_then(|f| f.iter().next())
    {
        let (name, key) =
            (reference["name"].as_str().expect("a name"), reference["key"].as_str().expect("a key"));
        let (kind, object) = match source == "secretKeyRef" {
            true => ("Secret", json!({ "stringData": { "one": CANARY, "two": "2", key: "here" } })),
            false => ("ConfigMap", json!({ "data": { "region": "eu", "tier": "gold", key: "here" } })),
        };
        world.store(kind, name, object).await;
    } else {
        return false;
    }
    world.oracle.edited();
    true
}

/// What is wrong when what was missing comes later than the resource that names it.
pub fn comes_later(kind: &'static str, fault: &Value) -> Option<String> {
    let usual = usual(kind);
    let spec = put_together([&usual, fault]);
    let ends = |late: bool| {
        play(async |world| {
            let mut person = Person::new(world, kind);
            if late {
                person.turn(&spec).await;
            }
            if !remedy(world, kind, fault).await {
                return Value::Null;
            }
            if !late {
                person.turn(&spec).await;
            }
            if late {
                tokio::time::sleep(BOUND).await;
            }
            json!([ending(world).await, world.oracle.broken()])
        })
    };
    let (expected, found) = (ends(false), ends(true));
    let broken = [&expected[1], &found[1]].into_iter().find(|broken| **broken != json!([]));
    let broken = broken.filter(|broken| !broken.is_null()).map(|broken| format!("{spec}: {broken}"));
    broken
        .or_else(|| (expected != found).then(|| format!("{spec}: {}", differences(&expected[0], &found[0]))))
}

pub fn usual(kind: &str) -> Value {
    put_together(parts(kind).iter().map(|part| &part.choices[0]))
}
