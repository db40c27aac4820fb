//! Flux: CEL expressions for all kinds of the group.

use cel::{Context, Program};
use serde_json::Value;

use super::manifest;
use crate::kstatus::Kstatus;

/// The expressions of a Kustomization.
pub struct Flux {
    in_progress: Program,
    failed: Program,
    current: Program,
}

impl Flux {
    pub fn of_the_page() -> Self {
        let [check] = checks().try_into().unwrap();
        let program = |name: &str| Program::compile(check[name].as_str().unwrap()).unwrap();
        Self { in_progress: program("inProgress"), failed: program("failed"), current: program("current") }
    }

    /// In the order of Flux, which compares the generations itself. It goes on waiting where an expression fails.
    pub fn status(&self, object: &Value) -> Kstatus {
        let (observed, generation) =
            (&object["status"]["observedGeneration"], &object["metadata"]["generation"]);
        if !observed.is_null() && observed != generation {
            return Kstatus::InProgress;
        }
        let holds = |program: &Program| holds(program, object);
        match (holds(&self.in_progress), holds(&self.failed), holds(&self.current)) {
            (Some(false), Some(true), _) => Kstatus::Failed,
            (Some(false), Some(false), Some(true)) => Kstatus::Current,
            _ => Kstatus::InProgress,
        }
    }
}

/// The entries of the page, of which there is one for the group.
pub fn checks() -> Vec<Value> {
    manifest("Kustomization")["spec"]["healthCheckExprs"].as_array().unwrap().clone()
}

/// Whether it is true; none where it cannot be told. The fields of the resource are variables.
fn holds(program: &Program, object: &Value) -> Option<bool> {
    let mut context = Context::default();
    for (name, value) in object.as_object().unwrap() {
        context.add_variable_from_value(name, cel::to_value(value).unwrap());
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(holds)) => Some(holds),
        _ => None,
    }
}
