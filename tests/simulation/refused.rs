//! What the Kubernetes API will never take, because a policy or RBAC forbids it: said once, and tried ever less.

use std::time::Duration;

use serde_json::json;
use support::kubernetes::{Call, Failure, FaultDecision, Faults, Verb};
use tokio::time::sleep;
use zitadel_operator::engine::decision::config::Config;

use crate::crash::behaviour;
use crate::rules::{does, in_a_world, project, reason};
use crate::world::World;

/// Refuses the patches of projects, of the resource itself or of a subresource.
struct Policy {
    subresource: &'static str,
    code: u16,
}

impl Policy {
    fn forbids(&self, call: &Call) -> bool {
        call.resource == "projects"
            && call.verb == Verb::Patch
            && call.subresource == self.subresource
            && call.manager == "zitadel-operator"
    }
}

impl Faults for Policy {
    fn before(&self, call: &Call) -> FaultDecision {
        let message = "ValidatingAdmissionPolicy 'tidy' denied request: not here";
        let reason = if self.code == 422 { "Invalid" } else { "Forbidden" };
        match self.forbids(call) {
            true => FaultDecision::Fail(Failure::new(self.code, reason, message)),
            false => FaultDecision::Go,
        }
    }
}

/// The notes of the events of this reason.
pub fn notes(world: &World, reason: &str) -> Vec<String> {
    let writes = world.cluster.writes().into_iter().filter(|write| write.resource == "events");
    let events = writes.filter_map(|write| write.after).filter(|event| event["reason"] == reason);
    events.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_refusal_for_good_is_told_once_and_tried_ever_less_until_it_is_over() {
    for (subresource, code) in [("", 422), ("status", 422), ("", 403)] {
        in_a_world(behaviour(), async |world| {
            let policy = || Policy { subresource, code };
            world.cluster.set_faults(policy());
            world.start_with(Config::default());
            does(world, [project("web", json!({}))]).await;
            sleep(Duration::from_secs(3600)).await;
            let tried = world.cluster.calls().iter().filter(|call| policy().forbids(call)).count();
            assert!((4..=40).contains(&tried), "{subresource:?} {code}: tried {tried} times in an hour");
            let notes = notes(world, "WriteRefused");
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].contains("'tidy' denied request"), "{notes:?}");
            let counted = "zitadel_operator_kubernetes_failures_total{controller=\"Project\"} 0";
            assert!(!world.metrics().contains(counted));
            world.cluster.clear_faults();
            sleep(Duration::from_secs(660)).await;
            assert_eq!(reason(world, "Project", "web").await, "Available");
        });
    }
}
