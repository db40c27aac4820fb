//! What Argo CD and Flux make of a resource, by the health check and the expressions of `docs/gitops.md`.
//!
//! Every state that any test brings about is judged as it occurs, see [`watch`].

mod argo;
mod flux;
mod watch;

use serde_json::{Value, json};
use zitadel_operator::api::{GROUP, Reason};

use crate::kstatus::{Kstatus, kstatus};
use crate::waits::{condition, until_answered};
use crate::world::real_zitadel;
use argo::{Argo, Health, script};
use flux::{Flux, checks};
pub use watch::watch;

/// The manifest of this kind on the page.
fn manifest(kind: &str) -> Value {
    let page = include_str!("../../docs/gitops.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let mut manifests = blocks.map(|block| serde_saphyr::from_str::<Value>(block).unwrap());
    manifests.find(|manifest| manifest["kind"] == kind).unwrap()
}

fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Compares what the page gives the two with what they should say.
struct Judge {
    argo: Argo,
    flux: Flux,
}

impl Judge {
    fn of_the_page() -> Self {
        Self { argo: Argo::new(&script()), flux: Flux::of_the_page() }
    }

    /// Whether both say what they should.
    fn agree(&self, object: &Value) -> Result<(), String> {
        let (metadata, status) = (&object["metadata"], &object["status"]);
        let resource = format!("generation {}: {status:#}", metadata["generation"]);
        let health = self.argo.health(object).map_err(|error| format!("Lua: {error} at {resource}"))?;
        let should = argo_should(object);
        if health != should {
            return Err(format!("Argo CD says {health:?}, not {should:?}, of {resource}"));
        }
        let (flux, should) = (self.flux.status(object), flux_should(object));
        if flux != should {
            return Err(format!("Flux says {flux:?}, not {should:?}, of {resource}"));
        }
        Ok(())
    }
}

/// kstatus; but a status that does not say its generation is waited for, and so is what terminates.
fn flux_should(object: &Value) -> Kstatus {
    match kstatus(object) {
        Kstatus::Terminating => Kstatus::InProgress,
        _ if object["status"]["observedGeneration"].is_null() => Kstatus::InProgress,
        // kstatus takes it for Current.
        _ if condition(object, "Ready").is_null() => Kstatus::InProgress,
        status => status,
    }
}

/// kstatus in the words of Argo CD, which also knows what is suspended and what nobody has looked at yet.
fn argo_should(object: &Value) -> Health {
    let message = |kind: &str| condition(object, kind)["message"].as_str().unwrap_or_default().to_owned();
    let unseen = object["status"]["observedGeneration"] != object["metadata"]["generation"];
    match kstatus(object) {
        Kstatus::Terminating => Health::new("Progressing", "Pending deletion"),
        _ if condition(object, "Synced")["reason"] == "Paused" => Health::new("Suspended", message("Synced")),
        _ if unseen || condition(object, "Ready").is_null() => {
            Health::new("Progressing", "Waiting for the operator")
        }
        Kstatus::InProgress => Health::new("Progressing", message("Ready")),
        Kstatus::Failed => Health::new("Degraded", message("Stalled")),
        Kstatus::Current => Health::new("Healthy", message("Ready")),
    }
}

/// A resource of generation 2 with these conditions, given as `type=status/reason`.
fn resource(observed: impl Into<Value>, conditions: &[&str]) -> Value {
    let conditions = conditions.iter().map(|text| {
        let (kind, rest) = text.split_once('=').unwrap();
        let (status, reason) = rest.split_once('/').unwrap();
        json!({ "type": kind, "status": status, "reason": reason, "message": format!("{kind} says {reason}") })
    });
    let conditions: Vec<Value> = conditions.collect();
    let mut status = json!({ "conditions": conditions });
    if let observed @ Value::Number(_) = observed.into() {
        status["observedGeneration"] = observed;
    }
    json!({ "metadata": { "name": "web", "generation": 2 }, "spec": {}, "status": status })
}

#[test]
fn each_kind_of_state_has_its_verdict() {
    use Kstatus::{Current, Failed, InProgress};
    let (argo, flux) = (Argo::new(&script()), Flux::of_the_page());
    let mut deleted = resource(2, &["Ready=False/DeletionBlocked", "Stalled=True/DeletionBlocked"]);
    deleted["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z".into();
    let mut odd = resource(2, &["Ready=True/Available"]);
    odd["status"]["conditions"].as_array_mut().unwrap().insert(0, json!({ "status": "True" }));
    let bare = |status: Value| json!({ "metadata": { "generation": 2 }, "spec": {}, "status": status });
    let (nobody, ready) = ("Waiting for the operator", "Ready says Available");
    for (object, health, message, status) in [
        (json!({ "metadata": { "generation": 2 }, "spec": {} }), "Progressing", nobody, InProgress),
        (bare(json!({})), "Progressing", nobody, InProgress),
        (bare(json!({ "conditions": [] })), "Progressing", nobody, InProgress),
        (bare(json!({ "conditions": [], "observedGeneration": 2 })), "Progressing", nobody, InProgress),
        (resource(Value::Null, &["Ready=True/Available"]), "Progressing", nobody, InProgress),
        (resource(Value::Null, &["Ready=Unknown/Pending"]), "Progressing", nobody, InProgress),
        (resource(1, &["Ready=True/Available"]), "Progressing", nobody, InProgress),
        (resource(1, &["Ready=False/Conflict", "Stalled=True/Conflict"]), "Progressing", nobody, InProgress),
        (resource(2, &["Ready=True/Available", "Synced=True/Available"]), "Healthy", ready, Current),
        (resource(2, &["Ready=True/Available", "Synced=False/Unavailable"]), "Healthy", ready, Current),
        (resource(2, &["Ready=True/Unheard"]), "Healthy", "Ready says Unheard", Current),
        (odd, "Healthy", ready, InProgress),
        (
            resource(2, &["Ready=False/Unavailable", "Reconciling=True/Unavailable"]),
            "Progressing",
            "Ready says Unavailable",
            InProgress,
        ),
        (
            resource(2, &["Ready=False/DriftDetected", "Stalled=True/DriftDetected"]),
            "Degraded",
            "Stalled says DriftDetected",
            Failed,
        ),
        (
            resource(2, &["Ready=True/Available", "Synced=False/Paused"]),
            "Suspended",
            "Synced says Paused",
            Current,
        ),
        (
            resource(1, &["Ready=True/Available", "Synced=False/Paused"]),
            "Suspended",
            "Synced says Paused",
            InProgress,
        ),
        (deleted, "Progressing", "Pending deletion", InProgress),
    ] {
        assert_eq!(argo.health(&object).unwrap(), Health::new(health, message), "{object}");
        assert_eq!(flux.status(&object), status, "{object}");
    }
}

#[test]
fn a_health_check_that_is_wrong_does_not_go_unnoticed() {
    let (stalled, ready) = (["Ready=False/Conflict", "Stalled=True/Conflict"], ["Ready=True/Available"]);
    let judge = Judge::of_the_page();
    assert_eq!(judge.agree(&resource(2, &stalled)), Ok(()));
    assert_eq!(judge.agree(&resource(2, &ready)), Ok(()));
    let argo = Argo::new(&script().replace("Degraded", "Healthy"));
    let wrong = Judge { argo, flux: Flux::of_the_page() };
    assert!(wrong.agree(&resource(2, &stalled)).unwrap_err().contains("Argo CD says"));
    assert_eq!(wrong.agree(&resource(2, &ready)), Ok(()));
}

#[test]
fn the_page_checks_what_is_of_the_group() {
    let checks: Vec<Value> = checks().iter().map(|check| check["apiVersion"].clone()).collect();
    assert_eq!(checks, [json!(format!("{GROUP}/v1alpha1"))]);
}

/// The last of all tests by its name, which is the order in which they start.
#[tokio::test]
async fn verdicts_were_given_on_every_reason_of_the_suite() {
    if std::env::args().skip(1).any(|argument| !argument.starts_with('-')) || real_zitadel().is_some() {
        eprintln!("skipped: only the whole suite on the double brings every reason about");
        return;
    }
    let unseen = |states: &str| {
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        reasons.filter(|reason| !states.contains(&format!("/{reason}"))).collect::<Vec<_>>()
    };
    let states = until_answered("showed every reason", async || {
        let seen = watch::seen();
        let left = unseen(&seen.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        (left.is_empty(), (left, seen))
    });
    let (_, states) = states.await;
    println!("{} states, each as it should be:\n{}", states.len(), Vec::from_iter(states).join("\n"));
}
