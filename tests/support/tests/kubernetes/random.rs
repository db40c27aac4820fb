//! The same random writes to both servers, answered the same. `SEED=7` runs that one only.

use std::collections::BTreeMap;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{World, by, json_of, widget};

const SEEDS: u64 = 24;
const STEPS: usize = 40;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn some(&mut self, parts: &[(&str, &[Value])]) -> Value {
        let mut object = json!({});
        for (name, values) in parts {
            if self.below(2) == 0 {
                object[*name] = self.one(values);
            }
        }
        object
    }
}

#[derive(Clone, Debug)]
enum Write {
    Create(Value),
    Merge(&'static str, Value),
    MergeStatus(&'static str, Value),
    ApplyStatus { manager: &'static str, force: bool, status: Value },
    Apply { manager: &'static str, force: bool, spec: Value },
    Replace { spec: Value },
    Delete,
}

fn spec(random: &mut Random) -> Value {
    random.some(&[
        ("owner", &[json!("a"), json!("b"), json!(null), json!("")]),
        ("size", &[json!(1), json!(5), json!(null), json!(50), json!("x")]),
        ("mode", &[json!("Slow"), json!("Fast"), json!("Odd")]),
        ("note", &[json!("n"), json!(null)]),
        ("options", &[json!({}), json!({ "loud": true }), json!(null), json!({ "bogus": 1 })]),
        ("labels", &[json!({ "x": "1" }), json!({ "y": "2", "x": "3" }), json!({}), json!({ "x": null })]),
        ("tags", &[json!(["a"]), json!(["a", "b"]), json!([]), json!(null)]),
    ])
}

/// Who owns an explicit null of an apply is not modelled in memory.
fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(|value| *value = without_nulls(value.take()));
    }
    value
}

fn status(random: &mut Random) -> Value {
    let kinds = ["Ready", "Synced", "Theirs"];
    let mut conditions = Vec::new();
    for kind in kinds {
        if random.below(2) == 0 {
            let (status, reason) = (random.one(&["True", "False"]), random.one(&["A", "B"]));
            conditions.push(json!({ "type": kind, "status": status, "reason": reason, "message": "m" }));
        }
    }
    let mut status = random.some(&[
        ("id", &[json!("1"), json!("2")]),
        ("count", &[json!(1), json!(2)]),
        (
            "drift",
            &[json!({ "fields": ["a"] }), json!({ "fields": ["b"], "at": "now" }), json!({ "at": "now" })],
        ),
    ]);
    if random.below(4) > 0 {
        status["conditions"] = conditions.into();
    }
    status
}

fn metadata(random: &mut Random) -> Value {
    random.some(&[
        ("labels", &[json!({ "x": "1" }), json!({ "x": null }), json!(null)]),
        ("annotations", &[json!({ "k": "v" }), json!({ "k": "w", "l": "v" }), json!({ "l": null })]),
        ("finalizers", &[json!(["e.com/a"]), json!(["e.com/a", "e.com/b"]), json!([]), json!(null)]),
        ("resourceVersion", &[json!(null), json!("1")]),
    ])
}

fn write(random: &mut Random) -> Write {
    let manager = random.one(&["op", "other"]);
    let force = random.below(3) > 0;
    match random.below(12) {
        0 | 1 => Write::Create(spec(random)),
        2 => Write::Merge(manager, json!({ "spec": spec(random) })),
        3 => Write::Merge(manager, json!({ "metadata": metadata(random) })),
        4 | 5 => Write::MergeStatus(manager, json!({ "status": status(random) })),
        6..=8 => Write::ApplyStatus { manager, force, status: status(random) },
        9 => Write::Apply { manager, force, spec: without_nulls(spec(random)) },
        10 => Write::Replace { spec: spec(random) },
        _ => Write::Delete,
    }
}

/// One server, and the last resourceVersion seen of each object.
struct Side {
    world: World,
    prefix: String,
    seen: BTreeMap<String, Value>,
}

impl Side {
    fn new(world: World, seed: u64) -> Self {
        Self { world, prefix: format!("seed-{seed}-"), seen: BTreeMap::new() }
    }

    async fn answer(&mut self, name: &str, write: &Write) -> Value {
        let full = format!("{}{name}", self.prefix);
        let api = self.world.widgets();
        let body = |part: &str, value: &Value| json!({ "apiVersion": "conformance.example.com/v1", "kind": "Widget", "metadata": { "name": full }, part: value });
        let applying = |manager: &str, force: bool| PatchParams { force, ..PatchParams::apply(manager) };
        let done = match write {
            Write::Create(spec) => {
                api.create(&PostParams::default(), &widget(&full, json!({ "spec": spec }))).await
            }
            Write::Merge(manager, patch) => api.patch(&full, &by(manager), &Patch::Merge(patch)).await,
            Write::MergeStatus(manager, patch) => {
                api.patch_status(&full, &by(manager), &Patch::Merge(patch)).await
            }
            Write::ApplyStatus { manager, force, status } => {
                api.patch_status(&full, &applying(manager, *force), &Patch::Apply(&body("status", status)))
                    .await
            }
            Write::Apply { manager, force, spec } => {
                api.patch(&full, &applying(manager, *force), &Patch::Apply(&body("spec", spec))).await
            }
            Write::Replace { spec } => match api.get(&full).await {
                Ok(mut object) => {
                    object.data["spec"] = spec.clone();
                    api.replace(&full, &PostParams::default(), &object).await
                }
                Err(error) => Err(error),
            },
            Write::Delete => match api.delete(&full, &DeleteParams::default()).await {
                Ok(answer) => return self.gone(&full, answer.left()),
                Err(error) => Err(error),
            },
        };
        match done {
            Ok(object) => self.plain(&full, &object),
            Err(error) => refused(error),
        }
    }

    fn gone(&mut self, name: &str, held: Option<DynamicObject>) -> Value {
        held.map_or_else(|| json!("gone"), |object| self.plain(name, &object))
    }

    /// The object without what differs between any two servers; instead of the resourceVersion, whether it moved.
    fn plain(&mut self, name: &str, object: &DynamicObject) -> Value {
        let mut object = json_of(object);
        let metadata = object["metadata"].as_object_mut().unwrap();
        let version = metadata.remove("resourceVersion").unwrap();
        let moved = self.seen.insert(name.to_owned(), version.clone()) != Some(version);
        for unique in ["uid", "creationTimestamp", "namespace"] {
            metadata.remove(unique);
        }
        let dying = metadata.remove("deletionTimestamp").is_some();
        let mut owners = metadata
            .remove("managedFields")
            .and_then(|owners| owners.as_array().cloned())
            .unwrap_or_default();
        owners.iter_mut().for_each(|owner| drop(owner.as_object_mut().unwrap().remove("time")));
        owners.sort_by_key(ToString::to_string);
        json!({ "object": object, "owners": owners, "dying": dying, "moved": moved })
    }
}

fn refused(error: kube::Error) -> Value {
    let kube::Error::Api(status) = error else { panic!("{error}") };
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let mut causes: Vec<String> =
        causes.iter().map(|cause| format!("{} {}", cause.reason, cause.field)).collect();
    causes.sort();
    let message = (status.code == 409).then_some(&status.message);
    json!({ "code": status.code, "reason": status.reason, "causes": causes, "message": message })
}

/// The lines of two pretty-printed answers that are not in the other.
fn differing(is: &Value, wanted: &Value) -> String {
    let (is, wanted) = (format!("{is:#}"), format!("{wanted:#}"));
    if is == wanted {
        return String::new();
    }
    let only = |of: &str, than: &str, mark: &str| {
        let lines = of.lines().filter(|line| !than.lines().any(|other| other == *line));
        let lines: Vec<_> = lines.map(|line| format!("{mark} {}", line.trim())).collect();
        // Nothing only means that the same lines stand in another place.
        if lines.is_empty() { format!("{mark}\n{of}") } else { lines.join("\n") }
    };
    format!("\n{}\n{}", only(&is, &wanted, "memory:"), only(&wanted, &is, "real:"))
}

#[tokio::test]
async fn real_and_in_memory_answer_the_same() {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let real = World::real().await;
    for seed in only.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        let (mut memory, mut real) = (Side::new(World::in_memory(), seed), Side::new(real.clone(), seed));
        let mut random = Random(seed);
        let mut script = Vec::new();
        for step in 0..STEPS {
            let (name, write) = (random.one(&["a", "b"]), write(&mut random));
            script.push(format!("{name} {write:?}"));
            let (is, wanted) = (memory.answer(name, &write).await, real.answer(name, &write).await);
            let reported =
                script.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>().join("\n");
            assert_eq!(
                differing(&is, &wanted),
                "",
                "in memory, and really: SEED={seed} step {step}\n{reported}"
            );
        }
    }
}
