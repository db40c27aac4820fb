//! What kstatus (Flux, Argo CD, `kubectl wait` users) makes of a resource.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    InProgress,
    Current,
    Failed,
    Terminating,
}

/// The generic rules of kstatus, in their order.
pub fn kstatus(object: &Value) -> Kstatus {
    let condition = |kind: &str| {
        let conditions = object["status"]["conditions"].as_array();
        let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
        found.map(|c| c["status"].as_str().unwrap_or_default().to_owned())
    };
    let observed = &object["status"]["observedGeneration"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Kstatus::Terminating;
    }
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return Kstatus::InProgress;
    }
    match (
        condition("Reconciling").as_deref(),
        condition("Stalled").as_deref(),
        condition("Ready").as_deref(),
    ) {
        (Some("True"), _, _) => Kstatus::InProgress,
        (_, Some("True"), _) => Kstatus::Failed,
        (_, _, Some("False" | "Unknown")) => Kstatus::InProgress,
        _ => Kstatus::Current,
    }
}
