//! What the Kubernetes API refuses: told, and tried less often where it is for good.

use super::Engine;
use super::events::Note;
use super::fault::{Fault, Pace};
use super::resource::Handle;

/// The reason of the event.
const REASON: &str = "WriteRefused";

impl Engine {
    /// The pace after a fault that has no verdict: nothing was learned about the resource itself.
    ///
    /// A refusal that only a person ends, as by an admission policy or for want of a right, is told as an event once.
    pub async fn pace_of(&self, handle: &Handle, fault: &Fault) -> Pace {
        match fault {
            Fault::NotAdmitted(after) => return Pace::After(*after),
            Fault::Kubernetes(_) => {}
            _ => return Pace::Transient,
        }
        tracing::warn!(resource = %handle.address, %fault, "the Kubernetes API refused a request");
        let Some(refusal) = fault.definite_refusal() else { return Pace::Transient };
        if self.leadership.is_leader() && self.memo.refused(handle.uid(), refusal.code) {
            let note = format!(
                "the Kubernetes API refuses a request of the operator for this resource, and nothing goes on until it does not: {} ({})",
                refusal.message, refusal.code
            );
            self.events.publish(&handle.reference(), Note::warning(REASON, note)).await;
        }
        Pace::Slow
    }
}
