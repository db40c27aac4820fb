//! What the Kubernetes API refuses: told, and tried less often where it is for good.

use crate::engine::decision::error::{ReconcileError, RequeuePolicy};
use crate::engine::kubernetes::events::EventSpec;
use crate::engine::kubernetes::resource::Handle;
use crate::engine::shared::Engine;

/// The reason of the event.
const REASON: &str = "WriteRefused";

impl Engine {
    /// The requeue policy after an error that has no condition update: nothing was learned about the resource itself.
    ///
    /// A refusal that only a person ends, as by an admission policy or for want of a right, is told as an event once.
    pub async fn pace_of(&self, handle: &Handle, error: &ReconcileError) -> RequeuePolicy {
        match error {
            ReconcileError::NotAdmitted(after) => return RequeuePolicy::After(*after),
            ReconcileError::Kubernetes(_) => {}
            _ => return RequeuePolicy::Transient,
        }
        tracing::warn!(resource = %handle.address, %error, "the Kubernetes API refused a request");
        let Some(refusal) = error.definite_refusal() else { return RequeuePolicy::Transient };
        if self.leadership.is_leader() && self.object_states.refused(handle.uid(), refusal.code) {
            let note = format!(
                "the Kubernetes API refuses a request of the operator for this resource, and nothing goes on until it does not: {} ({})",
                refusal.message, refusal.code
            );
            self.events.publish(&handle.reference(), EventSpec::warning(REASON, note)).await;
        }
        RequeuePolicy::Slow
    }
}
