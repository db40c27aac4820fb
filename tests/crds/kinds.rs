//! The least that each kind needs.

use serde_json::{Value, json};

/// The kinds that live in an organization.
pub const RESIDENTS: [&str; 5] =
    ["Project", "OrgMetadata", "OrgDomainPolicy", "OrgFeatures", "OrgLoginPolicy"];

/// A spec with nothing that could be left out.
pub fn minimal(kind: &str) -> Value {
    match kind {
        "OrgMetadata" => json!({ "entries": [{ "key": "tier", "value": "gold" }] }),
        "OrgDomainPolicy" => json!({
            "userLoginMustBeDomain": false, "validateOrgDomains": true,
            "smtpSenderAddressMatchesInstanceDomain": false,
        }),
        "ProjectRole" => json!({ "project": { "name": "web" } }),
        "OrgFeatures" => json!({ "features": { "loginDefaultOrg": true } }),
        _ => json!({}),
    }
}

/// The least that the kind needs, and these fields.
pub fn with(kind: &str, more: &Value) -> Value {
    let mut spec = minimal(kind);
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}
