//! Somebody who goes over from one spec to another, in a world that has whatever specs may name.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::crash::behaviour;
use crate::ending::{ending, in_zitadel};
use crate::specs::{fixed, put_together};
use crate::world::{CANARY, World, simulate};

/// Nothing comes later, but what is only looked at again.
const QUIET: Duration = Duration::from_secs(20);

/// Whatever is still tried then is tried for ever.
const PATIENCE: Duration = Duration::from_secs(240);

/// The resource that changes.
pub const NAME: &str = "web";

/// Somebody who applies one spec after the other.
pub struct Person<'a> {
    pub world: &'a World,
    pub kind: &'static str,
    pub fixed: BTreeSet<String>,
    pub now: Value,
    /// What the resource went through since it was made.
    pub past: Vec<Value>,
    pub seen: Vec<Seen>,
}

/// What came of a spec.
pub struct Seen {
    pub spec: Value,
    pub before: Value,
    pub ending: Value,
    /// What the resource went through since it was made.
    pub past: Vec<Value>,
    /// Can the operator follow it?
    pub valid: bool,
}

impl<'a> Person<'a> {
    pub fn new(world: &'a World, kind: &'static str) -> Self {
        Self { world, kind, fixed: fixed(kind), now: Value::Null, past: Vec::new(), seen: Vec::new() }
    }

    /// Goes over to this spec, and waits for what comes of it.
    pub async fn turn(&mut self, spec: &Value) {
        let mut spec = spec.clone();
        if self.kind == "OrgMetadata" && observes(&spec) && !self.now.is_null() {
            spec["entries"] = self.now["entries"].clone();
        }
        let spec = &spec;
        if self.kind == "OrgMetadata" && observes(&self.now) {
            // What was let go is nobody's: its keys are only removed by whoever took them up again.
            let managed = put_together([&self.now, &json!({ "managementPolicy": "Manage" })]);
            self.apply(&managed).await;
            settle(self.world).await;
        }
        let other = self.fixed.iter().any(|field| self.now[field] != spec[field]);
        if other && self.is_owned().await {
            self.remove().await;
        }
        let before = in_zitadel(&self.world.zitadel);
        self.apply(spec).await;
        settle(self.world).await;
        self.past.push(spec.clone());
        self.now = spec.clone();
        self.seen.push(Seen {
            spec: spec.clone(),
            before,
            ending: ending(self.world).await,
            past: self.past.clone(),
            valid: true,
        });
    }

    /// The same with a spec that the operator cannot follow.
    pub async fn err(&mut self, spec: &Value) {
        self.turn(spec).await;
        self.seen.last_mut().expect("what was seen").valid = false;
    }

    /// Goes through all of these faster than anybody can follow; some make it anew on the way.
    pub async fn hurry(&mut self, specs: &[Value], rng: &mut Rng) {
        for (index, spec) in specs.iter().enumerate() {
            if index > 0 && rng.usize(0..6) == 0 {
                self.world.delete(self.kind, NAME).await;
                while !self.world.get(self.kind, NAME).await.is_null() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                self.now = Value::Null;
                self.past.clear();
            }
            self.past.push(spec.clone());
            self.apply(spec).await;
            self.now = spec.clone();
            if index + 1 < specs.len() {
                tokio::time::sleep(Duration::from_millis(rng.u64(0..400))).await;
            }
        }
        settle(self.world).await;
        let (spec, past) = (self.now.clone(), self.past.clone());
        let (before, ending) = (Value::Null, ending(self.world).await);
        self.seen.push(Seen { spec, before, ending, past, valid: true });
    }

    /// Makes it, or puts the whole spec in the place of the one before.
    pub async fn apply(&self, spec: &Value) {
        let spec = known(self.world, spec);
        if self.now.is_null() {
            return self.world.apply(self.kind, NAME, spec).await;
        }
        let api = self.world.api(self.kind);
        loop {
            let mut object = api.get(NAME).await.expect("the resource");
            object.data["spec"] = spec.clone();
            match api.replace(NAME, &PostParams::default(), &object).await {
                // The operator was faster: it sets finalizers and annotations.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                outcome => return drop(outcome.expect("replaced")),
            }
        }
    }

    /// As the rules of the schema have it: the bound resource keeps its fixed fields.
    pub async fn is_owned(&self) -> bool {
        let status = self.world.get(self.kind, NAME).await["status"].clone();
        !status["organizationId"].is_null() || !status["id"].is_null()
    }

    /// Deletes it with all that it made, and waits for that.
    pub async fn remove(&mut self) {
        if self.now.is_null() {
            return;
        }
        let owning = json!({ "managementPolicy": "Manage", "deletionPolicy": "Delete" });
        self.apply(&put_together([&self.now, &owning])).await;
        settle(self.world).await;
        self.world.delete(self.kind, NAME).await;
        settle(self.world).await;
        self.past.clear();
        assert!(
            self.world.get(self.kind, NAME).await.is_null(),
            "{} is still there: {}",
            self.kind,
            self.now
        );
        self.now = Value::Null;
    }
}

pub fn observes(spec: &Value) -> bool {
    spec["managementPolicy"] == "Observe"
}

/// With the ids that stand in this world for the names of them.
pub fn known(world: &World, spec: &Value) -> Value {
    let id = |name: &str| {
        let found = world.zitadel.organizations().into_iter().find(|o| o.name == name);
        found.map(|organization| organization.id).unwrap_or_default()
    };
    let url = world.zitadel.url();
    let host = url.split("//").nth(1).unwrap_or_default();
    let text = spec.to_string().replace("$acme", &id("acme")).replace("$beta", &id("beta"));
    serde_json::from_str(&text.replace("$url", &url).replace("$host", host)).expect("JSON")
}

pub async fn settle(world: &World) {
    world.rest(QUIET, PATIENCE).await;
}

/// Everything that specs made from a schema may name, and an operator.
pub async fn prepare(world: &World) {
    for name in ["beta", "taken"] {
        world.zitadel.add_organization(name);
    }
    world.zitadel.create_project(&world.acme, "taken");
    world.store("ConfigMap", "site", json!({ "data": { "region": "eu", "tier": "gold" } })).await;
    world.store("Secret", "vault", json!({ "stringData": { "one": CANARY, "two": "2" } })).await;
    world.apply("Organization", "shop", json!({})).await;
    world.start();
    settle(world).await;
}

pub fn play<T>(run: impl AsyncFnOnce(&World) -> T) -> T {
    simulate(1, behaviour(), async |world: World| {
        prepare(&world).await;
        run(&world).await
    })
}
